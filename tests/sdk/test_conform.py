"""wse csl conform, on collections of one's own.

Covers: wse/cli/csl_conform.py
"""

import json
import tempfile
import time
from pathlib import Path

import pytest
from shell import sh

from wse.sdk import conform


def example(name: str, script: str, archs=("wse2", "wse3"), **files: str) -> Path:
    place = Path("examples/group") / name
    place.mkdir(parents=True)
    for arch in archs:
        (place / f"commands_{arch}.sh").write_text("set -e\n" + script.replace("ARCH", arch))
    for file, text in files.items():
        (place / f"{file}.py").write_text(text)
    return place


def outcomes(*args: str) -> dict[tuple[str, str], dict]:
    done = sh("csl", "conform", "examples", "--json", *args)
    rows = json.loads(done.stdout)["examples"]
    assert all(set(row) == {"name", "arch", "status", "reason", "cycles", "wall_seconds", "note"} for row in rows)
    assert done.exit_code == (0 if all(row["status"] in ("pass", "skip") for row in rows) else 1)
    return {(row["name"], row["arch"]): row for row in rows}


def test_statuses():
    example("good", "cs_python run.py ARCH", run='print("SUCCESS!")')
    example(
        "wrong",
        "cs_python run.py ARCH",
        run='import sys\nassert sys.argv[1] == "wse2", "it is wse3"\nprint("SUCCESS!")',
    )
    example("broken", "cs_python run.py", run='import wse\nraise wse.DeadlockError("nothing moves\\nmore")')
    example("compiler", "cslc nothing.csl", archs=("wse3",))
    example("silent", "cs_python run.py", archs=("wse3",), run='if False: print("PASS")')
    example("says", "cs_python run.py", archs=("wse3",), run='print("result: FAIL")\nprint("PASS")')
    example("plain", "cs_python run.py", archs=("wse3",), run="# SUCCESS is never printed\nprint(1)")
    example("odd", "exit 3", archs=("wse2",))
    got = outcomes()
    assert {place: row["status"] for place, row in got.items()} == {
        ("good", "wse2"): "pass",
        ("good", "wse3"): "pass",
        ("wrong", "wse2"): "pass",
        ("wrong", "wse3"): "fail",
        ("broken", "wse2"): "error",
        ("broken", "wse3"): "error",
        ("compiler", "wse3"): "error",
        ("silent", "wse3"): "fail",
        ("says", "wse3"): "fail",
        ("plain", "wse3"): "pass",
        ("odd", "wse2"): "error",
    }
    reasons = {name: row["reason"] for (name, _), row in got.items()}
    assert reasons["wrong"] == "AssertionError: it is wse3"
    assert reasons["broken"].endswith("errors.DeadlockError: nothing moves")
    assert "nothing.csl cannot be read: No such file or directory" in reasons["compiler"]
    assert reasons["silent"] == "it ended, but did not print PASS or SUCCESS"
    assert reasons["says"] == "result: FAIL"
    assert reasons["odd"] == "exit status 3"
    assert reasons["plain"] == ""
    assert all(row["cycles"] is None for row in got.values())


def test_options_and_table():
    example("one", "true")
    example("two", "sleep 30", archs=("wse3",))
    assert set(outcomes("--only", "o*", "--arch", "wse2")) == {("one", "wse2")}
    late = outcomes("--only", "two", "--timeout", "1")["two", "wse3"]
    assert (late["status"], late["reason"]) == ("error", "took more than 1 s")
    assert late["wall_seconds"] < 10
    done = sh("csl", "conform", "examples", "--only", "one")
    assert done.exit_code == 0
    assert [line.split()[:3] for line in done.stdout.splitlines()[:2]] == [["one", a, "pass"] for a in ("wse2", "wse3")]
    assert done.stdout.splitlines()[-1] == "1 of 1 examples passed for every machine they have a script for; 2 pass"


def test_scripts_run_side_by_side_and_are_told_in_order():
    here = Path.cwd()
    for name, other in (("one", "two"), ("two", "one")):  # each waits for the other
        example(name, f"touch {here}/{name}; until test -e {here}/{other}; do sleep 0.01; done", archs=("wse3",))
    example("three", "true", archs=("wse3",))
    got = outcomes("--jobs", "2", "--timeout", "20")
    assert [(name, row["status"]) for (name, _), row in got.items()] == [
        ("one", "pass"),
        ("three", "pass"),
        ("two", "pass"),
    ]


def test_scripts_share_the_processors(monkeypatch):
    monkeypatch.setattr(conform.os, "cpu_count", lambda: 8)
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    example("one", 'test "$OPENBLAS_NUM_THREADS" = 4', archs=("wse3",))
    assert outcomes("--jobs", "2")["one", "wse3"]["status"] == "pass"
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    assert outcomes("--jobs", "2")["one", "wse3"]["status"] == "error"


def test_one_script_at_a_time():
    here = Path.cwd()
    for name in ("one", "two"):
        example(name, f"mkdir {here}/busy; sleep 0.1; rmdir {here}/busy", archs=("wse3",))
    assert {row["status"] for row in outcomes("--jobs", "1").values()} == {"pass"}


def test_an_interrupt_ends_the_scripts_that_run():
    here = Path.cwd()
    for name in ("a", "b", "c"):
        example(name, f"echo $$ > {here}/{name}; sleep 100", archs=("wse3",))
    example("0", f"until test -s {here}/a -a -s {here}/b; do sleep 0.01; done", archs=("wse3",))
    before = set(Path(tempfile.gettempdir()).glob("wse-conform-*"))
    running = conform.run(conform.find("examples"), ("wse3",), 60, jobs=3)
    assert next(running).status == "pass"
    started = time.monotonic()
    running.close()  # as an exception in the loop over the outcomes does
    assert time.monotonic() - started < 20
    for name in ("a", "b"):
        pid = int(Path(name).read_text())
        assert not Path(f"/proc/{pid}").exists()
    assert set(Path(tempfile.gettempdir()).glob("wse-conform-*")) <= before


def test_an_unexpanded_macro_runs_the_host_program():
    run = "import sys\nprint('SUCCESS' if sys.argv[1:] == ['--arch=wse3'] else sys.argv)"
    place = example("macro", "%python_sdk_paint --arch=ARCH", archs=("wse3",), run=run)
    example("plain", "true", archs=("wse3",))
    before = (place / "commands_wse3.sh").read_text()
    got = outcomes()
    assert (got["macro", "wse3"]["status"], got["plain", "wse3"]["note"]) == ("pass", "")
    assert got["macro", "wse3"]["note"] == "%python_sdk_paint run as cs_python run.py"
    assert (place / "commands_wse3.sh").read_text() == before
    lines = sh("csl", "conform", "examples").stdout.splitlines()
    assert "[%python_sdk_paint run as cs_python run.py]" in lines[0] and "[" not in lines[1]
    assert lines[-1] == "1 scripts: %python_sdk_paint run as cs_python run.py"


def test_it_runs_in_a_copy_beside_links():
    Path("examples/library").mkdir(parents=True)
    Path("examples/library/text").write_text("shared")
    Path("examples/group/neighbor").mkdir(parents=True)
    Path("examples/group/neighbor/text").write_text("near")
    place = example(
        "one", 'cat ../../library/text ../neighbor/text text > made; test "$(cat made)" = sharednearown', ("wse3",)
    )
    (place / "text").write_text("own")
    assert outcomes()["one", "wse3"]["status"] == "pass"
    assert not (place / "made").exists()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["nowhere"], "nowhere is no directory: give a checkout of examples"),
        (["."], "there is no commands_wse2.sh or commands_wse3.sh below ."),
        (["examples", "--only", "x*"], "no example below examples is called 'x*'"),
    ],
)
def test_what_is_refused(args, words):
    example("one", "true") if "examples" in args else None
    done = sh("csl", "conform", *args)
    assert (done.exit_code, done.stderr) == (2, f"error: {words}\n")


def test_first_diagnostic():
    output = "compiling\na.csl:3:4: error: no such name\n    x\nTraceback\nValueError: other\n"
    assert conform.first_diagnostic(output) == "a.csl:3:4: error: no such name"
    assert (
        conform.first_diagnostic("Traceback\n  File\nAssertionError: \nNot equal\n\nmore\n")
        == "AssertionError: Not equal"
    )
    assert conform.first_diagnostic("one\ntwo\n\n") == "two"
    assert conform.first_diagnostic("") == ""


def test_cycles_of_all_runs_are_added():
    log = Path("log")
    assert conform._cycles(log) is None
    log.write_text('{"cycles": 3}\n{"cycles": 4}\n')
    assert conform._cycles(log) == 7


def test_scripts_import_the_package_that_runs_them():
    home = Path(conform.__file__).parents[1]
    example(
        "own",
        "cs_python run.py",
        archs=("wse3",),
        run=f'import wse\nprint("SUCCESS" if wse.__path__ == [{str(home)!r}] else wse.__path__)',
    )
    assert outcomes()["own", "wse3"]["status"] == "pass"
