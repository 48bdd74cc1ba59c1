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
