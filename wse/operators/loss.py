"""Softmax cross-entropy over the features of a row of PEs: the loss and the gradient of the logits in one subroutine.

    logits, labels, scale, dlogits, loss

    dlogits = (softmax(logits) - onehot(label)) scale,  loss = sum over the row's tokens of -log softmax(logits)[label]

labels: u16 [tokens].  scale: f32 [1], for a mean the loss scale divided by the tokens of the batch.  loss: f32 [1], the
same in all PEs of a row.  With a cap c, logits are first c tanh(logits / c).  dlogits may alias logits.  The u16
variable `column` holds the PE's column.  All arithmetic is f32.  The subroutine takes about 17 cycles per element of
the tile, 12 of them for exp.
"""

from __future__ import annotations

import numpy as np

from ..records import dataclass
from . import math_functions
from .code import Code, Routine, Vec, Work, register, routine
from .row_sums import AllReduce, by_rows, reduce_row, single_column, sum_rows
from .softmax import Softmax, exponentials, subtract_maximum

OPERANDS = ("logits", "labels", "scale", "dlogits", "loss")


@dataclass(frozen=True)
class Loss:
    """The shape of a loss.

    features: number of logits per token.  rows, tokens: size of a tile.  columns: PEs per row.  size: bytes of an
    element, 2 or 4.  cap: of the logits; 0: none.
    """

    features: int
    rows: int
    tokens: int
    columns: int
    size: int
    cap: float = 0.0

    def routine(self, name: str, allreduce: AllReduce = single_column) -> Routine:
        """The subroutine; operands as in the module's docstring.  allreduce: sum over a row of PEs."""
        c, work, t, n = Code(), Work(), self.tokens, self.rows * self.tokens
        at = {operand: register(OPERANDS, operand) for operand in OPERANDS}
        logits, dlogits = (Vec(at[operand], n, self.size) for operand in ("logits", "dlogits"))
        z = work.take(n, bank=2)
        most, sums = work.take(t, bank=4), work.take(2 * t, bank=6)
        total, chosen = sums.part(0, t), sums.part(t, t)
        inverse, scratch, exponent = work.take(t, bank=0), work.take(t, bank=2), work.take(t, 2)
        c.op("fmovs" if self.size == 4 else "fh2s", z, logits)
        slope = work.take(n, bank=4) if self.cap else z
        if self.cap:
            one, two, three = (work.take(n, bank=bank) for bank in (4, 6, 0))
            math_functions.softcap(c, z, math_functions.Cap(one, two, three, work.take(n, 2)), self.cap)
            c.square(slope, z, one)
            c.op("fmacs", slope, 1.0, slope, -1 / self.cap**2)
        subtract_maximum(c, z, most, Softmax(self.features, self.rows, t, self.columns, self.size), allreduce)
        self._at_labels(c, at["labels"], z, chosen)
        exponentials(c, work, z, self.size == 2)
        sum_rows(c, z, total, self.rows)
        reduce_row(c, allreduce, "sum", sums)
        math_functions.reciprocal(c, total, inverse, scratch)
        c.clobber("r2")
        c(f"ld32 r2, [{at['scale']}]")
        c.op("fmuls", inverse, inverse, "r2")
        math_functions.log(c, total, most, scratch, exponent)
        c.op("fsubs", most, most, chosen)
        losses = c.dsr("b", most)
        c.clobber("r3")
        c("mov r3, 0", f"fadds r3, r3, {losses}", f"st32 r3, [{at['loss']}]")
        by_rows(c, "fmuls", z, z, inverse)
        self._at_labels(c, at["labels"], z, None, at["scale"])
        if self.cap:
            c.op("fmuls", z, z, slope)
        c.op("fmovs" if self.size == 4 else "fs2h", dlogits, z)
        return routine(name, OPERANDS, c, work.bytes, calls=allreduce is not single_column)

    def _at_labels(self, c: Code, labels: str, z: Vec, chosen: Vec | None, scale: str = "") -> None:
        """Code: for each token, accesses the element of z at the token's label, if it is in this PE's tile.

        With `chosen`, copies the element to chosen [tokens], or 0 if it is in another PE.  Without, subtracts the f32
        at address `scale` from it.
        """
        t = self.tokens
        top, skip = c.new_label(), c.new_label()
        c("ld16 r2, [column]", f"imul32 r2, r2, {self.rows}", f"mov r3, {labels}", f"mov r4, {z.at}+{z.offset}")
        c(f"mov r7, {chosen.at}+{chosen.offset}" if chosen else f"ld32 r7, [{scale}]", f"mov r16, {t}")
        c.label(top)
        c("ld16 r5, [r3]", "isub32 r5, r5, r2", f"iltu32 r6, r5, {self.rows}", f"imul32 r5, r5, {4 * t}")
        c("iadd32 r5, r5, r4")
        if chosen:
            c("mov r17, 0", f"bz r6, {skip}", "ld32 r17, [r5]")
            c.label(skip)
            c("st32 r17, [r7]", "iadd32 r7, r7, 4")
        else:
            c(f"bz r6, {skip}", "ld32 r17, [r5]", "ssub r17, r17, r7", "st32 r17, [r5]")
            c.label(skip)
        c("iadd32 r3, r3, 2", "iadd32 r4, r4, 4", "isub32 r16, r16, 1", f"bnz r16, {top}")
        c.forget()


def reference(logits: np.ndarray, labels: np.ndarray, scale: float, cap: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """(losses [tokens], gradient [features, tokens]) in float64.

    logits: [features, tokens].  labels: integers [tokens].  scale: factor of the gradient.  cap: of
    the logits.
    """
    z = np.asarray(logits, np.float64)
    slope = np.ones_like(z)
    if cap:
        z = cap * np.tanh(z / cap)
        slope = 1 - (z / cap) ** 2
    z = z - z.max(axis=0)
    e = np.exp(z)
    total, tokens = e.sum(axis=0), np.arange(z.shape[1])
    gradient = e / total
    gradient[labels, tokens] -= 1
    return np.log(total) - z[labels, tokens], gradient * scale * slope
