"""wse/report: every kind of picture at the sizes that matter, as files that other programs can open.

Covers: wse/report/figure.py, wse/report/heatmap.py, wse/report/links.py, wse/report/schedule.py,
    wse/report/stalls.py, wse/report/summary.py, wse/report/timeline.py
"""

from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from says import says
from shell import python
from synthetic import make_events, make_run

from wse import report
from wse.errors import ConfigError
from wse.report import heatmap, links, schedule, stalls, summary, timeline

SHAPES = [(1, 1), (4, 4), (30, 2), (512, 1), (1, 40), (40, 200), (400, 60)]
EVENTS = make_events(
    (0, 0, "TASK_START", 9, 0),
    (2, 0, "OP_START", 26, 255),
    (9, 0, "OP_END", 26, 255),
    (10, 0, "LAND", 3, 0xDEADBEEF),
    (12, 0, "TASK_END", 9, 0),
)
NO_EVENTS = "this run has no events: trace it (`wse run ... --trace FILE.npz`, or Fabric(program, trace=N))"
STILLS = [kind for kind in report.KINDS if kind != "animation"]


def check_picture(path, least=200):
    """The file decodes, has a sensible size, and shows something: several colors, ink at more than one place."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    height, width = pixels.shape[:2]
    assert least <= width <= 4000 and least <= height <= 4000
    ink = np.any(pixels != pixels[0, 0], axis=-1)
    assert ink.mean() > 0.005
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    assert rows[-1] - rows[0] > height / 2 and columns[-1] - columns[0] > width / 2
    return pixels


@pytest.mark.parametrize("grid", SHAPES, ids=lambda grid: f"{grid[0]}x{grid[1]}")
@pytest.mark.parametrize("kind", ["summary", "heatmap", "links"])
def test_the_grid_at_every_shape(tmp_path, kind, grid):
    path = tmp_path / "picture.png"
    assert report.plot(make_run(*grid), path, kind) == path
    check_picture(path)


@pytest.mark.parametrize("kind", STILLS)
def test_every_kind(tmp_path, kind):
    check_picture(report.plot(make_run(16, 16, events=EVENTS), tmp_path / "picture.png", kind))


@pytest.fixture(scope="module")
def wafer():
    return make_run(750, 994, events=EVENTS)


@pytest.mark.parametrize("kind", STILLS)
def test_a_whole_wafer(tmp_path, kind, wafer):
    check_picture(report.plot(wafer, tmp_path / "picture.png", kind))


def test_a_wafers_heat_map_has_a_pixel_per_pe(tmp_path):
    run = make_run(750, 994)
    hot = np.zeros((994, 750), np.uint64)
    hot[700, 100] = run.cycles
    run.counters |= {name: np.zeros_like(hot) for name in ("busy_scalar", "busy_micro")} | {"busy_vector": hot}
    pixels = check_picture(report.plot(run, tmp_path / "picture.png", "heatmap")).astype(int)
    yellow = (pixels[..., 0] > 240) & (pixels[..., 1] > 220) & (pixels[..., 2] < 60)
    inside = yellow[:, : pixels.shape[1] * 3 // 4]  # without the color bar
    assert inside.any(), "the one busy PE is not to be seen"
    y, x = np.argwhere(inside)[0] / pixels.shape[:2]
    assert 0.6 < y < 0.8 and 0.1 < x < 0.3


@pytest.mark.parametrize("ending", [".svg", ".pdf"])
@pytest.mark.parametrize("kind", ["summary", "links"])
def test_vector_formats(tmp_path, kind, ending):
    path = report.plot(make_run(), tmp_path / f"picture{ending}", kind)
    data = path.read_bytes()
    if ending == ".svg":
        assert ElementTree.fromstring(data).tag.endswith("svg")
    else:
        assert data.startswith(b"%PDF") and b"%%EOF" in data[-16:]


def test_equal_runs_give_equal_svg_files(tmp_path):
    first = report.plot(make_run(), tmp_path / "a.svg", "links").read_bytes()
    assert report.plot(make_run(), tmp_path / "b.svg", "links").read_bytes() == first


def test_the_kind_follows_from_the_ending():
    assert report.check("run.png") == "summary"
    assert report.check("run.gif") == "animation"
    assert report.check("run.svg", "links") == "links"


@pytest.mark.parametrize(
    ("path", "kind", "sentence"),
    [
        (
            "run.bmp",
            None,
            "cannot tell the picture's format from 'run.bmp': the name must end in .png, .svg, .pdf, .html, .gif, .mp4",
        ),
        (
            "run",
            None,
            "cannot tell the picture's format from 'run': the name must end in .png, .svg, .pdf, .html, .gif, .mp4",
        ),
        ("run.png", "animation", "a picture of kind 'animation' cannot be written as .png: use .gif, .mp4"),
        (
            "run.html",
            "links",
            "'run.html' is the explorer, which has no kinds: write a 'links' picture as .png, .svg, .pdf",
        ),
        ("run.gif", "links", "a picture of kind 'links' cannot be written as .gif: use .png, .svg, .pdf"),
        ("no/such/run.png", None, "cannot write 'no/such/run.png': there is no folder 'no/such'"),
    ],
)
def test_bad_names(path, kind, sentence):
    with says(ConfigError, sentence):
        report.check(path, kind)


def test_an_unknown_kind_names_the_known():
    known = "summary, heatmap, stalls, links, timeline, schedule, animation"
    with says(ConfigError, f"unknown kind of picture 'pie': choose one of {known}"):
        report.plot(make_run(), "run.png", "pie")


def test_a_place_that_cannot_be_written_to_is_a_sentence(tmp_path):
    (tmp_path / "picture.png").mkdir()
    with pytest.raises(ConfigError, match=r"^cannot write '.*picture\.png': Is a directory$"):
        report.plot(make_run(), tmp_path / "picture.png", "heatmap")


def test_heat_map_writes_each_pes_share():
    run = make_run(4, 3)
    axes = heatmap.figure(run).axes[0]
    words = {text.get_position(): text.get_text() for text in axes.texts}
    assert len(words) == 12
    busy = sum(int(run.counters[name][2, 1]) for name in ("busy_scalar", "busy_vector", "busy_micro"))
    assert words[1, 2] == f"{100 * busy / run.cycles:.1f} %"


def test_heat_map_has_north_west_at_the_top_left():
    axes = heatmap.figure(make_run(40, 30)).axes[0]
    assert axes.get_xlim() == (-0.5, 39.5)
    assert axes.get_ylim() == (29.5, -0.5)
    assert "east" in axes.get_xlabel() and "south" in axes.get_ylabel()


def test_pictures_carry_the_title():
    for module in (heatmap, stalls, links, timeline, summary):
        words = module.figure(make_run(4, 4)).get_suptitle()
        assert "gemm on wse3 (simulator), 4 x 4 PEs" in words and "12,345 cycles" in words


def test_stacked_bars_fill_the_whole():
    whole, each = stalls.figure(make_run(4, 4)).axes
    assert sum(patch.get_width() for patch in whole.patches) == pytest.approx(1)
    tops = np.zeros(16)
    for patch in each.patches:
        tops[round(patch.get_x() + 0.5)] += patch.get_height()
    assert tops == pytest.approx(np.ones(16))


def test_bars_of_causes_name_their_share():
    run = make_run(4, 4)
    axes = summary.figure(run).axes[1]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    shares = [text.get_text() for text in axes.texts]
    busiest = 100 * run.total("busy_vector") / run.pe_cycles
    assert (labels[0], shares[0]) == ("busy: vector", f"{busiest:.1f} %")
    assert labels[-1] == "others"


def test_every_link_inside_the_grid_has_an_arrow():
    load = np.zeros((5, 3, 4))
    tails, vectors, values = links.arrows(load, 0.2, 0.1)
    assert len(tails) == 2 * (3 * 3 + 4 * 2)  # both directions of every wire
    load[3, 1, 0] = 0.5  # leaves by the west edge
    tails, vectors, values = links.arrows(load, 0.2, 0.1)
    assert len(tails) == 2 * (3 * 3 + 4 * 2) + 1
    (west,) = np.flatnonzero(values)
    assert tails[west].tolist() == pytest.approx([-0.2, 0.9])  # on the right-hand side of the way west, which is north
    assert vectors[west].tolist() == pytest.approx([-0.5, 0])


def test_both_directions_of_a_wire_keep_apart():
    tails, vectors, _ = links.arrows(np.ones((5, 1, 2)), 0.2, 0.1)
    ways = {
        tuple(np.sign(vector)): tail
        for tail, vector in zip(tails, vectors, strict=True)
        if 0 <= tail[0] + vector[0] <= 1
    }
    assert ways[1, 0][1] > ways[-1, 0][1]


def test_links_of_a_large_grid_are_one_image_per_port():
    fig = links.figure(make_run(64, 48))
    titles = [axes.get_title().split("\n")[0] for axes in fig.axes if axes.images]
    assert titles == ["to the north", "to the east", "to the south", "to the west", "ramp"] * 2


def test_colors_mean_the_same_in_every_picture():
    """The scale of shares and loads ends at 1, whatever the largest is."""
    run = make_run(40, 30)
    (image,) = heatmap.figure(run).axes[0].images
    assert (image.norm.vmin, image.norm.vmax) == (0, 1)
    assert heatmap.figure(run).axes[0].get_title() == heatmap.busiest(run)
    for axes in links.figure(make_run(64, 48)).axes[:5]:
        assert axes.images[0].norm.vmax == 1
    idle = make_run(40, 30)
    for plane in idle.counters.values():
        plane[:] = 0
    assert heatmap.busiest(idle) == "mean 0.0 %, maximum 0.0 %"


def test_one_busy_row_of_a_wafer_is_seen():
    """A cell of several PEs has the load of the busiest link in it."""
    run = make_run(900, 700)
    run.links[:] = 0
    run.links[1, 350] = run.cycles
    to_the_east = next(axes for axes in links.figure(run).axes if axes.get_title().startswith("to the east"))
    assert to_the_east.get_title().endswith("mean <.01, maximum 1.00")
    cells = to_the_east.images[0].get_array()
    assert (
        len(cells) <= 300 and (cells == 1).all(axis=1).sum() == 1 and (cells == 0).all(axis=1).sum() == len(cells) - 1
    )


def test_timeline_shows_rates():
    run = make_run(2, 2, cycles=100, bins=4)  # bins of 32, 32, 32 and 4 cycles
    edges, rates = timeline.series(run)
    assert edges.tolist() == [0, 32, 64, 96, 100]
    assert rates[1].tolist() == (run.series[:, 1] / [32, 32, 32, 4]).tolist()


def test_no_series_is_said():
    run = make_run(bins=0)
    with says(ConfigError, "this run has no time series: it was made with bins=0, or it has no cycles"):
        timeline.figure(run)
    words = [text.get_text() for axes in summary.figure(run).axes for text in axes.texts]
    assert "no time series was recorded" in words


def test_a_run_without_cycles(tmp_path):
    run = make_run(3, 3, cycles=0)
    check_picture(report.plot(run, tmp_path / "picture.png"))


def test_no_events_is_said():
    with says(ConfigError, NO_EVENTS):
        schedule.figure(make_run())


def test_schedule_says_what_it_leaves_out(monkeypatch):
    rows = [(cycle, 0, f"OP_{what}", 26, 255) for cycle in range(0, 40, 2) for what in ("START", "END")]
    monkeypatch.setattr(schedule, "BARS", 7)
    run = make_run(events=make_events(*rows), events_dropped=3)
    label = schedule.figure(run).axes[0].get_xlabel()
    assert label == "cycle; only the first 7 bars; 3 later events were not recorded"


def test_importing_reports_imports_no_matplotlib():
    assert python("import sys, wse.report, wse.report.text; sys.exit('matplotlib' in sys.modules)").returncode == 0


def test_drawing_leaves_pyplot_alone(tmp_path):
    path = str(tmp_path / "a.png")
    code = f"import sys, synthetic, wse.report; wse.report.plot(synthetic.make_run(), {path!r})"
    assert python(f"{code}; sys.exit('matplotlib.pyplot' in sys.modules)").returncode == 0
