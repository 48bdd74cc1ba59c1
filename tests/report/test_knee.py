"""wse/report/knee.py: executed and modelled cycles over the bandwidth."""

from types import SimpleNamespace

import numpy as np
from matplotlib.figure import Figure

from wse.report import knee


def point(bandwidth, cycles, law):
    return SimpleNamespace(bandwidth=bandwidth, cycles=cycles, law=law, streaming={"forward": law / 2, "backward": law})


SWEPT = SimpleNamespace(
    points=[point(4e9, 100, 90), point(1e9, 300, 310), point(2e9, 200, 205)],
    computing={"forward": 40, "backward": 60},
    knees={"forward": 2.5e9, "backward": 3e9},
)


def test_points_are_drawn_in_order_of_bandwidth():
    axes = knee.figure(SWEPT, "title").axes[0]
    law, executed = axes.get_lines()[:2]
    assert list(law.get_xdata()) == [1, 2, 4] and list(law.get_ydata()) == [310, 205, 90]
    assert list(executed.get_ydata()) == [300, 200, 100]


def test_each_phase_has_its_streams_its_computing_and_its_crossover():
    figure = knee.figure(SWEPT, "title")
    axes = figure.axes[0]
    heights = {float(line.get_ydata()[0]) for line in axes.get_lines() if len(set(line.get_ydata())) == 1}
    assert {40.0, 60.0} <= heights
    dashed = [line for line in axes.get_lines() if line.get_linestyle() == "--" and len(line.get_ydata())]
    np.testing.assert_allclose([line.get_ydata() for line in dashed], [[155, 102.5, 45], [310, 205, 90]])
    assert [text.get_text() for text in axes.texts] == ["forward: 2 GB/s", "backward: 3 GB/s"]
    assert figure.get_suptitle() == "title"


def test_the_picture_takes_the_place_of_axes():
    whole = Figure(figsize=(10, 4), layout="constrained")
    left, right = whole.subplots(1, 2)
    assert knee.figure(SWEPT, "title", ax=right) is whole
    assert left in whole.axes and right not in whole.axes and len(whole.axes) == 2
    assert whole.subfigs[0].get_suptitle() == "title"
