"""Host programs of compiled CSL programs, with the options of `wse run`: what `cs_python` and `wse csl run` share.

The host program runs in this process.  The figures and files of each run of it are made when the run ends, by stop() or
with the host program: what it printed, raised and returned stays as it is without options.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from .. import signals
from ..errors import ConfigError, WseError
from ..machine.parameters import Machine
from ..report import text
from ..sdk import MACHINE_FILE, SETTINGS, TIMING, recorder, script
from ..sdk.recorder import Launched, Recorded, Recorder
from ..sdk.region import thread_count
from . import checks, common
from .output import Block, Pairs, Table, number, plain, print_json, show
from .output import text as words
from .outputs import FIGURES, FILES, Outputs, figures, files, kept_words

# Options of `wse run` that do not apply, and why.
REFUSED = {
    "--arch": "does not apply to a compiled program: cslc --arch decides",
    "--grid": "does not apply to a compiled program: @set_rectangle in its layout decides",
    "--seed": "does not apply to a host program, which makes its inputs itself",
    "--dtype": "does not apply to a compiled program: its variables have types",
    "--no-plot": "does not apply: no picture is written without --plot",
}
PLACE = "{}"  # in the host program's arguments: the directory of the compiled program
options = common.options(common.host_options, common.refused(REFUSED, ["--no-plot"]))


def environment(profile: str | None, settings: Sequence[tuple[str, str]], file: Path | None) -> None:
    """Puts the machine of the options into the environment, for this process and those that the host program starts.

    ConfigError if the file is none of a machine, or a figure unknown or out of its range.
    """
    if file is not None:
        Machine.load(file).check_executable()
        os.environ[MACHINE_FILE] = str(file.resolve())
    Machine(overrides=dict(settings)).check_executable()
    if settings:
        pairs = [f"{name}={value}" for name, value in settings]
        os.environ[SETTINGS] = ",".join(filter(None, [os.environ.get(SETTINGS, ""), *pairs]))
    if profile is not None:
        os.environ[TIMING] = profile


def run(
    command: Sequence[str],
    prints: bool,
    *,
    threads: int | None,
    max_cycles: int | None,
    as_json: bool,
    check: bool,
    suppress: Path | None,
    **given: Any,
) -> int:
    """Runs a host program; returns its exit status.

    command: the program and its arguments, as `wse.sdk.script.run` takes them.  given: files and the machine, as
    `options` has them.  prints: whether figures are printed on
    standard output; else on standard error, if a file is asked for.  With as_json, what the host program prints goes to
    standard error.
    """
    outputs, machine = Outputs.taken(given), given
    threads = None if threads is None else thread_count(threads, "--threads")
    environment(machine["profile"], machine["settings"], machine["file"])
    progress = common.ProgressLine(notes_to_stderr=True)
    host = _Host(list(command), outputs, as_json)
    suppressions = checks.suppressions(check, suppress)
    wanted = prints or as_json or check or bool(outputs.named)
    ended = host.ended if wanted else None
    recorder.current = Recorder(
        *(threads, max_cycles, outputs.events, outputs.moving, progress, ended),
        watch=outputs.watch,
        detail=outputs.detailed,
        check=suppressions,
    )
    try:
        with _redirected() if as_json else contextlib.nullcontext():
            status, error = execute(host.command)
    except KeyboardInterrupt as interrupt:
        sys.last_value = interrupt
        recorder.current.finish()
        host.interrupted(interrupt)
        raise
    finally:
        progress.clear()
        recorder.current, finished = Recorder(progress=progress), recorder.current
    finished.finish()
    if wanted:
        host.show(status, error, sys.stdout if prints else sys.stderr)
    if suppressions is not None:
        checks.note_unused(suppressions)
    return host.failed or status or int(host.found)


def arguments(directory: Path, script: Path, words: Sequence[str]) -> list[str]:
    """The words that run a host program of a compiled program: {} stands for its directory, else `--name DIR` is put in
    front.  ConfigError if there is no such script."""
    if not script.is_file():
        raise ConfigError(f"there is no host program {str(script)!r}")
    given = [word.replace(PLACE, str(directory)) for word in words]
    named = any(PLACE in word for word in words) or any(word.partition("=")[0] == "--name" for word in words)
    return [str(script), *([] if named else ["--name", str(directory)]), *given]


def execute(command: Sequence[str]) -> tuple[int, str]:
    """(exit status, error) of a host program; its traceback is printed as Python does."""
    try:
        script.run(command)
    except SystemExit as end:
        sys.stdout.flush()
        if end.code is None or isinstance(end.code, int):
            return end.code or 0, ""
        print(end.code, file=sys.stderr)
        return 1, str(end.code)
    except Exception as error:
        signals.check()  # a library may have made another exception of a signal's
        sys.stdout.flush()
        sys.last_value = error  # what Python says of the end of a program that failed
        sys.excepthook(type(error), error, error.__traceback__)
        return 1, ": ".join(filter(None, [type(error).__name__, "\n".join([str(error), *_notes(error)])]))
    sys.stdout.flush()
    return 0, ""


class _Host:
    """A host program and its runs."""

    def __init__(self, command: list[str], outputs: Outputs, as_json: bool):
        self.command, self.outputs, self.as_json = command, outputs, as_json
        self.runs: list[dict[str, Any]] = []
        self.views: list[dict[str, Any]] = []  # what the text shows besides
        self.written: list[Path] = []
        self.found = False  # whether a check found something
        self.failed = 0  # the exit status, if a file could not be written
        self.folder = Path.cwd()  # the host program may go elsewhere

    def ended(self, recorded: Recorded) -> None:
        """Writes the files of a run, keeps its figures."""
        run, device = recorded.run, recorded.device
        assert run is not None
        artifact, outputs = device.artifact, self.outputs.numbered(recorded.number)
        name = _name(artifact.file)
        about = {"program": str(recorded.directory), "file": artifact.file, "parameters": artifact.params}
        run.meta |= {"kernel": name, "command": self.command, **about}
        try:
            outputs.write(run, self.folder)
            self.written += outputs.named
        except (WseError, OSError) as error:
            self.failed = 2
            click.echo(f"error: {error}", err=True)
        document: dict[str, Any] = about | {
            "arch": run.machine,
            "profile": run.profile,
            "grid": [run.width, run.height],
        }
        document |= figures(run) | files(outputs)
        document["stopped"], document["error"] = recorded.stopped, device.error or None
        document["launches"] = [_launch(launched) for launched in recorded.launches if launched.totals is not None]
        document |= checks.document(recorded.findings)
        self.found |= bool(recorded.findings)
        self.runs.append(plain(document))
        self.views.append(
            {
                "run": run if len(self.views) < _SHOWN else None,
                "name": name,
                "number": recorded.number,
                "findings": recorded.findings,
            }
        )

    def interrupted(self, interrupt: KeyboardInterrupt) -> None:
        at = f"at cycle {self.runs[-1]['cycles']:,}; " if self.runs else ""
        interrupt.add_note(at + kept_words(self.written))

    def show(self, status: int, error: str, out: Any) -> None:
        """Prints the document or the text."""
        if self.as_json:
            document = {"command": self.command, "status": status, "error": error or None, "runs": self.runs}
            print_json(document)
            return
        if not self.runs:
            click.echo("note: the host program loaded no program in this process: nothing was measured", err=True)
        for document, view in zip(self.runs[:_SHOWN], self.views, strict=False):
            click.echo(file=out)
            with contextlib.redirect_stdout(out):
                show(document, VIEW, False, partial=True, **{name: view[name] for name in ("run", "name", "number")})
            if view["findings"] is not None:
                checks.show(view["findings"], out)
        if len(self.runs) > _SHOWN:
            click.echo(f"\nand {len(self.runs) - _SHOWN} more runs (--json prints all)", file=out)


_SHOWN = 5  # runs of a host program whose figures are printed as text


@contextlib.contextmanager
def _redirected() -> Iterator[None]:
    """Standard output goes to standard error, also that of other processes that are started in the block."""
    sys.stdout.flush()
    try:
        kept, out = os.dup(1), sys.stdout.fileno()
    except (OSError, ValueError):  # no file stands behind it
        with contextlib.redirect_stdout(sys.stderr):
            yield
        return
    try:
        os.dup2(2, out)
        yield
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        os.dup2(kept, out)
        os.close(kept)


def _notes(error: BaseException) -> list[str]:
    return list(getattr(error, "__notes__", []))


def _name(layout: str) -> str:
    """What pictures call a program: the layout's name, or its folder's if it is called layout.csl."""
    path = Path(layout)
    return path.resolve().parent.name if path.stem == "layout" else path.stem


def _launch(launched: Launched) -> dict[str, Any]:
    """A launched function in JSON."""
    totals = launched.totals
    assert totals is not None
    return {
        "function": launched.function,
        "pes": launched.pes,
        "cycle": launched.cycle,
        "cycles": totals.cycles,
        "utilization": totals.utilization,
        "stalls": totals.stalls,
        "wavelet_hops": totals.wavelet_hops,
        "flops": totals.flops,
        "ended": launched.ended,
    }


def functions(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The launches of each function together: shares are means over their cycles."""
    found: dict[str, list[dict[str, Any]]] = {}
    for launch in document["launches"]:
        found.setdefault(launch["function"], []).append(launch)
    rows = []
    for name, launches in found.items():
        cycles = sum(launch["cycles"] for launch in launches)

        def mean(value: Any, of: list[dict[str, Any]] = launches, whole: int = cycles) -> float:
            return sum(value(launch) * launch["cycles"] for launch in of) / whole if whole else 0.0

        stalls = {cause: mean(lambda launch, cause=cause: launch["stalls"][cause]) for cause in launches[0]["stalls"]}
        largest = [
            cause for cause, _ in sorted(stalls.items(), key=lambda item: -item[1])[:2] if stalls[cause] >= 0.001
        ]
        rows.append(
            {
                "function": name,
                "times": len(launches),
                "of_function": cycles,
                "busy": mean(lambda launch: launch["utilization"]),
                "waits": ", ".join(f"{cause} {text.percent(stalls[cause])}" for cause in largest),
                "hops": sum(launch["wavelet_hops"] for launch in launches),
                "work": sum(launch["flops"] for launch in launches),
                "left": "" if all(launch["ended"] for launch in launches) else "did not end",
            }
        )
    return rows


def _how_it_ended(d: Mapping[str, Any]) -> str | None:
    if d["ended"] == "interrupted" and not d["stopped"]:
        return "the host program ended without stop()"
    return None if d["ended"] == "done" else d["ended"]


def _shown_parameters(d: Mapping[str, Any]) -> str:
    given = " ".join(f"{name}={value}" for name, value in d["parameters"].items())
    which = f", run {d['number']}" if d["number"] > 1 else ""
    return f"{d['program']}{which} ({d['name']}{': ' if given else ''}{given})"


VIEW: list[Block] = [
    Pairs(
        [
            ("program", _shown_parameters),
            ("machine", "{arch} ({profile}), {run.width} x {run.height} PEs"),
            ("ended", _how_it_ended),
            *FIGURES,
            *FILES,
        ]
    ),
    Table(
        functions,
        [
            words("launch", "{function}"),
            number("times", "{times:,}"),
            number("cycles", "{of_function:,}"),
            number("utilization", "{busy:share}"),
            words("most of the rest", "{waits}"),
            number("wavelet-hops", "{hops:,}"),
            number("flops", "{work:,}"),
            words("", "{left}"),
        ],
    ),
]
