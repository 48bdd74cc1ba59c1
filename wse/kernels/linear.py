"""A linear layer y = W x + b on random numbers, forward and backward: weights are streamed in, gradients out.

Data layout.  On a grid of w x h PEs, PE (x, y) holds of an activation a tile [features][tokens], tokens contiguous:
features x f .. x f + f - 1 with f = ceil(features / w), of tokens y t .. y t + t - 1; zeros fill what lies beyond.
Weights and bias lie outside; column x of the wafer's edge has those of the inputs of column x, in the order in which
the column takes them, and takes the sums of their gradients.

Program.  Each weight that comes down a column makes every PE of it add the weight times its t tokens of an input to
those of an output, and is not kept.  Forward, partial sums of outputs go round the row and come to rest in the layout
of the inputs; backward, gradients of outputs go round, those of the inputs are summed where they lie, and the weights'
gradients, products over a PE's tokens, are summed up the columns on their way out.  With `density` below 1, weights
that are 0 are not sent: each of the others then carries the place of its input.

What bounds it.  The multiply-adds: t / 2 + 1 cycles a weight for f32 sums of 16-bit elements (POL0), t / 4 + 1 for
16-bit sums (POL1, POL2), t + 1 for f32; passing on partial sums, two slots for each and column; and the transpose of
the gathered gradients.  `cycles_per_weight` tells.

The result is verified against float64.  |difference| / |result| of y and dx may be 4 half units of the last place of
the element type for f32 sums (8 of f32), and for 16-bit sums as many as the square root of their number, times 4; the
weights' and biases' gradients are f32 sums.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..operators import linear
from ..operators import tiles as layout
from ..operators.edge import Edge
from ..operators.policy import LEVELS, Policy
from . import Parameter, Result, RunOptions
from . import single as alone
from .data import DTYPE, check, check_positive, record
from .single import TOKENS, Alone, rounded

PARAMETERS = {
    p.name: p
    for p in (
        Parameter("inputs", int, 32, "Features of x, over the row of PEs."),
        Parameter("outputs", int, 128, "Features of y, over the row of PEs."),
        TOKENS,
        Parameter("density", float, 1.0, "Share of the weights that are not 0; below 1, only those are sent."),
        DTYPE,
        Parameter("policy", str, "POL0", "How sums are made: in f32, mixed, or in 16 bits.", choices=LEVELS),
    )
}
GRID = (4, 2)


def run(config: Mapping[str, Any], options: RunOptions) -> Result:
    """See wse.kernels."""
    check("linear", PARAMETERS, config)
    check_positive("linear", config, "inputs", "outputs", "tokens")
    if not 0 < config["density"] <= 1:
        raise ConfigError(f"density of linear is above 0 and at most 1, not {config['density']}")
    job, policy = Alone(options, GRID), Policy(config["dtype"], config["policy"])
    inputs, outputs, sparse = config["inputs"], config["outputs"], config["density"] < 1
    region = job.region(policy, config["tokens"])
    x, dx = region.activation("x", inputs), region.activation("dx", inputs)
    y, dy = region.activation("y", outputs), region.activation("dy", outputs)
    with region.task("forward", 8):
        forward = linear.forward(region, x, y, bias=True, sparse=sparse)
    with region.task("backward", 9):
        backward, _ = linear.backward(region, x, dy, dx, bias=True, sparse=sparse)
    region.finish()
    rng, tokens = np.random.default_rng(options.seed), region.height * region.tokens
    values = {"x": rng.normal(size=(tokens, inputs)), "dy": rng.normal(size=(tokens, outputs))}
    values |= {"weight": rng.normal(size=(outputs, inputs)) / inputs**0.5, "bias": rng.normal(size=outputs)}
    values["weight"] *= rng.random((outputs, inputs)) < config["density"]
    values = {name: rounded(value, policy) for name, value in values.items()}
    fabric = options.fabric(region.program)
    edge = Edge(fabric, region)
    layout.write(fabric, region, "x", values["x"])
    layout.write(fabric, region, "dy", values["dy"])
    cycles, before, run = {}, 0, None
    for task, stream in (("forward", forward), ("backward", backward)):
        edge.feed(task, {stream: values})
        fabric.launch(task)
        run = options.run(fabric)
        cycles[task], before = run.cycles - before, run.cycles
        if run.ended != "done":
            break
    assert run is not None
    record(run, "linear", config)
    result = Result("linear", dict(config), run, verified=False, extra={"seed": options.seed, "phase_cycles": cycles})
    if run.ended == "done":
        ((_, gradients),) = edge.take("backward")
        got = gradients | {name: layout.read(fabric, region, name, n) for name, n in (("y", outputs), ("dx", inputs))}
        _compare(result, policy, values, got)
        weights = np.count_nonzero(values["weight"]) / region.width
        each = {task: count / weights for task, count in cycles.items()}
        result.extra["cycles_per_weight"] = each
        result.text += [
            f"{task:12} {cycles[task]:,} cycles, {each[task]:.1f} for each weight of a column" for task in cycles
        ]
    return result


def _compare(result: Result, policy: Policy, values: Mapping[str, np.ndarray], got: Mapping[str, np.ndarray]) -> None:
    """Notes how far what was computed is from float64, and whether that is as near as it should be."""
    x, dy, weight, bias = (values[name].astype(np.float64) for name in ("x", "dy", "weight", "bias"))
    unit, single = alone.EPSILON[policy.storage], 8 * alone.EPSILON["f32"]

    def allowed(terms: int, sums: str) -> float:
        return {"f32": single, "exact": 4 * unit}.get(sums, 4 * unit * terms**0.5)

    gradient = {"f32": single, "exact": single}.get(policy.gradients, 4 * unit * len(x) ** 0.5)
    wanted = {
        "y": (x @ weight.T + bias, allowed(x.shape[1] + 1, policy.products)),
        "dx": (dy @ weight, allowed(dy.shape[1], policy.products)),
        "weight": (dy.T @ x, gradient),
        "bias": (dy.sum(axis=0), single),
    }
    errors = {name: alone.error(got[name], value) for name, (value, _) in wanted.items()}
    result.verified = all(errors[name] <= bound for name, (_, bound) in wanted.items())
    result.max_error = max(errors.values())
    result.extra["errors"] = errors
