"""Activations of a region: from [tokens, features] to the tiles of PEs and back.

PE (x, y) holds features x fx .. x fx + fx - 1 of tokens y t .. y t + t - 1 as [fx][t].
"""

from __future__ import annotations

import numpy as np

from ..fabric.fabric import Fabric
from .region import Region


def tiles(values: np.ndarray, width: int, height: int) -> np.ndarray:
    """[height, width, fx, t] of values [tokens, features]; features are padded with zeros to a multiple of width."""
    tokens, features = values.shape
    fx, t = -(-features // width), tokens // height
    padded = np.zeros((tokens, width * fx), values.dtype)
    padded[:, :features] = values
    return padded.reshape(height, t, width, fx).transpose(0, 2, 3, 1)


def untile(tiles: np.ndarray, features: int) -> np.ndarray:
    """The reverse: [tokens, features]."""
    h, w, fx, t = tiles.shape
    return tiles.transpose(0, 3, 1, 2).reshape(h * t, w * fx)[:, :features]


def write(fabric: Fabric, region: Region, name: str, values: np.ndarray) -> None:
    """Writes values [height * tokens, features] to the tiles of an array [fx, tokens]."""
    fabric.write(name, tiles(np.asarray(values), region.width, region.height), region.x, region.y)


def read(fabric: Fabric, region: Region, name: str, features: int) -> np.ndarray:
    """float32 [height * tokens, features] from the tiles of an array [fx, tokens]."""
    return untile(fabric.read(name, region.x, region.y, region.width, region.height), features)


def owned(features: int, width: int) -> np.ndarray:
    """int64 [width, fx]: which feature each place of each column's tiles holds; -1 beyond the last."""
    fx = -(-features // width)
    index = np.arange(width * fx, dtype=np.int64).reshape(width, fx)
    return np.where(index < features, index, -1)
