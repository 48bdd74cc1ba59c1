"""SiLU of random activations, alone or gated (SwiGLU), forward and backward.

As gelu, with x sigmoid(x).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import Result, RunOptions, gelu

PARAMETERS = {name: parameter for name, parameter in gelu.PARAMETERS.items() if name != "exact"}
GRID = gelu.GRID


def run(config: Mapping[str, Any], options: RunOptions) -> Result:
    """See wse.kernels."""
    return gelu.compare("silu", "silu", PARAMETERS, config, options, GRID)
