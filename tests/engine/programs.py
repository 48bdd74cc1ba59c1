"""Random programs: any instruction anywhere, on PEs that send each other wavelets.

Nothing is known about what they do: they may compute, wait for ever, or do what the machine forbids.  But they must do the
same however they are run.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np

import wse
from wse.machine import isa

WORDS = 64  # of each array
SCALARS = [row for row in isa.INSTRUCTIONS if row.kind == "scalar"]
VECTORS = [row for row in isa.INSTRUCTIONS if row.kind == "vector" and row.types[0] != "NONE"]
HALF = tuple(name for name, type in isa.TYPES.items() if type.bytes == 2)
MAIN, OTHER, THIRD = 9, 10, 11  # local tasks; the names of code below
TASKS = ("main", "other", "third")
ROW, PAIR, COLUMN, BACK = range(4)  # colors and queues


@dataclass(frozen=True)
class RandomProgram:
    """`fabric` makes the program of a seed, with its streams to the outside."""

    seed: int
    machine: wse.Machine

    def fabric(self, **options) -> tuple[wse.Fabric, list[wse.fabric.StreamOut]]:
        rng = Random(self.seed)
        width, height = rng.choice([(1, 1), (2, 3), (5, 2), (3, 6), (66, 2), (130, 1), (2, 25)])
        p = wse.Program(width, height, self.machine, rng.choice(list(isa.FP16)))
        for name in ("row", "pair", "column", "back"):
            p.color(name)
        p.shared_array("half", WORDS, "f16")
        p.shared_array("word", WORDS, "u32", offset=rng.choice([0, 4, 8]))
        p.shared_array("saved", 32, "u32")
        kinds = [Writer(p, f"kind{i}", rng).pe for i in range(rng.randint(1, 4))]
        for y in range(height):
            for x in range(width):
                if rng.random() < 0.95:
                    p.place(rng.choice(kinds), x, y)
        self._routes(p, rng)
        fabric = wse.Fabric(p, **options)
        values = np.random.default_rng(self.seed)
        words = values.integers(0, 1 << 32, (height, width, WORDS), dtype=np.uint32)
        floats = values.normal(size=(height, width, WORDS)).astype(np.float32)
        for y in range(height):
            for x in range(width):
                if p.class_at(x, y) is not None:
                    fabric.write(
                        "word", np.where(words % 3 == 0, words, floats.view(np.uint32))[y : y + 1, x : x + 1], x, y
                    )
                    fabric.write("half", floats[y : y + 1, x : x + 1], x, y)
        for x in range(width):
            n = rng.choice([0, 3, 40])
            control = np.array([rng.random() < 0.1 for _ in range(n)], bool)
            data = np.where(control, rng.choice([31, MAIN]) << 16, words[0, x, :n])
            fabric.stream_in(x, 0, "N", "column", data.astype(np.uint32), control, rate=rng.choice([1, 1 / 2, 1 / 9]))
        rates = [rng.choice([1, 1 / 3]) for _ in range(height)]
        return fabric, [fabric.stream_out(width - 1, y, "E", "row", 64, rates[y]) for y in range(height)]

    @staticmethod
    def _routes(p: wse.Program, rng: Random) -> None:
        """row: from the first PE to all of its row and out; pair: to the eastern neighbor, or to itself; column: from the
        north edge to all; back: from the east to the west, the root passed on by switches."""

        def route(color: str, rx: str, tx: str, *more: tuple[str, str], **where) -> None:
            pop, ring = rng.choice(["no_pop", "always_pop", "pop_on_advance"]), rng.random() < 0.5
            p.route(color, rx, tx, switch=more, pop=pop, ring=ring, **where)

        last = p.width - 1
        route("row", "W", "ER", ("R", "ER"))
        route("row", "R", "ER", x=0)
        route("pair", "R", "R")
        if last > 0:
            route("pair", "R", "E", ("R", "R"), x=slice(0, last, 2))
            route("pair", "W", "R", ("R", "R"), x=slice(1, last + 1, 2))
            route("back", "R", "W", ("E", "WR"))
            route("back", "R", "W", ("R", "WR"), x=last)
            route("back", "E", "R", ("R", "R"), x=0)
        else:
            route("back", "R", "R")
        route("column", "N", "SR")
        route("column", "N", "R", y=p.height - 1)


class Writer:
    """Writes a class: descriptors, three tasks, perhaps a data task and a control task."""

    def __init__(self, p: wse.Program, name: str, rng: Random):
        self.rng, self.labels = rng, 0
        self.pe = pe = p.pe_class(name)
        half, word = p.shared["half"], p.shared["word"]
        self.dsds: dict[str, list[str]] = {"2": [], "4": [], "in": [], "out": []}
        for array, size in ((half, "2"), (word, "4")):
            for i in range(4):
                self.dsds[size].append(self.walk(array, f"m{size}_{i}"))
        for color in range(4):
            pe.queue_in(color, color)
            simd = rng.random() < 0.3
            pe.dsd(
                f"in{color}",
                wse.fabin(
                    color, rng.choice([1, 4, 9, 30]), color=color, simd=simd, on_control=rng.choice([None, "terminate"])
                ),
            )
            self.dsds["in"].append(f"in{color}")
        for queue, color in ((2, PAIR), (3, BACK), (4, ROW)):
            pe.queue_out(queue, color)
            index = rng.choice([False, False, 5])
            simd = index is False and rng.random() < 0.3
            pe.dsd(
                f"out{color}",
                wse.fabout(
                    queue, color, rng.choice([1, 4, 9, 30]), advance_switch=color == BACK, index=index, simd=simd
                ),
            )
            self.dsds["out"].append(f"out{color}")
        texts = [self.task(task, rng.randint(2, 14)) for task in TASKS]
        for i, task in enumerate(TASKS):
            pe.local_task(task, MAIN + i, active=i == 0 or rng.random() < 0.3, blocked=i > 0 and rng.random() < 0.3)
        taken = ()
        if rng.random() < 0.5:
            queue = rng.choice([ROW, COLUMN])
            pe.data_task("arrived", queue)
            texts.append(self.task("arrived", rng.randint(0, 4)))
            taken = (f"in{queue}",)
        self.dsds["in"] = [name for name in self.dsds["in"] if name not in taken]
        pe.code("\n".join(texts))

    def walk(self, array: wse.Symbol, name: str) -> str:
        """A descriptor over the array; returns the lines that load it into the DSR `{0}`."""
        rng, pe = self.rng, self.pe
        kind, save = rng.choice(["mem1d", "mem1d", "mem4d", "circular", "fifo"]), rng.random() < 0.3
        if kind == "mem1d":
            stride = rng.choice([1, 1, 1, 0, 2, -1])
            length = rng.randint(0, WORDS // max(1, abs(stride)) - 1)
            offset = WORDS - 1 if stride < 0 else 0 if stride == 2 else rng.randint(0, WORDS - max(1, length))
            pe.dsd(name, wse.mem1d(array, length, stride, offset, save_address=save))
            return f"dsr {{0}}, {name}"
        number = rng.randint(0, 15)
        if kind == "mem4d":
            pe.dsd(
                name,
                wse.mem4d(array, (rng.randint(1, 3), 4), (rng.choice([4, 8, 16]), 1), save_address=save),
                xdsr=number,
            )
        elif kind == "circular":
            pe.dsd(
                name, wse.circular(array, rng.randint(1, 2 * WORDS), rng.choice([1, 3]), rng.randint(0, 9)), xdsr=number
            )
        else:
            pe.dsd(name, wse.fifo(array, activate_push=rng.choice([None, "other"])), xdsr=number)
        return f"xdsr x{number}, {name}.x\ndsr {{0}}, {name}"

    def task(self, name: str, statements: int) -> str:
        lines = [f"{name}:"]
        for _ in range(statements):
            kinds = (self.scalar, self.memory, self.vector, self.loop, self.system, self.fabric, self.fabric)
            lines += self.rng.choice(kinds)()
        lines += [f"st32 r{r}, [saved+{4 * r}]" for r in self.rng.sample(range(24), 4)]
        return "\n".join([*lines, "done"])

    def register(self) -> str:
        return f"r{self.rng.randint(0, 23)}"

    def source(self) -> str:
        values = ("0", "1", "-7", "3000", "0x7fff", "1.5h", "-0.25s", "0x80000000", "1.0e9s")
        return self.register() if self.rng.random() < 0.7 else self.rng.choice(values)

    def scalar(self) -> list[str]:
        row = self.rng.choice(SCALARS)
        match row.form:
            case "RRX":
                return [f"{row.name} {self.register()}, {self.register()}, {self.source()}"]
            case "RX":
                return [f"{row.name} {self.register()}, {self.source()}"]
            case "RRRR":
                return [f"{row.name} {', '.join(self.register() for _ in range(4))}"]
        return self.memory()

    def memory(self) -> list[str]:
        name, size = self.rng.choice([("8", 1), ("16", 2), ("32", 4)])
        at = size * self.rng.randint(0, 4 * WORDS // size - 1)
        return [f"{self.rng.choice(['ld', 'st'])}{name} {self.register()}, [word+{at}]"]

    def loop(self) -> list[str]:
        self.labels += 1
        label, trips = f".loop{self.labels}", self.rng.randint(1, 9)
        body = [line for _ in range(self.rng.randint(1, 3)) for line in self.rng.choice((self.scalar, self.memory))()]
        if self.rng.random() < 0.5:
            skip = f".skip{self.labels}"
            body = [f"{self.rng.choice(['bz', 'bnz'])} {self.register()}, {skip}", *body, f"{skip}:"]
        return [f"mov r24, {trips}", f"{label}:", *body, "isub32 r24, r24, 1", f"bnz r24, {label}"]

    def system(self) -> list[str]:
        rng, task = self.rng, self.rng.choice(TASKS)
        choices = [
            *(f"{what} {task}" for what in ("activate", "block", "unblock")),
            f"tsc {self.register()}, {rng.randint(0, 2)}",
            f"coord {self.register()}, {rng.randint(0, 1)}",
            f"rand {self.register()}",
            f"mark {self.source()}",
            f"mainprio {rng.randint(0, 3)}",
            f"utprio {rng.randint(0, 7)}, {rng.randint(0, 2)}",
            f"iqempty {self.register()}, {rng.randint(0, 3)}",
            f"oqempty {self.register()}, {rng.randint(2, 4)}",
            "nop",
        ]
        return [rng.choice(choices)]

    def options(self, to_register: bool) -> str:
        """Of an operation that may be asynchronous."""
        rng = self.rng
        words = [
            *(["async"] if rng.random() < 0.8 and not to_register else []),
            *([f"ut={rng.randint(0, 7)}"] if rng.random() < 0.5 else []),
            *rng.choice([[], [], [f"activate={rng.choice(TASKS)}"], [f"unblock={rng.choice(TASKS)}"]]),
        ]
        if self.pe.program.machine.name == "wse2" or "async" not in words:
            words = [word for word in words if not word.startswith("ut=")]
        return f" {{{', '.join(words)}}}" if words else ""

    def vector(self, dst: str = "", src: str = "") -> list[str]:
        """An operation over memory; dst or src: a fabric descriptor instead."""
        rng = self.rng
        row = rng.choice(VECTORS)
        lines, operands = [], []
        first = next(i for i, kind in enumerate(row.types) if i in (1, 2) and kind != "NONE")
        for i, (kind, files) in enumerate(zip(row.types[:3], ("d", "a", "b"), strict=True)):
            if kind == "NONE":
                continue
            fabric = dst if i == 0 else src if i == first else ""
            if not fabric and rng.random() < (0.05 if i == 0 else 0.2):
                operands.append(self.register())
                continue
            operands.append(f"{files}{rng.randint(0, 15)}")
            load = f"dsr {{0}}, {fabric}" if fabric else rng.choice(self.dsds["2" if kind in HALF else "4"])
            lines.append(load.format(operands[-1]))
        if row.types[3] != "NONE":
            operands.append(self.register())
        options = self.options(operands[0].startswith("r")) if dst or src else ""
        return [*lines, *[f"{row.name} {', '.join(operands)}{options}"] * rng.choice([1, 1, 2])]

    def fabric(self) -> list[str]:
        out = self.rng.random() < 0.5
        names = self.dsds["out" if out else "in"]
        return self.vector(**{"dst" if out else "src": self.rng.choice(names)}) if names else []
