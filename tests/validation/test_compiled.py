"""Published programs compiled from CSL: the table, where programs are looked for, what is said if one fails.

Covers: wse/validation/sources/fma16/run.py
"""

import csv
import json
import re
from pathlib import Path

import pytest
from shell import sh

from wse import ConfigError
from wse.validation import FURTHER, TABLE, compiled, document, read

LAYOUT = """
param n: u16;
const memcpy = @import_module("<memcpy/get_params>", .{ .width = 1, .height = 1 });
layout {
  @set_rectangle(1, 1);
  @set_tile_code(0, 0, "pe.csl", .{ .memcpy_params = memcpy.get_params(0), .n = n });
  @export_name("compute", fn()void);
}
"""
PE = """
param memcpy_params: comptime_struct;
param n: u16;
const sys_mod = @import_module("<memcpy/memcpy>", memcpy_params);
const shared = @import_module("../../shared/bound.csl");
fn compute() void { sys_mod.unblock_cmd_stream(); }
comptime {
  if (n > shared.bound) @comptime_assert(false, "n is too large");
  @export_symbol(compute);
}
"""
RUN = """
import sys
from cerebras.sdk.runtime.sdkruntimepybind import SdkRuntime
runner = SdkRuntime("out")
runner.load()
runner.run()
runner.launch("compute", nonblock=False)
runner.stop()
print("took 90 cycles")
print("took", sys.argv[1], "cycles")
assert sys.argv[1] != "96", "the sum is wrong"
"""
ROW = {
    "id": "small",
    "arch": "wse3",
    "class": "scalar",
    "role": "check",
    "folder": "programs/small",
    "compile": "layout.csl --fabric-dims=8,3 --fabric-offsets=4,1 --params=n:4 --memcpy --channels=1",
    "run": "run.py 95",
    "figure": r"took (\d+) cycles",
    "cycles": "100",
    "beside": "matvec-1pe-25",
    "source": "made up",
}


def table(path: Path, *rows: dict[str, str]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, compiled.COLUMNS)
        writer.writeheader()
        writer.writerows(ROW | row for row in rows)
    return path


@pytest.fixture
def sources(tmp_path):
    """A folder with two repositories, of which one has the program `small`."""
    folder = tmp_path / "sources" / "one" / "programs" / "small"
    folder.mkdir(parents=True)
    (tmp_path / "sources" / "another").mkdir()
    for name, text in (("layout.csl", LAYOUT), ("pe.csl", PE), ("run.py", RUN)):
        (folder / name).write_text(text)
    shared = tmp_path / "sources" / "one" / "shared"
    shared.mkdir()
    (shared / "bound.csl").write_text("const bound: u16 = 9;\n")
    return tmp_path / "sources"


def results(tmp_path, sources, *rows, **more):
    return list(compiled.compare(compiled.programs(table(tmp_path / "t.csv", *rows)), sources, **more))


def test_programs_are_compiled_and_run_and_the_last_figure_counts(tmp_path, sources):
    before = sorted(str(path) for path in sources.rglob("*"))
    (one,) = results(tmp_path, sources, {})
    assert (one.emulated, one.trouble, one.missing) == (95, "", False)
    assert one.error_pct == -5
    (point,) = [p for p in read(FURTHER) if (p.arch, p.id) == ("wse3", "matvec-1pe-25")]
    assert one.machine_only == 100 * (point.emulate() - 780) / 780
    assert sorted(str(path) for path in sources.rglob("*")) == before  # nothing is written beside the sources


def test_the_folder_may_be_a_repository_itself(tmp_path, sources):
    assert results(tmp_path, sources / "one", {})[0].emulated == 95


@pytest.mark.parametrize(
    ("row", "emulated", "trouble"),
    [
        ({"run": "run.py 96"}, 96, "host program: AssertionError: the sum is wrong"),
        ({"run": "run.py -"}, 90, ""),
        ({"run": "none.py"}, None, "host program: "),
        ({"figure": r"passed (\d+)"}, None, r"the host program printed nothing that matches passed (\d+)"),
        ({"compile": ROW["compile"].replace("n:4", "n:10")}, None, "cslc: "),
    ],
)
def test_what_goes_wrong_is_said(tmp_path, sources, row, emulated, trouble):
    (one,) = results(tmp_path, sources, row)
    assert one.emulated == emulated and one.trouble.startswith(trouble) and bool(one.trouble) == bool(trouble)


def test_a_program_whose_folder_is_missing_is_said(tmp_path, sources):
    rows = results(tmp_path, sources, {}, {"id": "other", "folder": "programs/other"}, threads=2)
    assert [(r.program.id, r.missing, r.trouble) for r in rows] == [
        ("small", False, ""),
        ("other", True, "no folder programs/other"),
    ]
    assert document.compiled_in_words(rows) == ["1 of 2 programs are not in the folder of sources: programs/other"]
    assert document.compiled_accuracy(rows).rows == [
        ("WSE-3", "check", "scalar", "1", "5.0", "5.0", "5.0"),
        ("WSE-3", "check", "all", "1", "5.0", "5.0", "5.0"),
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"class": "fast"}, "class is 'fast', but must be one of vector, wavelets, scalar, host windows"),
        ({"role": ""}, "role is '', but must be one of calibration, check"),
        ({"arch": "wse1"}, "arch is 'wse1'"),
        ({"figure": "took"}, "figure must have one group"),
        ({"figure": "(took"}, "unterminated subpattern"),
        ({"cycles": "0"}, "cycles must be above 0"),
        ({"cycles": "many"}, "could not convert"),
        ({"folder": " "}, "folder must not be empty"),
    ],
)
def test_bad_rows(tmp_path, row, message):
    with pytest.raises(ConfigError, match="line 3: .*" + re.escape(message)):
        compiled.programs(table(tmp_path / "t.csv", {}, row))


def test_a_table_without_a_column(tmp_path):
    (tmp_path / "t.csv").write_text("id,arch\n")
    with pytest.raises(ConfigError, match="has no column class, role, folder"):
        compiled.programs(tmp_path / "t.csv")


def test_the_table_of_the_package():
    rows = compiled.programs()
    assert len({(row.arch, row.id) for row in rows}) == len(rows)
    points = {(p.arch, p.id) for path in (TABLE, FURTHER) for p in read(path) if p.target == "simulator"}
    assert {(row.arch, row.beside) for row in rows if row.beside} <= points
    assert {row.kind for row in rows} == set(compiled.CLASSES)
    with pytest.raises(ConfigError, match="no program matches"):
        compiled.select(rows, "x*")


def test_the_command(tmp_path):
    """With our own programs alone: the others are said to be missing."""
    result = sh("validate", "--sources", tmp_path, "--only", "fma16-one")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[1].split()[:5] == ["fma16-one", "WSE-3", "vector", "check", "1,040"]
    assert lines[-1].split()[:4] == ["WSE-3", "check", "all", "1"]
    result = sh("validate", "--sources", tmp_path, "--only", "vector/*-[om][na][ep]*", "--json")
    rows = json.loads(result.stdout)["programs"]
    assert [(row["id"], row["trouble"]) for row in rows if row["emulated"]] == [("fma16-one", ""), ("fma16-map", "")]


def test_what_the_command_refuses(tmp_path):
    def refused(*words):
        result = sh("validate", "--sources", *words)
        assert result.exit_code == 2
        return result.stderr

    assert "has none of the programs' folders, such as kernels/GELU-1PE/CSL" in refused(tmp_path, "--only", "gelu")
    assert "is not a folder" in refused(tmp_path / "no", "--only", "gelu")
    assert "--sources goes with --only" in refused(tmp_path, "--further")
