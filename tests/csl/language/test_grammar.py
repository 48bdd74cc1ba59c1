"""Grammar, statements and control flow: small programs, each with what it computes.

Covers: wse/csl/syntax/parser.py, wse/csl/sema/stmts.py, wse/csl/sema/loops.py, wse/csl/sema/switches.py
"""

import pytest
from csl.running import compiled, read, run, write

from wse.csl.compile import compile_program
from wse.csl.syntax.errors import CslError

HEAD = """var out = @zeros([8]i32);
var out_ptr: [*]i32 = &out;
comptime { @export_symbol(out_ptr, "out"); @export_symbol(main); }
"""

PROGRAMS = {
    "`. {` with a space": (
        """const s = . { .a = 3, .b = 4 };
fn main() void { out[0] = s.a + s.b; }""",
        [7],
    ),
    "`. *` with spaces": (
        """var x: i32 = 5;
fn main() void { const p = &x; out[0] = p . *; }""",
        [5],
    ),
    "one label of blocks side by side, and of a variable": (
        """fn main() void { const a: i32 = 2; a: { out[0] = a; break :a; } a: for (@range(i32, 9)) |x| { if (x == 5) break :a; out[1] = x; } }""",
        [2, 4],
    ),
    "a block that is left with the value of void": (
        """fn main() void { a: { if (out[1] == 0) break :a {}; out[0] = 1; } out[2] = 3; }""",
        [0, 0, 3],
    ),
    "a block that is left with a value nobody uses": (
        """fn f() void { a: { if (out[1] == 0) { break :a false; } return; } out[0] += 5; }
fn main() void { f(); out[1] = 1; f(); }""",
        [5, 1],
    ),
    "comptime variables of a block that is left": (
        """fn main() void { comptime var c: i32 = 1; a: { if (out[0] > 1) { break :a; } comptime var k = [2]i32{ 1, 2 }; k[0] = 3; comptime { k[1] = 4; } out[1] = k[0] + k[1]; } c += 1; out[0] = c; }""",
        [2, 7],
    ),
    "the rest of a round after continue": (
        """fn main() void { comptime var i: i32 = 0; inline while (i < 4) : (i += 1) { comptime var k = i; if (out[0] > i) { continue; } k += 10; out[0] += k; } }""",
        [10],
    ),
    "var of compile time in a comptime block": (
        """fn main() void { comptime { var x = 3; x += 1; @comptime_assert(x == 4); } comptime var y = 5; y += 1; out[0] = y; }""",
        [6],
    ),
    "discard": (
        """fn f() i32 { out[1] += 1; return 3; }
fn main() void { _ = f(); out[0] = 1; }""",
        [1, 1],
    ),
    "const _": (
        """fn f() i32 { out[1] += 1; return 3; }
fn main() void { const _ = f(); out[0] = 1; }""",
        [1, 1],
    ),
    "a comparison as a statement": (
        """fn main() void { out[0] == 1; out[0] = 2; }""",
        [2],
    ),
    "expressions as statements": (
        """fn f() i32 { out[1] += 1; return 3; }
fn main() void { f() + 1; f(); out[0]; 3; }""",
        [0, 2],
    ),
    "labels": (
        """fn main() void { outer: while (true) { var i: i32 = 0; inner: while (i < 10) : (i += 1) { if (i == 5) break :outer; if (i % 2 == 0) continue :inner; out[0] += i; } } }""",
        [4],
    ),
    "label for": (
        """fn main() void { a: for (@range(i16, 5)) |i| { for (@range(i16,5)) |j| { if (j > i) continue :a; out[0] += 1; if (i == 3) break :a; } } }""",
        [7],
    ),
    "inline while": (
        """fn main() void { comptime var i: u16 = 0; inline while (i < 4) : (i += 1) { out[i] = @as(i32, i) * 2; } }""",
        [0, 2, 4, 6],
    ),
    "inline for": (
        """fn main() void { inline for ([3]i32{ 5, 6, 7 }) |x, i| { out[i] = x; } }""",
        [5, 6, 7],
    ),
    "inline for range": (
        """fn main() void { inline for (@range(u16, 3)) |i| { out[i] = 1 + @as(i32, i); } }""",
        [1, 2, 3],
    ),
    "a range keeps its bounds": (
        """var g = @range(i32, 7, 9, 1);
fn main() void { var n: i32 = 4; const q = @range(i32, n); var r = @range(i32, 1, n, 2); n = 9;
for (q) |_| { n = 0; out[0] += 1; } for (r) |x| out[1] += x; for (g) |x| out[2] += x; out[3] = @range_stop(q) + @range_step(r); }""",
        [4, 4, 15, 6],
    ),
    "switch range list": (
        """fn f(x: i32) i32 { return switch (x) { 0 => 1, 1, 2, 3 => 2, 4...9 => 3, else => 4 }; }
fn main() void { for (@range(i32, 11)) |i| { out[0] = out[0] * 5 + f(i) ; } out[0] = f(9) * 100 + f(10) *10 + f(2); }""",
        [342],
    ),
    "switch neg range": (
        """fn f(x: i16) i32 { return switch (x) { -5...-1 => 1, 0 => 2, 1...5 => 3, else => 4 }; }
fn main() void { out[0] = f(-3); out[1]=f(0); out[2]=f(5); out[3]=f(6); }""",
        [1, 2, 3, 4],
    ),
    "if as the arm of a switch that has a value": (
        """fn f(x: i16) i32 {
  return switch (x) {
    0 => if (out[3] == 0) 1 else 2,
    1 => if (x == 0) 3 else if (out[3] == 0) value: { break :value 4; } else 5,
    2 => switch (out[3]) { 0 => if (x == 2) 6 else 7, else => 8 },
    else => if (x > 3) return 9 else 10
  };
}
fn main() void { for (@range(i16, 5)) |x| { out[0] = out[0] * 10 + f(x); out[1] += f(x); } }""",
        [14709, 30],
    ),
    "if and loops as arms of a switch": (
        """fn add(at: u16, n: i32) void { out[at] += n; }
fn main() void {
  for (@range(u16, 6)) |x| {
    switch (x) {
      0 => if (out[0] == 0) add(0, 3) else add(0, 4),
      1 => if (x == 0) add(1, 1),
      2 => while (out[1] < 5) add(1, 2),
      3 => for (@range(u16, 3)) |i| add(2, i),
      4 => if (out[3] == 0) { add(3, 7); } else add(3, 8),
      else => if (out[0] == 3) return
    }
  }
  out[0] = 100;
}""",
        [3, 6, 3, 7],
    ),
    "blocks that leave the function as branches of an expression": (
        """fn f(x: i32) i32 {
  const half = if (x % 2 == 0) x / 2 else {
    out[1] += 1;
    return -1;
  };
  const o: ?i32 = if (half > 3) null else half;
  return o orelse { out[2] += 1; return -2; };
}
fn main() void { for (@range(i32, 5)) |i| { out[0] = out[0] * 10 + f(2 * i + i % 2) + 2; } }""",
        [21410, 2, 1],
    ),
    "semicolons behind braces": (
        """fn f() type { return enum(i16) { a, b }; };
fn main() void {
  comptime var n: u16 = 0;
  comptime { for ([3]u16{ 1, 2, 3 }) |value, at| { n += value + at; } };
  if (out[0] == 0) { out[0] = n; };
  while (out[1] < 2) { out[1] += 1; };
  { out[2] = 5; };
};
comptime { @comptime_assert(f().a != f().b); };""",
        [9, 2, 5],
    ),
    "a block as the step of a loop": (
        """fn main() void {
  var i: i32 = 0;
  var j: i32 = 10;
  while (i < j) : ({ i += 1; j -= 2; }) { if (i == 1) continue; out[0] += 1; }
  out[1] = i * 100 + j;
}""",
        [3, 402],
    ),
    "opaque is a name": (
        """fn opaque() i32 { return 4; }
fn main() void { out[0] = opaque(); }""",
        [4],
    ),
    "switch enum": (
        """const E = enum(u8) { A, B, C };
var e = E.B;
fn main() void { switch (e) { .A => out[0] = 1, .B => { out[0] = 2; }, E.C => out[0] = 3, } }""",
        [2],
    ),
    "switch u64": (
        """var v: u64 = 0x100000000;
fn main() void { switch (v) { 0 => out[0] = 1, 0x100000000 => out[0] = 2, else => {} } }""",
        [2],
    ),
    "switch arm return": (
        """fn f(x: i32) i32 { switch (x) { 1 => return 5, 2 => { return 6; }, else => unreachable } }
fn main() void { out[0] = f(1); out[1] = f(2); }""",
        [5, 6],
    ),
    "switch arm break": (
        """fn main() void { var i: i32 = 0; while (true) : (i += 1) { switch (i) { 3 => break, 1 => continue, else => out[0] += 1 } } }""",
        [2],
    ),
    "switch void expr arms": (
        """fn g() void { out[0] = 7; }
fn main() void { switch (out[1]) { 0 => g(), else => {} } }""",
        [7],
    ),
    "block expr": (
        """fn main() void { const x = blk: { var t: i32 = 3; t += 1; break :blk t * 2; }; out[0] = x; }""",
        [8],
    ),
    "block expr cond": (
        """fn f(a: i32) i32 { return blk: { if (a > 0) break :blk 1; break :blk -1; }; }
fn main() void { out[0] = f(3); out[1] = f(-3); }""",
        [1, -1],
    ),
    "block label stmt": (
        """fn main() void { b: { if (out[0] == 0) break :b; out[1] = 1; } out[2] = 1; }""",
        [0, 0, 1],
    ),
    "comptime expr": (
        """fn f(n: i32) i32 { return n * n; }
fn main() void { out[0] = comptime f(7); const k = comptime blk: { break :blk f(3); }; out[1] = k; }""",
        [49, 9],
    ),
    "comptime block in fn": (
        """fn main() void { comptime { @comptime_assert(1 + 1 == 2); } out[0] = 1; }""",
        [1],
    ),
    "comptime var": (
        """fn main() void { comptime var m: u16 = 0xffff; m &= 0x0400; out[0] = @as(i32, m); }""",
        [1024],
    ),
    "char literals": (
        r"""fn main() void { out[0] = 'a'; out[1] = '\n'; out[2] = '\x41'; out[3] = '\''; out[4] = '\\'; }""",
        [97, 10, 65, 39, 92],
    ),
    "hex floats": (
        """const h: f32 = 0x1.8p3; const g: f32 = 0x1p-1;
fn main() void { out[0] = @as(i32, h); out[1] = @as(i32, g * 4.0); }""",
        [12, 2],
    ),
    "ints": (
        """fn main() void { out[0] = 0b1010; out[1] = 0o17; out[2] = 0xF_F; out[3] = 1_000; }""",
        [10, 15, 255, 1000],
    ),
    "escapes": (
        r"""const s = "a\tb\"\x41\\";
fn main() void { out[0] = @strlen(s); }""",
        [6],
    ),
    "unreachable": (
        """fn f(x: i32) i32 { if (x == 0) return 4; unreachable; }
fn main() void { out[0] = f(0); }""",
        [4],
    ),
    "if expr no else": (
        """fn main() void { if (out[0] == 0) out[1] = 3 else if (out[0] == 1) out[2] = 3; }""",
        [0, 3],
    ),
    "nested if else": (
        """fn main() void { const a = if (out[0] == 0) (if (out[1] == 1) @as(i32, 1) else 2) else 3; out[0] = a; }""",
        [2],
    ),
    "big array": (
        """var a = @zeros([20000]u8);
fn main() void { var i: u16 = 0; for (a) |x| { i += 1; } out[0] = @as(i32, i); }""",
        [20000],
    ),
    "array 40000": (
        """var a = @zeros([40000]u8);
fn main() void { var n: u16 = 0; for (a) |x, i| { n = i; } out[0] = @as(i32, n); for (@range(u16, 40000)) |i| { a[i] = 1; } out[1] = @as(i32, a[39999]) + @as(i32, a[32768]); }""",
        [39999, 2],
    ),
    "loop 65536": (
        """fn main() void { for (@range(u32, 65536)) |i| { out[0] += 1; } }""",
        [65536],
    ),
    "for by pointer": (
        """var a = [3]i32{1,2,3};
fn main() void { for (a) |*x| { x.* *= 2; } out[0] = a[2]; }""",
        [6],
    ),
    "for array ptr": (
        """var a = [3]i32{1,2,3};
fn main() void { for (&a) |x| { out[0] += x; } }""",
        [6],
    ),
    "for in tuple": (
        """fn main() void { inline for (.{1, 2, 3}) |x| { out[0] += x; } }""",
        [6],
    ),
    "mutual struct": (
        """const A = struct { x: i32, y: i32 = 4 };
fn main() void { const a = A{ .x = 2 }; out[0] = a.x + a.y; }""",
        [6],
    ),
    "trailing commas": (
        """fn f(a: i32, b: i32,) i32 { return a + b; }
fn main() void { out[0] = f(1, 2,); const t = [2]i32{1, 2,}; out[1] = t[1]; }""",
        [3, 2],
    ),
    "nested comment": (
        """/// doc
//! x
fn main() void { // c
 out[0] = 1; }""",
        [1],
    ),
    "compound ops": (
        """fn main() void { var x: i32 = 100; x += 1; x -= 2; x *= 3; x /= 2; x %= 50; x <<= 2; x >>= 1; x &= 0xff; x |= 1; x ^= 3; out[0] = x; }""",
        [98],
    ),
    "pointer arith cmp": (
        """var a = [3]i32{1,2,3};
fn main() void { const p = &a[0]; const q = &a[1]; if (p != q) out[0] = 1; }""",
        [1],
    ),
    "type fn": (
        """fn T(comptime w: u16) type { return if (w == 16) i16 else i32; }
fn main() void { var x: T(16) = 5; out[0] = @as(i32, x); }""",
        [5],
    ),
    "return in loop etc": (
        """fn f() i32 { for (@range(i32, 10)) |i| { if (i == 4) return i; } return 0; }
fn main() void { out[0] = f(); }""",
        [4],
    ),
    "if bool chain": (
        """fn main() void { const a = out[0] == 0; const b = out[1] == 1; out[2] = if (a and !b or b) 1 else 0; }""",
        [0, 0, 1],
    ),
    "empty stmts": (
        """fn main() void { {} ; out[0] = 1; }""",
        [1],
    ),
    "nested fn types": (
        """fn a(x: i32) i32 { return x; }
fn ap(comptime f: fn(i32) i32, x: i32) i32 { return f(x); }
fn main() void { out[0] = ap(a, 4); }""",
        [4],
    ),
    "inline fn": (
        """inline fn a(x: i32) i32 { return x + 1; }
fn main() void { out[0] = a(out[0]); }""",
        [1],
    ),
    "switch expr in block": (
        """fn main() void { const x: i32 = switch (out[0]) { 0 => blk: { break :blk 4; }, else => 5 }; out[1] = x; }""",
        [0, 4],
    ),
    "noop else if": (
        """fn main() void { if (out[0] == 1) {} else if (out[0] == 0) { out[1] = 2; } else {} }""",
        [0, 2],
    ),
    "const in block shadow": (
        """const k = 3;
fn main() void { { const j = 1; out[0] = j; } { const j = 2; out[1] = j; } }""",
        [1, 2],
    ),
    "while false": (
        """fn main() void { while (false) { out[0] = 1; } out[1] = 1; }""",
        [0, 1],
    ),
    "while true break val": (
        """fn main() void { var i: u16 = 0; while (true) { i += 1; if (i > 10) { break; } } out[0] = @as(i32, i); }""",
        [11],
    ),
    "char string concat": (
        """const s = @strcat("ab", "cd");
fn main() void { out[0] = @strlen(s); }""",
        [4],
    ),
    "and or void": (
        """fn main() void { out[0] = if (true or unreachable_fn()) 1 else 0; }
fn unreachable_fn() bool { return nothing(); }""",
        [1],
    ),
    "multi index": (
        """var a = [2, 2]i32{1,2,3,4};
fn main() void { out[0] = a[1, 0]; }""",
        [3],
    ),
    "param default": (
        """param n: i16 = 4;
fn main() void { out[0] = @as(i32, n); }""",
        [4],
    ),
    "var undefined": (
        """var v: i32 = undefined;
fn main() void { v = 3; out[0] = v; }""",
        [3],
    ),
    "anon struct param": (
        """fn f(s: anytype) i32 { return s.a; }
fn main() void { out[0] = f(.{ .a = 4 }); }""",
        [4],
    ),
    "return void expr": (
        """fn g() void {}
fn f() void { return g(); }
fn main() void { f(); out[0] = 1; }""",
        [1],
    ),
    "return {}": (
        """fn f() void { return {}; }
fn main() void { f(); out[0] = 1; }""",
        [1],
    ),
    "const ptr deref assign": (
        """var x: i32 = 1;
fn main() void { const p: *i32 = &x; p.* = 4; p.* += 1; out[0] = x; }""",
        [5],
    ),
    "shift amounts": (
        """fn main() void { var n: u16 = 3; out[0] = @as(i32, 1) << n; }""",
        [8],
    ),
    "negative mod": (
        """fn main() void { var n: i32 = -7; out[0] = n % 3; out[1] = n / 2; }""",
        [-1, -3],
    ),
    "nested block expr break outer": (
        """fn main() void { const x = a: { b: { if (out[0] == 0) break :a @as(i32, 4); break :b; } break :a 5; }; out[1] = x; }""",
        [0, 4],
    ),
    "for loop break value": (
        """fn main() void { for (@range(u16, 3)) |_, i| { out[i] = 1; } for ([2]u8{1,2}) |_| out[3] += 1; }""",
        [1, 1, 1, 2],
    ),
    "decimal floats": (
        "fn main() void { const a: f32 = 1.; const b: f32 = 1e3; const c: f32 = 1_2.5e-1; out[0] = @as(i32, a + b + c * 100.0); }",
        [1126],
    ),
    "a loop down from 65,535": (
        "fn main() void { for (@range(u32, 65536)) |i| { out[0] += 1; } for (@range(i32, 65535, -1, -1)) |i| { out[1] += 1; } }",
        [65536, 65536],
    ),
    "comptime before if, while, for and switch": (
        """fn main() void {
  comptime var n: u16 = 0;
  comptime if (n == 0) { n = 5; }
  comptime while (n < 9) { n += 1; }
  comptime for (@range(u16, 3)) |i| { n += i; }
  comptime switch (n) { 12 => { n = 100; }, else => {} }
  out[0] = @as(i32, n);
}""",
        [100],
    ),
    "return, break and continue as arms of an expression": (
        """fn f(n: i32) i32 {
  const x = if (n > 3) n else return -1;
  const y: i32 = switch (x) { 4 => 40, 5 => return 50, else => blk: { break :blk 60; } };
  return x + y;
}
fn main() void {
  for (@range(i32, 3, 7, 1)) |i| {
    const n: i32 = if (i == 5) continue else f(i);
    out[@as(u16, i - 3)] = n;
  }
  out[4] = f(5);
}""",
        [-1, 44, 0, 66, 50],
    ),
    "the left operand is read before a block on the right changes it": (
        "fn main() void { var x: i32 = 5; out[0] = x + b: { x = 100; break :b x; }; }",
        [105],
    ),
    "a return before else": (
        "fn f(n: i32) i32 { if (n == 0) return 1 else return 2; }\nfn main() void { out[0] = f(0); out[1] = f(1); }",
        [1, 2],
    ),
}


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(name, arch, tmp_path):
    body, want = PROGRAMS[name]
    assert read(run(tmp_path, HEAD + body, arch=arch), "out")[: len(want)].tolist() == want


def test_a_statement_without_effect_is_a_warning(tmp_path):

    warnings = []
    compile_program(write(tmp_path, HEAD + "fn main() void {\n  out[0] == 1;\n}"), warnings=warnings)
    assert [(w.message, w.span.line) for w in warnings] == [("this statement has no effect: the value is not used", 5)]


ERRORS = [
    ("fn main() void {\n  while (true) {} else {}\n}", 5, "a while loop has no else"),
    ("fn main() void {\n  for ([2]u8{ 1, 2 }) |x| {} else {}\n}", 5, "a for loop has no else"),
    ("fn main() void {\n  main;\n}", 5, "main is not called: parentheses are missing"),
    ("fn main() void {\n  break;\n}", 5, "there is no loop around this"),
    ("fn main() void {\n  const v: i32 = if (out[0] == 0) { break 3; } else 4;\n}", 5, "a value leaves a block with a label"),
    ("fn main() void {\n  const a = [_]i16{ 1, 2 };\n}", 5, "the number of elements was expected, as in [3]i16{ 1, 2, 3 }"),
    ("fn main() void {\n  const a: [2]i16 = { 1, 2 };\n}", 5, "an array is [3]i16{ 1, 2, 3 }"),
    ("fn main() void {\n  switch (out[0]) { 0 => if (out[1] == 0) out[2] = 1 out[2] = 2, else => {} }\n}", 5, "';' was expected after the statement"),
    ("fn main() void {\n  a: while (true) { continue :b; }\n}", 5, "there is no loop or block b around this"),
    ("fn main() void {\n  const x = a: { if (out[0] == 0) break :a 1; };\n}", 5, "the block a may end without a value"),
    ("fn main() void {\n  switch (out[0]) { else => {}, else => {} }\n}", 5, "a switch has one else"),
    ("fn main() void {\n  const x: i32 = switch (out[0]) { 1 => 2, else => {} };\n}", 5, "both sides of if must have one type"),
    ("fn main() void {\n  if (1) {}\n}", 5, "a condition must be a bool"),
    ("fn main() void {\n  a: while (out[0] < 3) {\n  a: while (out[1] < 3) {} }\n}", 6, "label a is that of a loop or block around this already"),
    ("fn main() void {\n  a: for (@range(i16, 3)) |x| {\n  a: { out[0] = 1; } }\n}", 6, "label a is that of a loop or block around this already"),
    ("fn main() void {\n  out[0] = a: {\n  out[1] = a: { break :a 3; }; break :a 2; };\n}", 6, "label a is that of a loop or block around this already"),
    ("fn main() void {\n  a: {\n    if (out[0] == 0) { break :a false; }\n  }\n}", 6, "the block a may end without a value, so it has none"),
    ("fn main() void {\n  var x = 3;\n  out[0] = x;\n}", 5, "x of type comptime_int does not exist at run time"),
    ("fn main() void {\n  var x: comptime_float = 3.0;\n  out[0] = @as(i32, x);\n}", 5, "x of type comptime_float does not exist at run time"),
    ("fn main() void {\n  var x = \"text\";\n  x = \"more\";\n}", 5, "x of type comptime_string does not exist at run time"),
    ("fn f() void {}\nfn main() void {\n  var x = f;\n  x();\n}", 6, "does not exist at run time"),
    ("var x = f;\nfn f() void {}\nfn main() void { x(); }", 4, "x of type function does not exist at run time"),
    ("var m = @import_module(\"<math>\");\nfn main() void { out[0] = m.abs(out[1]); }", 4, "m of type imported_module does not exist at run time"),
    ("fn main() void {\n  while (out[0]) {}\n}", 5, "a condition must be a bool"),
    ("fn main() void {\n  const x = 1;\n  x = 2;\n}", 6, "x is a constant and cannot be changed"),
    ("fn main() void {\n  var x;\n}", 5, "var x needs a type or a value"),
    ("fn main() void {\n  const x: i16;\n}", 5, "constant x has no value"),
    ("fn main() void {\n  const x = 1; const x = 2;\n}", 5, "x is declared twice in one block"),
    ("fn main() i32 {\n  out[0] = 1;\n}", 4, "main may end without returning a value of type i32"),
    ("fn main() i32 {\n  return;\n}", 5, "a value of type i32 has to be returned"),
    ("fn main() void {\n  for ([2]u8{ 1, 2 }, [2]u8{ 1, 2 }) |a, b| {}\n}", 5, "a for loop goes through one array or range"),
    ("fn main() void {\n  comptime var i: u16 = 0;\n  while (out[0] < 3) { i += 1; }\n}", 6, "a compile-time variable cannot be changed"),
    ("fn main() void {\n  const x = '';\n}", 5, "this is no character literal"),
    ("fn main() void {\n  const x = \"a\\q\";\n}", 5, "is no escape"),
]  # fmt: skip


# Stores to a comptime variable that a run-time condition may skip.
SKIPPED = [
    "comptime var c: i32 = 1; a: { if (out[0] > 1) { break :a; } c = 2; }",
    "comptime var c: i32 = 1; out[1] = a: { if (out[0] > 1) { break :a 7; } c = 2; break :a 8; };",
    "comptime var c: i32 = 1; a: { switch (out[0]) { 1 => break :a, else => {} } c = 2; }",
    "comptime var c: i32 = 1; inline for ([3]i32{ 1, 2, 3 }) |x| { if (out[0] > x) { break; } c += 1; }",
    "comptime var c: i32 = 1; inline for ([3]i32{ 1, 2, 3 }) |x| { c += 1; if (out[0] > x) { break; } }",
    "comptime var c: i32 = 1; inline for ([3]i32{ 1, 2, 3 }) |x| { if (out[0] > x) { continue; } c += 1; }",
    "comptime var c = [2]i32{ 1, 2 }; if (out[0] > 1) { c[0] = 5; }",
    "comptime var c = [2]i32{ 1, 2 }; while (out[0] > 1) { c[0] += 1; }",
    "comptime var c = .{ .a = 1 }; if (out[0] > 1) { c.a = 5; }",
    "comptime var c = .{ .a = [2]i32{ 1, 2 } }; if (out[0] > 1) { c.a[1] = 5; }",
    "comptime var c: i32 = 1; if (out[0] > 1) { comptime { c = 5; } }",
    "comptime var c = [2]i32{ 1, 2 }; if (out[0] > 1) { comptime { c[0] = 5; } }",
]


@pytest.mark.parametrize("body", SKIPPED)
def test_stores_at_compile_time_that_the_run_may_skip(body, tmp_path):
    with pytest.raises(
        CslError, match="a compile-time variable cannot be changed under a run-time condition"
    ) as caught:
        compiled(tmp_path, HEAD + "fn main() void {\n  " + body + "\n}")
    assert caught.value.diagnostics[0].span.line == 5


@pytest.mark.parametrize("body, line, message", ERRORS, ids=[message for *_, message in ERRORS])
def test_errors(body, line, message, tmp_path):
    with pytest.raises(CslError) as caught:
        compiled(tmp_path, HEAD + body)
    assert message in str(caught.value) and f"pe.csl:{line}:" in str(caught.value), str(caught.value)


LITERALS = """
const Three = [3]i16;
const Config = struct { a: i16 = 4, b: i16 = 5 };
fn Vec(comptime T: type, comptime n: u16) type { return [n]T; }
const known = Vec(i16, 2){ 1, 2 };
export var out = @zeros([6]i16);
fn first(v: Vec(i16, 3)) i16 { return v[0]; }
fn main(n: i16) void {
  const aliased = Three{ n, n + 1, 3 };
  const called = Vec(i16, 3){ 7, n, 9 };
  const defaults = Config{};
  out[0] = aliased[1]; out[1] = called[1]; out[2] = known[1]; out[3] = defaults.a + defaults.b;
  out[4] = Three{ 5, 6, 7 }[2]; out[5] = Config{ .a = n }.a;
}
comptime { @export_symbol(main); }
"""


def test_literals_of_named_and_computed_types(tmp_path):
    assert read(run(tmp_path, LITERALS, 20), "out").tolist() == [21, 20, 2, 9, 7, 20]


@pytest.mark.parametrize(
    "text, message",
    [
        ("const c = Config{ 1, 2 };", "is no array: a literal of it has no values without names"),
        ("const c = i16{ 1 };", "i16 is no array"),
        ("const c = Three{ 1, 2 };", "3 elements, not 2"),
    ],
)
def test_literals_that_do_not_fit_their_type(text, message, tmp_path):
    source = LITERALS.replace("const aliased", f"{text} const aliased")
    with pytest.raises(CslError, match=message):
        compiled(tmp_path, source)
