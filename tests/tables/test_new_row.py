"""One row more in isa.def, and its line in op_vector.h: everything that is derived from the table follows, and what cannot
follow says so.  Done in a copy of the tree, which is built there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from csl.running import compiled
from running import run

from wse.csl.codegen.link import link
from wse.kernels import axpy
from wse.machine import isa

ROOT = Path(__file__).resolve().parent.parent.parent
ROW = 'VECTOR(fnewh,   H,    H,    H,    NONE,  1,   8,   1,     EACH,   "dst = src0 if it is smaller, else src1")\n'
VALUE = "OP(fnewh, F(a) < F(b) ? W(a) : W(b))\n"
PE = """
var a = [4]f16{ 1.0, -2.0, 3.0, 0.5 };
var b = [4]f16{ 2.0, -3.0, 3.5, 0.25 };
var c = @zeros([4]f16);
const dsd_a = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> a[i] });
const dsd_b = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> b[i] });
const dsd_c = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> c[i] });
var ptr: [*]f16 = &c;

fn main() void { @OPERATION(dsd_c, dsd_a, dsd_b); }

comptime {
  @export_symbol(ptr, "c");
  @export_symbol(main);
}
"""
FOLLOWS = """
import sys
from pathlib import Path
import numpy as np
sys.path.insert(0, "tests")
import wse
from csl.running import read, run
from wse.csl.artifact import Artifact
from wse.machine import isa, numerics
from wse.program import assembler

old, folder, pe = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
row = isa.INSTRUCTION["fnewh"]
assert isa.INSTRUCTION["fadds"].opcode == old + 1, "opcodes follow the rows"

words = assembler.assemble("fnewh d0, a0, b0").words
assert assembler.disassemble(words) == "    fnewh d0, a0, b0\\n", "assembler and disassembler"

p = wse.Program(1, 1, "wse3")
unit = p.pe_class("pe")
for name, values in (("x", [1, -2, 5]), ("y", [2, -3, 4]), ("z", [0, 0, 0])):
    unit.dsd(name + "_dsd", wse.mem1d(unit.array(name, 3, "f16", init=np.array(values, np.float16)), 3))
unit.code("main:\\ndsr d0, z_dsd\\ndsr a0, x_dsd\\ndsr b0, y_dsd\\nfnewh d0, a0, b0\\ndone")
unit.local_task("main", 9, active=True)
p.place(unit, 0, 0)
fabric = wse.Fabric(p)
done = fabric.run()
assert fabric.read("z")[0, 0].tolist() == [1, -3, 4], "decoder and value"
assert done.opcodes["fnewh"] == 1 and done.flops == 3, "counters"

loaded = run(folder / "csl", pe.replace("OPERATION", "fnewh"))
assert read(loaded, "c").tolist() == [1, -3, 3, 0.25], "builtin of CSL"

assert "| `fnewh dst, src0, src1` | H H H | 1 | 8 | 1 | " in isa.reference(), "reference page"
assert "fnewh" in isa.reference("fnewh")

def refusal(what):
    try:
        what()
    except wse.WseError as error:
        return str(error)
    raise AssertionError("not refused")

assert "fnewh has no value in wse/machine/numerics.py" in refusal(lambda: numerics.element("fnewh", "f16", 1, 2))
assert refusal(lambda: Artifact.load(folder / "out")).endswith("compile the program again (cslc -o)")
assert refusal(lambda: wse.Run.load(folder / "run.npz")).endswith("record the run again with --save")
"""


def python(tree: Path, *words: str | Path) -> subprocess.CompletedProcess:
    environment = os.environ | {"PYTHONPATH": str(tree), "WSE_DEBUG": "1"}
    return subprocess.run([sys.executable, *map(str, words)], cwd=tree, env=environment, capture_output=True, text=True)


def insert(path: Path, after: str, line: str) -> None:
    """The line behind the one that begins with `after`."""
    lines = path.read_text().splitlines(keepends=True)
    (at,) = (number for number, text in enumerate(lines) if text.startswith(after))
    path.write_text("".join([*lines[: at + 1], line, *lines[at + 1 :]]))


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the tree with the row, built."""
    copy = tmp_path_factory.mktemp("copy") / "tree"
    copy.mkdir()
    leave = shutil.ignore_patterns("__pycache__", "*.so", "build", "*.npz")
    for name in ("csrc", "wse", "tests", "docs"):
        shutil.copytree(ROOT / name, copy / name, ignore=leave)
    for path in (*ROOT.glob("*.py"), *ROOT.glob("*.toml"), *ROOT.glob("*.md"), *ROOT.glob("LICENSE*")):
        shutil.copy(path, copy)
    insert(copy / "csrc/tables/isa.def", "VECTOR(fmaxh,", ROW)
    insert(copy / "csrc/numeric/op_vector.h", "OP(fmaxh,", VALUE)
    built = python(copy, "setup.py", "-q", "build_ext", "--inplace")
    assert built.returncode == 0, built.stderr
    return copy


@pytest.mark.slow
def test_what_is_derived_from_the_table_follows(tree, tmp_path):
    link(compiled(tmp_path / "old", PE.replace("OPERATION", "fmaxh"))).save(tmp_path / "out")
    run(axpy, grid=(1, 1), length=4).run.save(tmp_path / "run.npz")
    done = python(tree, "-c", FOLLOWS, str(isa.INSTRUCTION["fadds"].opcode), tmp_path, PE)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("test", "sentence"),
    [
        (
            "tests/isa/test_values.py::test_every_row_with_a_value_has_cases",
            "no cases in tests/isa/cases.py for: fnewh",
        ),
        (
            "tests/isa/test_values.py::test_every_row_with_a_value_has_a_twin",
            "no value in wse/machine/numerics.py for: fnewh",
        ),
        ("tests/test_docs.py::test_what_is_made_is_current[docs/isa.md]", "python tests/record.py docs"),
    ],
)
def test_the_suite_names_what_is_missing(tree, test, sentence):
    done = python(tree, "-m", "pytest", "-q", "-p", "no:cacheprovider", test)
    assert done.returncode == 1 and sentence in done.stdout, done.stdout + done.stderr
