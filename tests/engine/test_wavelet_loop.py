"""Loops that take a wavelet in each round and are executed later give what stepping every cycle gives.

Covers: csrc/pe/wavelet_loop.c, csrc/fast/wavelet_log.h
"""

from random import Random

import numpy as np
import pytest
from engine import differential
from engine.differential import differences, observe
from hypothesis import given, settings
from hypothesis import strategies as st

import wse

# Name, types of destination, sources and register.
ROWS = {
    "fmacs": "f32 f32 f32",
    "fmach": "f16 f16 f16",
    "fmachs": "f32 f32 f16",
}
BYTES = {"f16": 2, "f32": 4}
WORDS = 900  # of an array
LIMIT = 30_000


class Made:
    """A random program: a row or a block of PEs of which each has loops over one or two streams that all of them get."""

    def __init__(self, seed: int):
        rng = Random(seed)
        self.width, self.height = rng.choice([(1, 1), (5, 1), (3, 2), (16, 5), (70, 1)])
        self.colors = rng.choice([1, 1, 2])
        self.loops = rng.randint(1, 4)
        self.lengths = [rng.choice([1, 3, 5, 8, 17, 30, 64, 100]) for _ in range(self.loops)]
        self.queues = [rng.randrange(self.colors) for _ in range(self.loops)]
        self.controls = rng.random() < 0.4  # a control wavelet ends a loop
        self.rate = rng.choice([1, 1, 0.5, 0.2, 0.11, 0.03])
        self.seed = seed

    def code(self, pe: wse.PEClass, arrays: dict[str, wse.Symbol], seed: int) -> str:
        """Loops, each after scalar code, beside operations that store or in between of them."""
        rng, lines = Random(seed), ["main:"]
        for i, (length, queue) in enumerate(zip(self.lengths, self.queues, strict=True)):
            name = rng.choice(list(ROWS))
            types = ROWS[name].split()
            n = rng.choice([1, 2, 3, 7, 8, 16, 40])
            room = WORDS * 4 // BYTES[types[0]] - n
            saves = rng.random() < 0.6 and n * length < room
            same = rng.random() < 0.8  # the sums are read where they are written
            at = rng.randint(0, room - (n * length if saves else 0))
            pe.dsd(f"d{i}", wse.mem1d(arrays["y" + types[0]], n, offset=at, save_address=saves))
            where = at if same else rng.randint(0, WORDS // 2)
            saves = saves if same else rng.random() < 0.3 and where + n * length < room
            pe.dsd(f"a{i}", wse.mem1d(arrays["y" + types[0]], n, offset=where, save_address=saves))
            source = rng.choice(["x", "x", "y"])
            step = rng.choice([1, 1, 2, 0])
            at = rng.randint(0, WORDS // 4)
            saves = rng.random() < 0.3 and at + n * step * length < WORDS * 4 // BYTES[types[1]] - n * step
            pe.dsd(f"b{i}", wse.mem1d(arrays[source + types[1]], n, step, offset=at, save_address=saves))
            endless = self.controls and rng.random() < 0.5
            control = "terminate" if self.controls else None
            pe.dsd(
                f"in{i}", wse.fabin(2 + queue, None if endless else length, on_control=control, wide=types[2] == "f32")
            )
            lines += [f"dsr d0, d{i}", f"dsr a0, a{i}", f"dsr b0, b{i}", f"dsr b6, in{i}"]
            if rng.random() < 0.3:  # a microthread is under way when the loop begins
                pe.dsd(f"to{i}", wse.mem1d(arrays["z"], 30, offset=30 * i))
                pe.dsd(f"from{i}", wse.fabin(6, 30))
                adds = [f"dsr a1, to{i}", f"dsr b1, from{i}", "fadds d1, a1, b1 {async, ut=3}"]
                copies = [f"dsr a1, from{i}", "mov32 d1, a1 {async, ut=3}"]
                lines += [f"dsr d1, to{i}", *rng.choice([adds, copies])]
            rows = rng.choice([1, 1, 3])
            lines += [f"mov r5, {rows}", f".row{i}:", f".next{i}: mapstep r1, b6, .end{i}"]
            lines += [f"{name} d0, a0, b0, r1", f"maploop .next{i}", f".end{i}:"]
            lines += ["iadd32 r7, r7, r5"] * rng.randint(0, 3)
            if rows > 1:
                lines += [f"dsr b6, in{i}", "isub32 r5, r5, 1", f"bnz r5, .row{i}"]
        return "\n".join([*lines, "st32 r7, [count]", "done", "other: st32 r7, [count]", "done"])

    def program(self) -> wse.Program:
        rng = Random(self.seed + 2)
        p = wse.Program(self.width, self.height)
        arrays = {
            name + kind: p.shared_array(name + kind, WORDS * 4 // BYTES[kind], kind) for name in "xy" for kind in BYTES
        }
        arrays["z"] = p.shared_array("z", 200, "u32")
        p.shared_array("count", 1, "u32")
        for part in range(rng.choice([1, 2])):  # the second class has columns of its own
            pe = p.pe_class(f"pe{part}")
            for i in range(self.colors):
                pe.queue_in(i + 2, p.color(f"c{i}", i) if not part else f"c{i}")
            pe.queue_in(6, p.color("beside", 5) if not part else "beside")
            pe.code(self.code(pe, arrays, self.seed + part + 1))
            pe.local_task("main", 9, active=True)
            pe.local_task("other", 10)
            columns = slice(0, self.width) if not part else slice(self.width // 2, self.width)
            p.place(pe, x=columns) if not part or self.width > 1 else None
        for i, color in enumerate([*(f"c{i}" for i in range(self.colors)), "beside"]):
            if i % 2 and self.height > 1:
                p.route(color, "N", "SR", y=slice(0, self.height - 1))
                p.route(color, "N", "R", y=self.height - 1)
            else:
                if self.width > 1:
                    p.route(color, "W", "ER", x=slice(0, self.width - 1))
                p.route(color, "W", "R", x=self.width - 1)
        return p

    def load(self, **how) -> wse.Fabric:
        rng, numbers = Random(self.seed + 3), np.random.default_rng(self.seed)
        fabric = wse.Fabric(self.program(), bins=16, activity=True, **how)
        for kind in BYTES:
            for name in "xy":
                shape = (self.height, self.width, WORDS * 4 // BYTES[kind])
                fabric.write(name + kind, numbers.standard_normal(shape).astype(kind.replace("f", "float")))
        for i, color in enumerate([*(f"c{i}" for i in range(self.colors)), "beside"]):
            rate = rng.choice([self.rate, 1]) if color == "beside" else self.rate
            side, starts = (
                ("N", [(x, 0) for x in range(self.width)])
                if i % 2 and self.height > 1
                else ("W", [(0, y) for y in range(self.height)])
            )
            n = rng.choice([50, 300, 500])
            for x, y in starts:
                data = numbers.standard_normal(n).astype(np.float32).view(np.uint32)
                data = np.where(numbers.random(n) < 0.5, data, data >> 16)
                control = (numbers.random(n) < 0.03) & (self.controls and color != "beside")
                fabric.stream_in(x, y, side, color, data.astype(np.uint32), control, rate=rate)
        return fabric


def compare(seed: int) -> list[str]:
    made = Made(seed)
    return differential.in_each_way(lambda **how: (made.load(**how), []), LIMIT, [(100, 333, 1), (7, 1, 1, 512, 2, 3)])


@pytest.mark.parametrize("seed", range(24))
def test_programs(seed):
    assert compare(seed) == []


@settings(max_examples=30)
@given(st.integers(0, 1 << 32))
def test_random_programs(seed):
    assert compare(seed) == []


def product(rows: int, length: int, n: int = 8) -> wse.Program:
    """A column of three PEs; each adds x times every wavelet to a row of sums, for `rows` rows of `length` wavelets."""
    p = wse.Program(1, 3)
    pe = p.pe_class("pe")
    pe.queue_in(2, p.color("weights", 1))
    y, x = p.shared_array("y", length * n, "f32"), p.shared_array("x", n, "f32")
    pe.dsd("sums", wse.mem1d(y, n, save_address=True))
    pe.dsd("from_x", wse.mem1d(x))
    pe.dsd("weights_in", wse.fabin(2, length, wide=True))
    loads = "dsr d0, sums\ndsr a0, sums\ndsr b0, from_x\ndsr b6, weights_in\n"
    loop = ".next: mapstep r1, b6, .end\nfmacs d0, a0, b0, r1\nmaploop .next\n.end:\n"
    pe.code(f"main:\nmov r5, {rows}\n.row:\n{loads}{loop}isub32 r5, r5, 1\nbnz r5, .row\ndone")
    pe.local_task("main", 9, active=True)
    p.place(pe)
    p.route("weights", "N", "SR", y=slice(0, 2))
    p.route("weights", "N", "R", y=2)
    return p


def loaded(rows: int, length: int, **how) -> wse.Fabric:
    segments = how.pop("segments", None)
    rate = how.pop("rate", 1)
    fabric = wse.Fabric(product(rows, length), **how)
    fabric.write("x", np.arange(1, 9, dtype=np.float32) * np.ones((3, 1, 1), np.float32))
    weights = np.arange(rows * length, dtype=np.float32).view(np.uint32)
    given = {"segments": segments} if segments else {"rate": rate}
    fabric.stream_in(0, 0, "N", "weights", weights, **given)
    return fabric


@pytest.mark.parametrize("rate", [1, 0.3, 0.05])
@pytest.mark.parametrize("length", [1, 2, 8, 9, 10, 47, 130])
def test_rows_of_any_length(rate, length):
    """Shorter than the queue, than the log, and longer than both; faster than a round and slower."""
    expected = observe(loaded(3, length, rate=rate, reference=True), [], LIMIT)
    assert expected.run.ended == "done"
    assert differences(expected, observe(loaded(3, length, rate=rate), [], LIMIT), False, True) == []


@pytest.mark.parametrize("limit", [*range(100, 140), 333])
def test_a_limit_within_a_loop(limit):
    """A round that does not end before the limit is not executed ahead."""
    expected = observe(loaded(2, 40, rate=0.2, reference=True), [], limit)
    assert differences(expected, observe(loaded(2, 40, rate=0.2), [], limit), False, True) == []


def test_wavelets_that_come_after_a_long_time():
    """Cycles of the log have 32 bits: what is logged is executed before they become ambiguous."""
    segments = [wse.Segment(10, cycle) for cycle in (0, 3 << 30, 9 << 30, 10 << 30)]
    runs = [loaded(1, 40, segments=segments, **how) for how in ({}, {"trace": 1})]  # a trace turns the mode off
    one, other = (observe(fabric, [], 1 << 40) for fabric in runs)
    assert one.run.ended == "done" and one.cycle > 10 << 30
    assert differences(other, one, False, True) == []


def hindered(start: int, **how) -> wse.Fabric:
    """A loop that begins while a microthread adds up a stream that takes every slot; its weights come from cycle
    `start` on."""
    p = wse.Program(1, 1)
    pe = p.pe_class("pe")
    for queue, name in ((2, "weights"), (3, "beside")):
        pe.queue_in(queue, p.color(name, queue))
        p.route(name, "N", "R")
    y, x, z = (pe.array(name, 64, "f32") for name in "yxz")
    for name, array, length in (("sums", y, 8), ("of_x", x, 8), ("kept", z, 6)):
        pe.dsd(name, wse.mem1d(array, length))
    pe.dsd("weights_in", wse.fabin(2, 12, wide=True))
    pe.dsd("beside_in", wse.fabin(3, 6))
    loads = (
        "dsr d0, sums\ndsr a0, sums\ndsr b0, of_x\ndsr b6, weights_in\ndsr d1, kept\ndsr a1, kept\ndsr b1, beside_in\n"
    )
    before = "fmacs d0, a0, b0, r1\n" if start % 2 else ""  # mapstep follows an operation, or not
    loop = ".next: mapstep r1, b6, .end\nfmacs d0, a0, b0, r1\nmaploop .next\n.end: nop\n"
    late = "nop\n" * 30 + "dsr b6, weights_in\n"  # the queue of the microthread is full when it begins
    second = f"fadds d1, a1, b1 {{async, ut=3}}\n{before}{loop.replace('.', '.more_')}"
    pe.code(f"main:\n{loads}{loop}{late}{second}done")
    pe.local_task("main", 9, active=True)
    p.place(pe)
    fabric = wse.Fabric(p, **how)
    fabric.write("x", np.ones((1, 1, 64), np.float32))
    weights = np.arange(24, dtype=np.float32).view(np.uint32)
    segments = [wse.Segment(12, 0), wse.Segment(12, start, 0.5)]
    fabric.stream_in(0, 0, "N", "weights", weights, segments=segments)
    fabric.stream_in(0, 0, "N", "beside", np.arange(6, dtype=np.uint32))
    return fabric


@pytest.mark.parametrize("start", range(270, 310))
def test_the_slot_was_lost_to_a_microthread(start):
    """mapstep is tried, and waits, only from the cycle on in which it has the slot."""
    expected = observe(hindered(start, reference=True), [], LIMIT)
    assert expected.run.ended == "done"
    assert differences(expected, observe(hindered(start), [], LIMIT), False, True) == []
