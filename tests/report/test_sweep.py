"""wse/report/sweep.py: a line for each value, bands, logarithmic axes."""

from types import SimpleNamespace

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from wse.report import sweep


def shown(lines, log=""):
    return SimpleNamespace(x="grid", y="cycles", lines=lines, log=log)


def test_a_line_for_each_label_and_a_band_where_points_differ():
    lines = {"a": [(1, 10, 10, 10), (2, 20, 20, 20)], "b": [(1, 5, 4, 6), (2, 7, 7, 7)]}
    axes = sweep.figure(shown(lines), "title").axes[0]
    assert [list(line.get_ydata()) for line in axes.get_lines()] == [[10, 20], [5, 7]]
    assert len(axes.collections) == 1  # of b
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("grid", "cycles")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]


def test_one_line_has_no_legend():
    assert sweep.figure(shown({"a": [(1, 1, 1, 1)]})).axes[0].get_legend() is None


def test_axes():
    axes = sweep.figure(shown({"a": [(1, 10, 10, 10), (1000, 20, 20, 20)]}, "xy")).axes[0]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    axes = sweep.figure(shown({"a": [(1, 10, 10, 10), (2, 20, 20, 20)]})).axes[0]
    assert isinstance(axes.xaxis.get_major_locator(), MaxNLocator)  # integers only
    assert axes.get_xscale() == "linear"


def test_lines_beyond_the_limit_are_counted():
    lines = {str(i): [(1, i, i, i), (2, i, i, i)] for i in range(15)}
    axes = sweep.figure(shown(lines)).axes[0]
    assert len(axes.get_lines()) == 12
    assert axes.get_legend().get_title().get_text() == "3 more are not drawn"


def test_the_picture_takes_the_place_of_axes(tmp_path):
    whole = Figure(figsize=(12, 6), layout="constrained")
    left, right = whole.subplots(1, 2)
    assert sweep.figure(shown({"a": [(1, 10, 10, 10), (2, 20, 20, 20)]}), ax=right) is whole
    assert left in whole.axes and right not in whole.axes and len(whole.axes) > 1
    whole.savefig(tmp_path / "whole.png")
