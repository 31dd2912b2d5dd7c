"""The documents agree with the files of the repository."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "switchcodec_cli"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("weights/*.md")])


def documented_modules() -> list[str]:
    """Paths of the modules in the tree of docs/architecture.md, relative to the package."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    tree = text.split("\n## Modules\n")[1].split("```")[1].splitlines()
    folders: list[str] = []
    modules = []
    for line in filter(None, tree[2:]):  # below "switchcodec_cli/"
        name = line.split()[0]
        depth = (len(line) - len(line.lstrip())) // 2 - 1
        folders = folders[:depth]
        if name.endswith("/"):
            folders.append(name)
        else:
            modules.append("".join([*folders, name]))
    return modules


def test_architecture_lists_every_module() -> None:
    present = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if not path.stem.startswith("__")
    }
    documented = documented_modules()
    assert len(documented) == len(set(documented))
    assert set(documented) - present == set(), "modules that do not exist"
    assert present - set(documented) == set(), "modules without a line"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_relative_links_lead_to_files(document: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if not re.match(r"[a-z]+:|#", link):
            assert (document.parent / link.split("#")[0]).exists(), link


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "docs/architecture.md"])
def test_paths_in_code_spans_exist(document: str) -> None:
    """Paths such as `encoder/settings.py`, relative to the repository or to the package."""
    text = (ROOT / document).read_text()
    for path in re.findall(r"`([a-z.](?:[\w.-]*/)+[\w.-]*)`", text):
        assert any((folder / path).exists() for folder in (ROOT, PACKAGE)), path
