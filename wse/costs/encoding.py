"""Cycles of sentences in the layout that `wse embed` executes.

As decoding.py: a phase of a token costs a sum of terms that follow from the program, whose coefficients are fitted to
sentences of small encoders with random shapes, in encoding.csv.  Layers, tokens and sentences are then put together as
the program does: a layer takes all tokens of a sentence before the first of them goes on, and hands a token over when
the next layer is ready for it.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..execute.encoding import Encoder
from ..execute.strip_layout import Layout, layout
from ..machine.parameters import Machine
from ..models.config import Transformer
from ..models.weights import Weights
from ..operators import decoder
from ..operators.strip import OUT, QUEUE
from .decoding import Errors
from .fit import non_negative

TABLE = Path(__file__).with_name("encoding.csv")
REST = "embedding, pooling, ways between regions"
HELD_OUT = 12  # rows of the table, its last ones, that nothing is fitted to
SHAPE = ("layers", "d_model", "heads", "d_ff", "vocab", "width", "group", "tokens")
FIRST = ("queries, keys, values", "RoPE, cache")  # phases of a token before the layer's sentence is complete
SECOND = tuple(name for name in decoder.PHASES if not name.startswith("wait") and name not in FIRST)


def terms(made: Layout, tokens: int) -> dict[str, list[float]]:
    """The terms of each phase of a token, in one layer, in a sentence of so many tokens."""
    s = made.layer
    w, h, kx, ny, q, dr, n = s.width, s.height, s.kx, s.ny, s.queries, s.dr, (tokens - 1) // s.width + 1
    return {
        "queries, keys, values": [1.0, w, kx, s.nq, kx * s.nq],
        "RoPE, cache": [1.0, q, s.turned, dr],
        "scores": [1.0, q, q * dr, q * n, q * dr * n, s.group],
        "softmax": [1.0, w, q, q * n],
        "values": [1.0, w, q, q * n, q * dr, q * n * dr],
        "attention's output": [1.0, h, w, q * dr, kx, q * dr * kx],
        "gate, up": [1.0, w, kx, ny, kx * ny],
        "activation": [1.0, ny],
        "down": [1.0, h, w, ny, kx, ny * kx],
    }


def _rest(made: Layout, tokens: int) -> list[float]:
    """Terms of what the phases leave of a sentence's cycles."""
    return [1.0, made.table.rows, made.layers, tokens, made.layers * tokens, made.layers * tokens * made.layer.kx]


class Coefficients(NamedTuple):
    """Cycles of each term, of each phase and of the rest."""

    phases: dict[str, np.ndarray]
    rest: np.ndarray


@cache
def coefficients() -> Coefficients:
    """Fitted to the table, relative errors weighted alike."""
    made = rows()[:-HELD_OUT]
    phases = {}
    for name in terms(*made[0][:2]):
        matrix = np.array([terms(place, tokens)[name] for place, tokens, _ in made])
        cycles = np.array([spent[name] / place.layers for place, _, spent in made])
        phases[name] = non_negative(matrix / cycles[:, None], np.ones(len(cycles)))
    left, of_rest, whole = [], [], []
    for place, tokens, spent in made:
        own = {name: spent[name] / place.layers for name in (*FIRST, *SECOND)}
        total = float(spent[REST])
        left.append(total - _finished(_times(own), place.layers, [tokens])[0])
        of_rest.append(_rest(place, tokens))
        whole.append(total)
    scale = np.array(whole)
    rest = non_negative(np.array(of_rest) / scale[:, None], np.maximum(left, 0) / scale)
    return Coefficients(phases, rest)


def _times(phases: Mapping[str, float]) -> tuple[float, float]:
    """Cycles of a token before and after its sentence is complete."""
    return sum(phases[name] for name in FIRST), sum(phases[name] for name in SECOND)


def _finished(
    times: tuple[float, float] | Sequence[tuple[float, float]], layers: int, lengths: Sequence[int], ahead: int = 0
) -> list[float]:
    """When each sentence of a step is complete.

    times: of a token of all sentences, or of each.  ahead: tokens that a layer can give on before the next one is ready
    for the first of them, because they fit into queues and buffers on the way.
    """
    each = [times] * len(lengths) if isinstance(times, tuple) else list(times)
    free = [0.0] * (layers + 1)  # when a layer has given on all tokens of the sentence before
    result = []
    for (first, second), tokens in zip(each, lengths, strict=True):
        taken = [free[0] + t * first for t in range(tokens)]  # when the layer takes each token
        for layer in range(layers):
            sender, receiver, then = taken[-1] + first, free[layer + 1], list[float]()
            for t in range(tokens):
                ready = sender + second
                sender = ready if t < ahead else max(ready, then[t - ahead] if ahead else receiver)
                then.append(max(sender, receiver))
                receiver = then[-1] + (first if layer + 1 < layers else 0.0)
            free[layer], taken = sender, then
        free[layers] = taken[-1]
        result.append(taken[-1])
    return result


def _ahead(made: Layout) -> int:
    """Tokens that fit between two regions: an output queue, the buffers of two routers, an input queue."""
    machine = Machine("wse3")
    queues = (getattr(machine, f"oq{OUT['give']}_depth"), getattr(machine, f"iq{QUEUE['take']}_depth"))
    return int((sum(queues) + 2 * machine.router_depth) // made.layer.kx)


def predict(made: Layout, lengths: Sequence[int]) -> list[float]:
    """Cycles from the start of a step until each of its sentences, of so many tokens, has its vector."""
    fitted = coefficients()
    times, latency = [], 0.0
    for tokens in lengths:
        of = {name: float(fitted.phases[name] @ np.array(values)) for name, values in terms(made, tokens).items()}
        first, second = _times(of)
        once, by_row, by_layer, by_token, each, wide = fitted.rest
        times.append((first + float(by_token), second + float(each + wide * made.layer.kx)))
        latency = float(once + by_row * made.table.rows + by_layer * made.layers)
    return [latency + at for at in _finished(times, made.layers, lengths, _ahead(made))]


def is_fitted(made: Layout) -> bool:
    """Whether the coefficients are those of the layout's layers: they were fitted to BERT's, with its exact GELU."""
    return made.layer.kind == rows()[0][0].layer.kind


@cache
def held_out() -> Errors:
    """The errors on the rows that nothing was fitted to."""
    errors = [100 * abs(predict(made, [tokens])[0] / spent[REST] - 1) for made, tokens, spent in rows()[-HELD_OUT:]]
    return Errors(float(np.mean(errors)), max(errors))


# --- the table --------------------------------------------------------------------------------------------------------


def rows() -> list[tuple[Layout, int, dict[str, int]]]:
    """The executed sentences: layout, tokens, cycles by phase, and under `REST` of the whole sentence."""
    with TABLE.open(newline="") as file:
        made = [{key: int(value) for key, value in row.items()} for row in csv.DictReader(file)]
    return [(place(row), row["tokens"], {k: v for k, v in row.items() if k not in SHAPE}) for row in made]


def place(shape: Mapping[str, int]) -> Layout:
    """The layout of a shape: values for `SHAPE`."""
    return layout(config(shape), shape["tokens"], shape["width"], shape["group"])


def config(shape: Mapping[str, int]) -> Transformer:
    """The model of a shape: of BERT's kind."""
    return Transformer(
        name="measured",
        layers=shape["layers"],
        d_model=shape["d_model"],
        heads=shape["heads"],
        kv_heads=shape["heads"],
        d_ff=shape["d_ff"],
        vocab=shape["vocab"],
        sequence=64,
        exact=True,
        causal=False,
        body="encoder",
        norm_at="after",
        embedding_norm=True,
        final_norm=False,
        head="none",
    )


def measure(shape: Mapping[str, int]) -> dict[str, int]:
    """Execute a sentence of a model with weights of 0 and return the row of the table.  shape: values for `SHAPE`."""
    c = config(shape)
    d, f = c.d_model, c.d_ff
    sizes: dict[str, tuple[int, ...]] = {"up": (f, d), "down": (d, f)}
    sizes |= dict.fromkeys("qkvo", (d, d))
    sizes |= {f"{name}_bias": size[:1] for name, size in sizes.items()}
    layer = {name: np.zeros(size, np.float32) for name, size in sizes.items()}
    layer |= {f"gains{i}": np.ones(d, np.float32) for i in (1, 2)}
    one = np.ones(d, np.float32)
    more = {"positions": np.zeros((c.sequence, d), np.float32), "embedding_gains": one, "embedding_shift": one}
    weights = Weights(c, np.zeros((c.vocab, d), np.float32), None, one[:0], (layer,) * c.layers, {}, more)
    made = Encoder(weights, place(shape), "f16", Machine("wse3"))
    whole = made.encode([[0] * shape["tokens"]])
    return {**shape, **made.phases(), REST: int(whole.finished[0])}
