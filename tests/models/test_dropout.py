"""Dropout of a model: rates of its file, and the operators that drop."""

import pytest

from wse.errors import ConfigError
from wse.models import from_hugging_face, graph, load
from wse.models.dropout import PLACES, Rates, dropped, drops, of_file, refuse, without
from wse.models.families import FAMILIES
from wse.models.lowering import executable


def test_keys_are_of_their_families():
    for kind, places in PLACES.items():
        assert set(places) <= set(FAMILIES[kind].dropout), kind
        assert {name for names in places.values() for name in names.split()} <= set(vars(Rates())), kind


@pytest.mark.parametrize(
    "kind, keys, rates",
    [
        ("gpt2", {"resid_pdrop": 0.1, "embd_pdrop": 0.2, "attn_pdrop": 0.3}, Rates(0.2, 0.1, 0.3)),
        ("gpt_neox", {"hidden_dropout": 0.1, "attention_dropout": 0.2}, Rates(0.1, 0.1, 0.2)),
        ("opt", {"dropout": 0.1}, Rates(0, 0.1, 0)),
        ("bloom", {"hidden_dropout": 0.1}, Rates(0, 0.1, 0)),
        ("llama", {"attention_dropout": 0.1}, Rates(0, 0, 0.1)),
        ("bert", {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.2}, Rates(0.1, 0.1, 0.2)),
    ],
)
def test_rates_of_a_file(kind, keys, rates):
    numerics = tuple(keys.items())
    assert of_file(kind, numerics) == rates
    assert without(kind, (*numerics, ("other", 1))) == without(None, (*numerics, ("other", 1))) == (("other", 1),)


def test_rates_of_a_configuration():
    sizes = {"n_layer": 1, "n_embd": 8, "n_head": 2, "vocab_size": 9, "n_positions": 4}
    model = from_hugging_face({"model_type": "gpt2", "attn_pdrop": 0.25, **sizes})
    assert of_file("gpt2", model.numerics) == Rates(attention=0.25)


def test_what_is_not_executed_is_named():
    with pytest.raises(ConfigError, match=r"^a model of type opt has layerdrop 0\.1, which is not executed: --dropout"):
        of_file("opt", (("layerdrop", 0.1),))
    with pytest.raises(ConfigError, match=r"^the rate of dropout residual is from 0 to below 1, not 1"):
        of_file("gpt2", (("resid_pdrop", 1.0),))
    with pytest.raises(ConfigError, match="model nano has dropout, which it does not execute"):
        refuse(dropped(graph(load("nano")), Rates(0.1)), "it")
    refuse(graph(load("nano")), "it")


@pytest.mark.parametrize(
    "rates", [Rates(), Rates(0.1), Rates(residual=0.1), Rates(attention=0.1), Rates(0.1, 0.2, 0.3)]
)
@pytest.mark.parametrize("name", ["nano", "nano-llama"])
def test_operators_that_drop(name, rates):
    plain = graph(load(name))
    made = dropped(plain, rates)
    assert made.parameters == plain.parameters and drops(made) == bool(rates)
    streams = [o.attributes["stream"] for o in made.operators if "stream" in o.attributes]
    layers = plain.model.layers
    assert streams == list(range(bool(rates.embedding) + layers * (2 * bool(rates.residual) + bool(rates.attention))))
    written = {"ids"}
    for o in made.operators:  # each tensor is written once, before it is read
        assert set(o.inputs) <= written and not set(o.outputs) & written
        written |= set(o.outputs)
        assert all(made.tensors[x].features for x in (*o.inputs, *o.outputs))
    if rates.residual:
        adds = {o.inputs[0] for o in made.operators if o.kind == "dropout" and o.layer is not None}
        assert adds == {f"layers.{i}.{part}.plain" for i in range(layers) for part in ("attention.o", "mlp.down")}


@pytest.mark.parametrize("shared, last", [(0, "mlp.experts.plain"), (16, "mlp.sum.plain")])
def test_what_experts_add_drops_once(shared, last):
    """Their sum, with that of a shared MLP."""
    made = dropped(executable(graph(load("nano-moe").but(layers=1, d_shared=shared))), Rates(residual=0.1))
    found = [o.inputs[0] for o in made.operators if o.kind == "dropout"]
    assert found == [f"layers.0.{name}" for name in ("attention.o.plain", last)]


SIZES = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 9, "intermediate_size": 16}
SIZES_OF_GPT = {"n_embd": 8, "n_layer": 1, "n_head": 2, "vocab_size": 9}
OTHER_SIZES = {
    "gpt2": SIZES_OF_GPT,
    "gptj": SIZES_OF_GPT | {"rotary_dim": 4},
    "bloom": {"hidden_size": 8, "n_layer": 1, "n_head": 2, "vocab_size": 9},
    "opt": SIZES | {"ffn_dim": 16, "word_embed_proj_dim": 8},
    "phi3": SIZES | {"pad_token_id": 0},
    **dict.fromkeys(("starcoder2", "mistral", "qwen2"), SIZES | {"num_key_value_heads": 2}),
}
KINDS = (*(kind for kind in PLACES if kind not in ("jais", "btlm", "falcon")), "llama", "mistral", "qwen2")


@pytest.mark.parametrize("kind, key", [(kind, key) for kind in KINDS for key in FAMILIES[kind].dropout])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_transformers_drops(kind, key, monkeypatch):
    """As many tensors of the same shapes have a key's rate, or the key is refused."""
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    try:
        rates = of_file(kind, ((key, 0.25),))
    except ConfigError:
        rates = None
    found = []

    def dropout(x, p=0.5, training=True, inplace=False):
        found.extend([x.shape[-1]] if training and p == 0.25 else [])
        return x

    monkeypatch.setattr(torch.nn.functional, "dropout", dropout)
    others = dict.fromkeys(FAMILIES[kind].dropout, 0.0)
    sizes = OTHER_SIZES.get(kind, SIZES)
    config = transformers.AutoConfig.for_model(kind, **sizes, **others | {key: 0.25})
    head = transformers.AutoModelForMaskedLM if kind in ("bert", "roberta") else transformers.AutoModelForCausalLM
    head.from_config(config, attn_implementation="eager").train()(torch.arange(4)[None] % 9)
    if rates is None:
        assert not found
        return
    assert sorted(found) == [4] * bool(rates.attention) + [8] * (bool(rates.embedding) + 2 * bool(rates.residual))
