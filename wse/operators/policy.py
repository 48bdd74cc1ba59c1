"""Precision policies: storage type, and precision of products and sums.

Storage is the type of activations and of streamed weights: f16, bf16, cb16 or f32.  The level determines the sums:

            products of a linear layer      weight gradients         attention               norms, activations, loss
    POL0    exact products, f32 sums        f32                      f32 sums and scores     f32 inside
    POL1    16-bit sums in one column of    f32                      f32 sums and scores     f32 inside
            PEs, f32 between columns
    POL2    16-bit sums                     16-bit sums over the     16-bit sums, scores     f32 inside
                                            tokens of a PE, f32      and probabilities
                                            from PE to PE

With f32 storage everything is f32 and the level has no effect.  Master weights and optimiser state are always f32, off
the wafer.  POL1 is the vendor's default, and POL0 its advice for large models (pages on numeric precision and numerical
issues of its documentation).  The vendor does not publish what "mixed" means; the table above is an assumption.
"""

from __future__ import annotations

from ..errors import ConfigError
from ..records import dataclass

STORAGES = ("f16", "bf16", "cb16", "f32")
LEVELS = ("POL0", "POL1", "POL2")


@dataclass(frozen=True)
class Policy:
    """A policy.  storage: one of STORAGES.  level: one of LEVELS.  Raises ConfigError for other values."""

    storage: str = "f16"
    level: str = "POL0"

    def __post_init__(self) -> None:
        if self.storage not in STORAGES:
            raise ConfigError(f"the storage of a policy is {', '.join(STORAGES)}, not {self.storage!r}")
        if self.level not in LEVELS:
            raise ConfigError(f"the level of a policy is {', '.join(LEVELS)}, not {self.level!r}")

    @property
    def wide(self) -> bool:
        """Storage is f32."""
        return self.storage == "f32"

    @property
    def fp16(self) -> str:
        """The 16-bit format of the program."""
        return "f16" if self.wide else self.storage

    @property
    def element(self) -> str:
        """The dtype of an activation's array."""
        return "f32" if self.wide else "f16"

    @property
    def size(self) -> int:
        """Bytes of an element."""
        return 4 if self.wide else 2

    @property
    def products(self) -> str:
        """How a linear layer sums: "f32" (f32 elements), "exact" (16-bit elements, f32 sums), "mixed" or "half"."""
        return "f32" if self.wide else {"POL0": "exact", "POL1": "mixed", "POL2": "half"}[self.level]

    @property
    def gradients(self) -> str:
        """How the tokens of one PE are summed for a weight gradient: "f32", "exact" or "half"."""
        return "f32" if self.wide else {"POL0": "exact", "POL1": "exact", "POL2": "half"}[self.level]
