"""wse bench on a few PEs: what it prints, that it verifies, and the tables it puts into documents.  No speed is asserted.

Covers: wse/bench/cases.py, wse/bench/compare.py, wse/bench/document.py, wse/bench/meter.py, wse/bench/programs.py, wse/bench/runner.py
"""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pytest
from documents import PACKAGES
from shell import sh

import wse
from wse.bench import CASES, Job, cases, compare, document, measure
from wse.bench.meter import RATES, Counts, Meter
from wse.bench.programs import COLUMN, ROW, Branches, Scalar, Short, Streams, Tasks, WrongResult, every, pages
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
    grid = {"gemm": (2, 2), "tiles": (2, 2), "train": (4, 8)}.get(case.partition("-")[0], (12, 9))
    job, meter = Job(case, 1, 0, grid), Meter()
    CASES[case].run(job, meter)
    return figures(job, meter)


@pytest.fixture(scope="module")
def printed():
    done = bench("--only", "[ds]*-wafer", "--threads", "1,2", "--json")
    assert done.exit_code == 0
    lines = done.stderr.splitlines()  # one for each that has ended; no terminal shows what is going on
    assert [line.split(":")[0] for line in lines] == [
        "[1/4] dense-wafer, 1 thread",
        "[2/4] dense-wafer, 2 threads",
        "[3/4] sparse-wafer, 1 thread",
        "[4/4] sparse-wafer, 2 threads",
    ]
    assert all("hops/s, took " in line and line.endswith(" s") for line in lines)
    return json.loads(done.stdout)


def test_json(printed):
    assert printed.keys() == {"machine", "command", "cases"}
    assert {"cpu", "cores", "memory_bytes", "wse", "engine"} <= printed["machine"].keys()
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
    if CASES[name].rate:
        assert case[CASES[name].rate] >= case["median"][CASES[name].rate] >= case["least"][CASES[name].rate] > 0
    assert (case["sample_seconds"] is None) == (name == "load-wafer")
    assert document.result(case)[-1].isalpha() and document.duration(case) > 0


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


def fake(monkeypatch, seconds=0.0):
    """Replaces the measurement by one that passes `seconds`; returns the list of jobs that it gets."""
    jobs, clock = [], [0.0]

    def measured(job, tell):
        jobs.append(job)
        clock[0] += seconds
        return case(job.case, job.threads, hops_per_second=1.0, instructions_per_second=1.0, pe_cycles_per_second=1.0)

    monkeypatch.setattr("wse.cli.bench.measure", measured)
    monkeypatch.setattr("wse.cli.bench.cores", lambda: 2)
    monkeypatch.setattr("wse.cli.bench.time", SimpleNamespace(monotonic=lambda: clock[0]))
    return jobs


def test_the_plain_command_leaves_out_what_takes_long(monkeypatch):
    jobs = fake(monkeypatch)
    sh("bench", "--json")
    assert {job.case for job in jobs} == {name for name, case in CASES.items() if not case.full}
    assert {job.seconds for job in jobs} == {2.0} and {job.threads for job in jobs} == {1, 2}
    assert [job.threads for job in jobs if job.case == "scalar-alone"] == [1]
    jobs.clear()
    sh("bench", "--full", "--json")
    assert {job.case for job in jobs} == set(CASES) and {job.seconds for job in jobs} == {4.0}
    assert [job.threads for job in jobs if job.case == "gemm-wafer"] == [2]
    jobs.clear()
    sh("bench", "--only", "gemm-wafer", "--threads", "1", "--json")
    assert [(job.case, job.threads) for job in jobs] == [("gemm-wafer", 1)]


def test_the_plain_command_ends_within_three_minutes(monkeypatch):
    jobs = fake(monkeypatch, seconds=29)
    done = sh("bench", "--json")
    assert done.exit_code == 0 and len(jobs) == 6  # the last one begins after 145 s
    notes = [line for line in done.stderr.splitlines() if line.startswith("note: ")]
    assert len(notes) == 1 and notes[0].startswith("note: not measured, for it takes too long here: ")
    assert "load-wafer" in notes[0] and "dense-64" not in notes[0] and "gemm-wafer" not in notes[0]
    jobs.clear()
    done = sh("bench", "--full", "--json")
    assert len(jobs) > 20 and "note" not in done.stderr


def test_progress_on_a_terminal(monkeypatch):
    fake(monkeypatch)
    monkeypatch.setattr(
        "wse.cli.bench.measure", lambda job, tell: tell("sample 1") or case(job.case, 1, hops_per_second=1.0)
    )
    monkeypatch.setattr("wse.cli.common.sys.stderr.isatty", lambda: True, raising=False)
    with monkeypatch.context() as patch:
        patch.setattr("wse.cli.common.StatusLine.put", lambda self, line: shown.append(line))
        patch.setattr("wse.cli.common.Working.__call__", lambda self, what: self.put(what))
        shown: list[str] = []
        sh("bench", "--only", "dense-64", "--threads", "1", "--json")
    assert shown == ["[1/1] dense-64, 1 thread", "[1/1] dense-64, 1 thread: sample 1"]


def measurement(rates, **machine):
    """A file's content: dense-64 on one thread with samples of these hops/s."""
    about = {"cpu": "C", "cores": 2, "vectors": "avx2", "memory_bytes": 1 << 30, "caches": {}, "system": "L"}
    about |= {"python": "3.11", "wse": "1.0", "engine": "a" * 64} | machine
    figures = {
        "grid": [64, 64],
        "cycles": 100,
        "samples": len(rates),
        "hops_per_second": max(rates),
        "median": {"hops_per_second": sorted(rates)[len(rates) // 2]},
        "least": {"hops_per_second": min(rates)},
    }
    return {"machine": about, "cases": [case("dense-64", 1, **figures)]}


def test_ratios():
    old, new = measurement([90.0, 100.0, 110.0]), measurement([190.0, 200.0, 220.0])
    (row,) = compare.ratios(old["cases"], new["cases"])
    assert (row.old, row.new, row.ratio, row.old_spread, row.new_spread) == (100, 200, 2, 20, 15)
    assert list(compare.remarks(old, new)) == ["the builds are the same: wse 1.0, engine aaaaaaaaaaaa"]
    del old["cases"][0]["least"]
    assert compare.ratios(old["cases"], new["cases"])[0].old_spread is None
    assert compare.ratios(old["cases"], measurement([5.0])["cases"])[0].new_spread is None


def test_times_are_compared_where_a_case_has_no_rate():
    old, new = (
        [case("load-wafer", 1, build_seconds=b, load_seconds=2.0, run_seconds=0.0, samples=0)] for b in (2.0, 0.0)
    )
    (row,) = compare.ratios(old, new)
    assert (row.figure, row.old, row.new, row.ratio, row.old_spread) == ("seconds", 4.0, 2.0, 0.5, None)
    assert compare.table([asdict(row)])[1] == [("load-wafer", "1", "seconds", "4.00 s", "2.00 s", "0.50", "", "")]


@pytest.mark.parametrize(
    ("machine", "line"),
    [
        ({"cpu": "D"}, "the machines differ: processor C before, D now"),
        ({"vectors": None}, "the machines differ: vector instructions avx2 before, none now"),
        ({"caches": {"L2": "1M"}}, "the machines differ: caches none before, L2 1M now"),
        (
            {"engine": "b" * 64},
            "the builds differ: wse 1.0, engine aaaaaaaaaaaa before, wse 1.0, engine bbbbbbbbbbbb now",
        ),
        ({"engine": ""}, "whether the builds differ is not known: a file does not name the engine's sources"),
    ],
)
def test_what_makes_ratios_doubtful_is_said(machine, line):
    assert line in list(compare.remarks(measurement([1.0]), measurement([1.0], **machine)))


def test_cases_that_cannot_be_compared_are_named():
    old, new = measurement([1.0]), measurement([1.0])
    new["cases"][0]["grid"] = [12, 9]
    assert compare.ratios(old["cases"], new["cases"]) == []
    assert "dense-64 (1) is left out: 64 x 64 PEs before, 12 x 9 now" in list(compare.remarks(old, new))
    new["cases"][0] |= {"grid": [64, 64], "cycles": 1200}
    assert "dense-64 (1) took 100 cycles before, 1,200 now" in list(compare.remarks(old, new))
    new["cases"][0]["samples"] = 7
    assert not any("cycles" in line for line in compare.remarks(old, new))
    new["cases"][0]["threads"] = 2
    assert {"measured only before: dense-64 (1)", "measured only now: dense-64 (2)"} <= set(compare.remarks(old, new))


def test_compare(printed, tmp_path):
    saved, other = tmp_path / "new.json", tmp_path / "old.json"
    saved.write_text(json.dumps(printed))
    for one in printed["cases"]:
        for rates in (one, one["median"], one["least"]):
            rates["hops_per_second"] *= 0.5
    other.write_text(json.dumps(printed | {"machine": printed["machine"] | {"cpu": "another"}}))
    done = sh("bench", "--from", saved, "--compare", other, "--only", "dense-*")
    assert done.exit_code == 0 and "the machines differ: processor another before" in done.stdout
    assert "sparse-wafer" not in done.stdout
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith("dense-wafer")][-2:]
    assert [row[:3] + [row[-1 if row[-1] == "2.00" else 7]] for row in rows] == [
        ["dense-wafer", str(threads), "wavelet-hops/s", "2.00"] for threads in (1, 2)
    ]
    found = json.loads(sh("bench", "--from", saved, "--compare", other, "--json").stdout)["compared"]
    assert [row["ratio"] for row in found["ratios"]] == pytest.approx([2.0] * 4)


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
            lambda: Branches.load(Branches.program(3, 2, MACHINE, 50), 50),
            "mixed",
            "the scalar loop left another mixed than NumPy's",
        ),
        (lambda: Short.load(Short.program(3, 2, MACHINE, 20), 20), "y", "short operations: a PE's y is wrong"),
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
    run = loaded.fabric.run() if isinstance(loaded, Tasks) else loaded.run()
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


def test_memory_of_a_process():
    """In a new process: one that has freed memory before may reuse it."""
    code = """
import numpy as np
from wse.bench.meter import peak_bytes, resident_bytes
before = resident_bytes()
block = np.ones(50_000_000, np.uint8)
assert 49e6 < resident_bytes() - before < 60e6, (before, resident_bytes())
assert peak_bytes() >= resident_bytes() - 1e6
"""
    environment = os.environ | {"PYTHONPATH": str(PACKAGES)}
    subprocess.run([sys.executable, "-P", "-c", code], check=True, env=environment, timeout=60)


def case(name, threads, **figures):
    about = {"case": name, "threads": threads, "grid": list(Job(name).size), "cycles": 0, "samples": 1}
    about |= {f"{part}_seconds": 0.0 for part in ("build", "load", "run")} | {
        "bytes_per_pe": None,
        "peak_rss_bytes": None,
    }
    return about | dict.fromkeys(RATES) | {"median": dict.fromkeys(RATES, 1.0)} | figures


def test_targets():
    found = [
        case("dense-wafer", 1, pe_cycles_per_second=1e6, hops_per_second=100e6),
        case("dense-wafer", 2, pe_cycles_per_second=2e6, hops_per_second=950e6),
        case("sparse-wafer", 1, pe_cycles_per_second=50e6, hops_per_second=1e6),
        case("load-wafer", 1, build_seconds=1.5, load_seconds=20.0, bytes_per_pe=100.4),
    ]
    head, rows, right = document.targets(found)
    assert rows == [
        ("dense streams, whole wafer, hops/s", "500 M", "100 M", "no", "900 M", "950 M", "yes"),
        ("sparse columns: time per cycle against dense", "at most 3 %", "2 %", "yes", "at most 3 %", "", ""),
        ("whole-wafer program, build and load", "at most 20 s", "22 s", "no", "", "", ""),
        ("idle bytes per PE beyond the SRAM it touches", "at most 2,048", "100", "yes", "", "", ""),
    ]
    found[0]["grid"] = [10, 10]  # another machine's size says nothing about the wafer
    first, *rest = document.targets(found)[1]
    assert (first[2], first[5]) == ("", "950 M") and len(rest) == 2


def test_every_case_of_the_targets_exists_and_times_are_shown():
    found = [
        case(
            name,
            threads,
            pe_cycles_per_second=1.0,
            sample_seconds=0.25,
            run_seconds=30.0,
            peak_rss_bytes=2e9,
            bytes_per_pe=1.0,
        )
        for name in CASES
        for threads in (1, 2)
    ]
    rows = {row[0]: row[1:] for row in document.targets(found)[1]}
    assert rows["a step of `wse train --model nano`"] == ("at most 0.08 s", "0.25 s", "no", "", "", "")
    assert rows["whole-wafer product, tiles 32 x 16, K = 16"] == ("", "", "", "at most 25 s", "30 s", "no")
    assert rows["peak memory of the whole-wafer product"] == ("", "", "", "at most 4.00 GB", "2.00 GB", "yes")


def test_samples_are_taken_until_the_time_is_up():
    def taken(*durations, seconds=2.0):
        meter = Meter(samples=[Counts(duration) for duration in durations])
        return meter.wants_more(seconds)

    assert taken() and taken(0.1) and taken(0.1, 0.1, 0.1) and taken(1, 1)
    assert not taken(1, 1, 1) and not taken(*[0.1] * 12)
    assert taken(5) and not taken(6.5) and taken(seconds=0) and not taken(0.1, seconds=0)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (0, ""), (7.0, "7"), (999.7, "1 k"), (1234, "1.23 k"), (123_456_789, "123 M"), (1.5e9, "1.5 G")],
)
def test_si(value, text):
    assert document.si(value) == text
