"""debug_util on compiled programs: symbols that nothing exports, rectangles, traces of <debug>."""

from pathlib import Path

import numpy as np
import pytest

from wse.sdk import compile
from wse.sdk.debug import debug_util
from wse.sdk.runtime import SdkRuntime

LAYOUT = """
const memcpy = @import_module("<memcpy/get_params>", .{ .width = 2, .height = 3 });
layout {
  @set_rectangle(2, 3);
  for (@range(u16, 2)) |x| {
    for (@range(u16, 3)) |y| @set_tile_code(x, y, "pe.csl", .{ .number = 10 * x + y, .memcpy_params = memcpy.get_params(x) });
  }
  @export_name("main", fn(i16)void);
}
"""
PE = """
param number: u16;
param memcpy_params;
const sys = @import_module("<memcpy/memcpy>", memcpy_params);
const trace = @import_module("<debug>", .{ .key = "seen", .buffer_size = 100 });
const other = @import_module("<debug>", .{ .key = "other", .buffer_size = 10 });
var plain = @zeros([2]u16);
export var shown: f32 = 0.0;
fn main(x: i16) void {
  plain[0] = number;
  plain[1] = @as(u16, x);
  shown = @as(f32, x) / 2.0;
  trace.trace_string("start");
  trace.trace_i16(x);
  trace.trace_u16(number);
  trace.trace_u32(70000);
  trace.trace_f32(shown);
  trace.trace_timestamp();
  other.trace_i32(-5);
  sys.unblock_cmd_stream();
}
comptime { @export_symbol(main); }
"""


@pytest.fixture(params=["wse2", "wse3"])
def debug(request) -> debug_util:
    Path("layout.csl").write_text(LAYOUT)
    Path("pe.csl").write_text(PE)
    options = {"fabric_dims": (9, 5), "fabric_offsets": (4, 1), "memcpy": True}
    compile.run(compile.Request(Path("layout.csl"), arch=request.param, **options))
    with SdkRuntime("out") as runner:
        runner.launch("main", np.int16(-3), nonblock=False)
    return debug_util("out")


def test_symbols(debug):
    assert debug.get_symbol(4, 1, "plain", np.uint16).tolist() == [0, 65533]
    assert debug.get_symbol(5, 3, "plain", np.int16).tolist() == [12, -3]
    assert debug.get_symbol(5, 3, "shown", np.float32).tolist() == [-1.5]


def test_rectangles_are_indexed_by_column_and_row(debug):
    got = debug.get_symbol_rect(((4, 2), (2, 2)), "plain", np.uint16)
    assert got.shape == (2, 2, 2)
    assert got[:, :, 0].tolist() == [[1, 2], [11, 12]]


def test_traces(debug):
    *first, cycle = debug.read_trace(5, 2, "seen")
    assert first == ["start", -3, 11, 70000, -1.5]
    assert isinstance(cycle, int) and cycle >= 0
    assert debug.read_trace(5, 2, "other") == [-5]
