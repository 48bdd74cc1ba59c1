"""Floor plans: the published allocation, rates, memory, wires."""

from collections import defaultdict
from itertools import pairwise

import pytest

from wse.errors import ConfigError
from wse.machine import Machine
from wse.mapping import compiler
from wse.mapping.floorplan import plan
from wse.mapping.region import STATE_BYTES, regions
from wse.models import graph, load

WSE2 = Machine("wse2")


@pytest.fixture(scope="module")
def gpt2():
    return graph(load("gpt2"))


@pytest.fixture(scope="module")
def free(gpt2):
    return plan(gpt2, compiler.GRID, WSE2, compiler.calibrated())


@pytest.mark.parametrize("rate", [compiler.SAMPLES_PER_SECOND, None])
def test_the_published_allocation_within_15_percent(gpt2, rate):
    found = plan(gpt2, compiler.GRID, WSE2, compiler.calibrated(), rate=rate).by_kernel()
    for kernel, (number, pes) in compiler.published().items():
        assert found[kernel][1] == pytest.approx(pes, rel=0.15), kernel
        if kernel != "add":  # the report counts gradients' additions as kernels of their own
            assert found[kernel][0] == number


def test_the_rate_of_all_pes_is_near_the_published(free):
    assert free.rate == pytest.approx(compiler.SAMPLES_PER_SECOND, rel=0.10)
    assert free.active > 0.97


def test_rates_equalise(free):
    large = [p for p in free.placed if p.need > 1000]
    assert len(large) > 30
    assert max(p.rate for p in large) < 1.02 * free.rate
    assert free.rate == min(p.rate for p in free.placed)


def test_positions_are_sized_by_memory(free):
    (positions,) = [p for p in free.placed if p.region.kernel == "positions"]
    assert positions.bound == "memory"
    assert positions.memory == 1024 * 768 * STATE_BYTES
    assert {p.bound for p in free.placed if p.region.kernel == "attention"} == {"compute"}


def test_rectangles_hold_what_they_must(free):
    for p in free.placed:
        assert p.memory <= p.pes * WSE2.sram_bytes
        assert p.pes >= p.need


def test_wires_join_their_regions_and_share_no_color(free):
    taken = defaultdict(set)
    for wire in free.wires:
        path = list(wire.pes())
        for end, region in ((path[0], wire.source), (path[-1], wire.destination)):
            r = free.placed[region].rectangle
            assert r.x <= end[0] < r.x + r.width and r.y <= end[1] < r.y + r.height
        assert len(path) == len(set(path)) == wire.hops + 1
        assert all(abs(ax - bx) + abs(ay - by) == 1 for (ax, ay), (bx, by) in pairwise(path))
        for pe in path:
            assert wire.color not in taken[pe]
            taken[pe].add(wire.color)


def test_every_tensor_between_regions_has_a_wire_each_way(gpt2, free):
    made = {x: i for i, p in enumerate(free.placed) for o in p.region.operators for x in o.outputs}
    wanted = set()
    for i, p in enumerate(free.placed):
        for o in p.region.operators:
            wanted |= {(made[x], i) for x in o.inputs if made.get(x, i) != i}
    there = {(w.source, w.destination) for w in free.wires}
    assert there == wanted | {(b, a) for a, b in wanted}


def test_half_a_layer_is_a_region():
    made = regions(graph(load("nano")), by="half")
    assert [r.name for r in made] == [
        "embedding",
        "layers.0.attention",
        "layers.0.mlp",
        "layers.1.attention",
        "layers.1.mlp",
        "head",
    ]


def test_a_model_that_does_not_fit_is_told_so():
    with pytest.raises(ConfigError, match=r"llama2-7b does not fit on 100x100 PEs: .* take a larger grid or weight"):
        plan(graph(load("llama2-7b")), (100, 100), WSE2, compiler.calibrated())
    with pytest.raises(ConfigError, match="cannot run at 5000"):
        plan(graph(load("gpt2")), compiler.GRID, WSE2, compiler.calibrated(), rate=5000)
    with pytest.raises(ConfigError, match="not by 'layer'"):
        regions(graph(load("nano")), by="layer")
