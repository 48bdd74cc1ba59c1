"""Attention in float64, to compare with, and the slopes of ALiBi."""

from __future__ import annotations

import numpy as np

from .attention_shape import AttentionShape


def slopes(heads: int) -> np.ndarray:
    """The slopes of ALiBi for all heads, float32 [heads].

    They are powers of 2^(-8 / n), where n is the largest power of two that is at most `heads`.  Heads beyond n take
    every other slope of the series for 2 n (Press, Smith, Lewis: Train Short, Test Long, 2022, and its code).
    """
    n = 1 << heads.bit_length() - 1
    more = 2.0 ** (-4 / n * np.arange(1, 2 * (heads - n), 2))
    return np.concatenate([2.0 ** (-8 / n * np.arange(1, n + 1)), more]).astype(np.float32)


def reference(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    shape: AttentionShape,
    do: np.ndarray | None = None,
    slopes: np.ndarray | None = None,
    sinks: np.ndarray | None = None,
    mask: np.ndarray | None = None,
) -> tuple[np.ndarray, ...]:
    """Attention in float64: (o,), or (o, dq, dk, dv) if do is given.  All arrays are tiles [rows, tokens].

    slopes: float [heads], for ALiBi.  sinks: float [heads]; if do is given, their gradient follows dv.  mask: of
    dropout, float [heads, sequences of the tile, queries, keys].
    """
    s, group = shape.sequence, shape.heads // shape.kv_heads

    def heads(x: np.ndarray) -> np.ndarray:  # [head, sequence, token, feature]
        return np.asarray(x, np.float64).reshape(-1, shape.d_head, shape.tokens // s, s).transpose(0, 2, 3, 1)

    def tile(x: np.ndarray) -> np.ndarray:
        return x.transpose(0, 3, 1, 2).reshape(-1, shape.tokens)

    def shared(x: np.ndarray) -> np.ndarray:
        return x.reshape(shape.kv_heads, group, *x.shape[1:]).sum(axis=1)

    q, k, v = heads(q), np.repeat(heads(k), group, axis=0), np.repeat(heads(v), group, axis=0)
    scores = q @ k.swapaxes(-1, -2) * shape.scale
    slope = 1.0
    if shape.cap:
        scores = shape.cap * np.tanh(scores / shape.cap)
        slope = 1 - (scores / shape.cap) ** 2
    if slopes is not None:
        distance = np.arange(s) - np.arange(s)[:, None]
        scores = scores + np.asarray(slopes, np.float64)[:, None, None, None] * distance
    if shape.causal:
        scores = np.where(np.tri(s, dtype=bool), scores, -np.inf)
    if shape.window:
        scores = np.where(np.tri(s, k=-shape.window, dtype=bool), -np.inf, scores)
    if sinks is not None:  # a further key, whose value is 0
        further = np.broadcast_to(np.asarray(sinks, np.float64)[:, None, None, None], (*scores.shape[:-1], 1))
        scores = np.concatenate([scores, further], axis=-1)
    p = np.exp(scores - scores.max(axis=-1, keepdims=True))
    p /= p.sum(axis=-1, keepdims=True)
    p, of_sink = p[..., :s], p[..., s:]
    mask = np.ones(1) if mask is None else np.asarray(mask, np.float64)
    o = (p * mask) @ v
    if do is None:
        return (tile(o),)
    do = heads(do)
    dp = do @ v.swapaxes(-1, -2) * mask
    mean = (p * dp).sum(axis=-1, keepdims=True)
    ds = p * (dp - mean) * shape.scale * slope
    made = tile(o), tile(ds @ k), tile(shared(ds.swapaxes(-1, -2) @ q)), tile(shared((p * mask).swapaxes(-1, -2) @ do))
    return made if sinks is None else (*made, -(of_sink * mean).sum(axis=(1, 2, 3)))
