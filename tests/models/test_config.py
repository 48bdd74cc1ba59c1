"""Configurations: published sizes, names, changes."""

import pytest

from wse.errors import ConfigError
from wse.models import config, from_hugging_face, graph, load

from .public_configs import CONFIGS

# Parameters in all, as their papers and cards state them.
SIZES = {
    "gpt2": 124.4e6,
    "gpt2-xl": 1.558e9,
    "gpt3-175b": 174.6e9,
    "cerebras-gpt-13b": 12.85e9,
    "gpt-j-6b": 6.05e9,
    "gpt-neox-20b": 20.55e9,
    "llama2-7b": 6.738e9,
    "llama2-70b": 68.98e9,
    "llama3-8b": 8.030e9,
    "llama3-70b": 70.55e9,
    "llama3-405b": 405.9e9,
    "mixtral-8x7b": 46.70e9,
    "mixtral-8x22b": 140.6e9,
    "bert-large": 335e6,
    "mt-nlg-530b": 530e9,
    "1t": 1.008e12,
}


@pytest.mark.parametrize("name", SIZES)
def test_published_sizes(name):
    assert graph(load(name)).weights == pytest.approx(SIZES[name], rel=0.006)


# Rows of the table that a public configuration describes as well.
PUBLIC = {
    "gpt2": "openai-community/gpt2",
    "gpt2-xl": "openai-community/gpt2-xl",
    "gpt-j-6b": "EleutherAI/gpt-j-6b",
    "gpt-neox-20b": "EleutherAI/gpt-neox-20b",
    "falcon-40b": "tiiuae/falcon-40b",
    "falcon-180b": "tiiuae/falcon-180B",
    "llama2-13b": "meta-llama/Llama-2-13b-hf",
    "llama2-70b": "meta-llama/Llama-2-70b-hf",
    "llama3-8b": "meta-llama/Llama-3.1-8B",
    "llama3-405b": "meta-llama/Llama-3.1-405B",
    "llama3-1b": "meta-llama/Llama-3.2-1B",
    "mixtral-8x7b": "mistralai/Mixtral-8x7B-v0.1",
    "jais-13b": "core42/jais-13b",
    "btlm-3b": "cerebras/btlm-3b-8k-base",
    "bert-base": "google-bert/bert-base-uncased",
    "bert-large": "google-bert/bert-large-uncased",
}


@pytest.mark.parametrize("name", PUBLIC)
def test_a_row_has_the_operators_of_the_public_configuration(name):
    """Context, bases of rotary positions and epsilons are of versions, and may differ."""
    row, other = graph(load(name)), graph(from_hugging_face(CONFIGS[PUBLIC[name]][1]).but(sequence=load(name).sequence))
    assert row.weights == other.weights == CONFIGS[PUBLIC[name]][0]
    assert [(o.name, o.kind, o.features) for o in row.operators] == [
        (o.name, o.kind, o.features) for o in other.operators
    ]


def test_every_name_makes_a_graph_whose_shapes_fit():
    for name in config.NAMES:
        made = graph(load(name))
        for operator in made.operators:
            if operator.kind == "linear":
                assert operator.parameters["weight"].shape == (operator.features[1], operator.features[0])


def test_a_name_may_have_points_and_capitals():
    assert load("GPT3-2.7B") is load("gpt3-2_7b")


def test_but():
    model = load("nano").but(d_model=64, sequence=16)
    assert (model.d_head, model.sequence) == (16, 16)
    assert load("nano-llama").but(d_model=64).rotary == 16
    assert load("gpt-j-6b").but(d_model=2048).rotary == 64
    with pytest.raises(ConfigError, match="has no depth"):
        model.but(depth=3)


def test_every_configuration_can_be_a_key():
    """Plans and cost models are kept by model."""
    assert len({load(name) for name in config.NAMES}) == len(config.NAMES)
