"""Which module may import which: only from layers below its own, in no circle, at the top of the file.

A library is imported only in the packages that are listed for it.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "wse"

# From the ground up; modules of one layer do not import each other, except within a package and where `BESIDE` says so.
LAYERS = [
    {"_version", "errors", "records", "signals"},
    {"start", "files", "npz", "bug", "tensors"},
    {"_engine", "schema"},
    {"machine"},
    {"program"},
    {"fabric"},
    {"check", "csl", "memoryx", "models", "operators"},
    {"kernels", "plan"},
    {"execute"},
    {"costs"},
    {"train", "system", "validation", "torch"},
    {"bench"},
    {"sweep", "sdk"},
    {"lsp", "debug"},
    {"cli"},
    {"__main__"},
]
# These read a Run and import nothing that makes one.  Pictures may use what traces found.
READERS = {"trace", "report"}
READ = {"_version", "errors", "records", "_engine", "machine", "files"}
# Imports within functions, of modules of this package, are allowed here only: commands load what they run when they are
# called, `report` loads matplotlib when a picture is asked for, and host programs load the compiler when they use it.
LAZY = {"cli", "report/__init__.py", "sdk/names/cerebras/sdk/runtime/sdkruntimepybind.py"}

HOMES = {
    "matplotlib": {"report"},
    "PIL": {"report"},
    "click": {"cli"},
    "numba": {"memoryx", "machine"},
    "dask": {"sweep", "execute"},
    "distributed": {"sweep", "execute"},
    "pyarrow": {"sweep", "trace"},
    "safetensors": {"models"},
    "gguf": {"models"},
    "tokenizers": {"models"},
    "tensorboardX": {"train"},
    "pygls": {"lsp"},
    "lsprotocol": {"lsp"},
    "torch": {"torch", "train"},
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


class Import(NamedTuple):
    """An import of a file.  nested: within a function; guarded: under TYPE_CHECKING."""

    line: int
    name: str
    nested: bool
    guarded: bool


@cache
def imports(path: Path, text: str | None = None) -> tuple[Import, ...]:
    """The imports of a file of the repository, wherever in the file they stand.  text: its text, if not the file's."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]

    def walk(node: ast.AST, nested: bool, guarded: bool) -> Iterator[Import]:
        nested |= isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        guarded |= isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if isinstance(node, ast.Import):
            yield from (Import(node.lineno, alias.name, nested, guarded) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            base += [node.module] if node.module else []
            yield from (Import(node.lineno, ".".join([*base, alias.name]), nested, guarded) for alias in node.names)
        for child in ast.iter_child_nodes(node):
            yield from walk(child, nested, guarded)

    return tuple(walk(ast.parse(path.read_text() if text is None else text), False, False))


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def module_of(path: Path) -> str:
    """The dotted name of a file's module."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path) for path in PACKAGE.rglob("*.py")} | {"wse._engine"}


def module_imported(name: str) -> str | None:
    """The module of this package that an import of `name` needs: `name` itself, or the one that defines it."""
    return next((n for n in (name, name.rpartition(".")[0]) if n in MODULES), None)


def graph() -> dict[str, set[str]]:
    """Module -> modules of this package that it imports, in functions and for type checkers as well."""
    edges: dict[str, set[str]] = {module: set() for module in MODULES}
    for path in PACKAGE.rglob("*.py"):
        edges[module_of(path)] |= {m for i in imports(path) if (m := module_imported(i.name)) is not None}
    return edges


def circles(edges: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Sets of modules that import each other, directly or by others (Tarjan's strongly connected components)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in edges[module]:
            if other not in index:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], index[other])
        if low[module] == index[module]:
            at = stack.index(module)
            if len(stack) - at > 1 or module in edges[module]:
                found.append(sorted(stack[at:]))
            del stack[at:]

    for module in edges:
        if module not in index:
            visit(module)
    return found


def test_no_circle_of_imports():
    found = circles(graph())
    assert not found, "modules that import each other: " + "; ".join(", ".join(circle) for circle in found)


def test_a_circle_is_found():
    assert circles({"a": ["b"], "b": ["c"], "c": ["b"], "d": ["a"]}) == [["b", "c"]]
    assert circles({"a": ["b"], "b": [], "c": ["c"]}) == [["c"]]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_downwards(path):
    part = part_of(path)
    may = allowed(part)
    for line, name, nested, guarded in imports(path):
        parts = name.split(".")
        if parts[0] == "wse" and len(parts) > 1:
            known = (PACKAGE / parts[1]).is_dir() or (PACKAGE / f"{parts[1]}.py").exists() or parts[1] == "_engine"
            reads = part in READERS and parts[1:3] == ["fabric", "run"]
            assert not known or reads or parts[1] in may, f"{path.name}:{line}: wse/{part} must not import {name}"
            lazy = part in LAZY or path.relative_to(PACKAGE).as_posix() in LAZY
            assert lazy or not (nested or guarded), (
                f"{path.name}:{line}: the import of {name} belongs at the top of the file; if that closes a circle, "
                "one of the two files holds something that belongs in a third"
            )
        assert part == "records" or name != "dataclasses.dataclass", (
            f"{path.name}:{line}: take dataclass from wse.records, which is quicker to import"
        )
        home = HOMES.get(parts[0])
        assert guarded or home is None or part in home, (
            f"{path.name}:{line}: {parts[0]} lives in {home}, not in wse/{part}"
        )


def test_only_the_binding_knows_the_header():
    """C does not include Python, and the binding includes only the interface."""
    assert re.findall(r'cdef extern from "([^"]+)"', (PACKAGE / "_engine.pxd").read_text()) == [
        "wse.h",
        "wse_debug.h",
    ]
    for path in ROOT.glob("csrc/**/*.[ch]"):
        assert "Python.h" not in path.read_text()


def test_a_planted_import_is_caught():
    planted = PACKAGE / "machine" / "isa.py"
    assert "wse._engine" in {found.name for found in imports(planted)}
    text = "def f():\n    from ..fabric import run\nif TYPE_CHECKING:\n    from . import parameters\n"
    assert imports(planted, text) == (
        Import(2, "wse.fabric.run", True, False),
        Import(4, "wse.machine.parameters", False, True),
    )
    assert "fabric" not in allowed("machine")
    assert "kernels" not in allowed("report")
    assert "costs" not in allowed("kernels")
