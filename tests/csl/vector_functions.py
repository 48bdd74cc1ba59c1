"""Random functions of CSL over descriptors: each is made as a text and an evaluator (random_vectors.py)."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from csl.random_functions import Code, Returned, apply, convert
from csl.vector_model import OPERATIONS, SIZE, Dsd, State, address, execute

KINDS = ("i16", "u16", "f16", "i32", "u32", "f32")  # of elements
LENGTH = 56  # of an array
MARGIN = 20  # elements before and behind those that a descriptor begins with
OFTEN = ("add16", "mov16", "mov32", "fadds", "fmuls", "fmacs", "faddh", "fmach", "fmovs", "sub16", "fsubs", "fmaxs")
OF_CODE = {"W": ("i16", "u16"), "D": ("i32", "u32"), "H": ("f16",), "S": ("f32",)}


class Left(Exception):
    """break or continue."""


class Maker:
    """Draws a program.  dropped: numbers of statements that are left out."""

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

    # ---- statements ----

    def block(self, depth: int, least: int = 1) -> Code:
        known = dict(self.names), dict(self.dsd_kinds), set(self.changing), set(self.is_4d)
        made = [self.statement(depth) for _ in range(self.chance.randrange(least, 4))]
        self.names, self.dsd_kinds, self.changing, self.is_4d = known

        def run(v: dict) -> None:
            for one in made:
                one.run(v)

        return Code("{ " + " ".join(one.text for one in made) + " }", run)

    def statement(self, depth: int) -> Code:
        number = self.statements
        self.statements += 1
        choices: list[Any] = [self.operation] * 7 + [self.reduction] * 2 + [self.assign, self.set_element]
        choices += [self.new_scalar, self.new_dsd, self.change_dsd, self.change_dsd]
        if not self.in_map:
            choices += [self.register, self.pair, self.table]
            if self.maps:
                choices += [self.map] * 2
            if self.helpers:
                choices += [self.call] * 2
        if depth > 0:
            choices += [self.branch, self.branch, self.switch]
            if self.depth_of_loops < 2:
                choices += [self.loop] * 4
            if self.depth_of_loops < 1:
                choices += [self.many]
        if self.depth_of_loops:
            choices += [self.leave]
        if self.result is not None:
            choices += [self.ret]
        what = self.pick(choices)
        made = what(depth)
        if number in self.dropped and what not in (self.new_scalar, self.new_dsd):
            return Code("", lambda v: None)
        return made

    def operand(self, code: str, v_scalar: float) -> Code:
        """A source: a descriptor, a scalar, or a pointer to one."""
        if self.chance.random() < v_scalar:
            kind = self.pick(OF_CODE[code])
            if self.chance.random() < 0.3:
                return self.pointer(kind)
            value = self.scalar(kind, 1)
            if code in "WD":
                return Code(value.text, lambda v: [value.run(v) & 0xFFFFFFFF])
            return Code(value.text, lambda v: [value.run(v)])
        return self.walked(code)

    def walked(self, code: str) -> Code:
        """A descriptor for an operation; one on 16 bits also takes halves of wider integers."""
        if code == "W" and self.chance.random() < 0.1:
            return self.dsd(self.pick(("i32", "u32")), 2, one=True)
        return self.dsd(self.pick(OF_CODE[code]), 2)

    def pointer(self, kind: str) -> Code:
        if self.chance.random() < 0.5:
            return Code(f"&g_{kind}", lambda v: (f"g_{kind}", 0))
        array = f"a{self.chance.randrange(2)}_{kind}"
        if self.chance.random() < 0.5:
            at = self.chance.randrange(LENGTH)
            return Code(f"&{array}[{at}]", lambda v: (array, at * SIZE[kind]))
        index = self.index()
        return Code(f"&{array}[{index.text}]", lambda v: (array, index.run(v) * SIZE[kind]))

    def vector(self, dst: Code, name: str, sources: list[Code]) -> Code:
        codes = OPERATIONS[name]
        factor = self.scalar(OF_CODE[codes[3]][0], 1) if len(codes) == 4 else None
        listed = [dst, *sources, *([factor] if factor else [])]

        def run(v: dict) -> None:
            made = [one.run(v) for one in listed]
            execute(v["@"], name, made[0], made[1 : 1 + len(sources)], made[-1] if factor else None)

        return Code(f"@{name}({', '.join(one.text for one in listed)});", run)

    def operation(self, depth: int) -> Code:
        name = self.pick(OFTEN) if self.chance.random() < 0.5 else self.pick(OPERATIONS)
        codes = OPERATIONS[name]
        sources = [self.operand(code, 0.25) for code in codes[1:3]]
        return self.vector(self.walked(codes[0]), name, sources)

    def reduction(self, depth: int) -> Code:
        name = self.pick([n for n, codes in OPERATIONS.items() if len(codes) > 2] + ["fmovs", "mov16", "mov32", "fs2h"])
        codes = OPERATIONS[name]
        to = self.pointer(self.pick(OF_CODE[codes[0]]))
        sources = [self.operand(code, 0.2) for code in codes[1:3]]
        if self.chance.random() < 0.6 and len(codes) > 2 and codes[0] == codes[1]:
            sources[0] = to
        return self.vector(to, name, sources)

    def new_scalar(self, depth: int) -> Code:
        kind, name = self.pick(KINDS), self.name("x")
        value = self.scalar(kind)
        self.names[name] = kind
        return Code(f"var {name}: {kind} = {value.text};", lambda v: v.__setitem__(name, value.run(v)))

    def assign(self, depth: int) -> Code:
        local = [name for name in self.names if name[0] == "x"]
        name = self.pick([*local, *self.globals])
        kind = self.names.get(name) or self.globals[name]
        value, op = self.scalar(kind), self.pick(["", "+"])

        def run(v: dict) -> None:
            made = value.run(v)
            if name in self.globals:
                old = v["@"].load(name, 0, kind)
                v["@"].store(name, 0, kind, apply("+", kind, old, made) if op else made)
            else:
                v[name] = apply("+", kind, v[name], made) if op else made

        return Code(f"{name} {op}= {value.text};", run)

    def set_element(self, depth: int) -> Code:
        kind = self.pick(KINDS)
        array, at, value = f"a{self.chance.randrange(2)}_{kind}", self.index(), self.scalar(kind)

        def run(v: dict) -> None:
            made = value.run(v)
            v["@"].store(array, at.run(v) * SIZE[kind], kind, made)

        return Code(f"{array}[{at.text}] = {value.text};", run)

    def new_dsd(self, depth: int) -> Code:
        kind, word = self.pick(KINDS), self.pick(("var", "var", "const"))
        value = self.dsd(kind, 2, one=True)
        name = self.name("d")
        self.dsd_kinds[name] = kind
        if word == "var":
            self.changing.add(name)
        return Code(f"{word} {name} = {value.text};", lambda v: v.__setitem__(name, value.run(v)))

    def change_dsd(self, depth: int) -> Code:
        name = self.pick(sorted(self.changing))
        kind = self.dsd_kinds[name]
        if self.chance.random() < 0.5:
            by = self.pick([-1, 1, 1])
            value = Code(
                f"@increment_dsd_offset({name}, {by}, {kind})",
                lambda v: self.moved(self.value(v, name), by * SIZE[kind]),
            )
        else:
            value = self.dsd(kind, 2, one=True)

        def run(v: dict) -> None:
            made = value.run(v)
            if name in v:
                v[name] = made
            else:
                v["@"].dsds[name] = made

        return Code(f"{name} = {value.text};", run)

    def register(self, depth: int) -> Code:
        """Explicit DSRs, which may keep the address that an operation leaves, for a number of operations."""
        name = self.pick([n for n, codes in OPERATIONS.items() if len(codes) == 3 and n != "faddhs"])
        codes, loaded = OPERATIONS[name], []
        files = (("dest", 1 + self.chance.randrange(2)), ("src0", 3), ("src1", 1))
        operands: list[Code] = []
        for (file, number), code in zip(files, codes, strict=True):
            if file != "dest" and self.chance.random() < 0.3:
                operands.append(self.operand(code, 0.3))
                continue
            dsr = f"@get_dsr(dsr_{file}, {number})"
            source, save = self.dsd(self.pick(OF_CODE[code]), 1, one=True), self.chance.random() < 0.6
            loaded.append((dsr, source, save))
            operands.append(Code(dsr, lambda v, dsr=dsr: dsr))
        count = self.chance.randrange(1, 4)
        step = self.vector(operands[0], name, operands[1:])
        text = " ".join(
            f"@load_to_dsr({dsr}, {source.text}{', .{ .save_address = true }' if save else ''});"
            for dsr, source, save in loaded
        )

        def run(v: dict) -> None:
            for dsr, source, save in loaded:
                v["@"].dsrs[dsr] = [source.run(v), save]
            for _ in range(count):
                step.run(v)

        if self.chance.random() < 0.5:
            return Code(f"{text} {' '.join([step.text] * count)}", run)
        return Code(f"{text} for (@range(i16, {count})) |_| {{ {step.text} }}", run)

    def pair(self, depth: int) -> Code:
        """A struct with a descriptor."""
        kind, name = self.pick(KINDS), self.name("s")
        first, changed = self.dsd(kind, 1, one=True), self.small(0, 2)
        op = {"i16": "add16", "u16": "xor16", "f16": "faddh", "i32": "mov32", "u32": "mov32", "f32": "fadds"}[kind]
        field = Code(f"{name}.d", lambda v: v[name])
        source = self.dsd(kind, 2)
        step = self.vector(field, op, [source, field][: len(OPERATIONS[op]) - 1])
        text = (
            f"var {name} = Pair{{ .d = {first.text}, .n = {changed.text} }}; {step.text} "
            f"{name}.d = @increment_dsd_offset({name}.d, {name}.n, {kind}); {step.text}"
        )

        def run(v: dict) -> None:
            v[name] = first.run(v)
            by = changed.run(v)
            step.run(v)
            v[name] = self.moved(v[name], by * SIZE[kind])
            step.run(v)

        return Code(text, run)

    def table(self, depth: int) -> Code:
        """An array of descriptors."""
        kind, name = self.pick(("f32", "i16", "f16")), self.name("t")
        items = [self.dsd(kind, 1, one=True) for _ in range(3)]
        which = self.small(0, 1)
        op = {"i16": "sub16", "f16": "faddh", "f32": "fadds"}[kind]
        entry = Code(f"{name}[{which.text} + 1]", lambda v: v[name][which.run(v) + 1])
        step = self.vector(entry, op, [entry, self.dsd(kind, 1)])

        def run(v: dict) -> None:
            v[name] = [item.run(v) for item in items]
            step.run(v)

        return Code(f"var {name} = [3]mem1d_dsd{{ {', '.join(item.text for item in items)} }}; {step.text}", run)

    def many(self, depth: int) -> Code:
        """A loop over more constant descriptors than there are DSRs for."""
        name = self.pick(("fadds", "fsubs", "faddh", "add16"))
        code = OPERATIONS[name][0]

        def constant() -> Code:
            return self.constant(self.pick(OF_CODE[code]))

        steps = [self.vector(constant(), name, [constant(), constant()]) for _ in range(self.chance.randrange(5, 14))]
        count = self.chance.randrange(1, 4)

        def run(v: dict) -> None:
            for _ in range(count):
                for step in steps:
                    step.run(v)

        return Code(f"for (@range(u16, {count})) |_| {{ {' '.join(step.text for step in steps)} }}", run)

    def branch(self, depth: int) -> Code:
        test, yes = self.test(), self.block(depth - 1)
        if self.chance.random() < 0.4:
            return Code(f"if ({test.text}) {yes.text}", lambda v: yes.run(v) if test.run(v) else None)
        no = self.block(depth - 1)
        return Code(f"if ({test.text}) {yes.text} else {no.text}", lambda v: (yes if test.run(v) else no).run(v))

    def switch(self, depth: int) -> Code:
        value, arms = self.small(0, 2), [self.block(depth - 1) for _ in range(3)]
        text = f"switch ({value.text}) {{ 0 => {arms[0].text}, 1, 2 => {arms[1].text}, else => {arms[2].text} }}"

        def run(v: dict) -> None:
            n = value.run(v)
            arms[0 if n == 0 else 1 if n in (1, 2) else 2].run(v)

        return Code(text, run)

    def leave(self, depth: int) -> Code:
        test, word = self.test(), self.pick(("break", "continue"))

        def run(v: dict) -> None:
            if test.run(v):
                raise Left(word)

        return Code(f"if ({test.text}) {word};", run)

    def loop(self, depth: int) -> Code:
        item, kind = self.name("k"), self.pick(("i16", "u16"))
        least = self.chance.random() < 0.5
        self.depth_of_loops += 1
        number = self.chance.randrange(5)
        if least:
            count = Code(str(number), lambda v: number)
        else:
            count = self.small(0, 2, kind)
        self.names[item] = kind
        body = self.block(depth - 1, 1)
        del self.names[item]
        self.depth_of_loops -= 1

        def rounds(v: dict, numbers: range) -> None:
            for i in numbers:
                v["@"].step()
                v[item] = i
                try:
                    body.run(v)
                except Left as left:
                    if left.args[0] == "break":
                        break

        if least and self.chance.random() < 0.6:
            if self.chance.random() < 0.3:
                text = f"for (@range({kind}, 1, {number + 2}, 2)) |{item}| {body.text}"
                return Code(text, lambda v: rounds(v, range(1, number + 2, 2)))
            return Code(
                f"for (@range({kind}, {count.text})) |{item}| {body.text}", lambda v: rounds(v, range(count.run(v)))
            )
        bound = self.name("n")
        text = (
            f"{{ const {bound}: {kind} = {count.text}; var {item}: {kind} = 0; "
            f"while ({item} < {bound}) : ({item} += 1) {body.text} }}"
        )
        return Code(text, lambda v: rounds(v, range(count.run(v))))

    def ret(self, depth: int) -> Code:
        assert self.result is not None
        test = self.test()
        value = self.scalar(self.result) if self.result != "void" else None

        def run(v: dict) -> None:
            if test.run(v):
                raise Returned(value.run(v) if value else None)

        return Code(f"if ({test.text}) return{' ' + value.text if value else ''};", run)

    # ---- functions ----

    def call(self, depth: int) -> Code:
        name, params, result, body = self.pick(self.helpers)
        args = [self.dsd(kind, 2, one=True) if what == "dsd" else self.scalar(kind, 1) for what, kind in params]
        text = f"{name}({', '.join(arg.text for arg in args)})"
        if result == "void":
            return Code(f"{text};", lambda v: body(v["@"], [arg.run(v) for arg in args]))
        to = f"g_{result}"

        def run(v: dict) -> None:
            v["@"].store(to, 0, result, body(v["@"], [arg.run(v) for arg in args]))

        return Code(f"{to} = {text};", run)

    def function(
        self, name: str, params: list[tuple[str, str]], result: str, word: str = "fn", size: int = 3
    ) -> Callable:
        """Adds a function to the texts; its evaluator.  params: ("dsd" or "scalar", kind)."""
        names = [self.name("p") for _ in params]
        known = dict(self.dsd_kinds), set(self.changing)
        self.names = {p: kind for p, (what, kind) in zip(names, params, strict=True) if what == "scalar"}
        self.dsd_kinds |= {p: kind for p, (what, kind) in zip(names, params, strict=True) if what == "dsd"}
        self.result = result
        body = [self.statement(2) for _ in range(self.chance.randrange(1, size + 1))]
        last = self.scalar(result) if result != "void" else None
        self.dsd_kinds, self.changing = known
        declared = ", ".join(
            f"{p}: {'mem1d_dsd' if what == 'dsd' else kind}" for p, (what, kind) in zip(names, params, strict=True)
        )
        end = f" return {last.text};" if last else ""
        self.texts.append(f"{word} {name}({declared}) {result} {{ {' '.join(one.text for one in body)}{end} }}")
        self.result = None

        def run(state: State, values: list) -> Any:
            v = {"@": state, **dict(zip(names, values, strict=True))}
            try:
                for one in body:
                    one.run(v)
            except Returned as returned:
                return returned.args[0]
            return last.run(v) if last else None

        return run

    def helper(self) -> None:
        params = [(self.pick(("dsd", "dsd", "scalar")), self.pick(KINDS)) for _ in range(self.chance.randrange(1, 4))]
        result, name = self.pick(("void", "void", *KINDS)), self.name("h")
        helpers, self.helpers = self.helpers, self.helpers[:1]
        made = self.function(name, params, result, self.pick(("fn", "fn", "inline fn")), 3)
        self.helpers = [*helpers, (name, params, result, made)]

    def chooser(self, kind: str) -> None:
        """A function whose result is a descriptor."""
        name, other, size = self.name("q"), self.constant(kind, many=False), SIZE[kind]
        self.texts.append(
            f"fn {name}(d: mem1d_dsd, by: i16) mem1d_dsd {{ if (by > 2) return {other.text}; "
            f"return @increment_dsd_offset(d, by, {kind}); }}"
        )
        fixed = other.run({})
        self.choosers[kind] = name, lambda d, by: fixed if by > 2 else self.moved(d, by * size)

    def mapped(self) -> None:
        """A function for @map."""
        kinds = [self.pick(KINDS) for _ in range(self.chance.randrange(1, 4))]
        result, name = self.pick(("void", *KINDS, *KINDS)), self.name("m")
        self.in_map = True
        made = self.function(name, [("scalar", kind) for kind in kinds], result, "fn", self.pick((1, 1, 2)))
        self.in_map = False
        self.maps.append((name, kinds, result, made))

    def map(self, depth: int) -> Code:
        name, kinds, result, body = self.pick(self.maps)
        inputs: list[Code] = []
        for i, kind in enumerate(kinds):
            if i and self.chance.random() < 0.3:
                if self.chance.random() < 0.4:
                    inputs.append(self.pointer(kind))
                else:
                    value = self.scalar(kind, 1)
                    inputs.append(Code(value.text, lambda v, value=value: [value.run(v)]))
            else:
                inputs.append(self.dsd(kind, 2))
        outs = [] if result == "void" else [self.pointer(result) if self.chance.random() < 0.2 else self.dsd(result, 1)]

        def run(v: dict) -> None:
            state = v["@"]
            given, to = [one.run(v) for one in inputs], [one.run(v) for one in outs]
            length = min(one.length for one in given if isinstance(one, Dsd))
            for i in range(length):
                state.step()
                values = []
                for one, kind in zip(given, kinds, strict=True):
                    if isinstance(one, Dsd):
                        values.append(state.load(one.array, address(one, i, SIZE[kind]), kind))
                    else:
                        values.append(state.load(*one, kind) if isinstance(one, tuple) else one[0])
                made = body(state, values)
                for one in to:
                    if isinstance(one, Dsd):
                        state.store(one.array, address(one, i, SIZE[result]), result, made)
                    else:
                        state.store(*one, result, made)

        listed = ", ".join(one.text for one in (*inputs, *outs))
        return Code(f"@map({name}, {listed});", run)
