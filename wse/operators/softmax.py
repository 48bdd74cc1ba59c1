"""Softmax over the features of a row of PEs, forward and backward, on tiles [rows][tokens].

    forward   x, y           y = e^(x - greatest) / sum
    backward  dy, y, dx      dx = y (dy - sum(y dy)); dx may alias dy

All arithmetic is f32.  The forward pass takes about 17 cycles per element, 12 of them for exp.  Attention and the loss
compute their softmax themselves, because they use its intermediate values.
"""

from __future__ import annotations

import numpy as np

from ..records import dataclass
from . import math_functions
from .code import Code, Routine, Vec, Work, register, routine
from .row_sums import AllReduce, by_rows, fill_padding, max_rows, reduce_row, single_column, sum_rows

CHUNK = 256


@dataclass(frozen=True)
class Softmax:
    """The shape of a softmax.

    features: of the whole activation.  rows, tokens: size of a tile.  columns: PEs per row.  size: bytes of an element,
    2 or 4.
    """

    features: int
    rows: int
    tokens: int
    columns: int
    size: int

    def forward(self, name: str, allreduce: AllReduce = single_column) -> Routine:
        """The subroutine of the forward pass; operands as in the module's docstring.  allreduce: sum over a row."""
        operands = ("x", "y")
        c, work, t, n = Code(), Work(), self.tokens, self.rows * self.tokens
        x, y = (Vec(register(operands, operand), n, self.size) for operand in operands)
        z = work.take(n, bank=2)
        total, inverse, scratch = work.take(t, bank=4), work.take(t, bank=0), work.take(t, bank=2)
        c.op("fmovs" if self.size == 4 else "fh2s", z, x)
        subtract_maximum(c, z, total, self, allreduce)
        exponentials(c, work, z, self.size == 2)
        sum_rows(c, z, total, self.rows)
        reduce_row(c, allreduce, "sum", total)
        math_functions.reciprocal(c, total, inverse, scratch)
        out = y if self.size == 4 else z
        by_rows(c, "fmuls", out, z, inverse)
        if self.size == 2:
            c.op("fs2h", y, z)
        return routine(name, operands, c, work.bytes, calls=allreduce is not single_column)

    def backward(self, name: str, allreduce: AllReduce = single_column) -> Routine:
        """The subroutine of the backward pass; operands as in the module's docstring.  allreduce: sum over a row."""
        operands = ("dy", "y", "dx")
        c, work, t, n = Code(), Work(), self.tokens, self.rows * self.tokens
        dy, y, dx = (Vec(register(operands, operand), n, self.size) for operand in operands)
        gradient, values, product = work.take(n, bank=2), work.take(n, bank=4), work.take(n, bank=6)
        total = work.take(t, bank=0)
        wide, p = c.widened(dy, gradient), c.widened(y, values)
        c.op("fmuls", product, wide, p)
        sum_rows(c, product, total, self.rows)
        reduce_row(c, allreduce, "sum", total)
        by_rows(c, "fsubs", product, wide, total)
        c.narrow(dx, "fmuls", product, product, p)
        return routine(name, operands, c, work.bytes, calls=allreduce is not single_column)


def subtract_maximum(c: Code, z: Vec, most: Vec, shape: Softmax, allreduce: AllReduce) -> None:
    """Code: subtracts from z, f32 [rows][tokens], each token's maximum over the features of the row of PEs.

    most: f32 [tokens], receives the maxima.
    """
    fill_padding(c, z, shape.rows, shape.features, shape.columns, -np.inf)
    max_rows(c, z, most, shape.rows)
    reduce_row(c, allreduce, "max", most)
    by_rows(c, "fsubs", z, z, most)


def exponentials(c: Code, work: Work, z: Vec, short: bool) -> None:
    """Code: z = e^z, in chunks.  short: with the accuracy of 16-bit elements."""
    with c.chunks(z.n, CHUNK, {"z": (f"{z.at}+{z.offset}", 4)}) as tile:
        x = tile["z"]
        y = work.take(x.n, bank=4)
        math_functions.exp(c, x, y, work.take(x.n, 2), short)
        c.op("fmovs", x, y)


def reference(x: np.ndarray, dy: np.ndarray | None = None) -> tuple[np.ndarray, ...]:
    """(y,), or (y, dx) if dy is given, as float64 [features, tokens].  x, dy: [features, tokens]."""
    x = np.asarray(x, np.float64)
    e = np.exp(x - x.max(axis=0))
    y = e / e.sum(axis=0)
    if dy is None:
        return (y,)
    dy = np.asarray(dy, np.float64)
    return y, y * (dy - (y * dy).sum(axis=0))
