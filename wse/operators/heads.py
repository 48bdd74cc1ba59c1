"""Heads of other sizes: padded with zeros, cut, and joined with features that all heads share.

    Resize.routine   x, y          y's heads begin as x's; the rest is 0
    Join.forward     x, y, z       each head of z: the head of x, then y
    Join.backward    dz, dx, dy    dy = the sum over the heads, f32, rounded once

Tiles are [heads features][tokens]; y of a join is [features][tokens].
"""

from __future__ import annotations

from ..records import dataclass
from .code import Code, Routine, Vec, Work, register, routine


def _move(c: Code, size: int, dst: Vec, src: Vec | float) -> None:
    if isinstance(src, float):
        c.op("fmovs" if size == 4 else "fmovh", dst, c.value("0"))
    else:
        c.op("fmovs" if size == 4 else "fmovh", dst, src)


@dataclass(frozen=True)
class Resize:
    """heads of a tile, with `before` and `after` features.  tokens: of a tile.  size: bytes of an element, 2 or 4."""

    heads: int
    before: int
    after: int
    tokens: int
    size: int

    def routine(self, name: str) -> Routine:
        """The subroutine; operands as in the module's docstring.  Backward is that of the other direction."""
        c, t, both = Code(), self.tokens, min(self.before, self.after)
        x, y = Vec("r8", self.heads * self.before * t, self.size), Vec("r9", self.heads * self.after * t, self.size)
        for head in range(self.heads):
            at = head * self.after * t
            _move(c, self.size, y.part(at, both * t), x.part(head * self.before * t, both * t))
            if self.after > both:
                _move(c, self.size, y.part(at + both * t, (self.after - both) * t), 0.0)
        return routine(name, ("x", "y"), c, 0)


@dataclass(frozen=True)
class Join:
    """heads of a tile, with `own` and `shared` features.  tokens: of a tile.  size: bytes of an element, 2 or 4."""

    heads: int
    own: int
    shared: int
    tokens: int
    size: int

    def _parts(self, x: Vec, z: Vec, head: int) -> tuple[Vec, Vec, Vec]:
        """Of a head: of x, and its own and shared parts of z."""
        t, wide = self.tokens, self.own + self.shared
        at = head * wide * t
        return (
            x.part(head * self.own * t, self.own * t),
            z.part(at, self.own * t),
            z.part(at + self.own * t, self.shared * t),
        )

    def _whole(self, at: str, features: int) -> Vec:
        return Vec(at, features * self.tokens, self.size)

    def forward(self, name: str) -> Routine:
        """The subroutine of the forward pass; operands as in the module's docstring."""
        c, operands = Code(), ("x", "y", "z")
        x = self._whole(register(operands, "x"), self.heads * self.own)
        y, z = self._whole("r9", self.shared), self._whole("r10", self.heads * (self.own + self.shared))
        for head in range(self.heads):
            of_x, own, shared = self._parts(x, z, head)
            _move(c, self.size, own, of_x)
            _move(c, self.size, shared, y)
        return routine(name, operands, c, 0)

    def backward(self, name: str) -> Routine:
        """The subroutine of the backward pass; operands as in the module's docstring."""
        c, work, operands = Code(), Work(), ("dz", "dx", "dy")
        dz, dx = self._whole("r8", self.heads * (self.own + self.shared)), self._whole("r9", self.heads * self.own)
        dy = self._whole(register(operands, "dy"), self.shared)
        total = dy if self.size == 4 else work.take(dy.n, bank=2)
        wide = work.take(dy.n if self.size == 2 else 0, bank=6)
        for head in range(self.heads):
            of_x, own, shared = self._parts(dx, dz, head)
            _move(c, self.size, of_x, own)
            if head:
                c.op("fadds", total, total, c.widened(shared, wide))
            else:
                c.op("fmovs" if self.size == 4 else "fh2s", total, shared)
        if self.size == 2:
            c.op("fs2h", dy, total)
        return routine(name, operands, c, work.bytes)
