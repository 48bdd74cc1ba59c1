"""Random functions give the same at compile time, by the interpreter, as at run time, by the code that is generated."""

import random

import pytest

from csl.running import read, run

TYPES = ["i8", "u8", "i16", "u16", "i32", "u32"]


class Maker:
    """Random functions of two arguments, all of whose variables have one type."""

    def __init__(self, seed: int):
        self.chance = random.Random(seed)
        self.kind = self.chance.choice(TYPES)
        self.names = ["a", "b"]
        self.loops = 0

    def number(self) -> str:
        top = 127 if self.kind[0] == "i" else 255
        return str(self.chance.choice([0, 1, 2, 3, 7, 100, top, self.chance.randrange(top)]))

    def atom(self) -> str:
        return self.chance.choice(self.names) if self.chance.random() < 0.7 else f"@as({self.kind}, {self.number()})"

    def expr(self, depth: int = 3) -> str:
        if depth == 0 or self.chance.random() < 0.2:
            return self.atom()
        a, b = self.expr(depth - 1), self.expr(depth - 1)
        match self.chance.randrange(7):
            case 0:
                return f"({a} {self.chance.choice('/%')} ({b} | 1))"
            case 1:
                return f"({a} {self.chance.choice(['<<', '>>'])} @as(u8, {b} & 7))"
            case 2:
                return f"(if ({self.cond(depth - 1)}) {a} else {b})"
            case 3:
                return f"(~{a} - {b})" if self.chance.random() < 0.5 else f"(-{a})"
            case 4:
                other = self.chance.choice(TYPES)
                return f"@as({self.kind}, @as({other}, {a}))"
        return f"({a} {self.chance.choice(['+', '-', '*', '&', '|', '^'])} {b})"

    def cond(self, depth: int = 2) -> str:
        if depth > 0 and self.chance.random() < 0.3:
            return f"({self.cond(depth - 1)} {self.chance.choice(['and', 'or'])} {self.cond(depth - 1)})"
        if self.chance.random() < 0.1:
            return f"!({self.cond(0)})"
        return f"{self.expr(1)} {self.chance.choice(['==', '!=', '<', '<=', '>', '>='])} {self.expr(1)}"

    def block(self, depth: int) -> str:
        known = len(self.names)
        made = " ".join(self.statement(depth) for _ in range(self.chance.randrange(1, 4)))
        del self.names[known:]
        return f"{{ {made} }}"

    def statement(self, depth: int) -> str:
        choice = self.chance.randrange(9)
        if choice < 2 or depth == 0:
            name = f"v{len(self.names)}_{self.chance.randrange(1000)}"
            made = f"var {name}: {self.kind} = {self.expr()};"
            self.names.append(name)
            return made
        variables = self.names[2:]
        if choice < 5 and variables:
            return f"{self.chance.choice(variables)} {self.chance.choice(['=', '+=', '-=', '*=', '^='])} {self.expr()};"
        if choice < 7:
            other = f" else {self.block(depth - 1)}" if self.chance.random() < 0.5 else ""
            return f"if ({self.cond()}) {self.block(depth - 1)}{other}"
        if choice == 7 and self.loops < 2:
            self.loops += 1
            index = f"i{self.loops}"
            leave = self.chance.choice(["", f"if ({self.cond()}) break;", f"if ({self.cond()}) continue;"])
            return f"for (@range(i16, {self.chance.randrange(6)})) |{index}| {{ _ = {index}; {leave} {self.block(depth - 1)[1:]}"
        return f"if ({self.cond()}) return {self.expr()};"

    def function(self, name: str) -> str:
        self.names = ["a", "b"]
        self.loops = 0
        body = " ".join(self.statement(3) for _ in range(self.chance.randrange(2, 7)))
        return f"fn {name}(a: {self.kind}, b: {self.kind}) {self.kind} {{ {body} return {self.expr()}; }}"


def program(seed: int) -> tuple[str, int]:
    maker = Maker(seed)
    kind, count = maker.kind, 6
    low, high = (-128, 127) if kind[0] == "i" else (0, 255)
    pairs = [(maker.chance.randint(low, high), maker.chance.randint(low, high)) for _ in range(4)]
    functions = [maker.function(f"f{i}") for i in range(count)]
    n = count * len(pairs)
    calls = [f"f{i}(xs[{k}], ys[{k}])" for i in range(count) for k in range(len(pairs))]
    known = [f"f{i}({x}, {y})" for i in range(count) for x, y in pairs]
    return (
        "\n".join(functions)
        + f"""
var xs = [{len(pairs)}]{kind}{{ {", ".join(str(x) for x, _ in pairs)} }};
var ys = [{len(pairs)}]{kind}{{ {", ".join(str(y) for _, y in pairs)} }};
var out = @zeros([{n}]{kind});
var folded = [{n}]{kind}{{ {", ".join(known)} }};
var out_ptr: [*]{kind} = &out;
var folded_ptr: [*]{kind} = &folded;
fn main() void {{
  {" ".join(f"out[{i}] = {call};" for i, call in enumerate(calls))}
}}
comptime {{
  @export_symbol(out_ptr, "out");
  @export_symbol(folded_ptr, "folded");
  @export_symbol(main);
}}
""",
        n,
    )


@pytest.mark.parametrize("seed", range(24))
def test_compile_time_and_run_time_agree(seed, tmp_path):
    text, _ = program(seed)
    device = run(tmp_path, text, arch="wse2" if seed % 2 else "wse3")
    assert read(device, "out").tolist() == read(device, "folded").tolist(), text
