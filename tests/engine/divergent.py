"""Random programs whose PEs take ways of their own: branches, trip counts, calls and addresses depend on the PE's data.

    python tests/engine/divergent.py --seeds 10000 [--first 0]

compares the engine's fast paths with its reference mode and prints the seeds that differ.
"""

from __future__ import annotations

import argparse
import sys
from fractions import Fraction
from pathlib import Path
from random import Random

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    sys.path.append(str(Path(__file__).resolve().parents[2]))  # the checkout, where no package is installed

from engine.differential import differences, observe

import wse
from wse.machine import isa

SCALARS = [row for row in isa.INSTRUCTIONS if row.kind == "scalar" and row.form in ("RX", "RRX", "RRRR")]
WORDS = 32  # data of a PE
GRIDS = ((64, 1), (5, 1), (16, 3), (70, 2), (129, 1), (33, 4))
FREE = [f"r{i}" for i in range(1, 14)]  # registers that statements use; above: counters, addresses, links
FIGURES = {
    "fp_latency": (1, 2, 3, 9),
    "int_latency": (1, 2, 4),
    "load_latency": (1, 2, 3),
    "offset_cycles": (0, 1, 3),
    "branch_taken": (1, 2, 7),
    "branch_not_taken": (1, 2, 5),
    "select_latency": (1, 2, 4),
}


class Writer:
    """Writes the text of one class.  receives: operations that receive beside the code; copies: they only copy, and the
    code has loops over arrays; loops: it mostly has loops whose lengths depend on data, also within each other."""

    def __init__(self, seed: int, receives: int = 0, copies: bool = False, loops: bool = False):
        self.rng = Random(seed)
        self.receives = receives
        self.copies = copies
        self.loops = loops
        self.labels = 0
        self.routines: list[list[str]] = []
        self.depth = 0

    def text(self) -> str:
        rng = self.rng
        lines = ["main:", *(f"ld32 {r}, [data+{4 * i}]" for i, r in enumerate(FREE))]
        lines += self.receive() + self.statements(rng.randint(3, 9))
        if rng.random() < 0.5:  # another task goes on with what is in the registers
            lines += ["activate again", "done", "again:", *self.statements(rng.randint(1, 4))]
        else:
            lines += ["nop"] * rng.randint(0, 2) + ["jmp end", "again:", "end:"]
        lines += [f"st32 {r}, [result+{4 * i}]" for i, r in enumerate(FREE)] + ["done"]
        for routine in self.routines:
            lines += routine
        return "\n".join(lines)

    def receive(self) -> list[str]:
        """Starts the operations that receive, at random priorities."""
        lines = []
        for i in range(self.receives):
            kind = self.rng.choice(
                ["mov32 d{0}, a{0}", "mov16 d{0}, a{0}"]
                if self.copies
                else ["mov32 d{0}, a{0}", "mov16 d{0}, a{0}", "add16 d{0}, d{0}, a{0}", "fadds d{0}, d{0}, a{0}"]
            )
            then = self.rng.choice(["", "", ", activate=again"]) if self.copies else ""
            lines += [
                f"dsr d{i + 1}, to{i}",
                f"dsr a{i + 1}, from{i}",
                kind.format(i + 1) + f" {{async, ut={i}{then}}}",
            ]
            lines += [f"utprio {i}, {self.rng.randint(0, 2)}"] if self.rng.random() < 0.3 else []
            lines += self.pause()
        if self.copies and self.rng.random() < 0.8:
            return lines
        return lines + ([f"mainprio {self.rng.randint(0, 3)}"] if self.receives and self.rng.random() < 0.5 else [])

    def label(self, name: str) -> str:
        self.labels += 1
        return f"{name}{self.labels}"

    def register(self) -> str:
        return self.rng.choice(FREE)

    def statements(self, n: int) -> list[str]:
        kinds = [self.scalar] * 4 + [self.load, self.store, self.system, self.vector]
        if self.depth < 3:
            kinds += [self.condition, self.condition, self.loop, self.call]
        if self.copies:
            kinds += [self.loop_over_array, self.loop_over_array, self.vector, self.vector]
        if self.loops:
            kinds += [self.varied_loop] * 6
        self.depth += 1
        lines = [line for _ in range(n) for line in self.rng.choice(kinds)()]
        self.depth -= 1
        return lines

    def scalar(self) -> list[str]:
        row, value = self.rng.choice(SCALARS), self.rng.choice(["1", "-7", "0x7fff", "1.5h", "-0.25s", "0x80000000"])
        source = self.register() if self.rng.random() < 0.7 else value
        match row.form:
            case "RX":
                return [f"{row.name} {self.register()}, {source}"]
            case "RRX":
                return [f"{row.name} {self.register()}, {self.register()}, {source}"]
        return [f"{row.name} {', '.join(self.register() for _ in range(4))}"]

    def place(self) -> list[str]:
        """Code that leaves an address in r20: in the array in most cases, anywhere in some."""
        mask = 0xFFFF if self.rng.random() < 0.1 else 4 * WORDS - 1
        return [f"iand r20, {self.register()}, {mask}"] + (["iadd32 r20, r20, data"] if mask < 0xFFFF else [])

    def load(self) -> list[str]:
        name, offset = self.rng.choice(["ld8", "ld16", "ld32"]), self.rng.choice(["", "", "+2", "+7"])
        if self.rng.random() < 0.4:
            return [f"{name} {self.register()}, [data+{self.rng.randint(0, 4 * WORDS - 4)}]"]
        return [*self.place(), *self.pause(), f"{name} {self.register()}, [r20{offset}]"]

    def store(self) -> list[str]:
        name, offset = self.rng.choice(["st8", "st16", "st32"]), self.rng.choice(["", "", "+2", "+5"])
        if self.rng.random() < 0.4:
            return [f"{name} {self.register()}, [data+{self.rng.randint(0, 4 * WORDS - 4)}]"]
        return [*self.place(), *self.pause(), f"{name} {self.register()}, [r20{offset}]"]

    def pause(self) -> list[str]:
        return [line for _ in range(self.rng.randint(0, 2)) for line in self.scalar()]

    def system(self) -> list[str]:
        return [
            self.rng.choice([f"tsc {self.register()}, 0", f"coord {self.register()}, 0", f"rand {self.register()}"])
        ]

    def vector(self) -> list[str]:
        """Operations, one after the other or with code between them; their descriptors may depend on the PE's data."""
        rng, lines = self.rng, ["dsr d0, some", "dsr a0, more", "dsr b0, other"]
        if rng.random() < 0.3:  # the length, or another base
            lines += ["dsr a0, more", "stds a0, r16", *self.test(), *rng.choice([[], ["ishl32 r21, r21, 16"]])]
            lines += ["iadd32 r17, r17, r21"]
            lines += ["ldds a0, r16"]
        for _ in range(rng.randint(1, 4)):
            lines += [
                rng.choice(
                    [
                        "add16 d0, a0, b0",
                        "xor16 d0, d0, b0",
                        "mov32 d0, a0",
                        "mov16 d0, b0",
                        "fadds d0, a0, d0",
                        "fmulh d0, b0, a0",
                        f"fmacs d0, d0, a0, {self.register()}",
                        f"fmach d0, d0, b0, {self.register()}",
                        f"add16 d0, a0, {self.register()}",
                        f"mov16 d0, {self.register()}",
                    ]
                )
            ]
            lines += self.pause() if rng.random() < 0.3 else []
        return lines

    def test(self) -> list[str]:
        """Code that leaves a condition in r21: of a bit in most cases."""
        if self.rng.random() < 0.2:
            return [f"{self.rng.choice(['ilts32', 'ieq16', 'slt'])} r21, {self.register()}, {self.register()}"]
        return [f"ishr32 r21, {self.register()}, {self.rng.randint(0, 9)}", "iand r21, r21, 1"]

    def condition(self) -> list[str]:
        other, end, branch = self.label("else"), self.label("end"), self.rng.choice(["bz", "bnz"])
        lines = [*self.test(), f"{branch} r21, {other}", *self.statements(self.rng.randint(1, 3))]
        if self.rng.random() < 0.5:
            return [*lines, f"{other}:"]
        return [*lines, f"jmp {end}", f"{other}:", *self.statements(self.rng.randint(1, 3)), f"{end}:"]

    def loop(self) -> list[str]:
        top, counter = self.label("top"), f"r{23 + self.depth}"
        trips = [f"iand {counter}, {self.register()}, {self.rng.choice([1, 3, 7])}", f"iadd32 {counter}, {counter}, 1"]
        if self.rng.random() < 0.3:
            trips = [f"mov {counter}, {self.rng.randint(1, 6)}"]
        body = self.statements(self.rng.randint(1, 3))
        return [*trips, f"{top}:", *body, f"isub32 {counter}, {counter}, 1", f"bnz {counter}, {top}"]

    def loop_over_array(self) -> list[str]:
        """Operations with one element of an array after the other."""
        top, end, element = self.label("each"), self.label("end"), self.register()
        lines = ["dsr b15, other", "dsr d0, some", "dsr a0, more", "dsr b0, other"]
        lines += [f"{top}:", f"mapstep {element}, b15, {end}"]
        for _ in range(self.rng.randint(1, 2)):
            lines += [self.rng.choice([f"fmacs d0, d0, a0, {element}", f"add16 d0, a0, {element}", "mov16 d0, a0"])]
            lines += self.pause() if self.rng.random() < 0.2 else []
        return [*lines, f"maploop {top}", f"{end}:"]

    def varied_loop(self, depth: int = 0) -> list[str]:
        """A loop over an array, by a DSR of its own, of a length that may depend on data, or of none; in its body code,
        operations, another loop, stores into an array that is walked, or nothing."""
        rng, top, end, element = self.rng, self.label("each"), self.label("end"), self.register()
        lines = [f"dsr b{12 + depth}, {rng.choice(['some', 'more', 'other'])}"]
        if rng.random() < 0.4:
            lines += [f"stds b{12 + depth}, r16", *self.test(), "ishl32 r21, r21, 16", "iadd32 r17, r17, r21"]
            lines += ["ior r16, r16, 0x2000"] if rng.random() < 0.3 else []  # DSD_WIDE: words of 32 bits
            lines += [f"ldds b{12 + depth}, r16"]
        walks = rng.random() < 0.3
        lines += ["dsr d0, some", "dsr a0, more", "dsr b0, other"] + (["dsr d9, other"] if walks else [])
        lines += [f"{top}:", f"mapstep {element}, b{12 + depth}, {end}"]
        for _ in range(rng.choice([0, 1, 1, 2])):
            kinds = [self.pause, lambda: [rng.choice([f"fmacs d0, d0, a0, {element}", f"add16 d0, a0, {element}"])]]
            kinds += [self.system] + ([lambda: self.varied_loop(depth + 1)] if depth < 2 else [])
            lines += rng.choice(kinds)()
        lines += [f"mapput d9, {self.register()}"] if walks else []
        return [*lines, f"maploop {top}", f"{end}:"]

    def call(self) -> list[str]:
        """A routine that is called from two places, of which the data decide."""
        name, other, end = self.label("routine"), self.label("else"), self.label("end")
        body = [line for _ in range(self.rng.randint(1, 4)) for line in self.scalar()]
        self.routines.append([f"{name}:", *body, "jr r30"])
        return [
            *self.test(),
            f"bz r21, {other}",
            f"jal r30, {name}",
            f"jmp {end}",
            f"{other}:",
            f"jal r30, {name}",
            f"{end}:",
        ]


def build(seed: int, receives: int = 0, copies: bool = False, loops: bool = False) -> wse.Program:
    """receives: streams along each row, of WORDS wavelets, that every PE receives while it computes: into its data, or
    with `copies` in most programs into memory of their own."""
    rng = Random(seed)
    machine = rng.choice(["wse2", "wse3"])
    figures = {name: rng.choice(values) for name, values in FIGURES.items() if rng.random() < 0.3}
    width, height = rng.choice(GRIDS)
    p = wse.Program(width, height, wse.Machine(machine, "simulator", figures), fp16=rng.choice(list(isa.FP16)))
    data = p.shared_array("data", WORDS, "u32")
    p.shared_array("result", len(FREE), "u32")
    half = rng.random() < 0.3
    apart = copies and rng.random() < 0.7
    beside = p.shared_array("beside", WORDS * receives, "u32") if apart else data
    for i in range(receives):
        color = p.color(f"beside{i}", i)
        p.route(color, "W", "ER", x=slice(0, width - 1))
        p.route(color, "W", "R", x=width - 1)
    for index in range(2 if half else 1):
        pe = p.pe_class(f"way{index}")
        for name in ("some", "more", "other"):
            walk = {"stride": rng.choice([0, 1, 1, 2, 3]), "save_address": rng.random() < 0.2}
            offset = rng.randint(0, 9)
            length = rng.randint(1, 1 + (WORDS - 1 - offset) // max(walk["stride"], 1))
            pe.dsd(name, wse.mem1d(data, length, offset=offset, **walk))
        for i in range(receives):
            pe.queue_in(i + 2, f"beside{i}")
            simd, short = copies and rng.random() < 0.3, rng.randint(0, 2) if copies else 0
            pe.dsd(f"from{i}", wse.fabin(i + 2, WORDS - short, simd=simd))
            stride, offset = rng.choice([0, 1]), WORDS * i if apart else 0
            pe.dsd(f"to{i}", wse.mem1d(beside, WORDS, stride=stride, offset=offset))
        pe.local_task("main", 9, active=True)
        pe.local_task("again", 10)
        pe.code(Writer(seed * 2 + index, receives, copies, loops).text())
        for x in range(width) if half else ():
            if (x % 3 == 0) == (index == 0):
                p.place(pe, x)
        if not half:
            p.place(pe)
    return p


def load(program: wse.Program, seed: int, receives: int = 0, **options) -> wse.Fabric:
    """The program with its streams, at random rates, and with data of each PE; in half of the programs most words are alike, so that lanes stay together."""
    fabric = wse.Fabric(program, **options)
    values = np.random.default_rng(seed)
    shape = (fabric.height, fabric.width, WORDS)
    words = values.integers(0, 1 << 32, shape, dtype=np.uint32)
    floats = values.normal(size=shape).astype(np.float32).view(np.uint32)
    mixed = np.where(words % 3 == 0, words, floats)
    if seed % 2:
        mixed = np.where(values.random(shape) < 0.9, mixed[:1, :1], mixed)
    fabric.write("data", mixed)
    rng = Random(seed)
    for i in range(receives):
        for y in range(fabric.height):
            words = values.integers(0, 1 << 32, WORDS, dtype=np.uint32)
            fabric.stream_in(0, y, "W", f"beside{i}", words, rate=Fraction(1, rng.choice([1, 2, 3, 7, 20])))
    return fabric


def compare(seed: int, receives: int = 0, copies: bool = False, loops: bool = False) -> list[str]:
    """What differs between the reference mode and the fast paths, on one thread and two, whole and in pieces."""
    rng, program = Random(seed), build(seed, receives, copies, loops)
    options = {"bins": rng.choice([4, 16]), "activity": True}
    limit = rng.choice([10_000, 10_000, 10_000, rng.randint(20, 400)])
    expected = observe(load(program, seed, receives, reference=True, **options), [], limit)
    found = []
    for more, pieces in (
        ({}, ()),
        ({"threads": 2, "portable": True}, ()),
        ({"portable": "avx2"}, ()),
        ({}, (rng.randint(1, 90), rng.randint(1, 300))),
    ):
        got = observe(load(program, seed, receives, **options, **more), [], limit, pieces)
        found += differences(expected, got, False, True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--receives", type=int, default=0)
    parser.add_argument("--copies", action="store_true")
    parser.add_argument("--loops", action="store_true")
    options = parser.parse_args()
    differ = 0
    for seed in range(options.first, options.first + options.seeds):
        if found := compare(seed, options.receives, options.copies, options.loops):
            differ += 1
            print(f"seed {seed}: {'; '.join(found)}", flush=True)
    print(f"{options.seeds} programs from seed {options.first} on: {differ} differ")
    sys.exit(differ > 0)


if __name__ == "__main__":
    main()
