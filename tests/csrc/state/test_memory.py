"""csrc/state/memory.c: host copies of any rectangle, bounds, and memory that is allocated on first use.

Covers: csrc/state/layout.c
"""

import itertools

import numpy as np
import pytest

import wse
from wse import _engine

WIDTH, HEIGHT = 5, 3


@pytest.fixture
def fabric():
    p = wse.Program(WIDTH, HEIGHT)
    left, right = p.pe_class("left"), p.pe_class("right")
    for pe in (left, right):
        pe.code("main:\n done\n")
    p.place(left, x=slice(0, 2))
    p.place(right, x=slice(2, WIDTH))
    return wse.Fabric(p)


def test_a_rectangle_is_written_and_nothing_else(fabric):
    random = np.random.default_rng(0)
    expected = fabric.read_bytes(0, _engine.SRAM)
    for (x, w), (y, h) in itertools.product([(0, WIDTH), (1, 3), (4, 1)], [(0, HEIGHT), (2, 1)]):
        address, size = int(random.integers(20_000, 40_000)), int(random.integers(1, 9))
        data = random.integers(0, 256, (h, w, size), np.uint8)
        fabric.write_bytes(address, data, x, y)
        expected[y : y + h, x : x + w, address : address + size] = data
        np.testing.assert_array_equal(fabric.read_bytes(address, size, x, y, w, h), data)
    np.testing.assert_array_equal(fabric.read_bytes(0, _engine.SRAM), expected)


def test_the_last_byte_is_the_end(fabric):
    last = _engine.SRAM - 1
    fabric.write_bytes(last, np.full((1, 1, 1), 7, np.uint8))
    assert fabric.read_bytes(last, 1)[0, 0, 0] == 7
    for address, size in ((last, 2), (_engine.SRAM, 1), (-1, 1)):
        with pytest.raises(wse.ProgramError, match="are not in the 49152 bytes of a PE's memory"):
            fabric.read_bytes(address, size)


def test_the_engine_checks_rectangles_itself(fabric):
    engine, one = fabric._engine, np.zeros(1, np.uint8)
    for x, y, w, h in ((-1, 0, 1, 1), (0, 0, WIDTH + 1, 1), (0, HEIGHT, 1, 1), (WIDTH, 0, 1, 1)):
        for call in (engine.read, engine.write):
            with pytest.raises((ValueError, wse.WseError)):
                call(x, y, w, h, 0, np.zeros(max(1, w * h), np.uint8))
    with pytest.raises((ValueError, wse.WseError)):
        engine.fill_class(9, 0, one)


def test_registers_of_a_rectangle(fabric):
    fabric.set_register(3, np.arange(6).reshape(2, 3), x=1, y=1, w=3, h=2)
    with pytest.raises(wse.ProgramError, match="a register is 0 to 31, not 32"):
        fabric.set_register(32, 0)


def test_memory_is_allocated_on_first_use():
    """The SRAM of 512 x 512 PEs has 12 GiB of addresses; the process grows by less than a tenth of it."""

    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096

    p = wse.Program(512, 512)
    pe = p.pe_class("idle")
    pe.code("main:\n done\n")
    p.place(pe)
    before = resident()
    fabric = wse.Fabric(p, bins=0)
    fabric.write_bytes(40_000, np.ones((1, 1, 1), np.uint8), 511, 511)
    assert fabric.read_bytes(40_000, 1, 511, 511).item() == 1
    assert resident() - before < 512 * 512 * _engine.SRAM // 10
    assert fabric.bytes > 512 * 512 * 100  # state beside SRAM, most of it not committed either
