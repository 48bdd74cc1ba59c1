"""Values that every instruction with a value must give: a list of cases per row of csrc/tables/isa.def.

A case is a line `operands = result`, in the order src0, src1, extra or a, b, c.  The types of the columns stand before:
b, w, d are integers of 8, 16, 32 bits, h is the 16-bit float format under test (a case holds in all three), s is f32.

Integers:  decimal or 0x, negative ones in two's complement; all: all ones; max, min, min+1: the signed extremes.
Floats:    0, 1, -1.5, 2^-12 ...; inf, nan (the machine's own), snan (signaling), -X is X with the other sign;
           tiny, below: smallest and largest subnormal, middle: the largest that is a power of two;
           least, most: smallest and largest normal number; before, next, after: 1 less a unit, 1 plus one and two;
           tie: half the distance from 1 to next; edge: half the distance from most to what would follow it;
           left, right: left * right lies half-way between product, which is even, and its next neighbor;
           X*2^k: X scaled; then +n, -n: the n-th number from there away from or toward 0.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from wse.machine.numerics import F32, FORMATS, Format


class Case(NamedTuple):
    types: str  # of the operands and the result
    tokens: tuple[str, ...]

    def patterns(self, fmt: str) -> list[int]:
        """Bits of the operands and, last, of the result."""
        return [_pattern(token, type, fmt) for token, type in zip(self.tokens, self.types, strict=True)]

    def __str__(self) -> str:
        return f"{' '.join(self.tokens[:-1])} = {self.tokens[-1]}"


CASES: dict[str, list[Case]] = {}
TYPES: dict[str, str] = {}  # "hh" for two 16-bit floats
RESULT: dict[str, str] = {}


def row(names: str, types: str, text: str) -> None:
    """Cases of one or more instructions; in the text `#` starts a comment."""
    operands, result = types.split("=")
    lines = [line.split("#")[0].replace("=", " ").split() for line in text.splitlines()]
    for name in names.split():
        CASES[name] = [Case(operands + result, tuple(line)) for line in lines if line]
        TYPES[name], RESULT[name] = operands, result


WIDTH = {"b": 8, "w": 16, "d": 32}


def edges(type: str, fmt: str) -> list[int]:
    """Patterns of a type that are worth crossing with each other."""
    return sorted({_pattern(token, type, fmt) for token in (_INTEGERS if type in WIDTH else _FLOATS).split()})


_INTEGERS = "0 1 2 3 7 8 15 16 31 32 33 100 max min all -2 -3 -7 -8"
_FLOATS = """
    0 -0 1 -1 1.5 -3 0.5 -2.5 tiny -tiny below middle least -least least*2^4 next -next after before tie tie+1 tie-1
    left right edge edge-1 most -most most*2^-1 inf -inf nan -nan snan 2^-12 2^7
"""


def format_of(type: str, fmt: str) -> Format:
    return FORMATS[fmt] if type == "h" else F32


_FLOAT = re.compile(r"(-?)(2\^-?\d+|[a-z]+|\d+(?:\.\d+)?)(?:\*2\^(-?\d+))?([+-]\d+)?")


def _pattern(token: str, type: str, fmt: str) -> int:
    if type in WIDTH:
        return _integer(token, WIDTH[type])
    match = _FLOAT.fullmatch(token)
    assert match, f"{token} is no number"
    minus, name, scale, steps = match.groups()
    f = format_of(type, fmt)
    return _float(name, f) + (int(scale or 0) << f.mantissa) + int(steps or 0) | (f.sign if minus else 0)


def _integer(token: str, width: int) -> int:
    named = {"max": (1 << width - 1) - 1, "min": 1 << width - 1, "min+1": (1 << width - 1) + 1, "all": (1 << width) - 1}
    value = named[token] if token in named else int(token, 0)
    assert -(1 << width - 1) <= value < 1 << width, f"{token} has more than {width} bits"
    return value & (1 << width) - 1


def _float(token: str, f: Format) -> int:
    m = f.mantissa
    i = m + 1 >> 1  # left is 1 + 2^-i, right is 1 + 2^-j, i + j = m + 1
    j = m + 1 - i

    def power(n: int) -> int:
        return n + f.bias << m

    named = {
        "inf": f.inf,
        "nan": f.nan,
        "snan": f.inf + 1,
        "tiny": 1,
        "below": power(f.least) - 1,
        "middle": 1 << m - 1,
        "least": power(f.least),
        "most": f.inf - 1,
        "before": power(0) - 1,
        "next": power(0) + 1,
        "after": power(0) + 2,
        "tie": power(-m - 1),
        "edge": power(f.top - m - 2),
        "left": power(0) + (1 << m - i),
        "right": power(0) + (1 << m - j),
        "product": power(0) + (1 << m - i) + (1 << m - j),
    }
    if token in named:
        return named[token]
    if token.startswith("2^"):
        return power(int(token[2:]))
    value = float(token)
    if value == 0:
        return 0
    n = int(value.hex().rpartition("p")[2])  # value = 1.x * 2^n
    units = value / 2.0**n * (1 << m)
    assert units == int(units), f"{token} is no number of a format with {m} bits"
    return power(n) + int(units) - (1 << m)


# fmt: off
# Integers of 16 bits, element by element -----------------------------------------------------------------------------

row("add16", "ww=w", """
    1 2 = 3
    all 1 = 0                   # wraps
    max 1 = min
    -1 -1 = -2
""")
row("addc16", "wwd=d", """
    1 2 0 = 3
    1 2 1 = 4
    all 1 0 = 0x10000           # bit 16: carry out
    all 0 1 = 0x10000
    all all 1 = 0x1ffff
    max 1 0 = 0x8000            # overflow of the sign is no carry
""")
row("sub16", "ww=w", """
    3 2 = 1
    0 1 = all
    min 1 = max
    5 5 = 0
""")
row("and16", "ww=w", """
    0x0ff0 0x3c3c = 0x0c30
    all min = min
""")
row("or16", "ww=w", """
    0x0ff0 0x3c3c = 0x3ffc
    0 min = min
""")
row("xor16", "ww=w", """
    0x0ff0 0x3c3c = 0x33cc
    all all = 0
""")
row("sll16", "ww=w", """
    1 0 = 1
    1 15 = min
    0xffff 4 = 0xfff0
    1 16 = 0                    # the count is not taken modulo the width
    1 17 = 0
    all all = 0
""")
row("slr16", "ww=w", """
    min 15 = 1
    min 0 = min
    0xffff 4 = 0x0fff
    min 16 = 0
    all 0x8001 = 0
""")
row("sar16", "ww=w", """
    min 15 = all
    max 14 = 1
    -8 1 = -4
    -1 3 = -1
    min 16 = all                # the sign
    max 16 = 0
    -5 0x7fff = all
""")
row("clz", "w=w", """
    0 = 16
    1 = 15
    all = 0
    max = 1
    0x0100 = 7
""")
row("ctz", "w=w", """
    0 = 16
    1 = 0
    min = 15
    0x0140 = 6
""")
row("popcnt", "w=w", """
    0 = 0
    all = 16
    0x8421 = 4
""")

# Moves and signs keep every bit, a NaN's too -------------------------------------------------------------------------

row("mov16", "w=w", """
    0 = 0
    0x1234 = 0x1234
    all = all
""")
row("mov32", "d=d", """
    0 = 0
    0x12345678 = 0x12345678
    all = all
""")
row("mov", "d=d", """
    0x12345678 = 0x12345678
    all = all
""")
KEEP = """
    1 = 1
    -0 = -0
    tiny = tiny
    -inf = -inf
    -nan = -nan
    snan = snan
"""
row("fmovh", "h=h", KEEP)
row("fmovs", "s=s", KEEP)
ABSOLUTE = """
    -1.5 = 1.5
    1.5 = 1.5
    -0 = 0
    -tiny = tiny
    -inf = inf
    -nan = nan
    -snan = snan
"""
row("fabsh", "h=h", ABSOLUTE)
row("fabss", "s=s", ABSOLUTE)
NEGATE = """
    -1.5 = 1.5
    1.5 = -1.5
    0 = -0
    -0 = 0
    below = -below
    inf = -inf
    nan = -nan
    snan = -snan
"""
row("fnegh", "h=h", NEGATE)
row("fnegs", "s=s", NEGATE)

# Float arithmetic, the same for all formats --------------------------------------------------------------------------

ADD = """
    1 2 = 3
    0 -0 = 0
    -0 -0 = -0
    1 -1 = 0
    1 tie = 1                   # half-way: to the even neighbor, here down
    next tie = after            # here up
    1 tie+1 = next
    1 tie-1 = 1
    -1 -tie = -1
    -next -tie = -after
    1 tiny = 1
    before tie = 1              # exact
    tiny tiny = tiny+1
    below tiny = least
    least -tiny = below
    tiny -tiny = 0
    most edge-1 = most
    most edge = inf
    -most -most = -inf
    most -most = 0
    inf -most = inf
    inf inf = inf
    inf -inf = nan
    nan 1 = nan
    1 -nan = nan                # a NaN result has no sign
    snan 1 = nan
"""
SUBTRACT = """
    3 2 = 1
    0 0 = 0
    -0 0 = -0
    0 -0 = 0
    1 1 = 0
    1 tie = before              # below 1 numbers are twice as dense
    1 tie*2^-1 = 1              # half-way
    1 tie*2^-1+1 = before
    before tie*2^-1 = before-1
    -1 tie = -1
    least tiny = below
    tiny least = -below
    most -edge = inf
    most -edge-1 = most
    -most most = -inf
    inf inf = nan
    inf -inf = inf
    1 inf = -inf
    nan 0 = nan
    0 snan = nan
"""
MULTIPLY = """
    2 3 = 6
    -1.5 2 = -3
    -2 0 = -0
    -0 -1 = 0
    left right = product        # half-way, to even
    next next = after           # the square of the unit is lost
    tiny 1 = tiny
    tiny 0.5 = 0                # half-way between 0 and tiny
    tiny -0.5 = -0
    tiny 1.5 = tiny+1           # half-way between one and two units
    tiny 0.75 = tiny
    least 0.5 = middle
    below 2 = least*2^1-2
    most 2 = inf
    most -most = -inf
    most next = inf
    most before = most-1
    tiny tiny = 0
    inf -2 = -inf
    inf 0 = nan
    -0 inf = nan
    nan 0 = nan
    snan -nan = nan
"""
DIVIDE = """
    6 2 = 3
    1 0 = inf
    -1 0 = -inf
    1 -0 = -inf
    0 0 = nan
    0 -3 = -0
    1 next = before-1           # 1 - 2 units + ...
    1 before = next
    tiny 2 = 0                  # half-way
    tiny+2 2 = tiny+1       # 1.5 units, half-way
    least 2 = middle
    most 0.5 = inf
    1 inf = 0
    -1 inf = -0
    inf -2 = -inf
    inf inf = nan
    inf 0 = inf
    nan 1 = nan
    1 snan = nan
"""
SQUARE_ROOT = """
    4 = 2
    2.25 = 1.5
    0 = 0
    -0 = -0
    next = 1                    # 1 + half a unit - ...
    after = next
    before = before
    -1 = nan
    -tiny = nan
    inf = inf
    -inf = nan
    nan = nan
    -snan = nan
"""
LARGER = """
    1 2 = 2
    2 1 = 2
    -1 -2 = -1
    -1 tiny = tiny
    0 -0 = 0
    -0 0 = 0
    -0 -0 = -0
    tiny 0 = tiny
    -tiny -0 = -0
    most inf = inf
    -inf -most = -most
    nan -3 = -3                 # a NaN loses
    -3 -nan = -3
    snan -inf = -inf
    nan snan = nan
    -nan -nan = nan
"""
# src0 + src1 * extra.  One rounding shows where the product alone would be rounded, or lies on a tie that a small
# addend decides.
FUSED = """
    1 2 3 = 7
    0 left right = product      # half-way
    tiny left right = product+1
    -tiny left right = product
    tiny -left right = -product
    -tiny -left right = -product+1
    -product left right = tie   # what rounding the product would lose
    1 tie 1 = 1
    next tie 1 = after
    1 tie next = next
    1 tie before = 1
    tiny tiny 0.5 = tiny+1      # 1.5 units, half-way
    tiny -tiny 0.5 = 0          # half a unit
    tiny+1 tiny 0.5 = tiny+1    # 2.5 units
    below tiny 0.5 = least      # half-way to the smallest normal number
    below tiny tiny = below
    -most most 2 = most         # the product alone is beyond the largest
    most edge 1 = inf
    most edge-1 1 = most
    most most -most = -inf
    0 -0 1 = 0
    -0 -0 1 = -0
    -0 tiny -tiny = -0
    1 0 inf = nan
    inf 1 -inf = nan
    inf most most = inf
    inf -most most = inf
    -inf 2 3 = -inf
    nan 1 1 = nan
    1 -nan 1 = nan
    1 1 snan = nan
"""
UNFUSED = """
    1 2 3 = 7
    -product left right = 0     # the product is rounded first
    tiny left right = product
    1 tie next = next
    tiny tiny 0.5 = tiny
    tiny tiny 1.5 = tiny+2
    -most most 2 = inf          # the product overflows first
    -inf most 2 = nan
    most edge 1 = inf
    0 -0 1 = 0
    -0 -0 1 = -0
    1 0 inf = nan
    inf 1 -inf = nan
    nan 1 1 = nan
    1 1 snan = nan
"""
row("faddh hadd", "hh=h", ADD)
row("fadds sadd", "ss=s", ADD)
row("fsubh hsub", "hh=h", SUBTRACT)
row("fsubs ssub", "ss=s", SUBTRACT)
row("fmulh hmul", "hh=h", MULTIPLY)
row("fmuls smul", "ss=s", MULTIPLY)
row("hdiv", "hh=h", DIVIDE)
row("sdiv", "ss=s", DIVIDE)
row("hsqrt", "h=h", SQUARE_ROOT)
row("ssqrt", "s=s", SQUARE_ROOT)
row("fmaxh", "hh=h", LARGER)
row("fmaxs", "ss=s", LARGER)
row("fmach hfma", "hhh=h", FUSED)
row("fmacs sfma", "sss=s", UNFUSED)
row("fmachs", "shh=s", """
    1 2 3 = 7
    1 2^-12 2^-12 = 1           # half a unit of f32
    next 2^-12 2^-12 = after
    1 2^-12 next*2^-12 = next
    1 2^-12 before*2^-12 = 1
    -1 2^-12 -2^-12 = -1
    tiny 1 2 = 2
    tiny -1 2 = -2
    most 1 -1 = most
    most 0 1 = most
    -0 -0 1 = -0
    0 -0 1 = 0
    0 inf 0 = nan
    inf 2 -inf = nan
    -inf 2 3 = -inf
    1 nan 1 = nan
    1 1 snan = nan
    -nan 1 1 = nan
""")
row("faddhs", "sh=s", """
    1 2 = 3
    tie 1 = 1                   # half a unit of f32
    tie+1 1 = next
    tie -1 = -before
    -tie 2 = 2
    most 1 = most
    -0 -0 = -0
    -1 1 = 0
    inf -inf = nan
    1 inf = inf
    1 -nan = nan
    snan 1 = nan
""")

# Powers of two -------------------------------------------------------------------------------------------------------

NORMALIZE = """
    1 = 1
    -3 = -1.5
    before = before*2^1         # 2 - a unit
    most = before*2^1
    least = 1
    middle = 1
    tiny = 1
    -tiny = -1
    0 = 0
    -0 = -0
    inf = inf
    -inf = -inf
    nan = nan
    -nan = -nan                 # unchanged
    snan = snan
"""
row("fnormh", "h=h", NORMALIZE)
row("fnorms", "s=s", NORMALIZE)
SCALE = """
    1.5 1 = 3
    3 -1 = 1.5
    1 0 = 1
    -0 5 = -0
    least -1 = middle
    tiny -1 = 0                 # half-way
    -tiny -1 = -0
    tiny+2 -1 = tiny+1          # 1.5 units, half-way
    below -1 = middle           # half a unit below it
    below 1 = least*2^1-2
    most 1 = inf
    most max = inf
    most min = 0
    tiny max = inf
    -tiny 0x7000 = -inf
    1 0x8000 = 0
    inf min = inf
    0 max = 0
    nan 1 = nan
    -snan 0 = nan
"""
row("fscaleh", "hw=h", SCALE)
row("fscales", "sw=s", SCALE)

# Conversions ---------------------------------------------------------------------------------------------------------

row("fh2s h2s", "h=s", """
    1 = 1
    -1.5 = -1.5
    0 = 0
    -0 = -0
    2^-12 = 2^-12
    inf = inf
    -inf = -inf
    nan = nan
    -snan = nan
""")
row("fs2h s2h", "s=h", """
    1 = 1
    -1.5 = -1.5
    -0 = -0
    tiny = 0
    -tiny = -0
    next = 1
    -before = -1
    most = inf
    -most = -inf
    inf = inf
    -nan = nan
    snan = nan
""")
row("fh2xp16", "h=w", """
    1 = 1
    0.5 = 0                     # half-way, to even
    1.5 = 2
    -2.5 = -2
    -0.5 = 0
    0.75 = 1
    -0 = 0
    2^7 = 128
    2^14 = 0x4000
    2^15 = max                  # saturates
    -2^15 = min
    -inf = min
    inf = max
    nan = 0
    tiny = 0
""")
row("fs2xp16", "s=w", """
    0.5 = 0                     # half-way, to even
    1.5 = 2
    -2.5 = -2
    32766.5 = 32766
    32767 = max
    32767.5 = max               # saturates
    -32768 = min
    -32768.5 = min
    -32769 = min
    most = max
    -most = min
    inf = max
    -inf = min
    -nan = 0
    tiny = 0
""")
row("xp162fh", "w=h", """
    0 = 0
    1 = 1
    -3 = -3
    min = -2^15
    all = -1
    max = 2^15                  # rounded
""")
row("xp162fs", "w=s", """
    0 = 0
    1 = 1
    -3 = -3
    min = -2^15
    max = 32767
""")
row("i2s", "d=s", """
    0 = 0
    -1 = -1
    min = -2^31
    max = 2^31                  # rounded
    0x1000001 = 2^24            # half-way, to even
    0x1000003 = 2^24+2
""")
row("u2s", "d=s", """
    0 = 0
    1 = 1
    all = 2^32                  # rounded
    min = 2^31
    0x1000001 = 2^24
    0xffffff00 = 2^32-1
""")
row("i2h", "d=h", """
    0 = 0
    -3 = -3
    128 = 2^7
    0x8000 = 2^15
""")
row("u2h", "d=h", """
    0 = 0
    3 = 3
    128 = 2^7
    0x8000 = 2^15
""")
row("s2i", "s=d", """
    1.5 = 1                     # toward zero
    -1.5 = -1
    before = 0
    -0 = 0
    2^30 = 0x40000000
    2^31 = max                  # saturates
    2^31-1 = 0x7fffff80
    -2^31 = min
    -2^31+1 = min
    inf = max
    -inf = min
    nan = 0
    tiny = 0
""")
row("s2u", "s=d", """
    1.5 = 1
    -before = 0                 # toward zero
    -1 = 0                      # saturates
    2^31 = 0x80000000
    2^32-1 = 0xffffff00
    2^32 = all
    inf = all
    -inf = 0
    nan = 0
""")
row("h2i", "h=d", """
    1.5 = 1
    -2.5 = -2
    -before = 0
    2^15 = 0x8000
    inf = max
    -inf = min
    -nan = 0
    tiny = 0
""")
row("h2u", "h=d", """
    1.5 = 1
    -2.5 = 0
    before = 0
    2^15 = 0x8000
    inf = all
    -inf = 0
    nan = 0
""")

# Comparisons: false for NaN, zeros are equal -------------------------------------------------------------------------

EQUAL = """
    1 1 = 1
    1 next = 0
    0 -0 = 1
    tiny 0 = 0
    inf inf = 1
    inf -inf = 0
    nan nan = 0
    1 nan = 0
    snan snan = 0
"""
LESS = """
    1 2 = 1
    2 1 = 0
    1 1 = 0
    -2 -1 = 1
    -0 0 = 0
    -tiny 0 = 1
    most inf = 1
    -inf -most = 1
    nan 1 = 0
    1 nan = 0
    nan nan = 0
"""
LESS_EQUAL = """
    1 2 = 1
    2 1 = 0
    1 1 = 1
    0 -0 = 1
    tiny 0 = 0
    inf inf = 1
    -inf inf = 1
    nan 1 = 0
    -inf nan = 0
    nan nan = 0
"""
row("heq", "hh=d", EQUAL)
row("seq", "ss=d", EQUAL)
row("hlt", "hh=d", LESS)
row("slt", "ss=d", LESS)
row("hle", "hh=d", LESS_EQUAL)
row("sle", "ss=d", LESS_EQUAL)

# Integers of the scalar unit -----------------------------------------------------------------------------------------

for width, letter in ((8, "b"), (16, "w"), (32, "d")):
    two = f"{letter}{letter}={letter}"
    row(f"iadd{width}", two, """
        1 2 = 3
        all 1 = 0
        max 1 = min
        min min = 0
    """)
    row(f"isub{width}", two, """
        3 2 = 1
        0 1 = all
        min 1 = max
    """)
    row(f"imul{width}", two, """
        3 -7 = -21
        all all = 1
        max max = 1
        min 2 = 0
        min all = min
    """)
    row(f"idivs{width}", two, """
        7 2 = 3                 # toward zero
        -7 2 = -3
        7 -2 = -3
        -7 -2 = 3
        0 5 = 0
        7 0 = all
        min 0 = all
        0 0 = all
        min all = min           # wraps
        min 1 = min
        max all = min+1
        min min = 1
    """)
    row(f"idivu{width}", two, """
        7 2 = 3
        all 1 = all
        all 2 = max
        1 all = 0
        min all = 0
        7 0 = all
        0 0 = all
    """)
    row(f"irems{width}", two, """
        7 2 = 1                 # the sign of the dividend
        -7 2 = -1
        7 -2 = 1
        -7 -2 = -1
        7 0 = 7
        min 0 = min
        min all = 0
        min max = all
    """)
    row(f"iremu{width}", two, """
        7 2 = 1
        all 16 = 15
        min all = min
        7 0 = 7
        all 0 = all
    """)
    row(f"ishl{width}", two, f"""
        1 0 = 1
        1 {width - 1} = min
        all {width - 1} = min
        1 {width} = 0           # the count is not taken modulo the width
        1 {width + 1} = 0
        all all = 0
    """)
    row(f"ishr{width}", two, f"""
        min {width - 1} = 1
        all 1 = max
        all 0 = all
        all {width} = 0
        all {width + 1} = 0
        all min = 0
    """)
    row(f"isar{width}", two, f"""
        min {width - 1} = all
        -8 1 = -4
        max {width - 2} = 1
        min {width} = all       # the sign
        max {width} = 0
        -5 max = all
        -5 all = all
    """)
    one = f"{letter}{letter}=d"
    row(f"ieq{width}", one, """
        5 5 = 1
        all max = 0
        0 0 = 1
        min max = 0
    """)
    row(f"ine{width}", one, """
        5 5 = 0
        all max = 1
        min 0 = 1
    """)
    row(f"ilts{width}", one, """
        -1 0 = 1
        0 -1 = 0
        min max = 1
        max min = 0
        3 3 = 0
    """)
    row(f"iles{width}", one, """
        -1 0 = 1
        min max = 1
        max min = 0
        3 3 = 1
    """)
    row(f"iltu{width}", one, """
        0 all = 1
        all 0 = 0
        max min = 1
        min max = 0
        3 3 = 0
    """)
    row(f"ileu{width}", one, """
        0 all = 1
        max min = 1
        min max = 0
        3 3 = 1
    """)
row("iand", "dd=d", """
    0x0ff0f00f 0x3c3c3c3c = 0x0c30300c
    all min = min
""")
row("ior", "dd=d", """
    0x0ff0f00f 0x3c3c3c3c = 0x3ffcfc3f
    0 min = min
""")
row("ixor", "dd=d", """
    0x0ff0f00f 0x3c3c3c3c = 0x33cccc33
    all all = 0
""")
row("sext8", "b=d", """
    0 = 0
    max = 127
    min = -128
    all = -1
""")
row("sext16", "w=d", """
    0 = 0
    max = 32767
    min = -32768
    all = -1
""")
row("zext8", "b=d", """
    all = 255
    min = 128
""")
row("zext16", "w=d", """
    all = 0xffff
    min = 0x8000
""")
row("sel", "ddd=d", """
    0 1 2 = 2
    1 1 2 = 1
    min 3 4 = 3
    all 0 all = 0
    0 0 all = all
    0x10000 5 6 = 5             # all 32 bits count
""")
