"""The micro-batch by memory: published choices, divisions of a batch, what does not fit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wse.errors import ConfigError
from wse.models import load
from wse.plan import microbatch


def test_the_ten_published_within_12_percent():
    rows = list(microbatch.published())
    assert len(rows) == 10
    assert max(abs(row.error_pct) for row in rows) <= 12


def test_bytes_are_counted_on_the_graph():
    # norm, q, k, v, scores, o, sum, norm, 4 up, 4 gelu, down, sum: 18 widths of 2 bytes
    assert microbatch.token_bytes(load("gpt3-13b")) == 36 * 5120
    grouped = load("llama3-8b")
    d, kv, ff = 4096, 1024, 14336
    assert microbatch.token_bytes(grouped) == 2 * (9 * d + 3 * kv + 3 * ff)


@pytest.mark.parametrize(
    "batch, systems, own, sequences, passes",
    [
        (320, 1, None, 20, 16),
        (320, 16, None, 20, 1),
        (21, 1, None, 11, 2),
        (64, 16, None, 4, 1),
        (100, 1, 7, 7, 15),
    ],
)
def test_a_batch_is_divided_evenly(batch, systems, own, sequences, passes):
    found = microbatch.choose(load("1t"), batch, systems, micro_batch=own)
    assert (found.sequences, found.passes) == (sequences, passes)


@given(batch=st.integers(1, 3000), systems=st.integers(1, 70), own=st.one_of(st.none(), st.integers(1, 30)))
def test_passes_are_of_whole_sequences_and_add_up(batch, systems, own):
    if batch < systems:
        return
    share = -(-batch // systems)
    found = microbatch.choose(load("1t"), batch, systems, micro_batch=own and min(own, share))
    sizes = found.sizes()
    assert sizes.shape == (found.passes, systems) and sizes.sum() == batch
    assert sizes.max() == found.sequences <= (own or found.room)
    assert np.ptp(sizes, axis=0).max() <= 1 and np.ptp(sizes.sum(axis=0)) <= 1
    assert found.mean * found.passes == pytest.approx(sizes.sum(axis=0).max())
    assert found.passes == 1 or -(-share // (found.passes - 1)) > ((own and min(own, share)) or int(found.room))
    sizes, shares = zip(*found.mix(), strict=True)
    assert sum(shares) == pytest.approx(1) and set(sizes) == set(found.sizes()[:, 0])
    assert np.dot(sizes, shares) == pytest.approx(found.mean)


def test_what_cannot_be_chosen():
    with pytest.raises(
        ConfigError, match=r"not one sequence of 2,048 tokens \(the model's own length; --sequence takes another\) fits"
    ):
        microbatch.choose(load("1t"), 1, pes=10_000)
    with pytest.raises(ConfigError, match="a batch of 8 sequences leaves some of 16 systems"):
        microbatch.choose(load("1t"), 8, 16)
    with pytest.raises(ConfigError, match="it is 1 to 2, the share"):
        microbatch.choose(load("1t"), 32, 16, micro_batch=3)


def test_what_experts_make_of_a_token_is_counted():
    plain = load("mixtral-8x7b")
    d, ff = plain.d_model, plain.d_ff
    one, two = (microbatch.token_bytes(plain.but(active_experts=n)) for n in (1, 2))
    assert two - one == 2 * (3 * ff + d)  # up, gate, their product; down
    dense = microbatch.token_bytes(load("llama2-7b").but(d_ff=ff, kv_heads=8))
    assert one == dense + 2 * (d + plain.experts)  # the sum over experts, the router


def test_one_sequence_that_does_not_fit_is_taken_if_its_operators_do():
    model = load("llama3-405b")
    assert microbatch.room(model, 131_072) < 1
    assert microbatch.choose(model, 16, 1, 131_072).sequences == 1
    with pytest.raises(ConfigError, match=r"one operator's inputs and result 0\.47"):
        microbatch.choose(model, 16, 1, 262_144 + 131_072)
    with pytest.raises(ConfigError, match="not one sequence of 131,072 tokens fits"):
        microbatch.choose(model, 16, 1, 131_072, pes=900_000)  # a rectangle sends nothing out
