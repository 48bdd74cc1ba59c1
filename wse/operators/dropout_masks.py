"""The masks of dropout on the host: what PEs draw (dropout.py), to the bit."""

from __future__ import annotations

import numpy as np

from .attention_shape import AttentionShape
from .dropout import ROUNDS, WORDS, kept


def schedule(stream: int, draw: int, rounds: int = ROUNDS) -> list[int]:
    """The keys of the rounds."""
    key, others = stream, [draw >> 16 * i & 0xFFFF for i in range(3)]
    keys = [key]
    for i in range(rounds - 1):
        first = others.pop(0)
        others.append((((first >> 7 | first << 9) & 0xFFFF) + key & 0xFFFF) ^ i)
        key = (key << 2 | key >> 14) & 0xFFFF ^ others[-1]
        keys.append(key)
    return keys


def cipher(x: np.ndarray, y: np.ndarray, keys: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """(x, y), uint16 of one shape of at least one dimension, after a round with each key."""
    x, y = np.array(x, np.uint16, ndmin=1), np.array(y, np.uint16, ndmin=1)
    for key in keys:
        x = (x >> 7 | x << 9) + y ^ np.uint16(key)
        y = (y << 2 | y >> 14) ^ x
    return x, y


def mask(rate: float, stream: int, draw: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The mask of elements at positions (x, y): float32 of their shape."""
    left, right = np.broadcast_arrays(np.asarray(x, np.uint16), np.asarray(y, np.uint16))
    first, _ = cipher(left, right, schedule(stream, draw))
    keep = kept(rate)
    return np.where(first.view(np.int16) < keep - WORDS // 2, np.float32(WORDS / keep), np.float32(0))


def of_activation(rate: float, stream: int, draw: int, tokens: int, features: int) -> np.ndarray:
    """The mask of an activation: float32 [tokens, features].  tokens: of the pass."""
    return mask(rate, stream, draw, np.arange(features), np.arange(tokens)[:, None])


def of_attention(rate: float, stream: int, draw: int, sequences: int, heads: int, shape: AttentionShape) -> np.ndarray:
    """The mask of a pass's scores: float32 [sequences, heads, queries, keys], 1 where a score is not computed.

    heads: of the model.  shape: any with the same sequence and mask.
    """
    s, made = shape.sequence, np.ones((sequences, heads, shape.sequence, shape.sequence), np.float32)
    key = np.repeat(np.arange(s), [s - j // shape.keys * shape.fewer for j in range(s)])
    query = np.concatenate([np.arange(j // shape.keys * shape.fewer, s) for j in range(s)])
    place = np.arange(sequences * heads).reshape(sequences, heads, 1)
    made[:, :, query, key] = mask(rate, stream, draw, place, np.arange(len(key)))
    return made
