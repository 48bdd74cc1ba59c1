"""Dropout: masks that PEs draw from a seed, the same in the forward and in the backward pass.

    apply   x, y       y = x mask; y may lie on x.  Forward and backward are the same.

A mask is 1 / keep or 0 for each element, with keep = 1 - rate in units of 2^-16.  An element is kept if a 16-bit number
is below keep 2^16.  That number is the first word of the cipher Speck32/64 (Beaulieu et al.: The SIMON and SPECK
Families of Lightweight Block Ciphers, 2013) of the element's position, of two 16-bit words:

    of activations        (feature, token of the pass)
    of attention          (sequence of the pass x heads + head, element of the scores in the order of their memory)

so that masks do not depend on the grid.  The key has the four words (stream, draw[0], draw[1], draw[2]): the number of
the operator in the model, and what the host sends for each pass.  draw[3] is 0 where nothing is dropped (evaluations).
No mask is kept: the backward pass draws it again.

Of the 22 rounds of the cipher, ROUNDS are made: with 8 or 9, masks of neighbors, or of keys that differ in one bit, are
seen to depend on each other; with 10 no longer.

The subroutine `draw_keys` makes the keys of the rounds for the stream in r7.  It is called before each operator.
"""

from __future__ import annotations

import numpy as np

from ..errors import ConfigError
from ..records import dataclass
from .code import Code, Routine, Vec, Work, divisor, register, routine
from .region import Region

ROUNDS = 12
DRAW, KEYS, PLACE = "draw", "draw_keys_made", "draw_place"  # arrays: u16 [4], u16 [ROUNDS], u32 [1]
WORDS = 1 << 16  # values of a word
CHUNK = 256  # elements of a mask that are drawn at a time
OPERANDS = ("x", "y")

# r7: the stream, then the key of a round; r4, r5, r6: the other words of the schedule.
KEY_SCHEDULE = f"""draw_keys:
    ld16 r4, [{DRAW}]
    ld16 r5, [{DRAW}+2]
    ld16 r6, [{DRAW}+4]
    st16 r7, [{KEYS}]
    mov r1, 0
.next:
    ishr16 r2, r4, 7
    ishl16 r3, r4, 9
    ior r2, r2, r3
    iadd16 r2, r2, r7
    ixor r2, r2, r1
    mov r4, r5
    mov r5, r6
    mov r6, r2
    ishl16 r2, r7, 2
    ishr16 r3, r7, 14
    ior r7, r2, r3
    ixor r7, r7, r6
    iadd32 r1, r1, 1
    iadd32 r2, r1, r1
    iadd32 r2, r2, {KEYS}
    st16 r7, [r2]
    ieq32 r3, r1, {ROUNDS - 1}
    bz r3, .next
    ret
"""


def declare(region: Region) -> None:
    """Declares the arrays and the subroutine that all masks of a region share."""
    region.array(DRAW, 4, "u16")
    region.array(KEYS, ROUNDS, "u16")
    region.array(PLACE, 1, "u32")
    region.subroutine("draw_keys", KEY_SCHEDULE)


def words(draw: int | None) -> np.ndarray:
    """uint16 [4], what PEs receive of a draw, an integer below 2^48.  None: nothing is dropped."""
    if draw is None:
        return np.zeros(4, np.uint16)
    return np.array([draw >> 16 * i & 0xFFFF for i in range(3)] + [1], np.uint16)


def check_positions(tokens: int, features: int, heads: int) -> None:
    """ConfigError where positions have more than 16 bits, so that masks would repeat.

    tokens: of a pass.  features: of an activation that is dropped.  heads: of attention, times the sequences of a pass.
    """
    named = (("tokens in a pass", tokens), ("features", features), ("heads times sequences in a pass", heads))
    for what, number in named:
        if number > WORDS:
            raise ConfigError(
                f"masks of dropout have positions for {WORDS:,} {what}, not {number:,}: use fewer sequences"
            )


def kept(rate: float) -> int:
    """How many of the 2^16 numbers keep an element.  Raises ConfigError for a rate that is not from 0 to below 1, or
    that leaves nothing."""
    if not 0 <= rate < 1 or not round((1 - rate) * WORDS):
        raise ConfigError(f"a rate of dropout is from 0 to below 1, and keeps at least one of {WORDS}, not {rate:g}")
    return round((1 - rate) * WORDS)


class Drawing:
    """The work space of a mask: x, y and scratch, u16 [n]."""

    def __init__(self, work: Work, n: int) -> None:
        self.x, self.y, self.scratch = (work.take(n, 2, bank) for bank in (0, 4, 2))

    def encrypt(self, c: Code) -> None:
        """Code: (x, y) becomes its cipher."""
        x, y, t = self.x, self.y, self.scratch
        held = {"d0": x, "d1": y, "d2": t, "a0": x, "a1": y, "a2": t, "b0": x, "b1": y, "b2": t}
        with c.loop(ROUNDS, over=Vec(KEYS, ROUNDS, 2), **held) as (dx, dy, dt, ax, ay, _, bx, by, bt):
            c("mov r2, 7", "mov r3, 9", "mov r4, 14", "mov r5, 2")
            c(f"slr16 {dt}, {ax}, r2", f"sll16 {dx}, {ax}, r3", f"or16 {dx}, {ax}, {bt}")
            c(f"add16 {dx}, {ax}, {by}", f"xor16 {dx}, {ax}, r1")
            c(f"slr16 {dt}, {ay}, r4", f"sll16 {dy}, {ay}, r5", f"or16 {dy}, {ay}, {bt}", f"xor16 {dy}, {ay}, {bx}")
        c.forget()

    def mask(self, c: Code, mask: Vec, rate: float) -> None:
        """Code: the mask, f32, of x, which counts as a signed number."""
        keep = kept(rate)
        c.op("xp162fs", mask, self.x)
        c.op("fsubs", mask, mask, float(keep - WORDS // 2))  # -1 or less if kept
        c.op("fmaxs", mask, mask, -1.0)
        c.op("fmuls", mask, mask, -WORDS / keep)
        c.op("fmaxs", mask, mask, 0.0)


def count(c: Code, y: Vec, first: str) -> None:
    """Code: y = first, first + 1, ...; first: a register, which is not changed."""
    c.op("mov16", y.part(0, 1), first)
    done = 1
    while done < y.n:
        more = min(done, y.n - done)
        c.op("add16", y.part(done, more), y.part(0, more), c.value(f"{done:#x}"))
        done += more


@dataclass(frozen=True)
class Dropout:
    """Dropout of an activation.  rows, tokens: of a tile.  size: bytes of an element, 2 or 4.  rate: see `kept`."""

    rows: int
    tokens: int
    size: int
    rate: float

    @property
    def label(self) -> str:
        """A name for the subroutine."""
        return f"dropout_{self.rows}_{kept(self.rate)}"

    def routine(self, name: str) -> Routine:
        """The subroutine; operands as in the module's docstring."""
        c, work, t = Code(), Work(), self.tokens
        rows = divisor(self.rows, max(1, CHUNK // t))
        n = rows * t
        drawn, tokens, mask = Drawing(work, n), work.take(t, 2, 6), work.take(n, bank=0)
        wide = work.take(n, bank=4)
        end, top = c.new_label(), c.new_label()
        c(f"ld16 r2, [{DRAW}+6]", f"bz r2, {end}")
        c("ld16 r18, [column]", f"imul32 r18, r18, {self.rows}", "ld16 r19, [row]", f"imul32 r19, r19, {t}")
        count(c, tokens, "r19")
        c(*(f"mov r{16 + i}, {register(OPERANDS, name)}" for i, name in enumerate(OPERANDS)))
        c(f"mov r24, {self.rows // rows}")
        c.label(top)
        with c.loop(rows, d0=drawn.x.rows(t), d1=drawn.y.rows(t), a=tokens) as (x, y, a):
            c(f"mov16 {x}, r18", f"mov16 {y}, {a}", "iadd32 r18, r18, 1")
        drawn.encrypt(c)
        drawn.mask(c, mask, self.rate)
        source = c.widened(Vec("r16", n, self.size), wide)
        c.narrow(Vec("r17", n, self.size), "fmuls", wide, source, mask)
        c(*(f"iadd32 r{r}, r{r}, {n * self.size}" for r in (16, 17)), "isub32 r24, r24, 1", f"bnz r24, {top}")
        c.label(end)
        return routine(name, OPERANDS, c, work.bytes)
