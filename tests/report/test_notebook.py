"""Runs in a notebook: HTML with a picture, pictures that show themselves, pictures in a user's axes."""

import base64
import io
import re

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from says import says
from synthetic import make_run

import wse
from wse import ConfigError, report

KINDS = [kind for kind in report.KINDS if kind != "animation"]


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


@pytest.mark.parametrize("grid", [(1, 1), (4, 3), (64, 1), (200, 100)])
def test_html(grid):
    run = make_run(*grid)
    run.meta["kernel"] = "<b>"
    text = run._repr_html_()
    assert "&lt;b&gt; on " in text and "<b>&lt;" in text
    assert f"{run.cycles:,}" in text and "utilization" in text
    (data,) = re.findall(r'src="data:image/png;base64,([^"]+)"', text)
    drawn = pixels(base64.b64decode(data))
    assert drawn.shape[1] > 600 and len(np.unique(drawn.reshape(-1, 3), axis=0)) > 20
    assert len(text) < 300_000


def test_html_of_a_run_without_cycles():
    run = make_run(2, 2)
    run.cycles = 0
    assert "<img" not in run._repr_html_()


def traced():
    return wse.allreduce(np.ones((2, 3, 4)), trace=2000).run


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_shows_itself(kind):
    figure = traced().plot(kind)
    drawn = pixels(figure._repr_png_())
    assert (drawn.min(axis=2) < 128).mean() > 0.003


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_in_axes(kind):
    figure = Figure(figsize=(10, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot([0, 1])
    assert traced().plot(kind, ax=right) is figure
    data = io.BytesIO()
    figure.savefig(data, format="png")
    drawn = pixels(data.getvalue())
    half = drawn.shape[1] // 2
    assert (drawn[:, half:].min(axis=2) < 200).mean() > 0.01, "the right half shows the picture"
    assert left in figure.axes and len(figure.axes) > 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_in_a_figure_of_the_user(kind):
    figure = Figure()
    traced().plot(kind, ax=figure)
    assert figure.axes or figure.subfigs


def test_errors():
    run = make_run(4, 4)
    with says(ConfigError, "there is no picture 'stals' of a run: did you mean stalls?"):
        run.plot("stals")
    with says(ConfigError, "this picture consists of several axes: ax must be of a grid of subplots, or a figure"):
        run.plot("links", ax=Figure().add_axes((0, 0, 1, 1)))
    with pytest.raises(ConfigError, match="has no events"):
        run.plot("schedule")
