"""Random descriptors and scalars of CSL, each with an evaluator: the part of vector_functions.py without statements."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from csl.random_functions import Code, apply, convert
from csl.vector_model import SIZE, Dsd, State

KINDS = ("i16", "u16", "f16", "i32", "u32", "f32")  # of elements
LENGTH = 56  # of an array
MARGIN = 20  # elements before and behind those that a descriptor begins with
OFTEN = ("add16", "mov16", "mov32", "fadds", "fmuls", "fmacs", "faddh", "fmach", "fmovs", "sub16", "fsubs", "fmaxs")
OF_CODE = {"W": ("i16", "u16"), "D": ("i32", "u32"), "H": ("f16",), "S": ("f32",)}


class Expressions:
    """Draws declarations and expressions.  dropped: numbers of statements that are left out."""

    def __init__(self, seed: Any, dropped: frozenset[int] = frozenset()):
        self.chance = random.Random(seed)
        self.dropped, self.statements = dropped, 0
        self.count = 0
        self.arrays: dict[str, tuple[str, list]] = {}
        self.texts: list[str] = []
        self.constants: dict[str, Code] = {}  # descriptors of the program by name; kind in dsd_kinds
        self.dsd_kinds: dict[str, str] = {}
        self.is_4d: set[str] = set()
        self.helpers: list[tuple[str, list[tuple[str, str]], str, Callable]] = []
        self.maps: list[tuple[str, list[str], str, Callable]] = []
        self.choosers: dict[str, tuple[str, Callable]] = {}
        self.names: dict[str, str] = {}  # scalar variables of the function
        self.globals: dict[str, str] = {}
        self.changing: set[str] = set()  # descriptor variables that statements may change
        self.init: dict[str, Callable[[State], Dsd]] = {}
        self.depth_of_loops = 0
        self.in_map = False
        self.result: str | None = None

    def name(self, letter: str) -> str:
        self.count += 1
        return f"{letter}{self.count}"

    def pick(self, items: Any) -> Any:
        return self.chance.choice(list(items))

    # ---- declarations of the program ----

    def number(self, kind: str) -> Any:
        if kind in ("f16", "f32"):
            return self.pick([0.0, 1.0, -1.0, 0.5, 2.0, -3.25, 7.0, 0.125, -0.75, 100.0, 1.5])
        low = -(1 << 8 * SIZE[kind] - 1) if kind[0] == "i" else 0
        high = (1 << 8 * SIZE[kind] - (kind[0] == "i")) - 1
        return self.pick([0, 1, 2, 3, 5, 17, 1000, high, low, self.chance.randint(low, high)])

    def declare(self) -> None:
        for kind in KINDS:
            for i in range(2):
                values = [self.number(kind) for _ in range(LENGTH)]
                self.arrays[f"a{i}_{kind}"] = kind, values
                listed = ", ".join(repr(value) for value in values)
                self.texts.append(f"export var a{i}_{kind} = [{LENGTH}]{kind}{{ {listed} }};")
            value = self.number(kind)
            self.arrays[f"g_{kind}"] = kind, [value]
            self.globals[f"g_{kind}"] = kind
            self.texts.append(f"export var g_{kind}: {kind} = {value!r};")
            for _ in range(3):
                self.descriptor(kind, "const")
            self.descriptor(kind, "var")
        self.texts.append("const Pair = struct { d: mem1d_dsd, n: i16 };")

    def descriptor(self, kind: str, word: str) -> None:
        name = self.name("c" if word == "const" else "v")
        made = self.constant(kind, many=word == "const")
        self.texts.append(f"{word} {name} = {made.text};")
        self.dsd_kinds[name] = kind
        if "mem4d" in made.text:
            self.is_4d.add(name)
        if word == "const":
            fixed = made.run({})
            self.constants[name] = Code(name, lambda v: fixed)
        else:
            self.changing.add(name)
            self.init[name] = lambda state: made.run({})

    def constant(self, kind: str, many: bool = True) -> Code:
        """@get_dsd of constants."""
        array, size = f"a{self.chance.randrange(2)}_{kind}", SIZE[kind]
        first = self.chance.randrange(MARGIN, LENGTH - MARGIN)
        form = self.chance.randrange(4 if many else 3)
        length = self.pick([0, 1, 2, 3, 4, 5, 6])
        stride = self.pick([1, 1, 1, 2, 3, -1, -2])
        if form == 3:
            outer, inner = self.chance.randrange(1, 4), self.chance.randrange(1, 4)
            by, step = self.pick([1, 3, 4, -3]), self.pick([1, 1, 2, -1])
            access = f"|i, j|{{{outer}, {inner}}} -> {array}[{first} + {by} * i + {step} * j]"
            dsd = Dsd(array, first * size, outer * inner, step, ((outer, by), (inner, step)), size)
            return Code(f"@get_dsd(mem4d_dsd, .{{ .tensor_access = {access} }})", lambda v: dsd)
        dsd = Dsd(array, first * size, length, stride, (), size)
        if form == 0:
            text = f".base_address = &{array}[{first}], .extent = {length}, .stride = {stride}"
        elif form == 1:
            text = f".base_address = &{array}, .extent = {length}, .stride = {stride}, .offset = {first}"
        else:
            text = f".tensor_access = |i|{{{length}}} -> {array}[{stride} * i + {first}]"
        return Code(f"@get_dsd(mem1d_dsd, .{{ {text} }})", lambda v: dsd)

    # ---- scalar expressions ----

    def scalar(self, kind: str, depth: int = 2) -> Code:
        known = [name for name, of in self.names.items() if of == kind]
        choice = self.chance.random()
        if depth <= 0 or choice < 0.3:
            if known and self.chance.random() < 0.6:
                name = self.pick(known)
                return Code(name, lambda v: v[name])
            if self.chance.random() < 0.3:
                name = f"g_{kind}"
                return Code(name, lambda v: v["@"].load(name, 0, kind))
            value = self.number(kind)
            return Code(f"@as({kind}, {value!r})", lambda v: value)
        if choice < 0.5:
            return self.element_of(kind, depth)
        if choice < 0.6:
            source = self.pick(("i16", "u16", "i32", "u32")) if kind not in ("f16", "f32") else self.pick(("i16", kind))
            a = self.scalar(source, depth - 1)
            return Code(f"@as({kind}, {a.text})", lambda v: convert(source, kind, a.run(v)))
        if choice < 0.7:
            test, a, b = self.test(depth - 1), self.scalar(kind, depth - 1), self.scalar(kind, depth - 1)
            return Code(f"(if ({test.text}) {a.text} else {b.text})", lambda v: (a if test.run(v) else b).run(v))
        op = self.pick("+-*" if kind in ("f16", "f32") else "+-*&|^")
        a, b = self.scalar(kind, depth - 1), self.scalar(kind, depth - 1)
        return Code(f"({a.text} {op} {b.text})", lambda v: apply(op, kind, a.run(v), b.run(v)))

    def index(self, depth: int = 1) -> Code:
        """An index of an array."""
        a = self.scalar(self.pick(("i16", "u16", "i32")), depth)
        return Code(f"({a.text} & 31)", lambda v: a.run(v) & 31)

    def element_of(self, kind: str, depth: int) -> Code:
        array, at = f"a{self.chance.randrange(2)}_{kind}", self.index(depth - 1)
        return Code(f"{array}[{at.text}]", lambda v: v["@"].load(array, at.run(v) * SIZE[kind], kind))

    def small(self, low: int, bits: int, kind: str = "i16") -> Code:
        """A number from low on, below low + 2^bits."""
        a = self.scalar(kind, 1)
        mask = (1 << bits) - 1
        text = f"(({a.text} & {mask}) - {-low})" if low < 0 else f"({a.text} & {mask})"
        return Code(text, lambda v: (a.run(v) & mask) + min(low, 0))

    def test(self, depth: int = 1) -> Code:
        kind, op = self.pick(KINDS), self.pick(("==", "!=", "<", "<=", ">", ">="))
        a, b = self.scalar(kind, depth), self.scalar(kind, depth)
        return Code(f"({a.text} {op} {b.text})", lambda v: apply(op, kind, a.run(v), b.run(v)))

    # ---- descriptors ----

    def dsd(self, kind: str, depth: int = 2, one: bool = False) -> Code:
        """A descriptor over elements of the kind.  one: a mem1d_dsd."""
        names = [name for name, of in self.dsd_kinds.items() if of == kind and not (one and name in self.is_4d)]
        choice = self.chance.random()
        if depth <= 0 or choice < 0.45:
            if names and self.chance.random() < 0.8:
                name = self.pick(names)
                return self.constants.get(name) or Code(name, lambda v: self.value(v, name))
            return self.constant(kind, many=not one)
        if choice < 0.49:
            test, a, b = self.test(0), self.dsd(kind, depth - 1, True), self.dsd(kind, depth - 1, True)
            return Code(f"(if ({test.text}) {a.text} else {b.text})", lambda v: (a if test.run(v) else b).run(v))
        if choice < 0.53 and kind in self.choosers and depth > 1:
            name, body = self.choosers[kind]
            given, by = self.dsd(kind, 0, True), self.small(0, 2)
            return Code(f"{name}({given.text}, {by.text})", lambda v: body(given.run(v), by.run(v)))
        if choice < 0.6:
            inner, by = self.dsd(kind, depth - 1, one), self.small(-2, 2)
            size = SIZE[kind]
            return Code(
                f"@increment_dsd_offset({inner.text}, {by.text}, {kind})",
                lambda v: self.moved(inner.run(v), by.run(v) * size),
            )
        inner = self.dsd(kind, depth - 1, one=True)
        if choice < 0.7:
            length = self.small(0, 3, "u16")
            return Code(
                f"@set_dsd_length({inner.text}, {length.text})", lambda v: inner.run(v)._replace(length=length.run(v))
            )
        if choice < 0.78:
            stride = self.pick([-2, -1, 0, 1, 2, 3])
            return Code(f"@set_dsd_stride({inner.text}, {stride})", lambda v: inner.run(v)._replace(stride=stride))
        if choice < 0.84:
            step = self.small(-1, 2)
            return Code(
                f"@set_dsd_stride({inner.text}, @as(i8, {step.text}))",
                lambda v: inner.run(v)._replace(stride=step.run(v)),
            )
        array = f"a{self.chance.randrange(2)}_{kind}"
        if choice < 0.94:
            at = self.chance.randrange(MARGIN, LENGTH - MARGIN)
            return Code(
                f"@set_dsd_base_addr({inner.text}, &{array}[{at}])",
                lambda v: inner.run(v)._replace(array=array, at=at * SIZE[kind]),
            )
        at, length = self.small(0, 3), self.small(0, 2, "u16")
        return Code(
            f"@get_dsd(mem1d_dsd, .{{ .base_address = &{array}[20 + {at.text}], .extent = {length.text} }})",
            lambda v: Dsd(array, (20 + at.run(v)) * SIZE[kind], length.run(v), 1, (), SIZE[kind]),
        )

    @staticmethod
    def moved(dsd: Dsd, by: int) -> Dsd:
        return dsd._replace(at=dsd.at + by)

    @staticmethod
    def value(v: dict, name: str) -> Dsd:
        return v[name] if name in v else v["@"].dsds[name]
