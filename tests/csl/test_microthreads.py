"""Options of an operation on an explicit DSR: what it does not say itself is as in @load_to_dsr.

Covers: wse/csl/codegen/select_vector.py, wse/csl/builtins/options.py
"""

import pytest

from wse.csl.syntax.errors import CslError
from wse.machine import isa
from wse.program.assembler import disassemble_word

from . import running

# The input waits for the output.  Both would use microthread 4, that of their queues, but for the load's .ut_id.
LOOP = """
const loop = @get_color(3);
const iq = @get_input_queue(4);
const oq = @get_output_queue(4);
const done_id = @get_local_task_id(12);
const in = @get_dsr(dsr_src1, 3);
const out = @get_dsr(dsr_dest, 5);
var words = [3]u32{ 7, 8, 9 };
export var got = @zeros([3]u32);
export var done = @zeros([1]u16);
const receive = @get_dsd(fabin_dsd, .{ .extent = 3, .fabric_color = loop, .input_queue = iq });
const send = @get_dsd(fabout_dsd, .{ .extent = 3, .fabric_color = loop, .output_queue = oq });
const got_dsd = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{3} -> got[i] });
const words_dsd = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{3} -> words[i] });

fn main() void {
  @load_to_dsr(in, receive, .{ .async = true, .ut_id = @get_ut_id(2) LOAD });
  @load_to_dsr(out, got_dsd);
  @mov32(out, in OPTIONS);
  @mov32(send, words_dsd, .{ .async = true });
}

task finish() void { done[0] += 1; }

comptime {
  @bind_local_task(finish, done_id);
  START
  @set_local_color_config(loop, .{ .routes = .{ .rx = .{ RAMP }, .tx = .{ RAMP } } });
  @initialize_queue(iq, .{ .color = loop });
  @initialize_queue(oq, .{ .color = loop });
  @export_symbol(main);
}
"""


@pytest.mark.parametrize(
    ("load", "options", "start"),
    [
        (", .activate = done_id", "", ""),
        ("", ", .{ .activate = done_id }", ""),
        ("", ", .{ .async = true, .activate = done_id }", ""),
        ("", ", .{ .async = true, .unblock = done_id }", "@block(done_id); @activate(done_id);"),
    ],
)
def test_operation_keeps_the_microthread_of_the_load(load, options, start, tmp_path):
    text = LOOP.replace("LOAD", load).replace("OPTIONS", options).replace("START", start)
    loaded = running.run(tmp_path, text)
    assert running.read(loaded, "got").tolist() == [7, 8, 9]
    assert running.read(loaded, "done").tolist() == [1]


@pytest.mark.parametrize("number", ["4", "known"])
@pytest.mark.parametrize("out, want", [("out", [7, 8, 9]), ("got_dsd", [0, 0, 0])])
def test_the_first_operand_with_a_microthread_says_it(out, want, number, tmp_path):
    """An explicit DSR has that of its load, a descriptor that of the operation.  In the second case two operations are
    on microthread 4."""
    text = LOOP.replace("LOAD", "").replace("OPTIONS", f", .{{ .async = true, .ut_id = @get_ut_id({number}) }}")
    text = text.replace("@mov32(out,", f"@mov32({out},").replace("START", "") + "\nvar known: u16 = 4;\n"
    if (out, number) == ("out", "known"):
        with pytest.raises(CslError, match=r"the DSRs say the microthread: load one with this .ut_id"):
            running.run(tmp_path, text)
        return
    assert running.read(running.run(tmp_path, text), "got").tolist() == want


def test_priority_is_that_of_the_microthread_of_the_load(tmp_path):
    text = LOOP.replace("LOAD", "").replace("START", "")
    text = text.replace("OPTIONS", ", .{ .async = true, .priority = .{ .high = true } }")
    loaded = running.device(tmp_path, text)
    image = loaded.artifact.classes[0]
    threads = [int(word) >> 16 & 0xFF for word in image.code if int(word) & 0x7FFF == isa.INSTRUCTION["utprio"].opcode]
    assert threads == [2]


def test_an_operation_without_a_priority_beside_one_that_has_one(tmp_path):
    """Both are on microthread 4: the second one sets back what the first one has set."""
    text = LOOP.replace("LOAD", "").replace("START", "").replace("OPTIONS", ", .{ .async = true }")
    first = "@mov32(send, words_dsd, .{ .async = true, .priority = .{ .high = true } });"
    text = text.replace("  @mov32(send,", f"  {first}\n  @mov32(send,")
    image = running.device(tmp_path, text).artifact.classes[0]
    lines = [disassemble_word(int(word)).split() for word in image.code]
    assert [line for line in lines if line[0] == "utprio"] == [["utprio", "4,", "2"], ["utprio", "4,", "0"]]


def test_a_deadlock_by_a_microthread_in_use(tmp_path):
    """WSE-2: the send and the receive are both on microthread 2.  The report says so and what to do."""
    text = """
    param sends: bool;
    const out_color = @get_color(if (sends) 1 else 2);
    const in_color = @get_color(if (sends) 2 else 1);
    const out = @get_dsd(fabout_dsd, .{ .extent = 64, .fabric_color = out_color, .output_queue = @get_output_queue(2) });
    const in = @get_dsd(fabin_dsd, .{ .extent = 64, .fabric_color = in_color, .input_queue = @get_input_queue(2) });
    var a = @zeros([64]u32);
    var b = @zeros([64]u32);
    const a_dsd = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{64} -> a[i] });
    const b_dsd = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{64} -> b[i] });
    fn main() void {
      @mov32(out, a_dsd, .{ .async = true });
      @mov32(b_dsd, in, .{ .async = true });
    }
    comptime { @export_symbol(main); }
    """
    layout = """layout {
      @set_rectangle(2, 1);
      @set_tile_code(0, 0, "pe.csl", .{ .sends = true });
      @set_tile_code(1, 0, "pe.csl", .{ .sends = false });
      @set_color_config(0, 0, @get_color(1), .{ .routes = .{ .rx = .{RAMP}, .tx = .{EAST} } });
      @set_color_config(1, 0, @get_color(1), .{ .routes = .{ .rx = .{WEST}, .tx = .{RAMP} } });
      @set_color_config(1, 0, @get_color(2), .{ .routes = .{ .rx = .{RAMP}, .tx = .{WEST} } });
      @set_color_config(0, 0, @get_color(2), .{ .routes = .{ .rx = .{EAST}, .tx = .{RAMP} } });
    }"""
    report = running.run(tmp_path, text, arch="wse2", layout=layout).deadlock("")
    assert report.cycle[0].startswith("PE (0, 0) main thread (mov32, ")
    assert report.cycle[0].endswith(
        "pe.csl:13:7 in main, task launch) waits for microthread 2, which is in use: a microthread has the number of its output queue, "
        "else of its input queue; use different numbers"
    )
