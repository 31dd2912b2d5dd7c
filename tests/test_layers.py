"""The dependency rule of docs/architecture.md: imports inside the package point to lower layers."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "switchcodec_cli"

# Lowest first; modules and packages of one layer do not import each other.
LAYERS = (
    {"errors"},
    {"config_fields", "atomic_io"},
    {"storage"},
    {"audio", "bitstream"},
    {"model"},
    {"perceptual", "tokens"},
    {"encoder", "decoder"},
    {"batch"},
    {"api"},
    {"evaluation", "playback", "training", "ray"},
    {"report"},
    {"cli"},
)
LEVELS = {name: level for level, names in enumerate(LAYERS) for name in names}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.stem in LEVELS)
TORCH_FREE = ("errors", "config_fields", "atomic_io", "storage", "audio", "bitstream", "tokens")


def component(path: Path) -> str:
    """The package directly below `switchcodec_cli` that a module is in, or the module itself."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def absolute_name(path: Path, node: ast.ImportFrom) -> str:
    """The module that a `from ... import` statement in a module names."""
    package = ["switchcodec_cli", *path.relative_to(PACKAGE).parent.parts]
    base = package[: len(package) - node.level + 1] if node.level else []
    return ".".join([*base, *filter(None, [node.module])])


def imported_modules(path: Path) -> Iterator[str]:
    """Absolute names of everything that a module imports, also in functions and for type checking."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{absolute_name(path, node)}.{alias.name}" for alias in node.names)


def imported_components(path: Path) -> set[str]:
    """Components of the package that a module imports, without its own."""
    names = (name.split(".") for name in imported_modules(path))
    inside = {parts[1] for parts in names if parts[0] == "switchcodec_cli" and len(parts) > 1}
    return (inside & LEVELS.keys()) - {component(path)}


def test_every_component_has_a_layer() -> None:
    found = {component(path) for path in PACKAGE.rglob("*.py")} - {"__init__", "__main__"}
    assert found <= LEVELS.keys()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_to_lower_layers(path: Path) -> None:
    level = LEVELS[component(path)]
    assert {name for name in imported_components(path) if LEVELS[name] >= level} == set()


def test_bitstream_imports_nothing_but_errors() -> None:
    imported = set().union(*(imported_components(path) for path in (PACKAGE / "bitstream").rglob("*.py")))
    assert imported <= {"errors"}


@pytest.mark.parametrize("name", TORCH_FREE)
def test_lower_layers_do_not_import_torch(name: str) -> None:
    for path in MODULES:
        if component(path) == name:
            assert not {module.split(".")[0] for module in imported_modules(path)} & {"torch"}, path
