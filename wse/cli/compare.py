"""`wse compare A B [run.py ARGUMENTS]`: two profiles side by side."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import ConfigError, did_you_mean
from . import common, types
from .host import PLACE
from .output import print_json
from .profile import SETTINGS, BeforeScript, check_script, run_profiled


@click.command("compare", cls=BeforeScript, context_settings=SETTINGS)
@common.option("--lines", type=types.Integer(1, 1_000_000), default=20, help="Rows shown of each table.")
@common.option("--function", type=types.WORD, help="Only lines of this function.")
@common.json_option
@click.argument("a", metavar="A", type=types.FILE)
@click.argument("b", metavar="B", type=types.FILE)
@click.argument("script", metavar="[SCRIPT ARGUMENTS]", nargs=-1, type=click.UNPROCESSED)
def command(lines: int, function: str | None, as_json: bool, a: Path, b: Path, script: tuple[str, ...]) -> int:
    """Print where B takes more or fewer cycles than A: by cause, function and line, the largest differences first.

    A and B are directories of compiled programs that have a profile, or files that `wse profile --json` has printed.
    With a host program, both programs are run first; {} in its arguments stands for the directory:
    `wse compare before after run.py --name {}`.
    """
    from ..csl import compare

    if script:
        check_script(script)
        if not any(PLACE in word for word in script[1:]):
            raise ConfigError(
                f"the arguments of {script[0]} do not name the directory of the compiled program: write {PLACE} there, "
                f"as in `wse compare {a} {b} {script[0]} --name {PLACE}`"
            )
        for directory in (a, b):
            if not directory.is_dir():
                raise ConfigError(f"{directory} is no directory of a compiled program: leave out {script[0]}")
        for directory in (a, b):
            run_profiled([script[0], *(word.replace(PLACE, str(directory)) for word in script[1:])])
    profiles = compare.read(a), compare.read(b)
    if function is not None:
        known = {line.function for side in profiles for p in side for line in p.lines}
        if function not in known:
            raise ConfigError(f"no function {function!r} ran: {did_you_mean(function, known)}")
    found = compare.compare(*profiles, (str(a), str(b)), function)
    if as_json:
        print_json(compare.document(found))
    else:
        click.echo(compare.text(found, lines), nl=False)
    return 0
