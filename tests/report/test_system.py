"""wse/report/system.py: scaling, parts of a step and the timeline of `wse system`."""

from collections import namedtuple
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure

from wse.report import system

Interval = namedtuple("Interval", "low high")
PARTS = ("forward", "backward", "starved_forward", "starved_backward", "blocked", "drain", "updating", "fill")


def row(systems, speedup, **seconds):
    parts = dict.fromkeys(PARTS, 0.0) | seconds
    outcome = SimpleNamespace(seconds=sum(parts.values()), **parts)
    return SimpleNamespace(
        systems=systems,
        speedup=speedup,
        speedup_interval=Interval(0.9 * speedup, min(systems, 1.1 * speedup)),
        outcome=outcome,
    )


ROWS = [row(1, 1.0, forward=1.0, backward=2.0, fill=1.0), row(4, 3.0, forward=1.0, backward=2.0, blocked=3.0)]
SPANS = [("MemoryX", "weights", 0, 0.0, 1.0), ("wafer 0", "forward", 0, 1.0, 3.0), ("wafer 0", "backward", 0, 3.0, 4.0)]


@pytest.fixture
def figure(monkeypatch):
    figures = []
    monkeypatch.setattr(system, "save", lambda figure, path: figures.append(figure))
    system.draw("title", ROWS, SPANS, "system.png", published=(4, 3.5))
    return figures[0]


def axes_of(figure, name):
    return next(axes for axes in figure.axes if axes.get_label() == name)


def test_efficiency_with_its_interval_and_the_published_one(figure):
    axes = axes_of(figure, "scaling")
    simulated = next(line for line in axes.get_lines() if line.get_label() == "simulated")
    assert list(simulated.get_xdata()) == [1, 4] and list(simulated.get_ydata()) == [100, 75]
    published = next(line for line in axes.get_lines() if line.get_label() == "published")
    assert float(published.get_ydata()[0] if np.ndim(published.get_ydata()) else published.get_ydata()) == 87.5
    band = axes.collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == pytest.approx(67.5) and band[:, 1].max() == pytest.approx(100)


def test_parts_of_a_step_add_up_to_all_of_it(figure):
    axes = axes_of(figure, "parts")
    ends = {}
    for patch in axes.patches:
        place = round(patch.get_y() + patch.get_height() / 2)
        ends[place] = max(ends.get(place, 0), patch.get_x() + patch.get_width())
    assert ends == {0: pytest.approx(100), 1: pytest.approx(100)}
    shares = [round(patch.get_width(), 6) for patch in axes.patches if patch.get_width()]
    assert shares == [25, round(100 / 6, 6), 50, round(100 / 3, 6), 50, 25]  # forward, backward, blocked, fill


def test_the_timeline_has_a_row_per_station(figure):
    axes = axes_of(figure, "timeline")
    assert [label.get_text() for label in axes.get_yticklabels()] == ["MemoryX", "wafer 0"]
    assert len(axes.collections) == 3
    bars = [path.vertices[:, 0] for collection in axes.collections for path in collection.get_paths()]
    assert sorted((bar.min(), bar.max()) for bar in bars) == [(0, 1), (1, 3), (3, 4)]


def test_the_file(tmp_path):
    system.draw("title", ROWS, SPANS, tmp_path / "system.pdf")
    assert (tmp_path / "system.pdf").read_bytes().startswith(b"%PDF")


def test_the_picture_takes_the_place_of_axes(tmp_path):
    whole = Figure(figsize=(12, 6), layout="constrained")
    left, right = whole.subplots(1, 2)
    assert system.figure("title", ROWS, SPANS, ax=right) is whole
    assert left in whole.axes and right not in whole.axes and len(whole.axes) > 1
    whole.savefig(tmp_path / "whole.png")
