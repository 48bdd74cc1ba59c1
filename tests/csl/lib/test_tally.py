"""<kernels/tally>: counts that all PEs contribute to."""

import pytest

from csl import running

TALLY_LAYOUT = """
param w: i16;
param h: i16;
param total: u32;
const tally = @import_module("<kernels/tally/layout>", .{
  .kernel_width = w, .kernel_height = h, .phase2_tally = total,
  .colors = [3]color{ @get_color(12), @get_color(13), @get_color(14) }, .output_color = @get_color(15) });
layout {
  @set_rectangle(w, h);
  for (@range(i16, w)) |x| {
    for (@range(i16, h)) |y| {
      @set_tile_code(x, y, "pe.csl", .{ .tally_params = tally.get_params(x, y) });
    }
  }
}
"""

TALLY = """
param tally_params: comptime_struct;
const done_id = @get_local_task_id(20);
const again_id = @get_local_task_id(21);
const fabric = @import_module("<layout>");
const tally = @import_module("<kernels/tally/pe>", @concat_structs(tally_params, .{
  .output_queues = [2]u16{ 4, 5 }, .input_queues = [2]u16{ 6, 7 }, .callback = done_id }));
export var times: u16 = 0;
export var sum: u32 = 0;
var left: u16 = 5;
task done() void {
  times += 1;
  sum = tally.local_tally;
}
task again() void {
  tally.bump_tally(@as(u32, fabric.get_x_coord() + 1));
  left -= 1;
  if (left == 2) tally.signal_completion();
  if (left > 0) @activate(again_id);
}
fn main() void { @activate(again_id); }
comptime {
  @bind_local_task(done, done_id);
  @bind_local_task(again, again_id);
  @export_symbol(main);
}
"""


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize("w, h", [(4, 3), (1, 3), (3, 1), (1, 1), (2, 5)])
def test_tally(tmp_path, arch, w, h):
    total = 5 * h * w * (w + 1) // 2
    loaded = running.device(tmp_path, TALLY, arch, TALLY_LAYOUT, {"w": w, "h": h, "total": total})
    running.launch(loaded)
    for x in range(w):
        for y in range(h):
            times = running.read(loaded, "times", x, y)[0]
            assert times == ((x, y) == (w - 1, 0))
    assert running.read(loaded, "sum", w - 1, 0)[0] == total
