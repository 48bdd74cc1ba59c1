"""Copies of parameters: the graph of what columns execute, and the index of each copied element."""

import numpy as np
import pytest

from wse.errors import ConfigError
from wse.execute.replicas import replicated
from wse.models import graph, load

LLAMA = load("nano-llama").but(layers=1)


def test_without_shared_heads_nothing_is_copied():
    made = graph(LLAMA.but(kv_heads=2))
    executed, copies = replicated(made, 2)
    assert copies == {} and executed.operators == made.operators and executed.tensors == made.tensors


def test_heads_of_keys_and_values_lie_beside_each_other():
    """Four columns, two heads of keys: columns 0 and 1 have the first, 2 and 3 the second."""
    made = graph(LLAMA.but(kv_heads=2, attention_bias=True))
    executed, copies = replicated(made, 4)
    names = {f"layers.0.attention.{x}.{role}" for x in "kv" for role in ("weight", "bias")}
    assert set(copies) == names
    weight = np.random.default_rng(0).normal(size=(16, 32))
    copied = weight.ravel()[copies["layers.0.attention.k.weight"]].reshape(4, 8, 32)
    assert np.array_equal(copied[0], weight[:8]) and np.array_equal(copied[1], weight[:8])
    assert np.array_equal(copied[2], weight[8:]) and np.array_equal(copied[3], weight[8:])
    kinds = {o.name: o for o in executed.operators}
    assert kinds["layers.0.attention.rotary_k"].attributes["heads"] == 4
    scores = kinds["layers.0.attention.scores"]
    assert (scores.attributes["kv_heads"], scores.features) == (4, (96, 32))
    assert kinds["layers.0.attention.k"].features == (32, 32)
    assert executed.tensors["layers.0.attention.v"].features == 32
    assert graph(LLAMA.but(kv_heads=2, attention_bias=True)) == made  # is not changed


def test_gains_of_a_head_are_copied_for_each_head():
    made = graph(LLAMA.but(kv_heads=2, qk_norm="head"))
    _, copies = replicated(made, 4)
    for x in "qk":  # of keys after their copies: also four
        assert np.array_equal(copies[f"layers.0.attention.norm_{x}.gain"], np.tile(np.arange(8), 4))


@pytest.mark.parametrize("columns", [3, 8])
def test_columns_that_do_not_have_whole_heads(columns):
    with pytest.raises(ConfigError, match=rf"^{columns} columns do not divide 4 heads and 2 heads of keys and values"):
        replicated(graph(LLAMA.but(kv_heads=2)), columns)


def test_keys_that_no_linear_layer_makes_are_not_copied():
    model = LLAMA.but(kv_heads=1, kv_rank=16, d_rope=4, d_value=8, d_head=8)
    with pytest.raises(ConfigError, match=r"of kind concat, makes keys or values that several columns share"):
        replicated(graph(model), 4)
