"""Recorded runs of cost models: errors on held-out runs; executing gives the recorded cycles.

Covers: wse/costs/kernels.py, wse/costs/operators.py
"""

import numpy as np
import pytest

from wse.costs import recorded
from wse.errors import ConfigError


def size_of(run):
    """PEs, or what one PE has to do."""
    s = run.shape
    return s["w"] * s["h"] if "h" in s else np.prod(list(s.values()))


@pytest.mark.parametrize("name", recorded.models())
def test_runs_held_out_are_within_the_bar(name):
    fit = recorded.fits()[name]
    assert len(fit.held_pct) >= 4
    assert fit.worst_pct <= recorded.BAR_PCT
    sizes = {
        held: max(size_of(r) for r in recorded.executed() if r.kernel == name and r.held == held) for held in (0, 1)
    }
    assert sizes[1] > sizes[0]  # beyond what was fitted, not only between


@pytest.mark.parametrize("name", recorded.models())
def test_the_table_is_what_executing_gives(name):
    model = recorded.models()[name]
    runs = sorted((r for r in recorded.executed() if r.kernel == name), key=lambda r: r.cycles)
    for run in (runs[0], runs[len(runs) // 4]):
        assert model.execute(run.shape) == run.cycles


@pytest.mark.parametrize("name", recorded.models())
def test_the_table_holds_every_shape(name):
    model = recorded.models()[name]
    shapes = [(tuple(r.shape.values()), r.held) for r in recorded.executed() if r.kernel == name]
    assert sorted(shapes) == sorted([(s, False) for s in model.fitted] + [(s, True) for s in model.held])


def test_an_unknown_kernel_is_refused():
    with pytest.raises(ConfigError, match="there is no cost model of 'x': known are gemv, f16"):
        recorded.fitted("x")
