"""Routing of tokens to experts in training: weights of the chosen experts, and activations times such a weight.

    Routing.forward    logits, gates[, shares][, load]        gates of all experts, 0 for those that are not chosen
    Routing.backward   dgates, gates[, shares], dlogits[, balance]
    Weighing.forward   x, gate, y                             y = x gate; y may lie on x
    Weighing.backward  dy, x, gate, dx, dgate                 dx = dy gate; dgate = the PE's part of the sum of x dy

logits, dlogits are tiles [rows][tokens], whose features, the experts, lie over the row of PEs as any activation's.
gates, dgates and shares are f32 [experts][tokens] in every PE of a row, which all choose alike; gate and dgate are a
row of them.  A token's experts have the greatest logits, of equal ones the first.  Its gates are shares in the softmax
of the logits, of the chosen ones alone (`of_chosen`) or of all, which `shares` holds.

load, f32 [rows], is how many of the tile's tokens choose each of the PE's experts, no number if a logit is none.
balance, f32 [experts], is the gradient of a loss by the shares, the same for all tokens: that of load balance.

All arithmetic is f32.  A choice takes about 45 cycles for each expert and 4.2 for each expert and token
(costs/cycles.py).
"""

from __future__ import annotations

import numpy as np

from ..program.fragments import f32
from ..records import dataclass
from . import math_functions
from .code import Code, Routine, Vec, Work, register, routine
from .row_sums import AllReduce, by_rows, max_rows, reduce_row, single_column, sum_rows, sum_tokens
from .softmax import exponentials

GAP = 200  # a power of two by which the difference of two f32 is at least 1
FAR = 3e38  # what is subtracted from a chosen logit


@dataclass(frozen=True)
class Routing:
    """The shape of a routing.

    experts, active: of a token.  rows, tokens: of a tile of logits.  columns: PEs per row.  size: bytes of an element,
    2 or 4.  of_chosen: gates have the sum 1.  balanced: a loss of load balance has a gradient by the shares.  counted:
    the forward pass gives the load.
    """

    experts: int
    active: int
    rows: int
    tokens: int
    columns: int
    size: int
    of_chosen: bool
    balanced: bool = False
    counted: bool = False

    @property
    def shares(self) -> bool:
        """Whether the backward pass needs the shares of all experts."""
        return self.balanced or not self.of_chosen

    @property
    def label(self) -> str:
        """A name for subroutines."""
        return f"routing_{self.experts}_{self.active}"

    def forward(self, name: str, allreduce: AllReduce = single_column) -> Routine:
        """The subroutine of the forward pass; operands as in the module's docstring."""
        operands = ("logits", "gates", *(("shares",) if self.shares else ()), *(("load",) if self.counted else ()))
        c, work, t, n = Code(), Work(), self.tokens, self.experts * self.tokens
        logits = Vec("r8", self.rows * t, self.size)
        gates = Vec(register(operands, "gates"), n)
        powers = self._gathered(c, work, logits, allreduce).part(0, n)
        choices = work.take(self.columns * self.rows * t, bank=6)
        chosen = choices.part(0, n)
        most, free, scratch, guard = (work.take(t, bank=bank) for bank in (4, 0, 2, 6))
        # 0, or no number if a logit is none, which greatest ones and exponentials would hide.
        c.op("fmuls", chosen, powers, 0.0)
        sum_rows(c, chosen, guard, self.experts)
        max_rows(c, powers, most, self.experts)
        by_rows(c, "fsubs", gates, powers, most)
        c.op("fmovs", powers, gates)
        exponentials(c, work, powers, self.size == 2)
        c.op("fmovs", choices, 0.0)
        with c.loop(self.active):
            max_rows(c, gates, most, self.experts)
            c.op("fmovs", free, 1.0)
            self._choose(c, gates, chosen, most, free, scratch)
        if self.counted:
            by_rows(c, "fadds", chosen, chosen, guard)
            own = choices if self.columns == 1 else self._own(c, choices)
            sum_tokens(c, own, Vec(register(operands, "load"), self.rows), t)
        c.op("fmuls", gates, chosen, powers)
        sum_rows(c, powers if self.shares else gates, most, self.experts)
        math_functions.reciprocal(c, most, free, scratch)
        if self.shares:
            by_rows(c, "fmuls", Vec("r10", n), powers, free)
        if self.shares and self.of_chosen:
            sum_rows(c, gates, most, self.experts)
            math_functions.reciprocal(c, most, free, scratch)
        c.op("fadds", free, free, guard)
        by_rows(c, "fmuls", gates, gates, free)
        return routine(name, operands, c, work.bytes, calls=allreduce is not single_column)

    def _gathered(self, c: Code, work: Work, logits: Vec, allreduce: AllReduce) -> Vec:
        """Code: the logits of the whole row of PEs, f32 [columns rows][tokens]."""
        z = work.take(self.columns * logits.n, bank=2)
        move = "fmovs" if self.size == 4 else "fh2s"
        if self.columns == 1:
            c.op(move, z, logits)
            return z
        c.op("fmovs", z, 0.0)
        c.op(move, self._own(c, z), logits)
        reduce_row(c, allreduce, "sum", z)
        return z

    def _own(self, c: Code, z: Vec) -> Vec:
        """The PE's part of such a vector; changes r17."""
        c("ld16 r17, [column]", f"imul32 r17, r17, {4 * self.rows * self.tokens}")
        c.address("r18", z.at, z.offset)
        c("iadd32 r17, r17, r18")
        return Vec("r17", self.rows * self.tokens)

    def _choose(self, c: Code, left: Vec, chosen: Vec, most: Vec, free: Vec, scratch: Vec) -> None:
        """Code: the first logits that are the greatest ones left are chosen, and no longer left.

        scratch becomes 1 where the logit is the greatest, 0 elsewhere; free is 1 until a token has chosen.
        """
        t = self.tokens
        c.forget()
        c(f"mov r2, {GAP}", f"mov r3, {f32(-1.0)}", f"mov r4, {f32(1.0)}", f"mov r5, {f32(-FAR)}")
        held = {"d0": scratch, "d1": free, "d2": chosen.rows(t), "d3": left.rows(t)}
        held |= {"a0": left.rows(t), "a1": scratch, "a2": free, "a3": chosen.rows(t), "a4": left.rows(t)}
        held |= {"b0": most, "b1": free, "b2": scratch}
        with c.loop(self.experts, **held) as (
            made,
            still,
            taken,
            rest,
            x,
            a,
            a_free,
            a_taken,
            a_rest,
            b_most,
            b_free,
            b,
        ):
            c(f"fsubs {made}, {x}, {b_most}", f"fscales {made}, {a}, r2", f"fmaxs {made}, {a}, r3")
            c(f"fadds {made}, {a}, r4", f"fmuls {made}, {a}, {b_free}", f"fsubs {still}, {a_free}, {b}")
            c(f"fadds {taken}, {a_taken}, {b}", f"fmacs {rest}, {a_rest}, {b}, r5")
        c.forget()

    def backward(self, name: str, allreduce: AllReduce = single_column) -> Routine:
        """The subroutine of the backward pass, which adds up dgates over the row."""
        operands = ("dgates", "gates", *(("shares",) if self.shares else ()), "dlogits")
        operands += ("balance",) if self.balanced else ()
        c, work, t, n = Code(), Work(), self.tokens, self.experts * self.tokens
        incoming, gates = (Vec(register(operands, operand), n) for operand in operands[:2])
        shares = Vec("r10", n) if self.shares else gates
        of = gates if self.of_chosen else shares
        made, scratch = work.take(self.columns * self.rows * t, bank=2), work.take(n, bank=4)
        total = work.take(t, bank=0)
        reduce_row(c, allreduce, "sum", incoming)
        if made.n > n:
            c.op("fmovs", made.part(n, made.n - n), 0.0)
        d = made.part(0, n)
        c.op("fmuls", d, incoming, gates)
        self._less_mean(c, d, of, total, scratch)
        if self.balanced:
            by_share = work.take(n, bank=6)
            with c.loop(
                self.experts,
                over=Vec(register(operands, "balance"), self.experts),
                d=by_share.rows(t),
                a=shares.rows(t),
            ) as (y, a):
                c(f"fmuls {y}, {a}, r1")
            self._less_mean(c, by_share, shares, total, scratch)
            c.op("fadds", d, d, by_share)
        own = made if self.columns == 1 else self._own(c, made)
        out = Vec(register(operands, "dlogits"), self.rows * t, self.size)
        c.op("fmovs" if self.size == 4 else "fs2h", out, own)
        return routine(name, operands, c, work.bytes, calls=allreduce is not single_column)

    def _less_mean(self, c: Code, x: Vec, shares: Vec, total: Vec, scratch: Vec) -> None:
        """Code: x = x - shares sum(x), of each token."""
        sum_rows(c, x, total, self.experts)
        by_rows(c, "fmuls", scratch, shares, total)
        c.op("fsubs", x, x, scratch)

    def choice(self, logits: np.ndarray) -> np.ndarray:
        """bool [experts, tokens]: the chosen experts.  logits: [experts, tokens]."""
        order = np.argsort(-np.asarray(logits, np.float64), axis=0, kind="stable")[: self.active]
        made = np.zeros(np.shape(logits), bool)
        np.put_along_axis(made, order, True, axis=0)
        return made

    def reference(
        self, logits: np.ndarray, dgates: np.ndarray | None = None, balance: np.ndarray | float = 0.0
    ) -> tuple[np.ndarray, ...]:
        """(gates, shares), or (gates, shares, dlogits) if dgates is given, as float64 [experts, tokens].

        logits, dgates: [experts, tokens].  balance: [experts].
        """
        x = np.asarray(logits, np.float64)
        powers = np.exp(x - x.max(axis=0))
        shares, chosen = powers / powers.sum(axis=0), self.choice(logits)
        gates = chosen * (powers / (chosen * powers).sum(axis=0) if self.of_chosen else shares)
        if dgates is None:
            return gates, shares
        d = gates * np.asarray(dgates, np.float64)
        d -= (gates if self.of_chosen else shares) * d.sum(axis=0)
        by_share = shares * np.reshape(balance, (-1, 1))
        return gates, shares, d + by_share - shares * by_share.sum(axis=0)


@dataclass(frozen=True)
class Weighing:
    """Activations times a weight of each token.  rows, tokens: of a tile.  size: bytes of an element, 2 or 4."""

    rows: int
    tokens: int
    size: int

    @property
    def label(self) -> str:
        """A name for subroutines."""
        return f"weighing_{self.rows}"

    def forward(self, name: str) -> Routine:
        """The subroutine of the forward pass; operands as in the module's docstring."""
        operands = ("x", "gate", "y")
        c, work, t, n = Code(), Work(), self.tokens, self.rows * self.tokens
        x, y = (Vec(register(operands, operand), n, self.size) for operand in ("x", "y"))
        wide = work.take(n, bank=2)
        self._times(c, c.widened(x, wide), Vec("r9", t), y, wide)
        return routine(name, operands, c, work.bytes)

    def backward(self, name: str) -> Routine:
        """The subroutine of the backward pass; dx may lie on dy."""
        operands = ("dy", "x", "gate", "dx", "dgate")
        c, work, t, n = Code(), Work(), self.tokens, self.rows * self.tokens
        dy, x, dx = (Vec(register(operands, operand), n, self.size) for operand in ("dy", "x", "dx"))
        product, values, gradient = work.take(n, bank=2), work.take(n, bank=4), work.take(n, bank=6)
        wide = c.widened(dy, gradient)
        c.op("fmuls", product, wide, c.widened(x, values))
        sum_rows(c, product, Vec(register(operands, "dgate"), t), self.rows)
        self._times(c, wide, Vec(register(operands, "gate"), t), dx, gradient)
        return routine(name, operands, c, work.bytes)

    def _times(self, c: Code, x: Vec, gate: Vec, y: Vec, wide: Vec) -> None:
        """Code: y = each row of x, f32, times the gate, through `wide` if y has 16 bits."""
        out = y if self.size == 4 else wide
        by_rows(c, "fmuls", out, x, gate)
        if self.size == 2:
            c.op("fs2h", y, wide)
