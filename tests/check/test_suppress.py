"""wse/check/suppress.py: lines fit findings by kind, PE and place; bad lines are refused with their number."""

import pytest

from wse.check import Finding, Suppressions
from wse.errors import ConfigError

FOUND = [
    Finding("bounds", 0, 0, 5, "fmovs at src/pe.csl:12:3 in main", "m"),
    Finding("bounds", 3, 1, 6, "fmovs at src/pe.csl:120:3 in main", "m"),
    Finding("queue", 3, 7, 9, "", "m"),
]


def load(tmp_path, text: str) -> Suppressions:
    (tmp_path / "known.txt").write_text(text)
    return Suppressions.load(tmp_path / "known.txt")


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("bounds", [2]),
        ("bounds pe.csl:12", [1, 2]),
        ("bounds pe.csl", [2]),
        ("bounds e.csl", [0, 1, 2]),
        ("* 3,1", [0, 2]),
        ("* 3,0:8", [0]),
        ("queue 0:4,7", [0, 1]),
        ("queue 0:3,7", [0, 1, 2]),
        ("bounds 0,0 pe.csl:120", [0, 1, 2]),
        ("*  # all", []),
        ("# nothing\n\n", [0, 1, 2]),
    ],
)
def test_what_a_line_fits(tmp_path, line, left):
    assert load(tmp_path, line).left(FOUND) == [FOUND[i] for i in left]


def test_lines_that_fit_nothing_are_named(tmp_path):
    known = load(tmp_path, "bounds\nrace\nqueue 0,0\n")
    known.left(FOUND)
    assert [line.split(":")[-1] for line in known.unused()] == ["2 matches no finding", "3 matches no finding"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("bounds\nbunds 0,0", "known.txt:2: there is no kind 'bunds' of findings: did you mean bounds"),
        ("bounds 4:2,0", "4:2,0 holds no PE"),
        ("bounds 0,0 pe.csl:1 pe.csl:2", "a line is KIND"),
    ],
)
def test_bad_lines(tmp_path, text, said):
    with pytest.raises(ConfigError, match=said):
        load(tmp_path, text)


def test_files_that_are_none(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        Suppressions.load(tmp_path / "none")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="it is not a text file"):
        Suppressions.load(tmp_path / "binary")
