"""Random functions of CSL over descriptors: each is made as a text and an evaluator (random_vectors.py)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from csl.random_functions import Code, Returned, apply
from csl.vector_expressions import KINDS, LENGTH, MARGIN, OF_CODE, OFTEN, Expressions
from csl.vector_model import OPERATIONS, SIZE, WALKED, Dsd, State, execute


class Left(Exception):
    """break or continue."""


class Maker(Expressions):
    """Draws a program."""

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
        choices += [self.new_scalar, self.new_dsd, self.change_dsd, self.change_dsd, self.new_4d]
        choices += [self.pair, self.table]
        if not self.in_map:
            choices += [self.register, self.circular]
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
        if number in self.dropped and what not in (self.new_scalar, self.new_dsd, self.new_4d):
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

    def new_4d(self, depth: int) -> Code:
        """A variable that is a mem4d_dsd, and changes."""
        kind, word = self.pick(KINDS), self.pick(("var", "var", "const"))
        known = [name for name, of in self.dsd_kinds.items() if of == kind and name in self.is_4d]
        if not known:
            return self.new_dsd(depth)
        source, name = self.pick(known), self.name("e")
        inner = self.constants.get(source) or Code(source, lambda v: self.value(v, source))
        value = self.moved_4d(inner, kind)
        self.dsd_kinds[name] = kind
        self.is_4d.add(name)
        text = f"{word} {name} = {value.text};"
        if word == "const":
            return Code(text, lambda v: v.__setitem__(name, value.run(v)))
        again = self.moved_4d(Code(name, lambda v: v[name]), kind)

        def run(v: dict) -> None:
            v[name] = value.run(v)
            v[name] = again.run(v)

        return Code(f"{text} {name} = {again.text};", run)

    def moved_4d(self, inner: Code, kind: str) -> Code:
        if self.chance.random() < 0.5:
            by, size = self.small(-2, 2), SIZE[kind]
            return Code(
                f"@increment_dsd_offset({inner.text}, {by.text}, {kind})",
                lambda v: self.moved(inner.run(v), by.run(v) * size),
            )
        array, at = f"a{self.chance.randrange(2)}_{kind}", self.chance.randrange(MARGIN, LENGTH - MARGIN)
        return Code(
            f"@set_dsd_base_addr({inner.text}, &{array}[{at}])",
            lambda v: inner.run(v)._replace(array=array, at=at * SIZE[kind]),
        )

    def circular(self, depth: int) -> Code:
        """A circular buffer in a DSR, which continues where the operation before ended."""
        name = self.pick(("fadds", "faddh", "add16", "xor16"))
        code = OPERATIONS[name][0]
        kind = self.pick(OF_CODE[code])
        array, size, first = (
            f"a{self.chance.randrange(2)}_{kind}",
            self.chance.randrange(2, 9),
            self.chance.randrange(8),
        )
        extent, start = self.chance.randrange(1, size + 1), self.chance.randrange(LENGTH - 20)
        buffer = f"&{array}[{start}]" if start else f"&{array}"
        dsd = Dsd(array, start * SIZE[kind], extent, 1, (), SIZE[kind], (start * SIZE[kind], size * SIZE[kind]))
        dsr, xdsr = f"@get_dsr(dsr_src1, {4 + first})", f"@get_xdsr({self.chance.randrange(16)})"
        save = self.chance.random() < 0.7
        made = f"@get_dsd(circbuf_dsd, .{{ .base_address = {buffer}, .extent = {extent}, .wraparound = {size} }})"
        text = f"@load_to_dsr_xdsr({dsr}, {xdsr}, {made}{', .{ .save_address = true }' if save else ''});"
        step = self.vector(self.dsd(kind, 1), name, [self.dsd(kind, 1), Code(dsr, lambda v: dsr)])
        count = self.chance.randrange(1, 4)

        def run(v: dict) -> None:
            v["@"].dsrs[dsr] = [dsd, save]
            for _ in range(count):
                step.run(v)

        return Code(f"{text} {' '.join([step.text] * count)}", run)

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
        return self.mapping(name, kinds, result, body, inputs, outs)

    def mapping(self, name: str, kinds: list[str], result: str, body: Callable, inputs: list[Code], outs: list[Code]):
        def run(v: dict) -> None:
            state = v["@"]
            given, to = [one.run(v) for one in inputs], [one.run(v) for one in outs]
            length = min(one.length for one in given if isinstance(one, WALKED))
            for i in range(length):
                state.step()
                values = []
                for one, kind in zip(given, kinds, strict=True):
                    if isinstance(one, WALKED):
                        values.append(state.take(one, i, kind))
                    else:
                        values.append(state.load(*one, kind) if isinstance(one, tuple) else one[0])
                made = body(state, values)
                if any(isinstance(one, WALKED) and i >= one.length for one in to):
                    break  # the destination has no element for it
                for one in to:
                    if isinstance(one, WALKED):
                        state.give(one, i, result, made)
                    else:
                        state.store(*one, result, made)

        listed = ", ".join(one.text for one in (*inputs, *outs))
        return Code(f"@map({name}, {listed});", run)
