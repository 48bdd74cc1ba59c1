"""Activations as tiles."""

import numpy as np

from wse.operators import tiles as layout


def test_tiles_and_back():
    values = np.arange(6 * 7, dtype=np.float32).reshape(6, 7)  # [tokens, features]
    tiles = layout.tiles(values, width=3, height=2)
    assert tiles.shape == (2, 3, 3, 3)
    for y in range(2):
        for x in range(3):
            for f in range(3):
                feature = 3 * x + f
                wanted = values[3 * y : 3 * y + 3, feature] if feature < 7 else np.zeros(3)
                assert np.array_equal(tiles[y, x, f], wanted)
    assert np.array_equal(layout.untile(tiles, 7), values)


def test_owned():
    assert layout.owned(5, 3).tolist() == [[0, 1], [2, 3], [4, -1]]
    assert layout.owned(2, 4).tolist() == [[0], [1], [-1], [-1]]
