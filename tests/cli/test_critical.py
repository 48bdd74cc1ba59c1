"""wse/cli/critical.py: the critical path of a saved run, as text and as JSON."""

import json
import re
import textwrap

import pytest
from documents import ROOT, commands
from shell import sh
from synthetic import make_run

HELP = " (see: wse critical --help)"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A traced chain of sums over 4 PEs."""
    path = tmp_path_factory.mktemp("critical") / "run.npz"
    done = sh("run", "reduce", "--algorithm", "chain", "--grid", "4x1", "--length", 8, "--no-plot", "--trace", path)
    assert done.exit_code == 0
    return path


def test_the_path_in_json(saved):
    found = json.loads(sh("critical", saved, "--json").stdout)
    assert list(found) == ["cycles", "pes", "kinds", "sums", "segments"] and found["pes"] == 4
    segments = found["segments"]
    assert list(segments[0]) == ["pe", "lane", "start", "end", "kind", "name"]
    assert list(dict.fromkeys(tuple(segment["pe"]) for segment in segments)) == [(3, 0), (2, 0), (1, 0), (0, 0)]
    assert segments[0]["start"] == 0 and segments[-1]["end"] == found["cycles"]
    for rows in (found["kinds"], found["sums"]):
        assert sum(row["cycles"] for row in rows) == found["cycles"]
        assert sum(row["share"] for row in rows) == pytest.approx(1)
    assert sum(row["segments"] for row in found["sums"]) == len(segments)
    assert {row["kind"] for row in found["kinds"]} == {"start", "code", "operation", "hops"}


def test_the_path_as_text(saved):
    document = json.loads(sh("critical", saved, "--json").stdout)
    text = sh("critical", saved).stdout
    assert f"path    {len(document['segments'])} segments on 4 PEs" in text
    assert "hops of row0 (color 0)" in text and "operation fadds" in text and "code of main" in text
    assert f"The {len(document['segments'])} segments, in order of cycles:" in text


def test_the_path_of_the_document(tmp_path, monkeypatch):
    """The commands of docs/critical.md print what stands there."""
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs/critical.md").read_text()
    run, critical = commands(text)
    assert sh(*run[1:]).exit_code == 0
    (shown,) = re.findall(r"(?m)^The second command prints\n\n((?:(?:    .*)?\n)+)", text)
    assert sh(*critical[1:]).stdout.startswith(textwrap.dedent(shown).strip() + "\n")


def test_the_longest_segments_alone(saved):
    segments = json.loads(sh("critical", saved, "--json").stdout)["segments"]
    lines = sh("critical", saved, "--lines", 2).stdout.splitlines()
    assert f"The 2 longest of {len(segments)} segments, in order of cycles:" in lines
    longest = sorted(segments, key=lambda segment: segment["start"] - segment["end"])[:2]
    shown = [line.split()[:2] for line in lines[-2:]]
    assert shown == [[str(one["start"]), str(one["end"])] for one in sorted(longest, key=lambda one: one["start"])]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["none.npz"], "error: there is no file 'none.npz'"),
        (["a.npz"], "error: the critical path follows the events of a run, and this one has none: record it with "),
        (["a.npz", "--lines", "0"], "error: Invalid value for '--lines'"),
        ([], f"error: Missing argument 'RUN'.{HELP}"),
    ],
)
def test_bad_input(words, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_run().save("a.npz")
    done = sh("critical", *words)
    assert done.exit_code == 2 and done.stderr.startswith(line) and done.stdout == ""
    assert done.stderr.count("\n") == 1
