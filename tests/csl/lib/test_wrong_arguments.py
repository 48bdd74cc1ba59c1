"""Calls of library functions with arguments of any kind: they compile, or are refused where the program calls."""

import random
import re
from pathlib import Path

import pytest

import wse.csl.lib
from csl import running
from wse.csl.syntax.errors import CslError

FOLDER = Path(wse.csl.lib.__path__[0])
MODULES = {
    "math": "", "control": "", "debug": ', .{ .key = "k", .buffer_size = 40 }', "directions": "", "dsd_ops": "", "malloc": ", .{ .buffer_num_words = 20 }",
    "random": "", "simprint": "", "string": "", "types": "", "data_utils": "", "time": "", "timer": ", .{ .timerCount = 2 }", "complex": "",
    **{f"tile_config/{name}": "" for name in (
        "color_config", "switch_config", "filters", "task_priority", "teardown", "queue_flush", "queue_config", "exceptions",
        "control_transform", "main_thread_priority")},
}  # fmt: skip
ARGUMENTS = (
    "1", "-3", "2.5", '"s"', '"{d} {f}"', "n", "x", "{}", ".{}", ".{1, n}", ".{ .a = n }", "f32", "[3]i16", "d", "red", "true", "&n",
    "arr", "NORTH", "q", "tid", "undefined", "fifo", "0xffffffff", "null", "main",
)  # fmt: skip
USES = ("m.CALL;", "const r = m.CALL;", "n = m.CALL;", "if (m.CALL) n = 1;")
PROGRAM = """const m = @import_module("<NAME>"PARAMS);
var n: u16 = 3;
var x: f32 = 2.0;
var arr = @zeros([4]u16);
var buffer = @zeros([8]u16);
const red = @get_color(3);
const q = @get_input_queue(2);
const tid = @get_local_task_id(12);
const d = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> arr[i] });
const fifo = @allocate_fifo(buffer);
fn main() void { USE }
comptime { @export_symbol(main); }
"""


def functions(module: str) -> list[tuple[str, int]]:
    """Names and numbers of parameters of a library's functions."""
    text = (FOLDER / f"{module}.csl").read_text()
    found = re.findall(r"^(?:inline )?fn (\w+)\((.*?)\)\s*[\w(@\[*]", text, re.M | re.S)
    return [(name, params.count(":")) for name, params in found]


@pytest.mark.parametrize("module", MODULES)
def test_arguments_of_any_kind(tmp_path, module):
    rng = random.Random(module)
    known = functions(module)
    assert known
    refused = 0
    for _ in range(6):
        name, count = rng.choice(known)
        call = f"{name}({', '.join(rng.choice(ARGUMENTS) for _ in range(count))})"
        use = rng.choice(USES).replace("CALL", call)
        text = PROGRAM.replace("NAME", module).replace("PARAMS", MODULES[module]).replace("USE", use)
        try:
            running.compiled(tmp_path, text, rng.choice(("wse2", "wse3")))
        except CslError as error:
            first = error.diagnostics[0]
            assert first.span is not None and first.span.source.path.endswith("pe.csl"), (use, str(error))
            refused += 1
    assert refused
