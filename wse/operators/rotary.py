"""Rotary positions: of each head the first `turned` features, as pairs (c, c + turned / 2), turned by an angle that
grows with the token's position in its sequence: theta^(-2 c / turned) a token.

    forward   x, cos, sin       in place: x1 cos - x2 sin, x2 cos + x1 sin
    backward  the same by the opposite angle: x1 cos + x2 sin, x2 cos - x1 sin

cos and sin are tables f32 [turned / 2][tokens] that the program holds (`tables`); arithmetic is f32, 16-bit elements
are rounded once.
"""

from __future__ import annotations

import numpy as np

from ..records import dataclass
from .code import Code, Routine, Vec, Work, register, routine

OPERANDS = ("x", "cos", "sin")


@dataclass(frozen=True)
class Rotary:
    """heads of a tile, each of d_head rows of which `turned` are turned; tokens; size: bytes of an element."""

    heads: int
    d_head: int
    turned: int
    tokens: int
    size: int

    def _routine(self, name: str, sign: float) -> Routine:
        c, work = Code(), Work()
        n = self.turned // 2 * self.tokens
        cos, sin = (Vec(register(OPERANDS, operand), n) for operand in ("cos", "sin"))
        first, second, left, right = (work.take(n, bank=bank) for bank in (2, 4, 6, 4))
        for head in range(self.heads):
            whole = Vec(register(OPERANDS, "x"), n, self.size, head * self.d_head * self.tokens * self.size)
            low, high = whole, whole.part(n, n)
            x1, x2 = c.widened(low, first), c.widened(high, second)
            c.op("fmuls", left, x1, sin)
            c.op("fmuls", right, x2, sin)
            for dst, buffer, x, other, op in (
                (low, first, x1, right, "fsubs" if sign > 0 else "fadds"),
                (high, second, x2, left, "fadds" if sign > 0 else "fsubs"),
            ):
                c.op("fmuls", buffer, x, cos)
                c.narrow(dst, op, buffer, buffer, other)
        return routine(name, OPERANDS, c, work.bytes)

    def forward(self, name: str) -> Routine:
        """The subroutine; operands x, cos, sin."""
        return self._routine(name, 1.0)

    def backward(self, name: str) -> Routine:
        """The subroutine, on the gradient in place."""
        return self._routine(name, -1.0)


def tables(frequencies: np.ndarray, positions: np.ndarray, factor: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """cos and sin times a factor, float32 [turned / 2, tokens], of the tokens' positions in their sequences.

    frequencies: radians per position of each pair, float64 [turned / 2].
    """
    angle = np.asarray(frequencies, np.float64)[:, None] * np.asarray(positions, np.float64)
    return (factor * np.cos(angle)).astype(np.float32), (factor * np.sin(angle)).astype(np.float32)


def reference(x: np.ndarray, heads: int, turned: int, theta: float, positions: np.ndarray, sign: int = 1) -> np.ndarray:
    """Float64 of x [heads d_head, tokens]; sign -1: backward."""
    y = np.array(x, np.float64).reshape(heads, -1, x.shape[-1])
    angle = sign * theta ** (-2.0 * np.arange(turned // 2) / turned)[:, None] * np.asarray(positions, np.float64)
    low, high = y[:, : turned // 2].copy(), y[:, turned // 2 : turned].copy()
    y[:, : turned // 2] = low * np.cos(angle) - high * np.sin(angle)
    y[:, turned // 2 : turned] = high * np.cos(angle) + low * np.sin(angle)
    return y.reshape(x.shape)
