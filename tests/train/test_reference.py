"""The graph in PyTorch: against finite differences in float64, and against PyTorch's own modules."""

import numpy as np
import pytest
from layer_bounds import random_tokens, random_weights

from wse.models import graph, load
from wse.models.experts import balanced, routes, separated
from wse.train import loop, reference

torch = pytest.importorskip("torch")

SMALL = {"d_model": 8, "d_ff": 12, "sequence": 6, "vocab": 11, "heads": 2, "kv_heads": 2, "layers": 2, "rotary": 0}


def case(name, **changes):
    model = load(name).but(**SMALL | changes)
    made = graph(model)
    rng = np.random.default_rng(3)
    weights = {name: w + 0.3 * rng.standard_normal(w.shape) for name, w in loop.initial(made, 0).items()}
    ids, labels = rng.integers(0, 11, (2, 3, 6))
    return made, weights, ids, labels


@pytest.mark.parametrize("name, changes", [("nano", {}), ("nano-llama", {"kv_heads": 1}), ("nano", {"tied": True})])
def test_gradients_are_differences(name, changes):
    made, weights, ids, labels = case(name, **changes)
    _, gradients = reference.gradients(made, weights, ids, labels, "float64")
    assert set(gradients) == set(made.parameters)
    rng = np.random.default_rng(4)
    for tensor in weights:
        way = rng.standard_normal(weights[tensor].shape)
        near = [
            reference.gradients(made, weights | {tensor: weights[tensor] + e * way}, ids, labels, "float64")[0]
            for e in (1e-5, -1e-5)
        ]
        assert (near[0] - near[1]) / 2e-5 == pytest.approx(np.vdot(gradients[tensor], way), rel=1e-5, abs=1e-9), tensor


def test_a_layer_is_that_of_pytorch():
    made, weights, ids, labels = case("nano", layers=1)
    layer = torch.nn.TransformerEncoderLayer(
        8, 2, 12, 0.0, lambda x: torch.nn.functional.gelu(x, approximate="tanh"), 1e-5, True, True, dtype=torch.float64
    )
    w = {name: torch.tensor(value) for name, value in weights.items()}
    a, m = "layers.0.attention.", "layers.0.mlp."
    qkv = [torch.cat([w[f"{a}{x}.{part}"] for x in "qkv"]) for part in ("weight", "bias")]
    state = {"self_attn.in_proj_weight": qkv[0], "self_attn.in_proj_bias": qkv[1]}
    for theirs, ours in (("self_attn.out_proj", a + "o"), ("linear1", m + "up"), ("linear2", m + "down")):
        state |= {f"{theirs}.{part}": w[f"{ours}.{part}"] for part in ("weight", "bias")}
    for i in (1, 2):
        state |= {f"norm{i}.{to}": w[f"layers.0.norm{i}.{part}"] for to, part in (("weight", "gain"), ("bias", "bias"))}
    layer.load_state_dict(state)
    x = w["embedding.weight"][torch.tensor(ids)] + w["positions.weight"]
    mask = torch.full((6, 6), -np.inf, dtype=torch.float64).triu(1)
    y = torch.nn.functional.layer_norm(layer(x, src_mask=mask), (8,), w["norm.gain"], w["norm.bias"])
    logits = y @ w["head.weight"].T
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.tensor(labels).flatten())
    got, _ = reference.gradients(made, weights, ids, labels, "float64")
    assert got == pytest.approx(expected.item(), rel=1e-12)


def test_rotary_keeps_what_only_the_distance_decides():
    """The product of a turned query and a turned key depends on the difference of their positions."""
    operator = next(o for o in graph(load("nano-llama")).operators if o.kind == "rotary")
    rng = np.random.default_rng(5)
    q, k = (torch.tensor(np.tile(rng.standard_normal(32), (1, 32, 1))) for _ in range(2))
    turned = [reference._rotary(operator, [x], {})[0].unflatten(-1, (4, 8)) for x in (q, k)]
    scores = torch.einsum("ihd,jhd->hij", *turned)
    np.testing.assert_allclose(scores[:, 3:, 3:], scores[:, :-3, :-3], rtol=1e-10)
    assert not np.allclose(scores[:, 0, 0], scores[:, 0, 5])


def test_the_loss_of_load_balance_is_that_of_transformers():
    """Its value and its gradient by the router, over two layers and two passes."""
    mixtral = pytest.importorskip("transformers.models.mixtral.modeling_mixtral")
    made = separated(graph(load("nano-moe").but(sequence=6)))
    weights = random_weights(made)
    ids, labels = random_tokens(made.model, 4)
    kept = {}
    leaves = {name: torch.from_numpy(w).requires_grad_() for name, w in weights.items()}
    reference.logits(made, leaves, torch.from_numpy(ids), tensors=kept)
    routers = [kept[o.inputs[0]] for o in routes(made)]
    wanted = 0
    for part in (slice(0, 2), slice(2, 4)):  # passes
        gates = tuple(router[part].flatten(0, 1) for router in routers)
        wanted = wanted + mixtral.load_balancing_loss_func(gates, 4, 2) / 2
    (0.3 * wanted).backward()
    by_loss = [reference._losses(balanced(made, 0.3), leaves, *map(torch.from_numpy, (ids, labels)), (), 2)]
    value, whole = by_loss[0]
    assert (whole - value).item() == pytest.approx(0.3 * wanted.item(), rel=1e-5)
    theirs = {name: leaf.grad.clone() for name, leaf in leaves.items() if leaf.grad is not None}
    for leaf in leaves.values():
        leaf.grad = None
    (whole - value).backward()
    for name, gradient in theirs.items():
        np.testing.assert_allclose(leaves[name].grad, gradient, atol=1e-6 * float(gradient.abs().max()) + 1e-9)
