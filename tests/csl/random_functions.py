"""Random functions of CSL over all types, and what they compute: each is made as a text together with an evaluator.

The evaluator is plain Python over integers and exact fractions; it shares nothing with the compiler.  Values of float
types are Python's floats that the type can hold.

    python tests/csl/random_functions.py --functions 2000 --seed 1

compares it with the results at compile time and of the code at every optimisation level, and prints what differs.
"""

from __future__ import annotations

import math
import random
import struct
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

WHOLE = ("i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64")
INTS = (*WHOLE, "i3", "u5", "i13", "u24", "i37", "u50")
FLOATS = ("f16", "f32")
KINDS = (*INTS, *WHOLE, *FLOATS, *FLOATS, "bool", "bool")  # some are drawn more often
SWITCHED = tuple(kind for kind in INTS if kind not in ("i3", "u5"))  # that hold the values of the arms
LEVELS = (0, 1)  # of optimisation
FUNCTIONS, CALLS = 8, 3  # of a program; of each function


class Returned(Exception):
    pass


class Code(NamedTuple):
    """A text and what it does: run(variables) gives the value of an expression."""

    text: str
    run: Callable[[dict], Any]


# ---- what the language means ----


def width(kind: str) -> int:
    return 1 if kind == "bool" else int(kind[1:])


def limits(kind: str) -> tuple[int, int]:
    bits = width(kind)
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if kind[0] == "i" else (0, (1 << bits) - 1)


def wrap(kind: str, value: int) -> int:
    bits = width(kind)
    value &= (1 << bits) - 1
    return value - (1 << bits) if kind[0] == "i" and value >> (bits - 1) else value


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


def quotient(x: float, y: float) -> float | Fraction:
    if y == 0:
        return math.nan if x == 0 or math.isnan(x) else math.copysign(math.inf, x) * math.copysign(1.0, y)
    if not math.isfinite(x) or not math.isfinite(y) or x == 0:
        return x / y
    return Fraction(x) / Fraction(y)


def of_floats(op: str, kind: str, a: float, b: float) -> float:
    if op == "/":
        return rounded(kind, quotient(a, b))
    made: Callable[[Any, Any], Any] = {"+": lambda x, y: x + y, "-": lambda x, y: x - y, "*": lambda x, y: x * y}[op]
    exact = made(Fraction(a), Fraction(b)) if math.isfinite(a) and math.isfinite(b) else 0
    return rounded(kind, exact) if exact else made(a, b)  # a zero has a sign


def apply(op: str, kind: str, a: Any, b: Any) -> Any:
    """a op b of two values of the kind; b of a shift is a count."""
    if op in ("==", "!=", "<", "<=", ">", ">="):
        return bool({"==": a == b, "!=": a != b, "<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[op])
    if kind in FLOATS:
        return of_floats(op, kind, a, b)
    match op:
        case "+":
            made = a + b
        case "-":
            made = a - b
        case "*":
            made = a * b
        case "/" | "%":
            whole = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
            made = whole if op == "/" else a - b * whole
        case "&":
            made = a & b
        case "|":
            made = a | b
        case "^":
            made = a ^ b
        case "<<":
            made = a << b
        case _:
            made = a >> b
    return wrap(kind, made)


def convert(source: str, kind: str, value: Any) -> Any:
    """@as(kind, value)"""
    if source == kind:
        return value
    if kind == "bool":
        return bool(value != 0)
    if kind in FLOATS:
        return rounded(kind, value if source in FLOATS else int(value))
    if source in FLOATS:
        bits = width(kind)
        low, high = limits("i32" if bits <= 16 else f"{kind[0]}{32 if bits <= 32 else 64}")
        if math.isnan(value):
            return 0
        return wrap(kind, high if value >= high else low if value <= low else int(value))
    return wrap(kind, int(value))


def wider(kind: str) -> list[str]:
    """Types that become the type by themselves in an operation."""
    if kind == "f32":
        return ["f16"]
    if kind not in INTS:
        return []
    low, high = limits(kind)
    return [other for other in INTS if other != kind and low <= limits(other)[0] and limits(other)[1] <= high]


def pattern(kind: str, value: Any) -> int | None:
    """The bits of a value; None of a NaN, for one is as good as another."""
    if kind not in FLOATS:
        return int(value) & (1 << width(kind)) - 1
    if math.isnan(value):
        return None
    code, as_int = ("<e", "<H") if kind == "f16" else ("<f", "<I")
    return struct.unpack(as_int, struct.pack(code, value))[0]


def is_nan(kind: str, bits: int) -> bool:
    return bits & 0x7FFF > 0x7C00 if kind == "f16" else bits & 0x7FFFFFFF > 0x7F800000


def same(kind: str, want: Any, bits: int) -> bool:
    """Whether these are the bits of the value."""
    wanted = pattern(kind, want)
    return is_nan(kind, bits) if wanted is None else bits == wanted


# ---- texts ----


class Maker:
    """Draws functions."""

    def __init__(self, seed: int):
        self.chance = random.Random(seed)
        self.functions: list[tuple[str, list[str], str, Callable]] = []  # name, parameters, result, evaluator
        self.fields = [("a", self.kind()), ("b", self.kind()), ("c", self.kind())]
        self.arrays: dict[str, tuple[str, int]] = {}

    def kind(self) -> str:
        return self.chance.choice(KINDS)

    def literal(self, kind: str) -> tuple[str, Any]:
        if kind == "bool":
            value = self.chance.random() < 0.5
            return ("true" if value else "false"), value
        if kind in FLOATS:
            return self.number(kind)
        low, high = limits(kind)
        number = self.chance.choice(
            [0, 1, 2, 3, 7, 100, low, high, high - 1, high // 3, self.chance.randint(low, high)]
        )
        number = number if low <= number <= high else 1
        if kind[0] == "i" and number != low and self.chance.random() < 0.3:
            number = -number
        return str(number), number

    def number(self, kind: str) -> tuple[str, float]:
        """A float, and how it is written: as a number, or by its bits."""
        if self.chance.random() < 0.6:
            value = self.chance.choice([0.0, 1.0, -1.0, 0.5, 3.25, -7.75, 100.0, 0.1, 3e-5, 1000.25, 65504.0, 2.0**-20])
            return repr(value), rounded(kind, value)
        size, code, as_int = (16, "<e", "<H") if kind == "f16" else (32, "<f", "<I")
        bits = self.chance.getrandbits(size)
        value = struct.unpack(code, struct.pack(as_int, bits))[0]
        bits, value = (0, 0.0) if math.isnan(value) else (bits, value)
        return f"@bitcast({kind}, @as(u{size}, {bits:#x}))", value

    # Expressions.

    def expr(self, kind: str, depth: int = 2) -> Code:
        atoms = [name for name, of in self.names.items() if of == kind]
        if depth <= 0 or self.chance.random() < 0.15:
            if atoms and self.chance.random() < 0.85:
                name = self.chance.choice(atoms)
                return Code(name, lambda v: v[name])
            others = list(self.names)
            if others and self.chance.random() < 0.7:
                name = self.chance.choice(others)
                source = self.names[name]
                return Code(f"@as({kind}, {name})", lambda v: convert(source, kind, v[name]))
            text, value = self.literal(kind)
            return Code(f"@as({kind}, {text})", lambda v: value)
        choices = [
            self.conditional,
            self.converted,
            self.chosen,
            self.block_value,
            self.called,
            self.element,
            self.field,
        ]
        if kind == "bool":
            choices += [self.compared] * 6 + [self.logical] * 3
        elif kind in FLOATS:
            choices += [self.arithmetic] * 8
        else:
            choices += [self.arithmetic] * 6 + [self.divided, self.shifted, self.unary, self.bits] * 2
        return self.chance.choice(choices)(kind, depth)

    def arithmetic(self, kind: str, depth: int) -> Code:
        op = self.chance.choice("+-*/" if kind in FLOATS else "+-*&|^")
        narrow = wider(kind)  # the right side may be of another type, which becomes this one
        other = self.chance.choice(narrow) if narrow and self.chance.random() < 0.2 else kind
        a, b = self.expr(kind, depth - 1), self.expr(other, depth - 1)
        return Code(f"({a.text} {op} {b.text})", lambda v: apply(op, kind, a.run(v), convert(other, kind, b.run(v))))

    def divided(self, kind: str, depth: int) -> Code:
        op = self.chance.choice("/%")
        a, b = self.expr(kind, depth - 1), self.expr(kind, depth - 1)
        return Code(f"({a.text} {op} ({b.text} | 1))", lambda v: apply(op, kind, a.run(v), b.run(v) | 1))

    def shifted(self, kind: str, depth: int) -> Code:
        op = self.chance.choice(["<<", ">>"])
        a, b = self.expr(kind, depth - 1), self.expr("u8", depth - 1)
        return Code(f"({a.text} {op} ({b.text} & 63))", lambda v: apply(op, kind, a.run(v), b.run(v) & 63))

    def bits(self, kind: str, depth: int) -> Code:
        """The bits of an integer of the other sign, or of a float."""
        source = f"{'u' if kind[0] == 'i' else 'i'}{width(kind)}"
        if f"f{width(kind)}" in FLOATS and self.chance.random() < 0.5:
            source = f"f{width(kind)}"
            a = self.expr(source, depth - 1)
            a = Code(f"(if ({a.text} == {a.text}) {a.text} else @as({source}, 0.0))", self.no_nan(a))
        elif source in INTS:
            a = self.expr(source, depth - 1)
        else:
            return self.arithmetic(kind, depth)
        return Code(f"@bitcast({kind}, {a.text})", lambda v: wrap(kind, pattern(source, a.run(v)) or 0))

    @staticmethod
    def no_nan(a: Code) -> Callable[[dict], float]:
        """The value, 0 if it is NaN, whose bits are not defined.  Nothing in an expression changes a variable."""

        def run(v: dict) -> float:
            value = a.run(v)
            return 0.0 if math.isnan(value) else value

        return run

    def unary(self, kind: str, depth: int) -> Code:
        a = self.expr(kind, depth - 1)
        if kind[0] == "i" and self.chance.random() < 0.5:
            return Code(f"(-{a.text})", lambda v: wrap(kind, -a.run(v)))
        return Code(f"(~{a.text})", lambda v: wrap(kind, ~a.run(v)))

    def compared(self, kind: str, depth: int) -> Code:
        of = self.kind()
        op = self.chance.choice(["==", "!="] if of == "bool" else ["==", "!=", "<", "<=", ">", ">="])
        a, b = self.expr(of, depth - 1), self.expr(of, depth - 1)
        return Code(f"({a.text} {op} {b.text})", lambda v: apply(op, of, a.run(v), b.run(v)))

    def logical(self, kind: str, depth: int) -> Code:
        a = self.expr("bool", depth - 1)
        if self.chance.random() < 0.3:
            return Code(f"(!{a.text})", lambda v: not a.run(v))
        b = self.expr("bool", depth - 1)
        if self.chance.random() < 0.5:
            return Code(f"({a.text} and {b.text})", lambda v: a.run(v) and b.run(v))
        return Code(f"({a.text} or {b.text})", lambda v: a.run(v) or b.run(v))

    def conditional(self, kind: str, depth: int) -> Code:
        test, a, b = self.expr("bool", depth - 1), self.expr(kind, depth - 1), self.expr(kind, depth - 1)
        return Code(f"(if ({test.text}) {a.text} else {b.text})", lambda v: a.run(v) if test.run(v) else b.run(v))

    def converted(self, kind: str, depth: int) -> Code:
        source = self.kind()
        a = self.expr(source, depth - 1)
        return Code(f"@as({kind}, {a.text})", lambda v: convert(source, kind, a.run(v)))

    def chosen(self, kind: str, depth: int) -> Code:
        """A switch."""
        of = self.chance.choice(SWITCHED)
        value = self.expr(of, depth - 1)
        arms = [self.expr(kind, depth - 2) for _ in range(4)]
        text = (
            f"(switch ({value.text}) {{ 0 => {arms[0].text}, 1, 3 => {arms[1].text}, "
            f"4...100 => {arms[2].text}, else => {arms[3].text} }})"
        )

        def run(v: dict) -> Any:
            n = value.run(v)
            return arms[0 if n == 0 else 1 if n in (1, 3) else 2 if 4 <= n <= 100 else 3].run(v)

        return Code(text, run)

    def block_value(self, kind: str, depth: int) -> Code:
        label = self.name("b")
        test, a, b = self.expr("bool", depth - 1), self.expr(kind, depth - 1), self.expr(kind, depth - 1)
        text = f"{label}: {{ if ({test.text}) break :{label} {a.text}; break :{label} {b.text}; }}"
        return Code(f"({text})", lambda v: a.run(v) if test.run(v) else b.run(v))

    def called(self, kind: str, depth: int) -> Code:
        fitting = [function for function in self.functions if function[2] == kind]
        if not fitting or self.calls > 2:
            return self.conditional(kind, depth)
        self.calls += 1
        name, params, _, body = self.chance.choice(fitting)
        args = [self.expr(param, min(depth - 1, 1)) for param in params]
        return Code(f"{name}({', '.join(arg.text for arg in args)})", lambda v: body(*[arg.run(v) for arg in args]))

    def element(self, kind: str, depth: int) -> Code:
        fitting = [name for name, (of, _) in self.arrays.items() if of == kind]
        if not fitting:
            return self.conditional(kind, depth)
        name = self.chance.choice(fitting)
        index = self.expr(self.chance.choice(("u8", "i16", "u16", "u32")), depth - 1)
        return Code(f"{name}[{index.text} & 3]", lambda v: v[name][index.run(v) & 3])

    def field(self, kind: str, depth: int) -> Code:
        fitting = [name for name, of in self.fields if of == kind]
        if not fitting or not self.has_struct:
            return self.conditional(kind, depth)
        name = self.chance.choice(fitting)
        return Code(f"s.{name}", lambda v: v["s"][name])

    # Statements: run(variables) returns nothing.

    def name(self, letter: str) -> str:
        self.count += 1
        return f"{letter}{self.count}"

    def block(self, depth: int) -> Code:
        known, arrays = dict(self.names), dict(self.arrays)
        made = [self.statement(depth) for _ in range(self.chance.randrange(1, 4))]
        self.names, self.arrays = known, arrays

        def run(v: dict) -> None:
            for one in made:
                one.run(v)

        return Code("{ " + " ".join(one.text for one in made) + " }", run)

    def statement(self, depth: int) -> Code:
        variables = [name for name in self.names if name[0] == "v"]
        choices = [self.declare] * 2
        if variables:
            choices += [self.assign] * 3 + [self.through_pointer]
        if depth > 0:
            choices += [self.branch, self.branch, self.leave, self.array, self.switch]
            if self.loops < 2:
                choices += [self.for_loop, self.while_loop]
        if self.arrays:
            choices += [self.set_element]
        if self.has_struct:
            choices += [self.set_field]
        return self.chance.choice(choices)(depth)

    def declare(self, depth: int) -> Code:
        kind, name = self.kind(), self.name("v")
        value = self.expr(kind)
        self.names[name] = kind
        return Code(f"var {name}: {kind} = {value.text};", lambda v: v.__setitem__(name, value.run(v)))

    def assign(self, depth: int) -> Code:
        name = self.chance.choice([name for name in self.names if name[0] == "v"])
        kind = self.names[name]
        value = self.expr(kind)
        if kind == "bool" or self.chance.random() < 0.4:
            return Code(f"{name} = {value.text};", lambda v: v.__setitem__(name, value.run(v)))
        op = self.chance.choice("+-*" if kind in FLOATS else "+-*&|^")

        def run(v: dict) -> None:
            old = v[name]
            v[name] = apply(op, kind, old, value.run(v))

        return Code(f"{name} {op}= {value.text};", run)

    def through_pointer(self, depth: int) -> Code:
        name = self.chance.choice([name for name in self.names if name[0] == "v"])
        value = self.expr(self.names[name])
        return Code(f"{{ const p = &{name}; p.* = {value.text}; }}", lambda v: v.__setitem__(name, value.run(v)))

    def branch(self, depth: int) -> Code:
        test, yes = self.expr("bool", 2), self.block(depth - 1)
        if self.chance.random() < 0.5:
            return Code(f"if ({test.text}) {yes.text}", lambda v: yes.run(v) if test.run(v) else None)
        no = self.block(depth - 1)
        return Code(f"if ({test.text}) {yes.text} else {no.text}", lambda v: (yes if test.run(v) else no).run(v))

    def switch(self, depth: int) -> Code:
        kind = self.chance.choice(SWITCHED)
        value, first, second, other = (
            self.expr(kind, 2),
            self.block(depth - 1),
            self.block(depth - 1),
            self.block(depth - 1),
        )
        text = f"switch ({value.text}) {{ 0, 2 => {first.text}, 5...90 => {second.text}, else => {other.text} }}"

        def run(v: dict) -> None:
            n = value.run(v)
            (first if n in (0, 2) else second if 5 <= n <= 90 else other).run(v)

        return Code(text, run)

    def leave(self, depth: int) -> Code:
        test, value = self.expr("bool", 2), self.expr(self.result)

        def run(v: dict) -> None:
            if test.run(v):
                raise Returned(value.run(v))

        return Code(f"if ({test.text}) return {value.text};", run)

    def rounds(self, depth: int) -> tuple[Code | None, str, Code]:
        """What leaves a round, and the body."""
        self.loops += 1
        test, word = self.expr("bool", 2), self.chance.choice(["", "break", "continue"])
        return (test if word else None), word, self.block(depth - 1)

    @staticmethod
    def round_of(v: dict, test: Code | None, word: str, body: Code) -> bool:
        """Executes a round; whether the loop ends."""
        if test is not None and test.run(v):
            return word == "break"
        body.run(v)
        return False

    def for_loop(self, depth: int) -> Code:
        kind, item = self.chance.choice(("i16", "u16", "i32", "u8", "u32")), self.name("k")
        count = self.chance.randrange(6)
        self.names[item] = kind
        test, word, body = self.rounds(depth)
        del self.names[item]
        first = f"if ({test.text}) {word};" if test else ""

        def run(v: dict) -> None:
            for i in range(count):
                v[item] = i
                if self.round_of(v, test, word, body):
                    break

        return Code(f"for (@range({kind}, {count})) |{item}| {{ {first} {body.text} }}", run)

    def while_loop(self, depth: int) -> Code:
        item, count = self.name("w"), self.chance.randrange(6)
        test, word, body = self.rounds(depth)
        first = f"if ({test.text}) {word};" if test else ""

        def run(v: dict) -> None:
            for _ in range(count):
                if self.round_of(v, test, word, body):
                    break

        text = f"{{ var {item}: u16 = 0; while ({item} < {count}) : ({item} += 1) {{ {first} {body.text} }} }}"
        return Code(text, run)

    def array(self, depth: int) -> Code:
        kind, name = self.kind(), self.name("a")
        items = [self.expr(kind, 1) for _ in range(4)]
        self.arrays[name] = (kind, 4)
        text = f"var {name} = [4]{kind}{{ {', '.join(item.text for item in items)} }};"
        return Code(text, lambda v: v.__setitem__(name, [item.run(v) for item in items]))

    def set_element(self, depth: int) -> Code:
        name = self.chance.choice(list(self.arrays))
        kind, _ = self.arrays[name]
        index, value = self.expr(self.chance.choice(("u8", "u16", "i32")), 1), self.expr(kind, 2)

        def run(v: dict) -> None:
            at = index.run(v) & 3
            v[name][at] = value.run(v)

        return Code(f"{name}[{index.text} & 3] = {value.text};", run)

    def set_field(self, depth: int) -> Code:
        name, kind = self.chance.choice(self.fields)
        value = self.expr(kind, 2)
        return Code(f"s.{name} = {value.text};", lambda v: v["s"].__setitem__(name, value.run(v)))

    # Functions.

    def function(self, name: str) -> str:
        """The text of a function, which is added to `functions`."""
        params = [self.kind() for _ in range(self.chance.randrange(2, 5))]
        self.result = self.kind()
        self.names = {f"p{i}": kind for i, kind in enumerate(params)}
        self.arrays = {}
        self.count = self.loops = self.calls = 0
        self.has_struct = False
        head: list[Code] = []
        if self.chance.random() < 0.4:
            items = [(field, self.expr(kind, 1)) for field, kind in self.fields]
            self.has_struct = True
            text = ", ".join(f".{field} = {item.text}" for field, item in items)
            head.append(
                Code(
                    f"var s = S{{ {text} }};",
                    lambda v: v.__setitem__("s", {field: item.run(v) for field, item in items}),
                )
            )
        if self.chance.random() < 0.2 and len(params) > 0:  # recursion
            stop, again = self.expr(self.result, 2), self.expr(self.result, 2)
            args = [self.expr(param, 1) for param in params]
            op = "^" if self.result in INTS else None
            call = f"{name}(n - 1, {', '.join(arg.text for arg in args)})"
            returned = f"{again.text} ^ {call}" if op else call
            declared = ", ".join(["n: u16", *(f"p{i}: {kind}" for i, kind in enumerate(params))])
            text = f"fn {name}({declared}) {self.result} {{ if (n == 0) return {stop.text}; return {returned}; }}"
            if not head and self.calls == 0:
                result = self.result

                def recursive(n: int, *values: Any) -> Any:
                    v = {f"p{i}": value for i, value in enumerate(values)}
                    if n == 0:
                        return stop.run(v)
                    own = again.run(v) if op else None
                    below = recursive(n - 1, *[arg.run(v) for arg in args])
                    return apply("^", result, own, below) if op else below

                def bounded(n: int, *values: Any) -> Any:
                    return recursive(n & 3, *values)

                outer = ", ".join(f"p{i}" for i in range(len(params)))
                text = text.replace(f"fn {name}(", f"fn {name}_in(").replace(f"{name}(n - 1", f"{name}_in(n - 1")
                text += f"\nfn {name}({declared}) {self.result} {{ return {name}_in(n & 3, {outer}); }}"
                self.functions.append((name, ["u16", *params], self.result, bounded))
                return text
        body = [*head, *(self.statement(2) for _ in range(self.chance.randrange(2, 6)))]
        last = self.expr(self.result)

        def run(*values: Any) -> Any:
            v = {f"p{i}": value for i, value in enumerate(values)}
            try:
                for one in body:
                    one.run(v)
            except Returned as returned:
                return returned.args[0]
            return last.run(v)

        declared = ", ".join(f"p{i}: {kind}" for i, kind in enumerate(params))
        text = f"fn {name}({declared}) {self.result} {{ {' '.join(one.text for one in body)} return {last.text}; }}"
        self.functions.append((name, params, self.result, run))
        return text


class Program(NamedTuple):
    """text: the program, whose main writes the bits of the results at run time to `out`; `known` holds those at compile
    time.  wanted: the kind and value of each by the evaluator, with the call that it is of."""

    text: str
    wanted: list[tuple[str, str, Any]]


def bits_of(kind: str, text: str) -> str:
    """The bits of a value as u64, in CSL."""
    return f"@as(u64, {text})" if kind == "bool" else f"@as(u64, @bitcast(u{width(kind)}, {text}))"


def program(seed: int) -> Program:
    maker = Maker(seed)
    texts = [f"const S = struct {{ {', '.join(f'{name}: {kind}' for name, kind in maker.fields)} }};"]
    for i in range(FUNCTIONS):
        texts.append(maker.function(f"f{i}"))
    wanted: list[tuple[str, str, Any]] = []
    inputs: dict[str, list[str]] = {}
    known, calls = [], []
    for name, params, result, run in maker.functions:
        for _ in range(CALLS):
            literals = [maker.literal(param) for param in params]
            at_run_time = []
            for param, (text, _) in zip(params, literals, strict=True):
                inputs.setdefault(param, []).append(text)
                at_run_time.append(f"in_{param}[{len(inputs[param]) - 1}]")
            call = f"{name}({', '.join(text for text, _ in literals)})"
            called = bits_of(result, f"{name}({', '.join(at_run_time)})")
            calls.append(f"out[{len(wanted)}] = {called};")
            known.append(bits_of(result, call))
            wanted.append((call, result, run(*[value for _, value in literals])))
    for kind, items in inputs.items():
        texts.append(f"var in_{kind} = [{len(items)}]{kind}{{ {', '.join(items)} }};")
    texts.append(f"export var known = [{len(known)}]u64{{ {', '.join(known)} }};")
    texts.append(f"export var out: [{len(known)}]u64;")
    # a function for each result, so that no function becomes too large
    for i, call in enumerate(calls):
        texts.append(f"fn call{i}() void {{ {call} }}")
    texts.append(f"fn main() void {{ {' '.join(f'call{i}();' for i in range(len(calls)))} }}")
    return Program("\n".join(texts) + "\ncomptime { @export_symbol(main); }\n", wanted)


def differences(seed: int, folder: Path) -> list[str]:
    """What the three ways do not agree on."""
    from csl.running import read, write
    from wse.csl.codegen.link import link
    from wse.csl.compile import compile_program
    from wse.sdk.device import Device

    made = program(seed)
    arch = "wse2" if seed % 2 else "wse3"
    path = write(folder, made.text)
    found = []
    for level in LEVELS:
        loaded = Device(link(compile_program(path, arch), level=level))
        loaded.launch("main", ())
        loaded.run(cycles=100_000_000)
        out, known = (read(loaded, name).tolist() for name in ("out", "known"))
        for i, (call, kind, want) in enumerate(made.wanted):
            for how, got in ((f"run time, level {level}", out[i]), ("compile time", known[i])):
                if not same(kind, want, got):
                    found.append(f"{arch}: {call} of type {kind} is {got:#x} at {how}, not {want!r}")
    return list(dict.fromkeys(found))


def main() -> int:
    from csl import seeds

    return seeds.command(
        __doc__,
        "functions",
        2000,
        lambda seed: seeds.problems(lambda folder: differences(seed, folder)),
        size=FUNCTIONS,
    )


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))
    sys.exit(main())
