"""The network between MemoryX and the wafer: parallel Ethernet links, the same in both directions."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ConfigError

# Bytes of a RoCE v2 frame beside its payload: preamble 8, Ethernet 14 + 4, gap 12, IP 20, UDP 8, BTH 12, ICRC 4.
FRAME = 82


@dataclass(frozen=True)
class Network:
    """links of `gbps` each way: 12 x 100 GbE = 150 GB/s to a CS-2 or CS-3 (vendor's figure).  mtu: payload of a frame;
    framing: bytes a frame costs beside it (0: what the vendor's figure counts).  latency_us: from MemoryX to the edge
    of the wafer; below 5 us by the vendor's account of inference traffic.  Full duplex."""

    links: int = 12
    gbps: float = 100.0
    mtu: int = 4096
    framing: int = FRAME
    latency_us: float = 5.0

    def __post_init__(self) -> None:
        for name, least in (("links", 1), ("gbps", 1e-6), ("mtu", 64), ("framing", 0), ("latency_us", 0)):
            if not getattr(self, name) >= least:
                raise ConfigError(f"{name} of a network is at least {least}, not {getattr(self, name)!r}")

    @property
    def raw(self) -> float:
        """Bytes a second and direction, with frames."""
        return self.links * self.gbps * 1e9 / 8

    @property
    def bandwidth(self) -> float:
        """Bytes of payload a second and direction."""
        return self.raw * self.mtu / (self.mtu + self.framing)

    @property
    def latency(self) -> float:
        """Seconds."""
        return self.latency_us * 1e-6
