"""What a run leaves: the files that --plot, --report, --trace and --save name, and its figures as JSON and text.

Of the commands that run programs on a fabric: `wse run`, `wse csl run`, `cs_python`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import click

from .. import report, trace
from ..errors import ConfigError, WseError
from ..fabric.run import Run
from ..fabric.watch import Watch
from ..records import dataclass
from ..report import text
from .common import Working
from .output import Words


@dataclass(frozen=True)
class Outputs:
    """The files to write; None: none.  Their names are checked before the run starts: ConfigError.

    trace_pes, trace_window: the events of the trace, as Watch has them; UsageError without a trace.
    """

    plot: Path | None = None
    report: Path | None = None
    trace: Path | None = None
    save: Path | None = None
    trace_pes: tuple[tuple[int, int, int, int], ...] = ()
    trace_window: tuple[int, int | None] | None = None

    def __post_init__(self) -> None:
        if self.plot is not None:
            report.check(self.plot)
        if self.report is not None:
            report.check(self.report)
            if self.report.suffix.lower() != ".html":
                raise ConfigError(
                    f"a report is a page, and {str(self.report)!r} does not end in .html: --plot writes pictures"
                )
        if self.trace is not None:
            trace.check(self.trace)
        if self.save is not None and self.save.suffix != ".npz":
            raise ConfigError(f"cannot save to {str(self.save)!r}: the name must end in .npz")
        for name, given in (("--trace-pes", self.trace_pes), ("--trace-window", self.trace_window)):
            if given and self.trace is None:
                raise click.UsageError(f"{name} says what --trace FILE holds, which is missing")

    @classmethod
    def taken(cls, given: dict[str, Any]) -> Outputs:
        """The files that a command's options name (common.file_options, --plot), which are taken out of `given`."""
        return cls(**{field.name: given.pop(field.name) for field in fields(cls)})

    @property
    def moving(self) -> bool:
        """Whether the picture needs the activity over time."""
        return self.plot is not None and self.plot.suffix.lower() in report.MOVING

    @property
    def detailed(self) -> bool:
        """Whether a page shows the run, now or from the file that it is saved to."""
        return any(path is not None and path.suffix.lower() in (".html", ".npz") for path in self.named)

    @property
    def events(self) -> int:
        """The capacity of the trace that the run needs, in events."""
        return trace.CAPACITY if self.trace is not None else 0

    @property
    def watch(self) -> Watch | None:
        """The events of the trace.  They are kept beside the file, so that none is left out."""
        if self.trace is None:
            return None
        since, until = self.trace_window or (0, None)
        is_device = self.trace.exists() and not self.trace.is_file()  # /dev/stdout
        folder = Path(tempfile.gettempdir()) if is_device else self.trace.absolute().parent
        return Watch(since, until, self.trace_pes, folder, hops=self.trace.suffix == ".log")

    @property
    def named(self) -> list[Path]:
        """The files, in the order in which they are written."""
        return [path for path in (self.save, self.trace, self.plot, self.report) if path is not None]

    def numbered(self, number: int) -> Outputs:
        """The files of the run of this number, from 1: the second is written to NAME-2.png."""
        if number == 1:
            return self
        names = ("plot", "report", "trace", "save")
        paths = {name: path for name in names if (path := getattr(self, name)) is not None}
        renamed = {name: path.with_name(f"{path.stem}-{number}{path.suffix}") for name, path in paths.items()}
        return replace(self, **renamed)

    def write(self, run: Run, folder: Path = Path()) -> None:
        """Writes the files.  folder: that relative names begin in."""
        with Working() as working:
            for path in self.named:
                working(f"writing {path}")
                if path in (self.plot, self.report):
                    report.plot(run, folder / path)
                elif path == self.trace:
                    trace.write(run, folder / path)
                else:
                    run.save(folder / path)
        if self.trace is not None and run.events_dropped:
            note = f"warning: {self.trace} is incomplete: {run.events_dropped:,} events found no place"
            click.echo(f"{note}; trace less with --trace-window or --trace-pes", err=True)

    def interrupted(self, interrupt: KeyboardInterrupt, run: Run | None) -> None:
        """Writes the files with the measurements up to the interrupt, and adds a note about them to it."""
        if run is None:
            interrupt.add_note("no file was written")
            return
        try:
            self.write(run)
            kept = kept_words(self.named)
        except (WseError, OSError) as error:
            kept = f"not all files were written: {error}"
        interrupt.add_note(f"at cycle {run.cycles:,}; {kept}")


def kept_words(paths: list[Path]) -> str:
    """That these files hold the measurements up to an interrupt."""
    holds = f"hold{'s' if len(paths) == 1 else ''} what was measured until then"
    return f"{', '.join(map(str, paths))} {holds}" if paths else "no file was written"


def figures(run: Run) -> dict[str, Any]:
    """The figures of a run that every command's JSON has; keys are stable."""
    return {
        "cycles": run.cycles,
        "device_seconds": run.seconds,
        "clock_hz": run.clock_hz,
        "wall_seconds": run.wall_seconds,
        "pe_cycles_per_second": run.pe_cycles / run.wall_seconds if run.wall_seconds else None,
        "utilization": run.utilization,
        "stalls": run.stalls,
        "wavelet_hops": run.wavelet_hops,
        "flops": run.flops,
        "ended": run.ended,
    }


def files(outputs: Outputs) -> dict[str, Path | None]:
    """The files in a command's JSON."""
    return {"plot": outputs.plot, "report": outputs.report, "trace": outputs.trace, "save": outputs.save}


# --- rows of a view: the document has `figures` and `files`, the view alone `run` -------------------------------------


def causes(d: Mapping[str, Any]) -> str:
    """The shares of PE-cycles by category, largest first."""
    shares = text.shares(d["run"]).items()
    return ", ".join(f"{text.cause_words(name)} {text.percent(share)}" for name, share in shares)


def flops(d: Mapping[str, Any]) -> str:
    seconds, clock = d["device_seconds"], text.si(d["clock_hz"], "Hz")
    return f"{d['flops']:,}" + (f", {text.si(d['flops'] / seconds, 'flop/s')} at {clock}" if d["flops"] else "")


def events(d: Mapping[str, Any]) -> str | None:
    run = d["run"]
    if not d["trace"] or run.events is None:
        return d["trace"]
    left = f", {run.events_dropped:,} MORE WERE LEFT OUT" if run.events_dropped else ""
    return f"{d['trace']} ({len(run.events):,} events{left})"


def emulated(d: Mapping[str, Any]) -> str | None:
    if not d["wall_seconds"]:
        return None
    return f"{text.si(d['wall_seconds'], 's')}, {text.si(d['pe_cycles_per_second'])} PE-cycles/s"


FIGURES: list[tuple[str, Words]] = [
    ("cycles", "{cycles:,}"),
    ("time", "{device_seconds:si s} at {clock_hz:si Hz}"),
    ("emulated in", emulated),
    ("utilization", "{utilization:share}"),
    ("PE-cycles", causes),
    ("wavelet-hops", "{wavelet_hops:,}"),
    ("flops", flops),
]
FILES: list[tuple[str, Words]] = [
    ("picture", lambda d: d["plot"] or d.get("note") or None),
    ("report", "{report}"),
    ("trace", events),
    ("saved", "{save}"),
]
