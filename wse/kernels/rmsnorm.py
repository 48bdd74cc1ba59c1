"""RMS norm of random activations, forward and backward.

As layernorm, without mean and bias: one all-reduce forward, one backward, and fewer operations on the tile.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import Result, RunOptions, layernorm

PARAMETERS = layernorm.PARAMETERS
GRID = layernorm.GRID


def run(config: Mapping[str, Any], options: RunOptions) -> Result:
    """See wse.kernels."""
    return layernorm.compare("rmsnorm", "rms", PARAMETERS, config, options, GRID)
