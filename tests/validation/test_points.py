"""Published points: every one within its tolerance and exactly as before; tables of points, good and bad.

Covers: wse/validation/programs.py
"""

import contextlib
import csv
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from says import says

from wse import ConfigError
from wse.validation import FURTHER, TABLE, Compared, Point, compare, read, select, summary, within
from wse.validation.points import COLUMNS

# What the emulator gives, exactly: a change of the machine's timing has to say so here.
FIGURES = {
    ("wse2", "chain-512-4096"): 7227,
    ("wse2", "chain-512-64"): 3195,
    ("wse2", "two-phase-512-4096-s2"): 10054,
    ("wse2", "two-phase-512-4096-s8"): 9118,
    ("wse2", "two-phase-512-4096-s32"): 8974,
    ("wse2", "two-phase-512-4096-s128"): 9298,
    ("wse2", "two-phase-512-64-s4"): 1358,
    ("wse2", "two-phase-512-64-s16"): 926,
    ("wse2", "two-phase-512-64-s64"): 998,
    ("wse2", "two-phase-512-64-s256"): 1920,
    ("wse2", "two-phase-512-2048-s32"): 4878,
    ("wse2", "matvec-1pe-20"): 4570,
    ("wse2", "matvec-1pe-40"): 16770,
    ("wse2", "matvec-1pe-60"): 36970,
    ("wse2", "matvec-1pe-80"): 65170,
    ("wse2", "matvec-1pe-100"): 101370,
    ("wse2", "dsd-f32-5124-clean"): 5130,
    ("wse2", "dsd-f32-5124-conflict"): 10254,
    ("wse2", "dsd-f32-1028-clean"): 1034,
    ("wse3", "dsd-f16-add-8"): 8,
    ("wse3", "dsd-f16-add-16"): 10,
    ("wse3", "dsd-f16-add-64"): 22,
    ("wse3", "fma16-4096-one"): 1044,
    ("wse3", "fma16-4096-while"): 4619,
    ("wse3", "fma16-4096-map"): 2834,
    ("wse3", "add16-and-scalar"): 1030,
    ("wse3", "message-8-send-to-link"): 7,
    ("wse3", "message-8-receive-done"): 20,
    ("wse3", "relay-4-512"): 2120,
    ("wse2", "hop"): 1,
    ("silicon", "hop"): 2,
    ("silicon", "stream"): 1.1247863247863248,
    ("silicon", "copy-f16"): 4.822605965463108,
    ("silicon", "fma-f16"): 2.920152091254753,
    ("wse2", "summa-4x4-14"): 43769,
    ("wse2", "two-phase-512-4096-s4"): 9422,
    ("wse2", "two-phase-512-4096-s16"): 8990,
    ("wse2", "two-phase-512-4096-s64"): 9062,
    ("wse2", "two-phase-512-4096-s256"): 9791,
    ("wse2", "two-phase-512-64-s2"): 1990,
    ("wse2", "two-phase-512-64-s8"): 1054,
    ("wse2", "two-phase-512-64-s32"): 910,
    ("wse2", "two-phase-512-64-s128"): 1290,
    ("wse2", "matvec-1pe-10"): 1670,
    ("wse2", "matvec-1pe-30"): 10270,
    ("wse2", "matvec-1pe-50"): 26870,
    ("wse2", "matvec-1pe-70"): 51470,
    ("wse2", "matvec-1pe-90"): 84070,
    ("wse2", "matvec-1pe-25"): 780,
    ("wse3", "matvec-1pe-25"): 781,
    ("wse2", "dsd-f32-1028-conflict"): 2062,
    ("wse3", "add16-2048"): 519,
    ("wse3", "scalar-chain-256"): 512,
    ("wse3", "copy-f16"): 8,
    ("wse3", "copy-f32"): 4,
    ("wse3", "fma-f16"): 4,
    ("wse3", "fma-f32-conflict"): 0.5,
    ("silicon", "copy-f32"): 2.409411764705882,
    ("silicon", "fma-f32-conflict"): 0.5,
    ("wse3", "hop"): 2,
    ("wse3", "relay-8-128"): 1164,
    ("wse3", "relay-16-64"): 1300,
}

ALL = [*read(TABLE), *read(FURTHER)]
EASY = [point for point in ALL if "-4096-" not in point.id and "512-2048" not in point.id]


def name(point: Point) -> str:
    return f"{point.column}-{point.id}"


@pytest.mark.parametrize("point", ALL, ids=name)
def test_point_is_within_its_tolerance_and_as_before(point):
    figure = point.emulate()
    assert within(point, figure)
    assert figure == pytest.approx(FIGURES[point.column, point.id], rel=1e-12, abs=0)


def test_every_figure_is_of_a_point():
    assert set(FIGURES) == {(point.column, point.id) for point in ALL}


def test_no_point_of_the_two_tables_is_the_same():
    assert len({(p.column, p.id) for p in ALL}) == len(ALL)


@pytest.mark.parametrize(
    "point", [p for p in EASY if p.id.split("-")[0] in ("chain", "two", "relay", "message")], ids=name
)
def test_threads_do_not_matter(point):
    assert point.emulate(threads=2) == point.emulate(threads=1)


@pytest.mark.parametrize("point", [p for p in EASY if not p.id.startswith(("chain", "two-phase", "message"))], ids=name)
def test_figures_do_not_depend_on_when_the_program_starts(point):
    """Intervals between timestamps of one PE; or rates."""
    assert point.emulate(point.machine({"task_start_cycles": 9})) == point.emulate()


@pytest.mark.parametrize("row", [("hop_cycles", "hop"), ("bank_conflict_factor", "dsd-f32-1028-conflict")])
def test_a_figure_follows_the_machine(row):
    parameter, point_id = row
    point = next(p for p in ALL if (p.column, p.id) == ("wse2", point_id))
    at = [point.emulate(point.machine({parameter: value})) for value in (1, 2, 3)]
    assert at[2] - at[1] == at[1] - at[0] > 0


# --- tables ----------------------------------------------------------------------------------------------------------

HEAD = ",".join(COLUMNS)
ROW = "hop,wse2,simulator,router to router,per hop,1,0,somebody"


def table(tmp_path, *lines, head=HEAD) -> Path:
    path = tmp_path / "points.csv"
    path.write_text("\n".join([head, *lines]))
    return path


def test_a_table_in_another_order_with_more_columns_and_blank_lines(tmp_path):
    head = "note,source,cycles,tolerance_pct,kernel,config,id,arch,target"
    path = table(tmp_path, "", 'x, me, 3, 1.5, k, "a, b", hop, wse3, silicon', ",,,,,,,,", head="\ufeff" + head)
    assert read(path) == [Point("hop", "wse3", "silicon", "k", "a, b", 3.0, 1.5, "me")]


def test_sources_of_other_rows(tmp_path):
    rows = [
        ROW,
        ROW.replace("somebody", "same"),
        "stream,wse3,silicon,k,c,1,0,her",
        ROW.replace("somebody", "same (fit)"),
    ]
    path = table(tmp_path, *rows, ROW.replace("somebody", "same as hop"), ROW.replace("somebody", "same as nothing"))
    assert [p.source for p in read(path)] == ["somebody", "somebody", "her", "her (fit)", "somebody", "same as nothing"]


def test_the_config_column_wins_over_the_id(tmp_path):
    row = "matvec-1pe-40-short,wse2,simulator,matvec,N=4 (padded to 8); 3 iterations,1,0,me"
    (point,) = read(table(tmp_path, row))
    from wse.validation.programs import matvec

    assert point.emulate() == matvec(point.machine(), 4, 8, 3) < matvec(point.machine(), 4, 8, 4)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("hop,wse2,simulator", "line 2: 3 cells, but the header has 8"),
        (ROW.replace(",1,0", ",x,0"), "line 2: cycles is 'x', but must be a number above 0"),
        (ROW.replace(",1,0", ",0,0"), "line 2: cycles is '0', but must be a number above 0"),
        (ROW.replace(",1,0", ",-1,0"), "line 2: cycles is '-1', but must be a number above 0"),
        (ROW.replace(",1,0", ",nan,0"), "line 2: cycles is 'nan', but must be a number above 0"),
        (ROW.replace(",1,0", ",1,inf"), "line 2: tolerance_pct is 'inf', but must be a number of 0 or more"),
        (ROW.replace(",1,0", ",1,"), "line 2: tolerance_pct is '', but must be a number of 0 or more"),
        (ROW.replace("wse2", "wse9"), "line 2: there is no machine 'wse9': did you mean wse3 or wse2?"),
        (
            ROW.replace("simulator", "silicon"),
            "line 2: there is no silicon profile of wse2: its derates were never measured; use simulator",
        ),
        (ROW.replace("hop,", "chain-0-64,"), "line 2: point chain-0-64 has a size of 0; sizes are 1 or more"),
        (ROW.replace("per hop", "B=0").replace("hop,", "chain-8-64,", 1), None),
    ],
)
def test_a_bad_row(tmp_path, line, message):
    path = table(tmp_path, line)
    with says(ConfigError, f"{path}, {message or 'line 2: point chain-8-64 has a size of 0; sizes are 1 or more'}"):
        read(path)


def test_an_unknown_program_names_the_known_ones(tmp_path):
    path = table(tmp_path, ROW, ROW.replace("hop,", "fft-512,", 1))
    with pytest.raises(ConfigError) as caught:
        read(path)
    words = str(caught.value)
    assert words.startswith(
        f"{path}, line 3: there is no program for point 'fft-512'; ids, with # for a number: chain-#-#,"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "{} has no points; its first line names the columns " + ", ".join(COLUMNS)),
        (HEAD, "{} has no points; its first line names the columns " + ", ".join(COLUMNS)),
        (
            "id,arch\nhop,wse2\n",
            "{}, line 1: there is no column target, kernel, config, cycles, tolerance_pct, source; "
            "the first line names the columns " + ", ".join(COLUMNS),
        ),
        (HEAD + "\n" + "x" * 140_000, "{}, line 2: field larger than field limit (131072)"),
    ],
)
def test_a_bad_table(tmp_path, text, message):
    path = tmp_path / "points.csv"
    path.write_text(text)
    with says(ConfigError, message.format(path)):
        read(path)


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "points.csv"
    path.write_bytes(HEAD.encode() + b"\n\xff")
    with says(ConfigError, f"{path} is not a table of points: byte {len(HEAD) + 1} is not UTF-8 text"):
        read(path)


@given(st.binary(max_size=400), st.booleans())
def test_whatever_the_bytes_it_is_points_or_a_config_error(data, with_head):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "points.csv"
        path.write_bytes(HEAD.encode() + b"\n" + data if with_head else data)
        with contextlib.suppress(ConfigError):
            assert all(isinstance(point, Point) for point in read(path))


@given(st.lists(st.text(max_size=12), min_size=8, max_size=8), st.integers(0, 8))
def test_whatever_the_cells_it_is_points_or_a_config_error(cells, kept):
    row = [*ROW.split(",")[:kept], *cells[kept:]]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "points.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([COLUMNS, row])
        with contextlib.suppress(ConfigError):
            (point,) = read(path)
            assert (point.id, point.arch, point.published > 0) == (row[0].strip(), row[1].strip(), True)


# --- comparing -------------------------------------------------------------------------------------------------------

POINT = Point("hop", "wse2", "simulator", "router to router", "per hop", 100.0, 5.0, "me")


@pytest.mark.parametrize(
    ("figure", "error", "ok"),
    [(100, 0, True), (95, -5, True), (105, 5, True), (94.999, -5.001, False), (105.001, 5.001, False)],
)
def test_a_tolerance_includes_its_ends(figure, error, ok):
    result = Compared(POINT, figure)
    assert (result.error_pct, result.ok) == (pytest.approx(error), ok)


def test_a_summary_is_of_absolute_errors():
    results = [Compared(POINT, figure) for figure in (100, 99, 102, 103, 110)]
    errors = [0, 1, 2, 3, 10]
    assert summary(results) == {
        "points": 5,
        "ok": 4,
        "median_pct": pytest.approx(2.0),
        "p90_pct": pytest.approx(np.quantile(errors, 0.9)),
        "worst_pct": pytest.approx(10.0),
    }
    assert summary([]) == {"points": 0, "ok": 0, "median_pct": 0.0, "p90_pct": 0.0, "worst_pct": 0.0}


def test_units_and_times():
    units = {p.id: p.unit for p in ALL if p.column == "silicon"}
    assert (
        units["hop"] == "cycles/hop" and units["stream"] == "cycles/wavelet" and units["copy-f16"] == "elements/cycle"
    )
    rate = next(p for p in ALL if p.id == "copy-f16")
    assert rate.time(4.0) == 0.25 and POINT.time(4.0) == 4.0


def test_select():
    assert {p.column for p in select(ALL, "hop")} == {"wse2", "wse3", "silicon"}
    assert [p.column for p in select(ALL, "silicon/hop")] == ["silicon"]
    assert {p.kernel for p in select(ALL, "two-*")} == {"two-phase reduce"}
    with says(ConfigError, "no point matches 'hap': there are hop, stream"):
        select([p for p in ALL if p.id in ("hop", "stream")], "hap")


def test_a_point_that_cannot_run_says_which_it_is():
    point = Point("relay-4-30000", "wse3", "simulator", "relay", "", 1.0, 1.0, "me")
    with pytest.raises(ConfigError.__mro__[1]) as caught:  # WseError: a MemoryOverflow
        list(compare([point]))
    assert str(caught.value).startswith("point relay-4-30000: ")


def test_progress_is_reported():
    said = []
    list(compare([p for p in ALL if p.id == "hop"], report=said.append))
    assert said == ["1/3 hop", "2/3 hop", "3/3 hop"]


def test_overrides_reach_every_point():
    (result,) = compare([p for p in ALL if (p.column, p.id) == ("silicon", "hop")], overrides={"hop_cycles": 5})
    assert result.emulated == 5
