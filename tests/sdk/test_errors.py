"""What goes wrong while a compiled program runs is told with PE, function and line of its source.

Covers: wse/sdk/compile.py
"""

from pathlib import Path

import numpy as np
import pytest

import wse
from wse.sdk import compile
from wse.sdk.runtime import SdkRuntime

LAYOUT = """
const memcpy = @import_module("<memcpy/get_params>", .{ .width = 2, .height = 1 });
const c: color = @get_color(1);
layout {
  @set_rectangle(2, 1);
  for (@range(u16, 2)) |x|
    @set_tile_code(x, 0, "pe.csl", .{ .first = x == 0, .c = c, .memcpy_params = memcpy.get_params(x) });
  @set_color_config(0, 0, c, .{ .routes = .{ .rx = .{RAMP}, .tx = .{EAST} } });
  @set_color_config(1, 0, c, .{ .routes = .{ .rx = .{WEST}, .tx = .{EAST_OR_RAMP} } });
  @export_name("go", fn(u16)void);
}
"""

PE = """
param first: bool;
param c: color;
param memcpy_params: comptime_struct;
const sys = @import_module("<memcpy/memcpy>", memcpy_params);
var data = @zeros([8]f32);
const iq = @get_input_queue(2);
const oq = @get_output_queue(2);
const mem = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{8} -> data[i] });
const out = @get_dsd(fabout_dsd, .{ .fabric_color = c, .extent = 8, .output_queue = oq });
const in = @get_dsd(fabin_dsd, .{ .fabric_color = c, .extent = 8, .input_queue = iq });

fn go(kind: u16) void {
  @assert(kind != 3);
  if (first) {
    if (kind > 1) @fmovs(out, mem);
  } else {
    @fadds(mem, mem, in);
  }
  sys.unblock_cmd_stream();
}

comptime {
  if (@is_arch("wse3")) {
    if (first) @initialize_queue(oq, .{ .color = c });
  }
  if (!first) @initialize_queue(iq, .{ .color = c });
  @export_symbol(go);
}
"""


def line_of(text: str) -> int:
    return next(number for number, line in enumerate(PE.splitlines(), 1) if text in line)


def run(arch: str, kind: int, to: str = "RAMP") -> None:
    Path("layout.csl").write_text(LAYOUT.replace("EAST_OR_RAMP", to))
    Path("pe.csl").write_text(PE)
    compile.run(compile.Request(Path("layout.csl"), arch=arch, fabric_dims=(9, 3), fabric_offsets=(4, 1), memcpy=True))
    runner = SdkRuntime("out")
    runner.load()
    runner.run()
    runner.launch("go", np.uint16(kind), nonblock=False)
    runner.stop()


archs = pytest.mark.parametrize("arch", ["wse2", "wse3"])


@archs
def test_a_program_without_errors(arch):
    run(arch, 2)


@archs
def test_a_deadlock(arch):
    with pytest.raises(wse.DeadlockError) as caught:
        run(arch, 1)
    words = str(caught.value)
    assert "stop() waits for the end of the launch of go: PE (1, 0) has not called unblock_cmd_stream()" in words
    assert (
        f"PE (1, 0) main thread (fadds, pe.csl:{line_of('@fadds')}:5 in go, task launch) waits for a wavelet in "
        "input queue 2 (color c)"
    ) in words
    assert "\n      @fadds(mem, mem, in);" in words
    assert "which only PE (0, 0) could send" in words
    assert caught.value.run.ended == "deadlock"


@archs
def test_an_assertion(arch):
    with pytest.raises(wse.FabricFault) as caught:
        run(arch, 3)
    words = str(caught.value)
    assert words.startswith("an assertion does not hold (PE (")
    assert words.endswith(f"trap at pe.csl:{line_of('@assert')}:3 in go, task launch)\n    @assert(kind != 3);")
    assert (caught.value.kind, caught.value.y) == ("TRAP", 0)


@archs
def test_a_route_off_the_program(arch):
    """The wavelets are dropped, as the vendor's simulator does, so that the receiver waits for ever."""
    with pytest.raises(
        wse.DeadlockError, match=r"PE \(1, 0\).*input queue 2 \(color c\), which no PE's route can bring"
    ):
        run(arch, 2, "EAST")
