"""CSL programs with one mistake each.  The mark `//! kind` stands at the line that the finding names; of findings without a
line it stands in a line of its own.  `%` stands for what all programs have in common.
"""

from typing import NamedTuple

# One PE; color 2 leads from its ramp to its ramp.
ALONE = """
const wire = @get_color(2);
const iq = @get_input_queue(2);
const oq = @get_output_queue(3);
var n: u16 = 4;
var k: i16 = 2;
var y = @zeros([4]f32);
var z = [4]f32{ 1, 2, 3, 4 };
var late = @zeros([4]f32);
const y_dsd = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> y[i] });
const z_dsd = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> z[i] });
const late_dsd = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> late[i] });
const send = @get_dsd(fabout_dsd, .{ .extent = 4, .fabric_color = wire, .output_queue = oq });
const receive = @get_dsd(fabin_dsd, .{ .extent = 4, .fabric_color = wire, .input_queue = iq });
const next = @get_local_task_id(9);
const last = @get_local_task_id(10);
var rounds: u16 = 0;
task after() void { rounds += 1; }
task finish() void { rounds += 2; }
comptime {
  @set_local_color_config(wire, .{ .routes = .{ .rx = .{RAMP}, .tx = .{RAMP} } });
  @initialize_queue(iq, .{ .color = wire });
  if (@is_arch("wse3")) @initialize_queue(oq, .{ .color = wire });
  @bind_local_task(after, next);
  @bind_local_task(finish, last);
  @export_symbol(main);
}
"""
# Two PEs, of which the western sends.
PAIR = """
param sends: bool;
const wire = @get_color(2);
const iq = @get_input_queue(2);
const oq = @get_output_queue(3);
var y = @zeros([4]f32);
var z = [4]f32{ 1, 2, 3, 4 };
const y_dsd = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> y[i] });
const z_dsd = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> z[i] });
const send = @get_dsd(fabout_dsd, .{ .extent = 4, .fabric_color = wire, .output_queue = oq });
const receive = @get_dsd(fabin_dsd, .{ .extent = 4, .fabric_color = wire, .input_queue = iq });
const next = @get_local_task_id(9);
comptime {
  if (@is_arch("wse3")) @initialize_queue(oq, .{ .color = wire });
  @export_symbol(main);
}
"""
PAIR_LAYOUT = """layout {{
  @set_rectangle(2, 1);
  @set_tile_code(0, 0, "pe.csl", .{{ .sends = true }});
  @set_tile_code(1, 0, "pe.csl", .{{ .sends = false }});
  @set_color_config(0, 0, @get_color(2), .{{ .routes = .{{ .rx = .{{RAMP}}, .tx = .{{EAST}} }} {first} }});
  @set_color_config(1, 0, @get_color(2), .{{ .routes = .{{ .rx = .{{WEST}}, .tx = .{{{to}}} }} {second} }});
}}
"""


class Fault(NamedTuple):
    name: str
    kind: str
    code: str
    layout: str | None = None

    @property
    def text(self) -> str:
        return (ALONE if self.layout is None else PAIR) + self.code

    @property
    def line(self) -> int | None:
        """The line that the finding names; None: it names none."""
        for number, text in enumerate(self.text.splitlines(), 1):
            if text.endswith(f"//! {self.kind}"):
                return None if text.startswith("//!") else number
        raise AssertionError(f"{self.name} has no mark //! {self.kind}")


def pair(to: str = "RAMP", first: str = "", second: str = "") -> str:
    return PAIR_LAYOUT.format(to=to, first=first, second=second)


FAULTS = [
    # unwritten
    Fault("vector", "unwritten", """
var x: [4]f32;
const x_dsd = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> x[i] });
fn main() void {
  @fmovs(y_dsd, x_dsd); //! unwritten
}
"""),
    Fault("scalar", "unwritten", """
var x: u16;
fn main() void {
  n += x; //! unwritten
}
"""),
    Fault("part", "unwritten", """
var x: [4]f32;
const x_dsd = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> x[i] });
fn main() void {
  for (@range(u16, n - 1)) |i| x[i] = 1.0;
  @fadds(y_dsd, y_dsd, x_dsd); //! unwritten
}
"""),
    Fault("sent", "unwritten", """
var x: [4]f32;
const x_dsd = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> x[i] });
fn main() void {
  @fmovs(send, x_dsd, .{ .async = true }); //! unwritten
  @fmovs(y_dsd, receive);
}
"""),
    Fault("local", "unwritten", """
fn main() void {
  var t: [4]f32;
  for (@range(u16, n - 1)) |i| t[i] = 1.0;
  y[0] = t[n - 1]; //! unwritten
}
"""),
    # bounds
    Fault("length", "bounds", """
fn main() void {
  @fmovs(@set_dsd_length(y_dsd, n + 1), 1.0); //! bounds
}
"""),
    Fault("offset", "bounds", """
fn main() void {
  @fadds(y_dsd, y_dsd, @increment_dsd_offset(z_dsd, k, f32)); //! bounds
}
"""),
    Fault("stride", "bounds", """
fn main() void {
  @fmovs(y_dsd, @set_dsd_stride(z_dsd, @as(i8, k))); //! bounds
}
"""),
    Fault("received", "bounds", """
fn main() void {
  @fmovs(send, z_dsd, .{ .async = true });
  @fmovs(@increment_dsd_offset(y_dsd, k, f32), receive); //! bounds
}
"""),
    Fault("map", "bounds", """
fn double(value: f32) f32 { return value * 2.0; }
fn main() void {
  @map(double, @set_dsd_length(z_dsd, n + 1), y_dsd); //! bounds
}
"""),
    # outside
    Fault("load", "outside", """
fn main() void {
  y[0] = z[n * 2000]; //! outside
}
"""),
    Fault("store", "outside", """
fn main() void {
  z[n * 2000] = 3.0; //! outside
}
"""),
    # code
    Fault("index", "code", """
var x = @zeros([4]i16);
fn main() void {
  var low: u16 = 0 - n * 8;
  x[low] = 7; //! code
}
"""),
    Fault("descriptor", "code", """
fn main() void {
  @fmovs(@increment_dsd_offset(y_dsd, -10 * k, f32), 1.0); //! code
}
"""),
    # race
    Fault("not-waited", "race", """
fn main() void {
  @fmovs(send, z_dsd, .{ .async = true });
  @fmovs(y_dsd, receive, .{ .async = true }); //! race
  late[0] = y[3];
}
"""),
    Fault("overwritten", "race", """
fn main() void {
  @fmovs(send, z_dsd, .{ .async = true }); //! race
  @fmovs(z_dsd, 0.0);
  @fmovs(y_dsd, receive);
}
"""),
    Fault("ended", "race", """
fn main() void {
  @fmovs(send, z_dsd, .{ .async = true });
  @fmovs(y_dsd, receive, .{ .async = true });
  for (@range(u16, 60)) |_| @fadds(late_dsd, late_dsd, z_dsd);
  @fadds(late_dsd, late_dsd, y_dsd); //! race
}
"""),
    Fault("ended-scalar", "race", """
fn main() void {
  @fmovs(y_dsd, z_dsd);
  @fmovs(send, z_dsd, .{ .async = true });
  for (@range(u16, 60)) |_| @fadds(late_dsd, late_dsd, y_dsd);
  z[2] = 0.0; //! race
  @fmovs(y_dsd, receive);
}
"""),
    Fault("sum", "race", """
var total: f32 = 0.0;
fn main() void {
  @fmovs(send, z_dsd, .{ .async = true });
  @fadds(y_dsd, y_dsd, receive, .{ .async = true, .activate = next });
  for (@range(u16, n)) |i| y[i] += 1.0; //! race
}
"""),
    Fault("two-receive", "race", """
const wire2 = @get_color(3);
const iq2 = @get_input_queue(4);
const oq2 = @get_output_queue(5);
const send2 = @get_dsd(fabout_dsd, .{ .extent = 4, .fabric_color = wire2, .output_queue = oq2 });
const receive2 = @get_dsd(fabin_dsd, .{ .extent = 4, .fabric_color = wire2, .input_queue = iq2 });
fn main() void {
  @fmovs(y_dsd, receive2, .{ .async = true }); //! race
  @fadds(y_dsd, z_dsd, receive, .{ .async = true });
  @fmovs(send, z_dsd);
  @fmovs(send2, z_dsd);
}
comptime {
  @set_local_color_config(wire2, .{ .routes = .{ .rx = .{RAMP}, .tx = .{RAMP} } });
  @initialize_queue(iq2, .{ .color = wire2 });
  if (@is_arch("wse3")) @initialize_queue(oq2, .{ .color = wire2 });
}
"""),
    # interleaved
    Fault("two-operations", "interleaved", """
const oq2 = @get_output_queue(4);
const long = @get_dsd(fabout_dsd, .{ .extent = 64, .fabric_color = wire, .output_queue = oq });
const long2 = @get_dsd(fabout_dsd, .{ .extent = 64, .fabric_color = wire, .output_queue = oq2 });
const all = @get_dsd(fabin_dsd, .{ .extent = 128, .fabric_color = wire, .input_queue = iq });
var many = @zeros([128]f32);
const many_dsd = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{128} -> many[i] });
const half = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{64} -> many[i] });
fn main() void {
  if (sends) {
    @fmovs(long, half, .{ .async = true });
    @fmovs(long2, half, .{ .async = true });
  } else @fmovs(many_dsd, all); //! interleaved
}
comptime {
  if (@is_arch("wse3")) @initialize_queue(oq2, .{ .color = wire });
  if (!sends) @initialize_queue(iq, .{ .color = wire });
}
""", pair()),
    Fault("data-task", "interleaved", """
var count: u16 = 0;
task take(value: f32) void {
  many[count] = value; //! interleaved
  count += 1;
}
const oq2 = @get_output_queue(4);
const long = @get_dsd(fabout_dsd, .{ .extent = 16, .fabric_color = wire, .output_queue = oq });
const long2 = @get_dsd(fabout_dsd, .{ .extent = 16, .fabric_color = wire, .output_queue = oq2 });
var many = @zeros([32]f32);
const half = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{16} -> many[i] });
const taken = if (@is_arch("wse3")) @get_data_task_id(iq) else @get_data_task_id(wire);
fn main() void {
  if (sends) {
    @fmovs(long, half, .{ .async = true });
    @fmovs(long2, half, .{ .async = true });
  }
}
comptime {
  if (@is_arch("wse3")) @initialize_queue(oq2, .{ .color = wire });
  if (!sends) {
    @initialize_queue(iq, .{ .color = wire });
    @bind_data_task(take, taken);
  }
}
""", pair()),
    Fault("data-task-descriptor", "interleaved", """
var free_dsd = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{1} -> many[i] });
task take(value: f32) void {
  @fmovs(free_dsd, value); //! interleaved
  free_dsd = @increment_dsd_offset(free_dsd, 1, f32);
}
const oq2 = @get_output_queue(4);
const long = @get_dsd(fabout_dsd, .{ .extent = 16, .fabric_color = wire, .output_queue = oq });
const long2 = @get_dsd(fabout_dsd, .{ .extent = 16, .fabric_color = wire, .output_queue = oq2 });
var many = @zeros([32]f32);
const half = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{16} -> many[i] });
const taken = if (@is_arch("wse3")) @get_data_task_id(iq) else @get_data_task_id(wire);
fn main() void {
  if (sends) {
    @fmovs(long, half, .{ .async = true });
    @fmovs(long2, half, .{ .async = true });
  }
}
comptime {
  if (@is_arch("wse3")) @initialize_queue(oq2, .{ .color = wire });
  if (!sends) {
    @initialize_queue(iq, .{ .color = wire });
    @bind_data_task(take, taken);
  }
}
""", pair()),
    # activated
    Fault("twice", "activated", """
fn main() void {
  @activate(next);
  @activate(next); //! activated
}
"""),
    Fault("loop", "activated", """
fn main() void {
  for (@range(u16, n)) |i| {
    y[i] = 1.0;
    @activate(next); //! activated
  }
}
"""),
    Fault("operations", "activated", """
fn main() void {
  @fmovs(send, z_dsd, .{ .async = true, .activate = next });
  @fmovs(y_dsd, receive, .{ .async = true, .activate = next }); //! activated
  for (@range(u16, n * 100)) |i| late[i & 3] = 2.0;
}
"""),
    # fifo
    Fault("too-few-taken", "fifo", """
//! fifo
var buffer = @zeros([8]f32);
const fifo = @allocate_fifo(buffer);
const three = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{3} -> y[i] });
fn main() void {
  @fmovs(fifo, z_dsd);
  @fmovs(three, fifo);
}
"""),
    Fault("never-taken", "fifo", """
//! fifo
var buffer = @zeros([8]f32);
const fifo = @allocate_fifo(buffer);
fn main() void {
  @fmovs(send, z_dsd, .{ .async = true });
  @fmovs(fifo, receive, .{ .async = true });
}
"""),
    # queue
    Fault("one-too-many", "queue", """
//! queue
const three = @get_dsd(fabin_dsd, .{ .extent = 3, .fabric_color = wire, .input_queue = iq });
fn main() void {
  @fmovs(send, z_dsd, .{ .async = true });
  @fmovs(y_dsd, three);
}
"""),
    Fault("no-reader", "queue", """
//! queue
fn main() void {
  if (sends) @fmovs(send, z_dsd);
}
comptime { if (!sends) @initialize_queue(iq, .{ .color = wire }); }
""", pair()),
    Fault("blocked", "queue", """
//! queue
task got(value: f32) void { y[0] += value; }
fn main() void {
  if (sends) @fmovs(send, z_dsd);
}
comptime {
  if (!sends) {
    @initialize_queue(iq, .{ .color = wire });
    const id = if (@is_arch("wse3")) @get_data_task_id(iq) else @get_data_task_id(wire);
    @bind_data_task(got, id);
    @block(id);
  }
}
""", pair()),
    # undelivered
    Fault("off-the-edge", "undelivered", """
//! undelivered
fn main() void {
  if (sends) @fmovs(send, z_dsd);
}
""", pair(to="EAST")),
    Fault("no-queue", "undelivered", """
//! undelivered
fn main() void {
  if (sends) @fmovs(send, z_dsd);
}
""", pair()),
    Fault("wrong-side", "undelivered", """
//! undelivered
fn main() void {
  if (sends) @fmovs(send, z_dsd);
}
comptime { if (!sends) @initialize_queue(iq, .{ .color = wire }); }
""", pair().replace("WEST", "EAST")),
    # position
    Fault("switched", "position", """
//! position
const advance = @get_dsd(fabout_dsd, .{ .extent = 1, .fabric_color = wire, .output_queue = oq, .control = true });
const ctrl = @import_module("<control>");
fn main() void {
  if (sends) @mov32(advance, ctrl.encode_single_payload(ctrl.opcode.SWITCH_ADV, true, {}, 0));
}
comptime { if (!sends) @initialize_queue(iq, .{ .color = wire }); }
""", pair(second=", .switches = .{ .pos1 = .{ .rx = RAMP } }")),
    # filter
    Fault("counted", "filter", """
//! filter
const three = @get_dsd(fabin_dsd, .{ .extent = 3, .fabric_color = wire, .input_queue = iq });
const take = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{3} -> y[i] });
fn main() void {
  if (sends) @fmovs(send, z_dsd) else @fmovs(take, three, .{ .async = true });
}
comptime { if (!sends) @initialize_queue(iq, .{ .color = wire }); }
""", pair(second=", .filter = .{ .kind = .{ .counter = true }, .count_data = true, .init_counter = 0, .limit1 = 5, .max_counter = 2 }")),
]  # fmt: skip
