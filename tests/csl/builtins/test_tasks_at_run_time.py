"""Options of operations and loads with a task that is known at run time only.

Covers: wse/csl/builtins/options.py, wse/csl/codegen/select_vector.py
"""

from __future__ import annotations

import re

import pytest

from csl.running import device, read, run
from wse import FabricFault
from wse.csl.syntax.errors import CslError

PROGRAM = """
const loop = @get_color(3);
const iq = @get_input_queue(4);
const oq = @get_output_queue(5);
const src = @get_dsr(dsr_src1, 3);
const dest = @get_dsr(dsr_dest, 5);
const ids = [2]local_task_id{ @get_local_task_id(12), @get_local_task_id(13) };
var words = [3]u32{ 7, 8, 9 };
export var got = @zeros([3]u32);
export var done = @zeros([2]u16);
var buffer = @zeros([8]u32);
const fifo = @allocate_fifo(buffer);
const in = @get_dsd(fabin_dsd, .{ .extent = 3, .fabric_color = loop, .input_queue = iq });
const out = @get_dsd(fabout_dsd, .{ .extent = 3, .fabric_color = loop, .output_queue = oq });
const got_dsd = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{3} -> got[i] });
const words_dsd = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{3} -> words[i] });
const send = .{ .async = true };
fn go(id: local_task_id, to: fabout_dsd, from: fabin_dsd) void { _ = to; _ = from; BODY }
fn main() void {
  START
  var k: u16 = 1;
  if (words[0] == 0) { k = 0; }
  go(ids[k], out, in);
}
task first() void { done[0] += 1; }
task second() void { done[1] += 1; }
comptime {
  @bind_local_task(first, ids[0]);
  @bind_local_task(second, ids[1]);
  @set_local_color_config(loop, .{ .routes = .{ .rx = .{ RAMP }, .tx = .{ RAMP } } });
  @initialize_queue(iq, .{ .color = loop });
  if (@is_arch("wse3")) @initialize_queue(oq, .{ .color = loop });
  @export_symbol(main);
}
"""
ACTIVATE, UNBLOCK = ".{ .async = true, .activate = id }", ".{ .async = true, .unblock = id }"
SEND, RECEIVE = "@mov32(out, words_dsd, send);", "@mov32(got_dsd, in, send);"
BODIES = {
    "of a send": f"@mov32(out, words_dsd, {ACTIVATE}); {RECEIVE}",
    "of a descriptor that varies": f"@mov32(to, words_dsd, {ACTIVATE}); @mov32(got_dsd, from, send);",
    "of a receive": f"{SEND} @mov32(got_dsd, from, {ACTIVATE});",
    "unblock": f"{SEND} @mov32(got_dsd, in, {UNBLOCK});",
    "of a load": f"{SEND} @load_to_dsr(dest, got_dsd); @load_to_dsr(src, from, {ACTIVATE}); @mov32(dest, src);",
    "unblock of a load": f"{SEND} @load_to_dsr(dest, got_dsd); @load_to_dsr(src, in, {UNBLOCK}); @mov32(dest, src);",
    "of a FIFO": f"@mov32(fifo, words_dsd); @mov32(out, fifo, {ACTIVATE}); {RECEIVE}",
    "of memory that varies": f"{SEND} @mov32(@set_dsd_length(got_dsd, done[0] + 3), in, {ACTIVATE});",
    "with a microthread": f"{SEND} @mov32(got_dsd, in, .{{ .async = true, .activate = id THREAD }});",
    "before one that is known": f"@mov32(out, words_dsd, {ACTIVATE}); @mov32(got_dsd, in, send); "
    "@mov32(out, words_dsd, .{ .async = true, .activate = ids[0] }); @mov32(got_dsd, in, send);",
}


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize("name", BODIES)
def test_a_task_that_is_known_at_run_time(name, arch, tmp_path):
    body = BODIES[name].replace("THREAD", "" if arch == "wse2" else ", .ut_id = @get_ut_id(@as(u16, done[0] + 5))")
    start = "@block(ids[1]); @activate(ids[1]);" if "unblock" in name else ""
    loaded = run(tmp_path, PROGRAM.replace("BODY", body).replace("START", start), arch=arch)
    assert read(loaded, "got").tolist() == [7, 8, 9]
    assert read(loaded, "done").tolist() == [int("before" in name), 1]


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize("task", ["@get_local_task_id(14)", "free[done[0]]"])
def test_an_operation_that_activates_an_id_without_a_task(task, arch, tmp_path):
    body = f"_ = id; {RECEIVE} @mov32(out, words_dsd, .{{ .async = true, .activate = {task} }});"
    text = PROGRAM.replace("BODY", body).replace("START", "") + "const free = [1]local_task_id{@get_local_task_id(14)};"
    with pytest.raises(FabricFault, match=r"the task is not bound to code \(PE \(0, 0\), .* in go, id 14\)"):
        run(tmp_path, text, arch=arch)


REFUSED = {
    "@mov32(out, words_dsd, .{ .activate = id });": "an .activate that is known at run time only needs an asynchronous "
    "operation: .async = true",
    "@mov32(out, words_dsd, .{ .async = true, .activate = done[0] });": ".activate takes a value of type "
    "local_task_id, or a task by name, not one of type u16",
    "@mov32(out, words_dsd, .{ .async = true, .unblock = done[0] });": ".unblock takes a value of type local_task_id "
    "or data_task_id or input_queue, or a task by name, not one of type u16",
    "@mov32(dest, src, .{ .async = true, .activate = id });": "the DSRs say which task: load one with this .activate",
    "@mov32(got_dsd, in, .{ .on_control = .{ .terminate = done[0] == 0 } });": ".terminate must be known at compile time",
    "@mov32(got_dsd, src, .{ .async = true, .on_control = .{ .activate = id } });": "a DSR says itself what a control "
    "wavelet does: load it with this .on_control",
    "const d = @get_dsd(fabin_dsd, .{ .extent = 1, .fabric_color = loop, .input_queue = iq, "
    ".on_control = .{ .activate = id } }); @mov32(got_dsd, d);": "the .on_control of a descriptor is known at compile "
    "time: one that is not is given to the operation",
}


@pytest.mark.parametrize("body", REFUSED)
def test_what_is_refused(body, tmp_path):
    with pytest.raises(CslError, match=re.escape(REFUSED[body])):
        device(tmp_path, PROGRAM.replace("BODY", body).replace("START", ""))
