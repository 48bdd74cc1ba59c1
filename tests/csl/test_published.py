"""Compiled programs against published cycles of the vendor's compiler and simulator."""

import pytest

from . import running

SUMMA = """
const time = @import_module("<time>");
const n = 14;
var own = @zeros([n * n]f32);
var received = @zeros([n * n]f32);
var b_own = @zeros([n * n]f32);
var b_received = @zeros([n * n]f32);
var c: [n * n]f32 align(16) = @zeros([n * n]f32);
var steps: u16 = 4;
export var start = @zeros([3]u16);
export var stop = @zeros([3]u16);

fn product(step: u16) void {
  const a = if (step == 1) &own else &received;
  const b = if (step == 2) &b_own else &b_received;
  var column = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{n} -> own[i] });
  column = @set_dsd_base_addr(column, a);
  for (@range(i16, n)) |k| {
    var sums = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{n} -> c[i] });
    for (@range(i16, n)) |j| {
      const factor = b.*[j * n + k];
      @fmacs(sums, sums, column, factor);
      sums = @increment_dsd_offset(sums, n, f32);
    }
    column = @increment_dsd_offset(column, n, f32);
  }
}

fn main() void {
  time.enable_tsc();
  time.get_timestamp(&start);
  var step: u16 = 0;
  while (step < steps) : (step += 1) { product(step); }
  time.get_timestamp(&stop);
}
comptime { @export_symbol(main); }
"""

MATVEC = """
const time = @import_module("<time>");
const n = 25;
const padded = 28;
var a: [n * padded + 1]f32 align(16) = @zeros([n * padded + 1]f32);
var x: [n]f32 align(16) = @zeros([n]f32);
var y: [padded]f32 align(16) = @zeros([padded]f32);
var columns = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{padded} -> a[i + 1] });
var factors = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{n} -> x[i] });
var sums = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{padded} -> y[i] });
const to = @get_dsr(dsr_dest, 0);
const from = @get_dsr(dsr_src0, 0);
const column = @get_dsr(dsr_src1, 0);
var rounds: u16 = 1;
export var start = @zeros([3]u16);
export var stop = @zeros([3]u16);

fn add(factor: f32) void { @fmacs(to, from, column, factor); }

fn main() void {
  time.enable_tsc();
  time.get_timestamp(&start);
  for (@range(u16, rounds)) |_| {
    var here = columns;
    var there = sums;
    @load_to_dsr(to, there, .{ .save_address = false });
    @load_to_dsr(from, there, .{ .save_address = false });
    @load_to_dsr(column, here, .{ .save_address = true });
    @map(add, factors);
  }
  time.get_timestamp(&stop);
}
comptime { @export_symbol(main); }
"""


@pytest.mark.parametrize(
    "program, arch, published, within",
    [
        pytest.param(SUMMA, "wse2", 45783, 0.2, id="compute part of a SUMMA product, 4 steps of 14^3"),
        pytest.param(MATVEC, "wse2", 772, 0.03, id="single-tile product, N = 25, WSE-2"),
        pytest.param(MATVEC, "wse3", 780, 0.03, id="single-tile product, N = 25, WSE-3"),
    ],
)
def test_cycles(tmp_path, program, arch, published, within):
    got = running.run(tmp_path, program, arch=arch)
    start, stop = (running.read(got, name).astype(int) for name in ("start", "stop"))
    cycles = int(((stop - start) * [1, 1 << 16, 1 << 32]).sum())
    assert cycles == pytest.approx(published, rel=within)
