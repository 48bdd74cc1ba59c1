"""Every operator and conversion, on every type, at compile time and at run time, against Python's own numbers.

Covers: wse/csl/sema/arith.py, wse/csl/sema/exprs.py, wse/csl/sema/types.py
"""

import math

import numpy as np
import pytest

from csl.running import TYPES, read, run

INTS = ("i8", "u8", "i16", "u16", "i32", "u32")
WIDE = ("i64", "u64")
FURTHER = ("i1", "u1", "i3", "u5", "i7", "u13", "i17", "u24", "i33", "u48", "i63", "u63")
FLOATS = ("f16", "f32")

PROGRAM = """
var a = [{n}]{type}{{ {a} }};
var b = [{n}]{second}{{ {b} }};
var out: [{n}]{result};
var folded: [{n}]{result} = all(a, b);
var out_ptr: [*]{result} = &out;
var folded_ptr: [*]{result} = &folded;

fn op(x: {type}, y: {second}) {result} {{ return {expr}; }}

fn all(xs: [{n}]{type}, ys: [{n}]{second}) [{n}]{result} {{
  var made = @constants([{n}]{result}, {zero});
  for (@range(i16, {n})) |i| {{
    made[i] = op(xs[i], ys[i]);
  }}
  return made;
}}

fn main() void {{
  for (@range(i16, {n})) |i| {{
    out[i] = op(a[i], b[i]);
  }}
}}

comptime {{
  @export_symbol(out_ptr, "out");
  @export_symbol(folded_ptr, "folded");
  @export_symbol(main);
}}
"""


def both(
    tmp_path, kind: str, result: str, expr: str, pairs: list[tuple], second: str | None = None
) -> tuple[list, list]:
    """What the expression of x and y gives for each pair, (at run time, at compile time).  second: the type of y."""
    text = PROGRAM.format(
        n=len(pairs),
        type=kind,
        second=second or kind,
        result=result,
        expr=expr,
        zero="false" if result == "bool" else "0",
        a=", ".join(str(p[0]) for p in pairs),
        b=", ".join(str(p[1]) for p in pairs),
    )
    device = run(tmp_path, text)
    return read(device, "out").tolist(), read(device, "folded").tolist()


def bits(kind: str) -> int:
    return int(kind[1:])


def wrap(kind: str, value: int) -> int:
    value &= (1 << bits(kind)) - 1
    return value - (1 << bits(kind)) if kind[0] == "i" and value >> (bits(kind) - 1) else value


def samples(kind: str) -> list[tuple[int, int]]:
    low, high = (
        (-(1 << (bits(kind) - 1)), (1 << (bits(kind) - 1)) - 1) if kind[0] == "i" else (0, (1 << bits(kind)) - 1)
    )
    values = [0, 1, 3, 7, high, high - 1, high // 3, low, low + 1, 100]
    values = [value for value in values if low <= value <= high]
    return [(x, y) for x in values for y in values[:7]]


def truncated(x: int, y: int) -> int:
    return abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)


ARITHMETIC = {
    "+": lambda x, y: x + y,
    "-": lambda x, y: x - y,
    "*": lambda x, y: x * y,
    "/": truncated,
    "%": lambda x, y: x - truncated(x, y) * y,
    "&": lambda x, y: x & y,
    "|": lambda x, y: x | y,
    "^": lambda x, y: x ^ y,
}
COMPARE = {
    "==": lambda x, y: x == y,
    "!=": lambda x, y: x != y,
    "<": lambda x, y: x < y,
    "<=": lambda x, y: x <= y,
    ">": lambda x, y: x > y,
    ">=": lambda x, y: x >= y,
}


@pytest.mark.parametrize("kind", INTS + WIDE + FURTHER)
@pytest.mark.parametrize("op", ARITHMETIC)
def test_integer_arithmetic(kind, op, tmp_path):
    pairs = [(x, y) for x, y in samples(kind) if y or op not in "/%"]
    wanted = [wrap(kind, ARITHMETIC[op](x, y)) for x, y in pairs]
    at_run, folded = both(tmp_path, kind, kind, f"x {op} y", pairs)
    assert folded == wanted
    assert at_run == wanted


@pytest.mark.parametrize("kind", INTS + WIDE + FURTHER)
@pytest.mark.parametrize("op", COMPARE)
def test_integer_comparison(kind, op, tmp_path):
    pairs = samples(kind)
    wanted = [int(COMPARE[op](x, y)) for x, y in pairs]
    at_run, folded = both(tmp_path, kind, "bool", f"x {op} y", pairs)
    assert folded == wanted
    assert at_run == wanted


@pytest.mark.parametrize("kind", INTS + WIDE + FURTHER)
@pytest.mark.parametrize("op", ["<<", ">>"])
def test_shift(kind, op, tmp_path):
    """By counts up to the width and beyond, which gives 0 or the sign."""
    counts = (0, 1, bits(kind) // 2, bits(kind) - 1, bits(kind), bits(kind) + 1, 200)
    pairs = [(x, n) for x in dict.fromkeys(x for x, _ in samples(kind)) for n in counts]
    wanted = [wrap(kind, x << n if op == "<<" else x >> n) for x, n in pairs]
    at_run, folded = both(tmp_path, kind, kind, f"x {op} y", pairs, "u16")
    assert folded == wanted
    assert at_run == wanted


@pytest.mark.parametrize("kind", INTS + WIDE + FURTHER)
@pytest.mark.parametrize("expr, value", [("-x", lambda x: -x), ("~x", lambda x: ~x)])
def test_integer_unary(kind, expr, value, tmp_path):
    pairs = [(x, 0) for x in dict.fromkeys(x for x, _ in samples(kind))]
    wanted = [wrap(kind, value(x)) for x, _ in pairs]
    at_run, folded = both(tmp_path, kind, kind, expr, pairs)
    assert folded == wanted
    assert at_run == wanted


@pytest.mark.parametrize("source", INTS + WIDE + FURTHER)
@pytest.mark.parametrize("target", FURTHER)
def test_integer_conversion(source, target, tmp_path):
    """Those of 8, 16, 32 and 64 bits: tests/csl/sema/test_convert.py."""
    pairs = [(x, 0) for x in dict.fromkeys(x for x, _ in samples(source))]
    wanted = [wrap(target, x) for x, _ in pairs]
    at_run, folded = both(tmp_path, source, target, f"@as({target}, x)", pairs)
    assert folded == wanted
    assert at_run == wanted


def floats(kind: str) -> list[tuple[float, float]]:
    values = [0.0, 1.0, -2.5, 0.1, 1000.25, 3e-5, -7.75]
    return [(x, y) for x in values for y in values]


@pytest.mark.parametrize("kind", FLOATS)
@pytest.mark.parametrize("op", "+-*/")
def test_float_arithmetic(kind, op, tmp_path):
    pairs = [(x, y) for x, y in floats(kind) if y or op != "/"]
    dtype = TYPES[kind]
    with np.errstate(all="ignore"):
        wanted = [float(eval(f"x {op} y", {"x": dtype(x), "y": dtype(y)})) for x, y in pairs]
    at_run, folded = both(tmp_path, kind, kind, f"x {op} y", pairs)
    assert folded == wanted
    assert at_run == wanted


@pytest.mark.parametrize("kind", FLOATS)
@pytest.mark.parametrize("op", COMPARE)
def test_float_comparison(kind, op, tmp_path):
    pairs = floats(kind)
    wanted = [int(COMPARE[op](TYPES[kind](x), TYPES[kind](y))) for x, y in pairs]
    at_run, folded = both(tmp_path, kind, "bool", f"x {op} y", pairs)
    assert folded == wanted
    assert at_run == wanted


@pytest.mark.parametrize("source", FLOATS)
@pytest.mark.parametrize("target", ["i16", "u16", "i32", "u32", "f16", "f32"])
def test_float_conversion(source, target, tmp_path):
    values = [0.0, 1.5, 2.99, 100.25, 7.0] + ([] if target[0] == "u" else [-1.5, -99.75])
    wanted = [float(TYPES[target](TYPES[source](x))) if target[0] == "f" else math.trunc(x) for x in values]
    at_run, folded = both(tmp_path, source, target, f"@as({target}, x)", [(x, 0) for x in values])
    assert folded == wanted
    assert at_run == wanted


@pytest.mark.parametrize("source", INTS)
@pytest.mark.parametrize("target", FLOATS)
def test_integer_to_float(source, target, tmp_path):
    values = [x for x, _ in samples(source)[::7]]
    with np.errstate(over="ignore"):
        wanted = [float(TYPES[target](x)) for x in values]
    at_run, folded = both(tmp_path, source, target, f"@as({target}, x)", [(x, 0) for x in values])
    assert folded == wanted
    assert at_run == wanted


@pytest.mark.parametrize("expr", ["x and y", "x or y", "!x", "x == y", "x != y", "x and !y or y and !x", "x ^ y"])
def test_logic(expr, tmp_path):
    pairs = [("false", "false"), ("false", "true"), ("true", "false"), ("true", "true")]
    python = expr.replace("!x", "not x").replace("!y", "not y")
    wanted = [int(eval(python, {"x": p[0] == "true", "y": p[1] == "true"})) for p in pairs]
    at_run, folded = both(tmp_path, "bool", "bool", expr, pairs)
    assert folded == wanted
    assert at_run == wanted


@pytest.mark.parametrize(
    "source, target, value, wanted",
    [
        ("f32", "u32", 1.0, 0x3F800000),
        ("u32", "f32", 0x40490FDB, 3.1415927410125732),
        ("f16", "u16", -2.0, 0xC000),
        ("u16", "f16", 0x3C00, 1.0),
        ("i16", "u16", -1, 0xFFFF),
        ("u32", "i32", 0xFFFFFFFE, -2),
        ("u8", "i8", 255, -1),
    ],
)
def test_bitcast(source, target, value, wanted, tmp_path):
    at_run, folded = both(tmp_path, source, target, f"@bitcast({target}, x)", [(value, 0)])
    assert folded == [wanted]
    assert at_run == [wanted]
