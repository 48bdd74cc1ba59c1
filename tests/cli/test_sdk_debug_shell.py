"""wse/cli/sdk_debug_shell.py: the commands of the SDK's tool, and what the emulator does for them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from documents import PACKAGES
from synthetic import make_run

PROGRAM = {
    "layout.csl": 'layout { @set_rectangle(1, 1); @set_tile_code(0, 0, "pe.csl", .{}); @export_name("f", fn()void); }',
    "pe.csl": 'const memcpy = @import_module("<memcpy/memcpy>", .{});\n'
    "fn f() void { memcpy.unblock_cmd_stream(); }\ncomptime { @export_symbol(f); }",
    "run.py": "from cerebras.sdk.runtime.sdkruntimepybind import SdkRuntime\n"
    "r = SdkRuntime('out')\nr.load()\nr.run()\nr.launch('f', nonblock=False)\nr.stop()\n",
    "commands_wse3.sh": "set -e\ncslc layout.csl --arch=wse3 -o out\ncs_python run.py\necho SUCCESS\n",
}


def shell(folder: Path, *words: str, module: str = "wse.cli.sdk_debug_shell") -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-P", "-m", module, *words], cwd=folder, env=os.environ | {"PYTHONPATH": str(PACKAGES)},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_compile_and_smoke(tmp_path):
    for name, text in PROGRAM.items():
        (tmp_path / name).write_text(text)
    done = shell(tmp_path, "compile", "layout.csl", "--arch=wse3", "-o", "made", "--memcpy")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "") and (tmp_path / "made/out.npz").exists()
    wrong = shell(tmp_path, "compile", "none.csl")
    assert wrong.returncode == 2 and "none.csl" in wrong.stderr
    done = shell(tmp_path, "smoke", ".")
    assert done.returncode == 0 and "1 of 1 examples passed" in done.stdout, done.stdout + done.stderr
    (tmp_path / "commands_wse3.sh").write_text("false\n")
    assert shell(tmp_path, "smoke", ".").returncode == 1


def test_the_run_that_was_saved_last(tmp_path):
    make_run().save(tmp_path / "first.npz")
    make_run(5, 4).save(tmp_path / "second.npz")
    (tmp_path / "later.npz").write_bytes(b"no run")
    os.utime(tmp_path / "second.npz", (1_000, 1_000))
    done = shell(tmp_path, "visualize")
    assert (done.returncode, done.stdout, done.stderr) == (0, "first.html\n", "")
    os.utime(tmp_path / "first.npz", (500, 500))
    (tmp_path / "elsewhere").mkdir()
    done = shell(tmp_path / "elsewhere", "visualize", "--artifact_dir", str(tmp_path))
    assert (done.returncode, done.stdout) == (0, "second.html\n")
    same = shell(tmp_path, "view", "second.npz", "-o", "view.html", module="wse.cli")
    assert same.returncode == 0
    assert (tmp_path / "elsewhere/second.html").read_bytes() == (tmp_path / "view.html").read_bytes()


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["visualize"], "error: no saved run lies in .: `cs_python --trace run.npz SCRIPT ...` saves a run"),
        (["visualize", "--artifact_dir=none"], "error: there is no folder 'none'"),
        (["visualize", "--port=8000"], "error: --port is not needed: the page is a file"),
        (["debug"], "error: there is no command 'debug' here: `wse debug DIR SCRIPT` debugs a program"),
        (["smok"], "error: there is no command 'smok': did you mean smoke?"),
        (["smoke", "none"], "error: none is no directory"),
    ],
)
def test_what_is_refused(tmp_path, words, error):
    done = shell(tmp_path, *words)
    assert done.returncode == 2 and done.stderr.startswith(error) and done.stdout == "", done.stderr


def test_help(tmp_path):
    done = shell(tmp_path)
    assert done.returncode == 0 and done.stdout == shell(tmp_path, "--help").stdout
    assert all(f"  {name} " in done.stdout for name in ("compile", "smoke", "visualize"))
