"""A pass whose weights are put, and whose gradients are taken, a few at a time."""

import numpy as np
import pytest
from layer_bounds import random_tokens, random_weights

from wse import Machine
from wse.execute import edge_streams
from wse.execute.streaming import Streaming
from wse.memoryx import Ddr5, MemoryX
from wse.models import graph, load
from wse.tensors import Tensors

SMALL = load("nano-1").but(sequence=8, tied=True)
SLOW = MemoryX(part=Ddr5(3200), channels=1, nodes=1)  # gradients leave at less than a wavelet per cycle


@pytest.mark.parametrize("system, sparse", [(MemoryX(), False), (SLOW, True)])
def test_a_pass_does_not_depend_on_how_much_is_put_ahead(monkeypatch, system, sparse):
    found, read, most = [], [], []
    weights = random_weights(graph(SMALL))
    weights["layers.0.mlp.up.weight"][::3] = 0

    def reading(name):
        read.append(name)
        return weights[name]

    for least in (1 << 20, 64):
        monkeypatch.setattr(edge_streams, "ahead", lambda width, least=least: least)
        execution = Streaming(graph(SMALL), 2, Machine("wse3"), system, sparse=sparse)
        read.clear()
        execution.load(Tensors({name: (lambda name=name: reading(name)) for name in weights}))
        assert not read  # until they are streamed
        waiting = []
        into = execution.into["weights"]
        advance = execution.fabric.advance

        def counted(cycles, into=into, waiting=waiting, advance=advance):
            waiting.append(max(stream.size - stream.sent for stream in into))
            return advance(cycles)

        monkeypatch.setattr(execution.fabric, "advance", counted)
        passes = [execution.run(*random_tokens(SMALL, 2, seed), 2.0**10) for seed in range(2)]
        passes.append(execution.evaluate(*random_tokens(SMALL, 2, 3)))
        found.append(passes)
        most.append(max(waiting))
    assert found[0][2] == found[1][2]
    for one, other in zip(found[0][:2], found[1][:2], strict=True):
        for field in ("loss", "cycles", "sent", "dense", "drained", "spans", "waits"):
            assert getattr(one, field) == getattr(other, field), field
        assert list(one.gradients) == list(other.gradients)
        for name, gradient in one.gradients.items():
            assert gradient.tobytes() == other.gradients[name].tobytes(), name
    largest = max(weight.size for weight in weights.values()) // 4  # wavelets of a column
    assert most[1] <= 64 + 2 * largest < most[0] / 3


def test_gradients_come_one_by_one_in_the_order_in_which_they_are_computed():
    execution = Streaming(graph(SMALL), 2, Machine("wse3"), MemoryX())
    execution.load(random_weights(execution.graph))

    class Seen(dict):
        order = ()

        def __setitem__(self, name, gradient):
            assert gradient.dtype == np.float32 and gradient.shape == execution.graph.parameters[name].shape
            self.order += (name,)
            super().__setitem__(name, gradient)

    seen = Seen()
    done = execution.run(*random_tokens(SMALL, 2), 1.0, seen)
    assert done.gradients is seen
    assert (seen.order[0], seen.order[-1]) == ("embedding.weight", "embedding.weight")
    assert seen.order.count("embedding.weight") == 2  # as the head's weight, then as the table
    assert set(seen) == set(execution.graph.parameters)
