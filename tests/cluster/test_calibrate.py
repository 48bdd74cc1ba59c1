"""The calibration: what it is fitted to, how well, and what it is not fitted to."""

import inspect

import pytest

from wse.cluster import calibrate, check
from wse.errors import ConfigError


def test_the_constants_are_those_of_the_system_facts_within_a_tenth():
    found = calibrate.calibrated()
    assert found.efficiency == pytest.approx(0.259, rel=0.1)
    assert found.attention == pytest.approx(13.2e-12, rel=0.1)
    assert found.overhead == pytest.approx(3.7e-3, rel=0.1)


def test_published_runs_within_the_bar():
    checked = list(check.points())
    found = check.summary(checked)
    assert found.ok and found.calibrating <= 10
    assert len(checked) == 16 and sum(c.point.calibrates for c in checked) == 12
    for c in checked:  # one wafer, all of them far above the threshold of streams
        assert c.simulated == pytest.approx(c.closed, rel=0.02)
    assert found.left_out > found.calibrating


def test_a_point_left_out_is_not_fitted_to():
    (point, *_) = [p for p in calibrate.points() if p.id == "bert-large-1024"]
    assert calibrate.left_out(point) != calibrate.calibrated()


def test_fewer_points_than_constants_are_refused():
    with pytest.raises(ConfigError, match="cannot be fitted to 3 points"):
        calibrate.fit(calibrate.points()[:3])


def test_nothing_is_fitted_to_a_cs3_or_to_scaling():
    assert calibrate.ARCH == "wse2"
    assert all(p.systems <= 2 for p in calibrate.points())
    assert "15.3" not in inspect.getsource(calibrate) + calibrate.TABLE.read_text()
    assert "15.3" not in (calibrate.TABLE.parent / "priors.toml").read_text()
