"""Timestamps as programs take them: routines for a PE's code, the buffer they write to, and its reader on the host.

The routines are written as a compiler writes them for a PE: `get_timestamp` is a library routine that stores the three
16-bit words of the counter at an address, and `trace_timestamp` appends a record, which also says what it is, to a
buffer that knows how full it is.  So a measured interval holds the cost of its own measurement: trace_cycles from one
reading to the next when nothing lies between them.

    stamps = Timestamps(program, records=2)
    stamps.add(pe)                          # routines for the class
    pe.code("main:\\n call trace_timestamp\\n ...")
    stamps.read(fabric)                     # int64 [h, w, records]

The routines keep no register from r24 to r27 (r27 is the link of `call`).
"""

from __future__ import annotations

import numpy as np

from ..fabric.fabric import Fabric
from ..machine.parameters import Machine
from ..program.pe_class import PEClass
from ..program.program import Program

BUFFER, USED = "trace_buffer", "trace_used"
RECORD_WORDS = 4  # what it is, then the counter, low word first
TIMESTAMP = 1  # what a record is

_ROUTINES = """
get_timestamp:                      // stores the counter at r24
    tsc r25, 0
    st16 r25, [r24]
    tsc r25, 1
    st16 r25, [r24+2]
    tsc r25, 2
    st16 r25, [r24+4]
    ret

trace_timestamp:                    // appends a record, if there is room
    ld16 r24, [trace_used]          // in words
    ileu16 r25, r24, {last}
    bz r25, .full
    mov r26, r27                    // the link: a call follows
    ishl16 r25, r24, 1
    iadd16 r25, r25, trace_buffer
    iadd16 r24, r24, {words}
    st16 r24, [trace_used]
    mov r24, {timestamp}
    st16 r24, [r25]
    iadd16 r24, r25, 2
    call get_timestamp
    jr r26
.full:
    ret
"""


def get_cycles(machine: Machine) -> int:
    """Cycles from the reading of one `call get_timestamp` to that of the next: 18, as measured on WSE-3."""
    return 2 * machine.branch_taken + 6


def trace_cycles(machine: Machine) -> int:
    """Cycles from the reading of one `call trace_timestamp` to that of the next."""
    return 2 * machine.branch_taken + machine.branch_not_taken + 10 + get_cycles(machine)


class Timestamps:
    """A trace buffer of so many records in every PE of a program."""

    def __init__(self, program: Program, records: int = 2):
        self.records = records
        program.shared_array(BUFFER, (records, RECORD_WORDS), "u16", align=2)
        program.shared_array(USED, 1, "u16", align=2)

    def add(self, pe: PEClass) -> None:
        """Adds the routines to a class's code."""
        last = RECORD_WORDS * (self.records - 1)
        pe.code(_ROUTINES.format(last=last, words=RECORD_WORDS, timestamp=TIMESTAMP))

    def read(self, fabric: Fabric, x: int = 0, y: int = 0, w: int | None = None, h: int | None = None) -> np.ndarray:
        """The counters of a rectangle's PEs, int64 [h, w, records]; -1 where a PE has not come so far."""
        words = fabric.read(BUFFER, x, y, w, h).astype(np.int64)
        cycles = words[..., 1] | words[..., 2] << 16 | words[..., 3] << 32
        return np.where(words[..., 0] == TIMESTAMP, cycles, -1)
