"""Softmax over the features of random activations, forward and backward.

Data layout.  Tiles as in layernorm.

Program.  The greatest of each token's features and the sum of the exponentials are all-reduced over the row of PEs, and
in backward the sum of y dy is.  All arithmetic is f32.  Attention and crossentropy have their own softmax.

What bounds it.  exp: some 17 cycles an element of the tile in f32, 12 in 16 bits.

The result is verified against float64, to 12 half units of the last place.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from ..operators import ring
from ..operators import softmax as operator
from . import Result, RunOptions
from . import single as alone
from .single import DTYPE, FEATURES, TOKENS, Alone, Tensor

PARAMETERS = {p.name: p for p in (FEATURES, TOKENS, DTYPE)}
GRID = (4, 2)
UNITS = 12  # of rounding: y and dx are rounded, and e^x has the rounding of its exponent


def run(config: Mapping[str, Any], options: RunOptions) -> Result:
    """See wse.kernels."""
    policy = alone.begin("softmax", PARAMETERS, config, "features", "tokens")
    job = Alone(options, GRID)
    region = job.region(policy, config["tokens"])
    (width, height), features, t = job.grid, config["features"], config["tokens"]
    rows = region.features(features)
    rng = np.random.default_rng(options.seed)
    x, dy = (alone.rounded(rng.normal(0, size, (features, height * t)), policy) for size in (3, 1))
    made = operator.Softmax(features, rows, t, width, policy.size)
    routines = [
        made.forward("forward", partial(ring.allreduce, region)),
        made.backward("backward", partial(ring.allreduce, region)),
    ]
    tensors = {name: Tensor((rows, t), alone.tiles(values, rows, width, t)) for name, values in (("x", x), ("dy", dy))}
    tensors |= {"y": Tensor((rows, t)), "dx": Tensor((rows, t))}
    outcome = job.execute(region, routines, tensors)
    wanted = dict(zip(("y", "dx"), operator.reference(x, dy), strict=True))
    compared = {name: (alone.untiled(outcome.arrays[name], features), value) for name, value in wanted.items()}
    return alone.result("softmax", config, outcome, compared, UNITS)
