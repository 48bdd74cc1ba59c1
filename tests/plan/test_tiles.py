"""Weight streaming on paper."""

import pytest

from wse.costs.cycles import operator_cycles
from wse.errors import ConfigError
from wse.models import graph, load
from wse.plan.tiles import streaming


def test_nano_on_the_grid_of_its_executed_kernels():
    made = streaming(load("nano"), (4, 8), operator_cycles, batch=8)
    tiles = {t.name: t.tile for t in made.layers}
    assert tiles["layers.0.mlp.up"] == (32, 32)
    assert tiles["layers.0.attention.q"] == (8, 32)
    assert made.tokens == 256
    assert made.pass_bytes == (2 + 2 + 4) * graph(load("nano")).weights


def test_memory_decides_without_a_batch():
    made = streaming(load("llama2-7b"), (762, 1172), operator_cycles)
    assert 0.85 * 49152 < made.memory_per_pe <= 0.9 * 49152
    with pytest.raises(ConfigError, match="fits"):
        streaming(load("llama2-7b"), (20, 20), operator_cycles)


def test_what_bounds_an_operator():
    """Few tokens leave products waiting for their weights, many hide the stream; sums have none."""
    few, many = (
        {t.name: t for t in streaming(load("gpt3-13b"), (762, 1172), operator_cycles, sequence=512, batch=batch).layers}
        for batch in (2, 300)
    )
    up = "layers.0.mlp.up"
    assert (few[up].bound, many[up].bound) == ("stream", "compute")
    assert few[up].streaming == many[up].streaming
    assert few["layers.0.residual1"].streaming == (0, 0)
    assert sum(many[up].cycles) > 10 * sum(few[up].cycles)
