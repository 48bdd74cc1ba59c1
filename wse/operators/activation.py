"""GELU, SiLU, ReLU, its square, and their gated forms, forward and backward, on tiles of f32 or 16-bit elements.

All arithmetic is f32.  The forward pass overwrites its inputs with the factors that the backward pass needs.  The
backward pass is a product of stored elements, rounded once.

    gelu, silu, relu, forward  x -> y, x := f'(x)                      backward  dy, x -> dx = dy x
    relu2
    gelu_gate,        forward  gate, up -> y = f(gate) up,             backward  dy, gate, up -> dup = dy gate,
    silu_gate,                 gate := f(gate), up := up f'(gate)                dgate = dy up
    cut_gate

Tiles are processed in chunks, to limit the work space.  dx, dgate and dup may alias any operand of the backward pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from . import math_functions
from .code import Code, Routine, Vec, Work, register, routine

CHUNK = 256  # elements; the overhead of an operation is about 10 cycles
_ROOT_2_PI = math.sqrt(2 / math.pi)
_TANH = (2 * _ROOT_2_PI, 2 * _ROOT_2_PI * 0.044715)  # c0, c1 of the tanh form: x sigmoid(c0 x + c1 x^3)


class Buffers(NamedTuple):
    """Work space of a chunk: four f32 vectors in different banks (a, b, c, d), and one of 16-bit elements (h)."""

    a: Vec
    b: Vec
    c: Vec
    d: Vec
    h: Vec


def _buffers(work: Work, n: int) -> Buffers:
    return Buffers(
        work.take(n, bank=2), work.take(n, bank=4), work.take(n, bank=6), work.take(n, bank=0), work.take(n, 2)
    )


# An activation of x yields the buffer that holds f(x), then the buffer that holds f'(x).  The caller stores f(x) in
# between, and may store it in x.  short: use polynomials of the accuracy of 16-bit elements.
Function = Callable[[Code, Vec, Buffers, bool], Iterator[Vec]]


def _gelu_exact(c: Code, x: Vec, w: Buffers, short: bool) -> Iterator[Vec]:
    """x Phi(x), computed as max(x, 0) - |x| q with the tail q = Phi(-|x|).

    The derivative is 1 - g for x > 0 and g for x < 0, with g = q - |x| phi(x).
    """
    a, b, d, _, h = w
    p, tail = (
        (math_functions.SHORT_TAIL_P, math_functions.SHORT_TAIL)
        if short
        else (math_functions.TAIL_P, math_functions.TAIL)
    )
    c.op("fabss", a, c.widened(x, a))
    c.op("fmacs", b, 1.0, a, p)
    math_functions.reciprocal(c, b, d, a, short)
    math_functions.polynomial(c, a, d, tail)
    c.op("fmuls", a, a, d)
    c.square(b, c.widened(x, b), d)
    c.op("fmuls", b, b, -0.5)
    math_functions.exp(c, b, d, h, short)
    c.op("fmuls", a, a, d)
    c.op("fabss", b, c.widened(x, b))
    c.op("fmuls", d, d, b)
    c.op("fmuls", d, d, 1 / math.sqrt(2 * math.pi))
    c.op("fsubs", d, a, d)
    c.op("fmuls", a, a, b)
    wide = c.widened(x, b)
    c.op("and16", h, wide.halves(True), c.value("0x8000"))
    c.op("fmaxs", b, wide, 0.0)
    c.op("fsubs", a, b, a)
    yield a
    # 1/2 - g >= 0; with the sign of x it is the derivative less 1/2.
    c.op("fsubs", d, 0.5, d)
    c.op("or16", d.halves(True), d.halves(True), h)
    c.op("fadds", d, d, 0.5)
    yield d


def _gelu_tanh(c: Code, x: Vec, w: Buffers, short: bool) -> Iterator[Vec]:
    """f = x s with s = sigmoid(z), z = c0 x + c1 x^3.  The derivative is s + (1 - s) f z', with 1 - s = e^-z s."""
    a, b, s, d, h = w
    c0, c1 = _TANH
    wide = c.widened(x, a)
    c.square(d, wide, b)
    c.op("fmacs", b, c0, d, c1)
    c.op("fmuls", b, b, wide)
    math_functions.sigmoid(c, b, s, a, h, short)
    c.op("fmacs", d, c0, d, 3 * c1)
    c.op("fmuls", a, c.widened(x, a), s)
    c.op("fmuls", d, d, a)
    yield a
    yield _slope(c, b, s, d)


def _silu(c: Code, x: Vec, w: Buffers, short: bool, alpha: float = 1.0) -> Iterator[Vec]:
    """f = x s with s = sigmoid(alpha x).  The derivative is s + (1 - s) alpha f."""
    a, b, s, d, h = w
    c.op("fmovs" if x.size == 4 else "fh2s", b, x)
    if alpha != 1:
        c.op("fmuls", b, b, alpha)
    math_functions.sigmoid(c, b, s, a, h, short)
    c.op("fmuls", d, c.widened(x, a), s)
    yield d
    if alpha != 1:
        c.op("fmuls", d, d, alpha)
    yield _slope(c, b, s, d)


def _positive(c: Code, to: Vec, x: Vec, work: Vec) -> None:
    """to = max(x, 0), and NaN of a NaN or an infinity: 0 x is added, so that an overflow is noticed behind it."""
    wide = c.widened(x, work)
    c.op("fmaxs", to, wide, 0.0)
    c.op("fmacs", to, to, wide, 0.0)


def _relu(c: Code, x: Vec, w: Buffers, short: bool) -> Iterator[Vec]:
    """f = max(x, 0).  The derivative is 1 where x is above 0, else 0: min(f 2^127 2^127, 1), exact for every x."""
    a, b, _, d, _ = w
    _positive(c, a, x, b)
    yield a
    c.op("fmuls", d, a, -(2.0**127))
    c.op("fmuls", d, d, 2.0**127)
    c.op("fmaxs", d, d, -1.0)
    c.op("fsubs", d, 0.0, d)
    yield d


def _relu2(c: Code, x: Vec, w: Buffers, short: bool) -> Iterator[Vec]:
    """f = max(x, 0)^2.  The derivative is 2 max(x, 0)."""
    a, b, _, d, _ = w
    _positive(c, d, x, b)
    c.op("fmuls", a, d, d)
    yield a
    c.op("fadds", d, d, d)
    yield d


def _slope(c: Code, denominator: Vec, s: Vec, f: Vec) -> Vec:
    """s + (1 - s) f.  denominator: 1 + e^-z, a result of math_functions.sigmoid: 1 - s = e^-z s avoids cancellation."""
    c.op("fadds", denominator, denominator, -1.0)
    c.op("fmuls", denominator, denominator, s)
    c.op("fmuls", f, f, denominator)
    c.op("fadds", s, s, f)
    return s


FUNCTIONS: dict[str, Function] = {
    "gelu": _gelu_exact,
    "gelu_tanh": _gelu_tanh,
    "silu": _silu,
    "relu": _relu,
    "relu2": _relu2,
}


def forward(function: str, n: int, size: int, name: str) -> Routine:
    """The subroutine of an activation over n elements of `size` bytes (2 or 4).

    function: a key of FUNCTIONS.  Operands: x, overwritten with f'(x), and y, which must not overlap x.
    """
    operands = ("x", "y")
    c, work = Code(), Work()
    places = {operand: (register(operands, operand), size) for operand in operands}
    with c.chunks(n, CHUNK, places) as tile:
        x, y = tile["x"], tile["y"]
        results = FUNCTIONS[function](c, x, _buffers(work, x.n), size == 2)
        for dst in (y, x):
            c.op(_move(size), dst, next(results))
    return routine(name, operands, c, work.bytes)


def backward(n: int, size: int, name: str) -> Routine:
    """The subroutine dx = dy x over n elements of `size` bytes, where x holds f'(x).  Operands: dy, x, dx."""
    operands = ("dy", "x", "dx")
    c = Code()
    dy, x, dx = (Vec(register(operands, operand), n, size) for operand in operands)
    c.op(_product(size), dx, dy, x)
    return routine(name, operands, c, 0)


def gate_forward(function: str, n: int, size: int, name: str) -> Routine:
    """The subroutine of a gated activation; arguments as `forward`.

    Operands: gate, overwritten with f(gate); up, overwritten with up f'(gate); and y, which must not overlap them.
    """
    operands = ("gate", "up", "y")
    c, work = Code(), Work()
    places = {operand: (register(operands, operand), size) for operand in operands}
    with c.chunks(n, CHUNK, places) as tile:
        gate, up, y = (tile[operand] for operand in operands)
        buffers = _buffers(work, gate.n)
        results = FUNCTIONS[function](c, gate, buffers, size == 2)
        c.op(_move(size), gate, next(results))
        slope = _stored(c, next(results), buffers.h, size)
        c.op(_product(size), y, gate, up)
        c.op(_product(size), up, up, slope)
    return routine(name, operands, c, work.bytes)


def cut_gate_forward(alpha: float, limit: float, n: int, size: int, name: str) -> Routine:
    """The subroutine of y = (up + 1) f(gate), f(x) = x sigmoid(alpha x), with gate cut at the limit above, and up above
    and below.  Other arguments as `forward`.

    Operands: gate, overwritten with f(gate), or 0 where up is cut; up, overwritten with (up + 1) f'(gate), or 0 where
    gate is cut; and y, which must not overlap them.  So gate_backward is its backward pass.
    """
    operands = ("gate", "up", "y")
    c, work = Code(), Work()
    places = {operand: (register(operands, operand), size) for operand in operands}
    with c.chunks(n, CHUNK, places) as tile:
        gate, up, y = (tile[operand] for operand in operands)
        buffers, inside = _buffers(work, gate.n), work.take(gate.n, bank=2)
        a, b = buffers.a, buffers.b
        wide = c.widened(gate, a)
        _inside(c, inside, wide, limit)
        cut(c, b, wide, limit)
        c.op(_move(size), gate, b)
        results = _silu(c, gate, buffers, size == 2, alpha)
        c.op(_move(size), gate, next(results))
        slope = next(results)
        c.op("fmuls", slope, slope, inside)
        slope = _stored(c, slope, buffers.h, size)
        wide = c.widened(up, a)
        c.op("fabss", b, wide)
        _inside(c, inside, b, limit)
        cut(c, b, wide, limit)
        c.op("fmaxs", b, b, -limit)
        c.op("fmacs", b, b, wide, 0.0)
        c.op("fadds", b, b, 1.0)
        c.op(_move(size), up, b)
        c.op(_product(size), y, gate, up)
        c.op(_product(size), up, up, slope)
        c.op(_product(size), gate, gate, _stored(c, inside, buffers.h, size))
    return routine(name, operands, c, work.bytes)


def cut(c: Code, to: Vec, x: Vec, limit: float) -> None:
    """Code: to = min(x, limit), f32, NaN of what is not finite, so that an overflow is noticed behind it."""
    c.op("fnegs", to, x)
    c.op("fmaxs", to, to, -limit)
    c.op("fnegs", to, to)
    c.op("fmacs", to, to, x, 0.0)


def _inside(c: Code, to: Vec, x: Vec, limit: float) -> None:
    """Code: to = 1 where x is at most the limit, else 0, f32: 1 - min(max(x - limit, 0) 2^127 2^127, 1)."""
    c.op("fadds", to, x, -limit)
    c.op("fmaxs", to, to, 0.0)
    c.op("fmuls", to, to, -(2.0**127))
    c.op("fmuls", to, to, 2.0**127)
    c.op("fmaxs", to, to, -1.0)
    c.op("fadds", to, to, 1.0)


def _stored(c: Code, x: Vec, half: Vec, size: int) -> Vec:
    """Code: f32 elements as stored ones; `half` holds those of 16 bits."""
    if size == 4:
        return x
    c.op("fs2h", half, x)
    return half


def _move(size: int) -> str:
    return "fs2h" if size == 2 else "fmovs"


def gate_backward(n: int, size: int, name: str) -> Routine:
    """The subroutine dup = dy gate, dgate = dy up over n elements of `size` bytes.

    Operands: dy, gate, up, dgate, dup.  dgate may alias up; dup may alias gate or dy.
    """
    operands = ("dy", "gate", "up", "dgate", "dup")
    c = Code()
    dy, gate, up, dgate, dup = (Vec(register(operands, operand), n, size) for operand in operands)
    c.op(_product(size), dgate, dy, up)
    c.op(_product(size), dup, dy, gate)
    return routine(name, operands, c, 0)


def _product(size: int) -> str:
    return "fmuls" if size == 4 else "fmulh"


# --- reference model, in double precision -----------------------------------------------------------------------------


def cut_gate_reference(
    gate: np.ndarray, up: np.ndarray, alpha: float, limit: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(y, dy / dgate, dy / dup) of cut_gate_forward, float64 arrays of the operands' shape."""
    gate, up = (np.asarray(x, np.float64) for x in (gate, up))
    x, more = np.minimum(gate, limit), np.clip(up, -limit, limit) + 1
    s = 1 / (1 + np.exp(-alpha * x))
    return more * x * s, more * (s + alpha * x * s * (1 - s)) * (gate <= limit), x * s * (np.abs(up) <= limit)


def reference(function: str, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(f(x), f'(x)), float64 arrays of the shape of x."""
    x = np.asarray(x, np.float64)
    if function == "gelu":
        phi = np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
        below = np.vectorize(lambda v: 0.5 * math.erfc(-v / math.sqrt(2)), otypes=[np.float64])(x)
        return x * below, below + x * phi
    if function == "relu":
        return np.maximum(x, 0), (x > 0).astype(np.float64)
    if function == "relu2":
        return np.maximum(x, 0) ** 2, 2 * np.maximum(x, 0)
    c0, c1 = _TANH if function == "gelu_tanh" else (1.0, 0.0)
    with np.errstate(over="ignore"):
        s = 1 / (1 + np.exp(-(c0 * x + c1 * x**3)))
    return x * s, s + x * s * (1 - s) * (c0 + 3 * c1 * x * x)
