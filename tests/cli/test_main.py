"""wse/cli/__init__.py, the root command: lazy imports, errors of one line, exit status.

Covers: wse/_version.py
"""

import signal
import tempfile

import click
import pytest
from shell import python, sh

from wse import __version__
from wse.cli import COMMANDS, main
from wse.signals import Interrupted


def test_help_names_every_command_with_its_line():
    result = sh("--help")
    assert result.exit_code == 0
    for name, (_, words) in COMMANDS.items():
        assert f"  {name} " in result.stdout
        assert words in result.stdout


def test_no_command_is_help():
    assert sh().stdout == sh("--help").stdout
    assert sh("run").stdout == sh("run", "--help").stdout


def test_help_imports_no_command():
    code = """
import sys
from wse.cli import main
try:
    main(["--help"])
except SystemExit:
    pass
heavy = {"matplotlib", "PIL", "numba", "wse.report", "wse.kernels"}
sys.exit(sorted(name for name in sys.modules if name in heavy or name.startswith("wse.cli.")) or 0)
"""
    done = python(code)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_command_imports_and_has_help():
    for name in COMMANDS:
        result = sh(name, "--help")
        assert result.exit_code == 0 and f"Usage: wse {name}" in result.stdout


def test_version():
    assert sh("--version").stdout == f"wse {__version__}\n"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["bogus"], f"there is no command 'bogus': known: {', '.join(sorted(COMMANDS))} (see: wse --help)"),
        (["run", "gemmm"], "there is no kernel 'gemmm': did you mean gemm?"),
        (["isa", "--bogus"], "there is no option --bogus"),
        (["isa", "mov", "too", "many"], "Got unexpected extra arguments (too many) (see: wse isa --help)"),
        (["asm"], "Missing argument 'FILE'. (see: wse asm --help)"),
        (
            ["arch", "wse9"],
            "Invalid value for '[wse2|wse3]': 'wse9' is not one of 'wse2', 'wse3'; did you mean wse3 or wse2? (see: wse arch --help)",
        ),
        (["arch", "--set", "hop"], "'hop' is not of the form name=value, such as hop_cycles=1 or clock_hz=1.1GHz"),
        (["arch", "--set", "hop_cycles=x"], "hop_cycles=x is no number of cycles: write an integer"),
        (["arch", "--set", "hop_cycle=1"], "machine wse3 has no parameter 'hop_cycle': did you mean hop_cycles"),
        (["arch", "wse2", "--profile", "silicon"], "there is no silicon profile of wse2"),
        (["arch", "--machine", "no.toml"], "machine file no.toml: No such file or directory"),
        (["plot", "no.npz"], "there is no file 'no.npz'"),
        (["disasm", "no.bin"], "no.bin: No such file or directory"),
        (["disasm", "/"], "/: Is a directory"),
    ],
)
def test_bad_input_is_one_line_and_status_2(words, line):
    result = sh(*words)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: ") and line in result.stderr
    assert result.stderr.count("\n") == 1


def crash(error):
    @click.command()
    def command():
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (MemoryError(), 1, "error: there is not enough memory for this\n"),
        (PermissionError(13, "Permission denied", "x.npz"), 2, "error: x.npz: Permission denied\n"),
        (KeyboardInterrupt(), 130, "error: interrupted; no file was written\n"),
        (Interrupted(signal.SIGTERM), 143, "error: interrupted; no file was written\n"),
        (Interrupted(signal.SIGHUP), 129, "error: interrupted; no file was written\n"),
    ],
)
def test_whatever_is_raised_there_is_no_traceback(monkeypatch, error, status, line):
    monkeypatch.setattr(main, "load", lambda name: crash(error))
    result = sh("isa")
    assert (result.exit_code, result.stderr.lstrip("\n"), result.stdout) == (status, line, "")


def test_debugging_shows_the_traceback(monkeypatch):
    monkeypatch.setattr(main, "load", lambda name: crash(ZeroDivisionError("of zero")))
    monkeypatch.setenv("WSE_DEBUG", "1")
    result = sh("isa")
    assert "Traceback" in result.stderr and "ZeroDivisionError: of zero" in result.stderr


def test_an_internal_error_says_whose_it_is_and_what_to_send(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(main, "load", lambda name: crash(ZeroDivisionError("of\nzero")))
    result = sh("isa")
    first, second = result.stderr.splitlines()
    assert result.exit_code == 70
    assert first == f"error: internal error in wse {__version__}: ZeroDivisionError: of zero"
    (report,) = tmp_path.iterdir()
    assert second == f"This is a bug in wse, not in your input.  Please report it and attach {report}"
    text = report.read_text()
    assert "Traceback" in text and "raise error" in text and "numpy" in text and report.stat().st_mode & 0o777 == 0o600
    assert sh("isa").stderr == result.stderr and len(list(tmp_path.iterdir())) == 1  # once for each failure


def test_a_reader_that_goes_away_is_no_error():
    done = python("from wse.cli import main; main(['isa', '--json'])", pipe_to="head -c 10")
    assert (done.stdout, done.stderr) == ("[\n  {\n    ", "")
