"""Attention within a PE: whole heads of whole sequences, forward and backward.

    forward   q, k, v, o, stash                    o = v softmax(k^T q / sqrt d_head), masked where causal
    backward  do, q, k, v, o, stash, dq, dk, dv    dq may lie on q, dk on k, dv on v; none on do or o

Tiles are [heads d_head][tokens] (k, v: [kv_heads d_head][tokens]), a row holding sequences one after the other.  The
scores of a head in a sequence lie as S[j][i], key j and query i: what is summed over keys is a sum of whole rows.  Each
key's row is made by multiply-adds of one key's feature with a row of queries,

    S[j][:] += k[c][j] q[c][:],   o[c][:] += v[c][j] P[j][:]

and so are all the products of backward, with P and dS transposed where sums go over queries.  Under a causal mask keys
come in blocks: the rows of a block begin at its first key, so that with four blocks 10/16 of the square are worked on.

Backward makes P again from the stash, f32 [heads][2][tokens]: the greatest score of each query, and 1 / the sum l of
e = exp(score - greatest).  P = e / l is never formed: forward divides o, and backward takes do' = do / l for do, as
dv = do' e, dP' = v do', D' = o do', dS = e (dP' - D') / sqrt d_head.

Sums, scores and softmax are f32; of 16-bit storage e, dS and do' are rounded to 16 bits where they are factors.
Cycles of a head in a sequence of s tokens, 16 bits: products s^2 d_head / 4 each (two forward, five backward, and the
blocks' share of it), exp 8.5 s^2, overheads of some 3 cycles an operation on a row.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from ... import isa
from . import functions
from .code import Code, Routine, Vec, Work, register, routine

BLOCKS = 4  # of a causal mask


@dataclass(frozen=True)
class Block:
    """Keys first .. first + keys - 1 as rows over queries from..from + width - 1, at `at` elements of their matrix."""

    first: int
    keys: int
    start: int
    width: int
    at: int

    def of(self, matrix: Vec) -> Vec:
        """Its rows, for one operation after the other."""
        return replace(matrix.part(self.at, self.width), save=True)

    def whole(self, matrix: Vec) -> Vec:
        """All its elements."""
        return matrix.part(self.at, self.keys * self.width)


@dataclass(frozen=True)
class Attention:
    """heads, kv_heads: of a tile; tokens: of a tile, sequences of `sequence` each; size: bytes of an element."""

    heads: int
    kv_heads: int
    d_head: int
    sequence: int
    tokens: int
    size: int
    causal: bool = True

    @property
    def scale(self) -> float:
        return 1 / math.sqrt(self.d_head)

    @property
    def stash(self) -> int:
        """f32 elements of the stash."""
        return 2 * self.heads * self.tokens

    @property
    def _blocks(self) -> list[Block]:
        """Keys in blocks, over the queries that see them."""
        s = self.sequence
        keys = s // self._count
        found, at = [], 0
        for first in range(0, s, keys):
            start = first if self.causal else 0
            found.append(Block(first, keys, start, s - start, at))
            at += keys * (s - start)
        return found

    @property
    def _transposed(self) -> list[Block]:
        """Queries in blocks, over the keys that they see."""
        s = self.sequence
        queries = s // self._count
        found, at = [], 0
        for first in range(0, s, queries):
            width = first + queries if self.causal else s
            found.append(Block(first, queries, 0, width, at))
            at += queries * width
        return found

    @property
    def _count(self) -> int:
        return next(n for n in range(BLOCKS, 0, -1) if self.sequence % n == 0) if self.causal else 1

    @property
    def _elements(self) -> int:
        return sum(block.keys * block.width for block in self._blocks)

    # --- forward ------------------------------------------------------------------------------------------------------

    def forward(self, name: str) -> Routine:
        """The subroutine; operands as above."""
        operands = ("q", "k", "v", "o", "stash")
        c, work, s, n = Code(), Work(), self.sequence, self._elements
        at = {operand: register(operands, operand) for operand in operands}
        scores, e, narrow = work.take(n, bank=2), work.take(n, bank=4), work.take(n, 2, bank=0)
        total, scratch = work.take(s, bank=6), work.take(s, bank=2)
        sums = work.take(self.d_head * s, bank=6)
        most, inverse = Vec(at["stash"], s), Vec(at["stash"], s, offset=4 * self.tokens)
        with self._each(c, at, ("q", "o"), ("k", "v")):
            self._scores(c, scores, Vec(at["k"], s, self.size), Vec(at["q"], s, self.size), self.tokens)
            self._mask(c, scores)
            c.op("fmuls", scores, scores, self.scale)
            c.op("fmovs", most, -math.inf)
            self._rows(c, "fmaxs", most, scores)
            self._less(c, scores, most)
            functions.exp(c, scores, e, narrow, self.size == 2)
            c.op("fmovs", total, 0.0)
            self._rows(c, "fadds", total, e)
            functions.reciprocal(c, total, inverse, scratch)
            p = e
            if self.size == 2:
                c.op("fs2h", narrow, e)
                p = narrow
            self._mix(c, sums, self._blocks, p, Vec(at["v"], s, self.size), self.tokens)
            with c.loop(self.d_head, d=sums.rows(s), a=sums.rows(s), b=inverse) as (d, a, b):
                c(f"fmuls {d}, {a}, {b}")
            self._store(c, at["o"], sums)
        return routine(name, operands, c, work.bytes)

    # --- backward -----------------------------------------------------------------------------------------------------

    def backward(self, name: str) -> Routine:
        """The subroutine; operands as above."""
        operands = ("do", "q", "k", "v", "o", "stash", "dq", "dk", "dv")
        c, work, s, n = Code(), Work(), self.sequence, self._elements
        at = {operand: register(operands, operand) for operand in operands}
        size, tile = self.size, self.d_head * self.sequence
        scores, e = work.take(n, bank=2), work.take(n, bank=4)
        turned = work.take(n, size)
        narrow = work.take(n, 2, bank=4) if size == 2 else scores
        inner = work.take(s, bank=6)
        sums, values = work.take(tile, bank=2), work.take(tile, bank=4)
        outer = work.take(tile, size) if size == 2 else values
        keys_sum, values_sum = work.take(tile, bank=0), work.take(tile, bank=2)
        most, inverse = Vec(at["stash"], s), Vec(at["stash"], s, offset=4 * self.tokens)

        def begin() -> None:
            c.op("fmovs", keys_sum, 0.0)
            c.op("fmovs", values_sum, 0.0)

        def end() -> None:
            self._store(c, at["dk"], keys_sum)
            self._store(c, at["dv"], values_sum)

        k, q, v = (Vec(at[operand], s, size) for operand in "kqv")
        exponent = turned if size == 2 else replace(turned, n=n, size=2)
        with self._each(c, at, ("do", "q", "o", "dq"), ("k", "v", "dk", "dv"), begin, end):
            self._scores(c, scores, k, q, self.tokens)
            self._mask(c, scores)
            c.op("fmuls", scores, scores, self.scale)
            self._less(c, scores, most)
            functions.exp(c, scores, e, exponent, size == 2)
            # do' and D'
            self._load(c, sums, at["o"])
            self._load(c, values, at["do"])
            with c.loop(self.d_head, d=values.rows(s), a=values.rows(s), b=inverse) as (d, a, b):
                c(f"fmuls {d}, {a}, {b}")
            c.op("fmuls", sums, sums, values)
            c.op("fmovs", inner, 0.0)
            with c.loop(self.d_head, d=inner, a=inner, b=sums.rows(s)) as (d, a, b):
                c(f"fadds {d}, {a}, {b}")
            if size == 2:
                c.op("fs2h", outer, values)
            self._transpose(c, e, turned)
            self._mix(c, values_sum, self._transposed, turned, outer, s, clear=False)
            # dS
            self._scores(c, scores, v, outer.part(0, s), s)
            self._less(c, scores, inner)
            c.op("fmuls", scores, scores, e)
            c.op("fmuls", scores, scores, self.scale)
            self._transpose(c, scores, turned)
            self._mix(c, keys_sum, self._transposed, turned, q, self.tokens, clear=False)
            if size == 2:
                c.op("fs2h", narrow, scores)
            self._mix(c, sums, self._blocks, narrow, k, self.tokens)
            self._store(c, at["dq"], sums)
        return routine(name, operands, c, work.bytes)

    # --- pieces -------------------------------------------------------------------------------------------------------

    @contextmanager
    def _each(self, c: Code, at: dict[str, str], by_head: tuple, by_kv: tuple, begin=None, end=None) -> Iterator[None]:
        """The body for each head of each sequence, with the operands' registers at its first element."""
        group, sequences = self.heads // self.kv_heads, self.tokens // self.sequence
        step = self.d_head * self.tokens * self.size
        stash = 8 * self.tokens
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
            if by:
                c(*(f"iadd32 {at[name]}, {at[name]}, {by & 0xFFFFFFFF:#x}" for name in names))

        top("r22")
        top("r23")
        if begin is not None:
            begin()
        top("r24")
        yield
        if self.heads * sequences > 1:
            advance(by_head, step)
            advance(("stash",), stash)
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
        again("r22")

    @property
    def _multiply_add(self) -> str:
        return "fmacs" if self.size == 4 else "fmachs"

    def _scores(self, c: Code, scores: Vec, keys: Vec, queries: Vec, pitch: int) -> None:
        """scores[j][:] = sum over c of keys[c][j] queries[c][:].  keys, queries: first rows; pitch: between the queries'."""
        c.op("fmovs", scores, 0.0)
        for block in self._blocks:
            c.address("r20", keys.at, keys.offset + block.first * self.size)
            c.address("r21", queries.at, queries.offset + block.start * self.size)
            with c.loop(self.d_head):
                row = block.of(scores)
                column, query = Vec("r20", block.keys, self.size), Vec("r21", block.width, self.size)
                with c.loop(block.keys, over=column, d=row, a=row, b=query) as (d, a, b):
                    c(f"{self._multiply_add} {d}, {a}, {b}, r25")
                c(f"iadd32 r20, r20, {self.tokens * self.size}", f"iadd32 r21, r21, {pitch * self.size}")

    def _mix(
        self, c: Code, sums: Vec, blocks: list[Block], matrix: Vec, factors: Vec, pitch: int, clear: bool = True
    ) -> None:
        """sums[c][:] += sum over j of factors[c][j] matrix[j][:].  factors: its first row; pitch: between its rows.

        Two rows of sums at once, for each operation waits for the one before on the same row.
        """
        s, at_once = self.sequence, 2 - self.d_head % 2
        if clear:
            c.op("fmovs", sums, 0.0)
        for block in blocks:
            c.address("r20", factors.at, factors.offset + block.first * self.size)
            c(f"mov r21, {sums.at}+{sums.offset + 4 * block.start}")
            with c.loop(self.d_head // at_once):
                operands = {}
                for i in range(at_once):
                    total = Vec("r21", block.width, offset=4 * s * i)
                    operands |= {f"d{i}": total, f"a{i}": total}
                operands |= {f"b{i}": block.of(matrix) for i in range(at_once)}
                column = Vec("r20", block.keys, self.size)
                if at_once == 2:
                    operands["b2"] = replace(column, offset=pitch * self.size)
                with c.loop(block.keys, over=column, **operands) as dsrs:
                    dsts, sources, rows = dsrs[0 : 2 * at_once : 2], dsrs[1 : 2 * at_once : 2], dsrs[2 * at_once :]
                    c(f"{self._multiply_add} {dsts[0]}, {sources[0]}, {rows[0]}, r25")
                    if at_once == 2:
                        end = c.new_label()
                        c(f"mapstep r2, {rows[2]}, {end}")
                        c.lines.append(f"{end}:")
                        c(f"{self._multiply_add} {dsts[1]}, {sources[1]}, {rows[1]}, r2")
                c(f"iadd32 r20, r20, {at_once * pitch * self.size}", f"iadd32 r21, r21, {at_once * 4 * s}")

    def _mask(self, c: Code, scores: Vec) -> None:
        """No query sees a later key: -infinity in the first j elements of a block's row j."""
        if not self.causal:
            return
        kind = isa.DSD_MEM1D | isa.DSD_WIDE << 8
        for block in self._blocks:
            if block.keys == 1:
                continue
            first = block.whole(scores).offset + 4 * block.width
            c(f"mov r17, {kind:#x}", f"mov r18, {scores.at}+{first + (1 << 16)}", "mov r19, 4", "mov r20, 0")
            c.clobber("r2")
            c("mov r2, -infs")
            with c.loop(block.keys - 1):
                c("ldds d0, r17", "fmovs d0, r2", f"iadd32 r18, r18, {4 * block.width + (1 << 16)}")

    def _rows(self, c: Code, op: str, vector: Vec, matrix: Vec) -> None:
        """vector[:] = vector[:] op matrix[j][:] for all rows j."""
        for block in self._blocks:
            part = vector.part(block.start, block.width)
            with c.loop(block.keys, d=part, a=part, b=block.of(matrix)) as (d, a, b):
                c(f"{op} {d}, {a}, {b}")

    def _less(self, c: Code, matrix: Vec, vector: Vec) -> None:
        """matrix[j][:] -= vector[:] for all rows j."""
        for block in self._blocks:
            row = block.of(matrix)
            with c.loop(block.keys, d=row, a=row, b=vector.part(block.start, block.width)) as (d, a, b):
                c(f"fsubs {d}, {a}, {b}")

    def _transpose(self, c: Code, matrix: Vec, turned: Vec) -> None:
        """turned[i][j] = matrix[j][i], rounded to the storage type: a square at a time."""
        tensor = isa.DSD_MEM4D | isa.DSD_WIDE << 8
        for rows in self._transposed:
            for columns in self._blocks:
                if columns.start > rows.first:
                    continue
                n, keys = rows.keys * columns.keys, columns.keys
                to = turned.part(rows.at + columns.first, 1).offset
                source = matrix.part(columns.at + rows.first - columns.start, 1).offset
                c(f"mov r17, {1 | 1 << 16:#x}", f"mov r18, {rows.keys | keys << 16:#x}", "mov r19, 0")
                for number, (stride, inner) in enumerate(
                    ((rows.width * turned.size, turned.size), (4, 4 * columns.width))
                ):
                    c(f"mov r20, {stride | inner << 16:#x}", f"ldxd x{number}, r17")
                for dsr, vec, offset, x in (("d0", turned, to, 0), ("a0", matrix, source, 1)):
                    c(f"mov r28, {tensor:#x}", f"mov r29, {vec.at}+{offset + (n << 16)}", "mov r30, 0", f"mov r31, {x}")
                    c(f"ldds {dsr}, r28")
                c(f"{'fs2h' if turned.size == 2 else 'fmovs'} d0, a0")
        c.forget()

    def _load(self, c: Code, rows: Vec, tile: str) -> None:
        """rows [d_head][sequence] f32 = those of a tile."""
        self._copy(c, rows, tile, True)

    def _store(self, c: Code, tile: str, rows: Vec) -> None:
        """A tile's rows = rows [d_head][sequence] f32, rounded."""
        self._copy(c, rows, tile, False)

    def _copy(self, c: Code, rows: Vec, tile: str, loads: bool) -> None:
        op = "fmovs" if self.size == 4 else "fh2s" if loads else "fs2h"
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


# --- in double precision ----------------------------------------------------------------------------------------------


def reference(
    q: np.ndarray, k: np.ndarray, v: np.ndarray, shape: Attention, do: np.ndarray | None = None
) -> tuple[np.ndarray, ...]:
    """o, or (o, dq, dk, dv) if do is given, in float64 of tiles [rows, tokens]."""
    s, group = shape.sequence, shape.heads // shape.kv_heads

    def heads(x: np.ndarray) -> np.ndarray:  # [head, sequence, token, feature]
        return np.asarray(x, np.float64).reshape(-1, shape.d_head, shape.tokens // s, s).transpose(0, 2, 3, 1)

    def tile(x: np.ndarray) -> np.ndarray:
        return x.transpose(0, 3, 1, 2).reshape(-1, shape.tokens)

    def shared(x: np.ndarray) -> np.ndarray:
        return x.reshape(shape.kv_heads, group, *x.shape[1:]).sum(axis=1)

    q, k, v = heads(q), np.repeat(heads(k), group, axis=0), np.repeat(heads(v), group, axis=0)
    scores = q @ k.swapaxes(-1, -2) * shape.scale
    if shape.causal:
        scores = np.where(np.tri(s, dtype=bool), scores, -np.inf)
    p = np.exp(scores - scores.max(axis=-1, keepdims=True))
    p /= p.sum(axis=-1, keepdims=True)
    o = p @ v
    if do is None:
        return (tile(o),)
    do = heads(do)
    dp = do @ v.swapaxes(-1, -2)
    ds = p * (dp - (p * dp).sum(axis=-1, keepdims=True)) * shape.scale
    return tile(o), tile(ds @ k), tile(shared(ds.swapaxes(-1, -2) @ q)), tile(shared(p.swapaxes(-1, -2) @ do))
