"""Compute elements that are stepped later than the fabric's cycle give what stepping every cycle gives.

Covers: csrc/pe/behind.c, csrc/pe/map.c, csrc/pe/scout.c
"""

import numpy as np
import pytest
from engine import divergent
from engine.differential import differences, observe
from hypothesis import given, settings
from hypothesis import strategies as st

import wse

# Programs that showed faults, of which some were older than this mode.
FOUND = [(14, 2), (68, 2), (87, 2), (897879, 1), (20170, 3)]


@pytest.mark.parametrize(("seed", "receives"), [*((seed, 1 + seed % 3) for seed in range(16)), *FOUND])
def test_code_and_loops_beside_operations_that_store(seed, receives):
    """Loops over arrays, branches and addresses that depend on data, and stores into what the code reads."""
    assert divergent.compare(seed, receives, copies=True) == []


@settings(max_examples=15)
@given(st.integers(0, 1 << 32), st.integers(1, 3))
def test_random_programs(seed, receives):
    assert divergent.compare(seed, receives, copies=True) == []


def both(code: str, words: int, rate=1, queues: int = 1, more: str = "", **options) -> list[str]:
    """What differs between the reference and the fast paths, of a row of PEs that run `code` while streams arrive.

    DSRs: a0, d0 of the first stream, a1, d1 of the second; d8 and a8 of 400 elements of u16.
    """
    p = wse.Program(20, 1)
    beside = p.shared_array("beside", 2 * words, "u32")
    x, y = p.shared_array("x", 400, "u16"), p.shared_array("y", 400, "u16")
    pe = p.pe_class("pe")
    for i in range(queues):
        color = p.color(f"c{i}", i)
        p.route(color, "W", "ER", x=slice(0, 19))
        p.route(color, "W", "R", x=19)
        pe.queue_in(i + 2, color)
    for i in range(2):
        pe.dsd(f"from{i}", wse.fabin(2 + i % queues, words))
        pe.dsd(f"to{i}", wse.mem1d(beside, words, offset=words * i))
    pe.dsd("mx", wse.mem1d(x))
    pe.dsd("my", wse.mem1d(y))
    loads = "".join(f"dsr a{i}, from{i}\ndsr d{i}, to{i}\n" for i in range(2)) + "dsr d8, my\ndsr a8, mx\n"
    pe.code(f"main:\n{loads}{code}\ndone\nnext:\nst16 r31, [x]\ndone\n{more}")
    pe.local_task("main", 9, active=True)
    pe.local_task("next", 10)
    p.place(pe)

    def load(**how) -> wse.Fabric:
        fabric = wse.Fabric(p, bins=16, activity=True, **how)
        for i in range(queues):
            fabric.stream_in(
                0, 0, "W", f"c{i}", np.arange(2 * words if queues == 1 else words, dtype=np.uint32), rate=rate
            )
        return fabric

    limit = options.pop("limit", 20_000)
    expected = observe(load(reference=True), [], limit)
    return [
        found
        for how, pieces in (({}, ()), ({"threads": 2}, ()), ({}, (100, 333, 1)), ({}, (7, 1, 1, 512)))
        for found in differences(expected, observe(load(**how), [], limit, pieces), False, True)
    ]


LONG = "mov r1, 40\n.again: add16 d8, d8, a8\nisub32 r1, r1, 1\nbnz r1, .again"


@pytest.mark.parametrize("rate", [1, 0.5, 0.03])
def test_more_wavelets_than_the_log_holds(rate):
    assert both(f"mov32 d0, a0 {{async, ut=0}}\n{LONG}", 150, rate) == []


@pytest.mark.parametrize("rate", [1, 0.2])
def test_an_operation_that_ends_meanwhile_activates_a_task(rate):
    """Its queue then has wavelets that nothing takes: they stay in it, and fill it."""
    assert both(f"mov32 d0, a0 {{async, ut=0, activate=next}}\n{LONG}", 60, rate) == []


def test_an_operation_of_the_same_queue_follows():
    code = f"mov32 d0, a0 {{async, ut=0}}\n{LONG.replace('40', '3')}\nmov32 d1, a1 {{async, ut=0}}\n{LONG}"
    assert both(code.replace(".again", ".first", 2), 30, 0.5) == []


@pytest.mark.parametrize("code", ["", LONG])
@pytest.mark.parametrize("words", [20, 100])
def test_two_operations_take_from_one_queue_in_turn(code, words):
    assert both(f"mov32 d0, a0 {{async, ut=0}}\nmov32 d1, a1 {{async, ut=1}}\n{code}", words, 0.4) == []


def test_two_streams_at_once():
    code = f"mov32 d0, a0 {{async, ut=0}}\nmov32 d1, a1 {{async, ut=1}}\n{LONG}"
    assert both(code, 200, 0.5, queues=2) == []


def test_the_code_makes_a_descriptor_of_its_own_that_receives():
    """The kind of the descriptor is computed: an operation in memory becomes one that takes wavelets."""
    code = """mov32 d0, a0 {async, ut=0}
    dsr a2, mx
    stds a2, r4
    stds a1, r8
    mov r1, 8
    .again: add16 d8, d8, a2
    isub32 r1, r1, 1
    bnz r1, .again
    ldds a2, r8
    mov32 d1, a2"""
    assert both(code, 40, 0.2, queues=2) == []


def test_a_fault_elsewhere_ends_the_run_in_its_cycle():
    code = f"mov32 d0, a0 {{async, ut=0}}\ncoord r2, 0\nieq16 r3, r2, 7\nbnz r3, .bad\n{LONG}\ndone\n.bad:\n"
    code += "\n".join(["nop"] * 333) + "\ntrap 5"
    assert both(code, 150, 0.2) == []


@pytest.mark.parametrize("code", ["utprio 0, 0", "mainprio 3", "utblock 0\nnop\nnop\nutunblock 0"])
def test_priorities_that_change_meanwhile(code):
    code = f"mov32 d0, a0 {{async, ut=0}}\n{LONG.replace('40', '3')}\n{code}\n{LONG.replace('again', 'more')}"
    assert both(code, 120, 0.7) == []
