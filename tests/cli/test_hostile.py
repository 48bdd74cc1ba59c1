"""Hostile values for every option of every command: status 2, one line, no figure, before anything runs."""

import json
from collections.abc import Iterator

import click
from click.testing import CliRunner
from shell import sh

from wse.cli import LazyGroup, cslc, main, types

HUGE = "9" * 5000
NUMBERS = ("nan", "inf", "-inf", "1e400", "", " ", "one", "0x", "1,5", HUGE, "-" + HUGE, "\u0663\u00b2", "1\n2")
WORDS = ("", " ", "a\nb", "\x1b[2J", "x" * 5000)
LISTS = (*(number for number in NUMBERS if number != "1,5"), "-1", "0", "1,", ",", "1,nan", "1,-1", "1," + HUGE)
# Values that a type refuses, by type.
REFUSED: dict[type, tuple[str, ...]] = {
    types.Integer: (*NUMBERS, "1.5", "1e3", "0b2"),
    types.Number: NUMBERS,
    types.Choice: ("", "nan", "-1", "no such choice", HUGE),
    types.Grid: (*NUMBERS, "0x0", "4x", "x4", "4x4x4", "-4x4", "4x1e400", f"4x{HUGE}", "nanxnan"),
    types.Integers: LISTS,
    types.Pair: (*(number for number in NUMBERS if number != "1,5"), "1", "1,2,3", "-1,2", "1,nan"),
    types.Rectangle: (*(number for number in NUMBERS if number != "1,5"), "1", "1,2,3", "4:2,1", "3:3,1", "1:,2", HUGE),
    types.Window: (*NUMBERS, ":", "5", "5:3", "4:4", "-1:4", "a:b", "1:2:3", f"1:{HUGE}"),
    types.Bytes: (*NUMBERS, "-1TB", "1e400TB", "TB", "nanTB", "0", "1XB", "9" * 29 + "PB"),
    types.Setting: ("", "=", "x", "x=", "=1", "x=" + HUGE, "a\nb=1"),
    types.Definition: ("", "=", "x", "x=", "=1", "x=nan", "x=1.5", "x=" + HUGE, "1=1", "x=inf"),
    types.Definitions: ("x", "x:", ":1", "x:nan", "x:1.5", "x:" + HUGE, "1:1", "x:1,x:2"),
    types.LossScale: (*NUMBERS, "0", "-1"),
    types.Word: WORDS,
    types.Named: WORDS,
    types.Prompt: ("", " ", "\n", "a\0b", "\x1b[2J"),
    types.File: ("", " ", "\0", "a\0b"),
    types.Output: ("", " ", "\0", ".", "/", "no such folder/x.png", "x" * 5000 + ".png"),
}


def commands(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command below this one that is no group, with the words that call it."""
    if not isinstance(command, LazyGroup):
        yield path, command
        return
    for name in command.table:
        yield from commands(command.load(name), (*path, name))


def every_option() -> Iterator[tuple[tuple[str, ...], click.Command, click.Parameter]]:
    """Every option and argument that takes a value, with its command; those that all kernels share once."""
    shared = {"grid", "seed", "threads", "max_cycles", "arch", "profile", "settings", "file", "plot", "save"}
    shared |= {"report", "trace", "trace_pes", "trace_window"}
    for path, command in (*commands(main, ()), (("cslc",), cslc.command)):
        for parameter in command.params:
            if parameter.name == "help" or getattr(parameter, "hidden", False) or getattr(parameter, "is_flag", False):
                continue
            if path[0] == "run" and path[1] != "gemm" and parameter.name in shared:
                continue  # the same declaration for every kernel
            if parameter.type is not click.UNPROCESSED:
                yield path, command, parameter


def call(path: tuple[str, ...], command: click.Command, words: list[str]):
    if path == ("cslc",):
        return CliRunner().invoke(command, words, catch_exceptions=False)
    return sh(*path, *words)


def outside(kind: click.ParamType) -> list[str]:
    """Numbers beyond the ends of a range."""
    if not isinstance(kind, types.Integer | types.Number):
        return []
    ends = []
    if kind.min is not None:
        ends.append(str(kind.min if getattr(kind.kind, "above", False) else kind.min - 1))
    if kind.max is not None:
        ends.append(str(kind.max if getattr(kind.kind, "below", False) else kind.max * 2))
    return ends


def test_every_option_has_a_type_with_a_range():
    plain = [
        (" ".join(path), parameter.name) for path, _, parameter in every_option() if type(parameter.type) not in REFUSED
    ]
    assert not plain


def test_every_hostile_value_is_refused_in_one_line():
    wrong, tried = [], 0
    for path, command, parameter in every_option():
        for value in (*REFUSED[type(parameter.type)], *outside(parameter.type)):
            if isinstance(parameter, click.Option):
                words = (
                    [f"{parameter.opts[-1]}={value}"]
                    if parameter.opts[-1].startswith("--")
                    else [parameter.opts[-1], value]
                )
            else:
                words = ["--", value]
            done = call(path, command, words)
            tried += 1
            lines = done.stderr.splitlines()
            said = parameter.opts[-1] if isinstance(parameter, click.Option) else ""
            if (
                (done.exit_code, done.stdout, len(lines)) != (2, "", 1)
                or not lines[0].startswith("error: ")
                or said not in lines[0]
            ):
                wrong.append((path, words[0][:60], done.exit_code, done.stdout[:60], done.stderr[:160]))
            elif len(lines[0]) > 600:
                wrong.append((path, words[0][:60], "a long line", len(lines[0])))
    assert not wrong, f"{len(wrong)} of {tried}: {json.dumps(wrong[:20], indent=1, default=str)}"
    assert tried > 1500
