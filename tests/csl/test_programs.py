"""The programs in tests/csl/programs: one file each, what it must leave in memory stands in it as comments.

    // expect: name = 1, 2, 3      the exported variable after the run
    // launch: main 3 2.5          the function to start and its arguments; without it: main
    // arch: wse2                  only there
    // layout: name.csl            the layout beside it; without it one PE

A program that must not compile has `// error: text` at the end of the line the error is at.

Covers: wse/csl/sema/conditions.py, wse/csl/sema/lvalues.py, wse/csl/sema/stmts.py, wse/csl/sema/switches.py,
    wse/csl/sema/loops.py, wse/csl/sema/unit.py, wse/csl/sema/memory.py, wse/csl/builtins/dsds.py,
    wse/csl/builtins/tasks.py, wse/csl/builtins/options.py, wse/csl/codegen/link.py
"""

import re
from pathlib import Path

import numpy as np
import pytest

from csl.running import LAYOUT, TYPES, launch, read
from wse.csl.codegen.link import link
from wse.csl.compile import compile_program
from wse.csl.syntax.errors import CslError
from wse.sdk.device import Device

PROGRAMS = Path(__file__).parent / "programs"
FILES = sorted(path for path in PROGRAMS.glob("*.csl") if "// expect" in path.read_text())
ERRORS = sorted(path for path in PROGRAMS.glob("*.csl") if "// error:" in path.read_text())


def notes(text: str, word: str) -> list[str]:
    return [found.strip() for found in re.findall(rf"// {word}: (.*)", text)]


def layout_of(path: Path, text: str, tmp_path: Path) -> Path:
    named = notes(text, "layout")
    if named:
        return path.parent / named[0]
    made = tmp_path / "layout.csl"
    made.write_text(LAYOUT.replace("pe.csl", str(path)))
    return made


def value(word: str, kind: str):
    if word in ("true", "false"):
        return word == "true"
    return TYPES[kind](float(word) if kind in ("f16", "f32") else int(word, 0))


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_program(path, arch, tmp_path):
    text = path.read_text()
    if arch not in (notes(text, "arch") or [arch]):
        pytest.skip("not for this machine")
    device = Device(link(compile_program(layout_of(path, text, tmp_path), arch)))
    for call in notes(text, "launch") or ["main"]:
        name, *args = call.split()
        launch(device, name, *(float(a) if "." in a else int(a, 0) for a in args))
    for expected in notes(text, "expect"):
        target, _, values = expected.partition("=")
        name, _, place = target.strip().partition("@")
        x, y = (int(n) for n in (place or "0 0").split())
        found = read(device, name.strip(), x, y)
        kind = device.symbol(x, y, name.strip())[0].type
        wanted = np.array([value(word.strip(), kind) for word in values.split(",")], found.dtype)
        assert found.tolist() == wanted.tolist(), f"{name}: {found.tolist()} instead of {wanted.tolist()}"


@pytest.mark.parametrize("path", ERRORS, ids=lambda path: path.stem)
def test_error(path, tmp_path):
    lines = path.read_text().split("\n")
    wanted = {(i + 1, line.split("// error:")[1].strip()) for i, line in enumerate(lines) if "// error:" in line}
    layout = path if "layout {" in path.read_text() else layout_of(path, path.read_text(), tmp_path)
    with pytest.raises(CslError) as caught:
        compile_program(layout, "wse3")
    found = {(d.span.line, d.message) for d in caught.value.diagnostics if d.span.source.path.endswith(path.name)}
    for line, message in wanted:
        assert any(line == at and message in text for at, text in found), f"{line}: {message}\n{caught.value}"
    assert len(found) == len(wanted), str(caught.value)
