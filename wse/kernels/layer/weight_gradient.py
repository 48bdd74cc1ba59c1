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
from .region import NORTH, Region, Tile, memory, memory_dsr
from .streams import Drain

if TYPE_CHECKING:
    from .linear import Product

XDSR = 0


def weight_gradient(region: Region, made: Product, x: Tile, dy: Tile, bias: bool) -> Drain:
    """Adds to the sequence, behind the product `made` that gathered dy: the rows g[k] = sum of x[k] dy^T go north, for
    each k of the column's own inputs, and with bias the sums of dy.  A drain of "weight" [dy, x] and "bias" [dy]."""
    if region.tokens * made.width * made.rows >= isa.LENGTH_INFINITE:
        raise ProgramError(
            f"the weight gradient of {x.features} -> {dy.features} gathers {region.tokens * made.width * made.rows} "
            f"elements in a PE, beyond the {isa.LENGTH_INFINITE - 1} of a descriptor: use fewer tokens per row"
        )
    region.uses("north")
    kx, n = region.features(x.features), made.width * made.rows
    region.outbox(max(n, made.kx))
    name = f"gradient_{x.features}_{dy.features}"
    region.work(_transposed(made) + n * made.tokens * _size(made))
    region.subroutine(name, _text(name, made, kx))
    region.code(f"    mov r8, {x.at}\n    call {name}")
    parts: list[tuple[str, np.ndarray, tuple[int, ...]]] = [
        ("weight", _order(made, x.features, dy.features), (dy.features, x.features))
    ]
    if bias:
        sums = f"sum_tokens_{made.kx}"
        region.subroutine("north_vector", NORTH_VECTOR)
        region.subroutine(sums, _sums(sums, made))
        region.code(
            f"    mov r8, {dy.at}\n    call {sums}\n    mov r16, {region.span('work', made.kx)}\n    call north_vector"
        )
        region.work(4 * made.kx)
        parts.append(("bias", owned(dy.features, made.width), (dy.features,)))
    return region.gives(Drain(f"gradient of linear {x.features} -> {dy.features}", tuple(parts)))


def _size(made: Product) -> int:
    """Bytes of an element of T."""
    return made.policy.size


def _shared(made: Product) -> bool:
    """Two tokens share a word of T."""
    return made.policy.gradients == "exact"


def _transposed(made: Product) -> int:
    """Where T lies in the work space: half a row of banks away from sums."""
    return -(-made.work // 16) * 16 + 8


def _order(made: Product, inputs: int, outputs: int) -> np.ndarray:
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


def _tensor(at: int, extents: list[int], strides: list[int], size: int) -> list[str]:
    """Code: d0 walks over the work space from `at`, with up to four extents and strides in bytes, slowest first."""
    extents = [1] * (4 - len(extents)) + extents
    strides = [0] * (4 - len(strides)) + strides
    words = [extents[0] | extents[1] << 16, extents[2] | extents[3] << 16]
    words += [(strides[i] & 0xFFFF) | (strides[i + 1] & 0xFFFF) << 16 for i in (0, 2)]
    length = int(np.prod(extents))
    flags = isa.DSD_WIDE if size == 4 else 0
    return [
        *(f"    mov r{28 + i}, {word:#x}" for i, word in enumerate(words)),
        f"    ldxd x{XDSR}, r28",
        f"    mov r28, {isa.DSD_MEM4D | flags << 8:#x}",
        f"    mov r29, work+{(length << 16) + at:#x}",
        "    mov r30, 0",
        f"    mov r31, {XDSR}",
        "    ldds d0, r28",
    ]


def _transpose(made: Product) -> list[str]:
    """What was gathered becomes T."""
    t, w, size = made.tokens, made.width, _size(made)
    n, at = w * made.rows, _transposed(made)
    cells = w * made.half if made.paired else n
    if not _shared(made):
        walk = _tensor(at, [n, t], [size, size * n], size)
    elif made.paired:
        walk = _tensor(at, [cells, 2, t // 2, 2], [4, 2, 4 * n, 4 * cells], 2)
    else:
        walk = _tensor(at, [n, 2, t // 2], [4, 2, 4 * n], 2)
    source = memory_dsr("a0", size, f"work+{(n * t << 16) + made.gathered:#x}")
    return [*walk, *source, f"    {'mov32' if size == 4 else 'mov16'} d0, a0"]


def _text(name: str, made: Product, kx: int) -> str:
    """The subroutine: x in r8."""
    of, t, size = made.policy, made.tokens, _size(made)
    n, at, shared = made.width * made.rows, _transposed(made), _shared(made)
    halves = 2 if shared else 1
    multiply_add = {"f32": "fmacs", "exact": "fmachs", "half": "fmach"}[of.gradients]
    sum_size = 2 if of.gradients == "half" else 4
    lines = [
        f"{name}:",
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
        f"    mov r9, {kx}",
        "    dsr d10, north_out",
        f"    dsr {'b10' if sum_size == 4 else 'a10'}, south_in",
        ".input:",
        f"    iadd32 r13, r7, {n << 16:#x}",
        "    ldds d0, r12",
        "    ldds a0, r12",
        f"    {'mov32' if sum_size == 4 else 'mov16'} d0, r0",
    ]
    for half in range(halves):
        lines += [
            f"    mov r21, work+{(n << 16) + at + 2 * half:#x}",
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


def _sums(name: str, made: Product) -> str:
    """The subroutine: the sums over the tokens of the rows of the tile at r8, f32, into the work space."""
    size = made.policy.size
    return "\n".join(
        [
            f"{name}:",
            *memory_dsr("b0", size, f"r8, {made.tokens << 16:#x}", save=True),
            *memory_dsr("d0", 4, f"work+{made.kx << 16:#x}"),
            f"    mov r2, {made.kx}",
            ".row:",
            "    mov r1, 0",
            f"    {'fadds' if size == 4 else 'faddhs'} r1, r1, b0",
            "    mapput d0, r1",
            "    isub32 r2, r2, 1",
            "    bnz r2, .row",
            "    ret\n",
        ]
    )
