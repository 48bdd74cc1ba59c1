"""Tests mirror the source tree: wse/x/y.py is tested by tests/x/test_y.py, csrc/x/y.c by tests/csrc/x/test_y.py.

A test of another name may cover a module, with a line in its docstring: `Covers: wse/x/y.py, csrc/x/z.c`.
"""

import ast
import re
from functools import cache

from documents import ROOT


@cache
def modules() -> set[str]:
    """Sources that need a test: all except re-exports."""
    python = {path for path in (ROOT / "wse").rglob("*.py") if path.name not in ("__init__.py", "__main__.py")}
    names = {path for path in python if "names" not in path.relative_to(ROOT).parts}  # wse/sdk/names: re-exports
    names |= set((ROOT / "csrc").rglob("*.c"))
    return {path.relative_to(ROOT).as_posix() for path in names}


def named(module: str) -> str:
    """The test that a module has by name."""
    folder, _, name = module.removeprefix("wse/").rpartition("/")
    return "/".join(["tests", *([folder] if folder else []), f"test_{name.rsplit('.', 1)[0].lstrip('_')}.py"])


@cache
def covered() -> dict[str, str]:
    """Modules named in lines `Covers: ...` of tests' docstrings, with the test."""
    found = {}
    for path in (ROOT / "tests").rglob("test_*.py"):
        text = ast.get_docstring(ast.parse(path.read_text())) or ""
        for line in re.findall(r"(?m)^Covers: (.*(?:\n    .*)*)", text):
            found |= dict.fromkeys(re.split(r"[,\s]+", line.strip()), path.relative_to(ROOT).as_posix())
    return found


def untested() -> set[str]:
    return {module for module in modules() if not (ROOT / named(module)).exists()} - set(covered())


def test_every_module_has_a_test_or_is_covered():
    missing = untested()
    assert not missing, f"without a test (tests/<path>/test_<name>.py, or a line `Covers: ...`): {sorted(missing)}"


def test_what_is_covered_exists():
    missing = {f"{test}: {module}" for module, test in covered().items() if not (ROOT / module).exists()}
    assert not missing


def test_names():
    assert named("wse/fabric/run.py") == "tests/fabric/test_run.py"
    assert named("wse/sweep.py") == "tests/test_sweep.py"
    assert named("csrc/router/switch.c") == "tests/csrc/router/test_switch.py"
