"""Forward pass of linear layers, y = W x + b, by partial sums that circulate around the ring of a row.

A column of PEs holds its features k of x and receives the weights W[n, k] of all outputs n.  Each weight is used once,
as it arrives: a vector operation over the PE's tokens adds x[k] W[n, k] to a partial sum of y[n].  Outputs are computed
in blocks, one block per column of PEs.  At step s, column x works on the block of column (x - 1 - s) mod W.  After each
step, a PE sends its sums east and receives the sums of its next block from the west.  In the last step, a PE works on
its own block, which has then visited all other columns, and the result has the layout of x.  Layers therefore chain
without a redistribution, and a column uses the weights of the same inputs in the forward and in the backward pass
(linear.backward).  The order of the weights differs between columns; `Partial.order` gives it.

A sum takes one slot to send and one to receive.  A PE executes one element per slot, so overlapping these transfers
with multiply-adds would not save slots; they happen between steps.

    dense    for each input k of the column, the stream holds W[n, k] of all outputs n of the block
    sparse   for each output n of the block, the stream holds the nonzero W[n, k] of the column's k, each with the
             position of x[k] as its index, followed by a control wavelet

Rounding by policy (policy.py).  Sums visit the columns from west to east and end at the owner; within a column they
follow the order of the weights.  The owner adds the bias before its own products:

    f32      every product and sum rounded to f32
    exact    products exact, each sum rounded to f32; y rounded to 16 bits
    mixed    multiply-adds rounded to 16 bits within a column; columns added in f32; y rounded to 16 bits
    half     multiply-adds and sums rounded to 16 bits
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ..records import dataclass
from .product import ALL_SENT, MORE, ROW, SUMS, Product, call, load_dsr, order
from .region import SEND, Region, Tile
from .tiles import owned
from .transfers import ZERO, Order, WeightTransfer

# Words of a shape's table after those of Product: bytes of a block, offsets of the 16-bit sums and of the bias.
BLOCK_BYTES, NARROW, BIAS = (MORE + 4 * i for i in range(3))


def forward(region: Region, x: Tile, y: Tile, bias: bool = False, sparse: bool = False) -> WeightTransfer:
    """Appends y = W x (+ b) to the region's sequence of operations.

    sparse: the stream holds nonzero weights only.  Returns the transfer of the weights, with the roles "weight", float
    [y.features, x.features], and, with `bias`, "bias" [y.features].
    """
    made = Partial(region.policy, region.width, region.tokens, x.features, y.features, sparse)
    region.uses("weights", "ring")
    region.work(made.work)
    name = f"partial{'_bias' if bias else ''}{'_sparse' if sparse else ''}"
    shape = f"partial{'_sparse' if sparse else ''}_{x.features}_{y.features}"
    call(region, name, made.text(name, bias), shape, made.table, x, y)
    own = owned(y.features, region.width)
    parts = [("bias", Order.of(np.where(own < 0, ZERO, own)))] if bias else []
    offsets = {"weight": made.places(made.width)} if sparse else {}
    what = f"linear forward {x.features} -> {y.features}"
    return region.takes(WeightTransfer(what, region.policy.storage, (*parts, ("weight", order(made))), offsets))


@dataclass(frozen=True)
class Partial(Product):
    """One shape of the forward product.  kx: inputs per PE (its chunk of x).  ny: outputs per block."""

    # Work space, in order: sums of two blocks (double buffer); for policy mixed, 16-bit sums of one block; the bias;
    # x in the layout of the multiply-adds.

    @property
    def block(self) -> int:
        """Elements of a block."""
        return self.ny * self.tokens

    @property
    def mixed(self) -> bool:
        """Whether products are summed in 16 bits and chunks in f32."""
        return self.policy.products == "mixed"

    @property
    def passed_size(self) -> int:
        """Bytes of a partial sum in a transfer between columns."""
        return 2 if self.policy.products == "half" else 4

    @property
    def block_bytes(self) -> int:
        """Bytes of a block of partial sums, rounded up to 16."""
        return -(-self.block * self.passed_size // 16) * 16

    @property
    def narrow(self) -> int:
        """Offset of the 16-bit sums in work space, in bytes."""
        return 2 * self.block_bytes

    @property
    def bias(self) -> int:
        """Offset of the bias in work space, in bytes."""
        return self.narrow + (self.block * 2 if self.mixed else 0)

    @property
    def gathered(self) -> int:
        """Offset of the copied x in work space, in bytes."""
        return -(-(self.bias + 4 * self.ny) // 16) * 16 + 8

    @property
    def work(self) -> int:
        """Bytes of work space."""
        return self.gathered + self.chunk_bytes

    @cached_property
    def table(self) -> list[int]:
        """The words of the table; see `Product.table`."""
        return [*super().table, self.block_bytes, self.narrow, self.bias]

    # --- the stream -----------------------------------------------------------------------------------------------

    def column(self, x: int) -> np.ndarray:
        """The weight that each wavelet of column x's stream carries: int64 [n], flat indices into [outputs, inputs].

        ZERO stands for padding, END for a control wavelet.
        """
        steps = np.arange(self.width)
        n = owned(self.outputs, self.width)[(x - 1 - steps) % self.width][:, None, :]
        k = owned(self.inputs, self.width)[x][None, :, None]
        return self.rows_of(np.where((n >= 0) & (k >= 0), n * self.inputs + k, ZERO))  # step, k, n of the block

    # --- the code -------------------------------------------------------------------------------------------------

    def text(self, name: str, bias: bool) -> str:
        """The assembler text of the subroutine.

        Operands: r8, r9, r10: addresses of x, y and the table.  Registers: r6 and r11, addresses of the sums of this
        block and of the previous one; r21, remaining steps; r3, length of a block in the upper half; r2, address of the
        16-bit sums (policy mixed).
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
        """Receives the bias into the work space, one 32-bit word per output."""
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
        """Adds the bias to the sums of the PE's own block, row by row."""
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
        """Sends the sums east and receives those of the next block from the west.

        All PEs of a row send at once, so a microthread sends while the main thread receives; otherwise the ring would
        deadlock.  A send waits for the previous one, after which that one's buffer may be overwritten.  At the end, one
        additional wavelet is sent and received, which shows that all sums have been sent.
        """
        if self.width == 1:
            return []
        words, halved = "r3", []
        if self.passed_size == 2:  # two per wavelet
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
        """Stores the PE's own block to y, rounded to the storage type."""
        size = self.passed_size
        move = "fs2h" if size > self.policy.size else "mov32" if size == 4 else "mov16"
        return [*load_dsr("a0", size, "r6", "r3"), *load_dsr("d1", self.policy.size, "r9", "r3"), f"    {move} d1, a0"]


__all__ = ["Partial", "forward"]
