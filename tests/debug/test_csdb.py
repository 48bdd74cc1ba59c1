"""wse/debug/csdb.py: the commands of csdb in sessions of `wse debug`, and in words that no session has."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from documents import PACKAGES

from wse.debug import csdb, shell
from wse.errors import ConfigError

DEBUG = [sys.executable, "-P", "-m", "wse.cli", "debug", "out", "run.py"]


def answers(folder: Path, *commands: str) -> list[str]:
    """What each command of a session prints."""
    done = subprocess.run(
        DEBUG, cwd=folder, env=os.environ | {"PYTHONPATH": str(PACKAGES)}, input="\n".join([*commands, ""]),
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    parts = re.split(r"(?m)^\(wse\) (.*)\n", done.stdout)
    assert parts[1::2] == list(commands), done.stdout
    return [part.rstrip("\n") for part in parts[2::2]]


def place_of_u(heat):
    """The address of u in words, as a lookup says it twice."""
    (said,) = answers(heat, "image lookup --name=u")
    found = re.match(r"u: .* at 0x([0-9a-f]{4}) \(--address=(\d+) ", said)
    assert found and int(found[1], 16) == int(found[2])
    return int(found[2])


def test_memory_by_names_and_addresses(heat):
    """All PEs are chosen at first; a name gives the words that `print` and `x` show."""
    at = place_of_u(heat)
    said = answers(
        heat, "break relax pe 1,0", "run", "memory read --name=u --stdoutput", "rectangle deselect 0,0 --dimension=44,12",
        "memory read --name u", "rectangle select 1,0", "memory read --name u", f"memory read --address={at} --length 2",
        f"memory read --address={at:#x} --length=2", f"x {2 * at} 4", "memory read --name here", "print here",
        "rectangle select 4,0 --dimension=9,9", "rectangle",
    )  # fmt: skip
    rows = [re.fullmatch(rf"\((\d),0\) @ 0x{at:04x}:((?: [0-9a-f]{{4}}){{24}})", row) for row in said[2].splitlines()]
    assert [row and row[1] for row in rows] == list("012345")
    assert said[3].startswith("0 of 6 PEs are chosen") and said[4].startswith("error: no PEs are chosen")
    assert said[6] == said[2].splitlines()[1]
    assert said[7] == said[8] == " ".join(said[6].split()[:5])
    low, high = (f"{word[2:]}{word[:2]}" for word in said[9].split()[1:])  # bytes, the low one first
    assert said[7].split()[3:] == [low, high]
    assert f"here: u16 = {int(said[10].split()[-1], 16)}" == said[11]
    assert said[13] == said[12] and said[12].startswith("3 of 6 PEs are chosen")


def test_images(heat):
    said = answers(heat, "image info", "image lookup --name=u", "image lookup --name relax", "start", "image info")
    assert said[0] == said[4] and said[0].startswith(
        "wse3, 6 x 1 PEs; the program is the rectangle 0,0 --dimension=6,1"
    )
    counts = re.findall(r"(?m)^class \d, pe\.\d: (\d) PEs?, \d+ instructions, 96 B of variables$", said[0])
    assert sum(map(int, counts)) == 6
    assert re.fullmatch(
        r"u: \[12\]f32, 24 words at 0x[0-9a-f]{4} \(--address=\d+ --length=24\), class 0, pe\.0",
        said[1].splitlines()[0],
    )
    assert len(said[1].splitlines()) == len(said[2].splitlines()) == len(counts)
    assert re.match(r"relax: function, begins at instruction \d+, class 0", said[2])


def test_registers_of_a_session(heat):
    said = answers(heat, "start", "break relax pe 1,0", "continue", "info registers", "register read",
                   "rectangle deselect 0,0 --dimension=6,1", "rectangle select 1,0", "register read", "where")  # fmt: skip
    assert re.findall(r"(?m)^\(\d,0\)$", said[4]) == [f"({x},0)" for x in range(6)]
    assert said[7] == f"(1,0)\n{said[3]}" and said[7] in said[4]
    assert said[8].startswith("PE (1, 0)")  # the focus is where it was


def test_the_program_of_a_session(heat):
    said = answers(heat, "context list", "context select out", "start", "context show", "context select none", "exit")
    assert said[0] == said[1] == said[3] == "out"
    assert said[4] == "error: this session is of out: `wse debug none SCRIPT` debugs another program"


ERRORS = [
    ("memory read --name u x", "memory read takes no 'x'"),
    ("memory read", "memory read takes --name=VARIABLE, or"),
    ("memory read --address=4", "memory read takes --name=VARIABLE, or"),
    ("memory read --address=-4 --length=1", "--address is a number of words, not '-4'"),
    ("memory read --address=24575 --length=2", "a PE has words 0 to 24,575, not 2 from 24,575 on"),
    ("memory read --address=0 --length=0", "a PE has words 0 to 24,575"),
    ("memory read --name", "memory read: --name lacks its value"),
    ("memory read --symbol=u", "memory read has no option --symbol"),
    ("memory read --name=v", "the chosen PEs have no variable 'v'"),
    ("memory write", "memory write? It takes read"),
    ("memory 'read", "No closing quotation"),
    ("image", "image does what? It takes info | lookup"),
    ("image lookup", "image lookup takes --name=NAME"),
    ("image lookup --name=v", "the program has no variable or function 'v'"),
    ("rectangle select", "rectangle select takes one place X,Y"),
    ("rectangle select 1", "'1' is no pair of numbers"),
    ("rectangle select 0,0 --dimension=0,1", "'0,1' is no pair of numbers"),
    ("rectangle select 6,0", "has no PE of the program"),
    ("rectangle clear", "rectangle clear? It takes"),
    ("register write", "register write? It takes read"),
    ("target create --core-file=corefile.cs1", "`csdb DIR` reads core files"),
    ("trace list", "there is no command 'trace' here: `wse csl run DIR SCRIPT --trace FILE`"),
    ("wavelet", "there is no command 'wavelet' here: in `wse debug`, `break wavelet COLOR`"),
    ("context", "context does what?"),
    ("mem read", "did you mean memory?"),
]


def test_errors_of_a_session(heat):
    said = answers(heat, "start", *(command for command, _ in ERRORS))
    for (command, error), words in zip(ERRORS, said[1:], strict=True):
        assert words.startswith("error: ") and error in words and words.count("\n") == 0, (command, words)


def test_before_a_run_there_is_no_memory(heat):
    said = answers(heat, "memory read --name u", "register read", "rectangle select 1,0", "start", "rectangle")
    assert all(words.startswith("error: the program is not loaded yet") for words in said[:2])
    assert said[2] == said[4]


def test_names_of_csdb_take_no_abbreviation_away():
    """Only whole names are those of csdb: `cont` is `continue`, `tb` is `tbreak`."""
    assert [shell.find(word).name for word in ("cont", "tbr", "ru", "en")] == ["continue", "tbreak", "run", "enable"]
    assert {shell.find(name).name for name in csdb.COMMANDS} == set(csdb.COMMANDS)
    assert csdb.following(["image"]) == ["info", "lookup"] and csdb.following(["image", "info"]) == []


def test_programs_are_looked_for_in_a_few_folders(heat, tmp_path):
    for place in ("a/out", ".hidden/out", "1/2/3/4/out"):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).symlink_to(heat / "out", target_is_directory=True)
    (tmp_path / "b").mkdir()
    for name in ("out.json", "out.npz"):
        (tmp_path / "b" / name).write_bytes((heat / "out" / name).read_bytes())
    assert csdb.programs(tmp_path) == [tmp_path / "b"]
    assert csdb.programs(heat) == [heat / "out"]
    with pytest.raises(ConfigError, match="there is no folder 'none'"):
        csdb.programs(Path("none"))
