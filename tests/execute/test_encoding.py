"""Encoders on the fabric: vectors of sentences beside transformers', for families, shapes, orders and lengths.

Covers: wse/operators/pooling.py
"""

import numpy as np
import pytest

from wse.errors import ConfigError
from wse.execute.encoding import Encoder
from wse.execute.strip_layout import layout
from wse.models.weights import read_encoder

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")

BERT = dict(
    vocab_size=97, hidden_size=24, num_hidden_layers=2, num_attention_heads=4, intermediate_size=50,
    max_position_embeddings=40, type_vocab_size=2, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    initializer_range=0.2,
)  # fmt: skip
SENTENCES = [[5, 96, 3, 3, 77], [9], [50, 2, 64, 0, 11, 12, 13, 14, 15, 16, 17], [4, 2]]


def saved(folder, kind, **changes):
    """A model with random weights, biases and gains in a folder, and as PyTorch computes it."""
    torch.manual_seed(1)
    name = {"bert": "Bert", "roberta": "Roberta"}[kind]
    config = getattr(transformers, f"{name}Config")(
        **(BERT | {"pad_token_id": 1 if kind == "roberta" else 0} | changes)
    )
    made = getattr(transformers, f"{name}Model")(config).eval()
    with torch.no_grad():
        for name, values in made.named_parameters():
            if values.dim() == 1:
                values.add_(0.2 * torch.randn_like(values))
    made.save_pretrained(folder)
    return made


def wanted(made, ids, pool="mean", unit=True):
    with torch.no_grad():
        tokens = made(torch.tensor([ids])).last_hidden_state[0]
    vector = tokens.mean(0) if pool == "mean" else tokens[0]
    return (vector / vector.norm() if unit else vector).numpy()


def cosine(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize(
    "kind, changes, width, group",
    [
        ("bert", {}, 3, 1),
        ("bert", {"hidden_act": "relu", "num_hidden_layers": 1}, 5, 3),  # a width that does not divide d_model
        ("roberta", {"hidden_act": "gelu_new"}, 4, 1),
    ],
)
def test_as_transformers(tmp_path, kind, changes, width, group):
    reference = saved(tmp_path, kind, **changes)
    weights = read_encoder(tmp_path)
    made = Encoder(weights, layout(weights.config, 12, width, group))
    result = made.encode(SENTENCES)
    for ids, vector in zip(SENTENCES, result.vectors, strict=True):
        assert cosine(vector, wanted(reference, ids)) > 0.99999
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)
    assert (np.diff(result.finished) > 0).all() and result.cycles >= result.finished[-1]


def test_first_token_of_its_own_length_in_bf16(tmp_path):
    reference = saved(tmp_path, "bert", num_hidden_layers=1)
    weights = read_encoder(tmp_path)
    made = Encoder(weights, layout(weights.config, 5, 4, 1, pool="first", unit=False), "bf16")
    vector = made.encode(SENTENCES[:1]).vectors[0]
    expected = wanted(reference, SENTENCES[0], "first", False)
    assert np.abs(vector - expected).max() < 3e-2 * np.abs(expected).max()


def test_a_sentence_does_not_depend_on_others_or_on_the_step(tmp_path):
    saved(tmp_path, "bert", num_hidden_layers=1)
    weights = read_encoder(tmp_path)
    made = Encoder(weights, layout(weights.config, 12, 3, 3))
    together = made.encode(SENTENCES)
    assert together.steps == (4,)
    for ids, vector in zip(reversed(SENTENCES), reversed(together.vectors), strict=True):
        assert np.array_equal(made.encode([ids]).vectors[0], vector)
    many = made.encode([[i] for i in range(40)])  # more than a step takes
    assert many.steps == (32, 8) and np.array_equal(many.vectors[9], together.vectors[1])


def test_where_the_cycles_go(tmp_path):
    saved(tmp_path, "bert")
    weights = read_encoder(tmp_path)
    made = Encoder(weights, layout(weights.config, 12, 3, 3))
    result = made.encode(SENTENCES[:1])
    phases = made.phases()
    assert all(n > 0 for n in phases.values())
    assert result.cycles / 6 < sum(phases.values()) < result.cycles


def test_what_is_refused(tmp_path):
    saved(tmp_path, "bert")
    weights = read_encoder(tmp_path)
    made = Encoder(weights, layout(weights.config, 4, 2, 1))
    for ids, error in (
        ([97], "an id is 0 to 96, not 97"),
        ([], "a sentence has 1 to 4 tokens, not 0"),
        ([1] * 5, "1 to 4 tokens, not 5: use a larger --context"),
    ):
        with pytest.raises(ConfigError, match=error):
            made.encode([ids])
    with pytest.raises(ConfigError, match="has a context of 1 to 40 tokens, not 41"):
        layout(weights.config, 41)


def test_values_beyond_f16(tmp_path):
    saved(tmp_path, "bert", num_hidden_layers=1)
    weights = read_encoder(tmp_path)
    weights.layers[0]["up"][::2], weights.layers[0]["up"][1::2] = 6e4, -6e4
    with pytest.raises(ConfigError, match="exceeded the range of f16; use --dtype bf16"):
        Encoder(weights, layout(weights.config, 4, 2, 1)).encode([[1, 2]])
    weights.layers[0]["k"][:] = 6e4
    with pytest.raises(ConfigError, match="a query or key of layer 0 exceeded the range of f16"):
        Encoder(weights, layout(weights.config, 4, 2, 1)).encode([[1, 2]])
