"""Rotary positions applied to random queries, and taken back from their gradient.

Data layout.  A PE holds whole heads [heads d_head][tokens] and whole sequences; tables of cosines and sines, f32
[turned / 2][tokens], lie in its memory.

Program.  Of each head the first `turned` features are turned as pairs (c, c + turned / 2), in place, by vector
operations over all tokens and half of the head at once; backward turns by the opposite angle.

What bounds it.  f32 products, two an element.

The result is verified against float64, to 4 half units of the last place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..operators import rotary as operator
from . import Parameter, Result, RunOptions
from . import single as alone
from .single import DTYPE, TOKENS, Alone, Tensor

PARAMETERS = {
    p.name: p
    for p in (
        Parameter("heads", int, 2, "Heads of a PE."),
        Parameter("d_head", int, 8, "Features of a head."),
        Parameter("turned", int, 0, "Of these, how many are turned; 0: all."),
        TOKENS,
        Parameter("theta", float, 10_000.0, "Base of the angles."),
        DTYPE,
    )
}
GRID = (2, 2)
UNITS = 4  # of rounding: once


def run(config: Mapping[str, Any], options: RunOptions) -> Result:
    """See wse.kernels."""
    policy = alone.begin("rotary", PARAMETERS, config, "heads", "d_head", "tokens")
    job = Alone(options, GRID)
    region = job.region(policy, config["tokens"])
    (width, height), t = job.grid, config["tokens"]
    rows, turned = config["heads"] * config["d_head"], config["turned"] or config["d_head"]
    made = operator.Rotary(config["heads"], config["d_head"], turned, t, policy.size)
    positions = np.arange(t)
    cos, sin = operator.tables(turned, config["theta"], positions)
    rng = np.random.default_rng(options.seed)
    x, dx = (alone.rounded(rng.normal(0, 1, (height, width, rows, t)), policy) for _ in range(2))
    tensors = {"x": Tensor((rows, t), x), "dx": Tensor((rows, t), dx)}
    tensors |= {"cos": Tensor(cos.shape, cos, "f32"), "sin": Tensor(sin.shape, sin, "f32")}
    routines = [made.forward("forward"), made.backward("backward")]
    outcome = job.execute(region, routines, tensors, {"backward.x": "dx"})
    compared = {}
    for name, values, sign in (("x", x, 1), ("dx", dx, -1)):
        wanted = [
            operator.reference(tile, config["heads"], turned, config["theta"], positions, sign)
            for tile in values.reshape(-1, rows, t)
        ]
        compared[name] = (outcome.arrays[name], np.reshape(wanted, values.shape))
    return alone.result("rotary", config, outcome, compared, UNITS)
