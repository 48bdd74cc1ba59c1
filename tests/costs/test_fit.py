"""Cost models: fitted and held-out errors, that the recorded runs are what executing gives, refusals."""

from dataclasses import replace

import numpy as np
import pytest

from wse.costs import fit as cost
from wse.errors import ConfigError


def size_of(run):
    """PEs, or what one PE has to do."""
    s = run.shape
    return s["w"] * s["h"] if "h" in s else np.prod(list(s.values()))


@pytest.mark.parametrize("name", cost.models())
def test_runs_held_out_are_within_the_bar(name):
    fit = cost.fits()[name]
    assert len(fit.held_pct) >= 4
    assert fit.worst_pct <= cost.BAR_PCT
    sizes = {held: max(size_of(r) for r in cost.executed() if r.kernel == name and r.held == held) for held in (0, 1)}
    assert sizes[1] > sizes[0]  # beyond what was fitted, not only between


@pytest.mark.parametrize("name", cost.models())
def test_the_table_is_what_executing_gives(name):
    model = cost.models()[name]
    runs = sorted((r for r in cost.executed() if r.kernel == name), key=lambda r: r.cycles)
    for run in (runs[0], runs[len(runs) // 4]):
        assert model.run(run.shape) == run.cycles


@pytest.mark.parametrize("name", cost.models())
def test_the_table_holds_every_shape(name):
    model = cost.models()[name]
    shapes = [(tuple(r.shape.values()), r.held) for r in cost.executed() if r.kernel == name]
    assert sorted(shapes) == sorted([(s, False) for s in model.fitted] + [(s, True) for s in model.held])


def test_constants_are_found_again():
    model = replace(cost.models()["allreduce, f32"], terms={"one": lambda s: 1.0, "w": lambda s: s["w"]})
    runs = [cost.Executed("x", {"w": w, "h": 1, "length": 1}, 7 + 3 * w, w > 8) for w in (1, 2, 4, 8, 16)]
    made = cost.fit(model, runs)
    assert made.constants == pytest.approx((7, 3))
    assert made.cycles(w=100, h=1, length=1) == pytest.approx(307)
    assert made.worst_pct < 1e-6


def test_a_wrong_form_shows_on_runs_held_out():
    model = replace(cost.models()["allreduce, f32"], terms={"w": lambda s: s["w"]})
    runs = [cost.Executed("x", {"w": w, "h": 1, "length": 1}, w * w, w > 8) for w in (1, 2, 4, 8, 64)]
    assert cost.fit(model, runs).worst_pct > 50


def test_no_constant_is_negative():
    matrix = np.array([[1.0, 1.0], [1.0, 2.0], [1.0, 3.0]])
    assert (cost.nonnegative(matrix, np.array([1.0, 0.5, 0.0])) >= 0).all()


def test_too_few_runs_and_wrong_sizes_are_refused():
    model = cost.models()["allreduce, f32"]
    with pytest.raises(ConfigError, match="0 runs to fit 5 constants to"):
        cost.fit(model, [])
    with pytest.raises(ConfigError, match="depends on w, h, length"):
        cost.fits()["allreduce, f32"].cycles(w=3)
