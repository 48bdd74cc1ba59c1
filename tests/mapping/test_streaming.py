"""A transformer on a rectangle, weights streamed in: its loss and every gradient against PyTorch."""

import numpy as np
import pytest

pytest.importorskip("torch")

from wse import Machine
from wse.errors import ConfigError
from wse.mapping.streaming import Streaming
from wse.memoryx import MemoryX
from wse.models import graph, load
from wse.train import loop, reference


def build(model, batch, **options):
    return Streaming(graph(model), batch, Machine("wse3"), MemoryX(), **options)


def tokens(model, batch, seed=0):
    return np.random.default_rng(seed).integers(0, model.vocab, (2, batch, model.sequence))


def weights_of(execution, seed=0):
    """Not those that a run begins with: gains and biases differ from 1 and 0."""
    rng = np.random.default_rng(seed)
    initial = loop.initial(execution.graph, seed)
    return {
        name: (4 * w if w.ndim > 1 else w + 0.2 * rng.standard_normal(w.shape)).astype(np.float32)
        for name, w in initial.items()
    }


def errors(got, expected):
    """(relative error, cosine) by tensor."""
    found = {}
    for name, e in expected.items():
        g, e = got[name].astype(np.float64).ravel(), e.astype(np.float64).ravel()
        found[name] = np.linalg.norm(g - e) / np.linalg.norm(e), g @ e / np.linalg.norm(g) / np.linalg.norm(e)
    return found


# Two layers each; f32 takes twice the memory, so half the sequence.
CASES = {
    "bf16": (load("nano"), 4, 2e-2),
    "f16": (load("nano"), 4, 2e-2),
    "cb16": (load("nano"), 4, 2e-2),
    "f32": (load("nano").but(sequence=16), 2, 1e-5),
    "llama bf16": (load("nano-llama"), 2, 2e-2),
    "llama f32": (load("nano-llama").but(sequence=16), 2, 1e-5),
}


@pytest.mark.parametrize("case", CASES)
def test_every_gradient_is_that_of_pytorch(case):
    model, batch, bound = CASES[case]
    execution = build(model, batch, dtype=case.split()[-1])
    ids, labels = tokens(model, batch)
    weights = weights_of(execution)
    execution.load(weights)
    scale = 1.0 if "f32" in case else 2.0**10
    done = execution.run(ids, labels, scale)
    loss, expected = reference.gradients(execution.graph, weights, ids, labels)
    assert done.loss == pytest.approx(loss, rel=bound)
    assert set(done.gradients) == set(expected)
    found = errors({name: g / scale for name, g in done.gradients.items()}, expected)
    assert {name: e for name, (e, _) in found.items() if e > bound} == {}
    assert {name: c for name, (_, c) in found.items() if c < 0.9999} == {}
