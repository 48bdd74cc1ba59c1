"""What a run leaves: the files that --plot, --report, --trace and --save name, and its figures as JSON and text.

Of the commands that run programs on a fabric: `wse run`, `wse csl run`, `cs_python`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import report, trace
from ..errors import ConfigError, WseError
from ..fabric.run import Run
from ..records import dataclass
from ..report import text
from .output import Words


@dataclass(frozen=True)
class Outputs:
    """The files to write; None: none.  Their names are checked before the run starts: ConfigError."""

    plot: Path | None = None
    report: Path | None = None
    trace: Path | None = None
    save: Path | None = None

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

    @property
    def moving(self) -> bool:
        """Whether the picture needs the activity over time."""
        return self.plot is not None and self.plot.suffix.lower() in report.MOVING

    @property
    def events(self) -> int:
        """The capacity of the trace that the run needs, in events."""
        return trace.CAPACITY if self.trace is not None else 0

    @property
    def named(self) -> list[Path]:
        """The files, in the order in which they are written."""
        return [path for path in (self.save, self.trace, self.plot, self.report) if path is not None]

    def numbered(self, number: int) -> Outputs:
        """The files of the run of this number, from 1: the second is written to NAME-2.png."""
        if number == 1:
            return self
        each = (self.plot, self.report, self.trace, self.save)
        return Outputs(*(path and path.with_name(f"{path.stem}-{number}{path.suffix}") for path in each))

    def write(self, run: Run, folder: Path = Path()) -> None:
        """Writes the files.  folder: that relative names begin in."""
        if self.save is not None:
            run.save(folder / self.save)
        if self.trace is not None:
            trace.write(run, folder / self.trace)
        for path in (self.plot, self.report):
            if path is not None:
                report.plot(run, folder / path)

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
    dropped = d["run"].events_dropped
    return d["trace"] and f"{d['trace']}{f' ({dropped:,} events more than were kept)' if dropped else ''}"


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
