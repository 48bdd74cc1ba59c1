"""wse validate: tables, JSON, pictures, what is refused, exit status."""

import json

import pytest
from shell import sh

from wse.validation import TABLE, blocks, models
from wse.validation.points import COLUMNS

QUICK = "dsd-*"


def test_the_table_and_its_summary():
    result = sh("validate", "--only", "dsd-f32*")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0].split() == [
        *("point", "machine", "configuration", "published", "emulated", "error", "%", "tolerance", "%", "ok", "source")
    ]
    assert lines[1].startswith("dsd-f32-5124-clean     WSE-2    one 3-operand f32 DSD op between two timestamps: ...  ")
    assert lines[1].split()[-8:] == ["5,130", "5,130", "0.00", "1", "yes", "public", "simulator", "CSV"]
    assert lines[-1] == (
        "3 of 3 points within their tolerance; absolute error: median 0.00 %, 90th percentile 0.00 %, worst 0.00 %"
    )


def test_json_is_as_documented():
    result = sh("validate", "--only", QUICK, "--json")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert list(document) == ["points", "summary"]
    assert document["points"][0] == {
        "id": "dsd-f32-5124-clean",
        "arch": "wse2",
        "target": "simulator",
        "published": 5130.0,
        "emulated": 5130.0,
        "error_pct": 0.0,
        "tolerance_pct": 1.0,
        "ok": True,
    }
    assert document["summary"] == {"points": 6, "ok": 6, "median_pct": 0.0, "p90_pct": 0.0, "worst_pct": 0.0}


@pytest.mark.parametrize("more", [[], ["--json"], ["--markdown"]])
def test_threads_and_time_do_not_show(more):
    only = ["--only", "[mrt]*-512-64*", *more]
    one = sh("validate", *only)
    assert (one.exit_code, one.stdout) == (0, sh("validate", *only, "--threads", "2").stdout)
    assert "two-phase-512-64-s16" in one.stdout


def test_a_point_that_misses_is_status_1():
    result = sh("validate", "--only", "wse2/hop", "--set", "hop_cycles=2")
    assert result.exit_code == 1
    assert "+100.00            0  NO " in result.stdout and "0 of 1 points within" in result.stdout


def test_further_points_and_other_tables(tmp_path):
    assert "copy-f32" in sh("validate", "--further", "--only", "silicon/*").stdout
    path = tmp_path / "mine.csv"
    path.write_text(",".join(COLUMNS) + "\nhop,wse3,simulator,hops,per hop,3,10,me\n")
    result = sh("validate", "--points", path)
    assert result.exit_code == 1 and "-33.33" in result.stdout


def test_markdown():
    lines = sh("validate", "--only", "hop", "--markdown").stdout.splitlines()
    assert lines[1] == "| --- | --- | --- | --: | --: | --: | --: | --- | --- |"
    assert lines[2].startswith("| hop | WSE-2 | router to router: per hop | 1 | 1 | 0.00 | 0 | yes | ")


@pytest.mark.parametrize("name", ["p.png", "p.svg", "p.pdf"])
def test_a_picture_of_the_points(tmp_path, name):
    path = tmp_path / name
    assert sh("validate", "--only", "*f16*", "--plot", path).exit_code == 0
    assert path.stat().st_size > 5000


def test_a_picture_without_a_point_in_cycles(tmp_path):
    path = tmp_path / "p.svg"
    assert sh("validate", "--only", "silicon/hop", "--plot", path).exit_code == 0
    assert path.stat().st_size > 5000


def test_sensitivity_draws_and_prints(tmp_path):
    path = tmp_path / "s.svg"
    result = sh("validate", "--only", "[hc]op*", "--sensitivity", path)
    assert result.exit_code == 0 and path.stat().st_size > 5000
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["parameter", "sram_write_milli", "hop_cycles"]
    assert lines[-1].startswith("%: change of a point's time for 10 % more of the parameter")


def test_sensitivity_as_json(tmp_path):
    result = sh("validate", "--only", "silicon/hop", "--sensitivity", tmp_path / "s.png", "--json")
    assert json.loads(result.stdout) == {
        "sensitivity": [
            {"id": "hop", "arch": "wse3", "target": "silicon", "parameter": "hop_cycles", "value": 2, "step": 1}
            | {"up_pct": 10.0, "down_pct": 10.0}
        ]
    }


def test_leave_one_out():
    result = sh("validate", "--only", "silicon/*", "--leave-one-out", "--json")
    rows = {row["parameter"]: row for row in json.loads(result.stdout)["leave_one_out"]}
    assert rows["hop_cycles"] | {"searched": 0} == {
        "machine": "silicon",
        "parameter": "hop_cycles",
        "value": 2,
        "allowed": [2, 2],
        "searched": 0,
        "without": {"hop": [1, 3]},
    }
    text = sh("validate", "--only", "silicon/*", "--leave-one-out").stdout
    assert "hop: up to 3" in text and "WSE-3 silicon: no point narrows bank_conflict_factor, " in text


def test_models(tmp_path, monkeypatch):
    monkeypatch.setattr(models, "PES", (4,))
    monkeypatch.setattr(models, "SIDES", (4,))
    monkeypatch.setattr(models, "LENGTHS", (1, 16))
    path = tmp_path / "m.svg"
    result = sh("validate", "--models", "--plot", path)
    assert result.exit_code == 0 and path.stat().st_size > 5000
    assert "chain: 2 of 2 sizes within 5 %, start-up " in result.stdout
    document = json.loads(sh("validate", "--models", "--json").stdout)
    assert document["models"][2] | {"emulated": 0, "startup": 0, "whole_error_pct": 0, "published_error_pct": 0} == {
        "name": "chain",
        "grid": [4, 1],
        "length": 1,
        "emulated": 0,
        "model": 19,
        "startup": 0,
        "error_pct": 0.0,
        "whole_error_pct": 0,
        "published_error_pct": 0,
    }


def test_write_docs(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "TABLE", FEW := tmp_path / "few.csv")
    FEW.write_text(
        "\n".join(line for line in TABLE.read_text().splitlines() if line.startswith(("id,", "hop,", "chain-512-64,")))
    )
    path = tmp_path / "x.md"
    path.write_text("# X\n<!-- points -->\n<!-- /points -->\n")
    result = sh("validate", "--write-docs", path)
    assert (result.exit_code, result.stdout) == (0, f"{path}: points\n")
    assert "| hop | WSE-3 silicon |" in path.read_text() and "3 of 3 points within" in path.read_text()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--only", "nothing"], "no point matches 'nothing': there are chain-512-4096, "),
        (["--points", "no.csv"], "no.csv: No such file or directory"),
        (["--points", "."], ".: Is a directory"),
        (["--further", "--points", "x.csv"], "--further and --points exclude each other: both name the table"),
        (["--plot", "x.gif"], "cannot tell the picture's format from 'x.gif': the name must end in .png, .svg, .pdf"),
        (["--plot", "no/x.png"], "'no/x.png' cannot be written: there is no folder 'no'"),
        (["--sensitivity", "x"], "cannot tell the picture's format from 'x': the name must end in .png, .svg, .pdf"),
        (["--leave-one-out", "--plot", "x.png"], "--plot draws the points or --models, not --leave-one-out"),
        (
            ["--models", "--set", "hop_cycles=2"],
            "--set is for the points: the other tables change the parameters themselves",
        ),
        (
            ["--set", "hop_cycle=2"],
            "point chain-512-4096: machine wse2 has no parameter 'hop_cycle': did you mean hop_cycles",
        ),
        (["--set", "hop_cycles=99"], "point chain-512-4096: parameter hop_cycles is 1 to 7 cycles, not 99"),
        (["--threads", "0"], "Invalid value for '--threads'"),
        (["--write-docs", "no.md"], "no.md: No such file or directory"),
    ],
)
def test_bad_input_is_one_line_and_status_2(words, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = sh("validate", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ") and line in result.stderr
    assert result.stderr.count("\n") == 1
