"""wse bench on a few PEs: what it prints, that it verifies, and the tables it puts into documents.  No speed is asserted.

Covers: wse/bench/cases.py, wse/bench/document.py, wse/bench/meter.py, wse/bench/programs.py, wse/bench/runner.py
"""

import json

import numpy as np
import pytest
from shell import sh

import wse
from wse.bench import CASES, Job, cases, document, measure
from wse.bench.meter import Meter, peak_bytes, resident_bytes
from wse.bench.programs import COLUMN, ROW, Scalar, Streams, Tasks, WrongResult, every, pages
from wse.bench.runner import figures

KEYS = {
    *("case", "threads", "pe_cycles_per_second", "hops_per_second", "instructions_per_second", "fma_per_second"),
    *("bytes_per_pe", "wall_seconds", "peak_rss_bytes"),
}
MACHINE = wse.Machine("wse3")


def bench(*words):
    return sh("bench", "--grid", "12x9", "--seconds", "0", *words)


def small(case: str) -> dict:
    """A case's figures, measured in this process."""
    job, meter = Job(case, 1, 0, (2, 2) if case.startswith("gemm") else (12, 9)), Meter()
    CASES[case].run(job, meter)
    return figures(job, meter)


@pytest.fixture(scope="module")
def printed():
    done = bench("--only", "[ds]*-wafer", "--threads", "1,2", "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_json(printed):
    assert printed.keys() == {"machine", "command", "cases"}
    assert {"cpu", "cores", "memory_bytes", "wse"} <= printed["machine"].keys()
    ran = [(case["case"], case["threads"]) for case in printed["cases"]]
    assert ran == [("dense-wafer", 1), ("dense-wafer", 2), ("sparse-wafer", 1), ("sparse-wafer", 2)]
    for case in printed["cases"]:
        assert case.keys() >= KEYS and case["verified"] and case["grid"] == [12, 9]
        assert case["bytes_per_pe"] is None  # of so few, not measurable
        assert case["pe_cycles_per_second"] > 0 and case["hops_per_second"] > 0 and case["fma_per_second"] is None
        assert case["wall_seconds"] > 0 and case["peak_rss_bytes"] > 10e6
    assert printed["cases"][0]["cycles"] == printed["cases"][1]["cycles"]


@pytest.mark.parametrize("name", CASES)
def test_every_case(name):
    case = small(name)
    assert case.keys() >= KEYS
    rates = {"load-wafer": set(), "gemm-f16": {"fma_per_second"}, "gemm-f32": {"fma_per_second"}}
    for rate in rates.get(name, {"pe_cycles_per_second"}):
        assert case[rate] > 0
    kinds = {"load": "build_seconds", "gemm": "fma_per_second", "scalar": "instructions_per_second"}
    assert case[kinds.get(name.partition("-")[0], "hops_per_second")] > 0


def test_text(printed, tmp_path):
    saved = tmp_path / "bench.json"
    saved.write_text(json.dumps(printed))
    lines = sh("bench", "--from", saved).stdout.splitlines()
    assert printed["machine"]["cpu"] in lines[0]
    assert lines[2].split()[:2] == ["case", "threads"]
    assert [line.split()[:2] for line in lines[3:7]] == [[c["case"], str(c["threads"])] for c in printed["cases"]]
    assert len(lines) == 7  # no target is for this grid
    assert "sparse-wafer" not in sh("bench", "--from", saved, "--only", "dense-*").stdout


def test_documents(printed, tmp_path):
    saved, text = tmp_path / "bench.json", tmp_path / "page.md"
    saved.write_text(json.dumps(printed))
    text.write_text(
        "before\n<!-- cases -->\nold\n<!-- /cases -->\n<!-- speed -->\n<!-- /speed -->\n<!-- other -->\nkept\n<!-- /other -->\n"
    )
    done = sh("bench", "--from", saved, "--write-docs", text)
    assert (done.exit_code, done.stdout) == (0, f"{text}: cases, speed\n")
    made = text.read_text()
    assert "old" not in made and "kept" in made and made.startswith("before\n")
    assert made.count("| dense-wafer |") == 3 and "| dense-wafer | 12 x 9 |" in made
    again = sh("bench", "--from", saved, "--write-docs", text)
    assert again.exit_code == 0 and text.read_text() == made


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--only", "x*"], "no case matches 'x*': they are dense-64, dense-256, "),
        (["--threads", "1,a"], "'1,a' is no list of numbers of threads, each an integer from 1 to"),
        (["--threads", "0"], "'0' is no list of numbers of threads"),
        (["--from", "{tmp}/none.json"], "none.json: No such file or directory"),
        (["--from", "{tmp}/bad.json"], "bad.json is not what wse bench --json prints: it has no cases"),
        (["--write-docs", "{tmp}/bad.json"], "has no block to write: blocks are machine, cases, "),
    ],
)
def test_bad_input(words, line, tmp_path):
    (tmp_path / "bad.json").write_text("{}")
    done = sh("bench", *(word.format(tmp=tmp_path) for word in words))
    assert done.exit_code == 2 and done.stderr.startswith("error: ") and line in done.stderr


def test_list():
    lines = sh("bench", "--list", "--only", "gemm*").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["case", "gemm-f16", "gemm-f32", "gemm-wafer"]


# --- a wrong machine is noticed ---------------------------------------------------------------------------------------


def streams(finish=True):
    rows, columns = every(9, 3), every(12, 5)
    loaded = Streams.load(Streams.program(12, 9, MACHINE, rows, columns, 50), rows, columns, 50)
    return loaded, loaded.fabric.run(None if finish else 40, on_deadlock="return")


def test_streams_are_checked_to_the_end():
    loaded, run = streams()
    assert run.ended == "done"
    assert loaded.check(run) == 50 * (3 * 12 + 2 * 9)
    loaded.fabric.write("row_word", np.full((1, 1, 1), loaded.words(ROW, 1)[48]), 11, 1)
    with pytest.raises(WrongResult, match="wavelets were lost or duplicated on a link"):
        loaded.check(run)


def test_streams_are_checked_under_way():
    loaded, run = streams(finish=False)
    assert run.ended == "limit" and 0 < loaded.check(run) < 50 * (3 * 12 + 2 * 9)
    loaded.fabric.write("column_word", np.full((1, 1, 1), loaded.words(COLUMN, 2)[44]), 2, 8)
    with pytest.raises(WrongResult, match="a PE received more than its neighbor forwarded"):
        loaded.check(run)


@pytest.mark.parametrize(
    ("make", "array", "message"),
    [
        (
            lambda: Scalar.load(Scalar.program(3, 2, MACHINE, 20), 20),
            "total",
            "the scalar loop left another total than NumPy's",
        ),
        (lambda: Tasks.load(Tasks.program(3, 2, MACHINE), 20), "total", "tasks: a PE's sum is wrong"),
    ],
)
def test_programs_are_checked(make, array, message):
    loaded = make()
    run = loaded.run() if isinstance(loaded, Scalar) else loaded.fabric.run()
    loaded.check(run)
    loaded.fabric.write(array, loaded.fabric.read(array)[1:, 2:] + 1, 2, 1)
    with pytest.raises(WrongResult, match=message):
        loaded.check(run)


def test_a_failing_case_is_told_and_the_status_is_1(monkeypatch):
    monkeypatch.setattr("wse.cli.bench.measure", lambda job, tell: measure(Job(job.case, job.threads, 0, (100_000, 1))))
    done = sh("bench", "--only", "scalar", "--threads", "1", "--json")
    assert done.exit_code == 1 and json.loads(done.stdout)["cases"] == []
    assert done.stderr.startswith("error: case scalar, 1 threads: a program for wse3 has 1 x 1 to ")


def test_a_product_must_be_its_reference(monkeypatch):
    monkeypatch.setattr(cases.gemm, "product", lambda fabric, tiling: np.zeros((tiling.M, tiling.N), np.float32))
    with pytest.raises(WrongResult, match="the product differs from its reference"):
        small("gemm-wafer")


# --- figures ----------------------------------------------------------------------------------------------------------


def test_pages():
    p = wse.Program(3, 2, MACHINE)
    a, b = p.pe_class("a"), p.pe_class("b")
    a.array("x", 1, "u32", init=7)
    a.array("y", 3000, "u32")
    b.array("y", 10, "u32")
    p.place(a, x=slice(0, 2))
    p.place(b, x=2)
    p.check(streams=None)
    assert pages(p) == 4  # of the one that has initial values
    assert pages(p, ("y",)) == 4 * 3 + 2


def test_memory_of_this_process():
    before = resident_bytes()
    block = np.ones(50_000_000, np.uint8)
    assert 49e6 < resident_bytes() - before < 60e6 and peak_bytes() >= resident_bytes() - 1e6
    del block


def case(name, threads, **figures):
    return {"case": name, "threads": threads, "grid": list(Job(name).size), "fma_per_second": None} | figures


def test_targets():
    found = [
        case("dense-wafer", 1, pe_cycles_per_second=1e6, hops_per_second=100e6),
        case("dense-wafer", 2, pe_cycles_per_second=2e6, hops_per_second=300e6),
        case("sparse-wafer", 1, pe_cycles_per_second=50e6, hops_per_second=1e6),
        case("load-wafer", 1, build_seconds=1.5, load_seconds=20.0, bytes_per_pe=100.4),
    ]
    head, rows, right = document.targets(found)
    assert rows == [
        ("dense streams whole wafer, wavelet-hops/s", "120 M", "100 M", "no", "210 M", "300 M", "yes"),
        (
            "sparse traffic whole wafer, time per cycle against dense",
            "at most 3 %",
            "2 %",
            "yes",
            "at most 3 %",
            "",
            "",
        ),
        ("whole-wafer program, build and load", "at most 20 s", "22 s", "no", "", "", ""),
        ("idle bytes per PE beyond the SRAM it touches", "at most 2,048", "100", "yes", "", "", ""),
    ]
    found[0]["grid"] = [10, 10]  # another machine's size says nothing about the wafer
    first, *rest = document.targets(found)[1]
    assert (first[2], first[5]) == ("", "300 M") and len(rest) == 2


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (0, ""), (7.0, "7"), (999.7, "1 k"), (1234, "1.23 k"), (123_456_789, "123 M"), (1.5e9, "1.5 G")],
)
def test_si(value, text):
    assert document.si(value) == text
