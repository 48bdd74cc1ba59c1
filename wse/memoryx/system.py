"""A MemoryX as a whole: nodes of DDR5 channels and the network to the wafer; from flags and from a file."""

from __future__ import annotations

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


@dataclass(frozen=True)
class MemoryX:
    """nodes, each with `channels` DIMMs of `part`, and the network to one wafer.

    buffer: bytes that are read ahead of the network, in all (two buffers of half of it: one is filled while the other
    is sent).  Tensors are striped over all channels, so that each reads its part of every tensor.
    """

    part: Ddr5 = field(default_factory=Ddr5)
    channels: int = 12
    nodes: int = 24
    network: Network = field(default_factory=Network)
    buffer: int = 8 << 20

    def __post_init__(self) -> None:
        for name in ("channels", "nodes", "buffer"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(f"{name} of MemoryX is an integer of at least 1, not {value!r}")

    @property
    def peak(self) -> float:
        """Bytes a second of all channels."""
        return self.nodes * self.channels * self.part.peak

    @property
    def capacity(self) -> float:
        """Bytes of all DIMMs."""
        return self.nodes * self.channels * self.part.capacity

    def bandwidth(self, reads: int = 1, writes: int = 0) -> float:
        """Bytes a second of all channels for arrays that are read and written in step: the peak times what the order
        of the accesses gets of it."""
        return self.peak * ddr5.sequential(self.part, reads, writes)

    def update_seconds(self, parameters: float, optimizer: Optimizer) -> float:
        """Of an update of so many parameters, which the memory bounds (12 to 18 operations a parameter)."""
        slots = len(optimizer.slots)
        return parameters * sum(optimizer.traffic) / self.bandwidth(2 + slots, 2 + slots)

    def bytes_of(self, parameters: float, optimizer: Optimizer) -> float:
        """Bytes that a model's weights, gradients, copies and optimiser state take."""
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
