"""RMS norm of random activations, forward and backward.

As layernorm, without mean and bias: one all-reduce forward, one backward, and fewer operations on the tile.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import Result, layernorm

PARAMETERS = layernorm.PARAMETERS
GRID = layernorm.GRID


def run(config: Mapping[str, Any], *, grid: tuple[int, int] | None = None, seed: int = 0, **options: Any) -> Result:
    """See wse.kernels."""
    return layernorm.compare("rmsnorm", "rms", PARAMETERS, config, grid or GRID, seed, options)
