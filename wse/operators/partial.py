"""Linear layers forward: y = W x + b, by partial sums that go round the ring of a row.

A column of PEs holds its own features k of x, and takes the weights W[n, k] of all outputs n for them: each weight that
comes down adds x[k] W[n, k] to a partial sum of y[n], a vector operation over a PE's tokens, and is not kept.  Outputs
are made a block at a time, the block of one column of PEs after the other: at step s column x works for column
(x - 1 - s) mod W.  After each step its sums go on to the east, and those of the next block come from the west, to go on
from; in the last step a PE's own block has been everywhere, and lands in the layout of x.  So layers chain without
moving anything, a column takes the weights of the same inputs forward and backward (linear.backward), and the weights
of each column come in an order of their own, which `Partial.order` gives.

Passing sums on takes a slot to send and one to take for each of them, which nothing can hide: a PE executes one element
a slot.  So it is done between steps, and multiply-adds have the PE for themselves.

    dense    for each own input k, W[n, k] of the block's outputs n: as many as there are
    sparse   for each output n of the block, W[n, k] of those own k where it is not 0, each with the place of x[k] as
             its index, then a control wavelet

Rounding by policy (policy.py).  Sums go from the column east of the owner on to the east, within a column in the order
of the weights; the bias comes in at the owner, before its own products:

    f32      every product and sum rounded to f32
    exact    products exact, each sum rounded to f32; y rounded to 16 bits
    mixed    multiply-adds rounded to 16 bits within a column; columns added in f32; y rounded to 16 bits
    half     multiply-adds and sums rounded to 16 bits
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .product import ALL_SENT, MORE, ROW, SUMS, Product, call, load_dsr
from .region import SEND, Region, Tile
from .tiles import owned
from .transfers import END, ZERO, WeightTransfer

# What the table of a shape has beyond that of any product: bytes of a block, places of 16-bit sums and of the bias.
BLOCK_BYTES, NARROW, BIAS = (MORE + 4 * i for i in range(3))


def forward(region: Region, x: Tile, y: Tile, bias: bool = False, sparse: bool = False) -> WeightTransfer:
    """Adds y = W x (+ b) to the sequence.

    Its stream has roles "weight", float [y.features, x.features], and with bias "bias" [y.features].
    """
    made = Partial(region.policy, region.width, region.tokens, x.features, y.features, sparse)
    region.uses("weights", "ring")
    region.work(made.work)
    name = f"partial{'_bias' if bias else ''}{'_sparse' if sparse else ''}"
    shape = f"partial{'_sparse' if sparse else ''}_{x.features}_{y.features}"
    call(region, name, made.text(name, bias), shape, made.table, x, y)
    flat = np.arange(y.features * x.features, dtype=np.int64).reshape(y.features, x.features)
    own = owned(y.features, region.width)
    parts = [("bias", np.where(own < 0, ZERO, own))] if bias else []
    offsets = {"weight": made.places(made.width)} if sparse else {}
    what = f"linear forward {x.features} -> {y.features}"
    return region.takes(WeightTransfer(what, region.policy.storage, (*parts, ("weight", made.order(flat))), offsets))


@dataclass(frozen=True)
class Partial(Product):
    """One shape of it.  kx: inputs of a PE, its chunk of x; ny: outputs of a block."""

    # Work space: sums of two blocks, 16-bit sums of one before they are widened (mixed), the bias, x as it is walked
    # over.

    @property
    def block(self) -> int:
        """Elements of a block."""
        return self.ny * self.tokens

    @property
    def mixed(self) -> bool:
        return self.policy.products == "mixed"

    @property
    def passed_size(self) -> int:
        """Bytes of a sum on its way from column to column."""
        return 2 if self.policy.products == "half" else 4

    @property
    def block_bytes(self) -> int:
        return -(-self.block * self.passed_size // 16) * 16

    @property
    def narrow(self) -> int:
        return 2 * self.block_bytes

    @property
    def bias(self) -> int:
        return self.narrow + (self.block * 2 if self.mixed else 0)

    @property
    def gathered(self) -> int:
        return -(-(self.bias + 4 * self.ny) // 16) * 16 + 8

    @property
    def work(self) -> int:
        return self.gathered + self.chunk_bytes

    @cached_property
    def table(self) -> list[int]:
        return [*super().table, self.block_bytes, self.narrow, self.bias]

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

    def text(self, name: str, bias: bool) -> str:
        """The subroutine: x at r8, y at r9, table at r10.

        r6, r11: where the sums of this block and of the one before lie; r21: steps to go; r3: span of a block without a
        base; mixed: r2: where 16-bit sums lie.
        """
        lines = [
            f"{name}:",
            *self.own_chunk(),
            *(self._take_bias() if bias else []),
            *self.rows_begin(),
            f"    mov r21, {self.width - 1}",
            "    mov r6, work",
            f"    ld32 r11, [r10+{BLOCK_BYTES}]",
            "    iadd32 r11, r11, r6",
            f"    ld32 r3, [r10+{SUMS}]",
        ]
        if self.mixed:
            lines += [f"    ld32 r2, [r10+{NARROW}]", "    iadd32 r2, r2, r6"]
        lines += [*self._clear("r6", self.passed_size), ".block:"]
        if bias:
            lines += ["    bnz r21, .rows", *self._add_bias(), ".rows:"]
        if self.mixed:
            lines += self._clear("r2", 2)
        lines += [
            f"    iadd32 r13, {'r2' if self.mixed else 'r6'}, {self.tokens << 16:#x}",
            *self.all_rows(),
        ]
        if self.mixed:
            lines += [
                *load_dsr("d0", 4, "r6", "r3"),
                "    ldds a0, r28",
                *load_dsr("b0", 2, "r2", "r3"),
                "    faddhs d0, a0, b0",
            ]
        return "\n".join([*lines, *self._pass_on(), *self._finish(), "    ret\n"])

    def _take_bias(self) -> list[str]:
        """The bias comes into the work space, in words of 32 bits."""
        return [
            "    dsr a6, weights_in",
            f"    ld32 r2, [r10+{BIAS}]",
            f"    ld32 r3, [r10+{ROW}]",
            "    iadd32 r2, r2, r3",
            "    mov r3, work",
            *load_dsr("d0", 4, "r2", "r3"),
            "    mov32 d0, a6",
        ]

    def _add_bias(self) -> list[str]:
        """The bias is added to the sums of the own block, row by row."""
        size = self.passed_size
        return [
            f"    iadd32 r4, r6, {self.tokens << 16:#x}",
            *load_dsr("d0", size, "r4", "", save=True),
            "    ldds a0, r28",
            f"    ld32 r4, [r10+{BIAS}]",
            f"    ld32 r5, [r10+{ROW}]",
            "    iadd32 r4, r4, r5",
            "    mov r5, work",
            *load_dsr("b1", 4, "r4", "r5"),
            ".bias:",
            "    mapstep r4, b1, .rows",
            *(["    h2s r4, r4"] if size == 4 and not self.policy.wide else []),
            f"    {'fadds' if size == 4 else 'faddh'} d0, a0, r4",
            "    maploop .bias",
        ]

    def _clear(self, base: str, size: int) -> list[str]:
        return [*load_dsr("d0", size, base, "r3"), f"    {'mov32' if size == 4 else 'mov16'} d0, r0"]

    def _pass_on(self) -> list[str]:
        """The sums go on to the east, those of the next block come from the west.  Sending takes a microthread, for all
        PEs of a row send at once; it waits for the one before, so that what was sent then may be overwritten.  In the
        end, a wavelet more is sent and taken, so that all has been sent."""
        if self.width == 1:
            return []
        words, halved = "r3", []
        if self.passed_size == 2:  # two to a wavelet
            words, halved = "r4", ["    ishr32 r4, r3, 1"]
        return [
            "    bz r21, .last",
            "    dsr d8, ring_out",
            "    dsr a9, ring_in",
            *halved,
            *load_dsr("a8", 4, "r6", words),
            f"    mov32 d8, a8 {{async, ut={SEND}}}",
            f"    iadd32 r29, r11, {words}",
            "    ldds d9, r28",
            "    mov32 d9, a9",
            "    mov r4, r11",
            "    mov r11, r6",
            "    mov r6, r4",
            "    isub32 r21, r21, 1",
            "    jmp .block",
            ".last:",
            *ALL_SENT,
        ]

    def _finish(self) -> list[str]:
        """The own block goes to y."""
        size = self.passed_size
        move = "fs2h" if size > self.policy.size else "mov32" if size == 4 else "mov16"
        return [*load_dsr("a0", size, "r6", "r3"), *load_dsr("d1", self.policy.size, "r9", "r3"), f"    {move} d1, a0"]


__all__ = ["Partial", "forward"]
