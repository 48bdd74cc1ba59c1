"""`wse csl check FILE`: what is wrong with a source, for people and editors."""

from __future__ import annotations

from pathlib import Path

import click

from ..csl.check import check
from . import common, types
from .cslc import SDK_VERSIONS
from .output import Lines, escaped, show
from .types import merged


@click.command("check")
@click.argument("file", type=types.FILE)
@common.option("--arch", type=types.ARCH, default="wse3", help="Machine to check for.")
@common.option(
    "--params", type=types.Definitions(), multiple=True, help="Values of the layout's params, as for cslc; repeatable."
)
@common.option(
    "--colors", type=types.Definitions(), multiple=True, help="Colors of the layout, as for cslc; repeatable."
)
@common.option("--import-path", type=types.FILE, multiple=True, help="Folder where imports are looked for; repeatable.")
@common.option("--sdk-version", type=types.Choice(SDK_VERSIONS), help="Release that the program is written for.")
@common.option(
    "--fp16-format", type=types.Choice(["f16", "bf16", "cb16"]), default="f16", help="Format of 16-bit floats."
)
@common.flag("--text", help="Print text instead of JSON.")
def command(
    file: Path,
    arch: str,
    params: tuple[dict[str, int], ...],
    colors: tuple[dict[str, int], ...],
    import_path: tuple[Path, ...],
    sdk_version: str | None,
    fp16_format: str,
    text: bool,
) -> int:
    """Print the diagnostics of FILE as JSON: severity, message, file, line, column, length, notes.

    A layout file is compiled with all it imports; in the code of a single PE, syntax and names are checked.  Exit
    status 1: there are errors.
    """
    values = merged(params, "--params"), merged(colors, "--colors")
    found = check(file, arch, *values, import_paths=import_path, sdk_version=sdk_version, fp16=fp16_format)
    errors = sum(diagnostic.severity == "error" for diagnostic in found)
    document = {"errors": errors, "diagnostics": [diagnostic.to_json() for diagnostic in found]}
    view = [
        Lines([*(escaped(str(diagnostic)) for diagnostic in found), f"{errors} errors, {len(found) - errors} warnings"])
    ]
    show(document, view, as_json=not text)
    return 1 if errors else 0
