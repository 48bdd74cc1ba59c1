"""Dynamic loss scaling: the loss is multiplied by a factor so that small gradients do not underflow in 16 bits.

A step with non-finite gradients is skipped and halves the scale; `patience` consecutive steps with finite gradients
double it.  The limits follow common practice of mixed-precision training.  The initial and largest scale is half of
the power of two that overflows: 2^15 for f16, 2^20 for cb16; for bf16, which hardly needs one, 2^15 too.  The smallest
is 2^-14.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ..errors import ConfigError
from ..records import dataclass

LEAST = 2.0**-14
MOST = {"f16": 2.0**15, "bf16": 2.0**15, "cb16": 2.0**20, "f32": 1.0}
PATIENCE = 2000  # clean steps


@dataclass
class Scaler:
    """The state of loss scaling.

    scale: factor of the loss in the next pass.  most, least: limits.  patience: finite steps before the scale doubles.
    clean: finite steps since the scale changed.  skipped: skipped steps in total.  dynamic: whether the scale changes.
    """

    scale: float
    most: float
    least: float = LEAST
    patience: int = PATIENCE
    clean: int = 0
    skipped: int = 0
    dynamic: bool = True

    @classmethod
    def of(cls, dtype: str, choice: str | float = "dynamic") -> Scaler:
        """The initial state for an element type.

        choice: "dynamic", "none" (constant 1) or a constant scale.  Raises ConfigError for any other value.
        """
        if choice == "dynamic":
            return cls(MOST[dtype], MOST[dtype], dynamic=dtype != "f32")
        try:
            scale = 1.0 if choice == "none" else float(choice)
        except ValueError:
            scale = 0.0
        if not 0 < scale < float("inf"):
            raise ConfigError(f"a loss scale is a number above 0, dynamic or none, not {choice!r}")
        return cls(scale, scale, dynamic=False)

    def after(self, finite: bool) -> bool:
        """Adjusts the scale after a step.  finite: whether all its gradients were; returns whether to do its update."""
        if not finite:
            self.skipped += 1
            self.clean = 0
            if self.dynamic:
                self.scale = max(self.scale / 2, self.least)
            return False
        self.clean += 1
        if self.dynamic and self.clean >= self.patience:
            self.scale, self.clean = min(self.scale * 2, self.most), 0
        return True

    def state(self) -> dict[str, Any]:
        """The fields as JSON values; `restored` takes them."""
        return asdict(self)

    @classmethod
    def restored(cls, state: dict[str, Any]) -> Scaler:
        """The scaler that `state` described."""
        return cls(**state)
