"""A MemoryX as a whole: nodes of DDR5 channels and the network to the wafers; from a size, from flags, from a file."""

from __future__ import annotations

import math
from dataclasses import field
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..records import dataclass
from ..schema import Boolean, Integer, Kind, Number, Text, check_table, read_toml
from . import ddr5
from .ddr5 import Controller, Ddr5
from .network import Network
from .optimizer import Optimizer

# Bytes a parameter takes: master weight, gradient (float32), 16-bit copy; and 4 for each slot of the optimiser.
WEIGHT_BYTES, GRADIENT_BYTES, COPY_BYTES, SLOT_BYTES = 4, 4, 2, 4


# The DIMM of the nodes at ALCF (1,128 GiB in 12 channels), and of a MemoryX of a given size: 96 GiB.
DIMM_96GB = Ddr5(4800, ranks=2, density=24)


@dataclass(frozen=True)
class MemoryX:
    """A MemoryX: `nodes` nodes, each with `channels` channels, each with one DIMM `part`.

    network   to a wafer, and between wafers
    buffer    bytes read ahead of the network, in all: two buffers of half of it, one is filled while the other is sent
    size      bytes that may be used, as they are sold; None: those of all DIMMs

    Tensors are striped over all channels.  Raises ConfigError where a figure is not in its range.
    """

    part: Ddr5 = field(default_factory=Ddr5)
    channels: int = 12
    nodes: int = 24
    network: Network = field(default_factory=Network)
    buffer: int = 8 << 20
    size: float | None = None

    def __post_init__(self) -> None:
        for name in ("channels", "nodes", "buffer"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(f"{name} of MemoryX is an integer of at least 1, not {value!r}")
        if self.size is not None and not 0 < self.size < math.inf:
            raise ConfigError(f"size of MemoryX is a number of bytes above 0, not {self.size!r}")

    @classmethod
    def of(
        cls, size: float, part: Ddr5 = DIMM_96GB, channels: int = 12, nodes: int | None = None, **more: Any
    ) -> MemoryX:
        """A MemoryX of `size` bytes: by default as many nodes as that takes, a DIMM counted at its nominal size.

        The nominal size of a DIMM has a GB for each GiB: 96 GB for 96 GiB.
        """
        nominal = part.capacity / 2**30 * 1e9
        return cls(part, channels, nodes or math.ceil(size / (channels * nominal)), size=size, **more)

    @property
    def peak(self) -> float:
        """Bytes per second of all channels."""
        return self.nodes * self.channels * self.part.peak

    @property
    def capacity(self) -> float:
        """Bytes: `size`, or those of all DIMMs."""
        return self.nodes * self.channels * self.part.capacity if self.size is None else self.size

    def bandwidth(self, reads: int = 1, writes: int = 0) -> float:
        """Bytes per second of all channels, read and written together.

        reads, writes: arrays that are read and written in step.  The peak times the share of it that this order of
        accesses reaches (ddr5.py).
        """
        return self.peak * ddr5.sequential(self.part, reads, writes)

    def update_bandwidth(self, optimizer: Optimizer) -> float:
        """Bytes per second of all channels during an update."""
        arrays = 2 + len(optimizer.slots)
        return self.bandwidth(arrays, arrays)

    def update_seconds(self, parameters: float, optimizer: Optimizer) -> float:
        """Seconds of an update of so many parameters, which memory bounds: it takes 12 to 18 operations a parameter."""
        return parameters * sum(optimizer.traffic) / self.update_bandwidth(optimizer)

    def bytes_of(self, parameters: float, optimizer: Optimizer) -> float:
        """Bytes of a model's weights, gradients, 16-bit copies and optimiser state."""
        return parameters * (WEIGHT_BYTES + GRADIENT_BYTES + COPY_BYTES + SLOT_BYTES * len(optimizer.slots))


# What a file may say: the figures of MemoryX, of its tables [network], [ddr5] and [ddr5.controller].
_FIGURES: dict[str, Kind] = {
    "channels": Integer(1, 1024),
    "nodes": Integer(1, 1_000_000),
    "buffer": Integer(1, 1 << 40),
    "size": Number(0, 1e18, above=True),
}
_NETWORK: dict[str, Kind] = {
    "links": Integer(1, 100_000),
    "gbps": Number(1e-6, 1e6),
    "mtu": Integer(64, 65_536),
    "framing": Integer(0, 65_536),
    "latency_us": Number(0, 1e9),
    "hop_us": Number(0, 1e9),
    "fan_out": Integer(2, 1024),
}
_DDR5: dict[str, Kind] = dict.fromkeys(("speed", "ranks", "density", "width", "stack"), Integer(1, 100_000))
_DDR5["refresh"] = Text(("all", "same"))
_CONTROLLER: dict[str, Kind] = {"window": Integer(1, 4096), "batch": Integer(1, 4096), "hashed": Boolean()}


def read(path: Path | str) -> MemoryX:
    """A MemoryX from a TOML file.

    It holds channels, nodes, buffer, size, and the tables [ddr5], [ddr5.controller] and [network] with the fields of
    Ddr5, Controller and Network.  What is left out has its default.

    ConfigError names the file, the figure, its value and what is allowed.
    """
    return from_table(read_toml(path, "MemoryX file"), f"MemoryX file {path}")


def from_table(table: dict[str, Any], where: str = "MemoryX") -> MemoryX:
    """Make a MemoryX from a table as in a file; see `read`.  where: the name of the table in errors."""
    table = dict(table)
    part, network = table.pop("ddr5", {}), table.pop("network", {})
    check_table(table, _FIGURES, where, "of MemoryX")
    check_table(network, _NETWORK, f"{where}: [network]", "of the network")
    if isinstance(part, int) and not isinstance(part, bool):
        raise ConfigError(
            f"{where}: ddr5 is {part}, but must be a table: write [ddr5] and below it speed = {part}; "
            f"it may also hold {', '.join(name for name in _DDR5 if name != 'speed')}"
        )
    controller = part.get("controller", {}) if isinstance(part, dict) else {}
    figures = {name: value for name, value in part.items() if name != "controller"} if isinstance(part, dict) else part
    check_table(figures, _DDR5, f"{where}: [ddr5]", "of DDR5")
    check_table(controller, _CONTROLLER, f"{where}: [ddr5.controller]", "of a memory controller")
    try:
        made = Ddr5(**figures, controller=Controller(**controller))
        return MemoryX(part=made, network=Network(**network), **table)
    except ConfigError as error:  # a rule that concerns several figures, or a list of allowed ones
        raise ConfigError(f"{where}: {error}") from None
