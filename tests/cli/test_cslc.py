"""cslc: the options of the SDK's compiler, errors with their places, room for memcpy; cs_python's environment."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import wse
from wse.cli import cs_python
from wse.cli.cslc import command
from wse.csl import compile
from wse.csl.artifact import Artifact
from wse.csl.sema import unit

LAYOUT = """
param width: u16;
param n: i16 = 2;
param c: color = @get_color(3);
layout {
  @set_rectangle(width, 1);
  for (@range(u16, width)) |x| @set_tile_code(x, 0, "pe.csl", .{ .n = n });
  @export_name("data", [*]u16, true);
}
"""
PE = """
param n: i16;
var data = @zeros([n]u16);
var ptr: [*]u16 = &data;
comptime { @export_symbol(ptr, "data"); }
"""


@pytest.fixture(autouse=True)
def _program(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("layout.csl").write_text(LAYOUT)
    Path("pe.csl").write_text(PE)


def cslc(*words: str):
    return CliRunner().invoke(command, list(words))


@pytest.mark.parametrize(
    "words",
    [
        ["--arch=wse2", "./layout.csl", "--fabric-dims=8,3", "--fabric-offsets=4,1", "--params=width:1", "-o", "made", "--memcpy", "--channels", "1"],
        ["layout.csl", "--arch", "wse2", "--params=width:1,n:5", "-o=made", "--channels=1", "--width-west-buf=0", "--width-east-buf=0"],
        ["layout.csl", "--arch=wse2", "--params", "width:1", "--params=n:0x5", "--colors=c:9", "-o", "made", "--verbose", "--import-path=.", "--max-inlined-iterations=10"],
    ],
    ids=["tutorials", "benchmarks", "others"],
)  # fmt: skip
def test_options(words):
    done = cslc(*words)
    assert done.exit_code == 0, done.output
    document = json.loads(Path("made/out.json").read_text())
    assert document["params"]["width"] == "1"
    assert (document["arch"], document["width"]) == ("wse2", 1)
    assert document["params"].get("n", "5") == "5"
    if "--verbose" in words:
        assert document["colors"]["c"] == 9
        assert "made: 1 x 1 PEs for wse2 in 1 classes" in done.output


@pytest.mark.parametrize("what", ["asm", "ir", "layout", "memory-map"])
def test_emit(what):
    done = cslc("layout.csl", "--params=width:2", "--emit", what)
    assert done.exit_code == 0, done.output
    assert done.output.strip()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "Missing argument 'LAYOUT'"),
        (["layout.csl", "--arch=wse4"], "'wse4' is not one of 'wse2', 'wse3'"),
        (["layout.csl", "--fabric-dims=8x3"], "'8x3' is not two numbers, such as 8,3"),
        (["layout.csl", "--params=width"], "'width' is not of the form name:integer, such as N:16"),
        (["layout.csl", "--params=width:wide"], "'width:wide' is not of the form name:integer"),
        (["layout.csl", "--params=width:1", "--params=width:2"], "--params gives width twice"),
        (["layout.csl", "--params=width:1", "--fabric-dims=7,3", "--fabric-offsets=4,1", "--memcpy"], "--fabric-dims=7,3 is too small for 1 x 1 PEs at 4,1 with memcpy's columns and rows: it must be at least 8,3"),
        (["layout.csl", "--params=width:1", "--fabric-dims=9,3", "--fabric-offsets=3,1", "--memcpy"], "--fabric-offsets=3,1 leaves no room for memcpy, which needs 4 columns west"),
        (["layout.csl", "--params=width:9", "--fabric-dims=8,3"], "--fabric-dims=8,3 is too small for 9 x 1 PEs at 0,0: it must be at least 9,1"),
        (["layout.csl", "--sdk-version=2.0"], "'2.0' is not one of '1.4', '2.10'"),
        (["layout.csl", "--bogus"], "there is no option --bogus"),
    ],
)  # fmt: skip
def test_bad_options(words, line):
    done = cslc(*words)
    assert done.exit_code == 2
    assert done.stderr.startswith("error: ") and line in done.stderr
    assert done.stderr.count("\n") == 1


def test_errors_of_the_program_stand_as_they_are():
    Path("pe.csl").write_text(PE.replace("@zeros([n]u16)", "@zeros([m]u16)"))
    done = cslc("layout.csl", "--params=width:1")
    assert done.exit_code == 2
    assert done.stderr.splitlines()[0].startswith("pe.csl:3:")
    assert "^" in done.stderr


def test_warnings_do_not_stop_the_compiler():
    Path("layout.csl").write_text(
        LAYOUT.replace("  @export_name", '  @export_name("other", [*]u16, true);\n  @export_name')
    )
    done = cslc("layout.csl", "--params=width:1")
    assert done.exit_code == 0
    assert "layout.csl:8:3: warning: no PE exports a symbol other" in done.stderr


def test_modules_of_other_directories(monkeypatch):
    Path("more").mkdir()
    Path("more/two.csl").write_text("const two: u16 = 2;")
    Path("pe.csl").write_text(PE.replace("@zeros([n]u16)", '@constants([n]u16, @import_module("two.csl").two)'))
    assert cslc("layout.csl", "--params=width:1").exit_code == 2
    assert cslc("layout.csl", "--params=width:1", "--import-path=more").exit_code == 0
    monkeypatch.setenv("CSL_IMPORT_PATH", f"nowhere{os.pathsep}more")
    assert cslc("layout.csl", "--params=width:1").exit_code == 0


def test_a_missing_param_is_named():
    done = cslc("layout.csl")
    assert done.exit_code == 2
    assert "width" in done.stderr


def test_cs_python_is_this_python_with_the_names():
    made = cs_python.environment()
    assert made["PYTHONPATH"].split(os.pathsep)[0].endswith("names")
    code = "import cerebras, sys, shutil; print(sys.argv, bool(shutil.which('cslc')), bool(shutil.which('cs_python')))"
    start = "import sys; sys.argv = ['cs_python', '-c', sys.argv[1], 'x']; from wse.cli.cs_python import main; main()"
    done = subprocess.run([sys.executable, "-P", "-c", start, code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "['-c', 'x'] True True\n", done.stderr


def test_without_arch_it_compiles_for_wse2():
    assert cslc("layout.csl", "--params=width:1,n:5", "-o", "made").exit_code == 0
    assert json.loads(Path("made/out.json").read_text())["arch"] == "wse2"


@pytest.mark.parametrize("quote", ["", '"'])
def test_sections_get_addresses(quote):
    Path("pe.csl").write_text(PE + 'export var far: u16 linksection(".far") = 1;\n')
    option = f"--link-section-start-address-bytes={quote}.far:0xa000{quote}"
    made = cslc("layout.csl", "--params=width:1", "--emit=memory-map", option)
    assert made.exit_code == 0, made.stderr
    assert any("40960" in line and "far" in line and "section .far" in line for line in made.stdout.splitlines()), (
        made.stdout
    )
    wrong = cslc("layout.csl", "--params=width:1", "--link-section-start-address-bytes=.fur:0xa000")
    assert wrong.exit_code == 2 and "no variable has the linksection .fur" in wrong.stderr
    wrong = cslc("layout.csl", "--params=width:1", "--link-section-start-address-bytes=.far")
    assert wrong.exit_code == 2 and "is not of the form name:integer" in wrong.stderr


@pytest.mark.parametrize(
    ("option", "instead"),
    [
        ("--lomem-reservation-end=1024", "--link-section-start-address-bytes place variables"),
        ("--single-pe", "write a layout with @set_rectangle"),
        ("--disable-auto-microthread-id", "give each its .ut_id"),
        ("--dump-dsr-alloc-graph", "--emit=asm shows the DSRs"),
    ],
)
def test_options_that_are_refused(option, instead):
    made = cslc("layout.csl", "--params=width:2", option)
    assert made.exit_code == 2
    assert f"{option.split('=')[0]} is not supported" in made.stderr and instead in made.stderr
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (["--output-json"], "made.json"),
        (["--output-json=other/params.json"], "other/params.json"),
        (["--output-json", "--verbose"], "made.json"),
    ],
)
def test_the_resolved_params_as_json(words, path):
    Path("other").mkdir()
    done = cslc(*words, "layout.csl", "--params=width:2", "--colors=c:5", "-o", "made", "--memcpy", "--channels=2")
    assert done.exit_code == 0, done.output
    document = json.loads(Path(path).read_text())
    assert document["params"] == {"width": "2"} and document["colors"] == {"c": 5}
    assert document["memcpy"] == {"channels": 2, "width_west_buf": 0, "width_east_buf": 0}
    assert document["rectangle"] == [2, 1] and document["arch"] == "wse2"
    assert json.loads(Path("made/out.json").read_text())["memcpy"] == document["memcpy"]


def test_the_table_of_routes():
    Path("layout.csl").write_text(
        LAYOUT.replace(
            "  @export_name",
            "  @set_color_config(1, 0, c, .{ .routes = .{ .rx = .{RAMP}, .tx = .{EAST} },\n"
            "    .switches = .{ .pos1 = .{ .tx = WEST }, .ring_mode = true } });\n  @export_name",
        )
    )
    done = cslc("layout.csl", "--params=width:2", "--out-routes")
    assert done.exit_code == 0, done.output
    lines = [line.split("  ") for line in done.output.splitlines()]
    assert [cell.strip() for cell in lines[0] if cell.strip()] == [
        *("PE", "color", "name", "input", "output", "switch positions", "set at")
    ]
    assert [cell.strip() for cell in lines[2] if cell.strip()] == [
        *("(1, 0)", "3", "c", "R", "E", "R -> W (ring)", "layout.csl:8")
    ]
    assert len([line for line in lines if line != [""]]) == 3


RECURSIVE = """
param n: u16;
fn count(k: u16) u16 { if (k == 0) { return 0; } else { return count(k - 1) + 1; } }
layout {
  @comptime_assert(count(n) == n);
  @set_rectangle(1, 1);
  @set_tile_code(0, 0, "pe.csl", .{ .n = 1 });
}
"""


def test_the_depth_of_calls_at_compile_time():
    Path("layout.csl").write_text(RECURSIVE)
    assert cslc("layout.csl", "--params=n:100").exit_code == 0
    failed = cslc("layout.csl", "--params=n:200")
    assert failed.exit_code == 2
    assert "layout.csl:3:64: error: calls at compile time nest more than 150 deep" in failed.stderr
    assert "--comptime-func-depth-limit" in failed.stderr and "more notes)" in failed.stderr
    assert failed.stderr.count("\n") < 50
    assert cslc("layout.csl", "--params=n:200", "--comptime-func-depth-limit=300").exit_code == 0
    assert "more than 3 deep" in cslc("layout.csl", "--params=n:9", "--comptime-func-depth-limit=3").stderr


def test_the_rounds_of_inline_loops():
    Path("pe.csl").write_text(
        PE + "fn f() void { inline for (@range(i16, 20)) |i| { data[0] += 1; } }\ncomptime { @export_symbol(f); }\n"
    )
    layout = LAYOUT.replace("  @export_name", '  @export_name("f", fn()void);\n  @export_name')
    Path("layout.csl").write_text(layout)
    assert cslc("layout.csl", "--params=width:1", "--max-inlined-iterations=20").exit_code == 0
    failed = cslc("layout.csl", "--params=width:1", "--max-inlined-iterations=19")
    assert failed.exit_code == 2
    assert "more than 19 rounds of inline loops: --max-inlined-iterations allows more" in failed.stderr


def test_warnings_as_errors():
    words = ["layout.csl", "--params=width:1,other:2", "-o", "made"]
    assert cslc(*words).exit_code == 0
    failed = cslc(*words, "--warnings-as-errors", "-o", "strict")
    assert failed.exit_code == 2 and "error: layout.csl has no param other" in failed.stderr
    assert not Path("strict").exists()
    assert cslc("layout.csl", "--params=width:1", "--warnings-as-errors").exit_code == 0


def test_channels_without_memcpy_are_noted():
    done = cslc("layout.csl", "--params=width:1", "--channels=2")
    assert (done.exit_code, done.stderr) == (0, "warning: --channels belongs to --memcpy, which is not given\n")
    assert "'17' is not" in cslc("layout.csl", "--params=width:1", "--memcpy", "--channels=17").stderr


def test_a_program_that_imports_memcpy_without_the_option_is_noted():
    Path("pe.csl").write_text(PE + 'param p: comptime_struct;\nconst m = @import_module("<memcpy/memcpy>", p);\n')
    head = 'const memcpy = @import_module("<memcpy/get_params>", .{ .width = 1, .height = 1 });\n'
    layout = head + LAYOUT.replace(".{ .n = n }", ".{ .n = n, .p = memcpy.get_params(0) }")
    Path("layout.csl").write_text(layout)
    done = cslc("layout.csl", "--params=width:1")
    assert done.exit_code == 0, done.stderr
    assert "warning: the program imports <memcpy/memcpy>, but --memcpy is not given" in done.stderr
    assert cslc("layout.csl", "--params=width:1", "--memcpy").stderr == ""


def test_code_without_source_lines():
    Path("pe.csl").write_text(PE + "fn f() void { data[0] = 1; }\ncomptime { @export_symbol(f); }\n")
    Path("layout.csl").write_text(LAYOUT.replace("  @export_name", '  @export_name("f", fn()void);\n  @export_name'))
    for words, line in (([], 5), (["-g0"], -1)):
        assert cslc("layout.csl", "--params=width:1", "-o", "made", *words).exit_code == 0
        lines = Artifact.load("made").classes[0].lines[:, 1]
        assert (lines == -1).all() if line < 0 else not (lines == -1).all()


def test_levels_of_optimisation():
    Path("pe.csl").write_text(PE + "fn f() void { for (@range(u16, 4)) |i| { data[0] += 1; } }\n"
                              "comptime { @export_symbol(f); }\n")  # fmt: skip
    Path("layout.csl").write_text(LAYOUT.replace("  @export_name", '  @export_name("f", fn()void);\n  @export_name'))
    sizes = []
    for level in range(4):
        done = cslc("layout.csl", "--params=width:1", "-o", "made", f"-O{level}")
        assert (done.exit_code, done.stderr) == (0, "")
        sizes.append(len(Artifact.load("made").classes[0].code))
    assert sizes[0] > sizes[2] == sizes[1] == sizes[3]
    assert cslc("layout.csl", "--params=width:1", "-O4").exit_code == 2


def test_a_limit_of_processes():
    assert cslc("layout.csl", "--params=width:1", "--max-parallelism=1").exit_code == 0
    assert cslc("layout.csl", "--params=width:1", "--max-parallelism=0").exit_code == 2


def test_the_version():
    assert cslc("--version").output == f"cslc of wse {wse.__version__}: CSL of SDK 1.4 and 2.10\n"


@pytest.mark.parametrize(("module", "words"), [("cslc", ["--version"]), ("cs_python", ["-c", "print('cslc')"])])
def test_the_commands_run_as_modules(module, words):
    run = [sys.executable, "-P", "-m", f"wse.cli.{module}", *words]
    done = subprocess.run(run, capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("cslc"), done.stderr


@pytest.mark.parametrize("version", ["1.4", "2.10", None])
def test_the_release_reaches_the_compiler(version, monkeypatch):
    seen = []
    program = unit.Program
    monkeypatch.setattr(compile, "Program", lambda *a: seen.append(program(*a)) or seen[0])
    words = [] if version is None else [f"--sdk-version={version}"]
    assert cslc("layout.csl", "--params=width:1", *words).exit_code == 0
    assert seen[0].sdk_version == version
