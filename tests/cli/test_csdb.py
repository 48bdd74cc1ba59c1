"""wse/cli/csdb.py: sessions of `csdb`, on core files of a run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from documents import PACKAGES, ROOT

from wse.debug import csdb
from wse.sdk import compile

HEAT = ROOT / "docs/examples/heat"
ENVIRONMENT = os.environ | {"PYTHONPATH": str(PACKAGES)}


def run(folder: Path, *words: str, commands: str = "") -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-P", "-m", *words], cwd=folder, env=ENVIRONMENT, input=commands, capture_output=True,
        text=True, timeout=120,
    )  # fmt: skip


def session(folder: Path, commands: str, *words: str, status: int = 0) -> str:
    """What `csdb` prints."""
    done = run(folder, "wse.cli.csdb", *words, commands=commands)
    assert (done.returncode, done.stderr) == (status, ""), done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def dumped(tmp_path_factory) -> Path:
    """A folder with heat at 4,1 of the fabric, as `out`, and a core file of its run."""
    folder = tmp_path_factory.mktemp("dumped")
    compile.run(
        compile.Request(
            HEAT / "layout.csl", {"P": 6, "N": 10}, arch="wse3", output=folder / "out",
            fabric_dims=(13, 3), fabric_offsets=(4, 1),
        )
    )  # fmt: skip
    text = (HEAT / "run.py").read_text()
    assert text.count("\nrunner.stop()") == 1
    (folder / "run.py").write_text(text.replace("\nrunner.stop()", '\nrunner.dump_core("corefile.cs1")\nrunner.stop()'))
    done = run(folder, "wse.cli.cs_python", "run.py", "--name", "out")
    assert (done.returncode, done.stdout) == (0, "SUCCESS!\n"), done.stderr
    return folder


def test_the_session_of_the_document(dumped):
    (recorded,) = re.findall(r"(?ms)^```text\n(\(csdb\).*?)^```$", (ROOT / "docs/debugger.md").read_text())
    commands = re.findall(r"(?m)^\(csdb\) (.*)$", recorded)
    assert session(dumped, "".join(f"{command}\n" for command in commands)) == f"out: wse3, 6 x 1 PEs\n{recorded}"


def test_memory_is_that_of_the_file(dumped):
    with np.load(dumped / "corefile.cs1") as archive:
        memory = archive["memory"]
    said = session(dumped, "target create --core-file corefile.cs1\nmemory read --name u\n", str(dumped))
    rows = re.findall(r"(?m)^\((\d+),1\) @ 0x([0-9a-f]{4}):((?: [0-9a-f]{4})+)$", said)
    assert [int(x) for x, _, _ in rows] == [4, 5, 6, 7, 8, 9]
    for x, address, words in rows:  # addresses are of 16-bit words
        there = memory[0, int(x) - 4].view("<u2")[int(address, 16) :][:24]
        assert [int(word, 16) for word in words.split()] == there.tolist()


def test_programs_of_a_folder(dumped, tmp_path):
    assert session(dumped, "", ".", "context", "list") == "out\n"
    found = session(dumped, "", ".", "image", "lookup", "--name", "u")
    assert re.search(r"u: \[12\]f32, 24 words at 0x[0-9a-f]{4} \(--address=\d+ --length=24\)", found)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for file in ("out.json", "out.npz"):
            (tmp_path / name / file).write_bytes((dumped / "out" / file).read_bytes())
    said = session(tmp_path, "image info\ncontext select b\nimage info\ncontext show\nquit\nnot read\n", status=2)
    assert said.startswith("2 compiled programs: `context select DIR` chooses one\na\nb\n(csdb) image info\nerror: 2 ")
    assert said.count("b: wse3, 6 x 1 PEs\n") == 2 and "class 3, pe.3: 1 PE" in said and "not read" not in said
    (tmp_path / "empty").mkdir()
    said = session(tmp_path / "empty", "image info\n", status=2)
    assert "no program that `cslc` has compiled lies in ." in said


def test_help_says_what_the_commands_take(dumped):
    for said in (session(dumped, "", "--help"), session(dumped, "", ".", "help"), session(dumped, "help\n")):
        for name, (arguments, words) in csdb.COMMANDS.items():
            assert f"{name} {arguments}".rstrip() in said and words in said


ERRORS = [
    ("memory read --name u", "no core file is read"),
    ("target create", "target create takes --core-file=FILE: the emulator has no system"),
    ("target create --core-file=none.cs1", "there is no core file 'none.cs1'"),
    ("target create --core-file=run.py", "run.py is no core file of dump_core"),
    ("target create --core-file=small.npz", "small.npz is of 2 x 1 PEs, and the program of 6 x 1"),
    ("target create --core-file=other.npz", "other.npz is no core file: it holds no memory of PEs"),
    ("target delete", "target delete? It takes create"),
    ("register read", "a core file holds memory, and no registers"),
    ("context select", "context select takes the folder that `cslc` has written"),
    ("context select none", "none"),
    ("trace show", "there is no command 'trace' here"),
    ("wavelet read", "there is no command 'wavelet' here"),
    ("memroy read", "did you mean memory?"),
    ("break 12", "`wse debug DIR SCRIPT` runs a program and stops it"),
]


def test_errors(dumped):
    np.savez(dumped / "small.npz", memory=np.zeros((1, 2, 49152), np.uint8))
    np.savez(dumped / "other.npz", other=np.zeros(3))
    said = session(dumped, "".join(f"{command}\n" for command, _ in ERRORS), status=2)
    found = dict(re.findall(r"(?m)^\(csdb\) (.*)\n(.*)$", said))
    for command, error in ERRORS:
        assert found[command].startswith("error: ") and error in found[command], (command, found[command])


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["none"], "error: there is no folder 'none'"),
        ([".", "memory", "read", "--name", "u"], "error: no core file is read"),
        (["--cmaddr", "10.0.0.1:9000"], "error: there is no option --cmaddr"),
        ([".", "run"], "error: there is no command 'run'"),
    ],
)
def test_bad_words_on_the_command_line(dumped, words, error):
    done = run(dumped, "wse.cli.csdb", *words)
    assert done.returncode == 2 and done.stderr.startswith(error) and done.stdout == ""
