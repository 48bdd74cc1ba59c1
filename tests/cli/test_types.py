"""wse/cli/types.py: accepted values and messages of option types; test_hostile.py has refused values of all options."""

import os
import subprocess
import sys

import click
import pytest
from click.shell_completion import ShellComplete

from wse.cli import main, types


def converted(kind, value):
    return kind.convert(value, None, None)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (types.Integer(1, 5), "5", 5),
        (types.Integer(0), "1_000", 1000),
        (types.Number(0, 1), "0.25", 0.25),
        (types.Number(0, 1, below=True), "0", 0.0),
        (types.Choice((1, 2)), "2", 2),
        (types.Grid(), "16X4", (16, 4)),
        (types.Integers(1, 100, "systems"), "4,1,4", (4, 1)),
        (types.Pair(), "8,3", (8, 3)),
        (types.Rectangle(), "3,0", (3, 0, 1, 1)),
        (types.Rectangle(), "0:4,2:8", (0, 2, 4, 6)),
        (types.Rectangle(), "5,1:2", (5, 1, 1, 1)),
        (types.Window(), "10:20", (10, 20)),
        (types.Window(), "10:", (10, None)),
        (types.Window(), ":20", (0, 20)),
        (types.Bytes(1, 1e15), "55TB", 55e12),
        (types.Setting(), " hop_cycles = 1 ", ("hop_cycles", "1")),
        (types.Definition(), "A=0x40", ("A", 64)),
        (types.Definition(), "A=-3", ("A", -3)),
        (types.Definitions(), "N:16, M:0x10,", {"N": 16, "M": 16}),
        (types.Word(), "nano", "nano"),
        (types.LossScale(), "dynamic", "dynamic"),
        (types.LossScale(), "512", "512"),
    ],
)
def test_accepted(kind, text, value):
    assert converted(kind, text) == value


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (types.Integer(1, 5), "6", "'6' is not an integer from 1 to 5"),
        (types.Integer(0), "x", "'x' is not an integer"),
        (types.Integer(0), str(1 << 63), "is not an integer from 0 to"),
        (types.Number(0, 1, above=True), "0", "'0' is not a finite number above 0 and at most 1"),
        (types.Number(), "nan", "'nan' is not a finite number"),
        (types.Choice(("wse2", "wse3")), "wse4", "is not one of 'wse2', 'wse3'; did you mean wse3 or wse2?"),
        (types.Grid(), "16", "is not a grid: width x height in PEs, such as 16x16"),
        (types.Grid(), "0x4", "is not a grid"),
        (types.Integers(1, 8, "systems"), "1,9", "is no list of systems, each an integer from 1 to 8, such as 1,2,4"),
        (types.Pair(), "1", "is not two numbers, such as 8,3"),
        (types.Rectangle(), "4:4,1", "is not a PE such as 3,0, or a rectangle such as 0:4,2:8"),
        (types.Window(), "5", "is not a window of cycles, such as 1000:2000 or 1000:"),
        (types.Bytes(10, 100), "1GB", "is not a size from 10 to 100 bytes"),
        (types.Setting(), "hop_cycles", "is not of the form name=value, such as hop_cycles=1"),
        (types.Definition(), "A=1.5", "is not of the form name=integer, such as A=64"),
        (types.Definitions(), "N:1,N:2", "N is given twice"),
        (types.Word(), "a\nb", "is not a text of printable characters"),
        (types.LossScale(), "0", "is not dynamic, none or a finite number above 0"),
    ],
)
def test_refused(kind, text, message):
    with pytest.raises(click.BadParameter) as caught:
        converted(kind, text)
    assert message in caught.value.message


def test_values_that_are_converted_already_pass():
    assert converted(types.Grid(), (4, 4)) == (4, 4)
    assert converted(types.Bytes(0, 10), 5.0) == 5.0
    assert converted(types.Definitions(), {"N": 1}) == {"N": 1}


def test_ends_that_only_bound_64_bits_are_in_no_help():
    assert types.Integer(1, 5)._describe_range() == "1<=x<=5"
    assert types.Integer(1)._describe_range() == "1<=x"
    assert types.Integer()._describe_range() == ""


def test_repeated_definitions_are_merged():
    assert types.merged([{"N": 1}, {"M": 2}], "--params") == {"N": 1, "M": 2}
    with pytest.raises(click.UsageError, match="--params gives N twice"):
        types.merged([{"N": 1}, {"N": 1}], "--params")


def test_files_to_write(tmp_path):
    assert converted(types.OUTPUT, str(tmp_path / "a.png")) == tmp_path / "a.png"
    for value, message in (
        (tmp_path, "is a folder, not the name of a file to write"),
        (tmp_path / "none" / "a.png", "cannot be written: there is no folder"),
        ("", "is no name of a file"),
    ):
        with pytest.raises(click.BadParameter, match=message):
            converted(types.OUTPUT, str(value))
    if os.geteuid():
        tmp_path.chmod(0o500)
        with pytest.raises(click.BadParameter, match="permission denied"):
            converted(types.OUTPUT, str(tmp_path / "a.png"))
        tmp_path.chmod(0o700)


# --- completion in shells ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("ru", ["run"]),
        ("run gem", ["gemm", "gemv"]),
        ("run gemm --dt", ["--dtype"]),
        ("run gemm --dtype ", ["f16", "bf16", "cb16", "f32"]),
        ("run gemm --set hop_c", ["hop_cycles="]),
        ("system --set usable", ["usable_pes="]),
        ("train --model gpt2-", ["gpt2-medium", "gpt2-large", "gpt2-xl"]),
        ("map nano-", ["nano-1", "nano-llama", "nano-moe"]),
        ("models mixtral-8x2", ["mixtral-8x22b"]),
        ("isa fmac", ["fmach", "fmacs", "fmachs"]),
        ("csl ch", ["check"]),
    ],
)
def test_shells_complete(line, found):
    *words, last = line.split(" ")
    completed = ShellComplete(main, {}, "wse", "_WSE_COMPLETE").get_completions(words, last)
    assert sorted(item.value for item in completed) == sorted(found)


def test_a_path_of_a_model_is_completed_as_a_file():
    (item,) = ShellComplete(main, {}, "wse", "_WSE_COMPLETE").get_completions(["map"], "models/co")
    assert (item.type, item.value) == ("file", "models/co")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize("command", ["wse", "cslc"])
def test_scripts_for_shells(shell, command):
    code = f"import sys; sys.argv = [{command!r}]; from wse import start; start.{command}()"
    environment = os.environ | {f"_{command.upper()}_COMPLETE": f"{shell}_source"}
    done = subprocess.run([sys.executable, "-P", "-c", code], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"_{command.upper()}_COMPLETE={shell}_complete" in done.stdout
