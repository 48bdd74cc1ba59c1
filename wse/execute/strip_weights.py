"""Weights in the memories of a strip's PEs: rounded to 16 bits, cut into the parts that `strip_layout` places."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..machine import numerics
from ..models import rope
from ..models.config import Transformer
from ..models.reading import LOCAL, SCALED_ALIBI
from ..models.scales import scale_of_logits, setting
from ..models.weights import Weights
from ..operators import layer_shape
from ..operators.attention_reference import slopes
from ..operators.layer_shape import Latent, LayerShape
from .strip_layout import Layout

WIDE = 1 << 30  # slots of a window that sees all
NO_SINK = -1e30  # a sink in a column that has none
NEVER = -1e30  # the logit of an expert that there is not
EXPERTS = ("gate", "up", "down")  # arrays with an axis of experts
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
    t, config = layout.table, weights.config
    for i, layer in enumerate(weights.layers):
        s, top = layout.shape(i), layout.top(i)
        if setting(config, "scale_attn_by_inverse_layer_idx", 0):  # a scale of the scores is one of the queries
            layer = {**layer, **{name: layer[name] / np.float32(i + 1) for name in ("q", "q_bias") if name in layer}}
        for name, values in layer_tiles(layer, s, storage, f"layer {i}", rotary_of(config)):
            yield name, values, top
        for name, values in _settings(config, s, i):
            yield name, values, top
    s = layout.layer
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
        if not name:  # a scale of the logits is one of what they are made from
            times = np.float32(scale_of_logits(config))
            arrays = {array: values * times for array, values in arrays.items()}
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
        steeper = setting(config, "attn_config.alibi_bias_max", 8) / 8
        own = np.power(slopes(s.heads), steeper, dtype=np.float32).reshape(s.kv_heads, s.queries)
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
    made = {
        name: bits(values, storage, f"{what}: {name}")
        for name, values in layer.items()
        if values.ndim == 2 + (s.kind.experts > 1 and name in EXPERTS)
    }
    kind = s.kind
    if kind.latent is not None:
        yield from _latent(layer, made, s, kind.latent, storage)
    else:
        order = np.stack([layer_shape.qkv_order(s, row, rotary) for row in range(s.height)])
        yield "w_qkv", _outward(np.concatenate([made["q"], made["k"], made["v"]])[order], s)
        attended = np.stack([layer_shape.row_features(s, row, rotary)[0].ravel() for row in range(s.height)])
        yield "w_o", _inward(made["o"], attended, s)
    yield from _mlp(layer, made, s)
    if kind.qkv_bias and kind.latent is None:
        yield "b_qkv", _first_column(np.concatenate([layer[f"{x}_bias"] for x in "qkv"])[order], s.width)
    if kind.sinks:
        sinks = np.full((s.height, s.width, s.queries), NO_SINK, np.float32)
        own = layer["sinks"].reshape(s.kv_heads, s.queries) / np.float32(1 if kind.softcap else s.scale)
        sinks[:, 0] = np.repeat(own, s.group, axis=0)
        yield "sinks", sinks
    if kind.output_bias:
        yield "b_o", _first_row(layer["o_bias"], s)
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


def _latent(
    layer: Mapping[str, np.ndarray], made: Mapping[str, np.ndarray], s: LayerShape, latent: Latent, storage: str
) -> Iterator[tuple[str, np.ndarray]]:
    """Arrays of latent attention.  Features of the cached vector: those that are turned, then the latent."""
    h, w, rope, half = s.height, s.width, latent.rope, s.dr // 2
    pairs = layer_shape.pairs(s, rope)
    cached = np.stack([pairs[:, row * half : (row + 1) * half].ravel() for row in range(h)])  # [rows, dr]
    turned = cached < rope
    first = "q_low" if latent.q_rank else "q"
    low = _padded(made[first], h * s.low).reshape(h, s.low, -1)
    keys = np.concatenate([made["k_rope"], made["kv_low"]])[cached]
    yield "w_qkv", _outward(np.concatenate([low, keys], axis=1), s)
    if s.kind.qkv_bias:
        biases = layer["q_low_bias"] if latent.q_rank else np.zeros(len(made["q"]), np.float32)
        keys = np.concatenate([layer["k_rope_bias"], layer["kv_low_bias"]])[cached]
        rows = np.concatenate([_padded(biases, h * s.low).reshape(h, -1), keys], axis=1)
        yield "b_qkv", _first_column(rows, w)
    queries = s.heads * latent.d_query
    if latent.q_rank:
        wide = _padded(_padded(made["q"], w * s.kq).T, h * s.low).reshape(h, s.low, w, s.kq)
        yield "w_q", np.ascontiguousarray(wide.transpose(0, 2, 1, 3))
        yield "q_gains", np.repeat(_padded(layer["norm_q"], h * s.low).reshape(h, 1, s.low), w, axis=1)
    else:
        yield "place_q", _places(h, w, s.low, s.kq, queries)
    for name, values in (
        ("key_gains", np.where(turned, 0, layer["norm_kv"][np.maximum(cached - rope, 0)])),
        ("key_turned", turned),
        ("key_latent", ~turned),
    ):
        yield name, np.repeat(values.astype(np.float32)[:, None], w, axis=1)
    # Of the queries of a head, those that are not turned are taken to the latent, the others stay.
    own = latent.d_query - rope
    absorb = np.zeros((s.heads, latent.d_query, s.d_head), np.uint16)
    absorb[:, :own, rope:] = made["k"].reshape(s.heads, own, -1)
    absorb[:, own + np.arange(rope), np.arange(rope)] = bits(np.ones(1, np.float32), storage, "")
    split = _padded(absorb.reshape(queries, -1), w * s.kq)[:, cached].reshape(w, s.kq, h, s.dr)
    yield "w_absorb", np.ascontiguousarray(split.transpose(2, 0, 1, 3))
    heads = np.minimum(np.arange(w * s.kq) // latent.d_query, s.heads - 1).reshape(w, s.kq)
    yield "absorb_to", np.repeat((4 * half * heads).astype(np.uint32)[None], h, axis=0)
    yield from _of_values(made, s, latent, cached)


def _of_values(
    made: Mapping[str, np.ndarray], s: LayerShape, latent: Latent, cached: np.ndarray
) -> Iterator[tuple[str, np.ndarray]]:
    """Arrays behind the weighted latents.  cached: the cached features of the rows, [rows, dr]."""
    h, w = s.height, s.width
    features = s.heads * latent.d_value
    expand = np.zeros((features, s.d_head), np.uint16)
    expand[:, latent.rope :] = made["v"]
    weights = np.zeros((h, w, s.kv * s.dr), np.uint16)
    parts = np.zeros((w, s.most_value_parts, 3), np.uint32)
    for column in range(w):
        for k, (head, first, n) in enumerate(s.value_parts(column)):
            start = column * s.kv + first
            own = expand[start : start + n][:, cached].transpose(1, 2, 0)  # [rows, dr, n]
            weights[:, column, first * s.dr : (first + n) * s.dr] = own.reshape(h, -1)
            parts[column, k] = (4 * first + (n << 16), 2 * first * s.dr + (n << 16), 2 * head * s.dr)
    yield "w_expand", weights
    yield "value_parts", np.repeat(parts[None], h, axis=0)
    wide = _padded(_padded(made["o"], h * s.rx).T, w * s.kv).reshape(w, s.kv, h, s.rx)
    yield "w_o", np.ascontiguousarray(wide.transpose(2, 0, 1, 3))
    yield "place_o", _places(h, w, s.rx, s.kx, s.d_model)


def _padded(values: np.ndarray, rows: int) -> np.ndarray:
    """Values with rows of 0 behind them."""
    return np.concatenate([values, np.zeros((rows - len(values), *values.shape[1:]), values.dtype)])


def _places(height: int, width: int, of_row: int, of_column: int, features: int) -> np.ndarray:
    """What a row and a column share of features in order, uint32 [rows, columns, 3]: spans in the column's f32 vector
    and in the row's, and their length."""
    row, column = np.arange(height)[:, None] * of_row, np.arange(width)[None] * of_column
    first = np.maximum(row, column)
    n = np.maximum(np.minimum(np.minimum(row + of_row, column + of_column), features) - first, 0)
    spans = [np.where(n > 0, 4 * (first - start) + (n << 16), 0) for start in (column, row)]
    return np.stack([*spans, n], axis=2).astype(np.uint32)


def _mlp(
    layer: Mapping[str, np.ndarray], made: Mapping[str, np.ndarray], s: LayerShape
) -> Iterator[tuple[str, np.ndarray]]:
    """Arrays of the MLP, or of the experts, which have a first axis in front of the PE's arrays, and of the router."""
    parts = [name for name in ("gate", "up") if name in layer]
    several = s.kind.experts > 1
    rows, beyond = np.arange(s.height * s.ny).reshape(s.height, s.ny), s.height * s.ny - s.d_ff

    def of_each(part: Callable[[Any], np.ndarray]) -> np.ndarray:
        return np.stack([part(i) for i in range(s.kind.mlps)], axis=2) if several else part(...)

    matrices = {name: _with_shared(made, name, s) for name in (*parts, "down")}

    def up(i: Any) -> np.ndarray:
        return np.concatenate([np.pad(matrices[name][i], ((0, beyond), (0, 0)))[rows] for name in parts], axis=1)

    yield "w_up", of_each(lambda i: _outward(up(i), s))
    yield "w_down", of_each(lambda i: _inward(np.pad(matrices["down"][i], ((0, 0), (0, beyond))), rows, s))
    if s.kind.mlp_bias:

        def bias(i: Any) -> np.ndarray:
            return np.concatenate([np.pad(layer[f"{x}_bias"][i], (0, beyond))[rows] for x in parts], axis=1)

        yield "b_up", of_each(lambda i: _first_column(bias(i), s.width))
        yield "b_down", of_each(lambda i: _first_row(layer["down_bias"][i], s))
    if several:
        none = s.routed - s.kind.experts
        router = np.pad(made["router"], ((0, none), (0, 0)))
        yield "w_router", _outward(router.reshape(s.height, s.router, -1), s)
        biases = np.pad(
            layer.get("router_bias", np.zeros(s.kind.experts, np.float32)), (0, none), constant_values=NEVER
        )
        yield "b_router", _first_column(biases.reshape(s.height, s.router), s.width)
        places = (4 * s.router * np.arange(s.height, dtype=np.uint32))[:, None, None]
        yield "router_place", np.repeat(places, s.width, axis=1)
    if s.kind.scoring == "sigmoid":
        correction = np.pad(layer["correction"], (0, s.routed - s.kind.experts), constant_values=NEVER)
        yield "correction", np.broadcast_to(correction, (s.height, s.width, s.routed)).copy()


def _with_shared(made: Mapping[str, np.ndarray], name: str, s: LayerShape) -> np.ndarray:
    """A matrix of all MLPs: of the experts, and of the shared MLP cut into parts of an expert's size."""
    if not s.kind.shared:
        return made[name]
    own, n, axis = made[f"shared_{name}"], s.kind.shared, 1 if name == "down" else 0
    beyond = [(0, 0), (0, 0)]
    beyond[axis] = (0, n * s.d_ff - own.shape[axis])
    return np.concatenate([made[name], np.stack(np.split(np.pad(own, beyond), n, axis=axis))])


def _first_row(values: np.ndarray, s: LayerShape) -> np.ndarray:
    """[rows, columns, kx] of a bias of sums along the columns: 0 but in the first row."""
    made = _along(values, s.height, s)
    made[1:] = 0
    return made


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
