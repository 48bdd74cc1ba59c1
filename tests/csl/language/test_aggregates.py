"""Structs of all kinds, unions, enums, arrays of structs, pointers to fields, anyopaque, and the builtins over them.

Covers: wse/csl/sema/parts.py, wse/csl/sema/widths.py
"""

from __future__ import annotations

import gc

import numpy as np
import pytest
from csl import running

from wse.csl.syntax.errors import CslError

ARCHS = ["wse2", "wse3"]
END = "\ncomptime { @export_symbol(main); }\n"


def errors(tmp_path, pe: str, **options) -> str:
    with pytest.raises(CslError) as caught:
        running.compiled(tmp_path, pe + END, options=options)
    return str(caught.value)


PROGRAMS = {
    "structs of a function differ by their defaults": (
        """
        export var out: [4]i32;
        fn S(comptime n: i16) type { return struct { x: i16 = n }; }
        fn main() void {
          var a = S(1){};
          var b = S(2){};
          out = [4]i32{ a.x, b.x, if (S(1) == S(1)) 1 else 0, if (S(1) == S(2)) 1 else 0 };
        }
        """,
        [1, 2, 1, 0],
    ),
    "loops over tuples with fields of run time": (
        """
        export var out: [5]i32;
        var n: i32 = 4;
        fn total(args: anytype) i32 {
          var s: i32 = 0;
          inline for (args) |x, i| { s += @as(i32, x) * @as(i32, i + 1); }
          return s;
        }
        fn digits(args: anytype) i32 {
          comptime var i: u16 = 0;
          var s: i32 = 0;
          inline while (i < args.len) : (i += 1) { s = s * 10 + @as(i32, args[i]); }
          return s;
        }
        fn main() void {
          out[0] = total(.{ n, 2, @as(i16, 3) });
          out[1] = digits(.{ n, 2, n + 1 });
          out[2] = digits(.{});
          var t = .{ n, n + 1 };
          for (t) |x| { t[1] += 10; out[3] = out[3] * 100 + x; }
          out[4] = t[1];
        }
        """,
        [17, 425, 0, 415, 25],
    ),
    "fields of structs in memory": (
        """
        const Inner = struct { x: i16, y: [2]i16 };
        const Outer = struct { i: Inner, k: u32 };
        var o = Outer{ .i = Inner{ .x = 1, .y = [2]i16{ 2, 3 } }, .k = 70000 };
        export var out: [6]u32;
        var n: u16 = 1;
        fn main() void {
          out[0] = @as(u32, o.i.x);
          out[1] = @as(u32, o.i.y[n]);
          o.i.y[n] = 9;
          out[2] = @as(u32, o.i.y[1]);
          var c = o;
          c.i.x = 5;
          out[3] = @as(u32, o.i.x) + @as(u32, c.i.x);
          o.i = Inner{ .x = 8, .y = [2]i16{ 4, 4 } };
          out[4] = @as(u32, o.i.x);
          out[5] = o.k;
        }""",
        [1, 3, 9, 6, 8, 70000],
    ),
    "arrays of structs, as arguments and results": (
        """
        const S = struct { a: i16, b: f32 };
        var arr: [3]S;
        export var out: [5]f32;
        fn make(a: i16) S { return S{ .a = a, .b = 2.5 }; }
        fn sum(s: S) f32 { return @as(f32, s.a) + s.b; }
        fn main() void {
          for (@range(u16, 3)) |i| {
            arr[i] = make(@as(i16, i));
            arr[i].b += 1.0;
            out[i] = sum(arr[i]);
          }
          const p = &arr[1].b;
          p.* = 10.0;
          out[3] = arr[1].b;
          const q = &arr[2];
          q.a = 7;
          out[4] = @as(f32, arr[2].a);
        }""",
        [3.5, 4.5, 5.5, 10.0, 7.0],
    ),
    "parameterized structs, and literals of types from calls": (
        """
        fn pair(comptime T: type, comptime U: type) type { return struct { first: T, second: U }; }
        const known = pair(i32, comptime_string) { .first = 42, .second = "text" };
        export var out: [2]i32;
        comptime {
          @comptime_assert(@type_of(known) == pair(i32, comptime_string));
          @comptime_assert(@type_of(known.first) == i32 and @type_of(known.second) == comptime_string);
        }
        fn main() void {
          var p = pair(i32, i16){ .first = 1, .second = 2 };
          p.first += 5;
          out[0] = p.first + known.first;
          out[1] = @as(i32, @strlen(known.second));
        }""",
        [48, 4],
    ),
    "anonymous structs become named ones": (
        """
        const Point = struct { x: i32, y: i32 };
        const Line = struct { from: Point, to: Point };
        export var out: [6]i32;
        var n: i16 = 3;
        fn make(x: i32) Point { return .{ .y = x, .x = x + 1 }; }
        fn total(p: Point) i32 { return p.x + 10 * p.y; }
        fn main() void {
          var p: Point = .{ .y = 20, .x = n };
          out[0] = total(p);
          p = .{ .x = p.y, .y = p.x };
          out[1] = total(p);
          out[2] = total(make(5));
          out[3] = total(.{ .x = n, .y = n });
          const line: Line = .{ .from = .{ .x = n, .y = 1 }, .to = p };
          out[4] = line.from.x + line.to.x;
          const loose = .{ .x = p.x, .y = 7 };
          p = loose;
          out[5] = total(p);
        }""",
        [203, 50, 56, 33, 23, 90],
    ),
    "variables of anonymous structs whose fields are known": (
        """
        export var out: [4]i32;
        var n: i32 = 3;
        fn main() void {
          var s = .{ .a = @as(i32, 10), .inner = .{ .b = @as(i16, 4) }, .list = .{ @as(i32, 1), true } };
          @field(s, "a") += n;
          s.inner.b *= 2;
          s.list[0] = n * 5;
          out[0] = s.a;
          out[1] = s.inner.b;
          out[2] = if (s.list[1]) s.list[0] else 0;
          s = .{ .a = @as(i32, 1), .inner = .{ .b = @as(i16, 2) }, .list = .{ n, false } };
          out[3] = s.a + s.inner.b + s.list[0];
        }""",
        [13, 8, 15, 6],
    ),
    "arrays of a value that is known at run time": (
        """
        const S = struct { a: i32, b: i16 };
        export var out: [4]i32;
        var n: i32 = 3;
        fn main() void {
          var a = @constants([2, 3]i32, n + 1);
          n = 50;
          a[1, 1] += 1;
          const flags = @constants([5]bool, n == 50);
          const of_structs = @constants([3]S, S{ .a = n, .b = 2 });
          out[0] = a[0, 0] + a[1, 2];
          out[1] = a[1, 1];
          out[2] = if (flags[4]) of_structs[2].a else 0;
          out = @constants([4]i32, out[0] * 10 + out[1]);
          out[3] = of_structs[0].b;
        }""",
        [85, 85, 85, 2],
    ),
    "anonymous structs with fields of run time": (
        """
        const P = struct { x: i16, y: i16 };
        export var out: [8]i16;
        var x: i16 = 3;
        var b: bool = true;
        fn sum(s: anytype) i16 { return s.a + s.b; }
        fn product(s: anytype) i16 { return s[0] * s[1]; }
        fn format(comptime text: comptime_string, args: anytype) i16 {
          var total = @as(i16, @strlen(text)) + args[0] + args[1].x;
          if (args[2]) total += 100;
          return total;
        }
        fn main() void {
          const s = .{ .a = x, .b = 2 };
          out[0] = sum(s);
          out[1] = sum(.{ .a = x, .b = x });
          out[2] = product(.{ x, 5 });
          var t = .{ .a = x, .b = x };
          t.a += 1;
          out[3] = t.a * 10 + t.b;
          t = .{ .a = t.b, .b = t.a };
          out[4] = t.a * 10 + t.b;
          out[5] = format("abc", .{ x, P{ .x = x, .y = 0 }, b });
          out[6] = format("abcd", .{ x, .{ .x = x }, false });
          x = 10;
          out[7] = s.a;
        }""",
        [5, 6, 15, 43, 34, 109, 10, 3],
    ),
    "packed structs": (
        """
        const S = packed struct { a: u3, b: i5, c: u8, d: f16 };
        var s = S{ .a = 5, .b = -3, .c = 200, .d = 1.5 };
        export var out: [11]i32;
        var raw: u32 = 0x3c00ff0a;
        fn get(x: S) i32 { return @as(i32, x.b); }
        fn with(x: S, b: i5) S { var y = x; y.b = b; return y; }
        fn main() void {
          out[0] = @as(i32, s.a);
          out[1] = @as(i32, s.b);
          out[2] = @as(i32, s.c);
          out[3] = @as(i32, s.d * 2.0);
          s.b -= 14;
          out[4] = @as(i32, s.b);
          out[5] = get(with(s, 7));
          const t: S = .{ .a = 1, .b = s.b, .c = 3, .d = s.d };
          out[6] = @as(i32, @bitcast(u32, t));
          var arr = @constants([3]S, S{ .a = 1, .b = 2, .c = 3, .d = 0.0 });
          arr[1].c = 77;
          out[7] = @as(i32, arr[1].c) + @as(i32, arr[2].c);
          const p = &s;
          p.c = 9;
          out[8] = @as(i32, s.c);
          out[9] = @as(i32, @bitcast(S, raw).b);
          out[10] = @as(i32, @bitcast(S, @as(u32, 0x3c00ff0a)).c);
        }""",
        [5, -3, 200, 3, 15, 7, 0x3E000379, 80, 9, 1, 255],
    ),
    "packed structs of 48 bits": (
        """
        const S = packed struct { x: i16, y: f32 };
        var s = S{ .x = -2, .y = 0.5 };
        export var out: [3]i32;
        fn main() void {
          s.y += 1.0;
          s.x -= 1;
          out[0] = @as(i32, s.x);
          out[1] = @as(i32, s.y * 10.0);
          var z = s;
          z.x = 7;
          out[2] = @as(i32, z.x) + @as(i32, s.x);
        }""",
        [-3, 15, 4],
    ),
    "packed structs of bools, enums, pointers and packed structs": (
        """
        const E = enum(u3) { A, B, C };
        const Low = packed struct { f: bool, e: E, g: u4 };
        var arr = [4]u16{ 10, 20, 30, 40 };
        const S = packed struct { low: Low, n: u8, p: [*]u16 };
        var s = S{ .low = Low{ .f = true, .e = E.C, .g = 9 }, .n = 1, .p = &arr };
        export var out: [5]u16;
        fn main() void {
          out[0] = s.p[2];
          out[1] = @as(u16, s.low.e);
          out[2] = @as(u16, s.low.f);
          s.low.f = false;
          s.low.e = E.B;
          out[3] = @as(u16, s.low.f) + 10 * @as(u16, s.low.e) + 100 * @as(u16, s.low.g);
          const t = S{ .low = s.low, .n = 2, .p = &arr };
          out[4] = t.p[1] + @as(u16, t.low.g);
        }""",
        [30, 2, 1, 910, 29],
    ),
    "packed unions": (
        """
        const Bytes = packed struct { low: u8, high: u8 };
        const U = packed union { full: u16, bytes: Bytes };
        var u = U{ .full = 0x1234 };
        export var out: [4]u16;
        comptime {
          var c = U{ .full = 0x0102 };
          c.bytes.high = 9;
          @comptime_assert(c.full == 0x0902);
        }
        fn main() void {
          out[0] = @as(u16, u.bytes.high);
          u.bytes.low = 0xff;
          out[1] = u.full;
          u = U{ .bytes = Bytes{ .low = 1, .high = 2 } };
          out[2] = u.full;
          const known = U{ .full = 0xabcd };
          out[3] = @as(u16, known.bytes.high);
        }""",
        [0x12, 0x12FF, 0x201, 0xAB],
    ),
    "unions": (
        """
        const U = union { i: i32, f: f32 };
        var u = U{ .i = 5 };
        export var out: [3]i32;
        comptime {
          var c = U{ .i = 15 };
          c.i = 0;
          @comptime_assert(c.i == 0);
          c = U{ .f = 33.0 };
          @comptime_assert(c.f == 33.0);
        }
        fn main() void {
          out[0] = u.i;
          u = U{ .f = 1.0 };
          out[1] = @as(i32, u.f * 3.0);
          var l: U = .{ .i = out[0] };
          l.i += 1;
          out[2] = l.i;
        }""",
        [5, 3, 6],
    ),
    "extern unions": (
        """
        const U = extern union { i: i32, f: f32, h: [2]u16 };
        export var u = U{ .f = 1.0 };
        export var out: [3]i32;
        fn main() void {
          out[0] = u.i;
          out[1] = @as(i32, u.h[1]);
          u.i = 0x40000000;
          out[2] = @as(i32, u.f);
        }""",
        [0x3F800000, 0x3F80, 2],
    ),
    "bits of structs and arrays": (
        """
        const S = extern struct { a: u16, b: u16 };
        var s = S{ .a = 1, .b = 2 };
        var n: u32 = 0x30004;
        export var out: [6]u32;
        fn main() void {
          out[0] = @bitcast(u32, s);
          out[1] = @as(u32, @bitcast(S, n).b);
          out[2] = @as(u32, @bitcast([2]u16, n)[0]);
          out[3] = @bitcast(u32, [2]u16{ 1, 2 });
          out[4] = @as(u32, @bitcast(S, @as(u32, 0x50006)).a);
          out[5] = @bitcast(u32, [4]u8{ 1, 2, 3, 4 });
        }""",
        [0x20001, 3, 4, 0x20001, 6, 0x04030201],
    ),
    "pointers to fields": (
        """
        const S = struct { a: u16, in: [3]i32, b: u16 };
        var s = [2]S{ S{ .a = 1, .in = [3]i32{ 1, 2, 3 }, .b = 5 }, S{ .a = 2, .in = [3]i32{ 4, 5, 6 }, .b = 6 } };
        const field = &s[1].b;
        const inner: [*]i32 = &s[1].in;
        const element = &s[0].in[2];
        export var out: [4]i32;
        fn main() void {
          field.* += 10;
          out[0] = @as(i32, s[1].b);
          out[1] = inner[1];
          element.* = -1;
          out[2] = s[0].in[2];
          const p = &s[1];
          p.in[0] = 44;
          out[3] = inner[0];
        }""",
        [16, 5, -1, 44],
    ),
    "anyopaque": (
        """
        var x: i32 = 42;
        const y: f32 = 1.5;
        export var out: [3]i32;
        fn add(p: *anyopaque, n: i32) void { const q = @ptrcast(*i32, p); q.* += n; }
        fn half(p: *const anyopaque) f32 { return @ptrcast(*const f32, p).*; }
        fn main() void {
          var p: *anyopaque = &x;
          @ptrcast(*i32, p).* = 100;
          out[0] = x;
          add(&x, 5);
          out[1] = x;
          out[2] = @as(i32, half(&y) * 2.0);
        }""",
        [100, 105, 3],
    ),
    "@field and @has_field": (
        """
        const S = struct { a: i32, b: i32 };
        var s = S{ .a = 1, .b = 2 };
        export var out: [5]i32;
        comptime { @comptime_assert(@has_field(.{ .blah = 10 }, "blah") and !@has_field(.{ .blah = 10 }, "b")); }
        fn main() void {
          @field(s, "a") = 20;
          out[0] = @field(s, "a") + @field(s, "b");
          out[1] = if (@has_field(s, "a")) 1 else 0;
          out[2] = if (@has_field(S, "c")) 1 else 0;
          var local = S{ .a = 3, .b = 4 };
          @field(local, "b") += 1;
          out[3] = local.b;
          const p = &s;
          out[4] = @field(p, "b");
        }""",
        [22, 1, 0, 5, 2],
    ),
    "types are values": (
        """
        const a = struct { x: i16 };
        const b = struct { x: i16 };
        const e1 = enum(i16) { red, white };
        const e2 = enum(i16) { red, white };
        fn enumeration(comptime T: type) type { return enum(T) { red, white }; }
        export var out: [1]i32;
        comptime {
          @comptime_assert(a == a and a != b and i16 != i32 and [2]i16 == [2]i16);
          @comptime_assert(@is_same_type(a, a) and !@is_same_type(a, b));
          @comptime_assert(e1 != e2 and enumeration(i16) != enumeration(i32) and enumeration(i16) == enumeration(i16));
          @comptime_assert(@type_of(e1.red) == e1);
        }
        fn main() void { if (@type_of(out[0]) == i32) out[0] = 1; }""",
        [1],
    ),
    "members of enums get the numbers that are free": (
        """
        const A = enum(u16) { red, white = 1, blue };
        const B = enum(u16) { red, white = 4, blue };
        const C = enum(i16) { rock, paper = -3, scissors };
        const D = enum(i64) { small = -5000000000, large = 5000000000 };
        export var out: [8]i32;
        var d = D.small;
        comptime {
          @comptime_assert(@as(f32, A.blue) == 2.0 and @as(A, 1) == A.white and @as(A, @as(i16, A.white) + 1) == A.blue);
          @comptime_assert(@get_int(D.large) == 5000000000);
        }
        fn main() void {
          out[0] = @as(i32, A.blue);
          out[1] = @as(i32, B.blue);
          out[2] = @as(i32, C.paper) * 10 + @as(i32, C.scissors);
          out[3] = @as(i32, @as(i64, d) / 1000000000);
          d = D.large;
          out[4] = if (d == D.large) 1 else 0;
          out[5] = @as(i32, @as(A, @as(u16, C.scissors)));
        }""",
        [2, 1, -29, -5, 1, 1, 0, 0],
    ),
    "descriptors over arrays in structs": (
        """
        const V = struct { n: u16, d: [4]f32 };
        var v = [2]V{ V{ .n = 1, .d = [4]f32{ 1.0, 2.0, 3.0, 4.0 } }, V{ .n = 1, .d = [4]f32{ 5.0, 6.0, 7.0, 8.0 } } };
        export var out: [4]f32;
        const out_dsd = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> out[i] });
        const first = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> v[0].d[i] });
        const second = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> v[1].d[i] });
        fn main() void { @fadds(out_dsd, first, second); }""",
        [6.0, 8.0, 10.0, 12.0],
    ),
    "unions in structs in arrays": (
        """
        const U = union { i: i32, f: f32 };
        const E = enum(u8) { I, F };
        const T = struct { e: E, u: U };
        var ts = [2]T{ T{ .e = E.I, .u = U{ .i = 5 } }, T{ .e = E.F, .u = U{ .f = 2.5 } } };
        export var out: [3]f32;
        fn value(t: T) f32 { return switch (t.e) { E.I => @as(f32, t.u.i), E.F => t.u.f }; }
        fn main() void {
          for (ts) |t, i| { out[i] = value(t); }
          ts[0] = .{ .e = E.F, .u = .{ .f = 7.0 } };
          out[2] = value(ts[0]);
        }""",
        [5.0, 2.5, 7.0],
    ),
    "arrays of packed structs": (
        """
        const P = packed struct { lo: u4, hi: u4 };
        var ps = [3]P{ P{ .lo = 1, .hi = 2 }, P{ .lo = 3, .hi = 4 }, P{ .lo = 5, .hi = 6 } };
        export var out: [4]u16;
        var i: u16 = 1;
        fn main() void {
          out[0] = @as(u16, ps[i].hi);
          ps[i].lo = 15;
          out[1] = @as(u16, @bitcast(u8, ps[i]));
          for (ps) |p| { out[2] += @as(u16, p.lo); }
          const many: [*]P = &ps;
          many[2].hi = 9;
          out[3] = @as(u16, ps[2].hi);
        }""",
        [4, 79, 21, 9],
    ),
    "structs of run-time choices": (
        """
        const P = struct { x: i16 };
        export var out: [3]i16;
        var c: bool = true;
        var n: i16 = 4;
        fn main() void {
          const p: P = if (c) .{ .x = n } else .{ .x = 2 };
          out[0] = p.x;
          const q = if (!c) P{ .x = n } else P{ .x = 9 };
          out[1] = q.x;
          const r: P = switch (n) { 0 => .{ .x = 5 }, else => .{ .x = n + 2 } };
          out[2] = r.x;
        }""",
        [4, 9, 6],
    ),
    "constants with an alignment": (
        """
        const table align(64) = [3]u16{ 1, 2, 3 };
        var variable: u16 align(32) = 4;
        export var out: [3]u16;
        fn address(p: *const u16) u16 { return @bitcast(u16, p); }
        fn main() void {
          out[0] = address(&table[0]) % 64;
          out[1] = address(&variable) % 32;
          out[2] = table[1] + table[2];
        }""",
        [0, 0, 5],
    ),
}


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("case", PROGRAMS)
def test_program(case, arch, tmp_path):
    pe, expected = PROGRAMS[case]
    loaded = running.run(tmp_path, pe + END, arch=arch)
    assert running.read(loaded, "out").tolist() == expected


ERRORS = {
    "address of a packed field": (
        "const S = packed struct { x: i16, y: f32 };\nvar s: S;\nfn main() void { const p = &s.y; _ = p; }",
        "pe.csl:3:28: error: y is a field of S, a packed struct, and has no address",
    ),
    "address of a packed field as a constant": (
        "const S = packed struct { x: i16, y: f32 };\nvar s: S;\nconst p = &s.y;\nfn main() void { p.* = 1.0; }",
        "pe.csl:3:12: error: y is a field of S, a packed struct, and has no address",
    ),
    "an array in a packed struct": (
        "const S = packed struct { x: [2]i16 };\nvar s: S;\nfn main() void { s = s; }",
        "pe.csl:1:30: error: a field of a packed struct is a number, a bool, an enum, a pointer or itself packed",
    ),
    "a packed union of different widths": (
        "const U = packed union { a: u16, b: u8 };\nvar u: U;\nfn main() void { u = u; }",
        "pe.csl:1:11: error: the fields of a packed union have the same number of bits, not a 16, b 8",
    ),
    "another field of a union": (
        "const U = union { a: u16, b: f16 };\nconst u = U{ .a = 1 };\nexport var out: f16;\n"
        "fn main() void { out = u.b; }",
        "pe.csl:4:24: error: the union holds field a, not b",
    ),
    "two fields of a union": (
        "const U = union { a: u16, b: f16 };\nvar u = U{ .a = 1, .b = 1.0 };\nfn main() void { u.a = 2; }",
        "pe.csl:2:9: error: a value of U, a union, has exactly one field, not 2",
    ),
    "too few fields": (
        "const P = struct { x: i32, y: i32 };\nvar p: P = .{ .x = 1 };\nfn main() void { p.x = 2; }",
        "pe.csl:2:12: error: the field y of P has no value",
    ),
    "too many fields": (
        "const P = struct { x: i32, y: i32 };\nvar p: P = .{ .x = 1, .y = 2, .z = 3 };\nfn main() void { p.x = 2; }",
        "pe.csl:2:12: error: P has no field z: known: x, y",
    ),
    "another field": (
        "const P = struct { x: i32, y: i32 };\nvar n: i32;\nfn main() void { const p: P = .{ .x = n, .z = 2 }; _ = p; }",
        "pe.csl:3:31: error: P has no field z: known: x, y",
    ),
    "a field of another type": (
        'const P = struct { x: i32, y: i32 };\nvar p: P = .{ .x = 1, .y = "str" };\nfn main() void { p.x = 2; }',
        'pe.csl:2:12: error: a value of type i32 was expected, not "str"',
    ),
    "a struct of other names": (
        "var n: i16;\nfn main() void { var a = .{ .x = n }; a = .{ .y = n }; }",
        "pe.csl:2:43: error: a value of type struct {.x: i16} was expected",
    ),
    "a tuple beyond its end": (
        "var n: i16;\nfn main() void { const a = .{ n, n }; _ = a[2]; }",
        "pe.csl:2:45: error: index 2 is outside of this tuple, which has 0 to 1",
    ),
    "a tuple by a number of run time": (
        "var n: i16;\nfn main() void { const a = .{ n, n }; _ = a[n]; }",
        "pe.csl:2:45: error: ",
    ),
    "members with the same value": (
        "const E = enum(u16) { red = 1, white = 1 };\nvar e = E.red;\nfn main() void { e = E.white; }",
        "pe.csl:1:32: error: red and white have the same value 1: the values of an enum differ",
    ),
    "too many members": (
        "const E = enum(u1) { a, b, c };\nvar e = E.a;\nfn main() void { e = E.b; }",
        "pe.csl:1:28: error: the value 2 of c does not fit u1",
    ),
    "an enum as another": (
        "const A = enum(u16) { x };\nconst B = enum(u16) { x };\nvar a = A.x;\nfn main() void { const b = @as(B, a); _ = b; }",
        "pe.csl:4:28: error: a value of type A cannot be converted to B, another enum",
    ),
    "no member of this value": (
        "const A = enum(u16) { x };\nconst a = @as(A, 4);\nfn main() void { _ = a; }",
        "pe.csl:2:11: error: A has no member with the value 4",
    ),
    "anyopaque as a value": (
        "const S = struct { a: anyopaque };\nvar s: S;\nfn main() void { s = s; }",
        "pe.csl:1:23: error: a cannot be of type anyopaque, which has no size: a pointer to it can",
    ),
    "what an anyopaque pointer points to": (
        "var x: i32;\nfn main() void { var p: *anyopaque = &x; p.* = 1; }",
        "pe.csl:2:42: error: what a *anyopaque points to has no type: convert the pointer",
    ),
    "a pointer to what has no run time": (
        "var x: i32;\nfn main() void { const p = @ptrcast(*comptime_int, &x); _ = p; }",
        "pe.csl:2:37: error: values of type comptime_int exist at compile time only",
    ),
    "types of different sizes": (
        "var x: u16;\nfn main() void { const y = @bitcast(u5, x); _ = y; }",
        "pe.csl:2:28: error: @bitcast needs types of one size: u16 has 16 bits, u5 has 5 bits",
    ),
    "an alignment that is no power of two": (
        "var x: u16 align(24);\nfn main() void { x = 1; }",
        "pe.csl:1:18: error: an alignment is a number of bytes and a power of two, not 24",
    ),
    "an alignment of a local": (
        "fn main() void { var x: [2]u16 align(3); x[0] = 1; }",
        "pe.csl:1:38: error: an alignment is a number of bytes and a power of two, not 3",
    ),
    "an exported struct": (
        "const S = struct { a: u16 };\nexport var s: S;\nfn main() void { s.a = 1; }",
        "pe.csl:2:15: error: a variable of type S cannot be export: a struct has no defined layout",
    ),
    "an exported integer of 5 bits": (
        "export var x: u5 = 1;\nfn main() void { x = 2; }",
        "pe.csl:1:15: error: a variable of type u5 cannot be export: an exported integer has 16 or 32 bits",
    ),
    "an exported packed struct of 24 bits": (
        "const S = packed struct { a: u16, b: u8 };\nexport var s: S;\nfn main() void { s.a = 1; }",
        "pe.csl:2:15: error: a variable of type S cannot be export: an exported integer has 16 or 32 bits",
    ),
    "an exported direction": (
        "export var x: direction = NORTH;\nfn main() void { x = SOUTH; }",
        "pe.csl:1:15: error: a variable of type direction cannot be export",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_error(case, tmp_path):
    pe, message = ERRORS[case]
    assert message in errors(tmp_path, pe)


@pytest.mark.parametrize("kind", ["u8", "i8", "u64", "i64"])
def test_integers_of_8_and_64_bits_are_exported_in_release_1_4_only(kind, tmp_path):
    pe = f"export var x: {kind} = 1;\nfn main() void {{ x += 1; }}"
    for release in (None, "1.4"):
        loaded = running.run(tmp_path, pe + END, options={"sdk_version": release})
        assert running.read(loaded, "x")[0] == 2
    assert f"pe.csl:1:15: error: a variable of type {kind} cannot be export" in errors(tmp_path, pe, sdk_version="2.10")


def test_structs_are_exported(tmp_path):
    pe = """
    const S = extern struct { a: u16, b: f32 };
    const P = packed struct { low: u8, high: u8 };
    export var one = S{ .a = 7, .b = 1.5 };
    export var bits = P{ .low = 1, .high = 2 };
    var many = [2]S{ S{ .a = 1, .b = 2.0 }, S{ .a = 3, .b = 4.0 } };
    const many_ptr = &many;
    fn main() void { many[1].a += 1; bits.high += 1; one.b += 1.0; }
    comptime { @export_symbol(main); @export_symbol(many_ptr, "many"); }
    """
    loaded = running.run(tmp_path, pe)
    layout = np.dtype([("a", "<u2"), ("", "<u2"), ("b", "<f4")])
    one = np.frombuffer(loaded.symbol(0, 0, "one")[1], layout)
    assert one["a"].tolist() == [7] and one["b"].tolist() == [2.5]
    assert running.read(loaded, "bits").tolist() == [0x301]
    many = np.frombuffer(loaded.symbol(0, 0, "many")[1], layout)
    assert many["a"].tolist() == [1, 4] and many["b"].tolist() == [2.0, 4.0]


def test_types_of_one_program_are_not_those_of_another(tmp_path):
    """A struct type belongs to its place in the source, not to where a process keeps the source in memory."""
    for n in range(40):
        gc.collect()  # the syntax tree of the program before
        text = f"const S = struct {{ x: i16, y: i16 = {n} }};\nfn main() void {{}}\n"
        running.compiled(tmp_path, text + f"comptime {{ @comptime_assert((S{{ .x = 1 }}).y == {n}); }}" + END)
