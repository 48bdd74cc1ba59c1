"""Faults of CSL programs while they run: the messages name the PE, the line and the builtin that helps."""

from __future__ import annotations

import pytest
from csl.running import run

from wse.errors import ConfigError
from wse.fabric.errors import FabricFault

LAYOUT = """
layout {
  @set_rectangle(2, 1);
  @set_tile_code(0, 0, "pe.csl", .{ .sends = true });
  @set_tile_code(1, 0, "pe.csl", .{ .sends = false });
  @set_color_config(0, 0, @get_color(1), .{ .routes = .{ .rx = RAMP, .tx = EAST } });
  @set_color_config(1, 0, @get_color(1), .{ .routes = .{ .rx = WEST, .tx = RAMP } });
}
"""
HEAD = """
param sends: bool;
const c = @get_color(1);
const oq = @get_output_queue(2);
const iq = @get_input_queue(3);
const control = @import_module("<control>");
const out = @get_dsd(fabout_dsd, .{ .fabric_color = c, .extent = 1, .output_queue = oq, .control = true });
var got = @zeros([4]u32);
const to = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{1} -> got[i] });
var number: u16 = 7;
comptime {
  @export_symbol(main);
  @initialize_queue(iq, .{ .color = c });
  @initialize_queue(oq, if (@is_arch("wse3")) .{ .color = c } else .{});
}
fn main() void {
"""
FAULTS = {
    "a control task that is not bound": (
        "if (sends) @mov32(out, control.encode_control_task_payload(@get_control_task_id(40)));",
        ["PE (1, 0)", "task 40", "@bind_control_task"],
    ),
    "a task that is not bound": (
        "if (!sends) @activate(@get_local_task_id(20));",
        ["PE (1, 0)", "pe.csl:17:", "in main", "@bind_local_task"],
    ),
    "an assertion": ("if (!sends) @assert(number == 8);", ["PE (1, 0)", "pe.csl:17:"]),
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_faults(name, arch, tmp_path):
    body, words = FAULTS[name]
    with pytest.raises((FabricFault, ConfigError)) as caught:
        run(tmp_path, f"{HEAD}{body}\n}}\n", arch=arch, layout=LAYOUT)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "Program." not in message and "queue_in" not in message
