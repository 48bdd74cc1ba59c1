"""The north edge of a region: the host's streams into each column, and out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..errors import ConfigError
from ..fabric.fabric import Fabric
from ..fabric.stream import StreamIn, StreamOut
from .region import Region
from .transfers import Column, GradientTransfer, WeightTransfer, joined


class Edge:
    """The host's streams at the north edge of a region that lies at the edge of a fabric.

    into, embedding, out: a stream per column from west to east; empty where the region does not use that path.
    capacity: wavelets that an outgoing stream holds until they are taken.
    """

    def __init__(self, fabric: Fabric, region: Region, capacity: int = 1 << 20) -> None:
        self.region = region
        xs = range(region.x, region.x + region.width)

        def into(path: str) -> list[StreamIn]:
            return (
                [fabric.stream_in(x, region.y, "N", path, [], segments=[]) for x in xs] if path in region.paths else []
            )

        self.into, self.embedding = into("weights"), into("embedding")
        self.out: list[StreamOut] = []
        if "north" in region.paths:
            self.out = [fabric.stream_out(x, region.y, "N", "north0", capacity) for x in xs]

    def feed(self, task: str, values: Mapping[WeightTransfer, Mapping[str, np.ndarray]]) -> None:
        """Put all weights of a task into the streams.

        values: of each WeightTransfer of the task, arrays by role.  Raises ConfigError if a transfer has none.
        """
        streams = self.region.streams[task]
        missing = [stream.what for stream in streams if stream not in values]
        if missing:
            raise ConfigError(f"task {task} takes {len(streams)} streams, and has no values for {', '.join(missing)}")
        self.put([stream.pack(values[stream]) for stream in streams])

    def put(self, packed: Sequence[Sequence[Column]]) -> None:
        """Put packed transfers into the streams, in the order in which the columns take them."""
        if packed:
            for stream, column in zip(self.into, joined(packed), strict=True):
                stream.put(column.words, column.control)

    def take(self, task: str) -> list[tuple[GradientTransfer, dict[str, np.ndarray]]]:
        """Take the gradients that the task has sent: (transfer, float32 arrays by role), in order."""
        words = [stream.take()[0] for stream in self.out]
        result, at = [], 0
        for drain in self.region.drains[task]:
            result.append((drain, drain.unpack([w[at : at + drain.wavelets] for w in words])))
            at += drain.wavelets
        return result
