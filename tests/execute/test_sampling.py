"""Sampling: the probabilities of softmax, cut by top-k and top-p, and draws that follow them."""

import numpy as np
import pytest

from wse.errors import ConfigError
from wse.execute.sampling import Sampler

LOGITS = np.float32([1, 3, 2, 3, -5])


def softmax(x):
    p = np.exp(np.float64(x) - np.max(x))
    return p / p.sum()


@pytest.mark.parametrize("temperature", [0.5, 1, 7])
def test_temperature(temperature):
    assert np.allclose(Sampler(temperature).probabilities(LOGITS), softmax(LOGITS / temperature))


def test_top_k_and_top_p():
    def kept(**more):
        return np.flatnonzero(Sampler(**more).probabilities(LOGITS)).tolist()

    assert kept(top_k=1) == [1] and kept(top_k=2) == [1, 3] and kept(top_k=99) == [0, 1, 2, 3, 4]
    p = softmax(LOGITS)
    assert kept(top_p=p[1] - 1e-6) == [1] and kept(top_p=p[1] + 1e-6) == [1, 3]
    assert kept(top_p=1.0) == [0, 1, 2, 3, 4]
    assert np.isclose(Sampler(top_k=3, top_p=0.9).probabilities(LOGITS).sum(), 1)


def test_draws():
    sampler = Sampler(seed=1)
    counts = np.bincount([sampler.choose(LOGITS) for _ in range(4000)], minlength=5) / 4000
    assert np.abs(counts - softmax(LOGITS)).max() < 0.03
    one, two = Sampler(seed=5), Sampler(seed=5)
    assert [one.choose(LOGITS) for _ in range(20)] == [two.choose(LOGITS) for _ in range(20)]


@pytest.mark.parametrize(
    "more", [dict(temperature=0), dict(temperature=float("nan")), dict(top_p=0), dict(top_p=1.1), dict(top_k=-1)]
)
def test_wrong_settings(more):
    with pytest.raises(ConfigError, match="sampling takes a temperature above 0"):
        Sampler(**more)


def test_logits_that_are_no_numbers():
    with pytest.raises(ConfigError, match="no finite number"):
        Sampler().choose(np.float32([1, np.nan]))
