"""Softmax over the features of a row of PEs, forward and backward, on tiles [rows][tokens].

    forward   x, y           y = e^(x - greatest) / sum
    backward  dy, y, dx      dx = y (dy - sum(y dy)); dx may lie on dy

All arithmetic is f32; exp is 12 cycles an element, all of forward some 17.  Attention and the loss have their own, with
what they need besides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import math_functions
from .code import Code, Routine, Vec, Work, register, routine
from .row_sums import AllReduce, fill_padding, max_rows, reduce_row, single_column, sum_rows

CHUNK = 256


@dataclass(frozen=True)
class Softmax:
    """features: of the whole activation; rows, tokens: of a tile; columns: PEs in a row; size: bytes of an element."""

    features: int
    rows: int
    tokens: int
    columns: int
    size: int

    def forward(self, name: str, allreduce: AllReduce = single_column) -> Routine:
        """The subroutine; operands as above."""
        operands = ("x", "y")
        c, work, t, n = Code(), Work(), self.tokens, self.rows * self.tokens
        x, y = (Vec(register(operands, operand), n, self.size) for operand in operands)
        z = work.take(n, bank=2)
        total, inverse, scratch = work.take(t, bank=4), work.take(t, bank=0), work.take(t, bank=2)
        c.op("fmovs" if self.size == 4 else "fh2s", z, x)
        from_greatest(c, z, total, self, allreduce)
        exponentials(c, work, z, self.size == 2)
        sum_rows(c, z, total, self.rows)
        reduce_row(c, allreduce, "sum", total)
        math_functions.reciprocal(c, total, inverse, scratch)
        out = y if self.size == 4 else z
        with c.loop(self.rows, d=out.rows(t), a=z.rows(t), b=inverse) as (d, a, b):
            c(f"fmuls {d}, {a}, {b}")
        if self.size == 2:
            c.op("fs2h", y, z)
        return routine(name, operands, c, work.bytes, calls=allreduce is not single_column)

    def backward(self, name: str, allreduce: AllReduce = single_column) -> Routine:
        """The subroutine; operands as above."""
        operands = ("dy", "y", "dx")
        c, work, t, n = Code(), Work(), self.tokens, self.rows * self.tokens
        dy, y, dx = (Vec(register(operands, operand), n, self.size) for operand in operands)
        gradient, values, product = work.take(n, bank=2), work.take(n, bank=4), work.take(n, bank=6)
        total = work.take(t, bank=0)
        wide, p = c.widened(dy, gradient), c.widened(y, values)
        c.op("fmuls", product, wide, p)
        sum_rows(c, product, total, self.rows)
        reduce_row(c, allreduce, "sum", total)
        with c.loop(self.rows, d=product.rows(t), a=wide.rows(t), b=total) as (d, a, b):
            c(f"fsubs {d}, {a}, {b}")
        c.narrow(dx, "fmuls", product, product, p)
        return routine(name, operands, c, work.bytes, calls=allreduce is not single_column)


def from_greatest(c: Code, z: Vec, most: Vec, shape: Softmax, allreduce: AllReduce) -> None:
    """z [rows][tokens] f32 less the greatest of its column in the row of PEs; most [tokens] is that."""
    t = shape.tokens
    fill_padding(c, z, shape.rows, shape.features, shape.columns, -np.inf)
    max_rows(c, z, most, shape.rows)
    reduce_row(c, allreduce, "max", most)
    with c.loop(shape.rows, d=z.rows(t), a=z.rows(t), b=most) as (d, a, b):
        c(f"fsubs {d}, {a}, {b}")


def exponentials(c: Code, work: Work, z: Vec, short: bool) -> None:
    """z = e^z, in chunks."""
    with c.chunks(z.n, CHUNK, {"z": (f"{z.at}+{z.offset}", 4)}) as tile:
        x = tile["z"]
        y = work.take(x.n, bank=4)
        math_functions.exp(c, x, y, work.take(x.n, 2), short)
        c.op("fmovs", x, y)


def reference(x: np.ndarray, dy: np.ndarray | None = None) -> tuple[np.ndarray, ...]:
    """y, or (y, dx) if dy is given, in float64 of x [features, tokens]."""
    x = np.asarray(x, np.float64)
    e = np.exp(x - x.max(axis=0))
    y = e / e.sum(axis=0)
    if dy is None:
        return (y,)
    dy = np.asarray(dy, np.float64)
    return y, y * (dy - (y * dy).sum(axis=0))
