"""Random programs of two PEs that send each other elements, and what they leave in memory.

A program is a list of steps: in each, one PE sends and the other receives, or both do both.  A step of a PE is a task
with random statements and operations on the fabric, which wait for their end or activate the task of the next step.

    python tests/csl/random_streams.py --programs 500 --seed 1

compares the memory of both PEs with the evaluator of random_vectors.py.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from csl import seeds
from csl.random_functions import Code
from csl.random_vectors import ARCHES, LEVELS
from csl.running import read, write
from csl.vector_functions import Maker
from csl.vector_model import OPERATIONS, SIZE, State, Stream, Unsuitable, mismatch
from wse.csl.codegen.link import link
from wse.csl.compile import compile_program
from wse.sdk.device import Device

STEPS = 6
CODES = {2: "WH", 4: "DS"}  # of elements of that many bytes
LAYOUT = """layout {
  @set_rectangle(2, 1);
  @set_tile_code(0, 0, "west.csl", .{ .tx = @get_color(2), .rx = @get_color(3) });
  @set_tile_code(1, 0, "east.csl", .{ .tx = @get_color(3), .rx = @get_color(2) });
  @set_color_config(0, 0, @get_color(2), .{ .routes = .{ .rx = .{RAMP}, .tx = .{EAST} } });
  @set_color_config(1, 0, @get_color(2), .{ .routes = .{ .rx = .{WEST}, .tx = .{RAMP} } });
  @set_color_config(1, 0, @get_color(3), .{ .routes = .{ .rx = .{RAMP}, .tx = .{WEST} } });
  @set_color_config(0, 0, @get_color(3), .{ .routes = .{ .rx = .{EAST}, .tx = .{RAMP} } });
}
"""
HEAD = """param tx: color;
param rx: color;
const iq = @get_input_queue(2);
const oq = @get_output_queue(3);
const out = @get_dsd(fabout_dsd, .{ .fabric_color = tx, .extent = 1, .output_queue = oq });
const in = @get_dsd(fabin_dsd, .{ .fabric_color = rx, .extent = 1, .input_queue = iq });
var to = out;
var from = in;
"""
QUEUES = """  @initialize_queue(iq, .{ .color = rx });
  if (@is_arch("wse3")) { @initialize_queue(oq, .{ .color = tx }); }
"""


class Side(Maker):
    """Draws the program of one PE."""

    def __init__(self, seed: str):
        super().__init__(seed)
        self.texts.append(HEAD)
        self.declare()
        self.helper()
        for _ in range(3):
            self.mapped()
        self.tasks: list[Any] = []

    def stream(self, word: str, n: int) -> Code:
        """A descriptor of n elements of the fabric: "out" or "in"."""
        kind, variable, names = (
            ("fabout_dsd", "to", ".fabric_color = tx, .output_queue = oq")
            if word == "out"
            else ("fabin_dsd", "from", ".fabric_color = rx, .input_queue = iq")
        )
        text = self.pick(
            (
                f"@get_dsd({kind}, .{{ {names}, .extent = {n} }})",
                f"@set_dsd_length({word}, {n})",
                f"@set_dsd_length({variable}, (g_u16 & 0) + {n})",
            )
        )
        return Code(text, lambda v: Stream(v[word], n))

    def of_length(self, code: str, n: int) -> Code:
        inner = self.dsd(self.kind(code), 1, one=True)
        return Code(f"@set_dsd_length({inner.text}, {n})", lambda v: inner.run(v)._replace(length=n))

    def kind(self, code: str) -> str:
        return self.pick({"W": ("i16", "u16"), "D": ("i32", "u32"), "H": ("f16",), "S": ("f32",)}[code])

    def send(self, size: int, n: int) -> Code:
        fitting = [m for m in self.maps if m[2] != "void" and SIZE[m[2]] == size]
        if fitting and self.chance.random() < 0.3:
            name, kinds, result, body = self.pick(fitting)
            inputs = [self.of_length(self.code(kind), n) for kind in kinds]
            return self.mapping(name, kinds, result, body, inputs, [self.stream("out", n)])
        name = self.pick([o for o, codes in OPERATIONS.items() if codes[0] in CODES[size]])
        codes = OPERATIONS[name]
        if self.chance.random() < 0.2:
            sources = [self.operand(code, 1.0) for code in codes[1:3]]
        else:
            sources = [self.of_length(codes[1], n), *(self.operand(code, 0.3) for code in codes[2:3])]
        return self.vector(self.stream("out", n), name, sources)

    @staticmethod
    def code(kind: str) -> str:
        return {"i16": "W", "u16": "W", "i32": "D", "u32": "D", "f16": "H", "f32": "S"}[kind]

    def receive(self, size: int, n: int, relay: int = 0) -> Code:
        """relay: bytes of the elements that go out again, 0 if they go to memory."""
        fitting = [m for m in self.maps if any(SIZE[kind] == size for kind in m[1]) and not relay]
        if fitting and self.chance.random() < 0.3:
            name, kinds, result, body = self.pick(fitting)
            at = self.pick([i for i, kind in enumerate(kinds) if SIZE[kind] == size])
            inputs = [
                self.stream("in", n) if i == at else self.of_length(self.code(kind), n) for i, kind in enumerate(kinds)
            ]
            # As long as the stream: a shorter destination would end the loop and leave wavelets behind.
            outs = [] if result == "void" else [self.of_length(self.code(result), n)]
            return self.mapping(name, kinds, result, body, inputs, outs)
        known = [
            (o, i)
            for o, codes in OPERATIONS.items()
            for i, code in enumerate(codes[1:3])
            if code in CODES[size] and (not relay or codes[0] in CODES[relay])
        ]
        name, at = self.pick(known)
        codes = OPERATIONS[name]
        sources = [
            self.stream("in", n) if i == at else self.of_length(code, n) if self.chance.random() < 0.6
            else self.operand(code, 1.0)
            for i, code in enumerate(codes[1:3])
        ]  # fmt: skip
        if relay:
            dst = self.stream("out", n)
        elif self.chance.random() < 0.25:
            dst = self.pointer(self.kind(codes[0]))
        else:
            dst = self.walked(codes[0])
        return self.vector(dst, name, sources)

    def repeated(self, made: Any, total: int) -> Code:
        """An operation of all elements, or a loop of operations on parts of them.  made(n) draws one of n elements."""
        parts = [p for p in (2, 3) if total % p == 0]
        if not parts or self.chance.random() < 0.7:
            return made(total)
        count = self.pick(parts)
        one = made(total // count)

        def run(v: dict) -> None:
            for _ in range(count):
                one.run(v)

        return Code(f"for (@range(u16, {count})) |_| {{ {one.text} }}", run)

    def task(self, operations: list[Code], waits: list[bool]) -> None:
        """A task of statements, then the operations.  waits: whether each waits for its end; the last one activates the
        next task if not."""
        number = len(self.tasks)
        known = dict(self.dsd_kinds), set(self.changing), set(self.is_4d)
        before = [self.statement(1) for _ in range(self.chance.randrange(3))]
        texts = [one.text for one in before]
        last = operations[-1]
        for one, wait in zip(operations, waits, strict=True):
            plain = one.text.startswith(("for", "@map")) or wait
            if plain:
                texts.append(one.text)
            else:
                then = f", .activate = t{number + 1}" if one is last else ""
                texts.append(f"{one.text[:-2]}, .{{ .async = true{then} }});")
        if last.text.startswith(("for", "@map")) or waits[-1]:
            texts.append(f"@activate(t{number + 1});")
        self.texts.append(f"task step{number}() void {{ {' '.join(texts)} }}")
        self.tasks.append((before, operations))
        self.dsd_kinds, self.changing, self.is_4d = known
        self.names = {}

    def text(self) -> str:
        number = len(self.tasks)
        ids = "\n".join(f"const t{i} = @get_local_task_id({8 + i});" for i in range(number + 1))
        bound = "\n".join(f"  @bind_local_task(step{i}, t{i});" for i in range(number + 1))
        rest = f"task step{number}() void {{}}\nfn main() void {{ @activate(t0); }}\n"
        return "\n".join(self.texts) + f"\n{ids}\n{rest}comptime {{\n{bound}\n{QUEUES}  @export_symbol(main);\n}}\n"


def draw(seed: str) -> tuple[list[str], list[State]]:
    """The texts of both PEs and their memory at the end."""
    sides = [Side(f"{seed}/west"), Side(f"{seed}/east")]
    chance = sides[0].chance
    order: list[tuple[int, Any]] = []
    for side in sides:
        side.names = {}
    for _ in range(STEPS):
        a, b = chance.sample((0, 1), 2)
        size, total, form = chance.choice((2, 4)), chance.randrange(1, 9), chance.random()
        if form < 0.3:  # there, and back again by an operation that has both
            back = chance.choice((2, 4))
            to = sides[a].send(size, total)
            relayed = sides[b].receive(size, total, relay=back)
            answer = sides[a].receive(back, total)
            sides[a].task([to, answer], [True, chance.random() < 0.5])
            sides[b].task([relayed], [chance.random() < 0.5])
            order += [(a, "before"), (b, "before"), (a, 0), (b, 0), (a, 1)]
        else:
            sides[a].task([sides[a].repeated(lambda n: sides[a].send(size, n), total)], [chance.random() < 0.5])  # noqa: B023
            sides[b].task([sides[b].repeated(lambda n: sides[b].receive(size, n), total)], [chance.random() < 0.5])  # noqa: B023
            order += [(a, "before"), (b, "before"), (a, 0), (b, 0)]
    wires: list[list[bytes]] = [[], []]  # from each side
    states = [State(side.arrays) for side in sides]
    variables = []
    for i, side in enumerate(sides):
        for name, init in side.init.items():
            states[i].dsds[name] = init(states[i])
        variables.append({"@": states[i], "out": wires[i], "in": wires[1 - i]})
    at = [-1, -1]
    for i, what in order:
        if what == "before":
            at[i] += 1
            for one in sides[i].tasks[at[i]][0]:
                one.run(variables[i])
        else:
            sides[i].tasks[at[i]][1][what].run(variables[i])
    assert not wires[0] and not wires[1]
    return [side.text() for side in sides], states


def program(seed: int) -> tuple[list[str], list[State]]:
    return seeds.suitable(draw, seed, Unsuitable)


def differences(seed: int, folder: Path, arches=ARCHES, levels=LEVELS) -> list[str]:
    texts, states = program(seed)
    path = write(folder, "", LAYOUT, west=texts[0], east=texts[1])
    found = []
    for arch in arches:
        for level in levels:
            loaded = Device(link(compile_program(path, arch), level=level))
            loaded.launch("main", ())
            loaded.run(cycles=10_000_000)
            for x, state in enumerate(states):
                for name, kind in state.kinds.items():
                    wrong = mismatch(kind, bytes(state.bytes[name]), read(loaded, name, x).tobytes())
                    if wrong:
                        found.append(f"{arch}, level {level}: PE {x}: {name}{wrong}")
    return found


def main() -> int:
    return seeds.command(
        __doc__, "programs", 200, lambda seed: seeds.problems(lambda folder: differences(seed, folder))
    )


if __name__ == "__main__":
    sys.exit(main())
