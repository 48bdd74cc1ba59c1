"""wse/report/page.py: the file of the explorer holds the run's numbers, needs no other file, and stays small."""

import base64
import gzip
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from explored import product, stuck
from says import says
from synthetic import make_run

from wse import report
from wse.errors import ConfigError
from wse.program.route import config
from wse.report import page, text
from wse.trace import critical


def document(path) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="data">(.*)</script>', path.read_text())[1])


def unpacked(path, where) -> np.ndarray:
    """An array of a page, as the browser reads it."""
    code = re.search(rf'id="array{where["at"]}">([^<]*)<', path.read_text())[1]
    raw = np.frombuffer(gzip.decompress(base64.b64decode(code)), np.uint8)
    joined = np.ascontiguousarray(raw.reshape(-1, where["size"]).T)
    return joined.view(np.dtype("<" + where["type"])).reshape(-1)


def test_it_is_one_file_that_needs_no_other(tmp_path):
    run = make_run(meta={"kernel": "gemm", "command": "</script><script>alert(1)</script>"})
    found = report.plot(run, tmp_path / "run.html").read_text()
    assert not re.search(r'(src|href)="(?!data:)|@import|url\(', found)
    assert "<script>alert" not in found and found.count("</script>") == found.count("<script")
    assert document(tmp_path / "run.html")["runs"][0]["meta"]["command"] == "</script><script>alert(1)</script>"


def test_equal_runs_give_equal_pages(tmp_path):
    first, second = (report.plot(make_run(), tmp_path / name).read_bytes() for name in ("a.html", "b.html"))
    assert first == second


def test_every_plane_is_exact(tmp_path):
    run = make_run(30, 7)
    (shown,) = document(report.plot(run, tmp_path / "run.html"))["runs"]
    found = {entry["key"]: entry for entry in shown["planes"]}
    planes = (
        run.counters | {f"link{i}": run.links[i] for i in range(5)} | {f"blocked{i}": run.blocked[i] for i in range(5)}
    )
    assert set(found) == set(planes)
    for key, plane in planes.items():
        assert ("array" in found[key]) == bool(plane.any())
        if plane.any():
            np.testing.assert_array_equal(unpacked(tmp_path / "run.html", found[key]["array"]), plane.reshape(-1))
    assert {cause["key"] for cause in shown["causes"]} == set(text.causes(run))
    assert shown["busy"] == ["busy_scalar", "busy_vector", "busy_micro"]


@pytest.mark.parametrize(
    "array",
    [
        np.arange(300),
        np.array([0, 255]),
        np.array([70_000, 1, 2**32 - 1]),
        np.array([2**40 + 1, 3]),
        np.array([0.5, -2.25]),
        np.zeros(0, np.uint64),
    ],
)
def test_arrays_are_packed_exactly(array):
    arrays = page._Arrays()
    where = arrays.add(array)
    raw = np.frombuffer(gzip.decompress(arrays.packed[0]), np.uint8)
    itemsize = int(where["type"][1:])
    joined = np.ascontiguousarray(raw.reshape(itemsize, -1).T).view(np.dtype("<" + where["type"])).reshape(-1)
    np.testing.assert_array_equal(joined, array)


def test_planes_of_a_page_that_is_too_large_are_rounded(tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    run = make_run(60, 60)
    for name in run.counters:
        run.counters[name] = rng.integers(0, 1 << 30, (60, 60), dtype=np.uint64)
    report.plot(run, tmp_path / "whole.html")
    monkeypatch.setattr(page, "BUDGET", 120_000)
    (shown,) = document(report.plot(run, tmp_path / "run.html"))["runs"]
    assert (
        sum(len(code) for code in re.findall(r'id="array\d+">([^<]*)<', (tmp_path / "run.html").read_text())) < 170_000
    )
    rounded = [entry for entry in shown["planes"] if "step" in entry]
    assert rounded
    for entry in rounded:
        plane = run.counters.get(entry["key"])
        if plane is not None:
            back = unpacked(tmp_path / "run.html", entry["array"]) * entry["step"]
            assert np.abs(back - plane.reshape(-1)).max() <= 0.5001 * entry["step"]
    assert (tmp_path / "run.html").stat().st_size < (tmp_path / "whole.html").stat().st_size


def test_series_activity_and_trace(tmp_path):
    run = product()
    (shown,) = document(report.plot(run, tmp_path / "run.html"))["runs"]
    series = shown["series"]
    assert sum(series["lengths"]) == run.cycles and len(series["rows"]) == 4
    activity = unpacked(tmp_path / "run.html", series["activity"])
    np.testing.assert_array_equal(activity, run.activity[: len(series["lengths"])].reshape(-1))
    trace = shown["trace"]
    assert unpacked(tmp_path / "run.html", trace["pes"]).tolist() == list(range(16))
    assert int(unpacked(tmp_path / "run.html", trace["counts"]).sum()) == trace["start"]["size"]
    assert trace["left"] == trace["dropped"] == 0


def test_program_and_routes(tmp_path):
    run = product()
    (shown,) = document(report.plot(run, tmp_path / "run.html"))["runs"]
    (one,) = shown["classes"]
    profile = unpacked(tmp_path / "run.html", one["profile"])
    np.testing.assert_array_equal(profile, (run.detail.classes[0].profile / 16).reshape(-1))
    for route in shown["routes"]:
        where = unpacked(tmp_path / "run.html", route["array"])
        assert where.size == 16 and where.max() < len(route["words"])


def test_the_critical_path(tmp_path, monkeypatch):
    run = product()
    found = critical.path(run)
    (shown,) = document(report.plot(run, tmp_path / "run.html"))["runs"]
    assert shown["path"]["count"] == len(shown["path"]["segments"]) == len(found)
    assert sum(cycles for _, cycles, _ in shown["path"]["sums"]) == run.cycles
    assert shown["path"]["segments"][0] == [1, 0, 2, "start of begin"] and shown["path"]["pes"] == [1, 5]
    monkeypatch.setattr(page, "MOST_SEGMENTS", 3)
    (shown,) = document(report.plot(run, tmp_path / "run.html"))["runs"]
    longest = sorted(found, key=lambda segment: segment.start - segment.end)[:3]
    starts = [start for _, start, _, _ in shown["path"]["segments"]]
    assert starts == sorted(segment.start for segment in longest) and shown["path"]["count"] == len(found)


@pytest.mark.parametrize("changes", [{"events": None}, {"detail": None}, {"events_dropped": 1}])
def test_a_run_that_cannot_be_followed_has_no_path(tmp_path, changes):
    run = replace(product(), **changes)
    (shown,) = document(report.plot(run, tmp_path / "run.html"))["runs"]
    assert "path" not in shown


def test_positions_begin_with_the_first_one():
    assert page.route_positions(0) == []
    assert page.route_positions(config([(16, 2)])) == [[16, 2]]
    assert page.route_positions(config([(1, 2), (4, 8), (16, 3)], position=1)) == [[4, 8], [16, 3], [1, 2]]


def test_the_waits_of_a_deadlock_are_in_it(tmp_path):
    (shown,) = document(report.plot(stuck(), tmp_path / "run.html"))["runs"]
    assert shown["ended"] == "deadlock" and len(shown["waits"]["cycle"]) == 2


def test_two_runs(tmp_path):
    path = report.explore([product(), product(slow=True)], tmp_path / "both.html")
    assert [run["cycles"] for run in document(path)["runs"]] == [product().cycles, product(slow=True).cycles]


def test_bad_input(tmp_path):
    with says(ConfigError, "the explorer shows one run, or two that are compared, not 3"):
        report.explore([make_run()] * 3, tmp_path / "a.html")
    with says(ConfigError, f"the explorer is a page, and {str(tmp_path / 'a.png')!r} does not end in .html"):
        report.explore([make_run()], tmp_path / "a.png")


def test_a_run_of_no_cycle_has_a_page(tmp_path):
    run = make_run(2, 2, cycles=0, bins=0)
    assert document(report.plot(run, tmp_path / "run.html"))["runs"][0]["cycles"] == 0


def test_a_page_needs_no_matplotlib(tmp_path):
    from shell import python

    path = str(tmp_path / "a.html")
    code = f"import sys, synthetic, wse.report; wse.report.plot(synthetic.make_run(), {path!r})"
    assert python(f"{code}; sys.exit('matplotlib' in sys.modules)").returncode == 0
