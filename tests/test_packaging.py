"""The metadata of the package."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOT_TESTED_WITH_THE_OLDEST = {
    "torch",  # see tests/run_oldest.sh
    "switchcodec-cli",
    "tomli",  # on Python 3.10 only
    "pesq", "pystoi", "visqol-python",  # optional, and not in the subset
    "speechmos", "librosa", "onnxruntime", "requests", "pocketsphinx", "sounddevice",  # likewise
    "aiohttp", "fsspec", "paramiko", "s3fs", "moto", "ray",  # likewise
    "datasets", "duckdb", "pandas", "webdataset",  # likewise
    "jinja2", "scipy",  # likewise
    "playwright",  # for the tests of the report, which are not in the subset
    "codespell", "mypy", "ruff", "pytest-cov",  # not used by the tests
}  # fmt: skip


@pytest.fixture(scope="module")
def project() -> dict:
    """The table `project` of pyproject.toml."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def lower_bounds(requirements: list[str]) -> dict[str, str]:
    """Name and lowest version of each requirement, by name."""
    bounds = {}
    for requirement in requirements:
        name, _, version = re.match(r"([\w-]+)(\[[\w,]+\])?(?:[>~]=([\d.]+))?", requirement).groups()
        bounds[name] = version
    return bounds


def release(version: str) -> tuple[int, ...]:
    """A version without the zeros at its end."""
    return tuple(int(part) for part in re.sub(r"(\.0)+$", "", version).split("."))


def test_oldest_versions_are_the_lower_bounds(project: dict) -> None:
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    bounds = lower_bounds([requirement for group in groups for requirement in group])
    lines = (ROOT / "tests" / "oldest.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    assert pinned.keys() == bounds.keys() - NOT_TESTED_WITH_THE_OLDEST
    assert {name: release(version) for name, version in pinned.items()} == {
        name: release(bounds[name]) for name in pinned
    }


def test_supported_python_versions_agree(project: dict) -> None:
    lowest = re.fullmatch(r">=(3\.\d+)", project["requires-python"])[1]
    listed = [entry.split(" :: ")[-1] for entry in project["classifiers"] if re.search(r":: 3\.\d+$", entry)]
    assert listed[0] == lowest


def test_package_is_marked_as_typed() -> None:
    assert (ROOT / "switchcodec_cli" / "py.typed").is_file()
