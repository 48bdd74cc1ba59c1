"""`wse lsp`: the language server for CSL, which an editor starts."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import click

from .. import files
from ..errors import ConfigError
from . import common, cslc, types

LEVELS = ("error", "warning", "info", "debug")


@click.command("lsp")
@common.option("--log", type=types.Choice(LEVELS), default="error", help="What is written to standard error.")
@common.option(
    "--vscode", "folder", type=types.WORD, metavar="DIR", help="Write an extension for VS Code to DIR, and end."
)
def command(log: str, folder: str | None) -> int:
    """Speak the Language Server Protocol on standard input and output.

    An editor starts this command and sends it the texts that are open: it answers with errors, types, values,
    completions and the places of names.  docs/editor.md says how to set up VS Code, Neovim and Emacs.
    """
    if folder is not None:
        return write_extension(Path(folder))
    try:
        from ..lsp import server
    except ImportError as error:
        raise ConfigError(f"{error.name} is not installed: pip install 'wse[lsp]'") from None
    logging.basicConfig(level=log.upper(), stream=sys.stderr, format="%(name)s: %(message)s")
    if log != "debug":
        for handler in logging.getLogger().handlers:
            handler.addFilter(server.is_own_fault)
    if sys.stdin.isatty():
        click.echo("wse lsp: an editor starts this command and speaks with it; see docs/editor.md", err=True)
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # nothing else may stand between messages
    return server.serve(server.build(options_of), stdin, stdout)


def write_extension(folder: Path) -> int:
    """Copies the extension for VS Code: the grammar, the settings, and what starts this server."""
    with resources.as_file(resources.files("wse.lsp") / "vscode") as source:
        for path in sorted(path for path in source.rglob("*") if path.is_file()):
            target = folder / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            files.write_bytes(target, path.read_bytes())
            click.echo(target)
    return 0


def options_of(words: Sequence[str]) -> dict[str, Any] | None:
    """What arguments of cslc say of the program, as fields of wse.lsp.project.Options; None if they are wrong."""
    try:
        given = cslc.command.make_context("cslc", list(words)).params
        return {
            "arch": given["arch"],
            "params": types.merged(given["params"], "--params"),
            "colors": types.merged(given["colors"], "--colors"),
            "import_paths": given["import_path"],
            "fp16": given["fp16_format"] or "f16",
            "sdk_version": given["sdk_version"],
            "fabric": given["fabric_dims"] or (0, 0),
            "offsets": given["fabric_offsets"],
        }
    except (click.ClickException, click.exceptions.Exit):
        return None
