"""Tensors that are made when they are asked for."""

import numpy as np
import pytest

from wse.tensors import Tensors


def test_a_tensor_is_made_at_each_access():
    made = []

    def make(n):
        made.append(n)
        return np.full(2, n)

    tensors = Tensors({"a": lambda: make(1), "b": lambda: make(2)})
    assert (list(tensors), len(tensors), "a" in tensors, "c" in tensors, made) == (["a", "b"], 2, True, False, [])
    assert tensors["b"].tolist() == [2, 2] and {name: t[0] for name, t in tensors.items()} == {"a": 1, "b": 2}
    assert made == [2, 1, 2]
    with pytest.raises(KeyError):
        tensors["c"]
