"""Whether a model fits into MemoryX: bytes by component, and the capacity of configurations that are sold."""

from __future__ import annotations

from ..records import dataclass
from .parts import STAGING, STATE

# (configuration, bytes, parameters that it is sold or reported for, source)
CONFIGURATIONS = (
    ("24 TB", 24e12, 480e9, "CS-3 product pages"),
    ("36 TB", 36e12, 720e9, "CS-3 product pages"),
    ("120 TB", 120e12, 2.4e12, "CS-3 product pages"),
    ("1,200 TB", 1200e12, 24e12, "CS-3 product pages"),
    ("55 TB", 55e12, 1e12, "Sandia press release"),
    ("CG-1, 12 TB", 12e12, 600e9, "press, CS-2"),
    ("ALCF, 13.2 TiB", 13.2 * 2**40, 200e9, "ALCF user guide"),
)


@dataclass(frozen=True)
class Capacity:
    """Bytes of a model by component, and the bytes available.  needed: the state.  staged: with staging."""

    components: dict[str, float]
    available: float

    @property
    def needed(self) -> float:
        """Bytes of the training state, without staging buffers."""
        return sum(self.components[name] for name in STATE)

    @property
    def staged(self) -> float:
        """Bytes of the training state and staging buffers."""
        return sum(self.components.values())

    @property
    def fits(self) -> bool:
        """Whether the state fits.  `comfortable`: whether staging fits as well."""
        return self.needed <= self.available

    @property
    def comfortable(self) -> bool:
        """Whether state and staging buffers fit."""
        return self.staged <= self.available


def capacity(parameters: int, available: float) -> Capacity:
    """The capacity that a model of so many parameters needs, of a MemoryX of `available` bytes."""
    return Capacity({name: size * float(parameters) for name, size in (STATE | STAGING).items()}, available)


def configurations() -> list[tuple[str, float, float, bool, bool, str]]:
    """(configuration, bytes per parameter, parameters that would fit with staging, fits, comfortable, source)."""
    found = []
    for name, size, parameters, source in CONFIGURATIONS:
        made = capacity(int(parameters), size)
        staged = made.staged / parameters
        found.append((name, size / parameters, size / staged, made.fits, made.comfortable, source))
    return found
