"""cfgld and cfgst: a router's configuration as the machine's own two registers."""

import numpy as np
import pytest

import wse

HARDWARE = {"W": 1, "E": 2, "S": 4, "N": 8, "R": 16}


def registers(code: str, rx: str = "W", tx: str = "ER", words: int = 2, **route) -> np.ndarray:
    """Runs the code on PE (1, 0) of a row of three, whose color 2 is routed as told; returns its array `out`."""
    p = wse.Program(3, 1, machine="wse2")
    color = p.color("red", 2)
    pe = p.pe_class("pe")
    pe.array("out", words, "u16")
    pe.code("main:\n" + code + "\n done")
    pe.local_task("main", 9, active=True)
    p.place(pe, x=1)
    p.route(color, rx, tx, x=1, **route)
    p.route(color, "R", "E", x=0)
    p.route(color, "W", "R", x=2)
    fabric = wse.Fabric(p)
    fabric.run()
    return fabric.read("out", 1, 0, 1, 1)[0, 0]


READ = " cfgld r1, 0x7f22\n st16 r1, [out]\n cfgld r1, 0x7f42\n st16 r1, [out+2]"


def test_both_registers_read():
    got = registers(READ, switch=[("R", None), ("R", "R")], ring=True, pop="pop_on_advance", position=1)
    assert got[0] == HARDWARE["E"] | HARDWARE["R"] | HARDWARE["W"] << 5 | 2 << 12
    assert got[1] == 1 << 13 | 1 << 12 | (4 | 8) | 4 << 4 | 13 << 8


def test_without_switches_positions_are_none():
    assert registers(READ, swap_x=True)[1] == 13 | 13 << 4 | 13 << 8
    assert registers(READ, swap_x=True)[0] >> 10 & 3 == 2


@pytest.mark.parametrize("rx, tx", [("W", "R"), ("N", "SE"), ("R", "W")])
def test_routes_are_written(rx, tx):
    word = sum(HARDWARE[c] for c in tx) | sum(HARDWARE[c] for c in rx) << 5
    got = registers(f" mov r1, {word}\n cfgst r1, 0x7f22\n{READ}", switch=[("R", None)])
    assert got[0] == word
    assert got[1] == 12 | 13 << 4 | 13 << 8  # position 1 still takes from the ramp, and sends where position 0 does


def test_a_switch_is_written():
    word = 1 << 13 | 1 << 12 | 12 | 3 << 4 | 13 << 8
    assert registers(f" mov r1, {word}\n cfgst r1, 0x7f42\n{READ}")[1] == word
    lost = registers(f" mov r1, {3 << 13 | 13}\n cfgst r1, 0x7f42\n{READ}", switch=[("R", None)], position=1)
    assert lost[1] == 13 | 13 << 4 | 13 << 8


def test_no_such_register():
    for address in (0x7F60, 0x7F5F, 0x100):
        with pytest.raises(wse.FabricFault, match="color"):
            registers(f" cfgld r1, {address}\n st16 r1, [out]")
