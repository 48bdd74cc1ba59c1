"""wse/report/validation.py: pictures of points, sensitivities and closed forms."""

from collections import namedtuple
from types import SimpleNamespace

import numpy as np
import pytest
from says import says

from wse.errors import ConfigError
from wse.report import validation

Point = namedtuple("Point", "id column unit published tolerance_pct")
Slope = namedtuple("Slope", "point parameter pct")
Modelled = namedtuple("Modelled", "name pes length error_pct claimed_pct")


def result(point, emulated):
    error = 100 * (emulated - point.published) / point.published
    return SimpleNamespace(point=point, emulated=emulated, error_pct=error, ok=abs(error) <= point.tolerance_pct)


HOP = Point("hop", "wse3", "cycles/hop", 2.0, 0.0)
CHAIN = Point("chain-4-1", "wse2", "cycles", 100.0, 5.0)
RESULTS = [result(HOP, 2.0), result(CHAIN, 110.0)]
SUMMARY = {"ok": 1, "points": 2, "median_pct": 5.0, "p90_pct": 9.0, "worst_pct": 10.0}


@pytest.fixture
def saved(monkeypatch):
    figures = []
    monkeypatch.setattr(validation, "save", lambda figure, path: figures.append(figure))
    return figures


def test_cycles_are_scattered_and_every_error_has_a_row(saved):
    validation.points(RESULTS, SUMMARY, "points.png")
    scatter, errors = saved[0].axes
    drawn = [(list(line.get_xdata()), list(line.get_ydata())) for line in scatter.get_lines()]
    assert ([100.0], [110.0]) in drawn  # a point in other units is not in this panel
    assert all(x != [2.0] for x, _ in drawn)
    assert [label.get_text() for label in errors.get_yticklabels()] == ["hop", "chain-4-1"]
    assert [patch.get_width() for patch in errors.patches] == [0, 10]
    marks = [float(np.ravel(line.get_xdata())[0]) for line in errors.get_lines() if line.get_marker() in "os^"]
    assert marks == [0, 10]
    assert "1 of 2 published points" in saved[0].get_suptitle()


def test_without_points_in_cycles_the_panel_says_so(saved):
    validation.points(RESULTS[:1], SUMMARY, "points.png")
    assert [text.get_text() for text in saved[0].axes[0].texts] == ["no point is in cycles"]


def test_slopes_are_cells_with_the_largest_parameter_first(saved):
    rows = [Slope(HOP, "hop_cycles", 10.0), Slope(CHAIN, "ramp_in_cycles", -2.0), Slope(CHAIN, "hop_cycles", 0.01)]
    validation.slopes(rows, "slopes.png")
    axes = saved[0].axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["hop_cycles", "ramp_in_cycles"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["chain-4-1", "hop"]  # WSE-2 before WSE-3
    np.testing.assert_array_equal(axes.images[0].get_array(), [[0.01, 10], [-2, 0]])
    assert {"10", "-2.0"} <= {text.get_text() for text in axes.texts}


def test_closed_forms_have_a_panel_each_and_a_line_per_number_of_pes(saved):
    rows = [Modelled("chain", pes, length, pes + length, 4.0) for pes in (4, 8) for length in (64, 1)]
    rows.append(Modelled("broadcast", 4, 1, 0.5, None))
    validation.models(rows, "models.png")
    chain, broadcast = saved[0].axes[:2]
    assert chain.get_title() == "chain" and broadcast.get_title() == "broadcast"
    lines = [line.get_xydata().tolist() for line in chain.get_lines()]
    assert lines == [[[1, 5], [64, 68]], [[1, 9], [64, 72]]]
    assert len(chain.patches) == 1 and len(broadcast.patches) == 0  # the claimed accuracy


def test_names_that_no_picture_can_have(tmp_path):
    validation.check(tmp_path / "a.svg")
    with says(ConfigError, "cannot tell the picture's format from 'a.gif': the name must end in .png, .svg, .pdf"):
        validation.check("a.gif")
    missing = tmp_path / "none"
    with says(ConfigError, f"cannot write '{missing}/a.png': there is no folder '{missing}'"):
        validation.check(missing / "a.png")
