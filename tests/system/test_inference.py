"""Decoding with weights in SRAM: published speeds, wafers, prompts, what grows with what."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wse.errors import ConfigError
from wse.machine.parameters import WSE3, Machine
from wse.models import load
from wse.system import inference

LLAMA = inference.decode(load("llama3-8b"))


def test_plain_decoding_is_near_the_published_speeds():
    """Nothing is fitted to them: they lie between sums in 16 and in 32 bits, and below the bound."""
    for point in inference.published():
        if point.method != "plain":
            continue
        fast = inference.decode(load(point.model), wafers=point.systems).tokens_per_second
        careful = inference.decode(load(point.model), wafers=point.systems, sums="f32").tokens_per_second
        bound = inference.decode(load(point.model), wafers=point.systems, sums="bound").tokens_per_second
        assert careful < point.tokens_per_second < fast < bound
        assert fast == pytest.approx(point.tokens_per_second, rel=0.4)


def test_wafers_hold_weights_and_cache():
    assert inference.wafers_needed(load("llama3-8b"), 1024) == 1
    assert inference.wafers_needed(load("llama3-70b"), 1024) == 4
    assert 19 <= inference.wafers_needed(load("llama3-405b"), 1024) <= 22
    assert inference.wafers_needed(load("llama3-8b"), 1024, users=1000) > 3
    with pytest.raises(ConfigError, match="needs 4 wafers"):
        inference.decode(load("llama3-70b"), wafers=2)
    with pytest.raises(ConfigError, match="f16 or f32, or bound for the bound, not 'f64'"):
        inference.decode(load("llama3-8b"), sums="f64")


def test_decoding_is_bound_by_latency_not_by_work():
    made = inference.decode(load("llama3-8b"))
    assert sum(o.interval for o in made.layer) < 0.5 * sum(o.latency for o in made.layer)
    assert 10e-6 < made.layer_seconds < 25e-6


def test_longer_contexts_and_prompts_take_longer():
    short, long = inference.decode(load("llama3-8b"), 1024), inference.decode(load("llama3-8b"), 8192)
    assert long.token_seconds > short.token_seconds
    assert short.first_token_seconds(1) == short.token_seconds
    assert short.first_token_seconds(2048) > 1.5 * short.first_token_seconds(1024)


def test_each_layer_is_on_the_way():
    few = inference.decode(load("llama3-8b").but(layers=16))
    assert {o.name for o in few.layer} >= {"q, k, v", "o", "up, gate", "down", "scores", "weighted sum"}
    assert few.token_seconds < inference.decode(load("llama3-8b")).token_seconds


def test_a_window_bounds_the_cache_and_the_time():
    full = load("llama3-8b").but(sequence=131_072)
    slides = full.but(windows=(4096,))
    needed = [inference.wafers_needed(model, 131_072, users=8) for model in (full, slides)]
    assert needed[0] > 2 * needed[1]
    assert inference.decode(slides, 131_072, 2).token_seconds == inference.decode(slides, 4096, 2).token_seconds
    mixed = inference.decode(full.but(windows=(4096, 0)), 131_072, 2)
    assert [count for count, _ in mixed.kinds] == [16, 16]
    assert inference.decode(slides, 131_072, 2).token_seconds < mixed.token_seconds
    assert mixed.token_seconds < inference.decode(full, 131_072, 2).token_seconds


def test_encoders_do_not_decode():
    with pytest.raises(ConfigError, match="bert-large predicts no next token"):
        inference.decode(load("bert-large"))
    with pytest.raises(ConfigError, match=r"sequences of at most 1,024 tokens: .* 1,025 tokens"):
        inference.decode(load("gpt2"), 1025)


NEW = ("gpt-oss-120b", "qwen3-235b", "glm-4.7", "kimi-k2.6", "qwen3.6-27b", "gemma-4-31b")


@pytest.mark.parametrize("name", ("llama3-8b", "llama3-405b", *NEW))
def test_no_law_undercuts_the_bound_and_shares_add_up(name):
    made = {law: inference.decode(load(name), sums=law) for law in inference.LAWS}
    for law, one in made.items():
        assert sum(one.shares().values()) == pytest.approx(1)
        assert min(one.shares().values()) >= 0, law
        for (_, layer), (_, least) in zip(one.kinds, made["bound"].kinds, strict=True):
            assert [o.name for o in layer] == [o.name for o in least]
        assert one.tokens_per_second <= made["bound"].tokens_per_second


def test_one_clock_with_the_model_of_systems():
    made = inference.decode(load("llama3-8b"))
    assert made.clock_hz == WSE3.peak_clock_hz
    slow = inference.decode(load("llama3-8b"), machine=Machine("wse3", overrides={"peak_clock_hz": 550_000_000}))
    links = (made.wafers + 1) * inference.WAFERS_LINK_SECONDS
    assert slow.token_seconds - links == pytest.approx(2 * (made.token_seconds - links))


def test_long_contexts_of_rotary_models_take_more_wafers():
    model = load("llama3-405b")
    assert inference.decode(model, 131_072).wafers == inference.wafers_needed(model, 131_072) == 23
    assert inference.decode(model, 131_072).tokens_per_second < inference.decode(model, 1024).tokens_per_second


@given(acceptance=st.floats(0, 1), drafted=st.integers(1, 16))
def test_tokens_of_a_pass(acceptance, drafted):
    """The expected length of a run of accepted tokens, and the token that the model itself gives, by its distribution."""
    chances = [acceptance**n * (1 - acceptance) for n in range(drafted)] + [acceptance**drafted]
    mean = sum((n + 1) * chance for n, chance in enumerate(chances))
    assert inference.tokens_of_pass(acceptance, drafted) == pytest.approx(mean)


@settings(deadline=None)
@given(acceptance=st.floats(0.01, 0.99), drafted=st.integers(1, 8))
def test_the_implied_acceptance_gives_the_speed(acceptance, drafted):
    speed = inference.tokens_of_pass(acceptance, drafted) / LLAMA.pass_seconds(drafted)
    assert LLAMA.implied_acceptance(speed, drafted) == pytest.approx(acceptance, abs=1e-6)
    assert LLAMA.implied_acceptance(1.01 * (drafted + 1) / LLAMA.pass_seconds(drafted), drafted) is None
    assert LLAMA.implied_acceptance(0.99 / LLAMA.pass_seconds(drafted), drafted) is None


def test_a_draft_costs_its_tokens():
    free = LLAMA.pass_seconds(4, 0.0)
    assert free == pytest.approx(LLAMA.token_seconds + 4 * LLAMA.slowest_seconds)
    assert LLAMA.pass_seconds(4, 1e-3) == pytest.approx(free + 4e-3)
    assert LLAMA.pass_seconds(4) == pytest.approx(free + 4 * LLAMA.draft_seconds)
    assert 1 / LLAMA.layers < LLAMA.draft_seconds / LLAMA.token_seconds < 3 / LLAMA.layers
