"""The timestamp routines: what they cost, what they store, and that a full buffer stays as it is."""

import pytest

from wse import Fabric, Program
from wse.kernels.timestamps import Timestamps, get_cycles, trace_cycles


def fabric_of(code: str, records: int, arch: str = "wse2", width: int = 1):
    program = Program(width, 1, arch)
    stamps = Timestamps(program, records)
    pe = program.pe_class("timed")
    pe.code(code)
    pe.local_task("main", 9, active=True)
    stamps.add(pe)
    program.place(pe, x=0)
    if width > 1:
        program.place(program.pe_class("idle"), x=slice(1, width))
    return Fabric(program), stamps


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_cycles_from_one_reading_to_the_next(arch):
    fabric, stamps = fabric_of("main:\n" + "    call trace_timestamp\n" * 3 + "    done\n", 3, arch)
    fabric.run()
    first, second, third = stamps.read(fabric)[0, 0].tolist()
    assert second - first == third - second == trace_cycles(fabric.machine) == 47


def test_get_timestamp_back_to_back():
    code = (
        "main:\n mov r24, trace_buffer+2\n call get_timestamp\n mov r24, trace_buffer+10\n call get_timestamp\n done\n"
    )
    fabric, _ = fabric_of(code, 2)
    fabric.run()
    words = fabric.read("trace_buffer")[0, 0]
    assert words[1, 1] - words[0, 1] - 1 == get_cycles(fabric.machine) == 22  # but for the mov between them


def test_a_full_buffer_stays_as_it_is():
    fabric, stamps = fabric_of("main:\n" + "    call trace_timestamp\n" * 5 + "    done\n", 2)
    fabric.run()
    first, second = stamps.read(fabric)[0, 0].tolist()
    assert second - first == 47
    assert fabric.read("trace_used")[0, 0] == 8


def test_records_that_are_not_there_are_minus_one():
    fabric, stamps = fabric_of("main:\n    call trace_timestamp\n    done\n", 3, width=2)
    fabric.run()
    cycles = stamps.read(fabric)
    assert cycles.shape == (1, 2, 3)
    assert cycles[0, 0, 0] > 0
    assert cycles[0, 0, 1:].tolist() == [-1, -1]
    assert cycles[0, 1].tolist() == [-1, -1, -1]


def test_the_counter_has_48_bits():
    """The high words are read as well: a PE that counts past 2^16 first."""
    code = """
main:
    call trace_timestamp
    mov r1, 11000
.again:
    isub16 r1, r1, 1
    bnz r1, .again
    call trace_timestamp
    done
"""
    fabric, stamps = fabric_of(code, 2)
    fabric.run()
    first, second = stamps.read(fabric)[0, 0].tolist()
    assert second - first == 47 + 1 + 11000 * 7 - 3  # the last branch is not taken
