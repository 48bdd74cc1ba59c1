"""The tables as text, and that those in the documents are what a run gives now.

Covers: wse/validation/blocks.py
"""

import re
from pathlib import Path

import pytest
from says import says

from wse import ConfigError
from wse.machine.parameters import PARAMETERS
from wse.validation import Compared, Point, document
from wse.validation.blocks import Blocks
from wse.validation.models import Modelled
from wse.validation.sensitivity import Determined, Side, Slope

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
ACCURACY, MACHINE = DOCS / "accuracy.md", DOCS / "machine.md"
POINT = Point("a|b", "wse3", "silicon", "copy", "elements per cycle", 4.82, 3.0, "me")


@pytest.mark.parametrize(
    ("value", "words"),
    [(7218.0, "7,218"), (4.82, "4.82"), (1.1247863, "1.125"), (1170.3, "1,170.3"), (12345.6, "12,346")],
)
def test_figures(value, words):
    assert document.figure(value) == words


@pytest.mark.parametrize(
    ("pct", "words"), [(0.0, "0.00"), (-0.001, "0.00"), (0.004, "0.00"), (5.263, "+5.26"), (-4.4, "-4.40")]
)
def test_signed(pct, words):
    assert document.signed(pct) == words


def test_points_as_markdown():
    table = document.points([Compared(POINT, 5.0)])
    assert table.markdown().splitlines() == [
        "| point | machine | configuration | published | emulated | error % | tolerance % | ok | source |",
        "| --- | --- | --- | --: | --: | --: | --: | --- | --- |",
        "| a\\|b | WSE-3 silicon | copy: elements per cycle | 4.82 | 5 | +3.73 | 3 | NO | me |",
    ]


def test_long_configurations_are_cut_for_a_terminal():
    assert document.point_row(Compared(POINT, 5.0), 14)[2] == "copy: ..."


def test_in_words():
    assert document.in_words([Compared(POINT, 4.82), Compared(POINT, 5.302)]) == (
        "1 of 2 points within their tolerance; absolute error: median 5.00 %, 90th percentile 9.00 %, worst 10.00 %"
    )


def determined(low, high, low_limit=0, high_limit=18):
    parameter = next(row for row in PARAMETERS if row.name == "op_start_cycles")
    sides = Side(4, low_limit), Side(4, high_limit)
    for side, end in zip(sides, (low, high), strict=True):
        if end is not None:
            side.ends[POINT] = end
    return Determined("wse3", parameter, 4, *sides)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(4, 4, "4"), (3, 5, "3 to 5"), (2, None, "2 or more"), (None, 9, "up to 9"), (None, None, "any")],
)
def test_span(low, high, words):
    row = determined(low, high)
    assert document.span(row, row.allowed) == words


def test_leave_one_out_names_what_no_point_narrows():
    table, lines = document.leave_one_out([determined(3, 5), determined(None, None)])
    assert table.rows == [("WSE-3", "op_start_cycles", "4", "SIM", "3 to 5", "a|b", "a|b: any")]
    assert lines == ["WSE-3: no point narrows op_start_cycles"]


def test_slopes_are_ordered_by_size():
    rows = [Slope(POINT, "hop_cycles", 2, 1, 1.0, None), Slope(POINT, "ramp_in_cycles", 3, 1, -2.0, 3.0)]
    assert document.slopes(rows).rows == [
        ("ramp_in_cycles", "1", "+3.00", "+3.00", "a|b (WSE-3 silicon)"),
        ("hop_cycles", "1", "+1.00", "+1.00", "a|b (WSE-3 silicon)"),
    ]


def test_models():
    rows = [
        Modelled("chain", 4, False, 1, 80, 19, 61, 75.0, 4.0),
        Modelled("chain", 512, False, 64, 3391, 3130, 61, 3186.0, 4.0),
        Modelled("grid", 4, True, 64, 100, 100, 0, None, None),
    ]
    assert document.models(rows).rows == [
        ("chain", "4", "0.0", ""),
        ("chain", "512", "", "+6.4"),
        ("grid", "4 x 4", "", "0.0"),
    ]
    assert document.models_in_words(rows) == [
        "chain: 1 of 2 sizes within 5 %, start-up 61 cycles; worst +6.39 % at 512 PEs, B=64; against the authors' simulator "
        "runs at 512 PEs, as a fit: within 6.4 %; those beyond are off by 200 to 200 cycles",
        "grid: 1 of 1 sizes within 5 %, start-up 0 cycles; worst 0.00 % at 4 PEs, B=64",
    ]


# --- documents -------------------------------------------------------------------------------------------------------

TEXT = "before\n<!-- one -->\n<!-- /one -->\nbetween\n<!-- two -->\nold\n\nold\n<!-- /two -->\nafter\n"


def test_blocks_are_replaced_and_the_rest_is_left():
    assert document.names(TEXT) == ["one", "two"]
    once = document.splice(TEXT, {"one": "1\n\\1", "three": "3"})
    assert once == TEXT.replace("<!-- one -->\n", "<!-- one -->\n1\n\\1\n")
    assert document.splice(once, {"one": "1\n\\1"}) == once
    assert document.block(once, "one") == "1\n\\1" and document.block(TEXT, "two") == "old\n\nold"
    with says(ConfigError, "the document has no block <!-- three --> to <!-- /three -->"):
        document.block(TEXT, "three")


def test_a_document_without_blocks(tmp_path):
    path = tmp_path / "x.md"
    path.write_text("nothing\n")
    known = "accuracy, points, further, parameters, leave-one-out, slopes, models"
    with says(
        ConfigError, f"{path} has no block to renew, such as <!-- points --> to <!-- /points -->: known are {known}"
    ):
        Blocks().renew(path)


def test_renew_makes_the_blocks_that_are_there(tmp_path):
    path = tmp_path / "x.md"
    path.write_text("a\n<!-- parameters -->\n<!-- /parameters -->\n<!-- mine -->\nkept\n<!-- /mine -->\n")
    assert Blocks().renew(path) == ["parameters"]
    text = path.read_text()
    assert document.block(text, "parameters") == document.parameters().markdown() and "kept" in text


RENEW = "it is out of date: run `wse validate --write-docs docs/accuracy.md`"


@pytest.fixture(scope="module")
def fresh():
    return Blocks()


@pytest.mark.parametrize("name", ["points", "further", "accuracy", "parameters"])
def test_accuracy_md_is_current(fresh, name):
    assert document.block(ACCURACY.read_text(), name) == fresh.makers[name](), RENEW


def test_accuracy_md_has_every_block_and_the_figures_of_the_slow_ones_are_current():
    text = ACCURACY.read_text()
    assert sorted(document.names(text)) == sorted(Blocks(sources=Path(".")).makers)
    values = {(document.NAMES[c], row.name): f"{getattr(row, c):,}" for row in PARAMETERS for c in document.NAMES}
    rows = re.findall(r"^\| (WSE[^|]*) \| (\w+) \| ([\d,]+) \|", document.block(text, "leave-one-out"), re.MULTILINE)
    assert len(rows) > 20
    for machine, name, value in rows:
        assert values[machine, name] == value, RENEW


# --- docs/machine.md -------------------------------------------------------------------------------------------------


def test_machine_md_names_rows_of_the_table_only():
    known = {row.name for row in PARAMETERS} | {"wse2", "wse3", "silicon", "source", "_milli", "iqN_depth", "oqN_depth"}
    quoted = re.findall(r"`([a-zA-Z0-9_]+)`", MACHINE.read_text())
    assert len(quoted) > 30 and set(quoted) <= known


def test_every_source_is_spelled_out():
    keys = re.findall(r"^\| ([^|]+) \|", MACHINE.read_text().split("## Sources")[1], re.MULTILINE)[1:]
    assert len(keys) > 8
    for row in PARAMETERS:
        if row.confidence == "ASM" or row.source == "same":
            continue
        assert any(key in row.source for key in keys), f"{row.name}: {row.source}"


def test_the_silicon_profile_is_as_machine_md_says():
    derates = {row.name for row in PARAMETERS if row.silicon != row.wse3}
    sentence = re.search(r"The silicon profile changes ([^.]+), nothing else", MACHINE.read_text())
    assert sentence and derates == set(re.findall(r"`(\w+)`", sentence[1]))
