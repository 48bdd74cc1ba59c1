"""`cslc LAYOUT`: compiles a CSL program, as the SDK's compiler of that name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import Reporting


class Pair(click.ParamType):
    """W,H: 8,3."""

    name = "X,Y"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        x, comma, y = value.strip().partition(",")
        if not (comma and x.strip().isdecimal() and y.strip().isdecimal()):
            self.fail(f"{value!r} is not two numbers, such as 8,3", param, ctx)
        return int(x), int(y)


class Values(click.ParamType):
    """name:value,name:value."""

    name = "NAME:VALUE,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, str]:
        if isinstance(value, dict):
            return value
        found: dict[str, str] = {}
        for part in filter(None, (p.strip() for p in value.split(","))):
            name, colon, text = (p.strip() for p in part.partition(":"))
            if not (colon and name.isidentifier() and text):
                self.fail(f"{part!r} is not of the form name:value", param, ctx)
            found[name] = text
        return found


def _without_equals(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    # `-o=out`, which the SDK's compiler takes
    return value[1:] if isinstance(value, str) and value.startswith("=") else value


@click.command(
    "cslc", cls=Reporting, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.argument("layout", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--arch", type=click.Choice(["wse2", "wse3"]), default="wse3", show_default=True, help="Machine.")
@click.option("-o", "output", default="out", show_default=True, callback=_without_equals, help="Directory to write.")
@click.option("--fabric-dims", type=Pair(), help="Of the fabric.  [default: the wafer's]")
@click.option("--fabric-offsets", type=Pair(), default="0,0", show_default=True, help="Where the program begins.")
@click.option("--params", type=Values(), multiple=True, help="Values of the layout's params; repeatable.")
@click.option("--colors", type=Values(), multiple=True, help="Numbers of the layout's color params; repeatable.")
@click.option("--memcpy", is_flag=True, help="The program uses <memcpy>; room for it is checked.")
@click.option("--channels", type=click.IntRange(1, 16), help="I/O channels; without effect here.")
@click.option("--width-west-buf", type=click.IntRange(0), default=0, help="Columns of buffers; only room is checked.")
@click.option("--width-east-buf", type=click.IntRange(0), default=0, help="Columns of buffers; only room is checked.")
@click.option("--import-path", multiple=True, type=click.Path(file_okay=False), help="Where else modules may be.")
@click.option(
    "--emit", type=click.Choice(["asm", "ir", "layout", "memory-map"]), multiple=True, help="Print what was made."
)
@click.option("--max-inlined-iterations", type=int, hidden=True)
@click.option("--link-section-start-address-bytes", type=str, hidden=True)
@click.option("--fp16-format", type=click.Choice(["f16", "bf16", "cb16"]), help="Of 16-bit floats.")
@click.option("--verbose", is_flag=True, help="Say what was made.")
def command(
    layout: Path, params: tuple[dict[str, str], ...], colors: tuple[dict[str, str], ...], **options: Any
) -> int:
    """Compile the CSL program whose layout is the file LAYOUT."""
    from ..sdk import compile

    request = compile.Request(layout, _merged(params, "--params"), _merged(colors, "--colors"), **options)
    warnings: list[Any] = []
    lines = compile.run(request, warnings)
    for warning in warnings:
        click.echo(str(warning), err=True)
    for line in lines:
        click.echo(line)
    return 0


def _merged(given: tuple[dict[str, str], ...], option: str) -> dict[str, int]:
    merged: dict[str, int] = {}
    for values in given:
        for name, text in values.items():
            if name in merged:
                raise click.UsageError(f"{option} gives {name} twice")
            try:
                merged[name] = int(text, 0)
            except ValueError:
                raise click.UsageError(f"{option} {name}:{text}: the value must be an integer") from None
    return merged


def main() -> None:
    command()
