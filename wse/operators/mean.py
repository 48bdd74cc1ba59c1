"""The mean over the tokens of each sequence: each token of the result holds the mean of its sequence.

    x, y    [features][tokens], tokens of whole sequences

The matrix of the mean is symmetric, so that the same subroutine computes the gradient.  Sums are f32, in the order of
the tokens; 16-bit elements are rounded once, when they are stored.
"""

from __future__ import annotations

import numpy as np

from ..errors import ConfigError
from ..records import dataclass
from .code import Code, Routine, Vec, Work, register, routine
from .row_sums import sum_tokens

OPERANDS = ("x", "y")


@dataclass(frozen=True)
class Mean:
    """The shape of a mean.  n: elements of a tile.  sequence: tokens of a sequence.  tokens: of a tile's row.  size:
    bytes of an element, 2 or 4.  Raises ConfigError if a row of PEs does not hold whole sequences."""

    n: int
    sequence: int
    tokens: int
    size: int

    def __post_init__(self) -> None:
        if self.tokens % self.sequence:
            raise ConfigError(
                f"a mean over sequences of {self.sequence} tokens needs whole sequences in a row of PEs, which has "
                f"{self.tokens} tokens: use fewer rows"
            )

    def routine(self, name: str) -> Routine:
        """The subroutine; operands as in the module's docstring."""
        c, work, s = Code(), Work(), self.sequence
        x, y = (Vec(register(OPERANDS, operand), self.n, self.size) for operand in OPERANDS)
        wide = work.take(self.n, bank=2)
        sums = work.take(self.n // s, bank=6)
        source = c.widened(x, wide)
        sum_tokens(c, source, sums, s)
        c.op("fmuls", sums, sums, 1 / s)
        out = y if self.size == 4 else wide
        with c.loop(sums.n, over=sums, d=out.rows(s)) as (d,):
            c(f"fmovs {d}, r1")
        if self.size == 2:
            c.op("fs2h", y, wide)
        return routine(name, OPERANDS, c, work.bytes)

    def reference(self, x: np.ndarray) -> np.ndarray:
        """f32 of the shape of x [..., tokens], with the roundings of the subroutine, but that of its last store."""
        rows = np.asarray(x, np.float32).reshape(-1, self.sequence)
        sums = np.zeros(len(rows), np.float32)
        for column in rows.T:
            sums = sums + column
        means = sums * np.float32(1 / self.sequence)
        return np.repeat(means, self.sequence).reshape(np.shape(x))
