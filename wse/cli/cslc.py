"""`cslc LAYOUT`: compiles a CSL program, as the SDK's compiler of that name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..sdk import compile
from . import Reporting, common, types

SDK_VERSIONS = ["1.4", "2.10"]
COLUMNS = types.Integer(0, 10_000)


def _without_equals(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    # `-o=out`, which the SDK's compiler takes
    return value[1:] if isinstance(value, str) and value.startswith("=") else value


@click.command(
    "cslc", cls=Reporting, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.argument("layout", type=types.FILE)
@common.option("--arch", type=types.ARCH, default="wse2", help="Machine to compile for.")
@common.option("-o", "output", type=types.WORD, default="out", callback=_without_equals, help="Directory to write.")
@common.option("--fabric-dims", type=types.Pair(), help="Width and height of the fabric.  [default: the wafer's]")
@common.option("--fabric-offsets", type=types.Pair(), default="0,0", help="Where the program begins.")
@common.option("--params", type=types.Definitions(), multiple=True, help="Values of the layout's params; repeatable.")
@common.option(
    "--colors", type=types.Definitions(), multiple=True, help="Numbers of the layout's color params; repeatable."
)
@common.flag("--memcpy", help="The program uses <memcpy>; the PEs it needs are checked.")
@common.option("--channels", type=types.Integer(1, 16), help="I/O channels; without effect here.")
@common.option(
    "--width-west-buf", type=COLUMNS, default=0, help="Columns of buffers in the west; only room is checked."
)
@common.option(
    "--width-east-buf", type=COLUMNS, default=0, help="Columns of buffers in the east; only room is checked."
)
@common.option("--import-path", type=types.WORD, multiple=True, help="Folder where imports are looked for; repeatable.")
@common.option(
    "--emit",
    type=types.Choice(["asm", "ir", "layout", "memory-map"]),
    multiple=True,
    help="Print what was compiled; repeatable.",
)
@click.option("--max-inlined-iterations", type=types.Integer(0), hidden=True)
@click.option("--link-section-start-address-bytes", type=str, hidden=True)
@common.option("--fp16-format", type=types.Choice(["f16", "bf16", "cb16"]), help="Format of 16-bit floats.")
@common.option(
    "--sdk-version",
    type=types.Choice(SDK_VERSIONS),
    help="Release that the program is written for, where releases contradict each other.  [default: the forms of both]",
)
@common.flag("--verbose", help="Print what was made.")
def command(
    layout: Path, params: tuple[dict[str, int], ...], colors: tuple[dict[str, int], ...], **options: Any
) -> int:
    """Compile the CSL program whose layout is the file LAYOUT."""
    if options.pop("link_section_start_address_bytes") is not None:
        raise click.UsageError(
            "--link-section-start-address-bytes is not supported: the compiler places variables and functions itself; "
            "--emit=memory-map shows where"
        )
    request = compile.Request(layout, types.merged(params, "--params"), types.merged(colors, "--colors"), **options)
    warnings: list[Any] = []
    lines = compile.run(request, warnings)
    for warning in warnings:
        click.echo(str(warning), err=True)
    for line in lines:
        click.echo(line)
    return 0


def main() -> None:
    command()
