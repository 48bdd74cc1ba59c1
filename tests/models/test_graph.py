"""The operator graph: order, shapes, parameters, flops."""

import pytest

from wse.models import graph, load


def names(made, layer=0):
    return [o.name.removeprefix(f"layers.{layer}.") for o in made.operators if o.layer == layer]


def test_a_gpt2_layer():
    assert names(graph(load("nano"))) == [
        "norm1", "attention.q", "attention.k", "attention.v", "attention.scores", "attention.o", "residual1",
        "norm2", "mlp.up", "mlp.gelu", "mlp.down", "residual2",
    ]  # fmt: skip


def test_a_llama_layer():
    made = graph(load("nano-llama"))
    assert names(made, 1) == [
        "norm1", "attention.q", "attention.k", "attention.v", "attention.rotary_q", "attention.rotary_k",
        "attention.scores", "attention.o", "residual1",
        "norm2", "mlp.up", "mlp.gate", "mlp.silu", "mlp.down", "residual2",
    ]  # fmt: skip
    assert not any(name.endswith("bias") for name in made.parameters)


def test_tensors_are_written_once_and_before_they_are_read():
    for name in ("nano", "nano-llama", "gpt-j-6b", "mixtral-8x7b"):
        made = graph(load(name))
        known = {"ids"}
        for operator in made.operators:
            assert known.issuperset(operator.inputs)
            assert known.isdisjoint(operator.outputs)
            assert operator.features[0] == sum(made.tensors[x].features for x in operator.inputs)
            known.update(operator.outputs)
        assert "loss" in known


def test_groups_come_in_regions():
    assert [(group, layer) for group, layer, _ in graph(load("nano")).layers()] == [
        ("embedding", None),
        ("attention", 0),
        ("mlp", 0),
        ("attention", 1),
        ("mlp", 1),
        ("head", None),
    ]


def test_a_tied_head_has_one_parameter():
    tied, free = graph(load("gpt2")), graph(load("gpt2").but(tied=False))
    assert free.weights - tied.weights == 50257 * 768
    assert tied.matmul_weights == free.matmul_weights
    assert [o.parameters["weight"].name for o in tied.operators if o.name == "head"] == ["embedding.weight"]


@pytest.mark.parametrize("name", ["gpt2", "gpt3-13b", "1t"])
def test_flops_are_the_published_convention(name):
    model = load(name)
    d, s = model.d_model, model.sequence
    n_mm = model.layers * 12 * d * d + model.vocab * d
    assert graph(model).matmul_weights == n_mm
    assert graph(model).flops() == pytest.approx(6 * n_mm + 12 * model.layers * s * d)
    assert graph(model).flops(causal_discount=True) == pytest.approx(6 * n_mm + 6 * model.layers * (s + 1) * d)


def test_experts_count_what_a_token_meets():
    model = load("mixtral-8x7b")
    (experts, *_) = [o for o in graph(model).operators if o.kind == "experts"]
    one = 3 * 4096 * 14336
    assert experts.active_weights == 8 * 4096 + 2 * one
    assert experts.weights == 8 * 4096 + 8 * one


def test_bytes_of_a_pass():
    (q, *_) = [o for o in graph(load("nano")).operators if o.name.endswith("attention.q")]
    weights = 32 * 32 + 32
    assert q.bytes("forward") == 2 * weights
    assert q.bytes("backward") == (2 + 4) * weights
    assert q.bytes("update") == 0
    assert [q.flops(32, phase) for phase in ("forward", "backward", "update")] == [2 * weights, 4 * weights, 0]
