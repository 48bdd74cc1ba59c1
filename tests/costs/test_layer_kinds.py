"""Cycles of a token in layers of all kinds: what is recorded, what is fitted, and models to which nothing is."""

import numpy as np
import pytest

from wse.costs import decoding, layer_kinds
from wse.execute.generation import Decoder
from wse.execute.strip_layout import layout
from wse.models.config import Transformer

RMS = dict(norm="rms", activation="silu", gated=True, positions="rotary", bias=False)
SIZES = dict(layers=2, d_model=44, heads=6, kv_heads=3, d_head=12, d_ff=90, vocab=333, sequence=64)
# Models of no kind of the table: a mixture of what its kinds have.
OTHERS = {
    "qwen2": RMS | {"attention_bias": True, "output_bias": False},
    "glm4": RMS | {"norm_at": "both", "rotary": 6, "attention_bias": True, "tied": False},
    "falcon": dict(norm="layer", activation="gelu", exact=True, positions="rotary", bias=False, norm_bias=True,
                   parallel=True, kv_heads=1),
    "starcoder2": dict(norm="layer", activation="gelu", positions="rotary", windows=(9,), tied=False),
    "experts of two kinds": RMS | {"experts": 6, "active_experts": 2, "d_expert": 30, "d_shared": 30, "layers": 3,
                                   "expert_layers": (True, False, True), "qk_norm": "head"},
    "many heads": RMS | {"heads": 20, "kv_heads": 1, "attention_bias": True, "qk_norm": "head"},
    "latent": RMS | {"kv_rank": 20, "d_rope": 4, "d_value": 9, "q_rank": 17, "kv_heads": 6},
}  # fmt: skip


def test_held_out_tokens():
    found = layer_kinds.held_out()
    assert found.keys() == layer_kinds.KINDS.keys()
    assert max(found.values()) < 5, found
    assert all(len(layer_kinds.rows(kind)) > 2 * layer_kinds.HELD_OUT for kind in found)


def test_no_coefficient_is_negative():
    assert all(min(of.values()) >= 0 and max(of.values()) > 0 for of in layer_kinds.coefficients().values())


@pytest.mark.parametrize("kind, number", [("gpt2", 0), ("gpt_oss", -1), ("deepseek_v3", 1)])
def test_the_table_is_what_is_executed(kind, number):
    import csv
    import json

    with layer_kinds.TABLE.open(newline="") as file:
        row = [row for row in csv.DictReader(file) if row["kind"] == kind][number]
    where = {name: int(row[name]) for name in layer_kinds.PLACE}
    spent = layer_kinds.measure(kind, json.loads(row["sizes"]), where)
    assert spent == layer_kinds.rows(kind)[number][2]


@pytest.mark.parametrize("name", OTHERS)
def test_other_models_within_5_percent(name):
    model = Transformer(name=name, **SIZES | OTHERS[name])
    made = layout(model, 40, 5, 4 if model.kv_rank else 2)
    assert decoding.is_fitted(made)
    decoder = Decoder(layer_kinds.blank(model), made)
    ids = np.arange(9).tolist()
    prompt, token = decoder.step(ids), decoder.step([1])
    assert abs(decoding.predict_prompt(made, 9) / prompt - 1) < 0.05
    predicted = decoding.predict(made, 9)
    assert abs(sum(predicted.values()) / token - 1) < 0.05
    assert predicted.keys() == decoder.phases().keys() | {layer_kinds.REST}


def test_what_no_row_has_is_not_predicted():
    model = Transformer(name="odd", **SIZES | RMS | {"activation": "relu2", "gated": False})
    made = layout(model, 40, 5, 2)
    assert layer_kinds.lacks(made) == ["activation: relu2", "activation: relu2 ny"]
    assert not decoding.is_fitted(made)
    assert not decoding.is_fitted(layout(model.but(activation="gelu"), 40, 5, 2, sequences=2))
