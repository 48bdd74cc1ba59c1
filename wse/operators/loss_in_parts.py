"""Softmax cross-entropy over a vocabulary that passes in parts, whose logits are never all in memory.

    begin                                                   statistics
    take      logits, labels, part                          statistics
    finish    scale                                         statistics, loss
    gradient  logits, labels, scale, part, statistics    -> dlogits, which may alias logits

`take` is called with the logits of each part in turn; it keeps, for the features of its own column, the greatest logit
of each token and the sum of the exponentials, as an online softmax, and the label's logit.  `finish` combines the
columns of the row.  `gradient` is called with the logits of each part once more, and gives their part of

    dlogits = (softmax(logits) - onehot(label)) scale,  loss = sum over the row's tokens of -log softmax(logits)[label]

A part has the entries first .. first + count - 1 of the vocabulary; logits behind them, of a last part that is shorter,
count as -3e38.  part: u32 [2], first and count.  labels: u16 [tokens].  scale, loss: as in loss.py.  statistics: f32
[4][tokens]: greatest logit, sum of exponentials, logit of the label, scale over the sum.  The u16 variable `column`
holds the PE's column.  All arithmetic is f32.  An element takes about 18 cycles in each pass.
"""

from __future__ import annotations

from ..program.fragments import f32
from ..records import dataclass
from . import math_functions
from .code import Code, Routine, Vec, Work, register, routine
from .row_sums import AllReduce, by_rows, max_rows, reduce_row, single_column, sum_rows
from .softmax import exponentials

LEAST = -3e38  # finite: the difference of two is 0, not NaN
STATISTICS = 4  # numbers of a token


@dataclass(frozen=True)
class LossInParts:
    """The shape of a part.

    rows, tokens: size of its tile in a PE.  size: bytes of an element, 2 or 4.
    """

    rows: int
    tokens: int
    size: int

    def begin(self, name: str) -> Routine:
        """The subroutine before the first part."""
        c, operands = Code(), ("statistics",)
        most, rest = self._statistics(register(operands, "statistics"))[:2]
        c.op("fmovs", most, LEAST)
        c.op("fmovs", Vec(rest.at, 2 * self.tokens, offset=rest.offset), 0.0)
        return routine(name, operands, c, 0)

    def take(self, name: str) -> Routine:
        """The subroutine that takes the logits of a part."""
        operands = ("logits", "labels", "part", "statistics")
        at = {operand: register(operands, operand) for operand in operands}
        c, work, t = Code(), Work(), self.tokens
        most, total, chosen, _ = self._statistics(at["statistics"])
        z = self._logits(c, work, at)
        greatest, factor, scratch = work.take(t, bank=4), work.take(t, bank=6), work.take(t, bank=0)
        exponent = work.take(t, 2)
        self._at_labels(c, at, z, chosen)
        max_rows(c, z, greatest, self.rows)
        c.op("fmaxs", greatest, greatest, most)
        c.op("fsubs", scratch, most, greatest)
        c.op("fmovs", most, greatest)
        math_functions.exp(c, scratch, factor, exponent)
        c.op("fmuls", total, total, factor)
        self._exponentials(c, work, z, greatest)
        sum_rows(c, z, scratch, self.rows)
        c.op("fadds", total, total, scratch)
        return routine(name, operands, c, work.bytes)

    def finish(self, name: str, allreduce: AllReduce = single_column) -> Routine:
        """The subroutine between the passes.  allreduce: over a row of PEs."""
        operands = ("scale", "statistics", "loss")
        at = {operand: register(operands, operand) for operand in operands}
        c, work, t = Code(), Work(), self.tokens
        most, total, chosen, inverse = self._statistics(at["statistics"])
        greatest, scratch, factor = work.take(t, bank=2), work.take(t, bank=4), work.take(t, bank=6)
        sums, exponent = work.take(2 * t, bank=0), work.take(t, 2)
        c.op("fmovs", greatest, most)
        reduce_row(c, allreduce, "max", greatest)
        c.op("fsubs", scratch, most, greatest)
        c.op("fmovs", most, greatest)
        math_functions.exp(c, scratch, factor, exponent)
        c.op("fmuls", sums.part(0, t), total, factor)
        c.op("fmovs", sums.part(t, t), chosen)
        reduce_row(c, allreduce, "sum", sums)
        c.op("fmovs", total, sums.part(0, t))
        math_functions.reciprocal(c, total, inverse, scratch)
        c.clobber("r2")
        c(f"ld32 r2, [{at['scale']}]")
        c.op("fmuls", inverse, inverse, "r2")
        c.op("fmovs", factor, total)
        math_functions.log(c, factor, greatest, scratch, exponent)
        c.op("fadds", greatest, greatest, most)
        c.op("fsubs", greatest, greatest, sums.part(t, t))
        losses = c.dsr("b", greatest)
        c.clobber("r3")
        c("mov r3, 0", f"fadds r3, r3, {losses}", f"st32 r3, [{at['loss']}]")
        return routine(name, operands, c, work.bytes, calls=allreduce is not single_column)

    def gradient(self, name: str) -> Routine:
        """The subroutine that makes the gradient of the logits of a part."""
        operands = ("logits", "labels", "part", "statistics", "scale", "dlogits")
        at = {operand: register(operands, operand) for operand in operands}
        c, work = Code(), Work()
        most, _, _, inverse = self._statistics(at["statistics"])
        z = self._logits(c, work, at)
        self._exponentials(c, work, z, most)
        by_rows(c, "fmuls", z, z, inverse)
        self._at_labels(c, at, z, None)
        c.op("fmovs" if self.size == 4 else "fs2h", Vec(at["dlogits"], z.n, self.size), z)
        return routine(name, operands, c, work.bytes)

    # --- pieces -------------------------------------------------------------------------------------------------------

    def _statistics(self, at: str) -> list[Vec]:
        return [Vec(at, self.tokens, offset=4 * self.tokens * i) for i in range(STATISTICS)]

    def _logits(self, c: Code, work: Work, at: dict[str, str]) -> Vec:
        """The logits as f32, LEAST behind the entries of the part."""
        n, t = self.rows * self.tokens, self.tokens
        z = work.take(n, bank=2)
        c.op("fmovs" if self.size == 4 else "fh2s", z, Vec(at["logits"], n, self.size))
        end = c.new_label()
        c.forget()
        # r2: rows of this PE that are entries; the rest, if any, are r3.
        c(f"ld32 r2, [{at['part']}+4]", "ld16 r3, [column]", f"imul32 r3, r3, {self.rows}")
        c("iltu32 r4, r2, r3", "sel r3, r4, r2, r3", "isub32 r2, r2, r3")
        c(f"iltu32 r4, r2, {self.rows}", f"bz r4, {end}", f"mov r3, {self.rows}", "isub32 r3, r3, r2")
        c(f"imul32 r2, r2, {4 * t}", f"imul32 r3, r3, {t}", "ishl32 r3, r3, 16")
        dsr = c.dsr("d", z)  # leaves its words in r28..r31
        c(f"mov r29, {z.at}+{z.offset}", "iadd32 r29, r29, r2", "ior r29, r29, r3", f"ldds {dsr}, r28")
        c(f"mov r4, {f32(LEAST)}", f"fmovs {dsr}, r4")
        c.label(end)
        return z

    def _exponentials(self, c: Code, work: Work, z: Vec, most: Vec) -> None:
        """z = e^(z - most)."""
        by_rows(c, "fsubs", z, z, most)
        exponentials(c, work, z, self.size == 2)

    def _at_labels(self, c: Code, at: dict[str, str], z: Vec, chosen: Vec | None) -> None:
        """For each token whose label is in this PE's tile: the element of z is added to chosen [tokens] or, without
        `chosen`, the f32 at `scale` is subtracted from it."""
        t, top, skip = self.tokens, c.new_label(), c.new_label()
        c("ld16 r2, [column]", f"imul32 r2, r2, {self.rows}", f"ld32 r19, [{at['part']}]")
        c(f"ld32 r20, [{at['part']}+4]")
        c(f"mov r3, {at['labels']}", f"mov r4, {z.at}+{z.offset}", f"mov r16, {t}")
        c(*([f"iadd32 r7, {chosen.at}, {chosen.offset}"] if chosen else [f"ld32 r7, [{at['scale']}]"]))
        c.label(top)
        c("ld16 r5, [r3]", "isub32 r5, r5, r19", "iltu32 r6, r5, r20", f"bz r6, {skip}")
        c("isub32 r5, r5, r2", f"iltu32 r6, r5, {self.rows}", f"bz r6, {skip}")
        c(f"imul32 r5, r5, {4 * t}", "iadd32 r5, r5, r4", "ld32 r17, [r5]")
        if chosen:
            c("ld32 r18, [r7]", "sadd r18, r18, r17", "st32 r18, [r7]")
        else:
            c("ssub r17, r17, r7", "st32 r17, [r5]")
        c.label(skip)
        c(*(["iadd32 r7, r7, 4"] if chosen else []))
        c("iadd32 r3, r3, 2", "iadd32 r4, r4, 4", "isub32 r16, r16, 1", f"bnz r16, {top}")
        c.forget()
