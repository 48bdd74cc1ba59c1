"""The passes of the CSL compiler: a folder imports only folders before it, and no two modules import each other."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import wse

PACKAGE = Path(wse.__file__).parent / "csl"
# In the order of the passes; `ir` is the data that sema produces and codegen consumes.
ORDER = [
    "syntax",
    "ir",
    "sema",
    "builtins",
    "artifact",
    "llvm",
    "codegen",
    "compile",
    "emit",
    "check",
    "profile",
    "compare",
]
MODULES = {
    str(path.relative_to(PACKAGE).with_suffix("")).replace("/", "."): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.name != "__init__.py"
}


def imported(name: str, node: ast.Import | ast.ImportFrom) -> set[str]:
    """Modules of wse.csl that an import statement in module `name` names."""
    if isinstance(node, ast.Import):
        full = [alias.name for alias in node.names]
    else:
        parts = ["wse", "csl", *name.split(".")]
        base = parts[: len(parts) - node.level] if node.level else []
        base += node.module.split(".") if node.module else []
        full = [".".join(base), *(".".join([*base, alias.name]) for alias in node.names)]
    return {found.removeprefix("wse.csl.") for found in full} & set(MODULES)


def imports(name: str, text: str) -> tuple[set[str], list[int]]:
    """What a module imports of the package, those for type checkers included, and the lines of imports in functions."""
    tree = ast.parse(text)
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= imported(name, node)
    inside = [
        node.lineno
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    return found, inside


GRAPH = {name: imports(name, path.read_text()) for name, path in MODULES.items()}


def room(name: str) -> int:
    return ORDER.index(name.split(".")[0])


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a ring; empty if there are none."""
    left = {name: set(targets) for name, targets in graph.items()}
    while True:
        leaves = [name for name, targets in left.items() if not targets & set(left)]
        if not leaves:
            return sorted(left)
        for name in leaves:
            del left[name]
        if not left:
            return []


@pytest.mark.parametrize("name", MODULES)
def test_a_folder_imports_only_those_before_it(name):
    above = [target for target in GRAPH[name][0] if room(target) > room(name)]
    assert not above, f"{name} imports {above}, which comes later in {ORDER}"


@pytest.mark.parametrize("name", MODULES)
def test_imports_stand_at_the_top(name):
    assert not GRAPH[name][1], f"{name}: imports inside functions in lines {GRAPH[name][1]}"


def test_there_is_no_circle():
    assert circle({name: targets for name, (targets, _) in GRAPH.items()}) == []


def test_planted_faults_are_found():
    targets, inside = imports("sema.exprs", "def f():\n    from ..builtins import dsds\n")
    assert targets == {"builtins.dsds"} and inside == [2]
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == ["a", "b", "c", "d"]
    assert circle({"a": {"b"}, "b": {"c"}, "c": set()}) == []
