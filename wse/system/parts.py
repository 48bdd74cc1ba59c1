"""What a system is made of: wafers, MemoryX, the network between them.  Each figure names its source.

Seconds and bytes here: a cluster has several clocks.  A wafer's own cycles are turned into seconds at its clock.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Any

from ..errors import ConfigError
from ..machine.parameters import WSE3, Machine

# Bytes per trained number in MemoryX (AdamW, mixed precision).
STATE = {"weight f32": 4, "first moment": 4, "second moment": 4, "gradient f32": 4, "streamed copy": 2}
# Room for a checkpoint being written while training goes on (weights and moments), and double buffers of what streams.
STAGING = {"checkpoint staging": 12, "double buffers": 4}
# What an update moves through DRAM: reads g, w, m, v (16), writes w, m, v (12), writes the copy (2).
UPDATE_BYTES = 30
# Accumulating a gradient over passes: read and write in f32.
ACCUMULATE_BYTES = 8
LINK_BYTES_PER_SECOND = 12 * 100e9 / 8  # 12 x 100 GbE per direction: product pages of CS-2 and CS-3
DIMM_BYTES = 96e9  # of the nodes at ALCF: 1,128 GiB in 12 channels


@dataclass(frozen=True, kw_only=True)
class MemoryX:
    """Nodes of DDR5.  efficiency: of the peak; 0.82 at 4800 is what STREAM measures on a 12-channel socket."""

    nodes: int = 48
    channels: int = 12  # per node
    transfers: float = 4800e6  # per second
    efficiency: float = 0.82
    bytes: float = 55e12

    @property
    def bandwidth(self) -> float:
        """Bytes per second of all nodes: a channel is 8 bytes wide."""
        return self.nodes * self.channels * 8 * self.transfers * self.efficiency

    @classmethod
    def of(cls, size: float, **changes: Any) -> MemoryX:
        """As many one-socket nodes of 12 DIMMs of 96 GB as `size` bytes take."""
        made = cls(bytes=size, **changes)
        return made if "nodes" in changes else replace(made, nodes=math.ceil(size / (made.channels * DIMM_BYTES)))


@dataclass(frozen=True, kw_only=True)
class Network:
    """Links and SwarmX.  hop: seconds per tier of the tree; not public, 2 to 10 microseconds assumed.  fan_out: 1:4."""

    link: float = LINK_BYTES_PER_SECOND
    hop: float = 5e-6
    fan_out: int = 4

    def depth(self, systems: int) -> int:
        """Tiers of the broadcast-reduce tree: none for one system."""
        depth, reach = 0, 1
        while reach < systems:
            depth, reach = depth + 1, reach * self.fan_out
        return depth


@dataclass(frozen=True, kw_only=True)
class System:
    """A cluster.

    machine: each wafer, whose figures of whole wafers are used.  weight_bytes, gradient_bytes: per number in the
    streams.  update: when MemoryX updates (events.py).  jitter: relative standard deviation of a wafer's time for a
    pass.
    """

    machine: Machine = WSE3
    memoryx: MemoryX = MemoryX()
    network: Network = Network()
    weight_bytes: float = 2.0
    gradient_bytes: float = 4.0
    update: str = "serial"
    jitter: float = 0.0

    def __post_init__(self) -> None:
        if self.update not in UPDATES:
            raise ConfigError(f"update is {self.update!r}, known are {', '.join(UPDATES)}")


# When MemoryX applies a step's gradients.
UPDATES = {
    "arriving": "each layer as soon as its last gradient is there: no clipping by the global norm",
    "ordered": "after the last gradient (clipping needs all), first layer first; the next step starts behind it",
    "serial": "after the last gradient, and the next step starts when all layers are done",
}

_SIZE = re.compile(r"(?i)\s*([0-9.]+)\s*([kmgtp]?)b?\s*")


def size(words: str) -> float:
    """'55TB' -> 55e12 bytes."""
    match = _SIZE.fullmatch(words)
    try:
        return float(match[1]) * 1000 ** " kmgtp".index(match[2].lower() or " ") if match else 1 / 0
    except (ValueError, ZeroDivisionError):
        raise ConfigError(f"{words!r} is no size: a number and a unit, such as 55TB") from None
