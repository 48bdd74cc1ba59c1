"""The picture of a training run."""

from collections import namedtuple

import numpy as np
from matplotlib.figure import Figure

from wse.report import training

Step = namedtuple("Step", "step loss norm scale skipped")
Span = namedtuple("Span", "track name phase begin end bound_by")
HISTORY = [Step(i, 5 - 0.1 * i, np.inf if i == 3 else 1.0, 2.0**15, i == 3) for i in range(10)]
SPANS = [Span("weights", "q", "forward", 1000, 1040, "dram"), Span("compute", "q", "forward", 1010, 1060, "compute")]
WAITS = {"forward": {"dram": 30, "compute": 60}, "backward": {"compute": 90}}


def test_it_is_drawn(tmp_path):
    for name in ("run.png", "run.svg"):
        path = tmp_path / name
        training.draw(HISTORY, SPANS, WAITS, "nano", path, reference=[5.0] * 10, clock_hz=1_100_000_000)
        assert path.stat().st_size > 10_000


def test_losses_and_skipped_steps_are_marked():
    axes = Figure().subplots()
    training.draw_loss(axes, HISTORY, [4.9] * 10)
    ours, reference, skipped = axes.get_lines()
    np.testing.assert_allclose(ours.get_ydata(), [5 - 0.1 * i for i in range(10)])
    assert list(reference.get_ydata()) == [4.9] * 10 and list(skipped.get_xdata()) == [3]


def test_spans_begin_with_the_pass():
    axes = Figure().subplots()
    training.draw_spans(axes, SPANS, None)
    boxes = [path.get_extents() for bars in axes.collections for path in bars.get_paths()]
    assert [(box.x0, box.x1) for box in boxes] == [(0, 40), (10, 60)]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["weights", "compute"]


def test_a_run_without_a_pass_is_drawn(tmp_path):
    training.draw(HISTORY, [], {}, "resumed", tmp_path / "run.png")
    assert (tmp_path / "run.png").exists()


def test_the_picture_takes_the_place_of_axes(tmp_path):
    whole = Figure(figsize=(12, 6), layout="constrained")
    left, right = whole.subplots(1, 2)
    assert training.figure(HISTORY, SPANS, WAITS, "nano", ax=right) is whole
    assert left in whole.axes and right not in whole.axes and len(whole.axes) > 1
    whole.savefig(tmp_path / "whole.png")
