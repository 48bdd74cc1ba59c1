"""<kernels/tally>: counts that all PEs contribute to."""

import pytest

from csl import running
from wse.csl.syntax.errors import CslError

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


NEW_FORM = TALLY.replace("@concat_structs(tally_params, .{", ".{ .tally_params = tally_params,").replace(
    "done_id }));", "done_id });"
)


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_parameters_as_one_struct(tmp_path, arch):
    text = NEW_FORM.replace("param tally_params: comptime_struct", "param tally_params")
    loaded = running.device(tmp_path, text, arch, TALLY_LAYOUT, {"w": 3, "h": 2, "total": 60})
    running.launch(loaded)
    assert [running.read(loaded, "times", x, y)[0] for x in range(3) for y in range(2)] == [0, 0, 0, 0, 1, 0]
    assert running.read(loaded, "sum", 2, 0)[0] == 60


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_without_a_second_phase_all_have_to_complete(tmp_path, arch):
    """The last PE completes when it is told to: not before is anything signaled, however much is counted."""
    late = NEW_FORM.replace("param tally_params: comptime_struct", "param tally_params").replace(
        "if (left == 2) tally.signal_completion();",
        "if (left == 2 and fabric.get_x_coord() + fabric.get_y_coord() != 0) tally.signal_completion();",
    )
    late = late.replace(
        "comptime {", "fn finish() void { tally.signal_completion(); }\ncomptime {\n  @export_symbol(finish);"
    )
    loaded = running.device(tmp_path, late, arch, TALLY_LAYOUT, {"w": 3, "h": 2, "total": 0})
    running.launch(loaded)
    assert running.read(loaded, "times", 2, 0)[0] == 0
    running.launch(loaded, "finish")
    assert running.read(loaded, "times", 2, 0)[0] == 1


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_the_goal_may_be_exceeded(tmp_path, arch):
    loaded = running.device(tmp_path, TALLY, arch, TALLY_LAYOUT, {"w": 2, "h": 1, "total": 14})
    running.launch(loaded)
    assert running.read(loaded, "times", 1, 0)[0] == 1 and running.read(loaded, "sum", 1, 0)[0] >= 14


OUTPUT_LAYOUT = """
param total: u32;
const tally = @import_module("<kernels/tally/layout>", .{
  .kernel_width = 2, .kernel_height = 2, .phase2_tally = total,
  .colors = [3]color{ @get_color(1), @get_color(2), @get_color(3) }, .output_color = @get_color(5) });
layout {
  @set_rectangle(2, 2);
  for (@range(u16, 2)) |x| {
    for (@range(u16, 2)) |y| { @set_tile_code(x, y, "pe.csl", .{ .tally_params = tally.get_params(x, y) }); }
  }
}
"""

OUTPUT = """
param tally_params;
const fabric = @import_module("<layout>");
const tally = @import_module("<kernels/tally/pe>", .{
  .tally_params = tally_params, .output_queues = [2]u16{ 4, 5 }, .input_queues = [2]u16{ 6, 7 } });
fn main() void {
  tally.bump_tally(10);
  tally.signal_completion();
}
comptime { @export_symbol(main); }
"""


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize("total", [0, 40])
def test_the_sum_leaves_north_on_the_output_color(tmp_path, arch, total):
    """It leaves the rectangle, where it is dropped with a note."""
    loaded = running.device(tmp_path, OUTPUT, arch, OUTPUT_LAYOUT, {"total": total})
    running.launch(loaded)
    assert [(int(color), port) for color, port in loaded.fabric.dropped()] == [(5, "N")]


@pytest.mark.parametrize("colors", ["1, 2, 2", "1, 5, 3"])
def test_colors_have_to_differ(tmp_path, colors):
    made = ", ".join(f"@get_color({one})" for one in colors.split(", "))
    layout = OUTPUT_LAYOUT.replace("@get_color(1), @get_color(2), @get_color(3)", made)
    with pytest.raises(CslError) as caught:
        running.compiled(tmp_path, OUTPUT, "wse3", layout, {"total": 0})
    assert "needs three colors for itself and another one" in caught.value.diagnostics[0].message
