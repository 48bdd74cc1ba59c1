"""Random CSL functions over all types of numbers: evaluated at compile time, by the code with and without optimisation,
and by the evaluator of this file, which knows nothing of the compiler.  All agree to the bit.

WSE_RANDOM_FUNCTIONS sets the number of functions; 2,000 take some minutes.
"""

from __future__ import annotations

import math
import os
import random
import struct
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from csl.running import run
from wse.csl.codegen import link
from wse.csl.ir.optimize import optimize

INTS = ["i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64", "i3", "u5", "i13", "u24", "i37", "u50"]
FLOATS = ["f16", "f32"]
TYPES = [*INTS, *INTS[:8], *FLOATS, *FLOATS, "bool"]
FUNCTIONS, CALLS = 50, 3  # of a program; of each function
PROGRAMS = int(os.environ.get("WSE_RANDOM_FUNCTIONS", "200")) // FUNCTIONS

# ---- values: int, bool, float ----


def width(kind: str) -> int:
    return 1 if kind == "bool" else int(kind[1:])


def wrap(kind: str, value: int) -> int:
    value &= (1 << width(kind)) - 1
    return value - (1 << width(kind)) if kind[0] == "i" and value >> width(kind) - 1 else value


def limits(kind: str) -> tuple[int, int]:
    bits = width(kind)
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if kind[0] == "i" else (0, (1 << bits) - 1)


def rounded(kind: str, value: float | Fraction | int) -> float:
    """The nearest number of a float type, ties to even."""
    if isinstance(value, float) and (not math.isfinite(value) or value == 0):
        return value
    if value == 0:
        return 0.0
    bits, least, top = (11, -14, 16) if kind == "f16" else (24, -126, 128)
    exact = abs(Fraction(value))
    exponent = exact.numerator.bit_length() - exact.denominator.bit_length()
    exponent -= exact < Fraction(2) ** exponent
    unit = Fraction(2) ** (max(exponent, least) - bits + 1)
    near = round(exact / unit) * unit
    return math.copysign(math.inf if near >= Fraction(2) ** top else float(near), value)


def pattern(kind: str, value: Any) -> int | str:
    """The bits of a value; NaNs are alike."""
    if kind in FLOATS:
        if math.isnan(value):
            return "nan"
        code, as_int = ("<e", "<H") if kind == "f16" else ("<f", "<I")
        return struct.unpack(as_int, struct.pack(code, value))[0]
    return int(value) & (1 << width(kind)) - 1


def converted(target: str, source: str, value: Any) -> Any:
    """@as(target, value)"""
    if target == source:
        return value
    if target == "bool":
        return value != 0
    if target in FLOATS:
        return rounded(target, value if source in FLOATS else int(value))
    if source in FLOATS:
        bits = width(target)
        low, high = limits("i32" if bits <= 16 else f"{target[0]}{32 if bits <= 32 else 64}")
        if math.isnan(value):
            return 0
        return wrap(target, high if value >= high else low if value <= low else int(value))
    return wrap(target, int(value))


def truncated(x: int, y: int) -> int:
    return abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)


def divided(x: float, y: float) -> float | Fraction:
    if y == 0:
        return math.nan if x == 0 or math.isnan(x) else math.copysign(math.inf, x) * math.copysign(1.0, y)
    if not math.isfinite(x) or not math.isfinite(y) or x == 0:
        return x / y
    return Fraction(x) / Fraction(y)


def arithmetic(kind: str, op: str, x: Any, y: Any) -> Any:
    if kind in FLOATS:
        if op == "/":
            return rounded(kind, divided(x, y))
        whole = math.isfinite(x) and math.isfinite(y)
        made = {"+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b}[op]
        exact = made(Fraction(x), Fraction(y)) if whole else 0
        return rounded(kind, exact) if exact else made(x, y)
    match op:
        case "+" | "-" | "*" | "&" | "|" | "^":
            made = {
                "+": x + y, "-": x - y, "*": x * y, "&": x & y, "|": x | y, "^": x ^ y,
            }[op]  # fmt: skip
        case "/":
            made = truncated(x, y)
        case "%":
            made = x - truncated(x, y) * y
        case "<<":
            made = x << y if y < width(kind) else 0
        case _:
            made = x >> y
    return wrap(kind, made)


COMPARE = {
    "==": lambda x, y: x == y, "!=": lambda x, y: x != y, "<": lambda x, y: x < y, "<=": lambda x, y: x <= y,
    ">": lambda x, y: x > y, ">=": lambda x, y: x >= y,
}  # fmt: skip


def wider(kind: str) -> list[str]:
    """Types that become the type by themselves in an operation."""
    if kind == "f32":
        return ["f16"]
    if kind not in INTS:
        return []
    (low, high), found = limits(kind), []
    for other in INTS:
        if other != kind and low <= limits(other)[0] and limits(other)[1] <= high:
            found.append(other)
    return found


# ---- random functions: each expression is (text, evaluate) ----


class Maker:
    def __init__(self, seed: int):
        self.chance = random.Random(seed)
        self.names: dict[str, str] = {}

    def constant(self, kind: str) -> tuple[str, Any]:
        if kind == "bool":
            value = self.chance.random() < 0.5
            return str(value).lower(), value
        if kind in FLOATS:
            return self.number(kind)
        low, high = limits(kind)
        value = self.chance.choice([0, 1, 2, 3, 7, 100, low, high, low + 1, self.chance.randint(low, high)])
        value = wrap(kind, value)
        return f"@as({kind}, {value})", value

    def number(self, kind: str) -> tuple[str, float]:
        size, code, as_int = (16, "<e", "<H") if kind == "f16" else (32, "<f", "<I")
        if self.chance.random() < 0.6:
            value = rounded(kind, self.chance.choice([0.0, 1.0, -2.5, 0.1, 1000.25, -7.75, 3e-5, 65504.0]))
        else:
            bits = self.chance.getrandbits(size)
            value = struct.unpack(code, struct.pack(as_int, bits))[0]
            value = 1.0 if math.isnan(value) else value
        return f"@bitcast({kind}, @as(u{size}, {pattern(kind, value):#x}))", value

    def leaf(self, kind: str) -> tuple[str, Any]:
        known = [name for name, other in self.names.items() if other == kind]
        if known and self.chance.random() < 0.75:
            name = self.chance.choice(known)
            return name, lambda env: env[name]
        if self.names and self.chance.random() < 0.5:
            name, other = self.chance.choice(list(self.names.items()))
            return f"@as({kind}, {name})", lambda env: converted(kind, other, env[name])
        text, value = self.constant(kind)
        return text, lambda env: value

    def expr(self, kind: str, depth: int) -> tuple[str, Any]:
        if depth == 0 or self.chance.random() < 0.15:
            return self.leaf(kind)
        if self.chance.random() < 0.15:
            other = self.chance.choice(TYPES)
            text, value = self.expr(other, depth - 1)
            return f"@as({kind}, {text})", lambda env: converted(kind, other, value(env))
        if self.chance.random() < 0.12:
            (c, cond), (a, left), (b, right) = self.expr("bool", depth - 1), self.expr(kind, depth - 1), self.leaf(kind)
            return f"(if ({c}) {a} else {b})", lambda env: left(env) if cond(env) else right(env)
        if kind == "bool":
            return self.truth(depth)
        if kind in FLOATS:
            return self.operation(kind, self.chance.choice("+-*/"), depth)
        return self.integer(kind, depth)

    def truth(self, depth: int) -> tuple[str, Any]:
        if self.chance.random() < 0.25:
            (a, left), (b, right) = self.expr("bool", depth - 1), self.expr("bool", depth - 1)
            if self.chance.random() < 0.5:
                return f"({a} and {b})", lambda env: left(env) and right(env)
            return f"({a} or !{b})", lambda env: left(env) or not right(env)
        kind, op = self.chance.choice(TYPES[:-1]), self.chance.choice(list(COMPARE))
        (a, left), (b, right) = self.expr(kind, depth - 1), self.expr(kind, depth - 1)
        return f"({a} {op} {b})", lambda env: COMPARE[op](left(env), right(env))

    def operation(self, kind: str, op: str, depth: int) -> tuple[str, Any]:
        """Both operands of the type, or one of a type that becomes it by itself."""
        narrow = wider(kind)
        other = self.chance.choice(narrow) if narrow and self.chance.random() < 0.25 else kind
        (a, left), (b, right) = self.expr(kind, depth - 1), self.expr(other, depth - 1)
        if op in "/%" and kind in INTS:
            (b, right), other = self.expr(kind, depth - 1), kind
            divisor = right
            b, right = f"({b} | 1)", lambda env: wrap(kind, divisor(env) | 1)

        def value(env):
            return arithmetic(kind, op, left(env), converted(kind, other, right(env)))

        return f"({a} {op} {b})", value

    def integer(self, kind: str, depth: int) -> tuple[str, Any]:
        choice = self.chance.randrange(10)
        if choice == 0:
            text, value = self.expr(kind, depth - 1)
            return f"(~{text})", lambda env: wrap(kind, ~value(env))
        if choice == 1:
            text, value = self.expr(kind, depth - 1)
            return f"(-{text})", lambda env: wrap(kind, -value(env))
        if choice == 2:
            (a, left), (b, count) = self.expr(kind, depth - 1), self.expr("u8", depth - 1)
            op = self.chance.choice(["<<", ">>"])
            return f"({a} {op} ({b} & 63))", lambda env: arithmetic(kind, op, left(env), count(env) & 63)
        if choice == 3:
            other = f"{'u' if kind[0] == 'i' else 'i'}{width(kind)}"
            if other in INTS:
                text, value = self.expr(other, depth - 1)
                return f"@bitcast({kind}, {text})", lambda env: wrap(kind, value(env))
        return self.operation(kind, self.chance.choice("+-*/%&|^"), depth)

    def function(self, name: str) -> tuple[str, list[str], str, Any]:
        """Text, types of the parameters, type of the result, what it gives for arguments."""
        params = [self.chance.choice(TYPES) for _ in range(3)]
        result = self.chance.choice(TYPES)
        self.names = {f"p{i}": kind for i, kind in enumerate(params)}
        kinds = [self.chance.choice(TYPES) for _ in range(2)]
        first, first_value = self.expr(kinds[0], 3)
        self.names["x"] = kinds[0]
        second, second_value = self.expr(kinds[1], 2)
        self.names["y"] = kinds[1]
        rounds = self.chance.randrange(4)
        self.names["i"] = "u8"
        again, again_value = self.expr(kinds[1], 2)
        del self.names["i"]
        test, test_value = self.expr("bool", 2)
        other, other_value = self.expr(kinds[1], 1)
        last, last_value = self.expr(result, 3)
        text = f"fn {name}({', '.join(f'p{i}: {kind}' for i, kind in enumerate(params))}) {result} {{\n"
        text += f"  const x: {kinds[0]} = {first};\n  var y: {kinds[1]} = {second};\n"
        text += f"  for (@range(u8, {rounds})) |i| {{ y = {again}; _ = i; }}\n"
        text += f"  if ({test}) {{ y = {other}; }}\n  return {last};\n}}\n"

        def value(arguments):
            env = {f"p{i}": argument for i, argument in enumerate(arguments)}
            env["x"] = first_value(env)
            env["y"] = second_value(env)
            for i in range(rounds):
                env["i"] = i
                env["y"] = again_value(env)
            if test_value(env):
                env["y"] = other_value(env)
            return last_value(env)

        return text, params, result, value


def bits(kind: str, text: str) -> str:
    """The bits of a value as u64, in CSL."""
    if kind == "bool":
        return f"@as(u64, {text})"
    return f"@as(u64, @bitcast(u{width(kind)}, {text}))"


def program(seed: int) -> tuple[str, list[tuple[str, int | str]]]:
    """A program, and the type and bits of each result."""
    maker = Maker(seed)
    functions, globals_, known, calls, wanted = [], [], [], [], []
    for number in range(FUNCTIONS):
        text, params, result, value = maker.function(f"t{number}")
        functions.append(text)
        for call in range(CALLS):
            arguments = [maker.constant(kind) for kind in params]
            names = [f"g{number}_{call}_{i}" for i in range(len(params))]
            globals_ += [f"var {n}: {k} = {a[0]};" for n, k, a in zip(names, params, arguments, strict=True)]
            known.append(bits(result, f"t{number}({', '.join(a[0] for a in arguments)})"))
            called = f"t{number}({', '.join(names)})"
            calls.append(f"out[{len(calls)}] = {bits(result, called)};")
            wanted.append((result, pattern(result, value([a[1] for a in arguments]))))
    n = len(known)
    return (
        "\n".join(functions + globals_)
        + f"\nexport var folded = [{n}]u64{{ {', '.join(known)} }};\nexport var out: [{n}]u64;\n"
        + f"fn main() void {{\n  {chr(10).join(calls)}\n}}\ncomptime {{ @export_symbol(main); }}\n",
        wanted,
    )


def plain(unit, *_) -> None:
    """Only what the code generator needs."""
    optimize(unit, 0)


def check(found: np.ndarray, wanted: list[tuple[str, int | str]], text: str, what: str) -> None:
    for number, (got, (kind, bits_wanted)) in enumerate(zip(found.tolist(), wanted, strict=True)):
        if bits_wanted == "nan":
            value = struct.unpack(
                *(("<e", struct.pack("<H", got)) if kind == "f16" else ("<f", struct.pack("<I", got)))
            )
            assert math.isnan(value[0]), f"{what}, t{number // CALLS}, call {number % CALLS}\n{text}"
        else:
            assert got == bits_wanted, f"{what}, t{number // CALLS}, call {number % CALLS}: {got:#x}\n{text}"


@pytest.mark.parametrize("optimised", [True, False], ids=["optimised", "plain"])
@pytest.mark.parametrize("seed", range(PROGRAMS))
def test_all_ways_to_a_result_agree(seed, optimised, tmp_path, monkeypatch):
    text, wanted = program(seed)
    if not optimised:
        monkeypatch.setattr(link, "optimize", plain)
    loaded = run(tmp_path, text, arch="wse2" if seed % 2 else "wse3")
    for name in ("folded", "out"):
        found = np.frombuffer(loaded.symbol(0, 0, name)[1], np.uint64)
        check(found, wanted, text, f"{name}, seed {seed}")
