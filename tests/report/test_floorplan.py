"""wse/report/floorplan.py: rectangles, wires and bars of a floor plan."""

from collections import namedtuple

import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from wse.errors import ConfigError
from wse.report import floorplan

Region = namedtuple("Region", "name kernel")
Rectangle = namedtuple("Rectangle", "x y width height center")
Placed = namedtuple("Placed", "region rectangle")
Wire = namedtuple("Wire", "source destination corners")
Plan = namedtuple("Plan", "model grid rate active placed wires")

PLAN = Plan(
    "tiny",
    (40, 20),
    123.0,
    0.75,
    [
        Placed(Region("attention 0", "attention"), Rectangle(0, 0, 20, 20, (9.5, 9.5))),
        Placed(Region("head", "head"), Rectangle(20, 0, 18, 20, (28.5, 9.5))),
    ],
    [Wire(0, 1, [(9.5, 9.5), (28.5, 9.5)]), Wire(1, 0, [(28.5, 12), (9.5, 12)])],
)


@pytest.fixture
def saved(monkeypatch):
    """Figures that were saved, instead of files."""
    figures = []
    monkeypatch.setattr(floorplan, "save", lambda figure, path: figures.append(figure))
    return figures


def test_each_region_is_a_rectangle_in_the_color_of_its_kernel(saved):
    floorplan.draw(PLAN, "plan.png")
    axes = saved[0].axes[0]
    _, attention, head = axes.patches  # the first one is the grid
    assert (attention.get_x(), attention.get_y(), attention.get_width()) == (-0.5, -0.5, 20)
    assert (head.get_x(), head.get_width(), head.get_height()) == (19.5, 18, 20)
    assert to_hex(attention.get_facecolor()) == floorplan.COLORS["attention"].lower()
    assert to_hex(head.get_facecolor()) == floorplan.COLORS["head"].lower()
    assert {text.get_text() for text in axes.texts} == {"attention 0", "head"}
    assert saved[0].get_suptitle() == "tiny, pipelined on 40 x 20 PEs: 123 sequences/s, 75 % of the PEs in use"


def test_a_wire_is_drawn_once_for_both_directions(saved):
    floorplan.draw(PLAN, "plan.png")
    floorplan.draw(PLAN, "plan.png", wires=False)
    with_wires, without = (figure.axes[0].get_lines() for figure in saved)
    assert [line.get_xydata().tolist() for line in with_wires] == [[[9.5, 9.5], [28.5, 9.5]]]
    assert len(without) == 0


def test_bars_show_computed_and_published(saved):
    floorplan.bars([("fc", 100, 120), ("head", 10, 9)], "bars.png")
    widths = [patch.get_width() for patch in saved[0].axes[0].patches]
    assert widths == [120, 100, 9, 10]
    assert [label.get_text() for label in saved[0].axes[0].get_yticklabels()] == ["fc", "head"]


def test_the_file(tmp_path):
    floorplan.draw(PLAN, tmp_path / "plan.svg")
    assert (tmp_path / "plan.svg").read_text().lstrip().startswith("<?xml")
    with pytest.raises(ConfigError, match="cannot write"):
        floorplan.draw(PLAN, tmp_path / "no folder" / "plan.png")


def test_the_picture_takes_the_place_of_axes(tmp_path):
    whole = Figure(figsize=(12, 6), layout="constrained")
    left, right = whole.subplots(1, 2)
    assert floorplan.figure(PLAN, ax=right) is whole
    assert left in whole.axes and right not in whole.axes and len(whole.axes) > 1
    whole.savefig(tmp_path / "whole.png")


def test_names_are_legible_on_their_colors(saved):
    regions = [("attention", "attention", "white"), ("gelu", "gelu", "black")]
    places = [
        Placed(Region(name, kernel), Rectangle(20 * i, 0, 20, 20, (20 * i + 9.5, 9.5)))
        for i, (name, kernel, _) in enumerate(regions)
    ]
    floorplan.draw(PLAN._replace(placed=places, wires=[]), "plan.png")
    (figure,) = saved
    inks = {text.get_text(): text.get_color() for text in figure.axes[0].texts}
    assert inks == {name: ink for name, _, ink in regions}
