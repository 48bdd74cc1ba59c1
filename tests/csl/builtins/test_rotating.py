"""Rotating tasks.

Covers: wse/csl/builtins/rotating.py
"""

from __future__ import annotations

import pytest

from csl.running import compiled, pair, read, run
from wse.csl.syntax.errors import CslError

LAYOUT = pair(1, 2)
PE = """
param sends: bool;
const c = @get_color(1);
const oq = @get_output_queue(2);
const iq = @get_input_queue(3);
const id = @get_data_task_id(iq);
const control = @import_module("<control>");
var a = [8]u32{1, 2, 3, 4, 5, 6, 7, 8};
export var got = @zeros([8]u32);
var n: u16 = 0;
const from = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{8} -> a[i] });
const out = @get_dsd(fabout_dsd, .{ .extent = 8, .output_queue = oq });
const command = @get_dsd(fabout_dsd, .{ .extent = 1, .output_queue = oq, .control = true });
task data(v: u32) void { got[n] = v; n += 1; }
task plain() void { got[n] = 100; n += 1; }
task takes(v: u32) void { got[n] = 100 + v; n += 1; }
task other(v: u16) void { got[n] = @as(u32, v); }
comptime {
  @export_symbol(main);
  @initialize_queue(iq, .{ .color = c });
  @initialize_queue(oq, .{ .color = c });
  %s
}
fn main() void { if (sends) { %s } }
"""


@pytest.mark.parametrize(
    "binding, want",
    [
        ("data, plain, id, .{ .limit = 3 }", [1, 2, 3, 100, 5, 6, 7, 100]),
        ("data, takes, id, .{ .limit = 3 }", [1, 2, 3, 104, 5, 6, 7, 108]),
        ("data, plain, id, .{ .init = 2, .limit = 3 }", [1, 100, 3, 4, 5, 100, 7, 8]),
        ("data, plain, id, .{ .limit = 0 }", [100] * 8),
    ],
)
def test_the_control_task_starts_instead(binding, want, tmp_path):
    text = PE % (f"@bind_rotating_tasks({binding}); @set_control_task_table();", "@mov32(out, from);")
    assert read(run(tmp_path, text, layout=LAYOUT), "got", 1).tolist() == want


def test_a_control_wavelet_starts_the_control_task(tmp_path):
    send = "@mov32(command, control.encode_control_task_payload(@get_control_task_id(0)));"
    text = PE % ("@bind_rotating_tasks(data, plain, id, .{ .limit = 3 });", send)
    assert read(run(tmp_path, text, layout=LAYOUT), "got", 1).tolist() == [100, 0, 0, 0, 0, 0, 0, 0]


PAIR = "@bind_rotating_tasks(data, plain, id, .{ .limit = 3 });"


@pytest.mark.parametrize(
    "calls, message",
    [
        (PAIR + PAIR, "a PE has one pair of rotating tasks"),
        (PAIR.replace("plain", "other"), "other has no parameters or those of data"),
        (PAIR.replace(".limit", ".init"), "a rotation needs .limit"),
        (PAIR.replace(".limit", ".init = 4, .limit"), ".init is at most .limit, 3, not 4"),
        (PAIR.replace(".limit", ".every"), "a rotation has no field every: known: init, limit"),
        (PAIR.replace("= 3", "= -1"), ".limit is a number of starts, not"),
        (PAIR.replace("data, plain", "plain, plain"), "data task plain needs a parameter"),
        (PAIR + "@bind_data_task(data, id);", "data task 3 is bound twice"),
    ],
)
def test_what_is_refused(calls, message, tmp_path):
    with pytest.raises(CslError) as caught:
        compiled(tmp_path, PE % (calls, ""), "wse3", LAYOUT)
    assert message in caught.value.diagnostics[0].message


def test_wse2_has_no_rotation(tmp_path):
    with pytest.raises(CslError, match="wse2 has no @bind_rotating_tasks"):
        compiled(tmp_path, "task t() void {} comptime { @bind_rotating_tasks(t, t, 0, .{}); }", "wse2")
