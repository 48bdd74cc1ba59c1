"""Attention over sequences that span several rows of PEs (ring attention).  A column holds whole heads.

    forward   q, k, v, o, stash                    stash: as in attention.py, then o as f32 [heads d_head][tokens]
    backward  do, q, k, v, stash, dq, dk, dv       the class must also contain the forward subroutine of this shape
    With ALiBi, both have the additional operand slopes.

Keys and values circulate around a ring of rows.  Each row begins with its own and, after each step, sends the current
ones to the next row south, the last row to the first.  After s steps, row y has the keys of row y - s; with a causal
mask it needs them if s <= y.  A step is attention between the tokens of two rows, by the subroutines of attention.py.
The forward pass is an online softmax: it keeps the maximum score of each query, and when the maximum grows, multiplies
the sum and the output so far by e^(old - new).  In the backward pass, the gradients of keys and values circulate with
them and accumulate; after as many steps as there are rows, they are back at their own row.

A step transfers keys and values in the storage type and, in the backward pass, their gradients as f32 (16 bits with
`half`), at 32 bits per cycle.  To avoid deadlock, even rows send before they receive, and odd rows receive first.
Here D' is computed as o do', from o in f32.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import ClassVar

from ..errors import ConfigError
from ..machine import isa
from ..records import dataclass
from . import math_functions
from .attention import Attention
from .attention_space import WorkSpace, transposer
from .code import Code, Routine, Vec, register, routine
from .region import Region
from .row_sums import by_rows, sum_rows

# Queues of the links to the next row, and of the link from the last row to the first.  WSE-2 has no output queue 6.
NEXT_IN = NEXT_OUT = 5
AROUND_IN, AROUND_OUT = 6, 1
OPERANDS = 9  # most operands of a subroutine


class _Block(Attention):
    """Attention between the tokens of two rows: a square score matrix."""

    masks_itself: ClassVar[bool] = True

    @property
    def label(self) -> str:
        return f"attention_over_rows_{super().label}"


@dataclass(frozen=True)
class AttentionOverRows:
    """The shape of the operator.

    rows: rows of PEs that hold one sequence, at least 2.  tokens: tokens per row.  The other fields are those of
    Attention.  Raises ConfigError for fewer than 2 rows, and for alibi without causal.
    """

    heads: int
    kv_heads: int
    d_head: int
    rows: int
    tokens: int
    size: int
    causal: bool = True
    half: bool = False
    alibi: bool = False

    def __post_init__(self) -> None:
        if self.rows < 2:
            raise ConfigError(f"a sequence spread over rows of PEs lies on at least 2, not {self.rows}: use Attention")
        if self.alibi and not self.causal:
            raise ConfigError("attention with alibi must be causal: its bias is not defined for later keys")

    @property
    def stash(self) -> int:
        """Size of the stash in f32 elements."""
        return (2 + self.d_head) * self.heads * self.tokens

    @property
    def block(self) -> _Block:
        """The attention of the PE's queries to the keys of one row of PEs."""
        shape = (self.heads, self.kv_heads, self.d_head, self.tokens, self.tokens, self.size)
        return _Block(*shape, False, self.half, self.alibi)

    def declare(self, region: Region) -> None:
        """Declares the colors, routes and queues of the rings; called once per region.

        Raises ConfigError if the height of the region is not a multiple of `rows`.
        """
        if region.height % self.rows:
            raise ConfigError(
                f"sequences over {self.rows} rows of PEs need a multiple of {self.rows} rows, not {region.height}"
            )
        p = region.program
        south, around = [p.color(f"next{parity}") for parity in (0, 1)], p.color("around")
        xs = slice(region.x, region.x + region.width)
        for dy in range(region.height):
            y, place = region.y + dy, dy % self.rows
            if place:
                p.route(south[(dy - 1) % 2], "N", "R", x=xs, y=y)
            if place < self.rows - 1:
                p.route(south[dy % 2], "R", "S", x=xs, y=y)
            last = place == self.rows - 1
            p.route(around, "R" if last else "S", "N" if place else "R", x=xs, y=y)
        for role, pe in region.classes.items():
            pe.queue_in(NEXT_IN, south[not role.odd_y])
            pe.queue_out(NEXT_OUT, south[role.odd_y])
            pe.queue_in(AROUND_IN, around)
            pe.queue_out(AROUND_OUT, around)

    # --- forward ------------------------------------------------------------------------------------------------------

    def forward(self, name: str) -> Routine:
        """The subroutine of this pass; operands as in the module's docstring."""
        operands = ("q", "k", "v", "o", "stash", *self.block.extra)
        block, t = self.block, self.tokens
        c, work = Code(), _Place(self, 0)
        at = {operand: register(operands, operand) for operand in operands}
        tile = self.d_head * t
        kept = Vec(at["stash"], self.heads * tile, offset=8 * self.heads * t)
        self._begin(c, work, at, {"k": self.size, "v": self.size})
        c.op("fmovs", Vec(at["stash"], (2 + self.d_head) * self.heads * t), 0.0)
        c(f"mov r20, {at['stash']}")
        with c.loop(self.heads):
            c.op("fmovs", Vec("r20", t), -math.inf)
            c(f"iadd32 r20, r20, {8 * t}")
        with self._steps(c, name, work, at, self.rows - 1):
            c.address("r14", at["stash"], kept.offset)
            steps = {at["q"]: tile * self.size, at["stash"]: 8 * t, "r14": 4 * tile}
            steps |= {at[operand]: 4 for operand in block.extra}
            with self._heads(c, steps, ("k", "v"), at):
                most, total, sums = Vec(at["stash"], t), Vec(at["stash"], t, offset=4 * t), Vec("r14", tile)
                block.score(c, Vec(at["k"], t), Vec(at["q"], t), t, mask=False)
                self._mask(c, work, at.get("slopes"))
                c.op("fmovs", work.most, most)
                block.reduce(c, "fmaxs", work.most, work.scores)
                c.op("fsubs", work.scratch, most, work.most)
                c.op("fmovs", most, work.most)
                math_functions.exp(c, work.scratch, work.vector, replace(work.half, n=t), scale=block.scale)
                c.op("fmuls", total, total, work.vector)
                by_rows(c, "fmuls", sums, sums, work.vector)
                block.exponentiate(c, work.most)
                block.reduce(c, "fadds", total, work.e)
                p = work.e
                if self.size == 2:
                    c.op("fs2h", work.half, work.e)
                    p = work.half
                if self.half:
                    block.clear(c, work.sums)
                    block.mix(c, work.sums, p, Vec(at["v"], t), t)
                    c.op("faddhs", sums, sums, work.sums)
                else:
                    block.mix(c, sums, p, Vec(at["v"], t), t)
        c.address("r14", at["stash"], kept.offset)
        with self._heads(c, {at["o"]: tile * self.size, at["stash"]: 8 * t, "r14": 4 * tile}, (), at):
            inverse, sums = Vec(at["stash"], t, offset=4 * t), Vec("r14", tile)
            c.op("fmovs", work.vector, inverse)
            math_functions.reciprocal(c, work.vector, inverse, work.scratch)
            by_rows(c, "fmuls", sums, sums, inverse)
            block.store(c, at["o"], sums)
        made = routine(name, operands, c, work.bytes, calls=True)
        return replace(made, text=made.text + self._transfer(name, work) + block.shared(work))

    # --- backward -----------------------------------------------------------------------------------------------------

    def backward(self, name: str) -> Routine:
        """The subroutine of this pass; operands as in the module's docstring."""
        operands = ("do", "q", "k", "v", "stash", "dq", "dk", "dv", *self.block.extra)
        block, t, size = self.block, self.tokens, self.size
        c, work = Code(), _Place(self, block.sum_size)
        at = {operand: register(operands, operand) for operand in operands}
        tile, all_ = self.d_head * t, self.heads * self.d_head * t
        self._begin(c, work, at, {"k": size, "v": size, "dk": block.sum_size, "dv": block.sum_size})
        block.clear(c, work.dq)
        c.address("r13", at["stash"], 8 * self.heads * t)
        c.address("r14", work.outer.at, work.outer.offset)
        c.address("r15", work.inner.at, work.inner.offset)
        steps = {at["do"]: tile * size, at["stash"]: 8 * t, "r13": 4 * tile, "r14": tile * size, "r15": 4 * t}
        with self._heads(c, steps, (), at):
            outer, inverse = Vec("r14", tile, size), Vec(at["stash"], t, offset=4 * t)
            block.load(c, work.values, at["do"])
            out = outer if size == 4 else work.values
            by_rows(c, "fmuls", out, work.values, inverse)
            if size == 2:
                c.op("fs2h", outer, work.values)
            wide = c.widened(outer, work.values)
            c.op("fmuls", work.values, wide, Vec("r13", tile))
            sum_rows(c, work.values, Vec("r15", t), self.d_head)
        # From here on: r8 do', r13 dq, r14 dk, r15 dv, r16 D', r22 slopes.
        running = at | {"outer": "r8", "dq": "r13", "dk": "r14", "dv": "r15", "inner": "r16"}
        running |= dict.fromkeys(block.extra, "r22")
        with self._steps(c, name, work, running, self.rows):
            if self.alibi:
                c("mov r22, r16")
            for operand, vec in (("outer", work.outer), ("dq", work.dq), ("inner", work.inner)):
                c.address(running[operand], vec.at, vec.offset)
            q, k, v = (Vec(running[operand], t, size) for operand in "qkv")
            dq, dk, dv = (Vec(running[f"d{operand}"], tile, block.sum_size) for operand in "qkv")
            outer, most = Vec("r8", t, size), Vec(running["stash"], t)
            steps = {"r8": tile * size, running["q"]: tile * size, "r13": tile * block.sum_size, "r16": 4 * t}
            steps |= {running["stash"]: 8 * t} | dict.fromkeys(("r22",) * self.alibi, 4)
            with self._heads(c, steps, ("k", "v", "dk", "dv"), running):
                block.score(c, k, q, t, mask=False)
                self._mask(c, work, running.get("slopes"))
                block.exponentiate(c, most)
                block.transpose(c, name, work.e)
                block.mix(c, dv, work.turned, outer, t, transposed=True)
                block.score(c, v, outer, t, mask=False)
                block.subtract(c, Vec("r16", t))
                c.op("fmuls", work.scores, work.scores, work.e)
                c.op("fmuls", work.scores, work.scores, block.scale)
                block.transpose(c, name, work.scores)
                block.mix(c, dk, work.turned, q, t, transposed=True)
                factors = work.scores
                if size == 2:
                    factors = replace(work.e, size=2, offset=work.e.offset + 8)
                    c.op("fs2h", factors, work.scores)
                block.mix(c, dq, factors, k, t)
        self._restore(c, work, at)
        packet = work.packet("r20", {"k": size, "v": size, "dk": block.sum_size, "dv": block.sum_size})
        c(f"ld32 r20, [{work.state}]")
        for operand in ("dk", "dv"):
            self._narrow(c, Vec(at[operand], packet[operand].n, size), packet[operand])
        self._narrow(c, Vec(at["dq"], all_, size), work.dq)
        made = routine(name, operands, c, work.bytes, calls=True)
        return replace(
            made,
            text=made.text + self._transfer(name, work) + transposer(block, f"{name}_transpose", work.turned),
        )

    # --- pieces -------------------------------------------------------------------------------------------------------

    def _begin(self, c: Code, work: _Place, at: Mapping[str, str], packet: dict[str, int]) -> None:
        """Saves the operand registers, computes the row's position in the ring, packs keys and values into the packet,
        and clears the gradients."""
        state = work.state
        c(f"mov r2, {state}")
        c(*(f"st32 r{8 + i}, [r2+{16 + 4 * i}]" for i in range(OPERANDS)))
        c(f"mov r3, {work.packets[0]}", "st32 r3, [r2]", f"mov r3, {work.packets[1]}", "st32 r3, [r2+4]")
        c("st32 r0, [r2+8]", "ld16 r3, [row]", f"iremu32 r3, r3, {self.rows}", "st32 r3, [r2+12]")
        c(f"mov r20, {work.packets[0]}")
        for operand, vec in work.packet("r20", packet).items():
            if operand in ("k", "v"):
                c.op("fmovs" if self.size == 4 else "fmovh", vec, Vec(at[operand], vec.n, vec.size))
            else:
                self.block.clear(c, vec)

    def _restore(self, c: Code, work: _Place, at: Mapping[str, str]) -> None:
        c(f"mov r2, {work.state}", *(f"ld32 r{8 + i}, [r2+{16 + 4 * i}]" for i in range(OPERANDS)))

    @contextmanager
    def _steps(self, c: Code, name: str, work: _Place, at: Mapping[str, str], shifts: int) -> Iterator[None]:
        """Emits the loop over ring steps; the body runs for each packet whose keys this row's queries attend to."""
        top, skip, end = c.new_label(), c.new_label(), c.new_label()
        parts = {"k": self.size, "v": self.size} | (
            {"dk": self.block.sum_size, "dv": self.block.sum_size} if "dk" in at else {}
        )
        c.label(top)
        self._restore(c, work, at)
        c("ld32 r3, [r2+8]", "ld32 r4, [r2+12]", "ld32 r20, [r2]")
        if self.causal:
            c("iltu32 r5, r4, r3", f"bnz r5, {skip}")
        for operand, vec in work.packet("r20", parts).items():
            c.address(at[operand], vec.at, vec.offset)
        c.forget()
        yield
        c.label(skip)
        c(f"mov r2, {work.state}", "ld32 r3, [r2+8]")
        if shifts < self.rows:
            c(f"ieq32 r5, r3, {shifts}", f"bnz r5, {end}")
        c(f"jal r25, {name}_transfer", f"mov r2, {work.state}")
        c("ld32 r3, [r2+8]", "iadd32 r3, r3, 1", "st32 r3, [r2+8]", f"ine32 r5, r3, {self.rows}", f"bnz r5, {top}")
        c.label(end)
        self._restore(c, work, at)
        c.forget()

    @contextmanager
    def _heads(
        self, c: Code, by_head: Mapping[str, int], by_kv: tuple[str, ...], at: Mapping[str, str]
    ) -> Iterator[None]:
        """The body for each head: registers and by how many bytes they go on, and operands of keys and values."""
        group, kv_heads = self.heads // self.kv_heads, self.kv_heads
        tile = self.d_head * self.tokens
        outer, inner = c.new_label(), c.new_label()
        if kv_heads > 1:
            c(f"mov r23, {kv_heads}")
            c.label(outer)
        if group > 1:
            c(f"mov r24, {group}")
            c.label(inner)
        yield
        c(*(f"iadd32 {register}, {register}, {by}" for register, by in by_head.items()))
        if group > 1:
            c("isub32 r24, r24, 1", f"bnz r24, {inner}")
        for operand in by_kv:
            by = tile * (self.size if operand in ("k", "v") else self.block.sum_size)
            c(f"iadd32 {at[operand]}, {at[operand]}, {by}")
        if kv_heads > 1:
            c("isub32 r23, r23, 1", f"bnz r23, {outer}")
        c.forget()

    def _mask(self, c: Code, work: _Place, slopes: str | None) -> None:
        """Adds ALiBi if `slopes` names a register, and applies the causal mask to the row's own keys."""
        if not self.causal:
            return
        if slopes is not None:
            place = [f"ld32 r2, [{work.state}+12]", f"ld32 r3, [{work.state}+8]", "isub32 r2, r2, r3"]
            self.block.add_alibi(c, slopes, *place, f"imul32 r2, r2, {self.tokens}", "i2s r2, r2", "smul r2, r2, r17")
        skip = c.new_label()
        c(f"ld32 r2, [{work.state}+8]", f"bnz r2, {skip}")
        c.call(f"{self.block.label}_mask")
        c.label(skip)

    def _narrow(self, c: Code, dst: Vec, source: Vec) -> None:
        if dst.size == source.size:
            c.op("fmovs" if dst.size == 4 else "fmovh", dst, source)
        else:
            c.op("fs2h", dst, source)

    def _transfer(self, name: str, work: _Place) -> str:
        """The text of the subroutine that sends the packet and receives the next one.  It returns by r25."""
        words = work.packet_bytes // 4
        label = f"{name}_transfer"
        memory, fabric = isa.DSD_MEM1D | isa.DSD_WIDE << 8, 0xFF << 24
        lines = [
            f"{label}:",
            f"mov r2, {work.state}",
            "ld32 r3, [r2]",  # the packet
            "ld32 r4, [r2+4]",  # where the next one goes
            "st32 r4, [r2]",
            "st32 r3, [r2+4]",
            "ld32 r5, [r2+12]",
            f"mov r6, {NEXT_IN << 16 | isa.DSD_FABIN:#x}",
            f"bnz r5, {label}_inner",
            f"mov r6, {AROUND_IN << 16 | isa.DSD_FABIN:#x}",
            f"{label}_inner:",
            f"mov r7, {NEXT_OUT << 16 | isa.DSD_FABOUT | fabric:#x}",
            f"ieq32 r2, r5, {self.rows - 1}",
            f"bz r2, {label}_order",
            f"mov r7, {AROUND_OUT << 16 | isa.DSD_FABOUT | fabric:#x}",
            f"{label}_order:",
            "iand r5, r5, 1",
            f"bz r5, {label}_even",
            f"call {label}_receive",
            f"call {label}_send",
            "jr r25",
            f"{label}_even:",
            f"call {label}_send",
            f"call {label}_receive",
            "jr r25",
            f"{label}_send:",
            f"mov r28, {memory:#x}",
            f"iadd32 r29, r3, {words << 16:#x}",
            "mov r30, 4",
            "mov r31, 0",
            "ldds a0, r28",
            "mov r28, r7",
            f"mov r29, {words << 16:#x}",
            "mov r30, 0",
            "ldds d0, r28",
            "mov32 d0, a0",
            "ret",
            f"{label}_receive:",
            f"mov r28, {memory:#x}",
            f"iadd32 r29, r4, {words << 16:#x}",
            "mov r30, 4",
            "mov r31, 0",
            "ldds d0, r28",
            "mov r28, r6",
            f"mov r29, {words << 16:#x}",
            "mov r30, 0",
            "ldds a0, r28",
            "mov32 d0, a0",
            "ret",
        ]
        return "".join(line + "\n" if line.endswith(":") else f"    {line}\n" for line in lines)


class _Place(WorkSpace):
    """The layout of the work space: that of a block; two packets; values that backward keeps for all heads; and
    the state, in 32-bit words: current packet, other packet, step, the row's position in the ring, and the operands.

    gradients: bytes of an element of the circulating gradients in the backward pass, 0 in the forward pass.
    """

    def __init__(self, shape: AttentionOverRows, gradients: int) -> None:
        super().__init__(shape.block)
        t, size, work = shape.tokens, shape.size, self.work
        self.kv, every = shape.kv_heads * shape.d_head * t, shape.heads * shape.d_head * t
        self.packet_bytes = 2 * self.kv * (size + gradients)
        vecs = [work.take(self.packet_bytes // 4) for _ in range(2)]
        self.packets = [f"{vec.at}+{vec.offset}" for vec in vecs]
        self.most = work.take(t, bank=6)
        if gradients:
            self.turned = self.half if size == 2 else work.take(self.scores.n, bank=2)
            self.outer, self.dq = work.take(every, size), work.take(every, gradients)
            self.inner = work.take(shape.heads * t)
        state = work.take(4 + OPERANDS)
        self.state = f"{state.at}+{state.offset}"
        self.bytes = work.bytes

    def packet(self, at: str, parts: dict[str, int]) -> dict[str, Vec]:
        """The parts of a packet at the address in a register.  parts: bytes of an element of each part."""
        made, offset = {}, 0
        for name, size in parts.items():
            made[name] = Vec(at, self.kv, size, offset)
            offset += self.kv * size
        return made
