"""Attention of a token to cached keys and values, of the heads of a row of PEs: RoPE, cache, scores, softmax, values.

The cache is split by position: position p is in slot p div width of column p mod width.  Scores are summed over the
rows of a group; the softmax and the weighted values over the columns.  Queries, cached keys and values and the
numerators of a softmax have 16 bits; scores, RoPE and exponentials f32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from ..machine import isa
from ..program.fragments import f32
from . import math_functions
from .code import Code, Vec
from .layer_shape import FINE, LayerShape
from .strip import Part

UNROLLED = 16  # heads of a row at most that have code of their own
MASKED = -1e30  # the score of a position that is empty or outside the window, times the rows of a group


def arrays(part: Part, s: LayerShape) -> None:
    """Declare the arrays of attention."""
    half, kind = s.dr // 2, s.kind
    heads, most = s.queries, s.queries * s.slots
    part.array("keys", (s.sequences, s.dr, s.slots), "f16", offset=8)
    if kind.latent is None:
        part.array("cached", (s.sequences, s.slots, s.dr), "f16", offset=8)
    if kind.turns:
        part.array("coarse", (s.coarse, 2, half), "f32")
        part.array("fine", (FINE, 2, half), "f32", offset=8)
        for name in ("cos", "sin"):
            part.array(name, (s.queries + 1, half), "f32", offset=8)
    if kind.turns or kind.qk_norm != "none":
        for name in ("turn1", "turn2", "turn3"):
            part.array(name, s.turned, "f32", offset=4)
    if kind.qk_norm != "none":
        part.array("qk_gains", 2 * s.turned, "f32", offset=8)
        part.array("qk_sums", s.queries + 1, "f32")
    part.array("rotated", 2 * s.turned, "f16")
    part.array("sizes", 2 * s.turned, "f16")
    part.array("peak", 1, "u16")  # the greatest size of a query or key so far: infinite after an overflow
    if kind.latent is None:
        part.array("value", s.dr, "f16")
    part.array("scores", most, "f32")
    part.array("powers", most, "f32", offset=8)
    part.array("numerators", most, "f16")
    part.array("exponents", max(most, s.ny, s.queries), "u16")
    part.array("greatest", s.queries, "f32")
    part.array("attended", heads * s.dr, "f16")
    if kind.windows:
        part.array("window", 2, "u32")  # slots and columns of the window
    if kind.sinks:
        part.array("sinks", s.queries, "f32")  # over the scale of scores; in columns but the first, far below all
        part.array("sink_powers", s.queries, "f32", offset=8)
    if kind.softcap:
        for name, offset in (("cap1", 4), ("cap2", 12)):
            part.array(name, most, "f32", offset=offset)
    if kind.alibi:
        part.array("slopes", s.queries, "f32")  # over the scale of scores
        part.array("places", s.slots, "f32")  # positions of the slots


def norm_heads(part: Part, s: LayerShape) -> None:
    """RMSNorm of the queries and keys in y: of the features of each head, or of all heads'."""
    c, n, half, each = part.code, s.turned, s.dr // 2, s.kind.qk_norm == "head"
    low, high = Vec("y", n), Vec("y", n, offset=4 * n)
    squares, others = Vec("turn1", n), Vec("turn2", n)
    c.square(squares, low, Vec("turn3", n))
    c.square(others, high, Vec("turn3", n))
    of = [[h] for h in range(s.queries + 1)] if each else [list(range(s.queries)), [s.queries]]
    for i, heads in enumerate(of):
        c("mov r1, 0")
        for vec in (squares, others):
            c(f"fadds r1, r1, {c.dsr('b', vec.part(heads[0] * half, len(heads) * half))}")
        c(f"st32 r1, [qk_sums+{4 * i}]")
    part.total("group" if each else "column", vec=Vec("qk_sums", len(of)))
    for i, heads in enumerate(of):
        features = s.d_head if each else (s.heads if i == 0 else s.kv_heads) * s.d_head
        c(f"ld32 r1, [qk_sums+{4 * i}]")
        part.inverse_root(1 / features, s.eps)
        for vec in (low, high):
            own = vec.part(heads[0] * half, len(heads) * half)
            c.op("fmuls", own, own, "r1")
    both = Vec("y", 2 * n)
    c.op("fmuls", both, both, Vec("qk_gains", 2 * n))


def rotate(part: Part, s: LayerShape) -> None:
    """rotated = queries and keys of y turned by the position's angles, value = the values, all in 16 bits.

    The angle of a position is that of its coarse entry plus that of its fine one.
    """
    c, n = part.code, s.turned
    if s.kind.turns:
        _turn(part, s)
    else:
        c.op("fs2h", Vec("rotated", 2 * n, 2), Vec("y", 2 * n))
    if s.kind.latent is None:
        c.op("fs2h", Vec("value", s.dr, 2), Vec("y", s.dr, offset=8 * n))
    sizes = Vec("sizes", 2 * n, 2)
    c.op("fabsh", sizes, Vec("rotated", 2 * n, 2))
    c("ld16 r1, [peak]")
    c(f"fmaxh r1, r1, {c.dsr('b', sizes)}", "st16 r1, [peak]")


def _turn(part: Part, s: LayerShape) -> None:
    c, half, n = part.code, s.dr // 2, s.turned
    c(f"ld32 r1, {part.state('position')}", f"ishr32 r16, r1, {FINE.bit_length() - 1}", f"imul32 r16, r16, {8 * half}")
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


def store(part: Part, s: LayerShape) -> None:
    """Put the key and the value into the cache of the column whose turn it is."""
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
    _of_sequence(part, s, "r19")
    for first, key in ((0, s.queries * half), (half, n + s.queries * half)):
        slots = Vec("r19", half, 2, offset=2 * first * s.slots, stride=s.slots)
        c.op("mov16", slots, Vec("rotated", half, 2, 2 * key))
    if s.kind.latent is None:
        c(f"imul32 r20, r18, {2 * s.dr}", "mov r4, cached", "iadd32 r20, r20, r4")
        _of_sequence(part, s, "r20")
        c.op("mov16", Vec("r20", s.dr, 2), Vec("value", s.dr, 2))
    c.label(".other")


def _of_sequence(part: Part, s: LayerShape, register: str) -> None:
    """Add the place of the sequence in the cache to a register."""
    if s.sequences > 1:
        part.code(f"ld32 r4, {part.state('base')}", f"iadd32 {register}, {register}, r4")
    part.code.forget()


def spans(part: Part) -> None:
    """r17 = 4 n, r16 = n << 16, r18 = n, with n the slots that hold a position in some column."""
    c = part.code
    c(f"ld32 r18, {part.state('slot')}", "iadd32 r18, r18, 1", "ishl32 r16, r18, 16", "ishl32 r17, r18, 2")
    c.forget()


def _head(c: Code, h: int, symbol: str, size: int) -> None:
    """r20 = the span of head h in a vector [heads][n] of elements of `size` bytes, from r16 and r17."""
    c(f"imul32 r20, r17, {h * size // 4}" if h * size % 4 == 0 else f"imul32 r20, r18, {h * size}")
    c("iadd32 r20, r20, r16", f"mov r4, {symbol}", "iadd32 r20, r20, r4")
    c.forget()


def _each_head(c: Code, s: LayerShape, symbol: str, size: int) -> Iterator[Callable[[str], str]]:
    """For each head, r20 = its span in a vector [heads][n] of elements of `size` bytes.  Takes r16 to r18.

    Yields a function: an array of 4 bytes a head -> its element as an operand, which r4 may hold the address of.  Few
    heads have code of their own, many share it: r23 = 4 times the head.
    """
    if s.queries <= UNROLLED:
        for h in range(s.queries):
            _head(c, h, symbol, size)
            yield lambda name, h=h: f"[{name}+{4 * h}]"  # type: ignore[misc]
        return

    def element(name: str) -> str:
        c(f"mov r4, {name}", "iadd32 r4, r4, r23")
        c.clobber("r4")
        return "[r4]"

    top = c.new_label()
    c(f"mov r4, {symbol}", "iadd32 r20, r16, r4", "mov r23, 0")
    c.label(top)
    yield element
    c(*(["iadd32 r20, r20, r17"] if size == 4 else ["iadd32 r20, r20, r18"] * 2))
    c("iadd32 r23, r23, 4", f"isub32 r4, r23, {4 * s.queries}", f"bnz r4, {top}")
    c.forget()


def _all_heads(c: Code, s: LayerShape, register: str, symbol: str) -> None:
    """register = the span of a whole vector [heads][n]."""
    c(f"imul32 {register}, r16, {s.queries}", f"mov r4, {symbol}", f"iadd32 {register}, {register}, r4")
    c.forget()


def scores(part: Part, s: LayerShape) -> None:
    """scores [heads][n] = queries times cached keys, in all rows of a group.  Takes what `spans` sets."""
    c, half = part.code, s.dr // 2
    c("mov r21, r16")
    _of_sequence(part, s, "r21")
    for h, _ in enumerate(_each_head(c, s, "scores", 4)):
        own, query = Vec("r20", 0), f"rotated+{2 * h * half}"
        if s.queries > UNROLLED:
            c(f"imul32 r24, r23, {half}", "ishr32 r24, r24, 1", "mov r4, rotated", "iadd32 r24, r24, r4")
            c.clobber("r4")
            query = "r24"
        c.op("fmovs", own, 0.0)
        with c.hold(d=own, a=own) as (d, a):
            for i in range(s.dr):
                at = i if i < half else s.turned + i - half
                c("mov r28, " + f"{isa.DSD_MEM1D:#x}", "mov r30, 2", "mov r31, 0")
                c(f"mov r4, keys+{2 * i * s.slots:#x}", "iadd32 r29, r21, r4", "ldds b0, r28")
                c(f"ld16 r1, [{query}+{2 * at}]", f"fmachs {d}, {a}, b0, r1")
        c.forget()
    if s.kind.softcap:
        _cap(part, s)
        _mask(part, s)
        return
    _mask(part, s)
    _all_heads(c, s, "r16", "scores")
    part.total("group")
    spans(part)
    if s.kind.alibi:
        c("mov r4, places", "iadd32 r22, r16, r4")
        c.forget()
        for of in _each_head(c, s, "scores", 4):
            c(f"ld32 r1, {of('slopes')}")
            c.op("fmacs", Vec("r20", 0), Vec("r20", 0), Vec("r22", 0), "r1")


def _cap(part: Part, s: LayerShape) -> None:
    """Scores, added up over the rows of the group, become those of the softmax."""
    c = part.code
    _all_heads(c, s, "r16", "scores")
    part.total("group")
    spans(part)
    names = (("r21", "scores"), ("r22", "powers"), ("r23", "exponents"), ("r24", "cap1"), ("r20", "cap2"))
    for register, symbol in names:
        _all_heads(c, s, register, symbol)
    c(f"imul32 r16, r16, {s.queries}", "iadd32 r18, r22, r16", "iadd32 r19, r24, r16")  # twice as many elements
    c.forget()
    words = (Vec("r18", 0, 2), Vec("r19", 0, 2))
    work = math_functions.Cap(Vec("r22", 0), Vec("r24", 0), Vec("r20", 0), Vec("r23", 0, 2), words)
    math_functions.softcap(c, Vec("r21", 0), work, s.kind.softcap, s.scale)
    spans(part)


def _mask(part: Part, s: LayerShape) -> None:
    """Mask the last slot of columns whose turn is still to come, which is empty, and what is outside the window."""
    c = part.code
    c(f"ld32 r1, {part.state('turn')}", f"ld32 r4, {part.state('column')}", "iltu32 r4, r1, r4", "bz r4, .filled")
    c("mov r5, scores", "iadd32 r5, r5, r17", "isub32 r5, r5, 4", f"mov r6, {f32(MASKED)}")
    for _ in range(s.queries):
        c("st32 r6, [r5]", "iadd32 r5, r5, r17")
    c.label(".filled")
    if s.kind.windows:
        _window(part, s)


def _window(part: Part, s: LayerShape) -> None:
    """Mask the first slots, those of positions up to p - window, with p the token's.

    p - window - column = (slot - slots of the window) width + t, with t = turn - columns of the window - column above
    -2 width: the first slots up to that div width, rounded down.
    """
    c = part.code
    c("ld32 r1, [window]", f"ld32 r19, {part.state('slot')}", "isub32 r19, r19, r1")
    c(f"ld32 r22, {part.state('turn')}", "ld32 r1, [window+4]", "isub32 r22, r22, r1")
    c(f"ld32 r1, {part.state('column')}", "isub32 r22, r22, r1", "mov r1, 0")
    c("ilts32 r4, r22, r1", "isub32 r19, r19, r4", f"mov r1, {-s.width & 0xFFFFFFFF:#x}")
    c("ilts32 r4, r22, r1", "isub32 r19, r19, r4", "iadd32 r19, r19, 1")
    c("mov r1, 1", "ilts32 r4, r19, r1", "bnz r4, .seen", "ishl32 r19, r19, 16")
    c.forget()
    for h in range(s.queries):
        c(f"imul32 r20, r17, {h}", "iadd32 r20, r20, r19", "mov r4, scores", "iadd32 r20, r20, r4")
        c.forget()
        c.op("fmovs", Vec("r20", 0), MASKED)
    c.label(".seen")


def softmax(part: Part, s: LayerShape) -> None:
    """numerators [heads][n] = e^(scale (scores - greatest)); y gets their sums of a column behind the values."""
    c = part.code
    for of in _each_head(c, s, "scores", 4):
        c(f"ld32 r1, {of('sinks')}" if s.kind.sinks else f"mov r1, {f32(float('-inf'))}")
        c(f"fmaxs r1, r1, {c.dsr('b', Vec('r20', 0))}")
        c(f"st32 r1, {of('greatest')}")
    part.total("row", "max", Vec("greatest", s.queries))
    spans(part)
    for of in _each_head(c, s, "scores", 4):
        c(f"ld32 r1, {of('greatest')}")
        c.op("fsubs", Vec("r20", 0), Vec("r20", 0), "r1")
    for register, symbol in (("r21", "scores"), ("r22", "powers"), ("r23", "exponents"), ("r24", "numerators")):
        _all_heads(c, s, register, symbol)
    scale = 1.0 if s.kind.softcap else s.scale
    math_functions.exp(c, Vec("r21", 0), Vec("r22", 0), Vec("r23", 0, 2), scale=scale)
    c.op("fs2h", Vec("r24", 0, 2), Vec("r22", 0))
    for of in _each_head(c, s, "numerators", 2):
        c("mov r1, 0")
        c(f"faddhs r1, r1, {c.dsr('b', Vec('r20', 0, 2))}")
        c(f"st32 r1, {of(f'y+{4 * s.queries * s.dr}')}")
    if s.kind.sinks:
        sinks, sums = Vec("sink_powers", s.queries), Vec("y", s.queries, offset=4 * s.queries * s.dr)
        greatest = Vec("greatest", s.queries)
        c.op("fsubs", greatest, Vec("sinks", s.queries), greatest)
        math_functions.exp(c, greatest, sinks, Vec("exponents", s.queries, 2), scale=scale)
        c.op("fadds", sums, sums, sinks)


def _values_of(c: Code, s: LayerShape, h: int) -> Vec:
    """The head's values in y: at r24 if r23 is 4 times the head."""
    if s.queries <= UNROLLED:
        return Vec("y", s.dr, offset=4 * h * s.dr)
    c(f"imul32 r24, r23, {s.dr}", "mov r4, y", "iadd32 r24, r24, r4")
    c.clobber("r4")
    return Vec("r24", s.dr)


def values(part: Part, s: LayerShape) -> None:
    """attended [heads][dr] (16 bits) = the values weighted by the numerators, over the sum of these.

    Values of latent attention are the cached keys.
    """
    c, cached = part.code, Vec("cached", s.slots * s.dr, 2)
    symbol = "cached" if s.kind.latent is None else "keys"
    if s.sequences > 1 or s.kind.latent is not None:
        c(f"mov r21, {symbol}")
        _of_sequence(part, s, "r21")
        cached = replace(cached, at="r21")
    for h, _ in enumerate(_each_head(c, s, "numerators", 2)):
        y = _values_of(c, s, h)
        c.op("fmovs", y, 0.0)
        with c.hold(d=y, a=y, b=cached.rows(s.dr)) as (d, a, b):
            c.load("b5", Vec("r20", 0, 2))
            top, end = c.new_label(), c.new_label()
            if s.kind.latent is not None:  # a position's features, one in each row of the keys
                c(f"mov r28, {isa.DSD_MEM1D:#x}", f"mov r30, {2 * s.slots}", "mov r31, 0")
                c(f"iadd32 r29, r21, {s.dr << 16:#x}")
            c.label(top)
            c(f"mapstep r1, b5, {end}")
            if s.kind.latent is not None:
                c(f"ldds {b}, r28", "iadd32 r29, r29, 2")
            c(f"fmachs {d}, {a}, {b}, r1", f"maploop {top}")
            c.label(end)
    n = s.queries * s.dr
    part.total("row", vec=Vec("y", n + s.queries))
    if s.queries > UNROLLED:
        spans(part)
        for h, of in enumerate(_each_head(c, s, "numerators", 2)):
            c(f"ld32 r1, {of(f'y+{4 * n}')}", "mov r4, 0x3f800000", "sdiv r1, r4, r1")
            c.clobber("r4")
            y = _values_of(c, s, h)
            c.op("fmuls", y, y, "r1")
    else:
        for h in range(s.queries):
            c(f"ld32 r1, [y+{4 * (n + h)}]", "mov r4, 0x3f800000", "sdiv r1, r4, r1")
            c.clobber("r4")
            y = Vec("y", s.dr, offset=4 * h * s.dr)
            c.op("fmuls", y, y, "r1")
    c.op("fs2h", Vec("attended", n, 2), Vec("y", n))
