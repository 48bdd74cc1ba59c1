"""`sdk_debug_shell COMMAND`: the commands of the SDK's tool of that name, by what does the same here."""

from __future__ import annotations

from pathlib import Path

import click

from .. import npz
from ..errors import ConfigError
from . import Main, common, types, view

COMMANDS = {
    "compile": ("wse.cli.cslc", "Compile a CSL program: cslc."),
    "smoke": ("wse.cli.csl_conform", "Run a folder of examples and print which passed: wse csl conform."),
    "visualize": ("wse.cli.sdk_debug_shell", "Write a page to look into the saved run of a folder: wse view."),
}
INSTEAD = {"debug": "`wse debug DIR SCRIPT` debugs a program, `csdb DIR` reads core files"}
SAVES = "`cs_python --trace run.npz SCRIPT ...` saves a run, with the timelines of its PEs"
REFUSED = dict.fromkeys(("--host", "--port"), "is not needed: the page is a file, which no server has to send")


class Shell(Main):
    """The root, which knows what stands for commands that there are not."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in INSTEAD:
            ctx.fail(f"there is no command {cmd_name!r} here: {INSTEAD[cmd_name]}")
        return super().get_command(ctx, cmd_name)


def newest(folder: Path) -> Path:
    """The saved run of a folder that was written last; ConfigError if there is none."""
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {str(folder)!r}")
    runs = [path for path in folder.glob("*.npz") if _is_run(path)]
    if not runs:
        raise ConfigError(f"no saved run lies in {folder}: {SAVES}")
    return max(runs, key=lambda path: path.stat().st_mtime_ns)


def _is_run(path: Path) -> bool:
    try:
        with npz.Archive(path) as archive:
            return "run" in archive.entries
    except (OSError, *npz.UNREADABLE):
        return False


@click.command("visualize")
@common.option("--artifact_dir", "folder", type=types.FILE, default=".", help="Folder with the saved run.")
@common.flag("--open", "opens", help="Open the page in the browser of this computer.")
@common.refused(REFUSED)
@click.pass_context
def command(ctx: click.Context, folder: Path, opens: bool) -> None:
    """Write the page of the run that was saved last in a folder, as `wse view` does, and print its name.

    Runs are files of `cs_python --save FILE.npz`, or of `--trace FILE.npz`, which has the timelines of PEs as well.
    `wse view` takes any of them, and compares two.
    """
    ctx.invoke(view.command, file=newest(folder), other=None, out=None, opens=opens)


root = Shell(
    name="sdk_debug_shell",
    table=COMMANDS,
    help="Commands of the SDK's tool of this name: compile, run the examples, look into a run.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def main() -> None:
    root()


if __name__ == "__main__":
    main()
