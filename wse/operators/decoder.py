"""A layer of a decoder with resident weights: attention over cached keys and values, and a gated MLP, token by token.

A region holds one layer.  Its input, the residual stream x (f32), lies along the columns.  Products alternate their
orientation, so that nothing is transposed:

    queries, keys, values    inputs along the columns, sums along the rows    outputs along the rows
    attention                queries, keys and values of a row stay in it; scores are summed over the rows of a group
    output of attention      inputs along the rows, sums along the columns    outputs along the columns
    gate, up                 as queries                                       outputs along the rows
    down                     as the output of attention                       outputs along the columns

A group of rows holds one key-value head and the query heads that read it.  A row of a group has `dr` of the head's
features, for all these heads: pairs that RoPE turns are in one row.  The cache is split by position: position p is in
column p mod width.  Weights, inputs of products, queries, cached keys and values and the numerators of a softmax have
16 bits; sums, the residual stream, norms, RoPE and exponentials f32.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..errors import ConfigError
from ..machine import isa
from ..program.fragments import f32
from ..records import dataclass
from . import math_functions
from .code import Code, Vec
from .strip import Part

FINE = 32  # positions between two entries of the coarse table of angles
MASKED = -1e30  # the score of a position that is still empty, times the rows of a group
PHASES = (  # between the stamps
    "wait for the input",
    "queries, keys, values",
    "RoPE, cache",
    "scores",
    "softmax",
    "values",
    "attention's output",
    "gate, up",
    "SwiGLU",
    "down",
)


@dataclass(frozen=True, kw_only=True)
class LayerShape:
    """Sizes of a layer on its region.

    d_model, heads, kv_heads, d_head, d_ff: of the model.  eps, theta: of its norms and RoPE.  width: columns.  group:
    rows of a key-value head.  slots: positions that a column caches.
    """

    d_model: int
    heads: int
    kv_heads: int
    d_head: int
    d_ff: int
    eps: float
    theta: float
    width: int
    group: int
    slots: int

    def __post_init__(self) -> None:
        if self.heads % self.kv_heads:
            raise ConfigError(f"{self.heads} heads are no multiple of {self.kv_heads} key-value heads")
        if self.d_head % 2 or self.d_head // 2 % self.group:
            raise ConfigError(
                f"a head of {self.d_head} features does not divide over {self.group} rows: the rows of a key-value "
                f"head must divide {self.d_head // 2}, half its features"
            )

    @property
    def height(self) -> int:
        """Rows of the region."""
        return self.kv_heads * self.group

    @property
    def kx(self) -> int:
        """Features of the residual stream in a column."""
        return -(-self.d_model // self.width)

    @property
    def queries(self) -> int:
        """Query heads that read one key-value head."""
        return self.heads // self.kv_heads

    @property
    def dr(self) -> int:
        """Features of a head in a row."""
        return self.d_head // self.group

    @property
    def turned(self) -> int:
        """Features of a row's queries and keys in the first halves of their heads."""
        return (self.queries + 1) * self.dr // 2

    @property
    def nq(self) -> int:
        """Queries, keys and values of a row."""
        return (self.queries + 2) * self.dr

    @property
    def ny(self) -> int:
        """Features of the MLP in a row."""
        return -(-self.d_ff // self.height)

    @property
    def context(self) -> int:
        """Positions that the region caches."""
        return self.slots * self.width

    @property
    def coarse(self) -> int:
        """Entries of the coarse table of angles."""
        return -(-self.context // FINE)

    @property
    def weights(self) -> int:
        """Weights of a PE in the four products, padding included."""
        kx, dr = self.kx, self.queries * self.dr
        return self.nq * kx + dr * kx + 3 * self.ny * kx


def build(part: Part, s: LayerShape) -> None:
    """Give the region its arrays and its step: for each of `count` tokens, take x, compute the layer, give x on."""
    arrays(part, s)
    c = part.code
    hidden, out = Vec("hidden", s.ny, 2), Vec("y", s.kx)
    x, normed = Vec("x", s.kx), Vec("normed", s.kx, 2)
    c.label("token")
    part.stamp(0)
    part.take(x)
    part.stamp(1)
    _norm(part, s, "gains1")
    projected = Vec("y", s.nq)
    part.product(normed, "w_qkv", projected)
    part.total("row", vec=projected)
    part.stamp(2)
    _rotate(c, s)
    _store(part, s)
    part.stamp(3)
    _scores(part, s)
    part.stamp(4)
    _softmax(part, s)
    part.stamp(5)
    _values(part, s)
    part.stamp(6)
    part.product(Vec("attended", s.queries * s.dr, 2), "w_o", out)
    part.total("column", vec=out)
    c.op("fadds", x, x, out)
    part.stamp(7)
    _norm(part, s, "gains2")
    both = Vec("y", 2 * s.ny)
    part.product(normed, "w_up", both)
    part.total("row", vec=both)
    part.stamp(8)
    _swiglu(c, s)
    part.stamp(9)
    part.product(hidden, "w_down", out)
    part.partial("column", out)
    c.op("fadds", x, x, out)
    part.stamp(10)
    _end(part, s, x)


def arrays(part: Part, s: LayerShape) -> None:
    """Declare the arrays of a layer's PEs."""
    half = s.dr // 2
    heads, most = s.queries, s.queries * s.slots
    part.array("x", s.kx, "f32")
    part.array("normed", s.kx, "f16")
    for gains in ("gains1", "gains2"):
        part.array(gains, s.kx, "f32", offset=8)
    part.array("work", s.kx, "f32", offset=4)
    part.array("y", max(s.nq, s.kx, 2 * s.ny, heads * (s.dr + 1)), "f32")
    for name, inputs, outputs in (
        ("w_qkv", s.kx, s.nq),
        ("w_o", heads * s.dr, s.kx),
        ("w_up", s.kx, 2 * s.ny),
        ("w_down", s.ny, s.kx),
    ):
        part.array(name, (inputs, outputs), "f16", offset=8)
    part.array("keys", (s.dr, s.slots), "f16", offset=8)
    part.array("cached", (s.slots, s.dr), "f16", offset=8)
    part.array("coarse", (s.coarse, 2, half), "f32")
    part.array("fine", (FINE, 2, half), "f32", offset=8)
    for name in ("cos", "sin"):
        part.array(name, (s.queries + 1, half), "f32", offset=8)
    for name in ("turn1", "turn2", "turn3"):
        part.array(name, s.turned, "f32", offset=4)
    part.array("rotated", 2 * s.turned, "f16")
    part.array("sizes", 2 * s.turned, "f16")
    part.array("peak", 1, "u16")  # the greatest size of a query or key so far: infinite after an overflow
    part.array("value", s.dr, "f16")
    part.array("scores", most, "f32")
    part.array("powers", most, "f32", offset=8)
    part.array("numerators", most, "f16")
    part.array("exponents", max(most, s.ny), "u16")
    part.array("greatest", s.queries, "f32")
    part.array("attended", heads * s.dr, "f16")
    for name, offset in (("gate", 0), ("sigmoid", 8), ("mlp_work", 4)):
        part.array(name, s.ny, "f32", offset=offset)
    part.array("hidden", s.ny, "f16")
    part.array("one", 1, "f32")
    part.array("stamps", len(PHASES) + 1, "u32")


def _norm(part: Part, s: LayerShape, gains: str) -> None:
    part.norm(
        Vec("x", s.kx), Vec(gains, s.kx), Vec("work", s.kx), Vec("one", 1), s.d_model, s.eps, Vec("normed", s.kx, 2)
    )


def _rotate(c: Code, s: LayerShape) -> None:
    """rotated = queries and keys of y turned by the position's angles, value = the values, all in 16 bits.

    The angle of a position is that of its coarse entry plus that of its fine one.
    """
    half, n = s.dr // 2, s.turned
    c("ld32 r1, [state+16]", f"ishr32 r16, r1, {FINE.bit_length() - 1}", f"imul32 r16, r16, {8 * half}")
    c("mov r4, coarse", "iadd32 r16, r16, r4", f"iand r17, r1, {FINE - 1}", f"imul32 r17, r17, {8 * half}")
    c("mov r4, fine", "iadd32 r17, r17, r4")
    c.forget()
    coarse, fine = (Vec(r, half) for r in ("r16", "r17"))
    coarse_sin, fine_sin = (replace(v, offset=4 * half) for v in (coarse, fine))
    first, second = Vec("turn1", half), Vec("turn2", half)
    cos, sin = Vec("cos", half), Vec("sin", half)
    c.op("fmuls", first, coarse, fine)
    c.op("fmuls", second, coarse_sin, fine_sin)
    c.op("fsubs", cos, first, second)
    c.op("fmuls", first, coarse_sin, fine)
    c.op("fmuls", second, coarse, fine_sin)
    c.op("fadds", sin, first, second)
    for vec in (cos, sin):  # repeated for every head
        with c.loop(s.queries, d=replace(vec, n=s.queries * half, offset=4 * half).rows(half), a=vec) as (d, a):
            c(f"fmovs {d}, {a}")
        c.forget()
    cos, sin = Vec("cos", n), Vec("sin", n)
    low, high = Vec("y", n), Vec("y", n, offset=4 * n)
    t1, t2, t3 = (Vec(f"turn{i}", n) for i in (1, 2, 3))
    c.op("fmuls", t1, low, cos)
    c.op("fmuls", t2, high, sin)
    c.op("fsubs", t3, t1, t2)
    c.op("fs2h", Vec("rotated", n, 2), t3)
    c.op("fmuls", t1, high, cos)
    c.op("fmuls", t2, low, sin)
    c.op("fadds", t3, t1, t2)
    c.op("fs2h", Vec("rotated", n, 2, 2 * n), t3)
    c.op("fs2h", Vec("value", s.dr, 2), Vec("y", s.dr, offset=8 * n))
    sizes = Vec("sizes", 2 * n, 2)
    c.op("fabsh", sizes, Vec("rotated", 2 * n, 2))
    c("ld16 r1, [peak]")
    c(f"fmaxh r1, r1, {c.dsr('b', sizes)}", "st16 r1, [peak]")


def _store(part: Part, s: LayerShape) -> None:
    """Put the key and the value into the cache of the column whose turn it is.

    Sets, for what follows: r17 = 4 n, r16 = n << 16, with n the slots that hold a position in some column.
    """
    c, half, n = part.code, s.dr // 2, s.turned
    c(
        f"ld32 r18, {part.state('slot')}",
        f"ld32 r1, {part.state('turn')}",
        f"ld32 r4, {part.state('column')}",
        "ieq32 r4, r1, r4",
        "bz r4, .other",
    )
    c.forget()
    c("ishl32 r19, r18, 1", "mov r4, keys", "iadd32 r19, r19, r4")
    c.forget()
    for first, key in ((0, s.queries * half), (half, n + s.queries * half)):
        slots = Vec("r19", half, 2, offset=2 * first * s.slots, stride=s.slots)
        c.op("mov16", slots, Vec("rotated", half, 2, 2 * key))
    c(f"imul32 r20, r18, {2 * s.dr}", "mov r4, cached", "iadd32 r20, r20, r4")
    c.forget()
    c.op("mov16", Vec("r20", s.dr, 2), Vec("value", s.dr, 2))
    c.label(".other")
    _spans(c, part)


def _spans(c: Code, part: Part) -> None:
    c(f"ld32 r18, {part.state('slot')}", "iadd32 r18, r18, 1", "ishl32 r16, r18, 16", "ishl32 r17, r18, 2")
    c.forget()


def _head(c: Code, h: int, symbol: str, size: int) -> None:
    """r20 = the span of head h in a vector [heads][n] of elements of `size` bytes, from r16 and r17."""
    c(f"imul32 r20, r17, {h * size // 4}" if h * size % 4 == 0 else f"imul32 r20, r18, {h * size}")
    c("iadd32 r20, r20, r16", f"mov r4, {symbol}", "iadd32 r20, r20, r4")
    c.forget()


def _all_heads(c: Code, s: LayerShape, register: str, symbol: str) -> None:
    """register = the span of a whole vector [heads][n]."""
    c(f"imul32 {register}, r16, {s.queries}", f"mov r4, {symbol}", f"iadd32 {register}, {register}, r4")
    c.forget()


def _scores(part: Part, s: LayerShape) -> None:
    """scores [heads][n] = queries times cached keys, in all rows of a group."""
    c, half = part.code, s.dr // 2
    for h in range(s.queries):
        _head(c, h, "scores", 4)
        scores = Vec("r20", 0)
        c.op("fmovs", scores, 0.0)
        with c.hold(d=scores, a=scores) as (d, a):
            for i in range(s.dr):
                at = h * half + i if i < half else s.turned + h * half + i - half
                c("mov r28, " + f"{isa.DSD_MEM1D:#x}", "mov r30, 2", "mov r31, 0")
                c(f"mov r4, keys+{2 * i * s.slots:#x}", "iadd32 r29, r16, r4", "ldds b0, r28")
                c(f"ld16 r1, [rotated+{2 * at}]", f"fmachs {d}, {a}, b0, r1")
        c.forget()
    # The last slot of columns whose turn is still to come is empty.
    c(f"ld32 r1, {part.state('turn')}", f"ld32 r4, {part.state('column')}", "iltu32 r4, r1, r4", "bz r4, .filled")
    c("mov r5, scores", "iadd32 r5, r5, r17", "isub32 r5, r5, 4", f"mov r6, {f32(MASKED)}")
    for _ in range(s.queries):
        c("st32 r6, [r5]", "iadd32 r5, r5, r17")
    c.label(".filled")
    _all_heads(c, s, "r16", "scores")
    part.total("group")
    _spans(c, part)


def _softmax(part: Part, s: LayerShape) -> None:
    """numerators [heads][n] = e^(scale (scores - greatest)); y gets their sums of a column behind the values."""
    c = part.code
    for h in range(s.queries):
        _head(c, h, "scores", 4)
        c(f"mov r1, {f32(float('-inf'))}")
        c(f"fmaxs r1, r1, {c.dsr('b', Vec('r20', 0))}", f"st32 r1, [greatest+{4 * h}]")
    part.total("row", "max", Vec("greatest", s.queries))
    _spans(c, part)
    for h in range(s.queries):
        _head(c, h, "scores", 4)
        c(f"ld32 r1, [greatest+{4 * h}]")
        c.op("fsubs", Vec("r20", 0), Vec("r20", 0), "r1")
    for register, symbol in (("r21", "scores"), ("r22", "powers"), ("r23", "exponents"), ("r24", "numerators")):
        _all_heads(c, s, register, symbol)
    math_functions.exp(c, Vec("r21", 0), Vec("r22", 0), Vec("r23", 0, 2), scale=s.d_head**-0.5)
    c.op("fs2h", Vec("r24", 0, 2), Vec("r22", 0))
    for h in range(s.queries):
        _head(c, h, "numerators", 2)
        c("mov r1, 0")
        c(f"faddhs r1, r1, {c.dsr('b', Vec('r20', 0, 2))}", f"st32 r1, [y+{4 * (s.queries * s.dr + h)}]")


def _values(part: Part, s: LayerShape) -> None:
    """attended [heads][dr] (16 bits) = the values weighted by the numerators, over the sum of these."""
    c = part.code
    for h in range(s.queries):
        _head(c, h, "numerators", 2)
        y = Vec("y", s.dr, offset=4 * h * s.dr)
        c.op("fmovs", y, 0.0)
        with c.hold(d=y, a=y, b=Vec("cached", s.slots * s.dr, 2).rows(s.dr)) as (d, a, b):
            c.load("b5", Vec("r20", 0, 2))
            top, end = c.new_label(), c.new_label()
            c.label(top)
            c(f"mapstep r1, b5, {end}", f"fmachs {d}, {a}, {b}, r1", f"maploop {top}")
            c.label(end)
    n = s.queries * s.dr
    part.total("row", vec=Vec("y", n + s.queries))
    for h in range(s.queries):
        c(f"ld32 r1, [y+{4 * (n + h)}]", "mov r4, 0x3f800000", "sdiv r1, r4, r1")
        c.clobber("r4")
        y = Vec("y", s.dr, offset=4 * h * s.dr)
        c.op("fmuls", y, y, "r1")
    c.op("fs2h", Vec("attended", n, 2), Vec("y", n))


def _swiglu(c: Code, s: LayerShape) -> None:
    """hidden = gate sigmoid(gate) up; y holds gate, then up."""
    gate, sigmoid, work = (Vec(name, s.ny) for name in ("gate", "sigmoid", "mlp_work"))
    y, up = Vec("y", s.ny), Vec("y", s.ny, offset=4 * s.ny)
    c.op("fmovs", gate, y)
    math_functions.sigmoid(c, gate, sigmoid, work, Vec("exponents", s.ny, 2))
    c.op("fmuls", sigmoid, sigmoid, y)
    c.op("fmuls", sigmoid, sigmoid, up)
    c.op("fs2h", Vec("hidden", s.ny, 2), sigmoid)


def _end(part: Part, s: LayerShape, x: Vec) -> None:
    """Give x on, unless this token's is not wanted, and go to the next position and token."""
    c = part.code
    c(f"ld32 r1, {part.state('silent')}", "bz r1, .gives")
    c("isub32 r1, r1, 1", f"st32 r1, {part.state('silent')}", "jmp .given")
    c.label(".gives")
    part.give(x)
    c.label(".given")
    c(f"ld32 r1, {part.state('position')}", "iadd32 r1, r1, 1", f"st32 r1, {part.state('position')}")
    c(f"ld32 r1, {part.state('turn')}", "iadd32 r1, r1, 1", f"isub32 r4, r1, {s.width}", "bnz r4, .same")
    c(f"ld32 r4, {part.state('slot')}", "iadd32 r4, r4, 1", f"st32 r4, {part.state('slot')}", "mov r1, 0")
    c.label(".same")
    c(f"st32 r1, {part.state('turn')}")
    c(f"ld32 r1, {part.state('count')}", "isub32 r1, r1, 1", f"st32 r1, {part.state('count')}", "bnz r1, token")
    c.forget()


def angles(s: LayerShape) -> tuple[np.ndarray, np.ndarray]:
    """Cosines and sines of a group's rows: float32 coarse [group, coarse, 2, dr / 2], fine [group, FINE, 2, dr / 2]."""
    frequency = (s.theta ** (-2.0 * np.arange(s.d_head // 2) / s.d_head)).reshape(s.group, 1, s.dr // 2)

    def table(positions: np.ndarray) -> np.ndarray:
        angle = positions[None, :, None] * frequency
        return np.stack([np.cos(angle), np.sin(angle)], axis=2).astype(np.float32)

    return table(np.arange(s.coarse) * float(FINE)), table(np.arange(float(FINE)))


def row_features(s: LayerShape, row: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features of the queries, of the keys and of the values of a row, in the order of w_qkv's outputs.

    Numbers of rows of the matrices of a Hugging Face model: (queries' and keys' first halves, their second halves) as
    [queries of heads..., keys]: see `qkv_order`.
    """
    group, j = divmod(row, s.group)
    half = s.dr // 2
    low = np.arange(j * half, (j + 1) * half)
    dims = np.concatenate([low, low + s.d_head // 2])
    heads = group * s.queries + np.arange(s.queries)
    return heads[:, None] * s.d_head + dims, group * s.d_head + dims, group * s.d_head + dims


def qkv_order(s: LayerShape, row: int) -> np.ndarray:
    """Rows of the stacked matrices of queries, keys and values that are the outputs of a row of PEs: int [nq]."""
    q, k, v = row_features(s, row)
    keys, values, half = s.heads * s.d_head, (s.heads + s.kv_heads) * s.d_head, s.dr // 2
    turned = np.concatenate([q, k[None] + keys])
    return np.concatenate([turned[:, :half].ravel(), turned[:, half:].ravel(), v + values])
