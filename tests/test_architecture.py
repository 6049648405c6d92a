"""Who may import whom. The arrows point one way, or the house falls into a heap."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("kernels", "models", "preprocessors", "service", "training")
MAY_IMPORT = {
    "kernels": set(),
    "models": {"kernels"},
    "preprocessors": set(),
    "service": {"models", "preprocessors"},
    "training": {"models", "preprocessors"},
}
# The command line is where the rooms meet: `unireplknet train` is one of its commands.
EXCEPTIONS = {("service/cli.py", "training")}
ONLY_IN = {
    "fastapi": "service",
    "starlette": "service",
    "ray": "service/ray.py",
    "triton": "kernels",
    "openvino": "models",
    "kornia": "training",
}
SOURCES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
LONGEST_FILE = 300


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_arrows(path: Path) -> None:
    relative = path.relative_to(ROOT).as_posix()
    room = relative.split("/")[0]
    for name in imports(path):
        package = name.split(".")[0]
        if package in ROOMS and package != room and (relative, package) not in EXCEPTIONS:
            assert package in MAY_IMPORT[room], f"{relative} imports {name}"
        assert relative.startswith(ONLY_IN.get(package, room)), f"{relative} imports {name}"
        assert not (room == "preprocessors" and name.startswith("torch.nn")), f"{relative} imports {name}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_fit_in_the_head(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST_FILE


def test_tests_have_no_packages_that_would_shadow_the_rooms() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))
