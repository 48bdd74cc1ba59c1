"""<dsd_ops>, <malloc>, <complex>, <layout>, <timer>: types choose the operation, memory is given out in order."""

import numpy as np
import pytest

from csl import running
from wse.csl.syntax.errors import CslError

OPS = """
const ops = @import_module("<dsd_ops>");
var x = [3]f32{ 1, -2, 0.5 };
var h = [3]f16{ 2, -0.25, 3 };
var n = [3]i16{ 1, -2, 300 };
var m = [3]u16{ 1, 65535, 7 };
var l = [3]i32{ -1, 70000, 2 };
var k = [3]u32{ 1, 4000000000, 2 };
export var r = @zeros([3]TYPE);
const dx = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{3} -> x[i] });
const dh = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{3} -> h[i] });
const dn = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{3} -> n[i] });
const dm = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{3} -> m[i] });
const dl = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{3} -> l[i] });
const dk = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{3} -> k[i] });
const dr = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{3} -> r[i] });
export var done: u16 = 0;
fn main() void { if (ops.CALL) done = 1; }
comptime { @export_symbol(main); }
"""
X, H = np.array([1, -2, 0.5], np.float32), np.array([2, -0.25, 3], np.float16)
N, M = np.array([1, -2, 300], np.int16), np.array([1, 65535, 7], np.uint16)
WIDE = H.astype(np.float32)


@pytest.mark.parametrize(
    "call, kind, want",
    [
        ("mov(f16, dr, dh, .{})", "f16", H), ("mov(f32, dr, dx, .{})", "f32", X), ("mov(i16, dr, dn, .{})", "i16", N),
        ("mov(u16, dr, dm, .{})", "u16", M), ("mov(i32, dr, dl, .{})", "i32", [-1, 70000, 2]),
        ("mov(u32, dr, dk, .{})", "u32", [1, 4000000000, 2]), ("mov(f32, dr, 1.5, .{})", "f32", [1.5] * 3),
        ("convert(f16, f32, dr, dx, .{})", "f16", X), ("convert(f16, i16, dr, dn, .{})", "f16", N),
        ("convert(f16, f16, dr, dh, .{})", "f16", H), ("convert(f32, f16, dr, dh, .{})", "f32", H),
        ("convert(f32, i16, dr, dn, .{})", "f32", N), ("convert(f32, f32, dr, dx, .{})", "f32", X),
        ("convert(i16, f16, dr, dh, .{})", "i16", [2, 0, 3]), ("convert(i16, f32, dr, dx, .{})", "i16", [1, -2, 0]),
        ("convert(i16, i16, dr, dn, .{})", "i16", N),
        ("add(f16, f16, dr, dh, dh, .{})", "f16", H + H), ("add(f32, f16, dr, dx, dh, .{})", "f32", X + WIDE),
        ("add(f32, f32, dr, dx, 1.0, .{})", "f32", X + 1), ("add(i16, i16, dr, dn, dn, .{})", "i16", N + N),
        ("add(u16, u16, dr, dm, 2, .{})", "u16", M + np.uint16(2)),
        ("sub(f16, dr, dh, dh, .{})", "f16", H - H), ("sub(f32, dr, dx, 2.0, .{})", "f32", X - 2), ("sub(i16, dr, dn, dn, .{})", "i16", N - N),
        ("mul(f16, dr, dh, dh, .{})", "f16", H * H), ("mul(f32, dr, dx, dx, .{})", "f32", X * X),
        ("fmac(f16, f16, dr, dh, dh, 2.0, .{})", "f16", H + H * 2), ("fmac(f32, f16, dr, dx, dh, @as(f16, 2.0), .{})", "f32", X + WIDE * 2),
        ("fmac(f32, f32, dr, dx, dx, 3.0, .{})", "f32", X + X * 3),
        ("neg(f16, dr, dh, .{})", "f16", -H), ("neg(f32, dr, dx, .{})", "f32", -X),
        ("abs(f16, dr, dh, .{})", "f16", abs(H)), ("abs(f32, dr, dx, .{})", "f32", abs(X)),
        ("max(f16, dr, dh, 1.0, .{})", "f16", np.maximum(H, 1)), ("max(f32, dr, dx, dx, .{})", "f32", X),
        ("scale(f32, dr, dx, dn, .{})", "f32", [2, -0.5, np.inf]), ("scale(f16, dr, dh, dn, .{})", "f16", [4, -0.0625, np.inf]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_types_choose_the_operation(tmp_path, arch, call, kind, want):
    loaded = running.run(tmp_path, OPS.replace("TYPE", kind).replace("CALL", call), arch=arch)
    with np.errstate(over="ignore"):
        want = np.asarray(want).astype(running.TYPES[kind])
    assert running.read(loaded, "r").tolist() == want.tolist()
    assert running.read(loaded, "done")[0] == 1


def test_norm_is_the_builtin(tmp_path):
    one = running.read(
        running.run(tmp_path / "a", OPS.replace("TYPE", "f32").replace("CALL", "norm(f32, dr, dx, .{})")), "r"
    )
    builtin = OPS.replace("TYPE", "f32").replace("ops.CALL", "@fnorms(dr, dx)")
    assert one.tolist() == running.read(running.run(tmp_path / "b", builtin), "r").tolist()


@pytest.mark.parametrize(
    "call, message",
    [
        ("mul(i16, dr, dn, dn, .{})", "no such operation for elements of type i16"),
        ("sub(u16, dr, dm, dm, .{})", "no such operation for elements of type u16"),
        ("add(i16, f32, dr, dx, dx, .{})", "no such operation from elements of type f32 to elements of type i16"),
        ("convert(u16, f32, dr, dx, .{})", "no such operation from elements of type f32 to elements of type u16"),
    ],
)
def test_other_types_are_errors(tmp_path, call, message):
    with pytest.raises(CslError) as caught:
        running.compiled(tmp_path, OPS.replace("TYPE", "i16").replace("CALL", call))
    first = caught.value.diagnostics[0]
    assert message in first.message and first.span.source.path.endswith("pe.csl")


MALLOC = """
const mem = @import_module("<malloc>", .{ .buffer_num_words = 12CHECKED });
export var r = @zeros([14]u16);
fn main() void {
  r[0] = @as(u16, mem.has_enough_words(12)); r[1] = @as(u16, mem.has_enough_words(13));
  r[2] = @as(u16, mem.has_enough_double_words(6)); r[3] = @as(u16, mem.has_enough_double_words(7));
  const a = mem.malloc_i16(1); const b = mem.malloc_u16(1); const c = mem.malloc_f16(1);
  const d = mem.malloc_i32(1); const e = mem.malloc_u32(1); const f = mem.malloc_f32(1);
  a[0] = -1; b[0] = 2; c[0] = 3.0; d[0] = -4; e[0] = 5; f[0] = 6.0;
  r[4] = @bitcast(u16, a[0]); r[5] = b[0]; r[6] = @as(u16, c[0]); r[7] = @as(u16, d[0] + 8); r[8] = @as(u16, e[0]); r[9] = @as(u16, f[0]);
  r[10] = @as(u16, mem.has_enough_space(f32, 1)); r[11] = @as(u16, mem.has_enough_space(f32, 2)); r[12] = @as(u16, mem.has_enough_space(u16, 3));
  mem.free();
  const g = mem.malloc(u64, MANY);
  g[MANY - 1] = 0x12345;
  r[13] = @as(u16, g[MANY - 1] >> 16);
}
comptime { @export_symbol(main); }
"""


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_memory_is_given_out_in_order(tmp_path, arch):
    got = running.run(tmp_path, MALLOC.replace("CHECKED", "").replace("MANY", "3"), arch=arch)
    assert running.read(got, "r").tolist() == [1, 0, 1, 0, 65535, 2, 3, 4, 5, 6, 1, 0, 1, 1]


def test_too_much_memory_with_asserts_ends_the_run(tmp_path):
    with pytest.raises(Exception, match="assertion"):
        running.run(tmp_path, MALLOC.replace("CHECKED", ", .asserts_enabled = true").replace("MANY", "4"))


COMPLEX = """
const c = @import_module("<complex>");
export var r = @zeros([12]f32);
export var h = @zeros([8]f16);
fn main() void {
  const C = c.complex(f32);
  const a = C{ .real = 1.0, .imag = 2.0 };
  const b: c.complex_64 = c.get_complex_64(3.0, -4.0);
  const g = c.get_complex(a.real, 7.0);
  const sum = c.add_complex(a, b); const less = c.subtract_complex(a, b); const times = c.multiply_complex(a, b);
  const sum2 = c.add_complex_64(a, b); const less2 = c.subtract_complex_64(a, b); const times2 = c.multiply_complex_64(a, b);
  r[0] = sum.real; r[1] = sum.imag; r[2] = less.real; r[3] = less.imag; r[4] = times.real; r[5] = times.imag;
  r[6] = sum2.real; r[7] = less2.imag; r[8] = times2.real; r[9] = times2.imag; r[10] = g.real; r[11] = g.imag;
  const p = c.get_complex_32(1.5, 0.5); const q: c.complex_32 = c.get_complex(p.imag, p.real);
  const t = c.multiply_complex_32(p, q); const u = c.add_complex_32(p, q); const v = c.subtract_complex_32(p, q); const w = c.multiply_complex(p, q);
  h[0] = t.real; h[1] = t.imag; h[2] = u.real; h[3] = u.imag; h[4] = v.real; h[5] = v.imag; h[6] = w.real; h[7] = w.imag;
}
comptime { @export_symbol(main); }
"""


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_complex_numbers(tmp_path, arch):
    got = running.run(tmp_path, COMPLEX, arch=arch)
    assert running.read(got, "r").tolist() == [4, -2, -2, 6, 11, 2, 4, 6, 11, 2, 1, 7]
    assert running.read(got, "h").tolist() == [0, 2.5, 2, 2, 1, -1, 0, 2.5]


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_coordinates_in_the_rectangle(tmp_path, arch):
    layout = """
layout {
  @set_rectangle(3, 2);
  for (@range(u16, 3)) |x| { for (@range(u16, 2)) |y| { @set_tile_code(x, y, "pe.csl"); } }
}
"""
    pe = """
const where = @import_module("<layout>");
export var at = @zeros([2]u16);
fn main() void { at[0] = where.get_x_coord(); at[1] = where.get_y_coord(); }
comptime { @export_symbol(main); }
"""
    got = running.run(tmp_path, pe, arch=arch, layout=layout)
    assert all(running.read(got, "at", x, y).tolist() == [x, y] for x in range(3) for y in range(2))


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_timers(tmp_path, arch):
    """Two timers at once; the outer one takes longer by what lies between."""
    pe = """
const timer = @import_module("<timer>", .{ .timerCount = 2 });
var time: timer.timerType = @zeros([3]u16);
export var r = @zeros([4]u16);
var i: u16 = 0;
fn main() void {
  timer.start(0);
  timer.start(1);
  timer.stop(1);
  while (i < 100) : (i += 1) { r[i & 3] = i; }
  timer.stop(0);
  timer.elapsed(0, &time);
  r[0] = time[0]; r[2] = time[1]; r[3] = time[2];
  timer.elapsed(1, &time);
  r[1] = time[0];
}
comptime { @export_symbol(main); }
"""
    outer, inner, *high = running.read(running.run(tmp_path, pe, arch=arch), "r").tolist()
    assert 0 < inner < 60 and inner + 100 < outer < 2000 and high == [0, 0]


@pytest.mark.parametrize(
    "use, kind",
    [
        ("var k: c.complex(i16); n = k.real;", "i16"),
        ("n = c.get_complex(n, 2).real;", "i16"),
        ("const k = c.complex(bool);", "bool"),
    ],
)
def test_complex_numbers_of_other_types(tmp_path, use, kind):
    pe = f'const c = @import_module("<complex>");\nvar n: i16 = 1;\nfn main() void {{ {use} }}\ncomptime {{ @export_symbol(main); }}'
    with pytest.raises(CslError) as caught:
        running.compiled(tmp_path, pe)
    first = caught.value.diagnostics[0]
    assert f"<complex> has numbers of @fp16() and f32, not of type {kind}" in first.message and first.span.line == 3


def test_timers_need_their_number(tmp_path):
    pe = 'const timer = @import_module("<timer>");\nfn main() void { timer.start(0); }\ncomptime { @export_symbol(main); }'
    with pytest.raises(CslError, match="param timerCount has no value"):
        running.compiled(tmp_path, pe)
