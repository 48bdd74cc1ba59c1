"""Host colors: a stream in and out for each PE of a rectangle."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _engine
from ..errors import ProgramError
from ..program import route
from ..program.image import Image
from ..program.symbol import Color
from .stream import as_words


class HostColors:
    """The methods of `Fabric` for colors whose routes lead to the host at every PE."""

    image: Image
    width: int
    height: int
    _engine: _engine.Engine
    _extent: Any

    def host_put(self, color, port: str, data, x: int = 0, y: int = 0) -> None:
        """Queues wavelets that enter the routers of a rectangle by `port`, behind those queued before.

        data: 32-bit [h, w, n], n wavelets for each PE.  Each PE accepts at most one wavelet per cycle.  Raises
        ProgramError if the color is not a host color and the port does not lead off the edge.
        """
        words = as_words(data)
        h, w = np.shape(data)[:2]
        color, side = self._host(color, port, x, y, w, h)
        self._engine.host_put(color, side, x, y, w, h, words)

    def host_ask(self, color, port: str, n: int, x: int, y: int, w: int, h: int) -> None:
        """Adds capacity for n more wavelets from each PE of the rectangle by `port`; further wavelets wait.

        Errors as `host_put`.
        """
        color, side = self._host(color, port, x, y, w, h)
        self._engine.host_ask(color, side, x, y, w, h, n)

    def host_take(self, color, port: str, n: int, x: int, y: int, w: int, h: int) -> np.ndarray:
        """uint32 [h, w, n]: removes and returns the next n wavelets of each PE; they must have arrived.

        Errors as `host_put`.
        """
        color, side = self._host(color, port, x, y, w, h)
        words = np.empty((h, w, n), np.uint32)
        if n:
            self._engine.host_take(color, side, x, y, w, h, words.reshape(-1))
        return words

    def host_waiting(
        self, color, port: str, out: bool, x: int = 0, y: int = 0, w: int | None = None, h: int | None = None
    ) -> int:
        """The number of wavelets of `host_put` (out: of `host_ask`) that have not passed yet."""
        w, h = self._extent(x, y, w, h)
        color, side = self._host(color, port, x, y, w, h)
        return self._engine.host_waiting(color, side, out, x, y, w, h)

    def _host(self, color, port: str, x: int, y: int, w: int, h: int) -> tuple[Color, int]:
        self._extent(x, y, w, h)
        color = self.image.color_of(color)
        if port not in route.PORTS[:4] or len(port) != 1:
            raise ProgramError(f"a stream is attached to port N, E, S or W, not {port!r}")
        left = (y, self.width - x - w, self.height - y - h, x)[route.PORTS.index(port)]
        line = h if port in "NS" else w
        if color not in self.image.host_colors and (left or line > 1):
            raise ProgramError(
                f"{route.name_of(color)} is no host color, and port {port} of the {w} x {h} PEs at ({x}, {y}) "
                "does not lead off the edge: call Program.host_color"
            )
        return color, route.PORTS.index(port)
