"""Broadcasts from any root of any grid, and what they cost."""

import pytest
from says import says

from wse import Machine
from wse.errors import ConfigError
from wse.kernels import RunOptions, broadcast, collectives


def run(grid, length, root=(0, 0), dtype="f32", arch="wse2", threads=1, max_cycles=None, **machine):
    config = {"length": length, "dtype": dtype, "root_x": root[0], "root_y": root[1]}
    return broadcast.run(
        config,
        RunOptions(machine=Machine(arch, **machine), grid=grid, seed=5, threads=threads, max_cycles=max_cycles),
    )


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16", "cb16"])
def test_values(arch, dtype):
    for grid in ((2, 1), (1, 2), (3, 1), (1, 5), (2, 2), (5, 4)):
        for x in range(grid[0]):
            for y in range(grid[1]):
                assert run(grid, 7, (x, y), dtype, arch).verified, (grid, x, y)


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_a_broadcast_is_its_closed_form_and_a_constant(arch):
    c = collectives.costs(Machine(arch))
    constants = set()
    for P in (2, 3, 40):
        for B in (1, 2, 100):
            constants.add(run((P, 1), B, arch=arch).extra["measured_cycles"] - collectives.broadcast(P, B, c))
            grid = run((P, 9), B, arch=arch).extra["measured_cycles"]
            constants.add(grid - collectives.broadcast_2d(9, P, B, c))
    assert len(constants) == 1


def test_distance_counts_from_the_root():
    corner, middle = (run((21, 21), 50, root).extra["measured_cycles"] for root in ((0, 0), (10, 10)))
    assert corner - middle == 20


def test_threads_change_nothing():
    one, two = (run((12, 9), 33, (3, 4), arch="wse3", threads=threads) for threads in (1, 2))
    assert one.run.same(two.run)


def test_result():
    result = run((64, 64), 1000)
    assert abs(result.extra["model_error_pct"]) < 5
    assert result.extra["published_cycles"] is None
    assert result.run.meta["kernel"] == "broadcast"
    assert len(result.text) == 1
    ended = run((8, 8), 100, max_cycles=60)
    assert ended.run.ended == "limit" and not ended.verified


def test_refusals():
    with says(ConfigError, "broadcast needs a grid of at least 2 PEs, not 1x1"):
        run((1, 1), 4)
    with says(ConfigError, "length of broadcast must be at least 1, not 0"):
        run((2, 1), 0)
    with says(ConfigError, "the root of broadcast must be in the grid of 4x2 PEs, not at (4, 0)"):
        run((4, 2), 4, (4, 0))
    with says(ConfigError, "the root of broadcast must be in the grid of 4x2 PEs, not at (0, -1)"):
        run((4, 2), 4, (0, -1))
