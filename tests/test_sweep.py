"""Sweeps: specifications, resuming, killed workers, tables."""

import gc
import json
import os
import signal
import threading
import time

import pytest
import sweeping

import wse
from wse import sweep
from wse.execute.workers import cluster
from wse.sweep import Spec, columns, lines, load

pytest.importorskip("distributed")
parquet = pytest.importorskip("pyarrow.parquet")


@pytest.fixture(scope="module")
def client():
    with cluster(workers=2) as made:
        yield made


def spec(tmp_path, points=10, pause=0.0, **options):
    return Spec(("square",), {"notes": str(tmp_path / "notes"), "pause": pause} | options, {"x": list(range(points))})


def notes(tmp_path):
    """(x, process) of the points that were begun."""
    path = tmp_path / "notes"
    return [tuple(map(int, line.split())) for line in path.read_text().splitlines()] if path.exists() else []


# --- specifications ---------------------------------------------------------------------------------------------------


def test_points_are_all_combinations():
    made = Spec(("run", "gemm"), {"grid": "8x8", "no_plot": True}, {"M": [1, 2], "dtype": ["f16", "f32"]})
    points = list(made.points())
    assert made.size == len(points) == 4 and [point.number for point in points] == [0, 1, 2, 3]
    assert points[1].values == {"M": 1, "dtype": "f32"}
    assert " ".join(points[1].arguments) == "run gemm --grid 8x8 --no-plot -M 1 --dtype f32 --json"
    assert len({point.key for point in points}) == 4


def test_cases_go_together():
    made = Spec(("a",), grid={"x": [0, 1, 2]}, cases=[{"y": 1, "z": [2, 3]}, {"y": 4}])
    points = list(made.points())
    assert made.size == len(points) == 6
    assert points[2].values == {"case": 0, "y": 1, "z": [2, 3], "x": 2}
    assert points[2].arguments == ("a", "-y", "1", "-z", "2", "-z", "3", "-x", "2", "--json")
    assert points[3].arguments == ("a", "-y", "4", "-x", "0", "--json")


def test_options_are_words():
    made = Spec(("a",), {"max_cycles": 5, "plot": False, "trace": True, "set": ["a=1", "b=2"]})
    (point,) = made.points()
    assert " ".join(point.arguments) == "a --max-cycles 5 --no-plot --trace --set a=1 --set b=2 --json"


def test_a_file(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text('command = ["run", "gemv"]\nplot = {x = "M"}\n[options]\ngrid = "4x4"\n[grid]\nM = [16, 32]\n')
    assert load(path) == Spec(("run", "gemv"), {"grid": "4x4"}, {"M": [16, 32]}, plot={"x": "M"})


@pytest.mark.parametrize(
    "text, message",
    [
        ("command = [", "is not TOML"),
        ("comand = []", "has an unknown key 'comand': did you mean command?"),
        ("grid = {}", "has no command, such as"),
        ("command = []", "command is a list of words"),
        ("command = [1]", "command is a list of words"),
        ('command = ["a"]\ngrid = 3', "grid is a table"),
        ('command = ["a"]\ncases = 3', "cases is a list of tables"),
        ('command = ["a"]\ngrid = {x = 3}', "grid.x is a list of values, not 3"),
        ('command = ["a"]\ngrid = {x = []}', r"grid.x is a list of values, not \[\]"),
        ('command = ["a"]\ncases = [3]', "a case is a table of options, not 3"),
        ('command = ["a"]\ngrid = {x = [1]}\noptions = {x = 1}', "x stands in two of options, grid and cases"),
        ('command = ["a"]\nplot = {z = "x"}', "there is no plot.z: known: by, log, x, y"),
    ],
)
def test_what_is_no_specification(tmp_path, text, message):
    path = tmp_path / "s.toml"
    path.write_text(text)
    with pytest.raises(wse.ConfigError, match=f"^specification {path}:? {message}"):
        load(path)


def test_a_grid_too_large():
    with pytest.raises(wse.ConfigError, match=r"^the grid has 8,000,000 points; a sweep has at most 1,000,000$"):
        Spec(("a",), grid={name: list(range(200)) for name in "xyz"})


# --- running ----------------------------------------------------------------------------------------------------------


def test_all_points_are_done_once(client, tmp_path):
    seen = []
    outcome = sweep.run(spec(tmp_path), tmp_path / "out", sweeping.note, client, lambda *now: seen.append(now))
    assert (outcome.ended, outcome.new, outcome.failed, outcome.total) == ("done", 10, 0, 10)
    assert [row["values"]["x"] for row in outcome.rows] == list(range(10))
    assert [row["result"]["square"] for row in outcome.rows] == [x * x for x in range(10)]
    assert sorted(x for x, _ in notes(tmp_path)) == list(range(10))
    assert seen[0] == (0, 10, 0) and seen[-1] == (10, 10, 0) and len(seen) == 11
    assert os.getpid() not in {process for _, process in notes(tmp_path)}


def test_finished_points_are_not_done_again(client, tmp_path):
    first = sweep.run(spec(tmp_path, 4), tmp_path / "out", sweeping.note, client)
    larger = sweep.run(spec(tmp_path, 7), tmp_path / "out", sweeping.note, client)
    assert larger.new == 3 and larger.rows[:4] == first.rows
    assert sorted(x for x, _ in notes(tmp_path)) == list(range(7))


def test_another_version_begins_anew(client, tmp_path, monkeypatch):
    sweep.run(spec(tmp_path, 2), tmp_path / "out", sweeping.note, client)
    monkeypatch.setattr(sweep, "__version__", "another")
    assert sweep.run(spec(tmp_path, 2), tmp_path / "out", sweeping.note, client).new == 2


def test_a_failed_point_is_told_and_done_again_if_asked(client, tmp_path):
    made = spec(tmp_path, 4, fail=2)
    outcome = sweep.run(made, tmp_path / "out", sweeping.note, client)
    assert outcome.failed == 1 and outcome.rows[2]["status"] == "failed"
    assert outcome.rows[2]["error"] == "error: this one cannot be done"
    assert sweep.run(made, tmp_path / "out", sweeping.note, client).new == 0
    assert sweep.run(made, tmp_path / "out", sweeping.note, client, again=True).new == 1
    assert [x for x, _ in notes(tmp_path)].count(2) == 2


@pytest.mark.kills_workers
def test_a_killed_worker_is_replaced(client, tmp_path):
    """One of the two is killed while it works on a point: that one is done again, the others are not."""
    victims = []

    def progress(done, total, failed):
        if done == 5 and not victims:
            _, process = notes(tmp_path)[-1]
            victims.append(process)
            os.kill(process, signal.SIGKILL)

    outcome = sweep.run(spec(tmp_path, 20, pause=0.1), tmp_path / "out", sweeping.note, client, progress)
    assert (outcome.ended, outcome.failed, len(outcome.rows)) == ("done", 0, 20)
    begun = [x for x, _ in notes(tmp_path)]
    assert set(begun) == set(range(20))
    # It had at most the one it worked on, and one whose result was on its way.
    assert victims and 1 <= len(begun) - 20 <= 2
    client.wait_for_workers(2, timeout=60)  # a new one came
    assert victims[0] not in client.run(os.getpid, on_error="ignore").values()  # the dead one may still be listed


@pytest.mark.kills_workers
def test_a_point_that_kills_its_workers_fails_alone(tmp_path):
    with cluster(workers=2) as own:
        outcome = sweep.run(spec(tmp_path, 6), tmp_path / "out", sweeping.fatal, own)
    assert [row["status"] for row in outcome.rows] == ["done"] * 3 + ["failed"] + ["done"] * 2
    assert outcome.rows[3]["error"].startswith("KilledWorker")


def test_an_interrupted_sweep_goes_on(client, tmp_path):
    """Ctrl-C after some points: the second call does the rest and what was under way, nothing else."""
    made = spec(tmp_path, 24, pause=0.05)
    main = threading.main_thread().ident

    def stop(done, total, failed):
        if done == 7:
            signal.pthread_kill(main, signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as interrupt:
        sweep.run(made, tmp_path / "out", sweeping.note, client, stop)
    outcome = interrupt.value.outcome
    assert outcome.ended == "interrupted" and 7 <= len(outcome.rows) <= 9
    time.sleep(0.3)  # what was under way ends
    kept = {row["values"]["x"] for row in outcome.rows}
    again = sweep.run(made, tmp_path / "out", sweeping.note, client)
    assert again.ended == "done" and again.new == 24 - len(kept) and len(again.rows) == 24
    begun = [x for x, _ in notes(tmp_path)]
    assert all(begun.count(x) == 1 for x in kept)
    assert len(begun) <= 24 + 2 * sweep.AHEAD


def test_a_line_that_was_cut_off(client, tmp_path):
    made = spec(tmp_path, 5)
    sweep.run(made, tmp_path / "out", sweeping.note, client)
    path = tmp_path / "out" / sweep.LINES
    path.write_bytes(path.read_bytes()[:-20])
    again = sweep.run(made, tmp_path / "out", sweeping.note, client)
    assert again.new == 1 and len(again.rows) == 5
    assert all(json.loads(line) for line in path.read_text().splitlines()) and len(path.read_text().splitlines()) == 5
    path.write_text("nonsense\n")
    with pytest.raises(wse.ConfigError, match=r"^line 1 of .*points.jsonl is no point of a sweep: remove it$"):
        sweep.run(made, tmp_path / "out", sweeping.note, client)


def test_two_sweeps_into_one_folder(client, tmp_path):
    (tmp_path / "out").mkdir()
    with (
        sweep._locked(tmp_path / "out" / sweep.LINES),
        pytest.raises(wse.ConfigError, match=r"^another sweep writes to .*out: give this one another directory$"),
    ):
        sweep.run(spec(tmp_path), tmp_path / "out", sweeping.note, client)


def test_a_command_without_json(client, tmp_path):
    outcome = sweep.run(spec(tmp_path, 1), tmp_path / "a", sweeping.words, client)
    assert outcome.rows[0]["error"] == "the command printed no JSON: 'no JSON'"
    outcome = sweep.run(spec(tmp_path, 1), tmp_path / "b", sweeping.a_list, client)
    assert outcome.rows[0]["result"] == {"result": [1, 2]}


# --- clusters ---------------------------------------------------------------------------------------------------------


def test_a_cluster_that_is_there(client, tmp_path):
    """Its address alone is not enough: the certificate and key of the cluster are needed."""
    address = client.scheduler.address
    assert address.startswith("tls://")
    from distributed import Client

    with pytest.raises(wse.ConfigError, match=r"^no Dask scheduler answers at tls://.*distributed.comm.tls"):
        cluster(scheduler=address).__enter__()
    # one that is open and collected while another one starts hangs: Dask's lock is taken twice
    assert {one.status for one in gc.get_objects() if type(one) is Client and one is not client} <= {"closed"}
    with Client(address, security=client.security) as other:
        assert sweep.run(spec(tmp_path, 3), tmp_path / "out", sweeping.note, other).new == 3
    assert len(client.scheduler_info()["workers"]) == 2  # and it stays


def test_what_is_no_cluster(monkeypatch):
    with pytest.raises(wse.ConfigError, match=r"^a cluster has at least one worker, not 0$"), cluster(0):
        pass
    with pytest.raises(wse.ConfigError, match=r"has its own number of workers"), cluster(2, "tcp://localhost:1"):
        pass
    monkeypatch.setattr("wse.execute.workers.CONNECT_SECONDS", 0.2)
    with (
        pytest.raises(wse.ConfigError, match=r"^no Dask scheduler answers at tcp://127.0.0.1:9: "),
        cluster(scheduler="tcp://127.0.0.1:9"),
    ):
        pass


# --- tables -----------------------------------------------------------------------------------------------------------


def test_the_table(client, tmp_path):
    outcome = sweep.run(spec(tmp_path, 3, fail=1), tmp_path / "out", sweeping.note, client)
    sweep.write(outcome.rows, tmp_path / "t.parquet")
    table = parquet.read_table(tmp_path / "t.parquet").to_pydict()
    assert table["x"] == [0, 1, 2] and table["status"] == ["done", "failed", "done"]
    assert table["square"] == [0, None, 4] and table["parts.low"] == [0, None, 2]
    assert table["name"] == ["0", None, '"a"']  # of two types: as JSON
    assert table["error"][1] == "error: this one cannot be done"
    assert [p.name for p in tmp_path.iterdir() if p.suffix == ".part"] == []


def rows(cells):
    return [
        {"values": values, "status": "done", "seconds": 1.0, "error": "", "result": result} for values, result in cells
    ]


def test_a_result_with_the_name_of_an_option():
    assert columns(rows([({"x": 1}, {"x": 2})]))["result.x"] == [2]


def test_seconds_are_the_command_s_own():
    """As wse system has them: a number beside the list, and one in each of its tables."""
    result = {"seconds": 63.0, "systems": [{"n": 1, "step_seconds": 960.0}, {"n": 16, "step_seconds": 63.0}]}
    table = columns(rows([({"batch": 320}, result)]))
    assert table["seconds"] == [63.0] and table["point_seconds"] == [1.0]
    assert table["systems.1.step_seconds"] == [960.0] and table["systems.16.step_seconds"] == [63.0]
    made = Spec(("system",), grid={"batch": [320, 640]}, plot={"x": "batch", "y": "seconds"})
    shown = lines(made, rows([({"batch": 320}, result), ({"batch": 640}, result | {"seconds": 125.0})]))
    assert shown.lines == {"seconds": [(320, 63, 63, 63), (640, 125, 125, 125)]}


def test_tables_of_a_list_that_nothing_names_are_counted():
    assert columns(rows([({}, {"parts": [{"a": 1}, {"a": 2}]})]))["parts.1.a"] == [2]


def test_lines_of_a_plot():
    made = Spec(("a",), grid={"x": [1, 2, 4], "kind": ["p", "q"], "seed": [0, 1]})
    cells = [
        (point.values, {"cycles": point.values["x"] * 10 + point.values["seed"], "other": 1}) for point in made.points()
    ]
    shown = lines(made, rows(cells))
    assert (shown.x, shown.y, shown.by) == ("x", "cycles", "kind")
    assert shown.lines["kind = p"] == [(1, 10.5, 10, 11), (2, 20.5, 20, 21), (4, 40.5, 40, 41)]
    other = Spec(("a",), grid=made.grid, plot={"x": "seed", "y": "cycles", "by": "x", "log": "xy"})
    shown = lines(other, rows(cells))
    assert shown.lines["x = 4"] == [(0, 40, 40, 40), (1, 41, 41, 41)] and shown.log == "xy"


def test_nothing_to_draw():
    assert lines(Spec(("a",), grid={"x": [1]}), rows([({"x": "a"}, {"cycles": 1})])) is None
    assert lines(Spec(("a",), grid={"x": [1]}), []) is None
    for plot, message in (
        ({"y": "z"}, "plot: no point has z; there are x, status, point_seconds, error, cycles"),
        ({"y": "status"}, "plot: status is not a number in all points"),
    ):
        with pytest.raises(wse.ConfigError, match=f"^{message}$"):
            lines(Spec(("a",), grid={"x": [1]}, plot=plot), rows([({"x": 1}, {"cycles": 1})]))
