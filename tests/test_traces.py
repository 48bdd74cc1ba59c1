"""traces/: each command gives exactly the run that was recorded, on any number of threads, and every file can be drawn."""

import pytest
from documents import ROOT, commands
from shell import sh

from wse import Run

COMMANDS = {words[-1]: words[1:] for words in commands((ROOT / "traces/README.md").read_text())}


def test_every_file_has_a_command_and_they_are_small():
    files = sorted(ROOT.glob("traces/*.npz"))
    assert {f"traces/{path.name}" for path in files} == set(COMMANDS)
    assert sum(path.stat().st_size for path in files) < 400_000


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", COMMANDS)
def test_the_command_gives_the_recorded_run(name, threads, tmp_path):
    again = tmp_path / "again.npz"
    done = sh(*COMMANDS[name][:-1], again, "--threads", threads)
    assert done.exit_code == 0, done.stderr
    recorded = Run.load(ROOT / name)
    assert recorded.ended == "done"
    assert recorded.diff(Run.load(again)) == [], "if that is meant: python tests/record.py traces"
    assert recorded.meta["command"] == ["wse", *COMMANDS[name]]


@pytest.mark.parametrize("name", COMMANDS)
def test_it_can_be_drawn(name, tmp_path):
    picture = tmp_path / "picture.png"
    assert sh("plot", ROOT / name, "-o", picture).exit_code == 0
    assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size > 20_000


def test_events_become_a_schedule_and_a_trace(tmp_path):
    name = ROOT / "traces/reduce-chain-8.npz"
    for words in (["-o", "chain.pftrace"], ["-o", "chain.json"], ["--kind", "schedule", "-o", "chain.svg"]):
        *start, end = words
        assert sh("plot", name, *start, tmp_path / end).exit_code == 0
        assert (tmp_path / end).stat().st_size > 1000
