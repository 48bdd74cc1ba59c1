"""The weight gradient of a linear layer, after the product that has gathered dy; linear.py says how it goes.

What was gathered, [chunk][n][t], is transposed to rows of tokens: T[token][N'], N' = W ny with padding.  For sums in
f32 of 16-bit elements, tokens j and j + t / 2 share the 32-bit words of a row, so that the sources of a multiply-add
never meet in a bank; a paired chunk (rows p and p + half in a word) then goes over in one operation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ... import isa
from ...errors import ProgramError
from .layout import owned
from .parameters import NORTH_VECTOR, next_outbox, sent_off
from .product import call, walk
from .region import NORTH, Region, Tile, memory, memory_dsr
from .streams import Drain

if TYPE_CHECKING:
    from .linear import Gathered

XDSR = 0
# Words of a shape's table: contents of the XDSR, spans of T and of what was gathered, length and span of a row of T,
# how many inputs a column has.
TENSOR, TURNED, SOURCE, ROW, FIRST, INPUTS = 0, 16, 20, 24, 28, 32


def weight_gradient(region: Region, made: Gathered, x: Tile, dy: Tile, bias: bool) -> Drain:
    """Adds to the sequence, behind the product `made` that gathered dy: the rows g[k] = sum of x[k] dy^T go north, for
    each k of the column's own inputs, and with bias the sums of dy.  A drain of "weight" [dy, x] and "bias" [dy]."""
    n = made.width * made.rows
    if region.tokens * n >= isa.LENGTH_INFINITE:
        raise ProgramError(
            f"the weight gradient of {x.features} -> {dy.features} gathers {region.tokens * n} elements in a PE, "
            f"beyond the {isa.LENGTH_INFINITE - 1} of a descriptor: use fewer tokens per row"
        )
    region.uses("north")
    region.outbox(max(n, made.kx))
    region.work(_transposed(made) + n * made.tokens * made.policy.size)
    call(
        region,
        "gradient",
        _text(made),
        f"gradient_{x.features}_{dy.features}",
        _table(made, region.features(x.features)),
        x,
    )
    parts: list[tuple[str, np.ndarray, tuple[int, ...]]] = []
    parts.append(("weight", _order(made, x.features, dy.features), (dy.features, x.features)))
    if bias:
        region.work(4 * made.kx)
        region.subroutine("north_vector", NORTH_VECTOR)
        region.subroutine("sum_tokens", _sums(made))
        region.code(f"    mov r8, {dy.at}\n    mov r9, {made.kx}\n    call sum_tokens")
        region.code(f"    mov r16, {region.span('work', made.kx)}\n    call north_vector")
        parts.append(("bias", owned(dy.features, made.width), (dy.features,)))
    return region.gives(Drain(f"gradient of linear {x.features} -> {dy.features}", tuple(parts)))


def _shared(made: Gathered) -> bool:
    """Two tokens share a word of T."""
    return made.policy.gradients == "exact"


def _transposed(made: Gathered) -> int:
    """Where T lies in the work space: half a row of banks away from sums."""
    return -(-made.work // 16) * 16 + 8


def _order(made: Gathered, inputs: int, outputs: int) -> np.ndarray:
    """int64 [width, kx N']: where in [outputs, inputs] each sum of each column belongs; -1: padding."""
    w, half = made.width, made.half
    place = np.arange(w * made.rows)
    if made.paired:
        upper, q = place // (w * half), place % (w * half)
        step, row = q // half, upper * half + q % half
    else:
        step, row = place // made.rows, place % made.rows
    n = np.full((w, place.size), -1)
    there = row < made.kx
    n[:, there] = made.chunks()[:, step[there], row[there]]
    k = owned(inputs, w)
    order = np.where((k[:, :, None] >= 0) & (n[:, None, :] >= 0), n[:, None, :] * inputs + k[:, :, None], -1)
    return order.reshape(w, -1)


def _table(made: Gathered, kx: int) -> list[int]:
    """The shape's words, in the order of the names above; spans in the work space lack its address."""
    t, size = made.tokens, made.policy.size
    n, at = made.width * made.rows, _transposed(made)
    cells = made.width * made.half
    if not _shared(made):
        tensor = _tensor([n, t], [size, size * n])
    elif made.paired:  # from (cell, half of the tokens, token, half of the rows)
        tensor = _tensor([cells, 2, t // 2, 2], [4, 2, 4 * n, 4 * cells])
    else:
        tensor = _tensor([n, 2, t // 2], [4, 2, 4 * n])
    return [*tensor, (n * t << 16) + at, (n * t << 16) + made.gathered, n << 16, (n << 16) + at, kx]


def _tensor(extents: list[int], strides: list[int]) -> list[int]:
    """The contents of an XDSR: up to four extents, and strides in bytes, slowest first."""
    extents, strides = [1] * (4 - len(extents)) + extents, [0] * (4 - len(strides)) + strides
    return [low & 0xFFFF | (high & 0xFFFF) << 16 for low, high in zip(*[iter([*extents, *strides])] * 2, strict=True)]


def _transpose(made: Gathered) -> list[str]:
    """What was gathered becomes T."""
    size = made.policy.size
    return [
        *(f"    ld32 r{28 + i}, [r10+{TENSOR + 4 * i}]" for i in range(4)),
        f"    ldxd x{XDSR}, r28",
        "    mov r11, work",
        f"    mov r28, {isa.DSD_MEM4D | (isa.DSD_WIDE << 8 if size == 4 else 0):#x}",
        f"    ld32 r29, [r10+{TURNED}]",
        "    iadd32 r29, r29, r11",
        "    mov r30, 0",
        f"    mov r31, {XDSR}",
        "    ldds d0, r28",
        f"    ld32 r1, [r10+{SOURCE}]",
        *walk("a0", size, "r1", "r11"),
        f"    {'mov32' if size == 4 else 'mov16'} d0, a0",
    ]


def _text(made: Gathered) -> str:
    """The subroutine: x at r8, table at r10."""
    of, t, size, shared = made.policy, made.tokens, made.policy.size, _shared(made)
    halves = 2 if shared else 1
    multiply_add = {"f32": "fmacs", "exact": "fmachs", "half": "fmach"}[of.gradients]
    sum_size = 2 if of.gradients == "half" else 4
    lines = [
        "gradient:",
        *_transpose(made),
        *next_outbox("begun"),
        f"    mov r12, {memory(sum_size):#x}",
        f"    mov r14, {sum_size}",
        "    mov r15, 0",
        f"    mov r16, {memory(size):#x}",
        f"    iadd32 r17, r8, {t // halves << 16:#x}",
        f"    mov r18, {size}",
        "    mov r19, 0",
        f"    mov r20, {memory(size, save=True):#x}",
        f"    mov r22, {4 if shared else size}",
        "    mov r23, 0",
        f"    ld32 r9, [r10+{INPUTS}]",
        f"    ld32 r24, [r10+{ROW}]",
        f"    ld32 r25, [r10+{FIRST}]",
        "    iadd32 r25, r25, r11",
        "    dsr d10, north_out",
        f"    dsr {'b10' if sum_size == 4 else 'a10'}, south_in",
        ".input:",
        "    iadd32 r13, r7, r24",
        "    ldds d0, r12",
        "    ldds a0, r12",
        f"    {'mov32' if sum_size == 4 else 'mov16'} d0, r0",
    ]
    for half in range(halves):
        lines += [
            f"    iadd32 r21, r25, {2 * half}",
            "    ldds b1, r16",
            "    ldds b0, r20",
            f".token{half}:",
            f"    mapstep r1, b1, .end{half}",
            f"    {multiply_add} d0, a0, b0, r1",
            f"    maploop .token{half}",
            f".end{half}:",
            f"    iadd32 r17, r17, {t // halves * size}",
        ]
    if sum_size == 4:
        lines += ["    ldds a10, r12", f"    fadds d10, a10, b10 {{async, ut={NORTH}}}"]
    else:
        lines += ["    ldds b10, r12", f"    faddhs d10, a10, b10 {{async, ut={NORTH}}}"]
    lines += [*sent_off(), "    isub32 r9, r9, 1", "    bnz r9, .input", "    ret\n"]
    return "\n".join(lines)


def _sums(made: Gathered) -> str:
    """The subroutine: the sums over the tokens of the r9 rows of the tile at r8, f32, into the work space."""
    size = made.policy.size
    return "\n".join(
        [
            "sum_tokens:",
            *memory_dsr("b0", size, f"r8, {made.tokens << 16:#x}", save=True),
            *memory_dsr("d0", 4, f"work+{1 << 16:#x}"),
            ".row:",
            "    mov r1, 0",
            f"    {'fadds' if size == 4 else 'faddhs'} r1, r1, b0",
            "    mapput d0, r1",
            "    isub32 r9, r9, 1",
            "    bnz r9, .row",
            "    ret\n",
        ]
    )
