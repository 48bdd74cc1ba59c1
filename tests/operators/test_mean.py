"""Means over the tokens of sequences: to the bit against the model, in every storage type."""

import numpy as np
import pytest

from wse.errors import ConfigError
from wse.kernels import single
from wse.kernels.single import Tensor
from wse.operators.mean import Mean


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16", "cb16"])
@pytest.mark.parametrize(("rows", "tokens", "sequence"), [(3, 12, 4), (1, 6, 6), (5, 4, 1), (2, 34, 17)])
def test_bits(dtype, rows, tokens, sequence):
    policy = single.Policy(dtype)
    mean = Mean(rows * tokens, sequence, tokens, policy.size)
    x = single.rounded(np.random.default_rng(sequence).normal(size=(rows, tokens)), policy)
    tensors = {"x": Tensor((rows, tokens), x)} | {"y": Tensor((rows, tokens))}
    made = mean.routine("mean")
    got = single.on_one([made], tensors, dtype).arrays["y"][0, 0]
    np.testing.assert_array_equal(got, single.rounded(mean.reference(x), policy))


def test_sequences_over_several_rows_are_refused():
    with pytest.raises(ConfigError, match="whole sequences in a row of PEs, which has 4 tokens"):
        Mean(8, 6, 4, 2)
