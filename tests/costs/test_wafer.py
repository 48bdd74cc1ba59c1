"""Compute times from executed kernels: what grows with what, how a wafer's rows are divided."""

import pytest

from wse.costs import calibrate
from wse.costs import wafer as kernels
from wse.models import load
from wse.plan.workload import workload


def seconds(model, tokens, arch="wse3", sequence=2048):
    work = workload(model, 64, sequence)
    found = [kernels.terms(work, layer, tokens, arch, "POL0") for layer in work.layers]
    return sum(f[0] + b[0] for f, b in found), sum(f[1] + b[1] for f, b in found)


def test_work_doubles_with_tokens_and_layers():
    model = load("gpt3-6_7b")
    one = seconds(model, 65_536)
    more = seconds(model, 131_072)
    assert 1.7 < more[0] / one[0] < 2  # what a weight costs besides its tokens weighs less
    assert 1.5 < more[1] / one[1] < 2.1  # over fewer rows: fewer steps
    deep = seconds(model.but(layers=64), 65_536)
    assert deep[1] / one[1] == pytest.approx(2, rel=1e-6)
    assert 1.9 < deep[0] / one[0] < 2


def test_backward_is_about_twice_forward():
    work = workload(load("gpt3-13b"), 64)
    layer = next(layer for layer in work.layers if layer.depth)
    forward, backward = kernels.terms(work, layer, 131_072.0, "wse3", "POL1")
    assert 1.5 < backward[0] / forward[0] < 3
    assert forward[2] + backward[2] == pytest.approx(1)


def test_narrow_models_take_several_rows_side_by_side():
    """768 features on 762 columns of one row would waste nearly half."""
    time = {
        d: seconds(load("gpt2").but(d_model=d, d_ff=4 * d, heads=d // 64, kv_heads=d // 64), 65_536)[0]
        for d in (704, 768)
    }
    assert time[768] / time[704] < 1.3


def test_the_last_row_of_a_sequence_sees_all_of_it_with_a_mask_or_without():
    causal, whole = (seconds(load("gpt2").but(causal=which), 65_536)[1] for which in (True, False))
    assert whole == causal


def test_products_are_executed_on_both_wafers():
    model = load("gpt3-6_7b")
    ratio = seconds(model, 65_536, "wse2")[0] / seconds(model, 65_536, "wse3")[0]
    assert 900 / 850 < ratio < 1.5


def test_sparse_weights_save_time_in_both_families():
    for family in calibrate.FAMILIES:
        dense, sparse = (
            calibrate.pass_terms(family, workload(load("gpt3-6_7b"), 64, density=density), 65_536, "wse3")
            for density in (1.0, 0.1)
        )
        assert 0.35 < sparse[0] / dense[0] < 0.8
        assert sparse[1] == pytest.approx(dense[1], rel=0.3)  # rows may be divided otherwise
        assert sparse[2] == dense[2]
