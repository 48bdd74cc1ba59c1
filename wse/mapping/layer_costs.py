"""Cost models of the transformer's operators (kernels/layer), each executed alone on one PE: 16-bit tiles, f32 inside.

What a row of PEs adds up for norms, softmax and loss, and what products with streamed weights cost, are models of their
own.  rows: features of a tile; tokens: of a tile.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

from ..kernels.layer import activation, alone, residual
from ..kernels.layer.attention import Attention
from ..kernels.layer.code import Routine
from ..kernels.layer.loss import Loss
from ..kernels.layer.norm import Norm
from .cost import Model, Shape

SIZE, FORMAT = 2, "f16"
EPS = 1e-5

Terms = dict[str, Callable[[Shape], float]]
Made = tuple[list[Routine], dict[str, tuple[tuple[int, ...], str]]]


def layer_models() -> list[Model]:
    """The operators that have a cost model."""
    return [
        *_elementwise("gelu", lambda n: _activation("gelu", n)),
        *_elementwise("silu gate", _gate),
        _model("residual", "add", ("n",), BY_ELEMENT, lambda s: _residual(s["n"]), ELEMENTS, MORE_ELEMENTS),
        *(_norm(kind, phase) for kind in ("layer", "rms") for phase in ("forward", "backward")),
        _model("loss", "loss", ("rows", "tokens"), BY_ROW, _loss, TILES, MORE_TILES),
        *(_attention(phase) for phase in ("forward", "backward")),
    ]


def _model(
    name: str,
    routine: str,
    sizes: tuple[str, ...],
    terms: Terms,
    make: Callable[[Shape], Made],
    fitted: tuple[tuple[int, ...], ...],
    held: tuple[tuple[int, ...], ...],
) -> Model:
    """A model whose runs execute the routines that `make` gives and take the cycles of one of them."""

    def run(shape: Shape) -> int:
        routines, tensors = make(shape)
        random = np.random.default_rng(0)
        given: dict[str, Any] = {}
        for tensor, (size, dtype) in tensors.items():
            whole = np.zeros(size, np.uint16) if dtype == "u16" else random.normal(size=size).astype(np.float32)
            given[tensor] = alone.Tensor(size, whole, dtype)
        return alone.on_one(routines, given, FORMAT).cycles[routine]

    return Model(name, sizes, terms, run, fitted, held)


# --- element by element --------------------------------------------------------------------------------------------

BY_ELEMENT: Terms = {
    "start": lambda s: 1.0,
    "an element": lambda s: s["n"],
    "a chunk": lambda s: -(-s["n"] // activation.CHUNK),
}
ELEMENTS = tuple((n,) for n in (32, 64, 128, 256, 384, 512, 1024))
MORE_ELEMENTS = tuple((n,) for n in (48, 160, 320, 768, 2048))


def _elementwise(name: str, make: Callable[[int], Made]) -> list[Model]:
    return [
        _model(f"{name} {phase}", phase, ("n",), BY_ELEMENT, lambda s: make(s["n"]), ELEMENTS, MORE_ELEMENTS)
        for phase in ("forward", "backward")
    ]


def _activation(function: str, n: int) -> Made:
    tile = ((n,), FORMAT)
    forward = activation.forward(function, n, SIZE, "forward")
    backward = activation.backward(n, SIZE, "backward")
    return [forward, backward], dict.fromkeys({*forward.operands, *backward.operands}, tile)


def _gate(n: int) -> Made:
    tile = ((n,), FORMAT)
    forward = activation.gate_forward("silu", n, SIZE, "forward")
    backward = activation.gate_backward(n, SIZE, "backward")
    return [forward, backward], dict.fromkeys({*forward.operands, *backward.operands}, tile)


def _residual(n: int) -> Made:
    made = residual.add(n, SIZE, "add")
    return [made], dict.fromkeys(made.operands, ((n,), FORMAT))


# --- over a row of PEs; the sums along it apart -------------------------------------------------------------------

BY_ROW: Terms = {
    "start": lambda s: 1.0,
    "an element": lambda s: s["rows"] * s["tokens"],
    "a row": lambda s: s["rows"],
    "a token": lambda s: s["tokens"],
}
TILES = tuple(product((4, 8, 16, 24), (8, 16, 32, 64)))
MORE_TILES = ((6, 24), (12, 48), (20, 40), (28, 64), (5, 128))


def _norm(kind: str, phase: str) -> Model:
    def make(s: Shape) -> Made:
        rows, tokens = s["rows"], s["tokens"]
        made = Norm(kind, rows, rows, tokens, 1, SIZE, EPS, bias=kind == "layer")
        tile, by_row, by_token = ((rows, tokens), FORMAT), ((rows,), "f32"), ((tokens,), "f32")
        tensors: dict[str, tuple[tuple[int, ...], str]] = dict.fromkeys(("x", "y", "xhat", "dy", "dx"), tile)
        tensors |= dict.fromkeys(("gain", "bias", "dgain", "dbias"), by_row) | {"rstd": by_token}
        return [made.forward("forward"), made.backward("backward")], tensors

    return _model(f"{kind} norm {phase}", phase, ("rows", "tokens"), BY_ROW, make, TILES, MORE_TILES)


def _loss(s: Shape) -> Made:
    rows, tokens = s["rows"], s["tokens"]
    tile = ((rows, tokens), FORMAT)
    tensors = {"logits": tile, "dlogits": tile, "labels": ((tokens,), "u16"), "scale": ((1,), "f32")}
    tensors |= {"loss": ((1,), "f32")}
    return [Loss(rows, rows, tokens, 1, SIZE).routine("loss")], tensors


# --- attention -----------------------------------------------------------------------------------------------------


def _pairs(s: Shape) -> int:
    return s["heads"] * s["sequence"] ** 2


BY_PAIR: Terms = {
    "start": lambda s: 1.0,
    "a pair of tokens and feature": lambda s: _pairs(s) * s["d_head"],
    "a pair of tokens": _pairs,
    "a token and feature": lambda s: s["heads"] * s["sequence"] * s["d_head"],
    "a token": lambda s: s["heads"] * s["sequence"],
    "a feature": lambda s: s["heads"] * s["d_head"],
    "a head": lambda s: s["heads"],
}
HEADS = (
    *product((1,), (4, 8, 16, 32), (8, 16, 24)),
    (1, 4, 32), (1, 8, 32), (1, 16, 32), (2, 8, 16), (2, 16, 16), (4, 8, 16), (1, 64, 8),
)  # fmt: skip
MORE_HEADS = ((1, 12, 20), (1, 24, 16), (2, 8, 24), (3, 8, 16), (1, 8, 40), (1, 32, 32))


def _attention(phase: str) -> Model:
    def make(s: Shape) -> Made:
        heads, d_head, sequence = s["heads"], s["d_head"], s["sequence"]
        made = Attention(heads, heads, d_head, sequence, sequence, SIZE)
        tile = ((heads * d_head, sequence), FORMAT)
        tensors = dict.fromkeys(("q", "k", "v", "o", "do", "dq", "dk", "dv"), tile)
        return [made.forward("forward"), made.backward("backward")], tensors | {"stash": ((made.stash,), "f32")}

    return _model(f"attention {phase}", phase, ("heads", "d_head", "sequence"), BY_PAIR, make, HEADS, MORE_HEADS)
