"""wse/cli/outputs.py: names of files are checked before a run, numbered for later ones; figures are those of the Run."""

from pathlib import Path

import click
import pytest
from synthetic import make_events, make_run

import wse
from wse.cli.outputs import FILES, Outputs, figures
from wse.fabric.watch import Watch


def test_names_are_checked_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for given, what in (
        ({"plot": Path("a.bmp")}, "the name must end in"),
        ({"report": Path("a.bmp")}, "the name must end in"),
        ({"report": Path("a.svg")}, "does not end in .html"),
        ({"trace": Path("a.png")}, "the name must end in"),
        ({"save": Path("a.txt")}, "the name must end in .npz"),
        ({"save": Path("a.npz"), "plot": Path("none/a.png")}, "there is no folder"),
    ):
        with pytest.raises(wse.ConfigError, match=what):
            Outputs(**given)
    assert Outputs().named == [] and not Outputs().events and not Outputs().moving


def test_what_a_run_must_keep_for_them():
    assert Outputs(trace=Path("a.txt")).events > 0 and not Outputs(trace=Path("a.txt")).moving
    assert Outputs(plot=Path("a.gif")).moving and not Outputs(plot=Path("a.png")).moving


def test_the_events_of_the_trace(tmp_path):
    outputs = Outputs(trace=tmp_path / "a.txt", trace_pes=((0, 0, 1, 1),), trace_window=(5, None))
    assert outputs.watch == outputs.numbered(2).watch == Watch(5, None, ((0, 0, 1, 1),), tmp_path)
    assert Outputs().watch is None and Outputs(trace=Path("/dev/stdout.txt")).watch.folder == Path("/dev")
    for given in ({"trace_pes": ((0, 0, 1, 1),)}, {"trace_window": (0, 5)}):
        with pytest.raises(click.UsageError, match="says what --trace FILE holds"):
            Outputs(**given)


def test_a_trace_that_is_incomplete_says_so_loudly(tmp_path, capsys):
    run = make_run(4, 4, events=make_events((0, 0, "MARK", 0, 5)))
    Outputs(trace=tmp_path / "a.txt").write(run)
    assert capsys.readouterr().err == ""
    run.events_dropped = 12_345
    Outputs(trace=tmp_path / "a.txt").write(run)
    assert "is incomplete: 12,345 events found no place; trace less with" in capsys.readouterr().err
    shown = dict(FILES)["trace"]({"trace": "a.txt", "run": run})
    assert shown == "a.txt (1 events, 12,345 MORE WERE LEFT OUT)"


def test_files_of_several_runs(tmp_path):
    outputs = Outputs(save=Path("a.npz"), report=Path("b.c.html"))
    assert outputs.numbered(1) is outputs
    assert outputs.numbered(3).named == [Path("a-3.npz"), Path("b.c-3.html")]
    run = make_run(4, 4)
    outputs.numbered(2).write(run, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-2.npz", "b.c-2.html"]
    assert wse.Run.load(tmp_path / "a-2.npz") == run


def test_an_interrupt_leaves_files_and_says_which(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = make_run(4, 4)
    for outputs, after, words in (
        (Outputs(save=Path("a.npz")), run, f"at cycle {run.cycles:,}; a.npz holds what was measured until then"),
        (Outputs(), run, f"at cycle {run.cycles:,}; no file was written"),
        (Outputs(save=Path("b.npz")), None, "no file was written"),
    ):
        interrupt = KeyboardInterrupt()
        outputs.interrupted(interrupt, after)
        assert interrupt.__notes__ == [words]
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_figures_of_a_run_that_did_nothing():
    run = make_run(4, 4)
    assert figures(run)["cycles"] == run.cycles and figures(run)["stalls"] == run.stalls
    run.cycles, run.wall_seconds = 0, 0.0
    shown = figures(run)
    assert (shown["cycles"], shown["utilization"], shown["pe_cycles_per_second"]) == (0, 0, None)
