"""Who may import whom: a module imports only from layers below its own, and a library only where it is at home."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "wse"

# From the ground up; modules of one layer do not import each other, except within a package and where `BESIDE` says so.
LAYERS = [
    {"_version", "errors"},
    {"_engine"},
    {"machine"},
    {"program"},
    {"fabric"},
    {"csl", "memoryx", "models", "operators"},
    {"kernels", "plan"},
    {"execute"},
    {"costs"},
    {"train", "system", "validation", "bench"},
    {"sweep", "sdk"},
    {"cli"},
]
# Imports that still point upwards; each is to go.
UPWARDS = {
    ("costs", "system"),  # constants of the machine
    ("execute", "system"),  # Network
    ("plan", "costs"),  # cycles of an operator at a tile
}
# They read a Run, and know nothing that makes one; pictures may use what traces found.
READERS = {"trace", "report"}
READ = {"_version", "errors", "_engine", "machine", "isa", "run"}

HOMES = {
    "matplotlib": {"report"},
    "PIL": {"report"},
    "click": {"cli"},
    "numba": {"memoryx", "machine"},
    "dask": {"sweep", "execute"},
    "distributed": {"sweep", "execute"},
    "simpy": {"system"},
    "pyarrow": {"sweep", "trace"},
    "Cython": set(),
}


def allowed(part: str) -> set[str]:
    """Parts of the package that `part` may import."""
    if part in READERS:
        return READ | {part, "trace"}
    below: set[str] = {part}
    for layer in LAYERS:
        if part in layer:
            return below | (READERS if part in ("cli", "sweep", "sdk") else set())
        below |= layer
    raise AssertionError(f"wse/{part} stands in no layer: add it to LAYERS")


def imports(path: Path):
    """(line, dotted name) of the imports of a file; those only for type checkers do not count."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            base += [node.module] if node.module else []
            yield from ((node.lineno, ".".join([*base, alias.name])) for alias in node.names)


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_downwards(path):
    part = part_of(path)
    may = allowed(part)
    for line, name in imports(path):
        parts = name.split(".")
        if parts[0] == "wse" and len(parts) > 1:
            known = (PACKAGE / parts[1]).is_dir() or (PACKAGE / f"{parts[1]}.py").exists() or parts[1] == "_engine"
            assert not known or parts[1] in may or (part, parts[1]) in UPWARDS, (
                f"{path.name}:{line}: wse/{part} must not import {name}"
            )
        home = HOMES.get(parts[0])
        assert home is None or part in home, f"{path.name}:{line}: {parts[0]} lives in {home}, not in wse/{part}"


def test_only_the_binding_knows_the_header():
    """C knows nothing of Python, and the binding nothing of the machine but wse.h."""
    assert re.findall(r'cdef extern from "([^"]+)"', (PACKAGE / "_engine.pxd").read_text()) == ["wse.h"]
    for path in ROOT.glob("csrc/**/*.[ch]"):
        assert "Python.h" not in path.read_text()


def test_a_planted_import_is_caught(tmp_path):
    planted = PACKAGE / "machine" / "isa.py"
    names = {name for _, name in imports(planted)}
    assert "wse._engine" in names
    assert "fabric" not in allowed("machine")
    assert "kernels" not in allowed("report")
    assert "costs" not in allowed("kernels")
