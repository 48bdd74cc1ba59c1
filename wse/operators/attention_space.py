"""The work space of attention, and the subroutine that transposes a matrix in it."""

from __future__ import annotations

from dataclasses import replace

from ..machine import isa
from . import math_functions
from .attention_shape import AttentionShape
from .code import Code, Vec, Work, divisor, routine
from .dropout import CHUNK as DRAWN
from .dropout import Drawing

CHUNK = 256  # elements of scores that are capped at a time


class WorkSpace:
    """The layout of the work space.  Arrays of the shared subroutines have the same place in forward and backward."""

    def __init__(self, shape: AttentionShape, backward: bool = False) -> None:
        work, n, s, size = Work(), shape.elements, shape.sequence, shape.size
        tile = shape.d_head * s
        # Tiles and stash begin in bank 0.  All rows of a matrix begin in one bank if widths are multiples of 4.
        self.scores, self.e = work.take(n, bank=4), work.take(n, bank=0)
        # The exponents of exp share memory with the later 16-bit copy of e or with the transposed matrix.  They begin
        # 8 bytes away from the bank of tiles and 16-bit sums, to avoid conflicts.
        self.half = self.exponent = work.take(n, 2, bank=4)
        self.vector, self.scratch = work.take(s, bank=4), work.take(s, bank=0)
        self.sink_exponent = work.take(s, 2) if shape.sinks else self.half
        # The f32 do' is no longer needed when the sums for dq begin; 16-bit sums begin 8 bytes later, in bank 0.
        room = work.take(tile + 2 * shape.half, bank=4 if shape.half else 6)
        self.values = replace(room, n=tile)
        self.sums = replace(room, n=tile, size=shape.sum_size, offset=room.offset + 8 * shape.half)
        if shape.cap:
            chunk = divisor(n, CHUNK)
            a, b, more = (work.take(chunk, bank=bank) for bank in (2, 6, 0))
            self.capping = math_functions.Cap(a, b, more, work.take(chunk, 2))
        if shape.dropout:
            self.mask = work.take(n, bank=2)
            self.drawing = Drawing(work, divisor(n, DRAWN))
        if backward:
            self.slope = work.take(n, bank=0) if shape.cap else self.scores
            self.turned = self.half if size == 2 else work.take(n, bank=2)
            bank = 0 if shape.half else 6
            self.keys, self.mixed = work.take(tile, shape.sum_size, bank), work.take(tile, shape.sum_size, bank)
            self.outer = work.take(tile, 2) if size == 2 else self.values
        self.work, self.bytes = work, work.bytes


def transposer(shape: AttentionShape, name: str, turned: Vec) -> str:
    """The text of a subroutine that transposes the matrix at r17 into `turned`, one keys x keys square at a time.

    For each block of queries it processes r21 squares.  r18: address of a square; r19: bytes of a row of the matrix
    there; r20: destination.
    """
    c, keys, size = Code(), shape.keys, turned.size
    count = keys * keys << 16
    c.address("r4", turned.at, turned.offset)
    c(f"mov r5, {keys * size}", "mov r21, 1")  # r5: bytes of a row of the result
    outer, inner = c.new_label(), c.new_label()
    c.label(outer)
    c("mov r18, r17", f"mov r19, {4 * shape.sequence}", "mov r20, r4", "mov r6, r21")
    c.label(inner)
    c(f"mov r28, {1 | 1 << 16:#x}", f"mov r29, {keys | keys << 16:#x}", "mov r30, 0")
    c(
        f"iadd32 r31, r5, {size << 16:#x}",
        "ldxd x0, r28",
        "ishl32 r31, r19, 16",
        "iadd32 r31, r31, 4",
        "ldxd x1, r28",
    )
    c(f"mov r28, {isa.DSD_MEM4D:#x}", f"iadd32 r29, r20, {count:#x}", "mov r31, 0", "ldds d0, r28")
    c(f"iadd32 r29, r18, {count:#x}", "mov r31, 1", "ldds a0, r28", f"{'fs2h' if size == 2 else 'fmovs'} d0, a0")
    c(f"imul32 r3, r19, {keys}", "iadd32 r18, r18, r3", f"isub32 r18, r18, {4 * keys}")
    c(f"isub32 r19, r19, {4 * keys}", f"iadd32 r20, r20, {keys * size}", "isub32 r6, r6, 1", f"bnz r6, {inner}")
    c(
        f"imul32 r3, r5, {keys}",
        "iadd32 r4, r4, r3",
        f"iadd32 r5, r5, {keys * size}",
        f"iadd32 r17, r17, {4 * keys}",
    )
    c("iadd32 r21, r21, 1", f"ieq32 r3, r21, {shape.blocks + 1}", f"bz r3, {outer}")
    return routine(name, (), c, 0).text
