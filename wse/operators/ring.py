"""Collectives of a row: sums and maxima of short vectors.

A vector passes from PE to PE to the east, and each PE adds its own.  The last PE sends the result to all others by
multicast.  That takes about 10 W + 2 n cycles for n f32 on W PEs.  All PEs get the same bits, because partial sums are
added in the order of the columns.  (All-gathers of tiles are part of the operators that use them, such as linear.py.)
"""

from __future__ import annotations

from functools import partial

from ..program import dsd
from ..program.dsd import Descriptor
from ..program.pe_class import PEClass
from .region import QUEUE_IN, QUEUE_OUT, Region, Role, memory_dsr, with_span

OPERATIONS = {"sum": ("fadds", 0.0), "max": ("fmaxs", float("-inf"))}  # and the neutral element


def allreduce(region: Region, op: str) -> str:
    """Return code that reduces a vector over the row of PEs, in place and in all of them.

    op: "sum" or "max", element by element.  The vector is f32; the code expects its span in r16, and changes r28..r31
    and the DSRs 7.  The result is the empty string where a row has one PE.
    """
    if region.width == 1:
        return ""
    name = f"total_{op}"
    if "total" not in region.paths:
        _declare(region)
    region.subroutine(name, _text(name, OPERATIONS[op][0]))
    return f"    call {name}\n"


def _declare(region: Region) -> None:
    """Declare descriptors by role.

    The first PE of a row has the neutral element as its western source, the last one memory as its eastern destination.
    The code fills in addresses and lengths.
    """
    region.uses("total")
    color = region.program.colors["total"]
    for op, (_, neutral) in OPERATIONS.items():
        region.array(f"neutral_{op}", 1, "f32", init=neutral)
        region.dsd(f"total_{op}_in", partial(_from_the_west, f"neutral_{op}"))
    own = {pe.name: pe.symbols["neutral_sum"] for pe in region.classes.values()}
    region.dsd(
        "total_on",
        lambda role, pe: (
            dsd.mem1d(own[pe.name], length=1)
            if role.last
            else dsd.fabout(QUEUE_OUT["ring"], pe.queues_out[QUEUE_OUT["ring"]])
        ),
    )
    region.dsd(
        "total_to",
        lambda role, pe: dsd.fabout(QUEUE_OUT["total"], color) if role.last else dsd.mem1d(own[pe.name], length=1),
    )
    region.dsd(
        "total_from",
        lambda role, pe: dsd.mem1d(own[pe.name], length=1) if role.last else dsd.fabin(QUEUE_IN["total"], color=color),
    )


def _from_the_west(neutral: str, role: Role, pe: PEClass) -> Descriptor:
    if role.first:
        return dsd.mem1d(pe.symbols[neutral], length=0, stride=0)
    return dsd.fabin(QUEUE_IN["ring"], color=pe.queues_in[QUEUE_IN["ring"]])


def _text(name: str, operation: str) -> str:
    op = name.removeprefix("total_")
    lines = [
        f"{name}:",
        f"    dsr b7, total_{op}_in",
        *memory_dsr("a7", 4, "r16"),
        *with_span("d7", "total_on"),
        f"    {operation} d7, a7, b7",
        *with_span("a7", "total_from"),
        *with_span("d7", "total_to"),
        "    mov32 d7, a7",
        "    ret",
    ]
    return "\n".join(lines) + "\n"
