"""Sums of two tiles: residual connections, and gradients that come from two ways.

add    x, y, z     z = x + y, rounded once; z may lie on x or y
zeros  x           x = 0
times  x, y        y = factor x, rounded once; y may lie on x
"""

from __future__ import annotations

from .code import Code, Routine, Vec, Work, register, routine

CHUNK = 256  # elements that are f32 at a time
OPERANDS = ("x", "y", "z")


def zeros(n: int, size: int, name: str) -> Routine:
    """The subroutine that sets n elements of x to 0."""
    c = Code()
    c.op("fmovs" if size == 4 else "fmovh", Vec(register(("x",), "x"), n, size), c.value("0"))
    return routine(name, ("x",), c, 0)


def times(n: int, size: int, factor: float, name: str) -> Routine:
    """The subroutine for n elements.  factor: rounded to f32."""
    c, work = Code(), Work()
    with c.chunks(n, CHUNK, {"x": ("r8", size), "y": ("r9", size)}) as tile:
        wide = work.take(tile["x"].n if size == 2 else 0)
        c.narrow(tile["y"], "fmuls", wide, c.widened(tile["x"], wide), factor)
    return routine(name, ("x", "y"), c, work.bytes)


def add(n: int, size: int, name: str) -> Routine:
    """The subroutine for n elements of `size` bytes.  Backward of a residual connection is a copy, or none at all."""
    c = Code()
    x, y, z = (Vec(register(OPERANDS, operand), n, size) for operand in OPERANDS)
    c.op("fadds" if size == 4 else "faddh", z, x, y)
    return routine(name, OPERANDS, c, 0)
