"""All-reduces: the sum is everywhere, to the bit, and takes the cycles of its parts."""

import pytest
from reducing import run as run_reduce
from says import says

from wse import Machine
from wse.errors import ConfigError
from wse.kernels import allreduce, collectives


def run(*args, **kwargs):
    return run_reduce(*args, kernel=allreduce, **kwargs)


@pytest.mark.parametrize("algorithm", collectives.ALGORITHMS)
@pytest.mark.parametrize("dtype", ["f32", "bf16"])
@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_values(algorithm, dtype, arch):
    for grid in ((2, 1), (5, 1), (16, 1), (1, 3), (4, 4), (3, 7)):
        for B in (1, 3, 16):
            result = run(algorithm, grid, B, dtype=dtype, arch=arch)
            assert result.verified and result.max_error == 0, (grid, B)


def test_512_in_a_row():
    result = run("two-phase", (512, 1), 64)
    assert result.verified
    assert result.extra["measured_cycles"] == 1526
    assert result.extra["model_cycles"] == collectives.allreduce("two-phase", 1, 512, 64)
    assert abs(result.extra["model_error_pct"]) < 5
    assert result.extra["published_cycles"] is None


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_a_reduce_and_a_broadcast(arch):
    """Beyond the reduce: the multicast, and two descriptors to load before it."""
    both = run("chain", (20, 30), 40, arch=arch).extra["measured_cycles"]
    alone = run_reduce("chain", (20, 30), 40, arch=arch).extra["measured_cycles"]
    predicted = collectives.broadcast_2d(20, 30, 40, collectives.costs(Machine(arch)))
    assert both - alone == pytest.approx(predicted, abs=25)


@pytest.mark.parametrize("algorithm", collectives.ALGORITHMS)
def test_threads_change_nothing(algorithm):
    one, two = (run(algorithm, (9, 12), 33, arch="wse3", threads=threads) for threads in (1, 2))
    assert one.run.same(two.run)


def test_refusals():
    with says(ConfigError, "allreduce needs a grid of at least 2 PEs, not 1x1"):
        run("chain", (1, 1), 4)
