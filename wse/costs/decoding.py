"""Cycles of a token in the layout that `wse generate` executes, by what its regions do; layer_kinds.py has all layers
but those of Llama.

A cost is a sum of terms that follow from the program: operations and their elements, the PEs that a sum passes.  Their
coefficients are fitted, without any below 0, to executed tokens of small models with random shapes, in decoding.csv;
no coefficient belongs to a model.  `measure` executes a shape again.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..execute.generation import Decoder
from ..execute.strip_layout import Layout, layout
from ..machine.parameters import Machine
from ..models.config import Transformer
from ..models.weights import Weights
from ..operators import decoder, vocabulary
from ..operators.cached_attention import UNROLLED
from ..operators.layer_shape import Kind
from . import layer_kinds
from .fit import non_negative
from .layer_kinds import REST

TABLE = Path(__file__).with_name("decoding.csv")
HELD_OUT = 20  # rows of the table, its last ones, that nothing is fitted to
SHAPE = ("layers", "d_model", "heads", "kv_heads", "d_head", "d_ff", "vocab", "width", "group", "slots", "position")
LAYER = [name for name in decoder.PHASES if not name.startswith("wait")]
HEAD = [name for name in vocabulary.PHASES if not name.startswith("wait")]


def terms(made: Layout, position: int) -> dict[str, list[float]]:
    """The terms of each phase, of all layers, for the token at a position of a sequence."""
    s, t = made.layer, made.table
    w, h, kx, ny, q, dr, n = s.width, s.height, s.kx, s.ny, s.queries, s.dr, position // s.width + 1
    chunks = -(-t.entries // vocabulary.CHUNK)
    layer = {
        "queries, keys, values": [1, w, kx, s.nq, kx * s.nq],
        "RoPE, cache": [1, q, s.turned, dr],
        "scores": [1, q, q * dr, q * n, q * dr * n, s.group],
        "softmax": [1, w, q, q * n],
        "values": [1, w, q, q * n, q * dr, q * n * dr],
        "attention's output": [1, h, q * dr, kx, q * dr * kx],
        "gate, up": [1, w, kx, ny, kx * ny],
        "activation": [1, ny],
        "down": [1, h, ny, kx, ny * kx],
    }
    distance = made.height if made.tied else 0
    return {name: [made.layers * float(v) for v in values] for name, values in layer.items()} | {
        "logits": [1, w, kx, t.entries, kx * t.entries],
        "sums of logits": [1, w, t.entries],
        "greatest logit": [1, chunks, t.entries, t.rows],
        REST: [1, t.rows, kx, made.layers, made.layers * h, distance],
    }


@cache
def coefficients() -> dict[str, np.ndarray]:
    """Cycles of each term of each phase, fitted to the table, relative errors weighted alike."""
    made = rows()[:-HELD_OUT]
    result = {}
    for name in terms(*made[0][:2]):
        matrix = np.array([terms(place, position)[name] for place, position, _ in made])
        cycles = np.array([spent[name] for _, _, spent in made])
        result[name] = non_negative(matrix / cycles[:, None], np.ones(len(cycles)))
    return result


def is_fitted(made: Layout) -> bool:
    """Whether the cycles of the layout are predicted: those of one sequence, of layers of which some row has all."""
    return made.layer.sequences == 1 and (_is_llama(made) or not layer_kinds.lacks(made))


def _is_llama(made: Layout) -> bool:
    t = made.table
    plain = t.scale == 1 and not (t.bias or t.softcap or t.layer or t.positions or t.normed)
    return made.layer.kind == Kind() and made.layer.queries <= UNROLLED and made.dense is None and plain


def worst_pct(made: Layout) -> float:
    """The greatest error on held-out tokens, in percent: of Llama's layers, or of all other kinds."""
    return held_out().worst_pct if _is_llama(made) else max(layer_kinds.held_out().values())


class Errors(NamedTuple):
    """Errors of predicted cycles of a token, in percent of the executed ones."""

    mean_pct: float
    worst_pct: float


@cache
def held_out() -> Errors:
    """The errors on the rows that nothing was fitted to."""
    errors = [
        100 * abs(sum(predict(made, position).values()) / sum(spent.values()) - 1)
        for made, position, spent in rows()[-HELD_OUT:]
    ]
    return Errors(float(np.mean(errors)), max(errors))


def predict(made: Layout, position: int) -> dict[str, float]:
    """Cycles of the token at a position, by phase; their sum is the time from its id to its greatest logit."""
    if not _is_llama(made):
        return layer_kinds.predict(made, position)
    fitted = coefficients()
    return {name: float(fitted[name] @ np.array(values)) for name, values in terms(made, position).items()}


def predict_prompt(made: Layout, tokens: int) -> float:
    """Cycles of a prompt: the last token passes everything, those before follow each other through the layers."""
    token = predict(made, tokens - 1)
    if _is_llama(made):
        slowest = sum(token[name] for name in LAYER) / made.layers
    else:
        slowest = max(layer_kinds.predict_layers(made, tokens - 1))
    return sum(token.values()) + (tokens - 1) * slowest


# --- the table --------------------------------------------------------------------------------------------------------


def rows() -> list[tuple[Layout, int, dict[str, int]]]:
    """The executed tokens: layout, position, cycles by phase."""
    with TABLE.open(newline="") as file:
        return [_row({key: int(value) for key, value in row.items()}) for row in csv.DictReader(file)]


def _row(row: Mapping[str, int]) -> tuple[Layout, int, dict[str, int]]:
    spent = {key: value for key, value in row.items() if key not in SHAPE}
    return place(row), row["position"], spent


def place(shape: Mapping[str, int]) -> Layout:
    """The layout of a shape: values for `SHAPE`."""
    return layout(config(shape), shape["slots"] * shape["width"], shape["width"], shape["group"])


def config(shape: Mapping[str, int]) -> Transformer:
    """The model of a shape."""
    names = ("layers", "d_model", "heads", "kv_heads", "d_head", "d_ff", "vocab")
    sizes: dict[str, Any] = {name: shape[name] for name in names}
    return Transformer(
        name="measured",
        sequence=shape["slots"] * shape["width"],
        norm="rms",
        activation="silu",
        gated=True,
        positions="rotary",
        bias=False,
        tied=True,
        **sizes,
    )


def measure(shape: Mapping[str, int]) -> dict[str, int]:
    """Execute a token of a model with weights of 0 and return the row of the table.  shape: values for `SHAPE`."""
    c = config(shape)
    d, f, heads, kv = c.d_model, c.d_ff, c.heads * c.d_head, c.kv_heads * c.d_head
    sizes = {"q": (heads, d), "k": (kv, d), "v": (kv, d), "o": (d, heads), "gate": (f, d), "up": (f, d), "down": (d, f)}
    layer: dict[str, np.ndarray] = {name: np.zeros(size, np.float32) for name, size in sizes.items()}
    layer |= {name: np.ones(d, np.float32) for name in ("gains1", "gains2")}
    weights = Weights(c, np.zeros((c.vocab, d), np.float32), None, np.ones(d, np.float32), (layer,) * c.layers, {})
    made = Decoder(weights, place(shape), "f16", Machine("wse3"))
    made.used[0] = shape["position"]
    cycles = made.step([0])
    spent = made.phases()
    return {**shape, **spent, REST: cycles - sum(spent.values())}
