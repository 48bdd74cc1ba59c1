"""Fits of cost models: constants are found again, a wrong form shows, refusals."""

from dataclasses import replace

import numpy as np
import pytest

from wse.costs import fit, recorded
from wse.errors import ConfigError


def test_constants_are_found_again():
    model = replace(recorded.models()["allreduce, f32"], terms={"one": lambda s: 1.0, "w": lambda s: s["w"]})
    runs = [fit.Executed("x", {"w": w, "h": 1, "length": 1}, 7 + 3 * w, w > 8) for w in (1, 2, 4, 8, 16)]
    made = fit.fit(model, runs)
    assert made.constants == pytest.approx((7, 3))
    assert made.cycles(w=100, h=1, length=1) == pytest.approx(307)
    assert made.worst_pct < 1e-6


def test_a_wrong_form_shows_on_runs_held_out():
    model = replace(recorded.models()["allreduce, f32"], terms={"w": lambda s: s["w"]})
    runs = [fit.Executed("x", {"w": w, "h": 1, "length": 1}, w * w, w > 8) for w in (1, 2, 4, 8, 64)]
    assert fit.fit(model, runs).worst_pct > 50


def test_no_constant_is_negative():
    matrix = np.array([[1.0, 1.0], [1.0, 2.0], [1.0, 3.0]])
    assert (fit.nonnegative(matrix, np.array([1.0, 0.5, 0.0])) >= 0).all()


def test_too_few_runs_and_wrong_sizes_are_refused():
    model = recorded.models()["allreduce, f32"]
    with pytest.raises(ConfigError, match="0 runs to fit 5 constants and 0 held-out runs are too few"):
        fit.fit(model, [])
    with pytest.raises(ConfigError, match="depends on w, h, length"):
        recorded.fits()["allreduce, f32"].cycles(w=3)
