"""What tests of linear layers share: values as they are stored, and how far off a sum may be."""

import numpy as np
import pytest

from wse.machine import numerics
from wse.train import loop, reference

# Largest relative error of one rounding to the storage type.
ROUNDING = {"f32": 1e-6, "f16": 2**-11, "bf16": 2**-8, "cb16": 2**-10}


def stored(policy, values):
    """Values as the policy stores them, in float64."""
    if policy.wide:
        return np.asarray(values, np.float32).astype(np.float64)
    return numerics.round16(values, policy.storage).astype(np.float64)


def bound(policy, terms):
    """What the sum of so many products of unit size may be off by: roundings of sums grow like their number."""
    unit = ROUNDING[policy.storage]
    sums = {"f32": 4e-6, "exact": unit, "mixed": unit * terms**0.5 / 2 + unit, "half": unit * terms}
    return 4 * sums[policy.products]


def random_tokens(model, batch, seed=0):
    """Ids and labels [batch, sequence]."""
    return np.random.default_rng(seed).integers(0, model.vocab, (2, batch, model.sequence))


def random_weights(graph, seed=0):
    """Not those that a run begins with: gains and biases differ from 1 and 0."""
    rng = np.random.default_rng(seed)
    initial = loop.initial(graph, seed)
    return {
        name: (4 * w if w.ndim > 1 else w + 0.2 * rng.standard_normal(w.shape)).astype(np.float32)
        for name, w in initial.items()
    }


def gradient_errors(got, expected):
    """(relative error, cosine) by tensor."""
    found = {}
    for name, e in expected.items():
        g, e = got[name].astype(np.float64).ravel(), e.astype(np.float64).ravel()
        found[name] = np.linalg.norm(g - e) / np.linalg.norm(e), g @ e / np.linalg.norm(g) / np.linalg.norm(e)
    return found


def pass_against_pytorch(execution, batch, bound, scale, draw=None):
    """Runs a pass with random tokens and weights; its loss and every gradient are within `bound` of PyTorch's.

    draw: of the masks of a graph with dropout.

    Returns the Pass, the tokens, and (relative error, cosine) by tensor.
    """
    tokens = random_tokens(execution.graph.model, batch)
    weights = random_weights(execution.graph)
    execution.load(weights)
    done = execution.run(*tokens, scale, **({} if draw is None else {"draw": draw}))
    draws = () if draw is None else (draw,)
    loss, expected = reference.gradients(execution.graph, weights, *tokens, draws=draws)
    assert done.loss == pytest.approx(loss, rel=bound / 10)
    assert set(done.gradients) == set(expected)
    got = {name: g / np.float32(scale) for name, g in done.gradients.items()}
    # A bias of all keys moves all scores of a query alike: its gradient is 0 but for rounding, in PyTorch as well.
    for name in [name for name in expected if name.endswith("attention.k.bias")]:
        size = max(np.linalg.norm(expected.pop(name)), np.linalg.norm(got[name]))
        assert size < bound * np.linalg.norm(expected[name.replace("k.bias", "q.bias")])
    found = gradient_errors(got, expected)
    assert {name: e for name, (e, _) in found.items() if e > bound} == {}
    return done, tokens, found
