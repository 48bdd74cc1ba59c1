"""Linear layers forward: y = W x + b, by partial sums that go round the ring of a row.

A column of PEs holds its own features k of x, and takes the weights W[n, k] of all outputs n for them: each weight that
comes down adds x[k] W[n, k] to a partial sum of y[n], a vector operation over a PE's tokens, and is not kept.  Outputs
are made a block at a time, the block of one column of PEs after the other: at step s column x works for column
(x - 1 - s) mod W.  While it does so, one microthread adds what comes from the west to the block of the step before, and
another one sends the block before that to the east; in the last step a PE's own block has been everywhere, and lands in
the layout of x.  So layers chain without moving anything, a column takes the weights of the same inputs forward and
backward (linear.backward), and the weights of each column come in an order of their own, which `Partial.order` gives.

    dense    for each own input k, W[n, k] of the block's outputs n: as many as there are
    sparse   for each output n of the block, W[n, k] of those own k where it is not 0, each with the place of x[k] as
             its index, then a control wavelet

Rounding by policy (policy.py); sums go over the inputs of one column first, then over the columns from the one east of
the owner on:

    f32      every product and sum rounded to f32
    exact    products exact, each sum rounded to f32; y rounded to 16 bits
    mixed    multiply-adds rounded to 16 bits within a column; columns added in f32; y rounded to 16 bits
    half     multiply-adds and sums rounded to 16 bits
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .layout import owned
from .linear import Product, Start, call
from .region import RECEIVE, SEND, memory, memory_dsr
from .streams import END, ZERO, Stream

if TYPE_CHECKING:
    from .region import Region, Tile


def forward(region: Region, x: Tile, y: Tile, bias: bool = False, sparse: bool = False) -> Stream:
    """Adds y = W x (+ b) to the sequence.

    Its stream has roles "weight", float [y.features, x.features], and with bias "bias" [y.features].
    """
    start: Start = "bias" if bias else "clear"
    made = Partial(region.policy, region.width, region.tokens, x.features, y.features, start, sparse)
    call(region, made, x, y)
    flat = np.arange(y.features * x.features, dtype=np.int64).reshape(y.features, x.features)
    own = owned(y.features, region.width)
    parts = [("bias", np.where(own < 0, ZERO, own))] if bias else []
    offsets = {"weight": made.places()} if sparse else {}
    what = f"linear forward {x.features} -> {y.features}"
    return region.takes(Stream(what, region.policy.storage, (*parts, ("weight", made.order(flat))), offsets))


@dataclass(frozen=True)
class Partial(Product):
    """One shape of it.  kx: inputs of a PE, its chunk of x; ny: outputs of a block."""

    @property
    def name(self) -> str:
        return f"partial_{self.inputs}_{self.outputs}_{self.start}{'_sparse' if self.sparse else ''}"

    # Work space: sums of three blocks, 16-bit sums of one before they are widened (mixed), the bias, x as it is walked
    # over.

    @property
    def block(self) -> int:
        """Elements of a block."""
        return self.ny * self.tokens

    @property
    def passed_size(self) -> int:
        """Bytes of a sum on its way from column to column."""
        return 2 if self.policy.products == "half" else 4

    @property
    def block_bytes(self) -> int:
        return -(-self.block * self.passed_size // 16) * 16

    @property
    def narrow(self) -> int:
        return 3 * self.block_bytes

    @property
    def bias(self) -> int:
        return self.narrow + (self.block * 2 if self.policy.products == "mixed" else 0)

    @property
    def gathered(self) -> int:
        return -(-(self.bias + 4 * self.ny) // 16) * 16 + 8

    @property
    def work(self) -> int:
        return self.gathered + self.chunk_bytes

    # --- the stream -----------------------------------------------------------------------------------------------

    def order(self, flat: np.ndarray) -> np.ndarray:
        """int64 [width, n]: which weight each wavelet of each column is.  flat: int64 [outputs, inputs]."""
        shape = (self.width, self.width, self.kx, self.ny)  # column, step, own k, n of the block
        columns, steps = np.arange(self.width)[:, None], np.arange(self.width)[None, :]
        n = owned(self.outputs, self.width)[(columns - 1 - steps) % self.width][:, :, None, :]
        k = owned(self.inputs, self.width)[:, None, :, None]
        index = np.full(shape, ZERO, np.int64)
        there = np.broadcast_to((n >= 0) & (k >= 0), shape)
        index[there] = flat[np.broadcast_to(n, shape)[there], np.broadcast_to(k, shape)[there]]
        if self.sparse:
            end = np.full((self.width, self.width, self.ny, 1), END, np.int64)
            index = np.concatenate([index.swapaxes(2, 3), end], axis=3)
        return index.reshape(self.width, -1)

    # --- the code -------------------------------------------------------------------------------------------------

    def text(self) -> str:
        """The subroutine: x in r8, y in r9 (byte addresses)."""
        t, of = self.tokens, self.policy
        multiply_add = {"f32": "fmacs", "exact": "fmachs"}.get(of.products, "fmach")
        lines = [
            f"{self.name}:",
            *self._own_chunk(),
            *self._take_bias(),
            *(["    dsr a6, weights_in"] if self.sparse else self._counted()),
            f"    mov r12, {memory(self.sum_size, save=not self.sparse):#x}",
            f"    mov r14, {self.sum_size}",
            "    mov r15, 0",
            f"    mov r16, {memory(of.size):#x}",
            f"    mov r18, {self.row_bytes // t}",
            "    mov r19, 0",
            f"    mov r24, {self.width - 1}",
            "    mov r25, work",
            f"    mov r10, work+{self.block_bytes}",
            f"    mov r11, work+{2 * self.block_bytes}",
            *(["    dsr d8, ring_out", "    dsr b9, ring_in"] if self.width > 1 else []),
            ".block:",
            *self._begin(),
            f"    {self._first_sum}",
            f"    mov r17, work+{(t << 16) + self.gathered:#x}",
        ]
        if self.sparse:
            lines += self._sparse_rows(multiply_add)
        elif self.paired:
            lines += self._dense_rows("low", self.half, multiply_add)
            if self.kx > self.half:
                lines += [f"    mov r17, work+{(t << 16) + self.gathered + 2:#x}"]
                lines += self._dense_rows("high", self.kx - self.half, multiply_add)
        else:
            lines += self._dense_rows("row", self.kx, multiply_add)
        lines += [*self._pass_sums(), *self._finish()]
        return "\n".join([*lines, "    ret\n"])

    def _counted(self) -> list[str]:
        """r20..r23: the descriptor of a row of weights."""
        loads = [f"    ld32 r{20 + i}, [weights_in+{4 * i}]" for i in (0, 2, 3)]
        return [*loads, f"    mov r21, {self.ny << 16:#x}"]

    def _take_bias(self) -> list[str]:
        if self.start != "bias":
            return []
        return [
            "    dsr a6, weights_in",
            *memory_dsr("d0", 4, f"work+{(self.ny << 16) + self.bias:#x}"),
            "    mov32 d0, a6",
        ]

    @property
    def _mixed(self) -> bool:
        return self.policy.products == "mixed"

    @property
    def _first_sum(self) -> str:
        """r13: the span of the block's first row of sums."""
        row = self.tokens << 16
        return f"mov r13, work+{row + self.narrow:#x}" if self._mixed else f"iadd32 r13, r25, {row:#x}"

    def _begin(self) -> list[str]:
        """Sums of a block begin with 0, those of the own one with the bias."""
        size = self.sum_size
        move = "mov32" if size == 4 else "mov16"
        whole = f"work+{(self.block << 16) + self.narrow:#x}" if self._mixed else f"r25, {self.block << 16:#x}"
        row = f"work+{(self.tokens << 16) + self.narrow:#x}" if self._mixed else f"r25, {self.tokens << 16:#x}"
        clear = [*memory_dsr("d0", size, whole), f"    {move} d0, r0"]
        if self.start != "bias":
            return clear
        return [
            "    bz r24, .biased",
            *clear,
            "    jmp .rows",
            ".biased:",
            *memory_dsr("d0", size, row, save=True),
            *memory_dsr("b1", 4, f"work+{(self.ny << 16) + self.bias:#x}"),
            ".bias:",
            "    mapstep r1, b1, .rows",
            *(["    h2s r1, r1"] if size == 4 and not self.policy.wide else []),
            f"    {move} d0, r1",
            "    maploop .bias",
            ".rows:",
        ]

    def _dense_rows(self, label: str, rows: int, multiply_add: str) -> list[str]:
        """`rows` rows of weights: r17 is the span of the first row of x, r13 that of the first sum."""
        return [
            f"    mov r5, {rows}",
            f".{label}:",
            "    ldds d0, r12",
            "    ldds a0, r12",
            "    ldds b0, r16",
            "    ldds a6, r20",
            f".{label}_weight:",
            f"    mapstep r4, a6, .{label}_end",
            f"    {multiply_add} d0, a0, b0, r4",
            f"    maploop .{label}_weight",
            f".{label}_end:",
            f"    iadd32 r17, r17, {self.row_bytes}",
            "    isub32 r5, r5, 1",
            f"    bnz r5, .{label}",
        ]

    def _pass_sums(self) -> list[str]:
        """Microthreads add what comes from the west to this block, and send the one before, to which all was added: an
        operation on a microthread waits for the one before it there.  For the same reason the buffer that is taken next
        is free.  At the last step, a wavelet more is sent and taken, so that all has ended."""
        whole, size = f"{self.block << 16:#x}", self.passed_size
        lines = []
        if self._mixed:
            lines += memory_dsr("a0", 2, f"work+{(self.block << 16) + self.narrow:#x}")
            lines += [*memory_dsr("d0", 4, f"r25, {whole}"), "    fh2s d0, a0"]
        if self.width == 1:
            return lines
        return [
            *lines,
            f"    ine32 r1, r24, {self.width - 1}",
            "    bz r1, .next",
            *memory_dsr("d9", size, f"r25, {whole}"),
            "    ldds a9, r28",
            f"    {'fadds' if size == 4 else 'faddh'} d9, a9, b9 {{async, ut={RECEIVE}}}",
            *memory_dsr("a8", size, f"r11, {whole}"),
            f"    {'mov32' if size == 4 else 'mov16'} d8, a8 {{async, ut={SEND}}}",
            "    bz r24, .last",
            ".next:",
            "    mov r1, r10",
            "    mov r10, r11",
            "    mov r11, r25",
            "    mov r25, r1",
            "    isub32 r24, r24, 1",
            "    jmp .block",
            ".last:",
            "    dsr d10, ring_out_one",
            "    dsr d11, drop",
            "    dsr a11, ring_in_one",
            f"    mov32 d10, r0 {{async, ut={SEND}}}",
            f"    mov32 d11, a11 {{async, ut={RECEIVE}}}",
        ]

    def _finish(self) -> list[str]:
        """The own block goes to y."""
        size = self.passed_size
        move = "fs2h" if size > self.policy.size else "mov32" if size == 4 else "mov16"
        whole = f"{self.block << 16:#x}"
        return [
            *memory_dsr("a0", size, f"r25, {whole}"),
            *memory_dsr("d1", self.policy.size, f"r9, {whole}"),
            f"    {move} d1, a0",
        ]


__all__ = ["Partial", "forward"]
