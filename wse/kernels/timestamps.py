"""Timestamps taken by the code of a PE: the routines, the buffer they write to, and the host function that reads it.

The routines follow the calling sequence of compiled code.  `get_timestamp` stores the three 16-bit words of the time
stamp counter at an address.  `trace_timestamp` appends a record with a type word to a buffer with a fill count.  A
measured interval therefore includes the cost of the measurement: two calls in direct succession differ by
trace_cycles(machine) cycles.

    stamps = Timestamps(program, records=2)
    stamps.add(pe)                          # routines for the class
    pe.code("main:\\n call trace_timestamp\\n ...")
    stamps.read(fabric)                     # int64 [h, w, records]

The routines overwrite registers r24 to r27 (r27 is the link register of `call`).
"""

from __future__ import annotations

import numpy as np

from ..fabric.fabric import Fabric
from ..machine.parameters import Machine
from ..program.pe_class import PEClass
from ..program.program import Program

BUFFER, USED = "trace_buffer", "trace_used"
RECORD_WORDS = 4  # the type of the record, then the 48-bit counter, low word first
TIMESTAMP = 1  # type of a timestamp record

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
    """Cycles between the counter values of two successive `call get_timestamp`: 22 (18 were measured on a CS-3)."""
    return 2 * machine.branch_taken + 6 + 2 * machine.offset_cycles


def trace_cycles(machine: Machine) -> int:
    """Cycles between the counter values of two successive `call trace_timestamp`."""
    return 2 * machine.branch_taken + machine.branch_not_taken + 10 + get_cycles(machine)


class Timestamps:
    """A buffer for `records` timestamps in every PE of a program.  A PE drops timestamps once its buffer is full."""

    def __init__(self, program: Program, records: int = 2):
        self.records = records
        program.shared_array(BUFFER, (records, RECORD_WORDS), "u16", align=2)
        program.shared_array(USED, 1, "u16", align=2)

    def add(self, pe: PEClass) -> None:
        """Appends the routines to the code of a class."""
        last = RECORD_WORDS * (self.records - 1)
        pe.code(_ROUTINES.format(last=last, words=RECORD_WORDS, timestamp=TIMESTAMP))

    def read(self, fabric: Fabric, x: int = 0, y: int = 0, w: int | None = None, h: int | None = None) -> np.ndarray:
        """Reads the timestamps of a rectangle of PEs, in cycles: int64 [h, w, records], -1 for a record not yet taken.

        x, y: the first column and row.  w, h: width and height in PEs, to the edge of the grid by default.
        """
        words = fabric.read(BUFFER, x, y, w, h).astype(np.int64)
        cycles = words[..., 1] | words[..., 2] << 16 | words[..., 3] << 32
        return np.where(words[..., 0] == TIMESTAMP, cycles, -1)
