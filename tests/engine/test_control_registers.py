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


@pytest.mark.parametrize(
    "bound, changes, order",
    [
        ("low", [], [1, 2]),
        ("low", [(11, 1)], [2, 1]),
        ("low", [(11, 1), (11, 0)], [1, 2]),
        ("low", [(10, 1), (11, 1), (10, 0)], [2, 1]),
        ("high", [], [2, 1]),
        ("high", [(11, 0)], [1, 2]),
        ("high", [(11, 0), (11, 1)], [2, 1]),
    ],
)
def test_priorities_of_tasks_change_and_change_back(bound, changes, order):
    """Which of the tasks 10 and 11 is picked first; 11 is bound with `bound`.  order: places of 10 and 11."""
    p = wse.Program(1, 1)
    pe = p.pe_class("all")
    for name in ("n", "ten", "eleven"):
        pe.array(name, 1, "u16")
    code = "main:\n" + "".join(f" taskprio {task}, {high}\n" for task, high in changes)
    code += " activate 10\n activate 11\n done\n"
    for name in ("ten", "eleven"):
        code += f"{name}_entry:\n ld16 r1, [n]\n iadd16 r1, r1, 1\n st16 r1, [n]\n st16 r1, [{name}]\n done\n"
    pe.code(code)
    pe.local_task("main", 9, entry="main", active=True)
    pe.local_task("ten", 10, entry="ten_entry")
    pe.local_task("eleven", 11, entry="eleven_entry", priority=bound)
    p.place(pe)
    fabric = wse.Fabric(p)
    fabric.run()
    assert [int(fabric.read(name)[0, 0, 0]) for name in ("ten", "eleven")] == order
