"""Softmax cross-entropy of random logits and labels: the losses and their gradient.

Data layout.  Logits are tiles as in layernorm, the vocabulary along a row of PEs; all PEs of a row have its labels.

Program.  As softmax; the PE that has a token's label in its columns adds the label's logit to what is all-reduced with
the sums, and takes one from that element of the gradient.  log is an f32 polynomial of the mantissa.  Loss and gradient
come of one pass; the gradient is multiplied by the loss scale over the number of tokens.

What bounds it.  exp, and some 40 cycles a token for its label.

The result is verified against float64, to 12 half units of the last place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ..operators import loss as operator
from ..operators import ring
from . import Result, RunOptions
from . import single as alone
from .single import DTYPE, FEATURES, TOKENS, Alone, Tensor

PARAMETERS = {p.name: p for p in (replace(FEATURES, default=90, help="Words of the vocabulary."), TOKENS, DTYPE)}
GRID = (4, 2)
UNITS = 12  # of rounding: the gradient is rounded, and e^x has the rounding of its exponent


def run(config: Mapping[str, Any], options: RunOptions) -> Result:
    """See wse.kernels."""
    policy = alone.begin("crossentropy", PARAMETERS, config, "features", "tokens")
    job = Alone(options, GRID)
    region = job.region(policy, config["tokens"])
    (width, height), features, t = job.grid, config["features"], config["tokens"]
    rows = region.features(features)
    rng = np.random.default_rng(options.seed)
    logits = alone.rounded(rng.normal(0, 3, (features, height * t)), policy)
    labels = rng.integers(0, features, height * t)
    scale = 1 / (height * t)
    made = operator.Loss(features, rows, t, width, policy.size).routine("loss", partial(ring.allreduce, region))
    tensors = {
        "logits": Tensor((rows, t), alone.tiles(logits, rows, width, t)),
        "labels": Tensor((t,), labels.reshape(height, 1, t), "u16"),
        "scale": Tensor((1,), np.full(1, scale, np.float32), "f32"),
        "dlogits": Tensor((rows, t)),
        "loss": Tensor((1,), dtype="f32"),
    }
    outcome = job.execute(region, [made], tensors)
    losses, gradient = operator.reference(logits, labels, scale)
    per_row = np.repeat(losses.reshape(height, t).sum(axis=1)[:, None], width, axis=1)
    compared = {
        "dlogits": (alone.untiled(outcome.arrays["dlogits"], features), gradient),
        "loss": (outcome.arrays["loss"][..., 0], per_row),
    }
    return alone.result("crossentropy", config, outcome, compared, UNITS)
