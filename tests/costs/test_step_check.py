"""A training step, executed, against the sum of its operators' cost models."""

import math

import pytest

from wse.costs.step_check import compare
from wse.models import graph, load


@pytest.fixture(scope="module")
def rows():
    return compare(graph(load("nano-1")), batch=2)


def test_the_whole_step_is_within_the_bar(rows):
    whole = rows[-1]
    assert whole.kind == "all"
    assert abs(whole.error_pct) <= 4
    assert whole.executed == sum(r.executed for r in rows[:-1])


def test_what_takes_most_of_it_is_modelled_closely(rows):
    by_kind = {(r.kind, r.phase): r for r in rows}
    for kind in ("linear", "attention"):
        for phase in ("forward", "backward"):
            assert abs(by_kind[kind, phase].error_pct) < 5, (kind, phase)


def test_a_kind_without_a_model_is_told(rows):
    assert all(math.isnan(r.modelled) for r in rows if r.kind == "embedding")
