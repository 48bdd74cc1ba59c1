"""Policies of precision in the times of whole wafers: bounds, executed rates, ratios, the vendor's default."""

import pytest

from wse.costs import calibrate, policies, recorded
from wse.costs.operators import linear_name
from wse.errors import ConfigError
from wse.machine.parameters import Machine
from wse.models import load
from wse.operators.policy import LEVELS
from wse.plan import microbatch
from wse.plan.workload import workload
from wse.system import analytic, predict
from wse.system.check import policies_of
from wse.system.parts import System

WORK = workload(load("gpt3-6_7b"), 64)


@pytest.mark.parametrize("arch", ("wse2", "wse3"))
@pytest.mark.parametrize("level", LEVELS)
def test_executed_products_reach_most_of_the_bound_and_never_more(arch, level):
    for rate, bound in zip(policies.executed(level, arch), policies.bound(level, Machine(arch)), strict=True):
        assert 0.7 < rate / bound < 1


def test_the_bounds_are_those_of_sums_of_four_and_of_two_bytes():
    assert policies.bound("POL0", "wse3") == pytest.approx((2, 2))
    assert policies.bound("POL1", "wse3") == pytest.approx((4, 8 / 3))
    assert policies.bound("POL2", "wse3") == pytest.approx((4, 4))
    slow = Machine("wse3", overrides={"sram_read2_milli": 4000})
    assert policies.bound("POL2", slow) == pytest.approx((2, 2))


def test_a_rate_of_both_passes_counts_one_product_and_two():
    assert policies.whole((4, 8 / 3)) == pytest.approx(3)
    assert policies.whole((2, 2)) == pytest.approx(2)


def test_recorded_full_tiles_are_what_executing_gives():
    for phase in ("forward", "chunkwise backward"):
        model = recorded.models()[linear_name(phase, "wse3", "POL1")]
        (run,) = [r for r in recorded.executed() if r.kernel == model.name and r.shape == policies.FULL]
        assert run.held and model.execute(policies.FULL) == run.cycles


@pytest.mark.parametrize("family", calibrate.FAMILIES)
@pytest.mark.parametrize("arch", ("wse2", "wse3"))
def test_fewer_bits_of_sums_take_less_time_but_not_less_than_the_ports_allow(family, arch):
    machine = Machine(arch)
    times = {}
    for level in LEVELS:
        constants = calibrate.calibrated(family, level)
        times[level] = sum(sum(constants.layer(WORK, layer, 131_072.0, machine)) for layer in WORK.layers)
        if arch == "wse2" or family == "kernels":
            assert times[level] > policies.floor(WORK, 131_072.0, machine, level)
    assert 1.15 < times["POL0"] / times["POL1"] < 1.7
    assert 1.1 < times["POL1"] / times["POL2"] < 1.7


def test_both_families_agree_on_what_a_policy_changes():
    ratios = []
    for family in calibrate.FAMILIES:
        one, other = (
            calibrate.pass_terms(family, WORK, 131_072.0, "wse3", level)[0] for level in ("POL0", policies.DEFAULT)
        )
        ratios.append(one / other)
    assert ratios[0] == pytest.approx(ratios[1], rel=0.05)


def test_attention_changes_with_16_bit_sums_only():
    terms = {level: calibrate.pass_terms("kernels", WORK, 131_072.0, "wse3", level) for level in LEVELS}
    assert terms["POL2"][1] < 0.95 * terms["POL1"][1]
    layer = WORK.layers[1]
    ((_, forward), (_, backward)) = policies.ratios(WORK, layer, 131_072.0, Machine("wse3"), "POL0")
    assert forward == pytest.approx(1, abs=0.3) and backward == pytest.approx(1, abs=0.3)  # rows divided otherwise


def test_constants_are_fitted_at_the_default_and_used_at_any_level():
    assert {calibrate.calibrated("peak", level).values for level in LEVELS} == {calibrate.calibrated().values}
    assert calibrate.calibrated().level == policies.DEFAULT == "POL1"
    assert len({calibrate.fit_pct(level) for level in LEVELS}) == 3
    with pytest.raises(ConfigError, match="'POL3', known are POL0, POL1, POL2"):
        calibrate.calibrated("peak", "POL3")


def test_a_cs3_of_the_published_pairs_is_faster_than_f32_sums_allow():
    rows = {(row.wafer, row.level): row for row in policies_of()}
    assert rows["wse3", "POL0"].share > 1 > rows["wse3", policies.DEFAULT].share
    assert max(row.share for row in rows.values() if row.wafer == "wse2") < 0.7


def test_no_draw_is_faster_than_the_ports():
    draws = {"speed": calibrate.np.array([0.5, 1.0, 1e6])}
    for level in LEVELS:
        constants = calibrate.calibrated("peak", level)
        slow, plain, fast = predict.seconds_of(WORK, System(), 1, constants, draws)
        base = analytic.inputs(WORK, System(), 1, constants)
        least = policies.floor(WORK, base.tokens, System().machine, level) * base.passes
        assert slow > plain > fast > least
        assert fast < 1.4 * least


def test_many_experts_lose_what_the_vendor_reports():
    """Up to 53 % by more experts, up to 86 % by fewer active ones, of a model with 3 billion active weights."""
    shape = {"layers": 48, "d_model": 2048, "heads": 32, "kv_heads": 4, "d_expert": 768}
    lost = {}
    for experts in (8, 32, 128):
        work = workload(load("qwen3-235b").but(experts=experts, active_experts=8, **shape), 64, 4096)
        tokens = int(microbatch.room(work.model, 4096)) * 4096.0
        layer = work.layers[1]
        ratio = policies.ratios(work, layer, tokens, Machine("wse3"), policies.DEFAULT)
        lost[experts] = 1 - 3 / (ratio[0][0] + 2 * ratio[1][0])
    assert lost[8] == pytest.approx(0, abs=0.01) and lost[8] < lost[32] < lost[128]
    assert 0.5 < lost[128] < 0.9
