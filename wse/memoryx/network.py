"""The network: Ethernet links between MemoryX and a wafer, and the SwarmX tree that joins several wafers."""

from __future__ import annotations

from ..errors import ConfigError
from ..records import dataclass

# Bytes of a RoCE v2 frame beside its payload: preamble 8, Ethernet 14 + 4, gap 12, IP 20, UDP 8, BTH 12, ICRC 4.
FRAME = 82


@dataclass(frozen=True)
class Network:
    """The links of one wafer, full duplex, and the tree between wafers.

    links, gbps   links to a wafer, and Gbit/s of each in each direction: 12 x 100 GbE = 150 GB/s is the vendor's figure
    mtu           payload of a frame, bytes
    framing       bytes that a frame takes beside its payload; 0 gives the vendor's figure as payload
    latency_us    microseconds from MemoryX to the first receiver; the vendor states below 5 for inference traffic
    hop_us        microseconds per tier of the SwarmX tree; not public, 2 to 10 are assumed
    fan_out       children of a node of the tree; the vendor states 1:4

    Raises ConfigError for a value below its least.
    """

    links: int = 12
    gbps: float = 100.0
    mtu: int = 4096
    framing: int = FRAME
    latency_us: float = 5.0
    hop_us: float = 5.0
    fan_out: int = 4

    def __post_init__(self) -> None:
        least = {"links": 1, "gbps": 1e-6, "mtu": 64, "framing": 0, "latency_us": 0, "hop_us": 0, "fan_out": 2}
        for name, bound in least.items():
            if not getattr(self, name) >= bound:
                raise ConfigError(f"{name} of a network is at least {bound}, not {getattr(self, name)!r}")

    @property
    def raw(self) -> float:
        """Bytes per second and direction, frames included."""
        return self.links * self.gbps * 1e9 / 8

    @property
    def bandwidth(self) -> float:
        """Bytes of payload per second and direction."""
        return self.raw * self.mtu / (self.mtu + self.framing)

    @property
    def latency(self) -> float:
        """Seconds from MemoryX to the first receiver, or back."""
        return self.latency_us * 1e-6

    @property
    def hop(self) -> float:
        """Seconds per tier of the tree."""
        return self.hop_us * 1e-6

    def depth(self, systems: int) -> int:
        """Tiers of the broadcast and reduction tree of so many systems: 0 for one."""
        depth, reach = 0, 1
        while reach < systems:
            depth, reach = depth + 1, reach * self.fan_out
        return depth
