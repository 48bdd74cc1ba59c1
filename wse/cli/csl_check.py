"""`wse csl check FILE`: what is wrong with a source, for people and editors."""

from __future__ import annotations

from pathlib import Path

import click

from . import common


class Values(click.ParamType):
    """name:number[,name:number...] as cslc takes them."""

    name = "NAME:N,..."

    def convert(self, value, param, ctx) -> dict[str, int]:
        if isinstance(value, dict):
            return value
        made = {}
        for pair in value.split(","):
            name, _, number = pair.partition(":")
            try:
                made[name.strip()] = int(number, 0)
            except ValueError:
                self.fail(f"{pair!r} is not of the form name:integer, such as N:16", param, ctx)
        return made


@click.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--arch", type=click.Choice(common.ARCHS), default="wse3", show_default=True, help="Machine.")
@click.option("--params", type=Values(), multiple=True, help="Values of the layout's params, as for cslc; repeatable.")
@click.option("--colors", type=Values(), multiple=True, help="Colors of the layout, as for cslc; repeatable.")
@click.option("--import-path", type=click.Path(path_type=Path), multiple=True, help="Where imports are looked for.")
@click.option("--text", is_flag=True, help="Print for people instead of JSON.")
def command(
    file: Path,
    arch: str,
    params: tuple[dict[str, int], ...],
    colors: tuple[dict[str, int], ...],
    import_path: tuple[Path, ...],
    text: bool,
) -> int:
    """Print what is wrong with FILE as JSON: severity, message, file, line, column, length, notes.

    A layout file is compiled with all it reaches; of the code of a PE alone, syntax and names are checked.  Exit
    status 0: no errors.
    """
    from ..csl.check import check

    values, ids = ({name: n for group in groups for name, n in group.items()} for groups in (params, colors))
    found = check(file, arch, values, ids, import_paths=import_path)
    errors = sum(diagnostic.severity == "error" for diagnostic in found)
    if text:
        for diagnostic in found:
            click.echo(str(diagnostic))
        click.echo(f"{errors} errors, {len(found) - errors} warnings")
    else:
        common.print_json({"errors": errors, "diagnostics": [diagnostic.to_json() for diagnostic in found]})
    return 1 if errors else 0
