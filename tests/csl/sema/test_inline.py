"""Inline functions: what is known about a call of one, its returns, its variables, errors in it.

Covers: wse/csl/sema/inline.py
"""

from __future__ import annotations

import pytest
from csl.running import compiled, read, run

from wse.csl.syntax.errors import CslError

HEAD = """export var out = @zeros([4]i32);
var n: i32 = 3;
const P = struct { a: i32, b: i32 };
comptime { @export_symbol(main); }
"""
PROGRAMS = {
    "known arguments give a known value": (
        """inline fn sum(a: i32, b: i32) i32 { return a + b; }
fn main() void { if (sum(1200, 34) != 1234) { @comptime_assert(false); } out[0] = sum(n, 1); }""",
        [4],
    ),
    "a branch that is decided": (
        """inline fn pick(wide: bool, a: i32) i32 { if (wide) { return a * 100; } return a; }
fn main() void { const k = pick(true, 5); @comptime_assert(k == 500); out[0] = pick(false, n); out[1] = pick(n == 3, n); }""",
        [3, 300],
    ),
    "several returns": (
        """inline fn sign(x: i32) i32 { if (x > 0) return 1; if (x < 0) { return -1; } return 0; }
fn main() void { out[0] = sign(n); out[1] = sign(-n); out[2] = sign(n - 3); }""",
        [1, -1, 0],
    ),
    "returns in loops leave the call only": (
        """inline fn first(limit: i32) i32 { for (@range(i32, 10)) |i| { if (i * i > limit) return i; } return -1; }
fn main() void { for (@range(i32, 3)) |i| { out[@as(u16, i)] = first(n + i * 20); } out[3] = first(1000); }""",
        [2, 5, 7, -1],
    ),
    "nothing is returned": (
        """inline fn set(at: u16, v: i32) void { if (v > 100) return; out[at] = v; }
fn main() void { set(0, n); set(1, n * 100); set(2, 7); }""",
        [3, 0, 7],
    ),
    "variables are those of the call": (
        """inline fn twice(x: i32) i32 { var t = x; t += x; const p = &t; p.* += 1; return t; }
fn main() void { out[0] = twice(n); out[1] = twice(twice(n)); }""",
        [7, 15],
    ),
    "arguments are values": (
        """var g: i32 = 1;
inline fn later(x: i32, p: P) i32 { g = 50; q.a = 9; return x * 1000 + p.a; }
var q = P{ .a = 2, .b = 3 };
fn main() void { out[0] = later(g, q); out[1] = q.a; }""",
        [1002, 9],
    ),
    "structs, arrays and types": (
        """inline fn made(a: i32) P { return P{ .a = a, .b = a + 1 }; }
inline fn one(comptime T: type) T { return 1; }
inline fn row(a: i32) [2]i32 { return [2]i32{ a, n }; }
inline fn count(xs: anytype) comptime_int { return @element_count(@type_of(xs)); }
fn main() void {
  const p = made(n);
  out[0] = p.a + p.b;
  out[1] = row(8)[0] + row(9)[1] + @as(i32, one(i16));
  const k = count(out);
  var xs = @zeros([k]i16);
  out[2] = @as(i32, xs.len) + made(4).b;
}""",
        [7, 12, 9],
    ),
    "functions as arguments, calls in calls": (
        """fn add(x: i32) i32 { return x + 10; }
inline fn apply(comptime f: fn(i32)i32, x: i32) i32 { return f(x) * 2; }
inline fn both(x: i32) i32 { return apply(add, x) + apply(add, x + 1); }
fn main() void { out[0] = both(n); }""",
        [26 + 28],
    ),
    "when compiling": (
        """inline fn square(x: i32) i32 { var t: i32 = 0; for (@range(i32, x)) |_| { t += x; } return t; }
const nine = square(3);
fn main() void { out[0] = nine + comptime square(5); }""",
        [34],
    ),
    "a call that does not come back": (
        """inline fn never(x: i32) i32 { while (true) { out[0] += x; if (out[0] > 5) { return out[0]; } } }
fn main() void { out[1] = never(n); }""",
        [6, 6],
    ),
}


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(name, arch, tmp_path):
    body, want = PROGRAMS[name]
    assert read(run(tmp_path, HEAD + body, arch=arch), "out")[: len(want)].tolist() == want


@pytest.mark.parametrize(
    "body, line, message",
    [
        ("inline fn f(x: i32) i32 { return f(x - 1); }\nfn main() void { out[0] = f(n); }", 5, "does f call itself"),
        ("inline fn f(x: i32) i32 { if (x > 0) return 1; }\nfn main() void { out[0] = f(n); }", 5, "f may end without returning a value of type i32"),
        ("inline fn f(x: i32) i32 { break; }\nfn main() void { while (n > 0) { out[0] = f(n); } }", 5, "there is no loop around this"),
        ("inline fn f(x: i32) i32 { return nothing; }\nfn main() void { out[0] = f(n); }", 5, "nothing is not declared"),
        ("inline fn f(x: i32) i32 { x = 1; return x; }\nfn main() void { out[0] = f(n); }", 5, "x is a constant and cannot be changed"),
        ("inline fn f(x: i32) i32 { const p = &x; p.* = 1; return x; }\nfn main() void { out[0] = f(n); }", 5, "a constant cannot be changed"),
        ("inline fn f(x: i32) comptime_int { return if (x > 0) 1 else 2; }\nfn main() void { out[0] = f(n); }", 5, "a run-time condition chooses"),
    ],
)  # fmt: skip
def test_errors(body, line, message, tmp_path):
    with pytest.raises(CslError) as caught:
        compiled(tmp_path, HEAD + body)
    first = caught.value.diagnostics[0]
    assert message in first.message and first.span.line == line, str(caught.value)
