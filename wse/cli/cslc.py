"""`cslc LAYOUT`: compiles a CSL program, as the SDK's compiler of that name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .._version import __version__
from ..csl.llvm.optimize import LEVEL
from ..sdk import compile
from . import Reporting, common, types

BESIDE = "<output>.json"  # --output-json without a path
SDK_VERSIONS = ["1.4", "2.10"]
COLUMNS = types.Integer(0, 10_000)


def _without_equals(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    # `-o=out`, which the SDK's compiler takes
    return value[1:] if isinstance(value, str) and value.startswith("=") else value


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        click.echo(f"cslc of wse {__version__}: CSL of SDK {' and '.join(SDK_VERSIONS)}")
        ctx.exit()


class Compiler(Reporting):
    """cslc: `--output-json` takes its path after an equals sign only."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, [f"{arg}={BESIDE}" if arg == "--output-json" else arg for arg in args])


# Options of the SDK's compiler that are refused, and what to do instead.
REFUSED = {
    "--lomem-reservation-end": "the compiler places code and variables itself; linksection and "
    "--link-section-start-address-bytes place variables, --emit=memory-map shows where all are",
    "--single-pe": "write a layout with @set_rectangle(1, 1) and @set_tile_code(0, 0, FILE)",
    "--disable-auto-microthread-id": "an operation without .ut_id always gets a microthread; give each its .ut_id",
    "--dump-dsr-alloc-graph": "--emit=asm shows the DSRs of each operation",
}


@click.command("cslc", cls=Compiler, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
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
@common.option(
    "--channels",
    type=types.Integer(1, 16),
    help="I/O channels of memcpy.  Checked and recorded; copies take no cycles here, whatever the number.",
)
@common.option(
    "--width-west-buf", type=COLUMNS, default=0, help="Columns of buffers in the west; only room is checked."
)
@common.option(
    "--width-east-buf", type=COLUMNS, default=0, help="Columns of buffers in the east; only room is checked."
)
@common.option(
    "--link-section-start-address-bytes",
    type=types.Definitions(identifiers=False),
    multiple=True,
    help="Addresses, in bytes, of the variables that have these names as their linksection; repeatable.",
)
@common.option("--import-path", type=types.WORD, multiple=True, help="Folder where imports are looked for; repeatable.")
@common.option(
    "--emit",
    type=types.Choice(["asm", "ir", "layout", "memory-map"]),
    multiple=True,
    help="Print what was compiled; repeatable.",
)
@common.option(
    "--output-json",
    type=types.WORD,
    metavar="[=PATH]",
    help="Write what was compiled with as JSON; without PATH: OUTPUT.json.",
)
@common.flag("--out-routes", help="Print a table of the colors of each PE's router.")
@common.option("--max-inlined-iterations", type=types.Integer(0), help="Rounds that inline loops may have in all.")
@common.option(
    "--comptime-func-depth-limit", type=types.Integer(1, 1000), help="How deep calls at compile time may nest."
)
@common.option("--max-parallelism", type=types.Integer(1), help="Processes to compile with, at most; one is used.")
@click.option("-g0", "no_debug", is_flag=True, help="Keep no source lines: errors at run time name instructions.")
@click.option(
    "-O",
    "optimization",
    type=types.Integer(0, 3),
    default=LEVEL,
    show_default=True,
    help="Level of optimisation: LLVM's default passes of this level, none of them at 0.",
)
@common.flag("--warnings-as-errors", help="Fail if there is a warning.")
@common.refused(
    {name: f"is not supported: {instead}" for name, instead in REFUSED.items()},
    [name for name in REFUSED if name.startswith(("--single", "--disable", "--dump"))],
)
@common.option("--fp16-format", type=types.Choice(["f16", "bf16", "cb16"]), help="Format of 16-bit floats.")
@common.option(
    "--sdk-version",
    type=types.Choice(SDK_VERSIONS),
    help="Release that the program is written for, where releases contradict each other.  [default: the forms of both]",
)
@common.flag("--verbose", help="Print what was made.")
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version."
)
def command(
    layout: Path, params: tuple[dict[str, int], ...], colors: tuple[dict[str, int], ...], **options: Any
) -> int:
    """Compile the CSL program whose layout is the file LAYOUT."""
    if options["output_json"] == BESIDE:
        options["output_json"] = f"{options['output']}.json"
    addresses = "link_section_start_address_bytes"
    options[addresses] = types.merged(options[addresses], "--" + addresses.replace("_", "-"))
    request = compile.Request(layout, types.merged(params, "--params"), types.merged(colors, "--colors"), **options)
    warnings: list[Any] = []
    with common.Working() as working:
        lines = compile.run(request, warnings, lambda doing: working(f"cslc: {doing}"))
    for warning in warnings:
        click.echo(str(warning), err=True)
    for line in lines:
        click.echo(line)
    return 0


def main() -> None:
    command()


if __name__ == "__main__":
    main()
