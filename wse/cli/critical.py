"""`wse critical RUN`: the chain of work, wavelets and waits that sets the length of a traced run."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import click

from ..fabric.run import Run
from ..trace import critical
from ..trace.events import lane_name
from . import common, types
from .common import Working
from .output import Pairs, Table, number, show, text
from .plot import load


@click.command("critical")
@click.argument("file", metavar="RUN", type=types.FILE)
@common.option("--lines", type=types.Integer(1, 1_000_000), default=20, help="Segments shown: the longest so many.")
@common.json_option
def command(file: Path, lines: int, as_json: bool) -> None:
    """Print the critical path of a run: the chain of work, wavelets and waits that sets its length.

    RUN is a file of --trace FILE.npz.  The path covers each cycle of the run once: where a PE worked, and where it
    waited, what it waited for at another PE.  A run can be shortened only by what is on its path: if an item took no
    time, the run would be shorter by at most its cycles.
    """
    with Working() as working:
        working(f"reading {file}")
        run = load(file)
        working("following the path")
        found = document(run)
    longest = sorted(found["segments"], key=lambda segment: segment["start"] - segment["end"])[:lines]
    show(found, VIEW, as_json, longest=sorted(longest, key=lambda segment: segment["start"]))


def document(run: Run) -> dict[str, Any]:
    """The path in JSON; keys are stable."""
    path = critical.path(run)
    kinds: Counter[str] = Counter()
    for segment in path:
        kinds[segment.kind] += segment.end - segment.start

    def share(cycles: int) -> float:
        return cycles / run.cycles

    return {
        "cycles": run.cycles,
        "pes": len({segment.pe for segment in path}),
        "kinds": [{"kind": kind, "cycles": n, "share": share(n)} for kind, n in kinds.most_common()],
        "sums": [one._asdict() | {"share": share(one.cycles)} for one in critical.sums(path)],
        "segments": [
            {
                "pe": [segment.pe % run.width, segment.pe // run.width],
                "lane": lane_name(segment.lane),
                "start": segment.start,
                "end": segment.end,
                "kind": segment.kind,
                "name": segment.name,
            }
            for segment in path
        ],
    }


def _what(row: Any) -> str:
    return critical.words(row["kind"], row["name"])


VIEW = [
    Pairs(
        [
            ("cycles", "{cycles:,}"),
            ("path", lambda d: f"{len(d['segments']):,} segments on {d['pes']:,} PE{'' if d['pes'] == 1 else 's'}"),
        ]
    ),
    Table(
        "sums",
        [
            text("what", _what),
            number("cycles", "{cycles:,}"),
            number("share", "{share:share}"),
            number("segments", "{segments:,}"),
        ],
    ),
    Table(
        "longest",
        [
            number("from", "{start:,}"),
            number("to", "{end:,}"),
            text("PE", "({pe[0]}, {pe[1]})"),
            text("thread", "{lane}"),
            text("what", _what),
        ],
        title=lambda d: _title(len(d["longest"]), len(d["segments"])),
    ),
]


def _title(shown: int, segments: int) -> str:
    return f"The {shown:,}{f' longest of {segments:,}' if shown < segments else ''} segments, in order of cycles:"
