"""Ids as an activation: feature i of a token is 1 where its id is i, else 0.

An embedding is a linear layer of this: so its table may stay where weights of linear layers stay.

    ids, y      ids u16 [tokens]; y a tile [rows][tokens] of elements, rows of the vocabulary by column

The PE's column in its region is the u16 at `column`.
"""

from __future__ import annotations

import numpy as np

from ...numerics import to_bits
from .code import Code, Routine, Vec, register, routine

OPERANDS = ("ids", "y")


def onehot(rows: int, tokens: int, size: int, fp16: str, name: str) -> Routine:
    """The subroutine.  rows, tokens: of a tile; size: bytes of an element, 2 or 4; fp16: the format of those of 2."""
    c = Code()
    ids, y = (register(OPERANDS, operand) for operand in OPERANDS)
    one = int(np.float32(1).view(np.uint32)) if size == 4 else int(to_bits(np.float32(1), fmt=fp16))
    tile = c.dsr("d", Vec(y, rows * tokens, size))
    c("mov r2, 0", f"{'mov32' if size == 4 else 'mov16'} {tile}, r2")
    c("ld16 r2, [column]", f"imul32 r2, r2, {rows}")
    c(f"mov r3, {ids}", f"mov r4, {y}", f"mov r5, {tokens}", f"mov r6, {one:#x}")
    c.label(".token")
    c("ld16 r7, [r3]", "isub32 r7, r7, r2", f"iltu32 r16, r7, {rows}", "bz r16, .next")
    c(f"imul32 r7, r7, {tokens * size}", "iadd32 r7, r7, r4", f"st{8 * size} r6, [r7]")
    c.label(".next")
    c("iadd32 r3, r3, 2", f"iadd32 r4, r4, {size}", "isub32 r5, r5, 1", "bnz r5, .token")
    return routine(name, OPERANDS, c, 0)


def reference(ids: np.ndarray, features: int) -> np.ndarray:
    """[features, tokens] of ids [tokens]."""
    return (np.asarray(ids)[None, :] == np.arange(features)[:, None]).astype(np.float32)
