"""Linear layers: y = W x + b, and back: the gradients of x, W and b.

Forward is partial.py: every column of PEs takes the weights of its own inputs k, and partial sums go round the row.
Backward takes the same weights of a column, so that weights may stay where they are.

The gradient of x, dx[k] = sum of W[n, k] dy[n].  Tiles of dy go round the ring of a row, so that every PE sees all of
dy, a chunk at a time: that of column (x - s) mod W at step s.  For each weight W[n, k] that comes down the column, n
one of the chunk, a PE adds dy[n] W[n, k] to dx[k].  Chunks are passed on between steps: a PE executes one element a
slot, so that nothing would hide the slots that it takes.

    dense    the stream has, for each n of the chunk, W[n, k] of the own k, padding included
    sparse   for each own k, W[n, k] of those n of the chunk where it is not 0, each with the place of dy[n] as its
             index, then a control wavelet; a weight costs some seven cycles more

The gradient of W (weight_gradient.py) uses what that has left: all of dy.  It is transposed to [t][N], and for each own
k the row g[k] = sum over tokens of x[k, token] dy^T[token] is made by t vector operations of N elements; rows go north
one after the other while the next is computed, and are summed up on their way, f32.

Rounding of dx by policy (policy.py), sums in the order in which the weights come:

    f32      every product and sum rounded to f32
    exact    products exact, each sum rounded to f32; dx rounded to 16 bits
    mixed    multiply-adds rounded to 16 bits within a chunk; chunks added in f32; dx rounded to 16 bits
    half     multiply-adds rounded to 16 bits

What bounds it.  A weight costs t / rate + 1 cycles, rate 2 a cycle for f32 sums of 16-bit elements (4 for 16-bit sums,
1 for f32), and a row of weights some 15 more; a gathered element one slot to take and one to pass on, two 16-bit
elements at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from . import partial
from .product import ALL_SENT, SUMS, Product, call, walk
from .region import SEND
from .streams import END, ZERO, Drain, Stream
from .tiles import owned
from .weight_gradient import weight_gradient

if TYPE_CHECKING:
    from .region import Region, Tile

forward = partial.forward


def backward(
    region: Region, x: Tile, dy: Tile, dx: Tile, bias: bool = False, sparse: bool = False, add: bool = False
) -> tuple[Stream, Drain]:
    """Adds dx = W^T dy (add: dx += W^T dy) and the gradients of W, and with bias of b, to the sequence.

    Its stream has the role "weight", float [dy.features, x.features]; its drain "weight" of that shape and "bias"
    [dy.features]: sums over all tokens of the region.
    """
    made = Gathered(region.policy, region.width, region.tokens, dy.features, dx.features, sparse)
    region.uses("weights", "ring")
    region.work(made.work)
    name = f"gathered{'_sparse' if sparse else ''}"
    region.code(f"    mov r11, {int(add)}")
    call(region, name, made.text(name), f"{name}_{dy.features}_{dx.features}", made.table, dy, dx)
    flat = np.arange(dy.features * dx.features, dtype=np.int64).reshape(dy.features, dx.features)
    offsets = {"weight": made.places(made.width)} if sparse else {}
    what = f"linear backward {dy.features} -> {dx.features}"
    stream = region.takes(Stream(what, region.policy.storage, (("weight", made.order(flat.T)),), offsets))
    return stream, weight_gradient(region, made, x, dy, bias)


@dataclass(frozen=True)
class Gathered(Product):
    """A product whose inputs are gathered from the row: all of them pass every PE, the outputs are its own."""

    # Work space: 16-bit sums of a chunk (mixed), f32 sums (unless outputs are summed in place), what is gathered.

    @property
    def in_place(self) -> bool:
        """Products are added to the outputs themselves."""
        return self.policy.products in ("f32", "half")

    @property
    def mixed(self) -> bool:
        return self.policy.products == "mixed"

    @property
    def gathered(self) -> int:
        bytes = 0 if self.in_place else self.ny * self.tokens * (6 if self.mixed else 4)
        return -(-bytes // 16) * 16 + 8

    @property
    def work(self) -> int:
        return self.gathered + self.width * self.chunk_bytes

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

    def text(self, name: str) -> str:
        """The subroutine: inputs at r8, outputs at r9, table at r10; r11: whether to add to the outputs."""
        first = "r9" if self.in_place else "work"
        row = self.tokens << 16
        return "\n".join(
            [
                f"{name}:",
                *self.own_chunk(),
                f"    ld32 r7, [r10+{SUMS}]",
                *self._begin(),
                *self.rows_begin(),
                f"    mov r21, {self.width - 1}",
                ".chunk:",
                *self._pass_on(),
                f"    iadd32 r13, r9, {row:#x}" if first == "r9" else f"    mov r13, work+{row:#x}",
                "    iand r1, r20, 0xffff",
                *(["    mov r2, work", *walk("d0", 2, "r7", "r2"), "    mov16 d0, r0"] if self.mixed else []),
                *self.all_rows(),
                *self._widen(),
                *self._next(),
                *self._finish(),
                "    ret\n",
            ]
        )

    def _begin(self) -> list[str]:
        """Outputs begin with 0 or with what they hold; r7 is their span without a base.  r3: that of the f32 sums.

        mixed: r2 is the base of the 16-bit sums, the f32 sums lie behind them.
        """
        size = 2 if self.policy.products == "half" else 4
        move = "mov32" if size == 4 else "mov16"
        if self.in_place:
            return ["    bnz r11, .begun", *walk("d0", size, "r9", "r7"), f"    {move} d0, r0", ".begun:"]
        return [
            "    mov r2, work",
            "    iadd32 r3, r7, r2",
            *(["    ishr32 r1, r7, 15", "    iadd32 r3, r3, r1"] if self.mixed else []),
            *walk("d0", 4, "r3", ""),
            "    bnz r11, .add",
            "    mov32 d0, r0",
            "    jmp .begun",
            ".add:",
            *walk("a0", 2, "r9", "r7"),
            "    fh2s d0, a0",
            ".begun:",
        ]

    def _pass_on(self) -> list[str]:
        """This chunk goes on to the east, the next one comes from the west."""
        if self.width == 1:
            return []
        return [
            "    bz r21, .here",
            "    dsr d8, ring_out",
            "    dsr a9, ring_in",
            *walk("a8", 4, "r20", ""),
            "    iadd32 r29, r29, r6",
            "    ldds d9, r28",
            f"    mov32 d8, a8 {{async, ut={SEND}}}",
            "    mov32 d9, a9",
            ".here:",
        ]

    def _widen(self) -> list[str]:
        """mixed: the sums of the chunk are added to the f32 sums at r3."""
        if not self.mixed:
            return []
        return [
            *walk("d0", 4, "r3", ""),
            "    ldds a0, r28",
            "    mov r2, work",
            *walk("b0", 2, "r7", "r2"),
            "    faddhs d0, a0, b0",
        ]

    def _next(self) -> list[str]:
        if self.width == 1:
            return []
        return [
            "    bz r21, .end",
            "    isub32 r21, r21, 1",
            "    iadd32 r20, r20, r6",
            "    jmp .chunk",
            ".end:",
            *ALL_SENT,
        ]

    def _finish(self) -> list[str]:
        """f32 sums are rounded to the outputs."""
        if self.in_place:
            return []
        return [*walk("a0", 4, "r3", ""), *walk("d0", 2, "r9", "r7"), "    fs2h d0, a0"]


__all__ = ["Gathered", "backward", "forward"]
