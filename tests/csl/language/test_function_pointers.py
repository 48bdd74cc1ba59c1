"""Pointers to functions at run time: variables, arrays, fields, parameters, results, comparisons, calls.

Covers: wse/csl/sema/pointers.py, wse/csl/sema/calls.py
"""

import pytest
from csl.running import compiled, device, launch, read, run

from wse import FabricFault
from wse.csl.syntax.errors import CslError

ARCHS = ["wse2", "wse3"]
HEAD = """fn add(a: i16) i16 { return a + 1; }
fn dbl(a: i16) i16 { return a * 2; }
fn neg(a: i16) i16 { return -a; }
const Op = *const fn(i16) i16;
var out = @zeros([8]i16);
var out_ptr: [*]i16 = &out;
comptime { @export_symbol(out_ptr, "out"); @export_symbol(main); }
"""

PROGRAMS = {
    "a variable of the module": (
        "var f: *const fn(i16) i16 = &add;\nfn main() void { out[0] = f(10); f = &dbl; out[1] = f(10); out[2] = f.*(3); }",
        [11, 20, 6],
    ),
    "an array of pointers": (
        """var table = [3]Op{ &add, &dbl, &neg };
const fixed = [3]Op{ &neg, &dbl, &add };
fn main() void {
  for (@range(u16, 3)) |i| { out[i] = table[i](7); out[3 + i] = fixed[i](7); }
  table[0] = fixed[0];
  out[6] = table[0](1);
}""",
        [8, 14, -7, -7, 14, 8, -1],
    ),
    "a field of a struct": (
        """const S = struct { go: Op, n: i16 };
var s = S{ .go = &dbl, .n = 4 };
fn main() void { out[0] = s.go(s.n); s.go = &neg; out[1] = s.go.*(s.n); }""",
        [8, -4],
    ),
    "a parameter": (
        """var f: Op = &dbl;
fn apply(g: *const fn(i16) i16, x: i16) i16 { return g(x); }
fn main() void { out[0] = apply(f, 5); out[1] = apply(&neg, 5); f = &add; out[2] = apply(f, 5); }""",
        [10, -5, 6],
    ),
    "the result of a function": (
        """var calls: i16 = 0;
fn pick(n: i16) Op { if (n == 0) return &add; return &neg; }
fn other() Op { calls += 1; return if (calls == 1) &add else &dbl; }
fn main() void { out[0] = pick(calls)(3); out[1] = other()(3); out[2] = other()(3); out[3] = pick(calls)(3); out[4] = calls; }""",
        [4, 4, 6, -3, 2],
    ),
    "comparisons": (
        """var f: Op = &add;
fn main() void {
  if (f == &add) out[0] = 1;
  if (f != &dbl) out[1] = 1;
  f = if (f == &add) &dbl else &neg;
  const g = f;
  out[2] = if (g == &dbl) 1 else 2;
}""",
        [1, 1, 1],
    ),
    "functions with other arguments and results": (
        """const P = struct { a: i16, b: i16 };
fn swap(p: P) P { return P{ .a = p.b, .b = p.a }; }
fn twice(p: P) P { return P{ .a = 2 * p.a, .b = 2 * p.b }; }
fn wide(a: i64, b: f32, c: bool) i64 { return if (c) a + @as(i64, @as(i32, b)) else -a; }
fn none() void { out[4] += 5; }
var f: *const fn(P) P = &swap;
var g: *const fn(i64, f32, bool) i64 = undefined;
var h: *const fn() void = &none;
fn main() void {
  var p = f(P{ .a = 3, .b = 4 });
  f = &twice;
  p = f(f(p));
  out[0] = p.a; out[1] = p.b;
  g = &wide;
  out[2] = @as(i16, g(10000000000, 5.0, true) - 10000000000);
  out[3] = @as(i16, g(7, 5.0, false));
  h(); h.*();
}""",
        [16, 12, 5, -7, 10],
    ),
    "many functions of one type": (
        "\n".join(f"fn f{i}(a: i16) i16 {{ return a * {i + 1} + {i}; }}" for i in range(11))
        + "\nvar all = [11]Op{ "
        + ", ".join(f"&f{i}" for i in range(11))
        + " };\nfn main() void { for (all) |f, i| { out[i % 4] += f(@as(i16, i)); } }",
        [sum(i * (i + 1) + i for i in range(k, 11, 4)) for k in range(4)],
    ),
    "recursion through a pointer, with a stack": (
        """fn sum(n: i16) i16 { return if (n == 0) 0 else n + f(n - 1); }
fn odd(n: i16) i16 { return if (n == 0) 100 else g(n - 1); }
fn even(n: i16) i16 { return if (n == 0) 200 else f(n - 1); }
var f: Op = &sum;
var g: Op = &even;
fn main() void { out[0] = f(10); f = &odd; out[1] = f(2001); }""",
        [55, 200],
    ),
    "the next state as a pointer": (
        """const State = *const fn() void;
var state: State = &first;
var rounds: i16 = 0;
fn first() void { out[0] += 1; state = &second; step(); }
fn second() void { out[1] += 2; rounds += 1; state = if (rounds < 300) &first else &last; step(); }
fn last() void { out[2] = rounds; }
fn step() void { state(); }
fn main() void { step(); }""",
        [300, 600, 300],
    ),
    "a function of an imported module": (
        """const other = @import_module("other.csl");
var f: Op = &other.three;
fn main() void { out[0] = f(1); f = &add; out[1] = f(1); }""",
        [3, 2],
    ),
    "a parameter of the program": (
        """param chosen: *const fn(i16) i16 = &neg;
var f: Op = chosen;
fn main() void { out[0] = f(1); out[1] = chosen(2); }""",
        [-1, -2],
    ),
}


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_pointers(name, arch, tmp_path):
    body, want = PROGRAMS[name]
    loaded = run(tmp_path, HEAD + body, arch=arch, other="fn three(a: i16) i16 { return a * 3; }\n")
    assert read(loaded, "out")[: len(want)].tolist() == want


def test_a_pointer_to_nothing(tmp_path):
    loaded = device(
        tmp_path, HEAD + "var f: Op = undefined;\nfn set() void { f = &add; }\nfn main() void { out[0] = f(1); }"
    )
    with pytest.raises(
        FabricFault, match=r"a call through a pointer of type \*fn\(i16\)i16 that points to no function.*pe.csl:10"
    ):
        launch(loaded, "main")


ERRORS = [
    ("var f: Op = &main;\nfn main() void { out[0] = f(1); }", 8, "a pointer to fn(i16)i16 was expected, but main is fn()void"),
    ("var f: Op = &add;\nfn main() void { out[0] = f(); }", 9, "a function of type fn(i16)i16 takes 1 argument, not 0"),
    ("var f: Op = &add;\nfn main() void { out[0] = f(true); }", 9, "a value of type i16 was expected, not true"),
    ("var f: Op = &add;\nvar g: *const fn() void = &main;\nfn main() void { f = g; }", 10, "a value of type *const fn(i16)i16 was expected"),
    ("var n: i16 = 1;\nfn main() void { n(); }", 9, "a function was expected, not a value of type i16"),
    ("fn any(x: anytype) i16 { return 1; }\nvar f: Op = &any;\nfn main() void { out[0] = f(1); }", 9, "any"),
]  # fmt: skip


@pytest.mark.parametrize("body, line, message", ERRORS, ids=[message for *_, message in ERRORS])
def test_errors(body, line, message, tmp_path):
    with pytest.raises(CslError) as caught:
        compiled(tmp_path, HEAD + body)
    assert message in str(caught.value) and f"pe.csl:{line}:" in str(caught.value)


FOLDED = """var n: i16 = 3;
const c1 = @get_color(1);
const c2 = @get_color(2);
fn of_variable() color { return if (n == 3) c1 else c2; }
fn of_constant(comptime x: i16) color { return if (x == 3) c1 else c2; }
fn main() void {
  out[0] = @as(i16, of_variable());
  n += 1;
  out[1] = @as(i16, of_variable());
  out[2] = @as(i16, comptime of_constant(4));
}"""


def test_a_function_that_reads_a_variable_is_called_at_run_time(tmp_path):
    assert read(run(tmp_path, HEAD + FOLDED), "out")[:3].tolist() == [1, 2, 2]
