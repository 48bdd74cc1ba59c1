"""Attention within a PE, over whole heads of whole sequences, forward and backward.

    forward   q, k, v, o, stash                    o = v softmax(k^T q / sqrt d_head), masked if causal
    backward  do, q, k, v, stash, dq, dk, dv       dq may alias q, dk may alias k, dv may alias v; none may alias do
    With ALiBi, both have the additional operand slopes: f32 [heads], for the heads of the tile.

Tiles are [heads d_head][tokens] (k, v: [kv_heads d_head][tokens]); the tokens of a tile are consecutive sequences.  The
scores of one head in one sequence are stored as S[j][i], for key j and query i, so that sums over keys are sums of
whole rows.  The products are multiply-adds of a scalar with a row:

    S[j][:] += k[c][j] q[c][:],   o[c][:] += v[c][j] P[j][:]

The backward pass transposes P and dS for the products that sum over queries.  With a causal mask, keys are processed in
blocks.  With a window, a query does not see keys that are `window` or more tokens before it; their scores are computed
and masked.  The rows of a block begin at the block's first key, so that with four blocks only 10/16 of the square is
computed.

The backward pass recomputes P from the stash, f32 [heads][2][tokens]: the maximum score of each query, and 1 / l, where
l is the sum of e = exp(score - maximum) over the keys.  P = e / l is never formed.  Instead, the forward pass divides o
by l, and the backward pass scales do:

    do' = do / l,   dv = do' e,   dP' = v do',   D' = sum over j of e dP' / l,   dS = e (dP' - D') / sqrt d_head

D' also equals o do', but o is rounded.  If all keys contribute alike to a query, dP' - D' is a small difference of
large numbers, and the sum of dS over the keys must be 0; D' is therefore computed from e and dP'.

A sink is a further score of a head, without a key: the sum l has the term s = exp(sink - maximum), which the stash
keeps as a third vector.  The forward pass has the operand sinks, f32 [heads], the backward pass dsinks: -s D', summed.

A cap c makes the scores c tanh(scores / c), before the mask.  The exponential then has no scale, and dS the factor
1 - (score / c)^2.

With dropout, a mask M (dropout.py) multiplies what the softmax gives: o uses M P, dv uses M e, dP' has the factor M.

ALiBi adds slope (j - i) to the scores.  Adding slope j is enough, because a term that is common to all keys of a query
does not change softmax.

Precision.  Sums, scores and softmax are f32.  With 16-bit storage, e, dS and do' are rounded to 16 bits when they are
factors of a product.  With `half` (policy POL2), all products have 16-bit sums, scores and dP' are 16-bit numbers, and
l is the sum of the rounded e.

Performance.  Cycles for one head of one causal sequence of s tokens in 16 bits, fitted to executed runs (`wse costs`):
about a thousand, plus s^2 (0.94 d_head + 5.3) forward and s^2 (2.4 d_head + 8.9) backward.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from ..machine import isa
from ..program.fragments import f32
from ..records import dataclass
from . import dropout, math_functions
from .attention_shape import AttentionShape
from .attention_space import WorkSpace, transposer
from .code import Code, Routine, Vec, register, routine
from .row_sums import by_rows


@dataclass(frozen=True)
class Attention(AttentionShape):
    """The code of an attention operator."""

    # --- forward ------------------------------------------------------------------------------------------------------

    def forward(self, name: str) -> Routine:
        """The subroutine of the forward pass; operands as in the module's docstring.

        Its text includes the subroutines that the backward pass also calls.
        """
        operands = ("q", "k", "v", "o", "stash", *self.extra, *(["sinks"] if self.sinks else []))
        c, work, s = Code(), WorkSpace(self), self.sequence
        at = {operand: register(operands, operand) for operand in operands}
        scores, e = work.scores, work.e
        most, inverse = Vec(at["stash"], s), Vec(at["stash"], s, offset=4 * self.tokens)
        with self._each(c, at, ("q", "o"), ("k", "v")):
            self.score(c, Vec(at["k"], s), Vec(at["q"], s), self.tokens, at.get("slopes"))
            c.op("fmovs", most, -math.inf)
            self.reduce(c, "fmaxs", most, scores)
            if self.sinks:
                self._load_sink(c, at["sinks"])
                c.op("fmaxs", most, most, "r17")
            self.exponentiate(c, most)
            p = e
            if self.size == 2:
                c.op("fs2h", work.half, e)
                p = work.half
            if self.half:
                c.op("fh2s", e, p)
            c.op("fmovs", work.vector, 0.0)
            self.reduce(c, "fadds", work.vector, e)
            if self.sinks:
                self._load_sink(c, at["sinks"])
                c.op("fsubs", work.scratch, "r17", most)
                power, exponent = self._sink_power(at["stash"]), work.sink_exponent
                math_functions.exp(c, work.scratch, power, exponent, self.size == 2, self.power_scale)
                c.op("fadds", work.vector, work.vector, power)
            math_functions.reciprocal(c, work.vector, inverse, work.scratch)
            if self.dropout:
                everything = c.new_label()
                c.forget()
                c(f"ld16 r2, [{dropout.DRAW}+6]", f"bz r2, {everything}")
                self._draw(c)
                c.op("fmuls", e, e, work.mask)
                if self.size == 2:
                    c.op("fs2h", work.half, e)
                c.label(everything)
            self.clear(c, work.sums)
            self.mix(c, work.sums, p, Vec(at["v"], s), self.tokens)
            out = c.widened(work.sums, e.part(0, work.sums.n))
            by_rows(c, "fmuls", out, out, inverse)
            self.store(c, at["o"], out)
        made = routine(name, operands, c, work.bytes, calls=True)
        return replace(made, text=made.text + self.shared(work))

    # --- backward -----------------------------------------------------------------------------------------------------

    def backward(self, name: str) -> Routine:
        """The subroutine of the backward pass; operands as in the module's docstring.

        The PE class must also contain the forward subroutine of the same shape, whose parts it calls.
        """
        own = ("dsinks",) if self.sinks else self.extra
        operands = ("do", "q", "k", "v", "stash", "dq", "dk", "dv", *own)
        c, work, s, size = Code(), WorkSpace(self, backward=True), self.sequence, self.size
        at = {operand: register(operands, operand) for operand in operands}
        scores, e, sums, values = work.scores, work.e, work.sums, work.values
        most, inverse = Vec(at["stash"], s), Vec(at["stash"], s, offset=4 * self.tokens)
        q, k, v = (Vec(at[operand], s, size) for operand in "qkv")

        def begin() -> None:
            self.clear(c, work.keys)
            self.clear(c, work.mixed)

        def end() -> None:
            self.store(c, at["dk"], work.keys)
            self.store(c, at["dv"], work.mixed)

        if self.sinks:
            c.op("fmovs", Vec(at["dsinks"], self.heads), 0.0)
        with self._each(c, at, ("do", "q", "dq"), ("k", "v", "dk", "dv"), begin, end):
            self.score(c, k, q, self.tokens, at.get("slopes"))
            if self.cap:  # the factor of dS; of masked scores, for which e is 0, it only has to be finite
                c.op("fmaxs", work.slope, scores, -self.cap)
                c.op("fmuls", work.slope, work.slope, work.slope)
                c.op("fmacs", work.slope, self.scale, work.slope, -self.scale / self.cap**2)
            self.exponentiate(c, most)
            self.load(c, values, at["do"])
            by_rows(c, "fmuls", values, values, inverse)
            if size == 2:
                c.op("fs2h", work.outer, values)
            if self.dropout:
                self._draw(c)
                c.op("fmuls", scores, e, work.mask)
            self.transpose(c, name, scores if self.dropout else e)
            self.mix(c, work.mixed, work.turned, work.outer, s, transposed=True)
            # dS
            self.score(c, v, work.outer, s, mask=False)
            if self.dropout:
                c.op("fmuls", scores, scores, work.mask)
            c.op("fmovs", work.vector, 0.0)
            self.reduce(c, "fadds", work.vector, scores, e, work.scratch)
            c.op("fmuls", work.scratch, work.vector, inverse)
            if self.sinks:
                c.op("fmuls", work.vector, self._sink_power(at["stash"]), work.scratch)
                c("mov r17, 0")
                c(f"fadds r17, r17, {c.dsr('b', work.vector)}", f"ld32 r18, [{at['dsinks']}]", "ssub r18, r18, r17")
                c(f"st32 r18, [{at['dsinks']}]")
            self.subtract(c, work.scratch)
            c.op("fmuls", scores, scores, e)
            c.op("fmuls", scores, scores, work.slope if self.cap else self.scale)
            self.transpose(c, name, scores)
            self.mix(c, work.keys, work.turned, q, self.tokens, transposed=True)
            factors = scores
            if size == 2:  # overwrites e, which is no longer needed
                factors = replace(e, size=2, offset=e.offset + 8)
                c.op("fs2h", factors, scores)
            self.clear(c, sums)
            self.mix(c, sums, factors, k, self.tokens)
            self.store(c, at["dq"], sums)
        made = routine(name, operands, c, work.bytes, calls=True)
        return replace(made, text=made.text + transposer(self, f"{name}_transpose", work.turned))

    @contextmanager
    def _each(
        self,
        c: Code,
        at: dict[str, str],
        by_head: tuple[str, ...],
        by_kv: tuple[str, ...],
        begin: Callable[[], None] | None = None,
        end: Callable[[], None] | None = None,
    ) -> Iterator[None]:
        """Emits the loops over sequences and heads; the operands' registers point to the first element of a head.

        by_head, by_kv: operands with one tile part per head, and per key-value head.  begin, end: emit code before and
        after each group of heads that share keys and values.
        """
        group, sequences = self.heads // self.kv_heads, self.tokens // self.sequence
        step = self.d_head * self.tokens * self.size
        stash = 4 * (2 + self.sinks) * self.tokens
        extra = tuple(name for name in ("slopes", "sinks", "dsinks") if name in at)
        along = self.sequence * self.size
        counters = {"r22": sequences, "r23": self.kv_heads, "r24": group}
        tops = {register: c.new_label() for register in counters}

        def top(register: str) -> None:
            if counters[register] > 1:
                c(f"mov {register}, {counters[register]}")
                c.label(tops[register])

        def again(register: str) -> None:
            if counters[register] > 1:
                c(f"isub32 {register}, {register}, 1", f"bnz {register}, {tops[register]}")
                c.forget()

        def advance(names: tuple[str, ...], by: int) -> None:
            c(*(f"iadd32 {at[name]}, {at[name]}, {by & 0xFFFFFFFF:#x}" for name in names))

        if self.dropout:  # the place of the first head of the first sequence
            c.forget()
            c("ld16 r2, [row]", f"imul32 r2, r2, {sequences * self.all_heads}", "ld16 r3, [column]")
            c(f"imul32 r3, r3, {self.heads}", "iadd32 r2, r2, r3", f"mov r3, {dropout.PLACE}", "st32 r2, [r3]")
        top("r22")
        top("r23")
        if begin is not None:
            begin()
        top("r24")
        yield
        if self.heads * sequences > 1:
            advance(by_head, step)
            advance(("stash",), stash)
            advance(extra, 4)
        again("r24")
        if end is not None:
            end()
        if self.heads * sequences > 1:
            advance(by_kv, step)
        again("r23")
        if sequences > 1:
            advance(by_head, along - self.heads * step)
            advance(by_kv, along - self.kv_heads * step)
            advance(("stash",), 4 * self.sequence - self.heads * stash)
            advance(extra, -4 * self.heads)
            if self.dropout:
                self._next_place(c, self.all_heads - self.heads)
        again("r22")

    # --- calls of the shared subroutines ------------------------------------------------------------------------------
    #
    # r17..r21 are their operands; they overwrite r2..r7.  A span is address | elements << 16.

    @property
    def extra(self) -> tuple[str, ...]:
        """The additional operand of ALiBi."""
        return ("slopes",) if self.alibi else ()

    def score(self, c: Code, keys: Vec, queries: Vec, pitch: int, slopes: str | None = None, mask: bool = True) -> None:
        """scores[j][:] = sum over c of keys[c][j] queries[c][:], plus ALiBi, and -infinity where masked.

        keys, queries: first rows.  pitch: elements from one row of queries to the next.  slopes: address register.
        """
        c.address("r17", keys.at, keys.offset)
        c.address("r18", queries.at, queries.offset)
        c(f"mov r20, {pitch * self.size}")
        c.call(f"{self.label}_scores")
        if slopes is not None:
            self.add_alibi(c, slopes, "mov r2, 0")
        if mask and self.cap:
            c.call(f"{self.label}_capped")
        if mask and self.causal:
            c.call(f"{self.label}_mask")
            if 0 < self.window < self.sequence:
                c.call(f"{self.label}_window")

    def _draw(self, c: Code) -> None:
        """work.mask = the mask of this head and sequence; the place becomes that of the next head."""
        c.call(f"{self.label}_draw")
        self._next_place(c, 1)

    def _next_place(self, c: Code, by: int) -> None:
        c.forget()
        c(f"mov r3, {dropout.PLACE}", "ld32 r2, [r3]", f"iadd32 r2, r2, {by}", "st32 r2, [r3]")

    def _load_sink(self, c: Code, sinks: str) -> None:
        """r17 = the head's sink, in the units of scores."""
        c(f"ld32 r17, [{sinks}]", f"mov r18, {f32(1 / self.power_scale)}", "smul r17, r17, r18")

    def _sink_power(self, stash: str) -> Vec:
        return Vec(stash, self.sequence, offset=8 * self.tokens)

    def add_alibi(self, c: Code, slopes: str, *first: str) -> None:
        """scores[j][:] += slope (first + j), in units of 1 / sqrt d_head.

        slopes: address register.  first: instructions that set r2, the bias of the first key, from r17, the slope in
        these units.
        """
        c(f"ld32 r17, [{slopes}]", f"smul r17, r17, {f32(1 / self.scale)}", *first)
        c.call(f"{self.label}_alibi")

    def exponentiate(self, c: Code, most: Vec) -> None:
        """e = exp((scores - most) / sqrt d_head).  Overwrites scores."""
        self.subtract(c, most)
        c.call(f"{self.label}_exp")

    def subtract(self, c: Code, vector: Vec) -> None:
        """scores[j][:] -= vector[:] for all rows j."""
        c.address("r18", vector.at, vector.offset + (self.sequence << 16))
        c.call(f"{self.label}_less")

    def mix(self, c: Code, sums: Vec, matrix: Vec, factors: Vec, pitch: int, transposed: bool = False) -> None:
        """sums[c][:] += sum over j of factors[c][j] matrix[j][:].

        factors: its first row.  pitch: elements from one row of factors to the next.
        """
        width = self.keys if transposed else self.sequence
        change = self.fewer << 16 if transposed else self.sum_size * self.fewer - (self.fewer << 16)
        c.address("r17", sums.at, sums.offset + (width << 16))
        c.address("r18", factors.at, factors.offset)
        c.address("r19", matrix.at, matrix.offset + (width << 16))
        c(f"mov r20, {pitch * self.size}", f"mov r21, {change & 0xFFFFFFFF:#x}")
        c.call(f"{self.label}_mix")

    def transpose(self, c: Code, name: str, matrix: Vec) -> None:
        """turned[i][j] = matrix[j][i], rounded to the storage type."""
        c.address("r17", matrix.at, matrix.offset)
        c.call(f"{name}_transpose")

    def reduce(
        self, c: Code, op: str, vector: Vec, matrix: Vec, weights: Vec | None = None, scratch: Vec | None = None
    ) -> None:
        """vector[:] = vector[:] op matrix[j][:] (times weights[j][:]) for all rows j."""
        c.address("r18", vector.at, vector.offset + (self.sequence << 16))
        c.address("r19", matrix.at, matrix.offset + (self.sequence << 16))
        with self._by_block(c):
            part, row = Vec("r18", 0), Vec("r19", 0, save=True)
            if weights is None or scratch is None:
                with c.loop(self.keys, d=part, a=part, b=row) as (d, a, b):
                    c(f"{op} {d}, {a}, {b}")
            else:
                # The sources give the length of the product; the length of the scratch vector is not used.
                weight = replace(row, offset=weights.offset - matrix.offset)
                held = {"d0": part, "a0": part, "d1": scratch, "b1": scratch.part(0, 0), "a1": weight, "b0": row}
                with c.loop(self.keys, **held) as (total, before, to, again, weigh, source):
                    c(f"fmuls {to}, {weigh}, {source}", f"{op} {total}, {before}, {again}")
            self._next(c, "r19", 4)
            c(f"iadd32 r18, r18, {4 * self.fewer - (self.fewer << 16) & 0xFFFFFFFF:#x}")

    # --- the shared subroutines ---------------------------------------------------------------------------------------

    @property
    def _multiply_add(self) -> str:
        return "fmacs" if self.size == 4 else "fmach" if self.half else "fmachs"

    def clear(self, c: Code, sums: Vec) -> None:
        """Code: sets sums to 0."""
        c.op("fmovs" if sums.size == 4 else "fmovh", sums, "r0")

    def shared(self, work: WorkSpace) -> str:
        """Code of the subroutines that forward and backward pass share."""
        scores = work.scores
        pieces = {
            "scores": self._shared_scores(scores, work.half if self.half else scores),
            "mask": self._shared_mask(scores),
            "less": self._shared_less(scores),
            "mix": self._shared_mix(),
        }
        if 0 < self.window < self.sequence:
            pieces["window"] = self._shared_window(scores)
        if self.alibi:
            pieces["alibi"] = self._shared_alibi(scores)
        c = pieces["exp"] = Code()
        math_functions.exp(c, scores, work.e, work.exponent, self.size == 2, self.power_scale)
        if self.cap:
            pieces["capped"] = self._shared_cap(scores, work.capping)
        if self.dropout:
            pieces["draw"] = self._shared_draw(work)
        return "".join(routine(f"{self.label}_{piece}", (), code, 0).text for piece, code in pieces.items())

    @contextmanager
    def _by_block(self, c: Code) -> Iterator[None]:
        """Emits a loop over the blocks of keys; r7 counts."""
        if self.blocks == 1:
            yield
            return
        top = c.new_label()
        c(f"mov r7, {self.blocks}")
        c.label(top)
        yield
        c("isub32 r7, r7, 1", f"bnz r7, {top}")
        c.forget()

    def _next(self, c: Code, span: str, size: int, change: str | None = None) -> None:
        """Advances a span from the first row of a block to that of the next.

        change: a register with the change of the length, << 16; by default the length decreases by `_fewer`.
        """
        c(f"ishr32 r3, {span}, 16", f"imul32 r3, r3, {size * self.keys}", f"iadd32 {span}, {span}, r3")
        c(f"iadd32 {span}, {span}, {change}" if change else f"isub32 {span}, {span}, {self.fewer << 16:#x}")

    def _shared_scores(self, scores: Vec, sums: Vec) -> Code:
        c, keys, size = Code(), self.keys, self.size
        self.clear(c, sums)
        c.address("r19", sums.at, sums.offset + (self.sequence << 16))
        c(f"iadd32 r18, r18, {self.sequence << 16:#x}")
        with self._by_block(c):
            c("mov r5, r17", "mov r6, r18")
            with c.loop(self.d_head):
                row = Vec("r19", 0, self.sum_size, save=True)
                with c.loop(keys, over=Vec("r5", keys, size), d=row, a=row, b=Vec("r6", 0, size)) as (d, a, b):
                    c(f"{self._multiply_add} {d}, {a}, {b}, r25")
                c(f"iadd32 r5, r5, {self.tokens * size}", "iadd32 r6, r6, r20")
            c(f"iadd32 r17, r17, {keys * size}")
            c(f"iadd32 r18, r18, {size * self.fewer - (self.fewer << 16) & 0xFFFFFFFF:#x}")
            self._next(c, "r19", self.sum_size)
        if self.half:
            c.op("fh2s", scores, sums)
        return c

    def _shared_mask(self, scores: Vec) -> Code:
        """-infinity in the first j elements of row j of each block."""
        c = Code()
        if self.keys == 1:
            return c
        c.clobber("r2")
        c("mov r2, -infs", f"mov r17, {isa.DSD_MEM1D:#x}", "mov r19, 4", "mov r20, 0", f"mov r21, {4 * self.sequence}")
        c.address("r18", scores.at, scores.offset + 4 * self.sequence + (1 << 16))
        with self._by_block(c):
            with c.loop(self.keys - 1):
                c("ldds d0, r17", "fmovs d0, r2", "iadd32 r18, r18, r21", f"iadd32 r18, r18, {1 << 16:#x}")
            # The address is one row after the block's end plus one element: move it to the next block's second row.
            c(f"isub32 r21, r21, {4 * self.keys}", "iadd32 r18, r18, r21")
            c(f"isub32 r18, r18, {self.keys - 1 << 16:#x}")
        return c

    def _shared_cap(self, scores: Vec, work: math_functions.Cap) -> Code:
        """scores = cap tanh(scores / (sqrt d_head cap)), a chunk at a time."""
        c, n = Code(), work.a.n
        top = c.new_label()
        c.address("r17", scores.at, scores.offset)
        c(f"mov r18, {scores.n // n}")
        c.label(top)
        math_functions.softcap(c, Vec("r17", n), work, self.cap, self.scale)
        c(f"iadd32 r17, r17, {4 * n}", "isub32 r18, r18, 1", f"bnz r18, {top}")
        c.forget()
        return c

    def _shared_draw(self, work: WorkSpace) -> Code:
        """The mask, a chunk at a time."""
        c, n = Code(), work.drawing.x.n
        top = c.new_label()
        c.address("r17", work.mask.at, work.mask.offset)
        c(f"ld32 r19, [{dropout.PLACE}]", f"mov r18, {work.mask.n // n}", "mov r20, 0")
        c.label(top)
        c.op("mov16", work.drawing.x, "r19")
        dropout.count(c, work.drawing.y, "r20")
        work.drawing.encrypt(c)
        work.drawing.mask(c, Vec("r17", n), self.dropout)
        c(f"iadd32 r17, r17, {4 * n}", f"iadd32 r20, r20, {n}", "isub32 r18, r18, 1", f"bnz r18, {top}")
        c.forget()
        return c

    def _shared_window(self, scores: Vec) -> Code:
        """-infinity for queries that are `window` or more tokens behind key j: the end of row j, one less each row."""
        c, keys, at = Code(), self.keys, scores.offset
        c.clobber("r2")
        c("mov r2, -infs", f"mov r17, {isa.DSD_MEM1D:#x}", "mov r19, 4", "mov r20, 0")
        for first in range(0, self.sequence, keys if self.causal else self.sequence):
            width = self.sequence - first  # of the rows of this block, from its first query
            rows = min(keys, width - self.window)
            if rows > 0:
                count = width - self.window
                c.address("r18", scores.at, at + 4 * self.window + (count << 16))
                c(f"mov r21, {4 * (width + 1) - (1 << 16) & 0xFFFFFFFF:#x}")
                with c.loop(rows):
                    c("ldds d0, r17", "fmovs d0, r2", "iadd32 r18, r18, r21")
            at += 4 * keys * width
        return c

    def _shared_less(self, scores: Vec) -> Code:
        c = Code()
        c.address("r19", scores.at, scores.offset + (self.sequence << 16))
        with self._by_block(c):
            row = Vec("r19", 0, save=True)
            with c.loop(self.keys, d=row, a=row, b=Vec("r18", 0)) as (d, a, b):
                c(f"fsubs {d}, {a}, {b}")
            self._next(c, "r19", 4)
            c(f"iadd32 r18, r18, {4 * self.fewer - (self.fewer << 16) & 0xFFFFFFFF:#x}")
        return c

    def _shared_alibi(self, scores: Vec) -> Code:
        """scores[j][:] += r2 + j r17."""
        c = Code()
        c.address("r19", scores.at, scores.offset + (self.sequence << 16))
        with self._by_block(c):
            row = Vec("r19", 0, save=True)
            with c.loop(self.keys, d=row, a=row) as (d, a):
                c(f"fadds {d}, {a}, r2", "sadd r2, r2, r17")
            self._next(c, "r19", 4)
        return c

    def _shared_mix(self) -> Code:
        """Processes two rows of sums alternately, to hide the latency of dependent operations on one row."""
        c, keys, size = Code(), self.keys, self.size
        pairs = self.d_head % 2 == 0
        with self._by_block(c):
            c("mov r5, r18", "mov r6, r17")
            with c.loop(self.d_head // (1 + pairs)):
                if pairs:
                    c("iadd32 r4, r5, r20")
                total = Vec("r6", 0, self.sum_size)
                below = replace(total, offset=self.sum_size * self.sequence)
                row = Vec("r19", 0, size, save=True)
                held = {"d0": total, "a0": total, "b0": row}
                if pairs:
                    held |= {"b1": row, "d1": below, "a1": below, "b2": Vec("r4", keys, size)}
                with c.loop(keys, over=Vec("r5", keys, size), **held) as dsrs:
                    c(f"{self._multiply_add} {', '.join(dsrs[:3])}, r25")
                    if pairs:
                        end = c.new_label()
                        c(f"mapstep r2, {dsrs[6]}, {end}")
                        c.lines.append(f"{end}:")
                        c(f"{self._multiply_add} {dsrs[4]}, {dsrs[5]}, {dsrs[3]}, r2")
                c("iadd32 r5, r4, r20" if pairs else "iadd32 r5, r5, r20")
                c(f"iadd32 r6, r6, {self.sum_size * self.sequence * (1 + pairs)}")
            c(f"iadd32 r18, r18, {keys * size}", "iadd32 r17, r17, r21", "iand r2, r21, 0xffff0000")
            self._next(c, "r19", size, "r2")
        return c

    # --- rows of tiles ------------------------------------------------------------------------------------------------

    def load(self, c: Code, rows: Vec, tile: str) -> None:
        """Loads rows [d_head][sequence] from a tile."""
        self._copy(c, rows, tile, True)

    def store(self, c: Code, tile: str, rows: Vec) -> None:
        """Stores rows [d_head][sequence] to a tile, rounded to the storage type."""
        self._copy(c, rows, tile, False)

    def _copy(self, c: Code, rows: Vec, tile: str, loads: bool) -> None:
        op = "fmovs" if self.size == 4 else "fmovh" if rows.size == 2 else "fh2s" if loads else "fs2h"
        if self.tokens == self.sequence:
            whole = Vec(tile, rows.n, self.size)
            c.op(op, *((rows, whole) if loads else (whole, rows)))
            return
        c(f"mov r20, {tile}")
        with c.loop(self.d_head, **{"d" if loads else "a": rows.rows(self.sequence)}) as (held,):
            other = Vec("r20", self.sequence, self.size)
            with c.hold(**{"a" if loads else "d": other}) as (dsr,):
                c(f"{op} {held}, {dsr}" if loads else f"{op} {dsr}, {held}")
            c(f"iadd32 r20, r20, {self.tokens * self.size}")
