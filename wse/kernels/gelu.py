"""GELU of random activations, exact or in the tanh form, alone or gated, forward and backward.

Data layout.  Tiles as in layernorm; every PE works on its own.

Program.  Forward overwrites its input by the derivative, so that backward is one product, of 16-bit elements 2 a cycle.
The tanh form is x sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3); the exact one goes by the tail of the normal
distribution, e^(-x^2 / 2) times a polynomial of 1 / (1 + p |x|), which keeps its digits where x is far below 0.  exp
takes n = x / ln 2 rounded, a polynomial, and a change of exponents; 1 / x is Newton's iteration from a first value that
comes of the number's own bits.  All of it is f32 and goes in chunks of 256 elements; for 16-bit elements polynomials
and iterations are shorter.

What bounds it.  f32 products, one a cycle: forward some 24 cycles an element in 16 bits, 32 in f32.

The result is verified against float64, to 8 half units of the last place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..operators import activation
from . import Parameter, Result, RunOptions
from . import single as alone
from .single import DTYPE, FEATURES, TOKENS, Alone, Tensor

GATED = Parameter("gated", bool, False, "Times a second activation, as in SwiGLU.")
EXACT = Parameter("exact", bool, False, "By the error function, not the tanh form.")
PARAMETERS = {p.name: p for p in (FEATURES, TOKENS, EXACT, GATED, DTYPE)}
GRID = (2, 2)
UNITS = 8  # of rounding: function and derivative are rounded, then products of them


def run(config: Mapping[str, Any], options: RunOptions) -> Result:
    """See wse.kernels."""
    function = "gelu" if config.get("exact") else "gelu_tanh"
    return compare("gelu", function, PARAMETERS, config, options, GRID)


def compare(
    kernel: str,
    function: str,
    parameters: Mapping[str, Parameter],
    config: Mapping[str, Any],
    options: RunOptions,
    grid: tuple[int, int],
) -> Result:
    """An activation against its reference."""
    policy = alone.begin(kernel, parameters, config, "features", "tokens")
    job = Alone(options, grid)
    region = job.region(policy, config["tokens"])
    (width, height), features, t = grid, config["features"], config["tokens"]
    rows = region.features(features)
    n, rng = rows * t, np.random.default_rng(options.seed)
    x, up, dy = (alone.rounded(rng.normal(0, size, (features, height * t)), policy) for size in (2, 1, 1))

    def tile(values: np.ndarray | None = None) -> Tensor:
        return Tensor((rows, t), None if values is None else alone.tiles(values, rows, width, t))

    f, slope = activation.reference(function, x)
    if config["gated"]:
        tensors = {"gate": tile(x), "up": tile(up), "dy": tile(dy), "y": tile(), "dgate": tile(), "dup": tile()}
        forward = activation.gate_forward(function, n, policy.size, "forward")
        backward = activation.gate_backward(n, policy.size, "backward")
        wanted = {"y": f * up, "dgate": dy * up * slope, "dup": dy * f}
    else:
        tensors = {"x": tile(x), "dy": tile(dy), "y": tile(), "dx": tile()}
        forward = activation.forward(function, n, policy.size, "forward")
        backward = activation.backward(n, policy.size, "backward")
        wanted = {"y": f, "dx": dy * slope}
    outcome = job.execute(region, [forward, backward], tensors)
    compared = {name: (alone.untiled(outcome.arrays[name], features), value) for name, value in wanted.items()}
    return alone.result(kernel, config, outcome, compared, UNITS)
