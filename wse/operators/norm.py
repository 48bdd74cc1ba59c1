"""Layer norm and RMS norm, forward and backward, over tiles [rows][tokens] of a row of PEs.

    xhat = (x - mean) rstd (RMS: x rstd),  rstd = 1 / sqrt(variance + eps),  y = gain xhat + bias
    forward   x, gain, (bias), y, xhat, rstd       xhat [rows][tokens] is stored like x, rstd [tokens] is f32
    again     xhat, gain, (bias), y                recomputes y, if it was not stored
    backward  dy, gain, xhat, rstd, dx, dgain, (dbias)
              u = gain dy:  dx = rstd (u - mean(u) - xhat mean(u xhat)) (RMS: without mean(u)),
              dgain = sum over tokens of dy xhat, dbias = that of dy

gain, bias, dgain and dbias are f32 [rows]; dgain and dbias are sums over the PE's own tokens.  Means over features are
all-reduces over the row of PEs, of one value per token.  The variance is computed in two passes, from the differences
to the mean.  All arithmetic is f32; 16-bit elements are rounded once, when they are stored.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..records import dataclass
from . import math_functions
from .code import Code, Routine, Vec, Work, register, routine
from .row_sums import AllReduce, by_rows, fill_padding, reduce_row, single_column, sum_rows, sum_tokens


@dataclass(frozen=True)
class Norm:
    """The shape of a norm.

    features: of the whole activation.  rows, tokens: size of a tile.  columns: PEs per row.  size: bytes of an element,
    2 or 4.
    """

    kind: str  # "layer" or "rms"
    features: int
    rows: int
    tokens: int
    columns: int
    size: int
    eps: float
    bias: bool = True

    @property
    def centered(self) -> bool:
        """Whether the mean is subtracted."""
        return self.kind == "layer"

    def forward(self, name: str, allreduce: AllReduce = single_column) -> Routine:
        """The subroutine of the forward pass; operands as in the module's docstring.  allreduce: sum over a row."""
        operands = ("x", "gain", *(("bias",) if self.bias else ()), "y", "xhat", "rstd")
        c, work, t = Code(), Work(), self.tokens
        at = {operand: register(operands, operand) for operand in operands}
        x, y, xhat = (Vec(at[operand], self.rows * t, self.size) for operand in ("x", "y", "xhat"))
        wide = work.take(x.n, bank=2)
        squares = work.take(x.n, bank=4)
        mean, total, scratch = work.take(t, bank=6), work.take(t, bank=0), work.take(t, bank=2)
        rstd = Vec(at["rstd"], t)
        source = c.widened(x, wide)
        if self.centered:
            sum_rows(c, source, mean, self.rows)
            reduce_row(c, allreduce, "sum", mean)
            c.op("fmuls", mean, mean, 1 / self.features)
            by_rows(c, "fsubs", wide, source, mean)
            source = wide
        c.square(squares, source, squares)
        sum_rows(c, squares, total, self.rows)
        reduce_row(c, allreduce, "sum", total)
        if self.centered and (padding := self.columns * self.rows - self.features):
            c.op("fmuls", scratch, mean, mean)  # padding rows have x - mean = -mean
            c.op("fmacs", total, total, scratch, -float(padding))
        c.op("fmacs", total, self.eps, total, 1 / self.features)
        math_functions.inverse_root(c, total, rstd, scratch)
        by_rows(c, "fmuls", wide, source, rstd)
        c.op("fs2h" if self.size == 2 else "fmovs", xhat, wide)
        # y is computed from the rounded xhat, so that the backward pass differentiates what was computed.
        self._scale(c, at, xhat, y, wide)
        return routine(name, operands, c, work.bytes, calls=allreduce is not single_column)

    def again(self, name: str) -> Routine:
        """The subroutine that recomputes y, bit for bit.  Operands: xhat, gain, (bias), y."""
        operands = ("xhat", "gain", *(("bias",) if self.bias else ()), "y")
        c, work = Code(), Work()
        at = {operand: register(operands, operand) for operand in operands}
        xhat, y = (Vec(at[operand], self.rows * self.tokens, self.size) for operand in ("xhat", "y"))
        self._scale(c, at, xhat, y, work.take(y.n, bank=2))
        return routine(name, operands, c, work.bytes)

    def _scale(self, c: Code, at: Mapping[str, str], xhat: Vec, y: Vec, wide: Vec) -> None:
        """y = gain xhat + bias."""
        t = self.tokens
        source = c.widened(xhat, wide)
        rows = {"d": (y if self.size == 4 else wide).rows(t), "b": source.rows(t)}
        gain = Vec(at["gain"], self.rows)
        if self.bias:
            with c.loop(self.rows, over=gain, **rows, b2=Vec(at["bias"], self.rows)) as (d, b, b2):
                end = c.new_label()
                c(f"mapstep r2, {b2}, {end}")
                c.lines.append(f"{end}:")
                c(f"fmacs {d}, r2, {b}, r1")
        else:
            with c.loop(self.rows, over=gain, **rows) as (d, b):
                c(f"fmuls {d}, r1, {b}")
        if self.size == 2:
            c.op("fs2h", y, wide)

    def backward(self, name: str, allreduce: AllReduce = single_column) -> Routine:
        """The subroutine of the backward pass; operands as in the module's docstring.  dx may alias dy."""
        operands = ("dy", "gain", "xhat", "rstd", "dx", "dgain", *(("dbias",) if self.bias else ()))
        c, work, t = Code(), Work(), self.tokens
        at = {operand: register(operands, operand) for operand in operands}
        dy, xhat, dx = (Vec(at[operand], self.rows * t, self.size) for operand in ("dy", "xhat", "dx"))
        wide, normal, product = work.take(dy.n, bank=2), work.take(dy.n, bank=4), work.take(dy.n, bank=6)
        sums = work.take((1 + self.centered) * t, bank=0)
        gradient, values = c.widened(dy, wide), c.widened(xhat, normal)
        c.op("fmuls", product, gradient, values)
        sum_tokens(c, product, Vec(at["dgain"], self.rows), t)
        if self.bias:
            sum_tokens(c, gradient, Vec(at["dbias"], self.rows), t)
        gain = Vec(at["gain"], self.rows)
        with c.loop(self.rows, over=gain, d=wide.rows(t), a=gradient.rows(t)) as (d, a):
            c(f"fmuls {d}, {a}, r1")
        with c.loop(self.rows, over=gain, d=product.rows(t), a=product.rows(t)) as (d, a):
            c(f"fmuls {d}, {a}, r1")
        sum_rows(c, product, sums.part(0, t), self.rows)
        if self.centered:
            sum_rows(c, wide, sums.part(t, t), self.rows)
        reduce_row(c, allreduce, "sum", sums)
        c.op("fmuls", sums, sums, -1 / self.features)
        values = xhat if self.size == 4 else normal
        by_rows(c, "fmuls", product, values, sums.part(0, t))
        c.op("fadds", wide, wide, product)
        if self.centered:
            by_rows(c, "fadds", wide, wide, sums.part(t, t))
        out = dx if self.size == 4 else wide
        by_rows(c, "fmuls", out, wide, Vec(at["rstd"], t))
        if self.size == 2:
            c.op("fs2h", dx, wide)
        if self.centered:
            fill_padding(c, dx, self.rows, self.features, self.columns, 0.0)
        return routine(name, operands, c, work.bytes, calls=allreduce is not single_column)

    def reference(self, x: np.ndarray, gain: np.ndarray, bias: np.ndarray | None = None) -> tuple[np.ndarray, ...]:
        """The forward pass in float64.  x: [features, tokens].  gain, bias: [features].  Returns (y, xhat, rstd)."""
        x = np.asarray(x, np.float64)
        centered = x - x.mean(axis=0) if self.centered else x
        rstd = 1 / np.sqrt((centered**2).mean(axis=0) + self.eps)
        xhat = centered * rstd
        y = xhat * np.asarray(gain, np.float64)[:, None]
        return (y if bias is None else y + np.asarray(bias, np.float64)[:, None]), xhat, rstd

    def reference_backward(
        self, dy: np.ndarray, gain: np.ndarray, xhat: np.ndarray, rstd: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The backward pass in float64.  Returns (dx, dgain, dbias); dgain and dbias are sums over all tokens."""
        dy, xhat = np.asarray(dy, np.float64), np.asarray(xhat, np.float64)
        u = dy * np.asarray(gain, np.float64)[:, None]
        dx = u - xhat * (u * xhat).mean(axis=0)
        if self.centered:
            dx = dx - u.mean(axis=0)
        return dx * rstd, (dy * xhat).sum(axis=1), dy.sum(axis=1)
