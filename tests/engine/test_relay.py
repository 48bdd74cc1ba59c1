"""Microthreads that add to what passes by, beside a main thread that computes, waits for them, or receives.

Covers: csrc/pe/arrival.c
"""

from functools import partial
from random import Random

import numpy as np
import pytest
from engine import differential
from hypothesis import given, settings
from hypothesis import strategies as st

import wse

LIMIT = 20_000


def program(seed: int) -> wse.Program:
    """Columns of PEs; in each, rows of sums go north, to which every PE adds its own."""
    rng = Random(seed)
    width, height = rng.choice([(1, 3), (2, 5), (7, 3), (33, 2)])
    length, rows = rng.choice([1, 2, 5, 16, 30]), rng.choice([1, 2, 5])
    p = wse.Program(width, height)
    x, y, z = (p.shared_array(name, 600, "f32") for name in "xyz")
    colors = p.color("odd", 1), p.color("even", 2)
    # Rows alternate between two colors, so that each PE receives by one and sends by the other.
    classes = [p.pe_class(f"row{i}") for i in range(2)]
    for i, one in enumerate(classes):
        one.queue_in(2, colors[i])
        one.queue_out(3, colors[1 - i])
        one.queue_in(4, p.color("beside", 3) if not i else "beside")
        one.dsd("north", wse.fabout(3, colors[1 - i], length))
        one.dsd("south", wse.fabin(2, length))
        one.dsd("own", wse.mem1d(x, length, rng.choice([1, 2, 4])))
        n = rng.choice([1, 4, 40])
        one.dsd("a", wse.mem1d(y, n))
        one.dsd("d", wse.mem1d(z, n))
        one.dsd("from_west", wse.fabin(4, 12))
        one.dsd("kept", wse.mem1d(z, 12, offset=300))
        work = rng.choice(
            [
                "fadds d1, d1, a1\n" * rng.randint(1, 6),
                "iadd32 r7, r7, r6\n" * rng.randint(1, 20),
                "fadds d1, d1, a1\niadd32 r7, r7, r6\n" * 3,
                "",
            ]
        ).replace("d1, d1, a1", "d1, a1, b1")
        loads = "dsr d1, d\ndsr a1, a\ndsr b1, a\n"
        receive = "dsr d2, kept\ndsr a2, from_west\nmov32 d2, a2\n" if rng.random() < 0.4 else ""
        send = "dsr d0, north\ndsr a0, own\ndsr b0, south\nfadds d0, a0, b0 {async, ut=1}\n"
        prio = rng.choice(["", "", "mainprio 1\n", "utprio 1, 2\n", "utprio 1, 0\n"])
        first = f"{prio}mov r5, {rows}\n.row:\n{loads}{work}{send}{receive}isub32 r5, r5, 1\nbnz r5, .row\n"
        one.code(f"main:\n{first}{rng.choice(['', work])}done\nother: done")
        one.local_task("main", 9, active=True)
        one.local_task("other", 10)
    for row in range(height):
        p.place(classes[row % 2], y=row)
        into, out = colors[row % 2], colors[1 - row % 2]
        p.route(into, "S", "R", y=row)
        p.route(out, "R", "N", y=row)
    p.route("beside", "W", "ER", x=slice(0, width - 1)) if width > 1 else None
    p.route("beside", "W", "R", x=width - 1)
    return p


def load(seed: int, **how) -> tuple[wse.Fabric, list]:
    rng, numbers = Random(seed + 1), np.random.default_rng(seed)
    p = program(seed)
    fabric = wse.Fabric(p, bins=16, activity=True, **how)
    for name in "xy":
        fabric.write(name, numbers.standard_normal((p.height, p.width, 600)).astype(np.float32))
    rate, last = rng.choice([1, 0.5, 0.2, 0.06]), p.height - 1
    n = rng.choice([200, 40])
    for x in range(p.width):
        data = numbers.standard_normal(n).astype(np.float32).view(np.uint32)
        fabric.stream_in(x, last, "S", ["odd", "even"][last % 2], data, rate=rate)
    out = rng.choice([1, 1, 0.3])
    outs = [fabric.stream_out(x, 0, "N", "even", capacity=n, rate=out) for x in range(p.width)]
    for y in range(p.height):
        fabric.stream_in(0, y, "W", "beside", np.arange(90, dtype=np.uint32), rate=rng.choice([1, 0.1]))
    return fabric, outs


def compare(seed: int) -> list[str]:
    return differential.in_each_way(partial(load, seed), LIMIT, [(90, 7, 1, 300)])


@pytest.mark.parametrize("seed", range(20))
def test_programs(seed):
    assert compare(seed) == []


@settings(max_examples=20)
@given(st.integers(0, 1 << 32))
def test_random_programs(seed):
    assert compare(seed) == []
