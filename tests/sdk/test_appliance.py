"""cerebras.sdk.client on this computer: compile to an artifact, run commands with it, fetch files."""

import tarfile
from pathlib import Path

import numpy as np
import pytest
from sdk.test_script import cs_python

import wse
from wse.sdk.appliance import SdkCompiler, SdkLauncher, SdkRuntime
from wse.sdk.debug import debug_util
from wse.sdk.transfer import MemcpyDataType, MemcpyOrder

LAYOUT = """
param n: u16;
const memcpy = @import_module("<memcpy/get_params>", .{ .width = 1, .height = 1 });
layout {
  @set_rectangle(1, 1);
  @set_tile_code(0, 0, "pe.csl", .{ .n = n, .memcpy_params = memcpy.get_params(0) });
  @export_name("data", [*]u32, true);
  @export_name("twice", fn()void);
}
"""
PE = """
param n: u16;
param memcpy_params;
const sys = @import_module("<memcpy/memcpy>", memcpy_params);
var data = @constants([n]u32, 21);
var data_ptr: [*]u32 = &data;
fn twice() void {
  for (data) |*x| x.* = x.* + x.*;
  sys.unblock_cmd_stream();
}
comptime { @export_symbol(data_ptr, "data"); @export_symbol(twice); }
"""
RUN = """
import argparse
import numpy as np
from cerebras.sdk.runtime.sdkruntimepybind import SdkRuntime, MemcpyDataType, MemcpyOrder

parser = argparse.ArgumentParser()
parser.add_argument("--name")
parser.add_argument("--cmaddr")
args = parser.parse_args()
runner = SdkRuntime(args.name, cmaddr=args.cmaddr)
runner.load()
runner.run()
runner.launch("twice", nonblock=False)
data = np.zeros(3, np.uint32)
runner.memcpy_d2h(data, runner.get_id("data"), 0, 0, 1, 1, 3, streaming=False, order=MemcpyOrder.ROW_MAJOR,
                  data_type=MemcpyDataType.MEMCPY_32BIT, nonblock=False)
runner.stop()
open("out.txt", "w").write(str(data.tolist()))
print("SUCCESS", data.tolist())
"""
ARGS = "--arch=wse3 --fabric-dims=8,3 --fabric-offsets=4,1 --params=n:3 --memcpy --channels=1 -o out"


def write(code: Path) -> Path:
    (code / "more").mkdir(parents=True)
    for name, text in (("layout.csl", LAYOUT), ("pe.csl", PE), ("run.py", RUN), ("more/note.txt", "near")):
        (code / name).write_text(text)
    return code


@pytest.fixture(autouse=True)
def _code(_in_a_directory):
    write(Path("code"))
    Path("extra.txt").write_text("staged")
    Path("extra").mkdir()
    Path("extra/one").write_text("1")


@pytest.fixture(scope="module")
def artifact(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("appliance")
    with SdkCompiler(disable_version_check=True) as compiler:
        return compiler.compile(str(write(folder / "code")), "layout.csl", ARGS, str(folder / "made"))


def test_an_artifact_holds_the_code_and_what_was_compiled(artifact):
    assert Path(artifact).parent.name == "made" and artifact.endswith(".tar.gz")
    with tarfile.open(artifact) as archive:
        assert {"layout.csl", "pe.csl", "run.py", "more/note.txt", "out/out.json", "out/out.npz"} <= set(
            archive.getnames()
        )
    assert not Path("code/out").exists()
    with SdkCompiler() as compiler:
        assert Path(compiler.compile("code", "layout.csl", ARGS, "named.tar.gz")) == Path("named.tar.gz").resolve()


def test_commands_run_beside_the_artifact(artifact):
    with SdkLauncher(artifact, simulator=True) as launcher:
        launcher.stage("extra.txt")
        launcher.stage("extra")
        assert launcher.run("cat more/note.txt", "cat extra.txt; ls extra") == "nearstagedone\n"
        for word in ("%CMADDR%", '"%CMADDR%"', "'%CMADDR%'"):
            assert "SUCCESS [42, 42, 42]" in launcher.run(f"cs_python run.py --name out --cmaddr {word}")
        assert launcher.download_artifact("out.txt", "fetched/out.txt") == "fetched/out.txt"
        assert launcher.download_artifact("more", "fetched/more") == "fetched/more.tar.gz"
        place = launcher.directory
    assert Path("fetched/out.txt").read_text() == "[42, 42, 42]"
    with tarfile.open("fetched/more.tar.gz") as archive:
        assert "more/note.txt" in archive.getnames()
    assert not place.exists()


def test_a_runtime_of_an_artifact(artifact, capsys):
    data = np.zeros(3, np.uint32)
    with SdkRuntime(artifact) as runner:
        runner.call("twice", [], nonblock=False)
        task = runner.memcpy_d2h(
            data, runner.get_id("data"), 0, 0, 1, 1, 3, streaming=False, data_type=MemcpyDataType.MEMCPY_32BIT,
            order=MemcpyOrder.ROW_MAJOR, nonblock=True,
        )  # fmt: skip
        runner.task_wait(task)
        assert runner.is_task_done(task)
    assert data.tolist() == [42] * 3
    assert debug_util(artifact).get_symbol(4, 1, "data", np.uint32).tolist() == [42] * 3
    assert "there is no system: the program runs on the emulator" in capsys.readouterr().err


def test_programs_import_the_names(artifact):
    Path("host.py").write_text(
        "import sys\nfrom cerebras.sdk.client import SdkCompiler, SdkLauncher, SdkRuntime, Task, sdk_utils\n"
        "from cerebras.sdk.client.debug_util import debug_util\nfrom cerebras.sdk.client.sdk_utils import memcpy_view\n"
        "from cerebras.appliance.pb.sdk.sdk_common_pb2 import MemcpyDataType, MemcpyOrder\n"
        "with SdkRuntime(sys.argv[1], simulator=True) as runner:\n"
        "    task = runner.launch('twice', nonblock=False)\n    assert isinstance(task, Task)\n"
        "print(debug_util(sys.argv[1]).get_symbol(4, 1, 'data', 'uint32'), sdk_utils.memcpy_view is memcpy_view)\n"
    )
    done = cs_python("host.py", artifact)
    assert done.stdout == "[42 42 42] True\n", done.stderr


def _launcher(artifact: str, do):
    with SdkLauncher(artifact, simulator=True) as launcher:
        do(launcher)


def _compile(*args, **options):
    with SdkCompiler(**options) as compiler:
        compiler.compile(*args)


@pytest.mark.parametrize(
    ("do", "words"),
    [
        (lambda a: _compile("nowhere", "layout.csl", ARGS), "there is no code directory nowhere"),
        (lambda a: _compile("code", "pe.csl", ARGS), "pe.csl"),
        (lambda a: _compile("code", "layout.csl", "--bogus"), "there is no option --bogus"),
        (lambda a: _compile("code", "layout.csl", "--arch=wse3"), "param n has no value"),
        (lambda a: SdkCompiler().compile("code", "layout.csl", ARGS), r"used in a `with` statement: with SdkCompiler\(\.\.\.\)"),
        (lambda a: SdkLauncher(a).run("true"), r"with SdkLauncher\(\.\.\.\)"),
        (lambda a: SdkCompiler(resource_cpu="many"), "resource_cpu of SdkCompiler is of type int, not 'many'"),
        (lambda a: _launcher("extra.txt", None), "extra.txt is no compiled artifact"),
        (lambda a: _launcher("nothing.tar.gz", None), "nothing.tar.gz is no compiled artifact"),
        (lambda a: _launcher(a, lambda r: r.run("echo before; exit 3")), r"'echo before; exit 3' ended with status 3:\nbefore"),
        (lambda a: _launcher(a, lambda r: r.run(["true"])), "is a string, not"),
        (lambda a: _launcher(a, lambda r: r.stage("nothing")), "there is no file nothing to stage"),
        (lambda a: _launcher(a, lambda r: r.download_artifact("nothing", "x")), "the commands left no nothing"),
        (lambda a: _launcher(a, lambda r: r.download_artifact("../" * 9 + "etc/passwd", "x")), "the commands left no"),
        (lambda a: SdkRuntime("code"), "holds one directory of a compiled program, not 0"),
    ],
)  # fmt: skip
def test_what_is_refused(do, words, artifact):
    with pytest.raises(wse.WseError, match=words):
        do(artifact)


def test_unknown_options_are_refused(artifact):
    for make in (
        SdkCompiler,
        lambda **more: SdkLauncher(artifact, **more),
        lambda **more: SdkRuntime(artifact, **more),
    ):
        with pytest.raises(TypeError, match="has no option bogus: its options are mgmt_namespace"):
            make(bogus=1)
