"""Layer norm of random activations, forward and backward.

Data layout.  On a grid of w x h PEs, PE (x, y) holds of an activation a tile [features][tokens], tokens contiguous:
features x f .. x f + f - 1 with f = ceil(features / w), of tokens y t .. y t + t - 1; zeros fill what lies beyond.
Gains and biases lie in f32 as [f] in every PE, and so do their gradients, each row's being sums over its own tokens.

Program.  Mean, variance (of differences to the mean) and, in backward, two means of the gradient are sums of vectors of
t tokens: over the PE's own rows, then over the row of PEs by a chain to the east and a multicast back.  Everything else
is vector operations on the tile; 1 / sqrt is three steps of Newton's iteration from a first value that comes of the
number's own bits.  All arithmetic is f32; 16-bit elements are rounded when they are stored.

What bounds it.  f32 products, one a cycle: some 5 cycles an element forward and 13 backward, and for small tiles the
all-reduces, some 300 cycles for 32 tokens on four PEs.

The result is verified against float64: |difference| / |result| of y, dx and the gradients of gain and bias may be 12
half units of the last place of the element type.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from ..operators import ring
from ..operators.norm import Norm
from . import Parameter, Result, RunOptions
from . import single as alone
from .single import DTYPE, FEATURES, TOKENS, Alone, Tensor

PARAMETERS = {p.name: p for p in (FEATURES, TOKENS, Parameter("eps", float, 1e-5, "Added to the variance."), DTYPE)}
GRID = (4, 2)
UNITS = 12  # of rounding: xhat and the results are rounded, f32 sums run over all features


def run(config: Mapping[str, Any], options: RunOptions) -> Result:
    """See wse.kernels."""
    return compare("layernorm", "layer", PARAMETERS, config, options, GRID)


def compare(
    kernel: str,
    kind: str,
    parameters: Mapping[str, Parameter],
    config: Mapping[str, Any],
    options: RunOptions,
    grid: tuple[int, int],
) -> Result:
    """A norm against its reference."""
    policy = alone.begin(kernel, parameters, config, "features", "tokens")
    job = Alone(options, grid)
    region = job.region(policy, config["tokens"])
    (width, height), features, t = grid, config["features"], config["tokens"]
    rows = region.features(features)
    norm = Norm(kind, features, rows, t, width, policy.size, config["eps"], kind == "layer")
    rng = np.random.default_rng(options.seed)
    x, dy = (alone.rounded(rng.normal(mean, 1, (features, height * t)), policy) for mean in (0.5, 0))
    gain, bias = (rng.normal(mean, 0.2, features).astype(np.float32) for mean in (1, 0))

    def tile(values: np.ndarray | None = None) -> Tensor:
        return Tensor((rows, t), None if values is None else alone.tiles(values, rows, width, t))

    def vector(values: np.ndarray) -> Tensor:
        padded = np.zeros(rows * width, np.float32)
        padded[:features] = values
        return Tensor((rows,), padded.reshape(1, width, rows), "f32")

    tensors = {name: tile() for name in ("y", "xhat", "dx")} | {"x": tile(x), "dy": tile(dy), "gain": vector(gain)}
    tensors |= {"rstd": Tensor((t,), dtype="f32"), "dgain": Tensor((rows,), dtype="f32")}
    if norm.bias:
        tensors |= {"bias": vector(bias), "dbias": Tensor((rows,), dtype="f32")}
    routines = [
        norm.forward("forward", partial(ring.allreduce, region)),
        norm.backward("backward", partial(ring.allreduce, region)),
    ]
    outcome = job.execute(region, routines, tensors)
    y, xhat, rstd = norm.reference(x, gain, bias if norm.bias else None)
    dx, dgain, dbias = norm.reference_backward(dy, gain, xhat, rstd)
    compared = {name: (alone.untiled(outcome.arrays[name], features), v) for name, v in (("y", y), ("dx", dx))}
    for name, wanted in (("dgain", dgain), ("dbias", dbias)):
        if name in outcome.arrays:
            compared[name] = (outcome.arrays[name].sum(axis=0, dtype=np.float64).ravel()[:features], wanted)
    return alone.result(kernel, config, outcome, compared, UNITS)
