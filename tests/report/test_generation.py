"""wse/report/generation.py: the strip on the wafer, its regions and shares."""

import numpy as np
import pytest
from execute.decoder_reference import small

from wse.execute import strip_layout
from wse.report import generation


@pytest.mark.parametrize(
    "tied, names",
    [
        (True, ["embedding, head", "layer 0", "layer 1"]),
        (False, ["embedding", "layer 0", "layer 1", "head"]),
    ],
)
def test_regions(tied, names, tmp_path):
    layout = strip_layout.layout(small(tied=tied).config, 30, 3, 2)
    busy = np.arange(layout.pes).reshape(layout.height, layout.width)
    figure = generation.figure(layout, busy, 1000, (762, 1172))
    wafer, strip = figure.axes[:2]
    assert wafer.get_xlim() == (-0.5, 761.5) and wafer.get_ylim() == (1171.5, -0.5)
    assert [t.get_text() for t in strip.get_yticklabels()] == names
    assert np.allclose(strip.images[0].get_array(), busy / 10)
    assert len(strip.patches) == len(names)
    generation.draw(layout, busy, 1000, (762, 1172), tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 1000
