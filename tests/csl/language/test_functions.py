"""Functions: calls of each other, with and without a stack, arguments and results of every kind.

Covers: wse/csl/ir/recursion.py, wse/csl/sema/calls.py
"""

import pytest
from csl.running import device, launch, read, run

from wse import FabricFault
from wse.csl.ir.ir import Unsupported
from wse.csl.syntax.errors import CslError
from wse.errors import MemoryOverflow

ARCHS = ["wse2", "wse3"]


def wrapped(body: str, result: str = "i32", count: int = 8) -> str:
    """A program whose function main writes to `out`."""
    return f"""var out = @zeros([{count}]{result});
var out_ptr: [*]{result} = &out;
{body}
comptime {{ @export_symbol(out_ptr, "out"); @export_symbol(main); }}
"""


def python_parity(n: int, total: int) -> int:
    """f of the program below; g is its second half."""
    if n == 0:
        return total
    if n % 2 == 0:
        return python_parity(n - 1, total + 1)
    n -= 1
    return total if n == 0 else python_parity(n - 1, total + (100 if n <= 10 else 10))


def python_aggregates(n: int, p: tuple, v: tuple) -> int:
    if n == 0:
        return p[0] * 1000 + p[1] * 100 + sum(v)
    return python_aggregates(n - 1, (p[1], p[0] + 1), (v[1], v[2], v[0] + n)) + p[0] + v[0]


def python_steps(by: int, n: int) -> int:
    return 0 if n <= 0 else python_steps(by, n - by) + 1 + python_steps(by, n - 2 * by)


def python_cycle(which: str, n: int, m: int = 0, log: int = 0) -> int:
    log = log * 3 + {"a": 1, "b": m, "c": 0}[which]
    if n == 0:
        return log
    following = {"a": "b", "b": "c", "c": "a"}[which]
    return python_cycle(following, n - 1, n if which == "a" else 0, log) + (which == "b")


PROGRAMS = {
    "two functions that end in calls of each other": (
        """var n: i32 = 0;
fn even(k: i32) void { n += 1; if (k == 0) { out[0] = 1; return; } odd(k - 1); }
fn odd(k: i32) void { n += 1; if (k == 0) { out[0] = -1; return; } even(k - 1); }
fn main() void { even(30001); out[1] = n; }""",
        [-1, 30002],
    ),
    "a tail call with a result": (
        """fn gcd(a: i32, b: i32) i32 { if (b == 0) return a; return gcd(b, a % b); }
fn main() void { out[0] = gcd(1071, 462); out[1] = gcd(17, 4); }""",
        [21, 1],
    ),
    "tail calls in the arms of if and switch expressions": (
        """fn f(n: u16, sum: i32) i32 { return if (n == 0) sum else if (n % 2 == 0) f(n - 1, sum + 1) else g(n - 1, sum); }
fn g(n: u16, sum: i32) i32 {
  return switch (n) { 0 => sum, 1...10 => f(n - 1, sum + 100), else => f(n - 1, sum + 10) };
}
fn main() void { out[0] = f(900, 0); out[1] = f(3, 7); }""",
        [python_parity(900, 0), python_parity(3, 7)],
    ),
    "factorial": (
        "fn f(n: i32) i32 { if (n < 2) return 1; return n * f(n - 1); }\nfn main() void { out[0] = f(12); }",
        [479001600],
    ),
    "two calls in one expression": (
        "fn f(n: i32) i32 { return if (n < 2) n else f(n - 1) + f(n - 2); }\nfn main() void { out[0] = f(16); }",
        [987],
    ),
    "Ackermann's function: a call within a tail call": (
        """fn a(m: i32, n: i32) i32 {
  if (m == 0) return n + 1;
  if (n == 0) return a(m - 1, 1);
  return a(m - 1, a(m, n - 1));
}
fn main() void { out[0] = a(2, 3); }""",
        [9],
    ),
    "the address of a local variable is given to the next call": (
        """fn f(n: i32, up: *i32) i32 {
  var mine: i32 = n;
  if (n > 0) { _ = f(n - 1, &mine); }
  up.* += mine;
  return mine;
}
fn main() void { var top: i32 = 0; out[0] = f(5, &top); out[1] = top; }""",
        [15, 15],
    ),
    "a tail call that is none, for it gets the address of a local variable": (
        """fn f(n: i32, last: *i32) i32 {
  var mine: i32 = n + last.*;
  if (n == 0) return mine;
  return f(n - 1, &mine);
}
fn main() void { var zero: i32 = 0; out[0] = f(10, &zero); }""",
        [55],
    ),
    "local arrays": (
        """fn sum(n: i32) i32 {
  var part = @zeros([4]i32);
  for (@range(u16, 4)) |i| { part[i] = n * @as(i32, i); }
  const below = if (n > 0) sum(n - 1) else 0;
  var all: i32 = below;
  for (part) |x| { all += x; }
  return all;
}
fn main() void { out[0] = sum(3); }""",
        [36],
    ),
    "arguments and results of 64 bits, bool, f16 and f32": (
        """fn f(n: u16, a: i64, b: bool, c: f16, d: f32) i64 {
  if (n == 0) return a;
  const r = f(n - 1, a * 3, !b, c + 1.0, d * 0.5);
  if (b) return r + @as(i64, @as(i16, c)) else return r - @as(i64, @as(i32, d));
}
fn main() void { const r = f(4, 10000000000, true, 1.5, 64.0); out[0] = @as(i32, r / 1000); out[1] = @as(i32, r % 1000); }""",
        [809999999, 1000 + 1 - 32 + 3 - 8],
    ),
    "structs and arrays as arguments": (
        """const P = struct { a: i32, b: i32 };
fn f(n: i32, p: P, v: [3]i32) i32 {
  if (n == 0) return p.a * 1000 + p.b * 100 + v[0] + v[1] + v[2];
  const r = f(n - 1, P{ .a = p.b, .b = p.a + 1 }, [3]i32{ v[1], v[2], v[0] + n });
  return r + p.a + v[0];
}
fn main() void { out[0] = f(3, P{ .a = 1, .b = 2 }, [3]i32{ 1, 2, 3 }); }""",
        [python_aggregates(3, (1, 2), (1, 2, 3))],
    ),
    "recursion in a loop": (
        """var leaves: i32 = 0;
fn tree(depth: u16) void {
  if (depth == 0) { leaves += 1; return; }
  for (@range(u16, 3)) |i| { if (i < 2) tree(depth - 1); }
}
fn main() void { tree(6); out[0] = leaves; tree(2); out[1] = leaves; }""",
        [64, 68],
    ),
    "three functions, entered at each": (
        """var log: i32 = 0;
fn a(n: i32) i32 { log = log * 3 + 1; return if (n == 0) log else b(n - 1, n); }
fn b(n: i32, m: i32) i32 { log = log * 3 + m; return if (n == 0) log else c(n - 1) + 1; }
fn c(n: i32) i32 { log = log * 3; return if (n == 0) log else a(n - 1); }
fn main() void { out[0] = a(4); log = 0; out[1] = b(3, 1); log = 0; out[2] = c(2); }""",
        [python_cycle("a", 4), python_cycle("b", 3, 1), python_cycle("c", 2)],
    ),
    "a recursive function calls another": (
        """fn f(n: i32) i32 { return if (n == 0) 0 else n + f(n - 1); }
fn g(n: i32) i32 { return if (n == 0) 0 else f(n) + g(n - 1); }
fn main() void { out[0] = g(10); }""",
        [220],
    ),
    "inline functions and comptime parameters": (
        """inline fn step(x: i32) i32 { return x + 1; }
fn f(comptime by: i32, n: i32) i32 { return if (n <= 0) 0 else step(f(by, n - by)) + f(by, n - 2 * by); }
fn main() void { out[0] = f(1, 10); out[1] = f(3, 10); }""",
        [python_steps(1, 10), python_steps(3, 10)],
    ),
}


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_recursion(name, arch, tmp_path):
    body, want = PROGRAMS[name]
    got = read(run(tmp_path, wrapped(body), arch=arch), "out")
    assert got[: len(want)].tolist() == want


STATES = """const A = @get_local_task_id(8);
const B = @get_local_task_id(9);
var state: u16 = 0;
var rounds: i32 = 0;
fn next() void {
  switch (state) { 0 => read_input(), 1 => compute(3), 2 => send(), else => finish() }
}
fn read_input() void { out[0] += 1; state = 1; next(); }
fn compute(n: i32) void { out[1] += n; if (n > 0) { compute(n - 1); } else { state = 2; @activate(B); } }
fn send() void { out[2] += 1; rounds += 1; if (rounds == 5) { state = 3; next(); } else { state = 0; @activate(A); } }
fn finish() void { out[3] = rounds; }
task a() void { next(); }
task b() void { send(); }
fn main() void { next(); }
comptime { @bind_local_task(a, A); @bind_local_task(b, B); }
"""


@pytest.mark.parametrize("arch", ARCHS)
def test_a_state_machine_of_functions_and_tasks(arch, tmp_path):
    loaded = run(tmp_path, wrapped(STATES), arch=arch)
    assert read(loaded, "out")[:4].tolist() == [5, 5 * 6, 5, 5]
    assert not any("stack" in row.name for row in loaded.artifact.classes[0].memory)


DEEP = "fn f(n: i32) i32 { return if (n == 0) 0 else n + f(n - 1); }\nfn main(n: i32) void { out[0] = f(n); }"


def test_the_stack_takes_the_memory_that_is_left(tmp_path):
    loaded = device(tmp_path, wrapped(DEEP))
    (stack,) = (row for row in loaded.artifact.classes[0].memory if row.name == "stack of f")
    assert stack.bytes > 40_000 and "8 bytes a call" in stack.what
    launch(loaded, "main", 4000)
    assert read(loaded, "out")[0] == 4000 * 4001 // 2


def test_a_call_beyond_the_stack_is_a_fault(tmp_path):
    loaded = device(tmp_path, wrapped(DEEP))
    with pytest.raises(FabricFault, match=r"calls of f nest too deeply: .*stack of 4\d{4} bytes is full .*pe.csl:3:"):
        launch(loaded, "main", 100_000)


def test_a_stack_that_does_not_fit_is_an_error_with_sizes(tmp_path):
    body = """var big = @zeros([10400]u32);
fn f(n: i32) i32 {
  var own = @zeros([300]i32);
  own[@as(u16, n)] = n;
  return if (n == 0) own[0] else own[2] + f(n - 1);
}
fn main(n: i32) void { out[0] = f(n) + @as(i32, big[@as(u16, n)]); }"""
    with pytest.raises(MemoryOverflow, match=r"(?s)too many.*stack of f .*what is left, 12\d\d bytes a call"):
        device(tmp_path, wrapped(body))


CONSTANT = {
    "a number": "fn f(x: i32) i32 { x = 5; return x; }\nfn main() void { out[0] = f(out[1]); }",
    "a number with an address": "fn f(x: i32) i32 { const p = &x; x = 5; return p.*; }\nfn main() void { out[0] = f(out[1]); }",
    "through a pointer": "fn f(x: i32) i32 { const p = &x; p.* = 5; return p.*; }\nfn main() void { out[0] = f(out[1]); }",
    "a field": "fn f(x: S) i32 { x.a = 5; return x.a; }\nvar s = S{ .a = 1 };\nfn main() void { out[0] = f(s); }",
    "an element": "fn f(x: [2]i32) i32 { x[1] = 5; return x[1]; }\nvar s = [2]i32{ 1, 2 };\nfn main() void { out[0] = f(s); }",
    "a pointer to an array": "fn f(x: [2]i32) i32 { const p: [*]i32 = &x; return p[0]; }\nvar s = [2]i32{ 1, 2 };\nfn main() void { out[0] = f(s); }",
    "a descriptor": "fn f(x: mem1d_dsd) void { x = @set_dsd_length(x, 1); }\nfn main() void { var v = d; f(v); }",
}  # fmt: skip


@pytest.mark.parametrize("name", CONSTANT)
def test_parameters_are_constants(name, tmp_path):
    head = "const S = struct { a: i32 };\nconst d = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{8} -> out[i] });\n"
    with pytest.raises(CslError, match=r"cannot be changed|of type .*const"):
        device(tmp_path, wrapped(head + CONSTANT[name]))


REFUSED = {
    "a descriptor names buffer, a local variable of f": """fn f(n: i32) void {
  var buffer = @zeros([4]i16);
  const d = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> buffer[i] });
  @mov16(d, 3);
  if (n > 0) { f(n - 1); out[0] += @as(i32, buffer[1]); }
}
fn main() void { f(3); }""",
    "@map calls g, which calls f again": """var data = @zeros([4]i16);
const d = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> data[i] });
fn g(x: i16) i16 { if (x > 0) f(); return x; }
fn f() void { @map(g, d, d); }
fn main() void { f(); }""",
}


@pytest.mark.parametrize("message", REFUSED)
def test_refused(message, tmp_path):
    with pytest.raises(Unsupported, match=message):
        device(tmp_path, wrapped(REFUSED[message]))
