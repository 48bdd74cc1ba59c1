"""Functions of whole f32 vectors out of the vector operations that the machine has: exp, 1/x, 1/sqrt x, log, the normal
distribution's tail.

Each appends to a `Code` and says how many cycles an element it costs on WSE-3, where f32 products go one a cycle, sums
two to four.  `short` is for results that are rounded to 16 bits anyway: relative error below 2^-12 in place of 2^-21.

Polynomials are least maximal relative errors over their intervals (Lawson's iteration over Chebyshev nodes).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..program.fragments import EXP, EXP_LEAST, LN2
from .code import Code, Vec

# (e^r - 1) / r = c0 + c1 r + c2 r^2 on |r| <= ln 2 / 2: error of e^r 1e-4.
SHORT_EXP = (0.1651793811257259, 0.5041312184781624, 1.0001959265850613)
# log(1 + f) = f - f^2 / 2 + f^3 (c0 + c1 f + ...) on [sqrt 1/2, sqrt 2] - 1: error 6e-9.
LOG1P = (
    *(-0.07636277549816105, 0.1277028982790234, -0.13163588427162548, 0.14200828808116453),
    *(-0.16622938218830732, 0.2000125137538808, -0.2500083249495266, 0.3333333158369906),
)
# Q(x) e^(x^2 / 2) = t (c0 + c1 t + ...), t = 1 / (1 + p x), x >= 0, with Q the tail 1 - Phi: errors 1e-7 and 2.3e-4.
TAIL_P = 0.2316419
TAIL = (
    *(-0.07115161105772991, 0.25082253166351876, -0.20728822818823522, 0.23069255980952139),
    *(0.0105007269089889, 0.10364189725369259, 0.0902475245258871, 0.09253464553650606),
)
SHORT_TAIL_P = 0.3
SHORT_TAIL = (0.20884564, 0.03558613, 0.13747907, 0.11820424)
# Patterns from which to subtract that of x, 16 bits at a time: 1 / x within 5.3 %, 1 / sqrt x within 4.4 %.
RECIPROCAL, ROOT = 0x7EF2, 0x5F37
_ROOT_HALF = 0x3F35  # upper half of the root of 1/2


def polynomial(c: Code, y: Vec, x: Vec, coefficients: tuple[float, ...]) -> None:
    """y = the polynomial of x, highest coefficient first; y is not x.  1.25 cycles a degree."""
    first, second, *rest = (float(a) for a in coefficients)
    c.op("fmacs", y, second, x, first)
    for a in rest:
        c.op("fmuls", y, y, x)
        c.op("fadds", y, y, a)


def exp(c: Code, x: Vec, y: Vec, exponent: Vec, short: bool = False, scale: float = 1.0) -> None:
    """y = e^(scale x), scale > 0; x is used up, exponent is work space of as many 16-bit elements.  12 cycles an
    element, 7.3 short.

    As fragments.exp, n = scale x / ln 2 rounded and a polynomial of the rest: error below 1.2e-7 (1.1e-4 short), e^x is
    0 from -104 down, x is at most 20000, a NaN gives 0.  A scale costs nothing: it goes into the constants.
    """
    step = math.log(2) / scale
    high = float((np.float32(step).view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32))  # 11 bits
    c.op("fmaxs", x, x, float(EXP_LEAST) / scale)
    c.op("fmuls", y, x, 1 / step)
    c.op("fs2xp16", exponent, y)
    c.op("xp162fs", y, exponent)
    if short:
        c.op("fmacs", x, x, y, -step)
    else:  # twice, so that n times the first part is exact
        c.op("fmacs", x, x, y, -high)
        c.op("fmacs", x, x, y, high - step)
    coefficients = (*SHORT_EXP, 1.0) if short else tuple(map(float, EXP))
    degree = len(coefficients) - 1
    polynomial(c, y, x, tuple(a * scale ** (degree - i) for i, a in enumerate(coefficients)))
    c.op("fscales", y, y, exponent)


def _words(x: Vec) -> Vec:
    """The 16-bit words of a vector of f32."""
    return Vec(x.at, 2 * x.n, 2, x.offset)


def reciprocal(c: Code, x: Vec, y: Vec, work: Vec, short: bool = False, words: tuple[Vec, Vec] | None = None) -> None:
    """y = 1 / x for positive normal x below 2^126.  7 cycles an element, 4.8 short: error below 2e-7, 8e-6.

    words: the 16-bit words of x and of y, if these are spans in registers.  Newton: y (2 - x y) squares the error.
    """
    x_words, y_words = words or (_words(x), _words(y))
    value = c.value(f"{RECIPROCAL:#x}")
    c.op("sub16", y_words, value, x_words)
    for _ in range(2 if short else 3):
        c.op("fmuls", work, x, y)
        c.op("fsubs", work, 2.0, work)
        c.op("fmuls", y, y, work)


def inverse_root(c: Code, x: Vec, y: Vec, work: Vec) -> None:
    """y = 1 / sqrt x for positive normal x.  16 cycles an element: error below 3e-7.

    Newton: y (3/2 - x y^2 / 2) takes an error e to 3/2 e^2.
    """
    shift = c.value("1")
    c.op("slr16", _words(y), _words(x), shift)
    value = c.value(f"{ROOT:#x}")
    c.op("sub16", _words(y), value, _words(y))
    for _ in range(3):
        c.op("fmuls", work, y, y)
        c.op("fmuls", work, work, x)
        c.op("fmacs", work, 1.5, work, -0.5)
        c.op("fmuls", y, y, work)


def log(c: Code, x: Vec, y: Vec, work: Vec, exponent: Vec) -> None:
    """y = log x for positive normal x; x is used up.  16 cycles an element: relative error below 3e-7, also near 1.

    x = 2^n m with m from the root of 1/2 to that of 2: n is found in the upper halves alone.
    """
    high = x.halves(True)
    c.op("sub16", exponent, high, c.value(f"{_ROOT_HALF:#x}"))
    c.op("sar16", exponent, exponent, c.value("7"))
    c.op("xp162fs", work, exponent)
    c.op("sll16", exponent, exponent, c.value("7"))
    c.op("sub16", high, high, exponent)
    c.op("fsubs", x, x, 1.0)
    polynomial(c, y, x, LOG1P)
    c.op("fmuls", y, y, x)
    c.op("fadds", y, y, -0.5)
    c.op("fmuls", y, y, x)
    c.op("fmuls", y, y, x)
    c.op("fadds", y, y, x)
    c.op("fmacs", y, y, work, float(LN2))


def sigmoid(
    c: Code, x: Vec, y: Vec, work: Vec, exponent: Vec, short: bool = False, words: tuple[Vec, Vec] | None = None
) -> None:
    """y = 1 / (1 + e^-x), from x = -80 on; x becomes 1 + e^-x.  20 cycles an element, 13 short.

    words: as of `reciprocal`.
    """
    c.op("fmaxs", x, x, -80.0)
    c.op("fnegs", x, x)
    exp(c, x, y, exponent, short)
    c.op("fadds", x, y, 1.0)
    reciprocal(c, x, y, work, short, words)


class Cap(NamedTuple):
    """Work space of `softcap`: three f32 vectors, one of 16-bit elements; words: of a and b, as of `reciprocal`."""

    a: Vec
    b: Vec
    c: Vec
    h: Vec
    words: tuple[Vec, Vec] | None = None


def softcap(c: Code, x: Vec, w: Cap, cap: float, scale: float = 1.0) -> None:
    """x = cap tanh(scale x / cap), NaN for what is not finite.  24 cycles an element: error below 1e-6 cap.

    tanh z = 2 sigmoid(2 z) - 1.
    """
    c.op("fmuls", w.a, x, 2 * scale / cap)
    sigmoid(c, w.a, w.b, w.c, w.h, words=w.words)
    c.op("fmacs", w.b, -cap, w.b, 2 * cap)
    c.op("fmacs", x, w.b, x, 0.0)
