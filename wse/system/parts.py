"""A cluster of wafers as `wse system` models it: wafers, MemoryX and network, and bytes per parameter."""

from __future__ import annotations

from ..errors import ConfigError
from ..machine.parameters import WSE3, Machine
from ..memoryx import AdamW, MemoryX, Network
from ..memoryx.system import COPY_BYTES, GRADIENT_BYTES, SLOT_BYTES, WEIGHT_BYTES
from ..records import dataclass

OPTIMIZER = AdamW(1e-4)  # with mixed precision; its rate decides nothing here
# Bytes per trained number in MemoryX.
STATE = {
    "weight f32": WEIGHT_BYTES,
    "first moment": SLOT_BYTES,
    "second moment": SLOT_BYTES,
    "gradient f32": GRADIENT_BYTES,
    "streamed copy": COPY_BYTES,
}
# Capacity for a checkpoint that is written while training goes on (weights and moments), and double buffers of streams.
STAGING = {"checkpoint staging": 12, "double buffers": 4}
# Accumulating a gradient over passes: read and write in f32.
ACCUMULATE_BYTES = 8
# 12 x 100 GbE per direction, as product pages of CS-2 and CS-3 state it, taken as payload.
NETWORK = Network(framing=0)
MEMORYX_55TB = MemoryX.of(55e12, network=NETWORK)


@dataclass(frozen=True, kw_only=True)
class System:
    """A cluster.

    machine           of each wafer; its figures of whole wafers are used
    memoryx           with its network
    weight_bytes, gradient_bytes    of a number in the streams
    update            when MemoryX applies gradients: a key of UPDATES
    jitter            standard deviation of a wafer's time for a pass, relative to it

    Raises ConfigError for an unknown update.
    """

    machine: Machine = WSE3
    memoryx: MemoryX = MEMORYX_55TB
    weight_bytes: float = 2.0
    gradient_bytes: float = 4.0
    update: str = "serial"
    jitter: float = 0.0

    def __post_init__(self) -> None:
        if self.update not in UPDATES:
            raise ConfigError(f"update is {self.update!r}, known are {', '.join(UPDATES)}")

    @property
    def network(self) -> Network:
        """Links and tree."""
        return self.memoryx.network

    @property
    def update_bandwidth(self) -> float:
        """Bytes per second of DRAM during an update."""
        return self.memoryx.update_bandwidth(OPTIMIZER)

    def update_seconds(self, parameters: float) -> float:
        """Seconds of an update of so many parameters."""
        return self.memoryx.update_seconds(parameters, OPTIMIZER)


# When MemoryX applies a step's gradients.
UPDATES = {
    "arriving": "each layer as soon as its last gradient is there: no clipping by the global norm",
    "ordered": "after the last gradient (clipping needs all), first layer first; the next step starts behind it",
    "serial": "after the last gradient, and the next step starts when all layers are done",
}
