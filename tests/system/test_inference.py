"""Decoding with weights in SRAM: published speeds, wafers, prompts, what grows with what."""

import pytest

from wse.errors import ConfigError
from wse.models import load
from wse.system import inference


def test_plain_decoding_is_near_the_published_speeds():
    """Nothing is fitted to them: 16-bit sums within a quarter, both precisions on either side or below."""
    for point in inference.published():
        if point.method != "plain":
            continue
        fast = inference.decode(load(point.model), wafers=point.systems).tokens_per_second
        careful = inference.decode(load(point.model), wafers=point.systems, sums="f32").tokens_per_second
        assert fast == pytest.approx(point.tokens_per_second, rel=0.25)
        assert careful < fast


def test_wafers_hold_weights_and_cache():
    assert inference.wafers_needed(load("llama3-8b"), 1024) == 1
    assert inference.wafers_needed(load("llama3-70b"), 1024) == 4
    assert 19 <= inference.wafers_needed(load("llama3-405b"), 1024) <= 22
    assert inference.wafers_needed(load("llama3-8b"), 1024, users=1000) > 3
    with pytest.raises(ConfigError, match="needs 4 wafers"):
        inference.decode(load("llama3-70b"), wafers=2)
    with pytest.raises(ConfigError, match="f16 or f32, not 'f64'"):
        inference.decode(load("llama3-8b"), sums="f64")


def test_decoding_is_bound_by_latency_not_by_work():
    made = inference.decode(load("llama3-8b"))
    assert sum(o.interval for o in made.layer) < 0.5 * sum(o.latency for o in made.layer)
    assert 12e-6 < made.layer_seconds < 25e-6


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
    with pytest.raises(ConfigError, match=r"sequences of at most 8,192 tokens: .* 8,193 tokens"):
        inference.decode(load("llama3-8b"), 8193)
