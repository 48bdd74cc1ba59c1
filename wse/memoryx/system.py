"""A MemoryX as a whole: nodes of DDR5 channels and the network to the wafers; from a size, from flags, from a file."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from . import ddr5
from .ddr5 import Ddr5
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


def read(path: Path | str) -> MemoryX:
    """A MemoryX from a TOML file: channels, nodes, buffer, and tables [ddr5] and [network] with the fields of Ddr5,
    Controller (in [ddr5.controller]) and Network.  What is left out is the default.  ConfigError for anything else."""
    try:
        table = tomllib.loads(Path(path).read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as TOML: {error}") from None
    return from_table(table, str(path))


def from_table(table: dict[str, Any], where: str = "MemoryX") -> MemoryX:
    """See `read`; `where` names the table in errors."""
    table = dict(table)
    try:
        made: dict[str, Any] = {}
        if "ddr5" in table:
            made["part"] = ddr5.from_table(table.pop("ddr5"))
        if "network" in table:
            made["network"] = _make(Network, table.pop("network"))
        return _make(MemoryX, table | made)
    except (TypeError, AttributeError) as error:
        raise ConfigError(f"{where}: a figure has the wrong type: {error}") from None
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def _make(kind: type, table: dict[str, Any]) -> Any:
    known = [f.name for f in fields(kind)]
    for name in table:
        if name not in known:
            raise ConfigError(f"{name} is no figure of {kind.__name__}; there are {', '.join(known)}")
    return kind(**table)
