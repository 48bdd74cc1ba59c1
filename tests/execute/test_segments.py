"""Graphs cut into segments, and which calls a backward pass computes again."""

from itertools import pairwise

import pytest

from wse.errors import ConfigError
from wse.execute.segments import cut, passes
from wse.models import graph, load


def names(segment):
    return [operator.name for operator in segment.operators]


def test_a_layer_is_two_segments_and_equal_layers_are_of_one_kind():
    segments, head = cut(graph(load("gpt2")))
    assert head.name == "head"
    assert len(segments) == 1 + 2 * 12 + 1
    assert len({segment.kind for segment in segments}) == 4
    assert names(segments[0]) == ["embedding", "positions"] and segments[0].takes == ""
    assert [n.rsplit(".", 1)[1] for n in names(segments[4])] == ["norm2", "up", "gelu", "down", "residual2"]
    assert names(segments[-1]) == ["norm"]
    for before, after in pairwise(segments):
        assert before.gives == after.takes


def test_segments_have_all_operators_in_order():
    for name in ("gpt2", "llama3-8b", "gpt-j-6b", "falcon-40b"):
        made = graph(load(name))
        segments, head = cut(made)
        assert [n for s in segments for n in names(s)] == [o.name for o in made.operators[:-2]], name
        assert made.operators[-2] is head


def test_attention_and_mlp_in_parallel_are_not_cut():
    segments, _ = cut(graph(load("nano").but(parallel=True)))
    assert len(segments) == 1 + 2 + 1


def test_layers_that_differ_are_of_two_kinds():
    model = load("nano-llama").but(rotary_layers=(True, False))
    segments, _ = cut(graph(model))
    assert len({s.kind for s in segments}) == len({s.kind for s in cut(graph(load("nano-llama")))[0]}) + 1


def test_a_model_without_a_head_is_refused():
    with pytest.raises(ConfigError, match="does not end with a linear layer that makes the logits"):
        cut(graph(load("nano").but(head="none")))


def test_what_the_gradients_do_not_need_is_not_computed_again():
    made = graph(load("nano"))
    features = {name: tensor.features for name, tensor in made.tensors.items()}
    segments, _ = cut(made)
    embedding, attention, mlp = (passes(segment, features, 32, False) for segment in segments[:3])
    assert [call.what for call in embedding.backward] == ["output.gradient", "positions.gradient", "embedding.gradient"]
    again = [call.operator.name for call in mlp.backward if call.what == "linear.forward"]
    assert again == ["layers.0.mlp.up"]  # not mlp.down, nor the residual addition
    assert "layers.0.attention.o" not in [c.operator.name for c in attention.backward if c.what == "linear.forward"]
    assert {call.phase for call in mlp.backward} == {"backward"}
