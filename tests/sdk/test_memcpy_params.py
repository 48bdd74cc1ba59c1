"""<memcpy/get_params> and <memcpy/memcpy> in the forms of both releases: colors, or their numbers."""

from pathlib import Path

import numpy as np
import pytest

import wse
from wse.sdk import compile
from wse.sdk.runtime import SdkRuntime

# SDK 1.4: a color goes in, and comes out.  SDK 2.10: a number.
FORMS = {
    "1.4": ("const down: color = @get_color(4);", "down", "sys.MEMCPYH2D_1"),
    "2.10": ("param down: i16;", "down", "@get_color(@bitcast(u16, sys.MEMCPYH2D_1))"),
    "2.10, a literal": ("", "4", "@get_color(@bitcast(u16, sys.MEMCPYH2D_1))"),
}
LAYOUT = """
DECLARATION
const memcpy = @import_module("<memcpy/get_params>", .{
  .width = 2, .height = 1, .MEMCPYH2D_1 = GIVEN, .MEMCPYD2H_2 = UP });
layout {
  @set_rectangle(2, 1);
  for (@range(i16, 2)) |x| @set_tile_code(x, 0, "pe.csl", .{ .memcpy_params = memcpy.get_params(x) });
}
"""
PE = """
param memcpy_params;
const sys = @import_module("<memcpy/memcpy>", memcpy_params);
const down = DOWN;
const up = @get_color(7);
const in_q = @get_input_queue(2);
const out_q = @get_output_queue(3);
const from = @get_dsd(fabin_dsd, .{ .fabric_color = down, .extent = 3, .input_queue = in_q });
const to = sys.get_streaming_fabout_dsd(up, 3, out_q);
const main_id = @get_local_task_id(9);
task main() void { @add16(to, from, 1, .{ .async = true }); }
comptime {
  @bind_local_task(main, main_id);
  @activate(main_id);
  @initialize_queue(in_q, .{ .color = down });
  if (@is_arch("wse3")) @initialize_queue(out_q, .{ .color = up });
}
"""


def write(form: str, up: str | None = None) -> dict[str, int]:
    """Writes the program; returns its params."""
    declaration, given, down = FORMS[form]
    up = up or ("@get_color(7)" if form == "1.4" else "7")
    Path("layout.csl").write_text(LAYOUT.replace("DECLARATION", declaration).replace("GIVEN", given).replace("UP", up))
    Path("pe.csl").write_text(PE.replace("DOWN", down))
    return {"down": 4} if "param down" in declaration else {}


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize("form", FORMS)
def test_colors_of_streams(form, arch):
    params = write(form)
    compile.run(compile.Request(Path("layout.csl"), params, arch=arch, memcpy=True))
    with SdkRuntime("out") as runner:
        assert runner.artifact.host_colors == {"MEMCPYH2D_1": 4, "MEMCPYD2H_2": 7}
        got, words = np.zeros(6, np.uint32), np.arange(6, dtype=np.uint32)
        runner.memcpy_h2d(4, words, 0, 0, 2, 1, 3, streaming=True, nonblock=True)
        runner.memcpy_d2h(got, 7, 0, 0, 2, 1, 3, streaming=True, nonblock=False)
    assert got.tolist() == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("number", ["24", "-1", "300"])
def test_a_number_that_is_no_color(number):
    params = write("2.10", number)
    with pytest.raises(wse.csl.syntax.errors.CslError, match=rf"{number}.* color"):
        compile.run(compile.Request(Path("layout.csl"), params, arch="wse3"))


@pytest.mark.parametrize(("kind", "made"), [("color", "c"), ("u16", "@get_color(c)"), ("i16", "@get_color(c)")])
def test_colors_from_the_command_line(kind, made):
    Path("layout.csl").write_text(
        f'param c: {kind};\nlayout {{ @set_rectangle(1, 1); @set_tile_code(0, 0, "pe.csl", .{{}});\n'
        f"  @set_color_config(0, 0, {made}, .{{ .routes = .{{ .rx = .{{RAMP}}, .tx = .{{RAMP}} }} }}); }}\n"
    )
    Path("pe.csl").write_text("export var x: u16 = 1;\n")
    artifact = compile.compile_layout(compile.Request(Path("layout.csl"), colors={"c": 9}))
    assert list(artifact.routes) == [9] and artifact.colors == {"c": 9}
