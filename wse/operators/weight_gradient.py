"""The weight gradient of a linear layer, computed after the product that has gathered dy (see linear.py).

The gathered dy, [chunk][n][t], is transposed to T[token][N'], with N' = W ny including padding.  For f32 sums of 16-bit
elements, tokens j and j + t / 2 share the 32-bit words of a row of T, so that the sources of a multiply-add have no
bank conflict; a paired chunk (rows p and p + half in one word) is then transposed by one operation.  T is computed
and used in parts of whole chunks.  A part takes at most 4 KiB, unless its rows would then become too short to hide the
latency of an operation.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np

from ..errors import ProgramError
from ..machine import isa
from .parameters import NORTH_VECTOR, next_outbox, sent_off
from .product import Chunkwise, Gathered, call, load_dsr
from .region import NORTH, Region, Tile, memory, memory_dsr
from .tiles import owned
from .transfers import GradientTransfer, Order

XDSR = 0
# Byte offsets in a shape's table: contents of the XDSR, spans of T and of the gathered dy, length and span of a row of
# T, inputs per column, parts of T, bytes of a part.  A span is address | length << 16.
TENSOR, TURNED, SOURCE, ROW, FIRST, INPUTS, PARTS, BYTES = 0, 16, 20, 24, 28, 32, 36, 40
MOST = 4096  # bytes of a part of T: longer rows would save few cycles
# The shortest rows that hide the latency between two dependent operations, in elements.
LEAST = {"f32": 12, "exact": 24, "half": 48}


def weight_gradient(region: Region, made: Gathered, x: Tile, dy: Tile, bias: bool) -> GradientTransfer:
    """Appends the weight gradient to the region's sequence, after the product `made` that gathered dy.

    For each input k of the column, the row g[k] = sum over tokens of x[k] dy^T is sent north; with `bias`, the sums of
    dy follow.  Returns the transfer with "weight", float [dy.features, x.features], and, with `bias`, "bias"
    [dy.features].  Raises ProgramError if the transposed dy exceeds the length field of a descriptor.
    """
    cut = prepare(region, made)
    shape, words = f"gradient_{x.features}_{dy.features}", _table(made, cut, region.features(x.features))
    call(region, "gradient", _text(made), shape, words, x)
    return sent(region, made, x, dy, bias)


def chunk_gradient(region: Region, made: Chunkwise, x: Tile, dy: Tile) -> str:
    """Declares the subroutine `gradient_chunk`, which sends the rows of one chunk north, and returns the name of its
    table.  Errors as weight_gradient."""
    cut = prepare(region, made)
    region.subroutine("gradient_chunk", _text(made))
    shape = f"gradient_chunk_{x.features}_{dy.features}{'_wide' if made.wide else ''}"
    return region.constants(shape, _table(made, cut, region.features(x.features)))


def prepare(region: Region, made: Gathered) -> Cut:
    """The division of T, with its memory declared."""
    cut = Cut.of(made)
    if region.tokens * cut.n >= isa.LENGTH_INFINITE:
        raise ProgramError(
            f"the weight gradient of {made.outputs} -> {made.inputs} transposes {region.tokens * cut.n} elements at "
            f"once, beyond the {isa.LENGTH_INFINITE - 1} of a descriptor: use fewer tokens per row"
        )
    region.uses("north")
    region.outbox(max(cut.n, made.kx))
    region.work(cut.at + cut.bytes)
    return cut


def sent(region: Region, made: Gathered, x: Tile, dy: Tile, bias: bool) -> GradientTransfer:
    """The transfer of the gradients that a call sends north; with `bias`, appends the sums of dy."""
    parts: list[tuple[str, Order, tuple[int, ...]]] = []
    parts.append(("weight", _order(made, x.features, dy.features), (dy.features, x.features)))
    if bias:
        region.work(4 * made.kx)
        region.subroutine("north_vector", NORTH_VECTOR)
        region.subroutine("sum_tokens", _sums(made))
        region.code(f"    mov r8, {dy.at}\n    mov r9, {made.kx}\n    call sum_tokens")
        region.code(f"    mov r16, {region.span('work', made.kx)}\n    call north_vector")
        parts.append(("bias", Order.of(owned(dy.features, made.width)), (dy.features,)))
    return region.gives(GradientTransfer(f"gradient of linear {x.features} -> {dy.features}", tuple(parts)))


def _shared(made: Gathered) -> bool:
    """Whether two tokens share a word of T."""
    return made.policy.gradients == "exact"


class Cut(NamedTuple):
    """The division of T into parts.

    parts: number of parts.  chunks: chunks per part.  n: elements per row of a part.  cells: 32-bit words per row, if
    paired.  bytes: size of a part.  at: offset of a part in the work space, four banks away from the sums.
    """

    parts: int
    chunks: int
    n: int
    cells: int
    bytes: int
    at: int

    @classmethod
    def of(cls, made: Gathered) -> Cut:
        chunk = made.rows * made.tokens * made.policy.size
        at = -(-made.work // 16) * 16 + 8
        if isinstance(made, Chunkwise):
            return cls(made.width, 1, made.rows, made.half, chunk, at)
        least = LEAST[made.policy.gradients]
        fit = [p for p in range(1, made.width + 1) if made.width % p == 0 and made.width // p * made.rows >= least]
        parts = next((p for p in fit if made.width // p * chunk <= MOST), max(fit, default=1))
        chunks = made.width // parts
        return cls(parts, chunks, chunks * made.rows, chunks * made.half, chunks * chunk, at)


@lru_cache(maxsize=256)
def _order(made: Gathered, inputs: int, outputs: int) -> Order:
    """The index in [outputs, inputs] of each sum that a column sends; -1 for padding."""
    cut = Cut.of(made)
    n = cut.parts * owned(inputs, made.width).shape[1] * cut.n
    return Order(made.width, n, partial(_column, made, cut, inputs))


def _column(made: Gathered, cut: Cut, inputs: int, x: int) -> np.ndarray:
    """The order of column x: int64 [n]."""
    w, half = made.width, made.half
    place = np.arange(cut.n)
    if made.paired:
        upper, q = place // cut.cells, place % cut.cells
        step, row = q // half, upper * half + q % half
    else:
        step, row = place // made.rows, place % made.rows
    steps = np.arange(cut.parts)[:, None] * cut.chunks + step
    n = np.full((cut.parts, cut.n), -1)
    there = row < made.kx
    n[:, there] = made.chunks()[x][steps[:, there], np.broadcast_to(row[there], (cut.parts, there.sum()))]
    k, n = owned(inputs, w)[x][None, :, None], n[:, None, :]
    return np.where((k >= 0) & (n >= 0), n * inputs + k, -1).reshape(-1)


def _table(made: Gathered, cut: Cut, kx: int) -> list[int]:
    """The words of the table, in the order of the offsets above.  Spans are relative to the work space."""
    t, size, n = made.tokens, made.policy.size, cut.n
    if not _shared(made):
        tensor = _tensor([n, t], [size, size * n])
    elif made.paired:  # from (cell, half of the tokens, token, half of the rows)
        tensor = _tensor([cut.cells, 2, t // 2, 2], [4, 2, 4 * n, 4 * cut.cells])
    else:
        tensor = _tensor([n, 2, t // 2], [4, 2, 4 * n])
    chunkwise = isinstance(made, Chunkwise)  # the source has the address of the chunk
    source = (n * t << 16) + (0 if chunkwise else made.gathered)
    spans = [(n * t << 16) + cut.at, source, n << 16, (n << 16) + cut.at]
    return [*tensor, *spans, kx, 1 if chunkwise else cut.parts, cut.bytes]


def _tensor(extents: list[int], strides: list[int]) -> list[int]:
    """The contents of an XDSR as four words.  extents, strides (bytes): up to four dimensions, slowest first."""
    extents, strides = [1] * (4 - len(extents)) + extents, [0] * (4 - len(strides)) + strides
    return [low & 0xFFFF | (high & 0xFFFF) << 16 for low, high in zip(*[iter([*extents, *strides])] * 2, strict=True)]


def _transpose(made: Gathered) -> list[str]:
    """Transposes the part of the gathered dy whose span is in r2 to T."""
    size = made.policy.size
    return [
        *(f"    ld32 r{28 + i}, [r10+{TENSOR + 4 * i}]" for i in range(4)),
        f"    ldxd x{XDSR}, r28",
        f"    mov r28, {isa.DSD_MEM4D | (isa.DSD_WIDE << 8 if size == 4 else 0):#x}",
        f"    ld32 r29, [r10+{TURNED}]",
        "    iadd32 r29, r29, r11",
        "    mov r30, 0",
        f"    mov r31, {XDSR}",
        "    ldds d0, r28",
        *load_dsr("a0", size, "r2", ""),
        f"    {'mov32' if size == 4 else 'mov16'} d0, a0",
    ]


def _text(made: Gathered) -> str:
    """The assembler text of the subroutine.  r8, r10: addresses of x and the table; of a Chunkwise, r2: of the
    chunk."""
    chunkwise = isinstance(made, Chunkwise)
    of, t, size, shared = made.policy, made.tokens, made.policy.size, _shared(made)
    halves = 2 if shared else 1
    multiply_add = {"f32": "fmacs", "exact": "fmachs", "half": "fmach"}[of.gradients]
    sum_size = 2 if of.gradients == "half" else 4
    lines = [
        "gradient_chunk:" if chunkwise else "gradient:",
        *next_outbox("begun"),
        "    mov r11, work",
        f"    ld32 r{1 if chunkwise else 2}, [r10+{SOURCE}]",
        f"    iadd32 r2, r2, r{1 if chunkwise else 11}",
        f"    ld32 r3, [r10+{PARTS}]",
        f"    mov r12, {memory(sum_size):#x}",
        f"    mov r14, {sum_size}",
        "    mov r15, 0",
        f"    mov r16, {memory(size):#x}",
        f"    mov r18, {size}",
        "    mov r19, 0",
        f"    mov r20, {memory(size, save=True):#x}",
        f"    mov r22, {4 if shared else size}",
        "    mov r23, 0",
        f"    ld32 r24, [r10+{ROW}]",
        f"    ld32 r25, [r10+{FIRST}]",
        "    iadd32 r25, r25, r11",
        "    dsr d10, north_out",
        f"    dsr {'b10' if sum_size == 4 else 'a10'}, south_in",
        ".part:",
        *_transpose(made),
        f"    ld32 r9, [r10+{INPUTS}]",
        f"    iadd32 r17, r8, {t // halves << 16:#x}",
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
    lines += [*sent_off(), "    isub32 r9, r9, 1", "    bnz r9, .input"]
    lines += [
        f"    ld32 r1, [r10+{BYTES}]",
        "    iadd32 r2, r2, r1",
        "    isub32 r3, r3, 1",
        "    bnz r3, .part",
        "    ret\n",
    ]
    return "\n".join(lines)


def _sums(made: Gathered) -> str:
    """The assembler text of the subroutine that sums r9 rows of the tile at r8 over the tokens, in f32, into the work
    space."""
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
