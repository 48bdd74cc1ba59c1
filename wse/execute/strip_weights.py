"""Weights in the memories of a strip's PEs: rounded to 16 bits, cut into the parts that `strip_layout` places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from ..errors import ConfigError
from ..machine import numerics
from ..models import rope
from ..models.config import Transformer
from ..models.reading import LOCAL, SCALED_ALIBI
from ..models.weights import Weights
from ..operators import layer_shape
from ..operators.attention import slopes
from ..operators.layer_shape import LayerShape
from .strip_layout import Layout, setting

WIDE = 1 << 30  # slots of a window that sees all
Tile = tuple[str, np.ndarray, int]  # name, values [rows, columns, *shape], first row


def bits(values: np.ndarray, storage: str, what: str) -> np.ndarray:
    """Patterns of the nearest 16-bit floats: uint16 of the shape of float32 `values`.

    ConfigError if a value exceeds the format's range.
    """
    if storage == "f16":
        with np.errstate(over="ignore"):
            made = values.astype(np.float16)
        if not np.isfinite(made).all():
            raise ConfigError(f"{what} has a weight of {np.abs(values).max():.4g}, beyond the range of f16: use bf16")
        return made.view(np.uint16)
    words = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((words + (0x7FFF + (words >> 16 & 1))) >> 16).astype(np.uint16)


def rounded(values: np.ndarray, storage: str) -> np.ndarray:
    """Values rounded to the format, as float32."""
    return numerics.from_bits(bits(values, storage, "a weight"), storage)


def tiles(weights: Weights, layout: Layout, storage: str) -> Iterator[Tile]:
    """Arrays of the PEs."""
    s, t, config = layout.layer, layout.table, weights.config
    for i, layer in enumerate(weights.layers):
        top = layout.top(i)
        for name, values in layer_tiles(layer, s, storage, f"layer {i}", rotary_of(config)):
            yield name, values, top
        for name, values in _settings(config, s, i):
            yield name, values, top
    yield "table", _table(weights.embedding, t.rows, t.entries, s, storage, "the embedding"), 0
    if t.positions:
        made = weights.more["positions"][: t.positions]
        yield "positions", _table(made, t.rows, t.places, s, storage, "the table of positions"), 0
    ends = [("_embedding", 0, t.rows)] if t.normed else []
    if layout.pooling is None:
        if not layout.tied:
            head = weights.embedding if weights.head is None else weights.head
            yield "table", _table(head, t.rows, t.entries, s, storage, "the head"), layout.head_top
        ends.append(("", layout.head_top, t.rows))
        if t.bias:
            bias = weights.more["head_bias"]
            bias = np.concatenate([bias, np.repeat(bias[:1], t.rows * t.entries - t.vocab)])
            yield "b_head", _first_column(bias.reshape(t.rows, t.entries), s.width), layout.head_top
    for name, top, rows in ends:
        arrays = {"gains": weights.more["embedding_gains"] if name else weights.gains}
        if t.layer:
            arrays["shift"] = weights.more.get("embedding_shift" if name else "shift", np.zeros(t.d_model, np.float32))
        for array, values in arrays.items():
            yield f"{array}{name}", _along(values, rows, s), top
        if t.layer:
            yield "real", _along(np.ones(t.d_model, np.float32), rows, s), top


def _table(table: np.ndarray, rows: int, entries: int, s: LayerShape, storage: str, what: str) -> np.ndarray:
    """[rows, columns, kx, entries] of a table [n, d_model]; entries beyond n repeat the first."""
    beyond = rows * entries - len(table)
    full = np.concatenate([table, np.repeat(table[:1], beyond, axis=0)])
    made = _columns(bits(full, storage, what), s)  # [all entries, columns, kx]
    return np.ascontiguousarray(made.reshape(rows, entries, s.width, s.kx).transpose(0, 2, 3, 1))


def _columns(values: np.ndarray, s: LayerShape) -> np.ndarray:
    """[n, width, kx] of [n, features], padded with zeros."""
    padded = np.zeros((len(values), s.width * s.kx), values.dtype)
    padded[:, : values.shape[1]] = values
    return padded.reshape(len(values), s.width, s.kx)


def _along(values: np.ndarray, rows: int, s: LayerShape) -> np.ndarray:
    """[rows, width, kx] of a vector [features] that lies along the columns."""
    return np.repeat(_columns(values[None], s), rows, axis=0)


# --- a layer ----------------------------------------------------------------------------------------------------------


def rotary_of(config: Transformer) -> int:
    """Features of a head that RoPE turns in some layer; 0: none."""
    return config.rotary if config.positions == "rotary" else 0


def frequencies(config: Transformer, s: LayerShape, layer: int) -> tuple[np.ndarray, float]:
    """(radians a position of a head's pairs, float64 [d_head / 2], 0 for those that stay; factor of the others)."""
    made = np.zeros(s.d_head // 2)
    if not config.block(layer).rotary:
        return made, 1.0
    theta, scaling = config.rope_theta, config.rope_scaling
    if config.block(layer).window and (local := setting(config, LOCAL, 0)):
        theta, scaling = local, ()
    turned, factor = rope.frequencies(config.rotary, theta, scaling, s.context)
    made[: len(turned)] = turned
    return made, factor


def _settings(config: Transformer, s: LayerShape, layer: int) -> Iterator[tuple[str, np.ndarray]]:
    """Arrays of a layer that follow from its configuration."""
    if s.kind.turns:
        for name, table in zip(("coarse", "fine"), layer_shape.angles(s, *frequencies(config, s, layer)), strict=True):
            rows = np.tile(table, (s.kv_heads, 1, 1, 1))
            yield name, np.repeat(rows[:, None], s.width, axis=1)
    if s.kind.windows:
        window = config.block(layer).window
        place = divmod(window, s.width) if window else (WIDE, 0)
        yield "window", np.broadcast_to(np.array(place, np.uint32), (s.height, s.width, 2)).copy()
    if s.kind.alibi:
        own = slopes(s.heads).reshape(s.kv_heads, s.queries)
        if not setting(config, SCALED_ALIBI, 0):
            own = own * np.float32(1 / s.scale)
        yield "slopes", np.repeat(np.repeat(own, s.group, axis=0)[:, None], s.width, axis=1)
        places = np.arange(s.slots) * s.width + np.arange(s.width)[:, None]
        yield "places", np.broadcast_to(places.astype(np.float32), (s.height, *places.shape)).copy()
    if s.kind.norm == "layer":
        yield "real", _along(np.ones(s.d_model, np.float32), s.height, s)


def layer_tiles(
    layer: Mapping[str, np.ndarray], s: LayerShape, storage: str, what: str, rotary: int
) -> Iterator[tuple[str, np.ndarray]]:
    """A layer's arrays: (name, values [rows, columns, *shape]).  rotary: features of a head that are turned."""
    made = {name: bits(values, storage, f"{what}: {name}") for name, values in layer.items() if values.ndim == 2}
    order = np.stack([layer_shape.qkv_order(s, row, rotary) for row in range(s.height)])
    yield "w_qkv", _outward(np.concatenate([made["q"], made["k"], made["v"]])[order], s)
    attended = np.stack([layer_shape.row_features(s, row, rotary)[0].ravel() for row in range(s.height)])
    yield "w_o", _inward(made["o"], attended, s)
    rows = np.arange(s.height * s.ny).reshape(s.height, s.ny)
    beyond = s.height * s.ny - s.d_ff
    parts = [name for name in ("gate", "up") if name in layer]
    wide = [np.pad(made[name], ((0, beyond), (0, 0)))[rows] for name in parts]
    yield "w_up", _outward(np.concatenate(wide, axis=1), s)
    yield "w_down", _inward(np.pad(made["down"], ((0, 0), (0, beyond))), rows, s)
    kind = s.kind
    if kind.qkv_bias:
        yield "b_qkv", _first_column(np.concatenate([layer[f"{x}_bias"] for x in "qkv"])[order], s.width)
    if kind.mlp_bias:
        yield (
            "b_up",
            _first_column(
                np.concatenate([np.pad(layer[f"{x}_bias"], (0, beyond))[rows] for x in parts], axis=1), s.width
            ),
        )
    for name, biased in (("o", kind.output_bias), ("down", kind.mlp_bias)):
        if biased:
            values = _along(layer[f"{name}_bias"], s.height, s)
            values[1:] = 0
            yield f"b_{name}", values
    for i in kind.norms:
        yield f"gains{i}", _along(layer[f"gains{i}"], s.height, s)
        if kind.norm == "layer":
            yield f"shift{i}", _along(layer.get(f"shift{i}", np.zeros(s.d_model, np.float32)), s.height, s)
    if kind.qk_norm != "none":
        gains = [layer[f"norm_{x}"] for x in "qk"]
        if kind.qk_norm == "head":
            gains = [np.tile(g, n) for g, n in zip(gains, (s.heads, s.kv_heads), strict=True)]
        own = np.concatenate(gains)[order[:, : 2 * s.turned]]
        yield "qk_gains", np.repeat(own[:, None], s.width, axis=1)


def _first_column(values: np.ndarray, width: int) -> np.ndarray:
    """[rows, columns, n] of a bias [rows, n] of sums along the rows: 0 but in the first column."""
    made = np.zeros((len(values), width, values.shape[1]), np.float32)
    made[:, 0] = values
    return made


def _outward(matrix: np.ndarray, s: LayerShape) -> np.ndarray:
    """[rows, columns, kx, outputs] of [rows, outputs, d_model]: inputs along the columns."""
    outputs = matrix.shape[1]
    split = _columns(matrix.reshape(-1, matrix.shape[2]), s)
    return np.ascontiguousarray(split.reshape(s.height, outputs, s.width, s.kx).transpose(0, 2, 3, 1))


def _inward(matrix: np.ndarray, inputs: np.ndarray, s: LayerShape) -> np.ndarray:
    """[rows, columns, inputs, kx] of [d_model, features], features of a row: inputs [rows, n]."""
    split = _columns(matrix.T, s)  # [features, columns, kx]
    return np.ascontiguousarray(split[inputs].transpose(0, 2, 1, 3))
