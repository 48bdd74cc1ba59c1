"""wse/report/animation.py: activity over time as GIF and MP4."""

import shutil

import numpy as np
import pytest
from PIL import Image
from says import says
from synthetic import make_run

from wse import report
from wse.errors import ConfigError
from wse.report import animation

NO_ACTIVITY = (
    "this run has no activity per PE: record it (`wse run ... --plot FILE.gif`, or Fabric(..., activity=True))"
)


@pytest.mark.parametrize("grid", [(4, 4), (1, 1), (512, 1), (300, 400)], ids=lambda grid: f"{grid[0]}x{grid[1]}")
def test_gif_has_a_frame_per_bin(tmp_path, grid):
    run = make_run(*grid, cycles=1000, bins=16, activity=True)
    path = report.plot(run, tmp_path / "run.gif")
    with Image.open(path) as image:
        assert image.n_frames == 16
        assert 400 <= image.width <= 1200 and 300 <= image.height <= 1200
        image.seek(15)
        assert len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)) > 10


def test_frames_show_the_bins(tmp_path):
    run = make_run(2, 1, cycles=4, bins=2, activity=True)  # two bins of two cycles
    run.activity[:] = [[[2, 0]], [[0, 2]]]
    first, second = animation.compose(run)
    _, (top, left, height, width), _, _ = animation.stage(run)
    middle = top + height // 2
    hot, cold = animation.SHADES - 1, 0
    assert (first[middle, left + width // 4], first[middle, left + 3 * width // 4]) == (hot, cold)
    assert (second[middle, left + width // 4], second[middle, left + 3 * width // 4]) == (cold, hot)


def test_frames_differ_outside_the_map_only_in_label_and_mark():
    run = make_run(3, 3, cycles=64, bins=8, activity=True)
    frames = list(animation.compose(run))
    _, (top, left, height, width), _, _ = animation.stage(run)
    changes = frames[0] != frames[5]
    changes[top : top + height, left : left + width] = False
    assert 0 < changes.sum() < 0.02 * changes.size


def test_small_pes_are_averaged():
    levels = np.zeros((400, 400))
    levels[::2] = 1.0
    assert set(np.unique(animation.cells(levels, 100, 100))) <= {111, 112}


def test_no_activity_is_said(tmp_path):
    with says(ConfigError, NO_ACTIVITY):
        report.plot(make_run(), tmp_path / "run.gif")


def test_mp4_without_ffmpeg_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    run = make_run(2, 2, cycles=64, bins=4, activity=True)
    with pytest.raises(
        ConfigError, match=r"MP4 needs ffmpeg, which is not on the PATH; use a name that ends in \.gif$"
    ):
        report.plot(run, tmp_path / "run.mp4")


def test_mp4_frames_go_through_ffmpeg(tmp_path, monkeypatch):
    """A stand-in for ffmpeg that keeps what it is fed."""
    fake = tmp_path / "ffmpeg"
    fake.write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\ncat > {tmp_path}/frames\nfor last; do :; done\necho film > "$last"\n'
    )
    fake.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(fake))
    run = make_run(2, 2, cycles=64, bins=4, activity=True)
    report.plot(run, tmp_path / "run.mp4")
    words = (tmp_path / "arguments").read_text().split()
    width, height = map(int, words[words.index("-s") + 1].split("x"))
    assert width % 2 == height % 2 == 0
    assert (tmp_path / "frames").stat().st_size == 4 * width * height * 3
    assert words[-1].endswith(".mp4") and (tmp_path / "run.mp4").read_text() == "film\n"


def test_a_failing_ffmpeg_is_said(tmp_path, monkeypatch):
    fake = tmp_path / "ffmpeg"
    fake.write_text("#!/bin/sh\ncat > /dev/null\necho no such codec >&2\nexit 3\n")
    fake.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(fake))
    with pytest.raises(ConfigError, match=r"ffmpeg failed: no such codec$"):
        report.plot(make_run(2, 2, cycles=64, bins=4, activity=True), tmp_path / "run.mp4")
