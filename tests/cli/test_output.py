"""wse/cli/output.py: a document as JSON, and as text by a view."""

import json
from pathlib import Path

import click
import numpy as np
import pytest

from wse.cli import output
from wse.cli.output import Lines, Pairs, Table, number, text, words

DOCUMENT = {
    "cycles": 12_345,
    "seconds": 0.00123,
    "share": 0.5,
    "grid": [16, 1000],
    "names": ["a", "b"],
    "none": None,
    "nan": float("nan"),
    "regions": [{"kernel": "fc", "pes": 1234}, {"kernel": "head", "pes": 5, "note": "small"}],
}


@pytest.mark.parametrize(
    ("template", "line"),
    [
        ("{cycles:,} cycles", "12,345 cycles"),
        ("{seconds:si s}", "1.23 ms"),
        ("{share:share}", "50.0 %"),
        ("{grid:x}", "16 x 1,000"),
        ("{names:list}", "a, b"),
        ("{none}", None),
        ("{nan:.1f}", None),
        ("{missing}", None),
        ("{cycles[x]}", None),
        (lambda document: f"{document['cycles'] + 1}", "12346"),
        ("no figure", "no figure"),
    ],
)
def test_format_strings(template, line):
    assert words(template, DOCUMENT) == line


def test_escaped_text_is_itself():
    assert words(output.escaped("{cycles} {}"), DOCUMENT) == "{cycles} {}"


def test_lines_and_pairs_leave_out_what_is_not_there():
    assert Lines(["{cycles}", "{none}"]).lines(DOCUMENT) == ["12345"]
    pairs = Pairs([("cycles", "{cycles}"), ("no", "{none}"), ("x", "{share}")], lambda document: ["above"])
    assert pairs.lines(DOCUMENT) == ["above", "cycles  12345", "x       0.5"]


def test_tables():
    table = Table(
        "regions",
        [text("kernel", "{kernel}"), number("PEs", "{pes:,}"), number("of", "{cycles}")],
        title="regions of {grid:x}",
        notes=["{none}", "a note"],
        under="{note}",
    )
    lines = [click.unstyle(line) for line in table.lines(DOCUMENT)]
    assert lines == [
        "regions of 16 x 1,000",
        "kernel    PEs     of",
        "fc      1,234  12345",
        "head        5  12345",
        "    small",
        "a note",
    ]
    assert Table("none", [text("kernel", "{kernel}")]).lines(DOCUMENT) == []


def test_show(capsys):
    view = [Lines(["{cycles}"]), Lines(["{none}"]), Lines(["{more}"])]
    output.show(DOCUMENT, view, False, more="for the view alone")
    assert capsys.readouterr().out == "12345\n\nfor the view alone\n"
    output.show(DOCUMENT, view, True, more="for the view alone")
    printed = json.loads(capsys.readouterr().out)
    assert printed == DOCUMENT | {"nan": None}


def test_plain_values():
    value = {1: np.float32(0.5), "a": np.arange(2), "p": Path("x"), "t": (1, float("inf")), "b": np.bool_(True)}
    assert output.plain(value) == {"1": 0.5, "a": [0, 1], "p": "x", "t": [1, None], "b": True}


# --- tables in a terminal ---------------------------------------------------------------------------------------------

HEAD = ["name", "tokens to hide it: forward", "effect"]
ROWS = [["nop", "1,234", "nothing at all"], ["done", "5", "ends the task, and the PE takes the next that is activated"]]


@pytest.mark.parametrize("width", [200, 96, 60, 44, 38])
def test_tables_fit_the_terminal(width, monkeypatch):
    monkeypatch.setattr(output, "terminal_width", lambda: width)
    lines = [click.unstyle(line) for line in output.table_lines(HEAD, ROWS, [1], ["a line below " * 9, None])]
    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    for cell in ("nop", "1,234", "5"):
        assert cell in text
    words = set(text.split())
    assert set(" ".join([*HEAD, *ROWS[0], *ROWS[1]]).split()) <= words
    (row,) = (line for line in lines if line.startswith("nop"))
    assert "1,234" in row, "numbers stay in the row of their name"


def test_tables_that_go_elsewhere_are_not_broken(monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    lines = output.table_lines(HEAD, ROWS, [1])
    assert len(lines) == 3 and len(lines[2]) > 80
    assert len(output.pair_lines([("effect", ROWS[1][2] * 3)])) == 1


def test_a_table_that_fits_is_as_it_goes_elsewhere(monkeypatch):
    plain = output.table_lines(HEAD, ROWS, [1])
    monkeypatch.setattr(output, "terminal_width", lambda: max(len(click.unstyle(line)) for line in plain))
    assert output.table_lines(HEAD, ROWS, [1]) == plain


def test_a_terminal_that_is_too_narrow_keeps_words_and_numbers(monkeypatch):
    monkeypatch.setattr(output, "terminal_width", lambda: 5)
    lines = [click.unstyle(line) for line in output.table_lines(HEAD, ROWS, [1])]
    assert any("1,234" in line for line in lines) and any("activated" in line for line in lines)


def test_pairs_are_broken_at_the_edge(monkeypatch):
    monkeypatch.setattr(output, "terminal_width", lambda: 40)
    lines = output.pair_lines([("cycles", "1,234"), ("PE-cycles", "busy: vector 97.4 %, stall: start 0.6 %, idle 2 %")])
    assert lines[0] == "cycles     1,234" and max(map(len, lines)) <= 40
    assert lines[1].startswith("PE-cycles  busy") and lines[2].startswith(" " * 11) and lines[2].strip()
