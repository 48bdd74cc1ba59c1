"""Angles of rotary positions, with the scalings that published models use for longer contexts.

A pair of features is rotated by position x frequency.  Without scaling the frequencies are theta^(-2 i / rotary).  The
scalings are those of Hugging Face's `rope_scaling`: linear, dynamic, llama3, yarn and longrope.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..errors import ConfigError

TRAINED = "max_position_embeddings"  # entry of a scaling: the longest sequence of the configuration


def frequencies(
    rotary: int, theta: float, scaling: tuple[tuple[str, Any], ...] = (), sequence: int = 0
) -> tuple[np.ndarray, float]:
    """(radians per position of each pair, float64 [rotary / 2]; factor of cos and sin).

    rotary: rotated features of a head.  scaling: (key, value) pairs of rope_scaling, with TRAINED.  sequence: tokens,
    which dynamic and longrope depend on.  Raises ConfigError for an unknown type, and for a list of factors of another
    length than rotary / 2.
    """
    plain = theta ** (-2.0 * np.arange(rotary // 2) / rotary)
    table = dict(scaling)
    kind = str(table.get("rope_type", table.get("type", "default")))
    if kind not in _KINDS:
        raise ConfigError(f"rope_scaling is of type {kind!r}; known are {', '.join(_KINDS)}")
    return _KINDS[kind](plain, rotary, theta, table, sequence)


Table = Mapping[str, Any]


def _default(plain: np.ndarray, rotary: int, theta: float, table: Table, sequence: int) -> tuple[np.ndarray, float]:
    return plain, 1.0


def _linear(plain: np.ndarray, rotary: int, theta: float, table: Table, sequence: int) -> tuple[np.ndarray, float]:
    return plain / table["factor"], 1.0


def _dynamic(plain: np.ndarray, rotary: int, theta: float, table: Table, sequence: int) -> tuple[np.ndarray, float]:
    """A larger base for sequences that are longer than those of the training."""
    trained, factor = _trained(table), table["factor"]
    if sequence <= trained:
        return plain, 1.0
    base = theta * (factor * sequence / trained - (factor - 1)) ** (rotary / (rotary - 2))
    return base ** (-2.0 * np.arange(rotary // 2) / rotary), 1.0


def _llama3(plain: np.ndarray, rotary: int, theta: float, table: Table, sequence: int) -> tuple[np.ndarray, float]:
    """Low frequencies are divided by the factor, high ones stay, between them is a smooth transition."""
    low, high = float(table.get("low_freq_factor", 1.0)), float(table.get("high_freq_factor", 4.0))
    turns = _trained(table) * plain / (2 * math.pi)  # in a sequence of the training
    smooth = np.clip((turns - low) / (high - low), 0, 1)
    return (1 - smooth) * plain / table["factor"] + smooth * plain, 1.0


def _yarn(plain: np.ndarray, rotary: int, theta: float, table: Table, sequence: int) -> tuple[np.ndarray, float]:
    """As llama3, with a linear transition between numbers of turns; cos and sin have a factor."""
    factor = float(table["factor"])

    def pair(turns: float) -> float:
        """The pair that makes so many turns in a sequence of the training."""
        return rotary * math.log(_trained(table) / (turns * 2 * math.pi)) / (2 * math.log(theta))

    low, high = pair(float(table.get("beta_fast", 32))), pair(float(table.get("beta_slow", 1)))
    if table.get("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, rotary - 1)
    if low == high:
        high += 0.001
    scaled = np.clip((np.arange(rotary // 2) - low) / (high - low), 0, 1)
    return scaled * plain / factor + (1 - scaled) * plain, _yarn_factor(factor, table)


def _yarn_factor(factor: float, table: Table) -> float:
    def magnitude(scale: float) -> float:
        return 0.1 * scale * math.log(factor) + 1 if factor > 1 else 1.0

    if table.get("attention_factor") is not None:
        return float(table["attention_factor"])
    if table.get("mscale") and table.get("mscale_all_dim"):
        return magnitude(table["mscale"]) / magnitude(table["mscale_all_dim"])
    return magnitude(1)


def score_factor(scaling: tuple[tuple[str, Any], ...]) -> float:
    """The factor of the scores of latent attention that a scaling with mscale_all_dim brings."""
    table = dict(scaling)
    scale, factor = float(table.get("mscale_all_dim") or 0), float(table.get("factor") or 1)
    return (0.1 * scale * math.log(factor) + 1) ** 2 if scale and factor > 1 else 1.0


def _longrope(plain: np.ndarray, rotary: int, theta: float, table: Table, sequence: int) -> tuple[np.ndarray, float]:
    """A factor of each pair's own, from one of two lists by the length of the sequence."""
    trained = _trained(table)
    key = "long_factor" if sequence > trained else "short_factor"
    own = np.array(table.get(key) or (), np.float64)
    if own.shape != plain.shape:
        raise ConfigError(f"rope_scaling.{key} has {own.size} factors for {plain.size} pairs of rotated features")
    factor = float(table.get("factor") or table[TRAINED] / trained)
    magnitude = table.get("attention_factor")
    if magnitude is None:
        magnitude = math.sqrt(1 + math.log(factor) / math.log(trained)) if factor > 1 else 1.0
    return plain / own, float(magnitude)


def _trained(table: Table) -> int:
    """Tokens of a sequence of the training, before the scaling."""
    return int(table.get("original_max_position_embeddings") or table[TRAINED])


_KINDS: dict[str, Callable[[np.ndarray, int, float, Table, int], tuple[np.ndarray, float]]] = {
    "default": _default,
    "linear": _linear,
    "dynamic": _dynamic,
    "llama3": _llama3,
    "yarn": _yarn,
    "longrope": _longrope,
    "su": _longrope,
}
