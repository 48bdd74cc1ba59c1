"""The calibration: what it is fitted to, how well, and what it is not fitted to.

Covers: wse/system/check.py
"""

import inspect

import numpy as np
import pytest

from wse.costs import calibrate
from wse.costs.fit import nonnegative
from wse.errors import ConfigError
from wse.machine.parameters import Machine
from wse.system import check


def test_the_constants_of_flops_are_near_those_of_an_independent_fit():
    """25.9 % of peak, 13.2 ps per token, layer and token of context, 3.7 ms: the same twelve runs, with fractional passes,
    every position of BERT's head counted, and attention's time independent of the width."""
    slower, attention, overhead = calibrate.calibrated("peak").values
    assert 1 / slower == pytest.approx(0.259, rel=0.2)
    assert 12 * 4096 * attention / Machine("wse2").peak_flops == pytest.approx(13.2e-12, rel=3)
    assert overhead == pytest.approx(3.7e-3, rel=0.5)


def test_compiled_kernels_are_slower_than_executed_ones_but_not_by_much():
    slower, attention, overhead = calibrate.calibrated("kernels").values
    assert 1 < slower < 2
    assert 1 < attention < 10
    assert 1e-3 < overhead < 5e-3


def ratio_13b(family):
    (point,) = [p for p in calibrate.points() if p.id == "gpt3-13b"]
    values = calibrate.calibrated(family).values
    few, many = (calibrate.pass_terms(family, point.work, 64 * 2048, arch) @ values for arch in ("wse2", "wse3"))
    return few / many


def test_a_cs3_is_its_peak_and_the_slack_of_the_published_pairs():
    assert ratio_13b("peak") == pytest.approx(15.6 / 7.48 / calibrate.slack(), rel=1e-3)


def test_kernels_bound_by_memory_gain_little_on_a_cs3():
    """Executed on a WSE-3, products that read and write sums for each weight are hardly faster than on a WSE-2."""
    assert 1.02 < ratio_13b("kernels") < 1.4


def test_the_slack_is_the_mean_of_both_pairs():
    one, other = calibrate.slacks().values()
    assert calibrate.slack() == pytest.approx((one * other) ** 0.5)
    assert [calibrate.slack(pair.id) for pair in calibrate.pairs()] == pytest.approx([other, one])
    constants = calibrate.calibrated()
    errors = [pair.predicted(constants) / pair.ratio for pair in calibrate.pairs()]
    assert np.prod(errors) == pytest.approx(1, abs=0.01)  # as far above one as below the other
    for pair, found in zip(calibrate.pairs(), errors, strict=True):  # with its own slack each pair is met
        assert found * calibrate.slack() / calibrate.slacks()[pair.id] == pytest.approx(1, rel=1e-9)


def test_published_pairs_within_the_bar():
    found = list(check.pairs())
    assert [round(c.pair.ratio, 2) for c in found] == [2.16, 1.68]
    assert max(abs(c.error_pct) for c in found) <= 15 and max(abs(c.computing_pct) for c in found) <= 15
    assert min(abs(c.left_out_pct) for c in found) > max(abs(c.computing_pct) for c in found)  # and that is said


def test_old_releases_are_compared_with_the_factors_of_their_notes():
    found = {c.point.id: c for c in check.points()}
    for name, c in found.items():
        low, high = c.released_pct
        assert (low < 0 < high) == (name in ("gpt-j-r1.8", "gpt-j-r2.0")), name
        assert low <= c.middle_pct <= high
        assert c.point.release == (1, 1) or not c.point.calibrates
    assert abs(found["gpt-j-r1.8"].middle_pct) < 10 < abs(found["gpt-j-r1.8"].error_pct)


def test_evaluations_take_longer_by_a_time_for_each_token():
    """The same for both, though one has seven times as many tokens a batch; training needs none."""
    one, other = check.evaluations()
    assert one.token_seconds == pytest.approx(other.token_seconds, rel=0.15)
    assert max(abs(one.with_other_pct), abs(other.with_other_pct)) < 10 < min(one.error_pct, other.error_pct)
    chosen = [p for p in calibrate.points() if p.calibrates]
    rows = []
    for p in chosen:
        passes = p.work.passes(p.systems, Machine("wse2"))
        terms = calibrate.pass_terms("peak", p.work, passes.mean * p.work.sequence, "wse2")
        rows.append(passes.passes * np.append(terms, passes.mean * p.work.sequence) / p.seconds)
    found = nonnegative(np.array(rows), np.ones(len(rows)))
    assert found[:3] == pytest.approx(calibrate.calibrated().values) and found[3] == 0


def test_evaluations_are_forward_passes():
    for c in check.evaluations():
        assert c.rate == pytest.approx(c.evaluation.rate * (1 + c.error_pct / 100))
        constants = calibrate.calibrated()
        work = c.evaluation.work
        forward = sum(constants.layer(work, layer, work.tokens, "wse3")[0] for layer in work.layers)
        assert c.rate == pytest.approx(work.batch / forward, rel=0.01)  # no stream bounds them


@pytest.mark.parametrize("family", calibrate.FAMILIES)
def test_a_layer_is_the_sum_of_its_terms(family):
    constants = calibrate.calibrated(family)
    work = calibrate.points()[0].work
    whole = sum(sum(constants.layer(work, layer, 4096.0, "wse2")) for layer in work.layers)
    assert whole == pytest.approx(float(calibrate.pass_terms(family, work, 4096.0, "wse2") @ constants.values))


def test_published_runs_within_the_bar():
    checked = list(check.points())
    found = check.summary(checked)
    assert found.ok and found.calibrating <= 7 and found.left_out <= 9.5
    assert check.summary(list(check.points("kernels"))).calibrating <= 8
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


def test_no_constant_is_fitted_to_a_cs3_or_to_scaling():
    assert calibrate.ARCH == "wse2"
    assert all(p.systems <= 2 for p in calibrate.points())
    tables = (calibrate.TABLE, calibrate.PAIRS, calibrate.EVALUATIONS)
    assert "15.3" not in inspect.getsource(calibrate) + "".join(table.read_text() for table in tables)
    assert "15.3" not in (calibrate.TABLE.parent.parent / "system" / "priors.toml").read_text()
