"""The workload of a training step: layers, weights, flops, streams, micro-batches."""

import pytest

from wse.errors import ConfigError
from wse.models import graph, load
from wse.plan import microbatch
from wse.plan.workload import INDEX_BYTES, workload

GPT2 = load("gpt2")


def test_layers_are_those_of_the_model():
    work = workload(GPT2, 8)
    assert [layer.name for layer in work.layers] == ["embedding", *(f"layers.{i}" for i in range(12)), "head"]
    assert work.depth == 12
    assert work.parameters == graph(GPT2).weights == pytest.approx(124e6, rel=0.02)
    assert work.tokens == 8 * GPT2.sequence


def test_a_shared_table_is_streamed_for_embedding_and_head():
    work = workload(GPT2, 8)
    assert GPT2.tied
    assert work.streamed == work.parameters + GPT2.vocab * GPT2.d_model


def test_flops_are_six_for_each_multiplied_weight_and_attention():
    work = workload(GPT2, 8, sequence=256)
    d, layers = GPT2.d_model, GPT2.layers
    multiplied = layers * 12 * d * d + GPT2.vocab * d  # without biases, gains and the tables' rows
    assert work.matmul == multiplied
    assert work.flops_per_token() == 6 * multiplied + 12 * layers * 256 * d


def test_sparse_weights_carry_an_index():
    dense, sparse = workload(GPT2, 8), workload(GPT2, 8, density=0.25)
    assert dense.stream_bytes(2) == 2
    assert sparse.stream_bytes(2) == 0.25 * (2 + INDEX_BYTES)
    for density in (0, -1, 1.5, float("nan")):
        with pytest.raises(ConfigError, match="density is"):
            workload(GPT2, 8, density=density)


def test_passes_are_the_micro_batch_s():
    work = workload(load("gpt3-13b"), 600)
    assert work.passes(4, "wse2") == microbatch.choose(work.model, 600, 4, work.sequence, "wse2", None)
    assert work.passes(1, "wse2", micro_batch=100).passes == 6


def test_layers_of_a_kind_are_counted_once():
    for name in ("gpt3-13b", "gemma-4-31b", "kimi-k2_6"):
        work = workload(load(name), 8, 2048)
        kinds = work.kinds()
        assert sum(count for _, count in kinds) == len(work.layers) > len(kinds)
        for total in ("weights", "matmul", "mixing", "depth"):
            whole = sum(getattr(layer, total) for layer in work.layers)
            assert sum(count * getattr(layer, total) for layer, count in kinds) == pytest.approx(whole)
