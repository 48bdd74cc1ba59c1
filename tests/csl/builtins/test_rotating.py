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


TWO = """
param sends: bool;
const c = @get_color(1); const c2 = @get_color(2);
const oq = @get_output_queue(2); const oq2 = @get_output_queue(3);
const iq = @get_input_queue(3); const iq2 = @get_input_queue(4);
const control = @import_module("<control>");
const out = @get_dsd(fabout_dsd, .{ .extent = 1, .output_queue = oq });
const out2 = @get_dsd(fabout_dsd, .{ .extent = 1, .output_queue = oq2 });
const command = @get_dsd(fabout_dsd, .{ .extent = 1, .output_queue = oq2, .control = true });
export var got = @zeros([4]u32);
export var got2 = @zeros([4]u32);
var n: u16 = 0;
var n2: u16 = 0;
task data(v: u32) void { got[n] = v; n += 1; }
task other() void { got[n] = 100; n += 1; }
task data2(v: u32) void { got2[n2] = v; n2 += 1; }
task other2() void { got2[n2] = 200; n2 += 1; }
fn main() void {
  if (!sends) return;
  for (@range(u32, 4)) |i| { @mov32(out, i); }
  for (@range(u32, 3)) |i| { @mov32(out2, i); }
  @mov32(command, control.encode_control_task_payload(@get_control_task_id(0)));
}
comptime {
  @export_symbol(main);
  if (sends) {
    @initialize_queue(oq, .{ .color = c }); @initialize_queue(oq2, .{ .color = c2 });
  } else {
    @bind_rotating_tasks(data, other, @get_data_task_id(iq), .{ .init = 2, .limit = 3 });
    @bind_rotating_tasks(data2, other2, @get_data_task_id(iq2), .{ .limit = 2 });
    @initialize_queue(iq, .{ .color = c, .ctrl_table_id = 0 });
    @initialize_queue(iq2, .{ .color = c2, .ctrl_table_id = 1 });
    @set_control_task_table();
  }
}
"""


def test_two_pairs(tmp_path):
    """Each queue has a table of control tasks of its own; a control wavelet goes by the table of its queue."""
    loaded = run(tmp_path, TWO, layout=pair(1, 3))
    assert read(loaded, "got", 1).tolist() == [0, 100, 2, 3]
    assert read(loaded, "got2", 1).tolist() == [0, 1, 200, 200]


PAIR = "@bind_rotating_tasks(data, plain, id, .{ .limit = 3 });"


@pytest.mark.parametrize(
    "calls, message",
    [
        (PAIR + PAIR, "data task 3 is bound twice"),
        (
            "".join(
                f"@bind_rotating_tasks(data, plain, @get_data_task_id(@get_input_queue({q})), .{{ .limit = 3 }});"
                for q in (3, 4, 5)
            ),
            "a PE has two pairs of rotating tasks",
        ),
        (
            PAIR + "@bind_rotating_tasks(data, takes, @get_data_task_id(@get_input_queue(4)), .{ .limit = 3 });",
            "control task 0 is bound twice",
        ),
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
