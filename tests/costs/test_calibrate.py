"""The calibration: what it is fitted to, how well, and what it is not fitted to.

Covers: wse/system/check.py
"""

import inspect

import pytest

from wse.costs import calibrate
from wse.errors import ConfigError
from wse.system import check


def test_the_constants_of_flops_are_those_of_an_independent_fit():
    """25.9 % of peak, 13.2 ps, 3.7 ms: the same twelve runs, with fractional passes."""
    slower, attention, overhead = calibrate.calibrated("peak").values
    assert 1 / slower == pytest.approx(0.259, rel=0.1)
    assert attention == pytest.approx(13.2e-12, rel=0.1)
    assert overhead == pytest.approx(3.7e-3, rel=0.1)


def test_compiled_kernels_are_slower_than_executed_ones_but_not_by_much():
    slower, attention, overhead = calibrate.calibrated("kernels").values
    assert 1 < slower < 2
    assert 1 < attention < 10
    assert 1e-3 < overhead < 5e-3


def test_a_cs3_is_what_its_own_kernels_and_pes_make_it():
    """Executed on a WSE-3, products bound by memory are hardly faster than on a WSE-2; peak is twice as high."""
    (point,) = [p for p in calibrate.points() if p.id == "gpt3-13b"]
    seconds = {
        (family, arch): float(calibrate.pass_terms(family, point.work, 64 * 2048, arch)[0])
        for family in calibrate.FAMILIES
        for arch in ("wse2", "wse3")
    }
    assert seconds["peak", "wse2"] / seconds["peak", "wse3"] == pytest.approx(15.6 / 7.48, rel=1e-3)
    assert 1.02 < seconds["kernels", "wse2"] / seconds["kernels", "wse3"] < 1.4


@pytest.mark.parametrize("family", calibrate.FAMILIES)
def test_a_layer_is_the_sum_of_its_terms(family):
    constants = calibrate.calibrated(family)
    work = calibrate.points()[0].work
    whole = sum(sum(constants.layer(work, layer, 4096.0, "wse2")) for layer in work.layers)
    assert whole == pytest.approx(float(calibrate.pass_terms(family, work, 4096.0, "wse2") @ constants.values))


def test_published_runs_within_the_bar():
    checked = list(check.points())
    found = check.summary(checked)
    assert found.ok and found.calibrating <= 10
    assert check.summary(list(check.points("peak"))).calibrating <= 10
    assert len(checked) == 16 and sum(c.point.calibrates for c in checked) == 12
    for c in checked:  # one wafer, all of them far above the threshold of streams
        assert c.simulated == pytest.approx(c.analytic, rel=0.02)
    assert found.left_out > found.calibrating


def test_a_point_left_out_is_not_fitted_to():
    (point, *_) = [p for p in calibrate.points() if p.id == "bert-large-1024"]
    assert calibrate.left_out(point) != calibrate.calibrated()


def test_fewer_points_than_constants_are_refused():
    with pytest.raises(ConfigError, match="cannot be fitted to 3 runs"):
        calibrate.fit(calibrate.points()[:3])


def test_nothing_is_fitted_to_a_cs3_or_to_scaling():
    assert calibrate.ARCH == "wse2"
    assert all(p.systems <= 2 for p in calibrate.points())
    assert "15.3" not in inspect.getsource(calibrate) + calibrate.TABLE.read_text()
    assert "15.3" not in (calibrate.TABLE.parent.parent / "system" / "priors.toml").read_text()
