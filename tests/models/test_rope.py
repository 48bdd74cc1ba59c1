"""Frequencies of scaled rotary positions, against the formulas at points where they are simple and against transformers."""

import math

import numpy as np
import pytest

from wse.errors import ConfigError
from wse.models import graph, load
from wse.models.load import from_hugging_face
from wse.models.rope import TRAINED, frequencies

THETA, PAIRS = 10_000.0, np.arange(32)
PLAIN = THETA ** (-2.0 * PAIRS / 64)
LLAMA = {
    "model_type": "llama",
    "num_hidden_layers": 1,
    "hidden_size": 256,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "vocab_size": 96,
    "max_position_embeddings": 4096,
}
CASES = {
    "linear": {"rope_type": "linear", "factor": 4.0},
    "dynamic": {"rope_type": "dynamic", "factor": 2.0},
    "llama3": {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 1024,
    },
    "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1024},
    "yarn with magnitudes": {
        "rope_type": "yarn",
        "factor": 40.0,
        "mscale": 1.0,
        "mscale_all_dim": 0.5,
        "beta_fast": 16.0,
        "original_max_position_embeddings": 1024,
    },
    "longrope": {
        "rope_type": "longrope",
        "factor": 4.0,
        "original_max_position_embeddings": 1024,
        "short_factor": [1.0 + i / 32 for i in range(32)],
        "long_factor": [1.0 + i for i in range(32)],
    },
}


def scaling(table):
    return from_hugging_face(LLAMA | {"rope_scaling": table}).rope_scaling


def test_without_scaling():
    found, factor = frequencies(64, THETA)
    assert np.array_equal(found, PLAIN) and factor == 1
    assert load("nano-llama").rope_scaling == ()


def test_high_frequencies_stay_and_low_ones_are_divided():
    for name, factor in (("llama3", 8), ("yarn", 4)):
        found, _ = frequencies(64, THETA, scaling(CASES[name]), 32)
        assert found[0] == PLAIN[0] and found[-1] == pytest.approx(PLAIN[-1] / factor, rel=1e-12)
        assert np.all(np.diff(found / PLAIN) <= 1e-12)


def test_dynamic_changes_longer_sequences_only():
    table = scaling(CASES["dynamic"])
    assert np.array_equal(frequencies(64, THETA, table, 4096)[0], PLAIN)
    longer = frequencies(64, THETA, table, 8192)[0]
    assert longer[0] == 1 and np.all(longer[1:] < PLAIN[1:])


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("sequence", [64, 8192])
def test_as_transformers_computes_them(case, sequence):
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    parameters = CASES[case] | {"rope_theta": THETA}
    values = {key: value for key, value in LLAMA.items() if key != "model_type"}
    config = transformers.LlamaConfig(**values, rope_parameters=parameters)
    kind = parameters["rope_type"]
    wanted, factor = ROPE_INIT_FUNCTIONS[kind](config, torch.device("cpu"), seq_len=sequence)
    found, ours = frequencies(64, THETA, scaling(CASES[case]), sequence)
    np.testing.assert_allclose(found, wanted.numpy(), rtol=2e-6)
    assert ours == pytest.approx(factor, rel=1e-6)


def test_the_scaling_reaches_the_operators():
    model = from_hugging_face(LLAMA | {"rope_scaling": CASES["yarn"]})
    turned = [o for o in graph(model).operators if o.kind == "rotary"]
    assert len(turned) == 2 and all(dict(o.attributes["scaling"])["factor"] == 4 for o in turned)
    assert dict(model.rope_scaling)[TRAINED] == 4096
    graph(model).check_plain("the fabric")


def test_two_scalings_in_one_model_are_not_trained():
    nested = {"full_attention": {"rope_type": "linear", "factor": 8.0}, "sliding_attention": {"rope_type": "default"}}
    model = from_hugging_face(LLAMA | {"rope_parameters": nested})
    assert dict(model.rope_scaling)["factor"] == 8  # of layers without a window
    with pytest.raises(ConfigError, match=r"has rope_parameters.full_attention linear, factor 8, which the fabric"):
        graph(model).check_plain("the fabric")


def test_a_list_of_another_length():
    table = CASES["longrope"] | {"short_factor": [1.0, 2.0]}
    with pytest.raises(ConfigError, match=r"rope_scaling.short_factor has 2 factors for 32 pairs"):
        frequencies(64, THETA, scaling(table), 64)
    with pytest.raises(ConfigError, match=r"is of type 'ntk'; known are default, linear"):
        frequencies(64, THETA, (("rope_type", "ntk"),), 64)
    assert math.isclose(frequencies(64, THETA, scaling(CASES["longrope"]), 64)[1], math.sqrt(1 + 0.2))
