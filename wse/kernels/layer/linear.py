"""Linear layers: y = W x + b, the gradient of x, and that of W and b.

The product.  A tile of x goes round the ring of its row, so that every PE sees all of x, a chunk [kx][t] at a time: the
chunk of column (x - s) mod W at step s.  For each weight W[n, k] that comes down the column, n one of the column's own
outputs, k one of the chunk, a PE adds x[k] W[n, k] to y[n]: a vector operation over its t tokens.  While it does so,
microthreads send the chunk on and bring the next.  y needs no sum over PEs.  The gradient of x is the same product with
dy and the transposed W: dx[k] = sum of W[n, k] dy[n].

    dense    the stream has, for each k of the chunk, W[n, k] of the own outputs n, padding included
    sparse   for each own output n, W[n, k] of those k of the chunk where it is not 0, each with the place of x[k] as
             its index, then a control wavelet; a weight costs four cycles more

The weight gradient uses what the product for dx has left: all of dy, gathered.  It is transposed to [t][N], and for
each own input k the row g[k] = sum over tokens of x[k, token] dy^T[token] is made by t vector operations of N elements;
rows go north one after the other while the next is computed, and are summed up on their way, f32.

Rounding by policy (policy.py), n one output, sums in the order in which the weights come:

    f32      every product and sum rounded to f32
    exact    products exact, each sum rounded to f32; y rounded to 16 bits
    mixed    multiply-adds rounded to 16 bits within a chunk; chunks added in f32; y rounded to 16 bits
    half     multiply-adds rounded to 16 bits

What bounds it.  A weight costs t / rate + 1 cycles, rate 2 a cycle for f32 sums of 16-bit elements (4 for 16-bit sums,
1 for f32), and a row of weights some 15 more; a gathered element one slot to take and one to pass on, two 16-bit
elements at a time.  16-bit rows lie in pairs, one in the lower halves and one in the upper halves of 32-bit words: the
sources of a multiply-add into f32 then never meet in a memory bank.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from .layout import owned
from .policy import Policy
from .region import RECEIVE, SEND, Region, Tile, memory, memory_dsr
from .streams import END, ZERO, Drain, Stream
from .weight_gradient import weight_gradient

Start = Literal["clear", "bias", "add"]


@dataclass(frozen=True)
class Product:
    """One shape of product on a region: `inputs` features gathered, `outputs` made.

    kx, ny: of a PE.  start: what y begins with: 0, a bias from the stream, or what it holds.
    """

    policy: Policy
    width: int
    tokens: int
    inputs: int
    outputs: int
    start: Start = "clear"
    sparse: bool = False

    @property
    def name(self) -> str:
        return f"product_{self.inputs}_{self.outputs}_{self.start}{'_sparse' if self.sparse else ''}"

    @property
    def kx(self) -> int:
        return -(-self.inputs // self.width)

    @property
    def ny(self) -> int:
        return -(-self.outputs // self.width)

    @property
    def paired(self) -> bool:
        """Rows p and p + half of a chunk share 32-bit words."""
        return self.policy.products == "exact"

    @property
    def half(self) -> int:
        """Rows in the lower halves of a paired chunk."""
        return -(-self.kx // 2)

    @property
    def rows(self) -> int:
        """Rows of a chunk for which there is room."""
        return 2 * self.half if self.paired else self.kx

    @property
    def row_bytes(self) -> int:
        """From a row of a chunk to the next."""
        return self.tokens * (4 if self.paired or self.policy.wide else 2)

    @property
    def chunk_bytes(self) -> int:
        return (self.half if self.paired else self.kx) * self.row_bytes

    @property
    def sum_size(self) -> int:
        """Bytes of a sum that products are added to."""
        return 4 if self.policy.products in ("f32", "exact") else 2

    # Work space: f32 sums (unless y is summed in its place), 16-bit sums of a chunk, what is gathered.

    @property
    def sums(self) -> int:
        return 0

    @property
    def gathered(self) -> int:
        exact, mixed = (self.policy.products == name for name in ("exact", "mixed"))
        bytes = self.ny * self.tokens * (4 * (exact or mixed) + 2 * mixed)
        return -(-bytes // 16) * 16 + 8

    @property
    def work(self) -> int:
        return self.gathered + self.width * self.chunk_bytes

    # --- the stream -----------------------------------------------------------------------------------------------

    def order(self, flat: np.ndarray) -> np.ndarray:
        """int64 [width, n]: which weight each wavelet of each column is.  flat: int64 [outputs, inputs]."""
        shape = (self.width, self.width, self.kx, self.ny)  # column, step, k of the chunk, n
        index = np.full(shape, ZERO, np.int64)
        own = owned(self.outputs, self.width)[:, None, None, :]
        k = self.chunks()[..., None]
        there = (own >= 0) & (k >= 0)
        index[there] = flat[np.broadcast_to(own, shape)[there], np.broadcast_to(k, shape)[there]]
        if not self.sparse:
            return index.reshape(self.width, -1)
        end = np.full((*shape[:2], self.ny, 1), END, np.int64)
        return np.concatenate([index.swapaxes(2, 3), end], axis=3).reshape(self.width, -1)

    def chunks(self) -> np.ndarray:
        """int64 [column, step, kx]: the inputs of the chunk that a column has at a step; -1: none."""
        columns, steps = np.arange(self.width)[:, None], np.arange(self.width)[None, :]
        return owned(self.inputs, self.width)[(columns - steps) % self.width]

    def places(self) -> np.ndarray:
        """uint16 [width, n], as `order` of a sparse stream: the place of x[k] in its chunk, in words of 16 bits."""
        k = np.arange(self.kx)
        if self.paired:
            at = k % self.half * self.tokens * 2 + k // self.half
        else:
            at = k * self.row_bytes // 2
        row = np.append(at, 0)
        return np.broadcast_to(
            np.tile(row, self.width * self.ny).astype(np.uint16), (self.width, self.width * self.ny * row.size)
        )

    # --- the code -------------------------------------------------------------------------------------------------

    def text(self) -> str:
        """The subroutine: x in r8, y in r9 (byte addresses)."""
        t, of = self.tokens, self.policy
        multiply_add = {"f32": "fmacs", "exact": "fmachs"}.get(of.products, "fmach")
        chunk_words = self.chunk_bytes // 4
        save = memory(self.sum_size, save=not self.sparse)
        sums = f"iadd32 r13, r9, {t << 16:#x}" if self._in_place else f"mov r13, work+{(t << 16) + self._partial:#x}"
        lines = [
            f"{self.name}:",
            *self._own_chunk(),
            *self._begin(),
            *self._weights(),
            f"    mov r12, {save:#x}",
            f"    mov r14, {self.sum_size}",
            "    mov r15, 0",
            f"    mov r16, {memory(of.size):#x}",
            f"    mov r18, {self.row_bytes // t}",
            "    mov r19, 0",
            f"    mov r20, work+{(chunk_words << 16) + self.gathered:#x}",
            f"    mov r21, {self.width - 1}",
        ]
        if self.width > 1:
            lines += ["    dsr d8, ring_out", "    dsr a9, ring_in"]
        lines += [".chunk:", *self._pass_on()]
        lines += [f"    {sums}", "    iand r1, r20, 0xffff", f"    iadd32 r17, r1, {t << 16:#x}"]
        if of.products == "mixed":
            lines += self._clear(self._partial, self.ny * t, 2)
        if self.sparse:
            lines += self._sparse_rows(multiply_add)
        elif self.paired:
            lines += self._dense_rows("low", self.half, multiply_add)
            if self.kx > self.half:
                lines += [f"    iadd32 r17, r1, {(t << 16) + 2:#x}"]
                lines += self._dense_rows("high", self.kx - self.half, multiply_add)
        else:
            lines += self._dense_rows("row", self.kx, multiply_add)
        if of.products == "mixed":
            lines += [
                *memory_dsr("d0", 4, f"work+{(self.ny * t << 16) + self.sums:#x}"),
                "    ldds a0, r28",
                *memory_dsr("b0", 2, f"work+{(self.ny * t << 16) + self._partial:#x}"),
                "    faddhs d0, a0, b0",
            ]
        if self.width > 1:
            lines += [
                "    bz r21, .end",
                "    isub32 r21, r21, 1",
                f"    iadd32 r20, r20, {self.chunk_bytes}",
                "    jmp .chunk",
                ".end:",
            ]
        if not self._in_place:
            lines += [
                *memory_dsr("a0", 4, f"work+{(self.ny * t << 16) + self.sums:#x}"),
                f"    iadd32 r29, r9, {self.ny * t << 16:#x}",
                f"    mov r28, {memory(2):#x}",
                "    mov r30, 2",
                "    ldds d0, r28",
                "    fs2h d0, a0",
            ]
        return "\n".join([*lines, "    ret\n"])

    @property
    def _in_place(self) -> bool:
        """Products are added to y itself."""
        return self.policy.products in ("f32", "half")

    @property
    def _partial(self) -> int:
        """Where sums of products lie in the work space: those of a chunk, if there are any."""
        return self.ny * self.tokens * 4 if self.policy.products == "mixed" else self.sums

    def _own_chunk(self) -> list[str]:
        """x becomes the first chunk."""
        t, size = self.tokens, self.policy.size
        move = "mov32" if self.policy.wide else "mov16"
        if not self.paired:
            return [
                *memory_dsr("a0", size, f"r8, {self.kx * t << 16:#x}"),
                *memory_dsr("d0", size, f"work+{(self.kx * t << 16) + self.gathered:#x}"),
                f"    {move} d0, a0",
            ]
        lines = []
        for upper, rows in ((0, self.half), (1, self.kx - self.half)):
            if rows:
                lines += [
                    *memory_dsr("a0", 2, f"r8, {(rows * t << 16) + upper * self.half * t * 2:#x}"),
                    *memory_dsr("d0", 2, f"work+{(rows * t << 16) + self.gathered + 2 * upper:#x}", stride=4),
                    "    mov16 d0, a0",
                ]
        return lines

    def _begin(self) -> list[str]:
        """What y begins with."""
        n, of = self.ny * self.tokens, self.policy
        size = 4 if of.products != "half" else 2
        whole = f"r9, {n << 16:#x}" if self._in_place else f"work+{(n << 16) + self.sums:#x}"
        row = f"r9, {self.tokens << 16:#x}" if self._in_place else f"work+{(self.tokens << 16) + self.sums:#x}"
        if self.start == "add":
            if self._in_place:
                return []
            return [*memory_dsr("d0", 4, whole), *memory_dsr("a0", 2, f"r9, {n << 16:#x}"), "    fh2s d0, a0"]
        move = "mov32" if size == 4 else "mov16"
        if self.start == "clear":
            return [*memory_dsr("d0", size, whole), f"    {move} d0, r0"]
        return [
            *memory_dsr("d0", size, row, save=True),
            "    dsr a6, weights_in",
            f"    mov r5, {self.ny}",
            ".bias:",
            "    mapstep r1, a6, .bias",
            *(["    h2s r1, r1"] if size == 4 and not of.wide else []),
            f"    {move} d0, r1",
            "    isub32 r5, r5, 1",
            "    bnz r5, .bias",
        ]

    def _pass_on(self) -> list[str]:
        """Sends the chunk on and brings the next, beside what follows.  An operation on a microthread waits for the one
        before it there: so here the chunk itself has come.  At the last step, a wavelet each is sent to that end."""
        if self.width == 1:
            return []
        return [
            "    bz r21, .last",
            f"    mov r28, {memory(4):#x}",
            "    mov r29, r20",
            "    mov r30, 4",
            "    mov r31, 0",
            "    ldds a8, r28",
            f"    mov32 d8, a8 {{async, ut={SEND}}}",
            f"    iadd32 r29, r29, {self.chunk_bytes}",
            "    ldds d9, r28",
            f"    mov32 d9, a9 {{async, ut={RECEIVE}}}",
            "    jmp .here",
            ".last:",
            "    dsr d8, ring_out_one",
            "    dsr d9, drop",
            "    dsr a9, ring_in_one",
            f"    mov32 d8, r0 {{async, ut={SEND}}}",
            f"    mov32 d9, a9 {{async, ut={RECEIVE}}}",
            ".here:",
        ]

    def _weights(self) -> list[str]:
        """The descriptor of weights: of a row, or up to a control wavelet."""
        if self.sparse:
            return ["    dsr a6, weights_in"]
        return [
            "    ld32 r22, [weights_in]",
            f"    mov r23, {self.ny << 16:#x}",
            "    ld32 r24, [weights_in+8]",
            "    ld32 r25, [weights_in+12]",
        ]

    def _clear(self, at: int, n: int, size: int) -> list[str]:
        move = "mov32" if size == 4 else "mov16"
        return [*memory_dsr("d0", size, f"work+{(n << 16) + at:#x}"), f"    {move} d0, r0"]

    def _dense_rows(self, label: str, rows: int, multiply_add: str) -> list[str]:
        """`rows` rows of weights: r17 is the span of the first row of x, r13 that of the first sum."""
        return [
            f"    mov r5, {rows}",
            "    ldds d0, r12",
            "    ldds a0, r12",
            "    ldds b0, r16",
            "    ldds a6, r22",
            f".{label}:",
            f"    mapstep r4, a6, .{label}_end",
            f"    {multiply_add} d0, a0, b0, r4",
            f"    maploop .{label}",
            f".{label}_end:",
            f"    iadd32 r17, r17, {self.row_bytes}",
            "    ldds d0, r12",
            "    ldds a0, r12",
            "    ldds b0, r16",
            "    ldds a6, r22",
            "    isub32 r5, r5, 1",
            f"    bnz r5, .{label}",
        ]

    def _sparse_rows(self, multiply_add: str) -> list[str]:
        """Rows of weights with places: r17 is the span of the first row of x, r13 that of the first sum."""
        if self.policy.wide:
            weight = ["    mapstep r2, a6, .row_end", "    mapstep r4, a6, .row_end"]
        else:
            weight = ["    mapstep r4, a6, .row_end", "    ishr32 r2, r4, 16"]
        return [
            f"    mov r5, {self.ny}",
            "    ldds d0, r12",
            "    ldds a0, r12",
            "    ldds b0, r16",
            ".row:",
            *weight,
            "    dsindex b0, r2",
            f"    {multiply_add} d0, a0, b0, r4",
            "    maploop .row",
            ".row_end:",
            f"    iadd32 r13, r13, {self.tokens * self.sum_size}",
            "    ldds d0, r12",
            "    ldds a0, r12",
            "    isub32 r5, r5, 1",
            "    bnz r5, .row",
        ]


def forward(region: Region, x: Tile, y: Tile, bias: bool = False, sparse: bool = False) -> Stream:
    """Adds y = W x (+ b) to the sequence.

    Its stream has roles "weight", float [y.features, x.features], and with bias "bias" [y.features].
    """
    made = Product(
        region.policy, region.width, region.tokens, x.features, y.features, "bias" if bias else "clear", sparse
    )
    call(region, made, x, y)
    flat = np.arange(y.features * x.features, dtype=np.int64).reshape(y.features, x.features)
    return region.takes(_stream(f"linear forward {x.features} -> {y.features}", made, flat, bias))


def backward(
    region: Region, x: Tile, dy: Tile, dx: Tile, bias: bool = False, sparse: bool = False, add: bool = False
) -> tuple[Stream, Drain]:
    """Adds dx = W^T dy (add: dx += W^T dy) and the gradients of W, and with bias of b, to the sequence.

    Its stream has the role "weight", its drain "weight" and "bias", of shapes as in `forward`: sums over all tokens of
    the region.
    """
    made = Product(
        region.policy, region.width, region.tokens, dy.features, dx.features, "add" if add else "clear", sparse
    )
    call(region, made, dy, dx)
    flat = np.arange(dy.features * dx.features, dtype=np.int64).reshape(dy.features, dx.features).T
    stream = region.takes(_stream(f"linear backward {dy.features} -> {dx.features}", made, flat, False))
    return stream, weight_gradient(region, made, x, dy, bias)


def call(region: Region, made: Product, x: Tile, y: Tile) -> None:
    region.uses("weights", "ring")
    region.work(made.work)
    region.subroutine(made.name, made.text())
    region.code(f"    mov r8, {x.at}\n    mov r9, {y.at}\n    call {made.name}")


def _stream(what: str, made: Product, flat: np.ndarray, bias: bool) -> Stream:
    own = owned(made.outputs, made.width)
    parts = [("bias", np.where(own < 0, ZERO, own))] if bias else []
    offsets = {"weight": made.places()} if made.sparse else {}
    return Stream(what, made.policy.storage, (*parts, ("weight", made.order(flat))), offsets)
