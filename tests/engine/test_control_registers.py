"""Rows that change or read what is under way: generators, queue status, teardown, priorities, filters, switch positions."""

import numpy as np
import pytest

import wse


def run(code: str, words: int = 4, **route) -> np.ndarray:
    """Runs the code on PE (1, 0) of a row of three, whose color 2 is routed as told; returns its array `out`."""
    p = wse.Program(3, 1, machine="wse2")
    color = p.color("red", 2)
    pe = p.pe_class("pe")
    pe.array("out", words, "u16")
    pe.code("main:\n" + code + "\n done")
    pe.local_task("main", 9, active=True)
    p.place(pe, x=1)
    p.route(color, route.pop("rx", "W"), route.pop("tx", "ER"), x=1, **route)
    p.route(color, "R", "E", x=0)
    p.route(color, "W", "R", x=2)
    fabric = wse.Fabric(p)
    fabric.run()
    return fabric.read("out", 1, 0, 1, 1)[0, 0]


def test_generators_are_apart_and_seeds_give_their_state():
    first = " rand r1\n st16 r1, [out]\n"
    seeded = first + " prng 3\n seed 77\n rand r1\n st16 r1, [out+2]\n prng 4\n rand r1\n st16 r1, [out+4]\n"
    got = run(seeded + " prng 7\n seed 77\n rand r1\n st16 r1, [out+6]")
    plain = run(first + " rand r1\n st16 r1, [out+2]")
    assert got[0] == plain[0] and got[2] == plain[1]  # generator 4 is generator 0
    assert got[1] == got[3] != got[0]  # generator 7 is generator 3


def test_queues_at_rest_are_empty():
    got = run(" iqstat r1\n st16 r1, [out]\n oqstat r1\n st16 r1, [out+2]")
    assert got[0] == 0xFF and got[1] == 0xFF


def test_teardown_is_shown_and_left():
    got = run(" tdpend r1\n st16 r1, [out]\n tdexit red\n tdpend r1\n st16 r1, [out+2]", teardown=True)
    assert got[:2].tolist() == [4, 0]


@pytest.mark.parametrize("outputs, inputs, field", [(2, 16, 1), (18, 8, 3 | 8), (18, 16, 4 | 8)])
def test_both_sides_of_a_switch_position(outputs, inputs, field):
    """The route is W to E and ramp: a position that keeps the outputs is shown by its input, else by its output."""
    code = f" mov r1, {32 + 2}\n mov r2, {outputs | inputs << 5}\n switchst r1, r2\n"
    assert run(code + " cfgld r1, 0x7f42\n st16 r1, [out]")[0] == field | 13 << 4 | 13 << 8


def test_a_filter_that_is_not_there():
    with pytest.raises(wse.FabricFault):
        run(" filtst 0, 1")


def test_a_task_that_is_not_there():
    with pytest.raises(wse.FabricFault):
        run(" mov r1, 64\n mov r2, 1\n taskprio r1, r2")


def test_a_position_that_is_set_keeps_those_after_it():
    """Position 1 of four: the register shows positions 2 and 3 as before; one beyond the last becomes the last."""
    switch = [("W", "ER"), ("W", "R"), ("W", "E")]
    read = " cfgld r1, 0x7f42\n st16 r1, [out]"
    before = run(read, tx="E", switch=switch)[0]
    code = f" mov r1, {32 + 2}\n mov r2, {2 | 16 << 5}\n switchst r1, r2\n"
    after = run(code + read, tx="E", switch=switch)[0]
    assert after >> 4 == before >> 4 and before >> 4 & 15 != 13 and before >> 8 & 15 != 13
    beyond = f" mov r1, {64 + 2}\n mov r2, {2 | 16 << 5}\n switchst r1, r2\n"
    shorter = run(beyond + read, tx="E", switch=switch[:1])[0]
    assert shorter >> 4 & 15 != 13 and shorter >> 8 & 15 == 13
