"""Tables of `wse validate`, for the terminal and as Markdown, and the blocks of documents that hold them.

A block of a document is the text between the lines `<!-- NAME -->` and `<!-- /NAME -->`.
"""

from __future__ import annotations

import re
import textwrap
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ..errors import ConfigError
from ..machine.parameters import Parameter
from . import compiled
from .determined import Range
from .models import BAR_PCT, Modelled
from .points import Compared, summary
from .sensitivity import Determined, Slope, free

NAMES = {"wse2": "WSE-2", "wse3": "WSE-3", "silicon": "WSE-3 silicon"}


class Table(NamedTuple):
    """A table of text.  right: indices of the columns with numbers."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    right: Sequence[int] = ()

    def markdown(self) -> str:
        """The table in Markdown."""
        rule = ["--:" if i in self.right else "---" for i in range(len(self.head))]
        cells = ((cell.replace("|", "\\|") for cell in row) for row in (self.head, rule, *self.rows))
        return "\n".join(f"| {' | '.join(row)} |" for row in cells)


# --- points ----------------------------------------------------------------------------------------------------------


def points(results: Iterable[Compared], config_width: int | None = None) -> Table:
    """A row per point.  config_width: longest description of a configuration, in characters."""
    head = ("point", "machine", "configuration", "published", "emulated", "error %", "tolerance %", "ok", "source")
    return Table(head, [point_row(result, config_width) for result in results], (3, 4, 5, 6))


def point_row(result: Compared, config_width: int | None = None) -> tuple[str, ...]:
    """The cells of a point; see `points`."""
    point = result.point
    config = f"{point.kernel}: {point.config}" if point.config else point.kernel
    if config_width:
        config = textwrap.shorten(config, config_width, placeholder=" ...")
    return (
        point.id,
        NAMES[point.column],
        config,
        figure(point.published),
        figure(result.emulated),
        signed(result.error_pct),
        f"{point.tolerance_pct:g}",
        "yes" if result.ok else "NO",
        point.source,
    )


def figure(value: float) -> str:
    """A figure as text: integers and large numbers without decimals, others with four digits."""
    return (
        f"{value:,.0f}"
        if value == round(value) or value >= 10_000
        else f"{value:,.4g}"
        if value < 1000
        else f"{value:,.1f}"
    )


def signed(pct: float) -> str:
    """A percentage with two decimals and a sign, such as +0.07; 0.00 has no sign."""
    text = f"{pct:+.2f}"
    return "0.00" if text in ("+0.00", "-0.00") else text


def in_words(results: list[Compared]) -> str:
    """A line with the summary of results."""
    s = summary(results)
    return (
        f"{s['ok']} of {s['points']} points within their tolerance; absolute error: median {s['median_pct']:.2f} %, "
        f"90th percentile {s['p90_pct']:.2f} %, worst {s['worst_pct']:.2f} %"
    )


def accuracy(sets: Mapping[str, list[Compared]]) -> Table:
    """A row for each named set of results and each machine."""
    head = ("points", "machine", "number", "within tolerance", "median error %", "worst error %")
    rows = []
    for name, results in sets.items():
        for column in NAMES:
            own = [result for result in results if result.point.column == column]
            s = summary(own)
            counts = str(s["points"]), str(s["ok"])
            if own:
                rows.append((name, NAMES[column], *counts, f"{s['median_pct']:.2f}", f"{s['worst_pct']:.2f}"))
    return Table(head, rows, (2, 3, 4, 5))


# --- programs compiled from CSL ---------------------------------------------------------------------------------------


def compiled_programs(results: Iterable[compiled.Result]) -> Table:
    """A row per program."""
    head = (
        "program",
        "machine",
        "class",
        "role",
        "published",
        "compiled",
        "error %",
        "machine only %",
        "source",
        "note",
    )
    rows = []
    for r in results:
        p = r.program
        got = ("", "") if r.emulated is None else (figure(r.emulated), signed(r.error_pct))
        beside = "" if r.machine_only is None else signed(r.machine_only)
        rows.append((p.id, NAMES[p.arch], p.kind, p.role, figure(p.published), *got, beside, p.source, r.trouble))
    return Table(head, rows, (4, 5, 6, 7))


def compiled_accuracy(results: Sequence[compiled.Result]) -> Table:
    """A row for each machine, role and class; and for all classes of a machine and role."""
    head = ("machine", "role", "class", "number", "median error %", "90th percentile %", "worst error %")
    rows = []
    for arch in NAMES:
        for role in compiled.ROLES:
            for kind in (*compiled.CLASSES, "all"):
                own = [r for r in results if (r.program.arch, r.program.role) == (arch, role)]
                s = compiled.summary(r for r in own if kind in (r.program.kind, "all"))
                errors = (f"{s[name]:.1f}" for name in ("median_pct", "p90_pct", "worst_pct"))
                if s["points"]:
                    rows.append((NAMES[arch], role, kind, str(s["points"]), *errors))
    return Table(head, rows, (3, 4, 5, 6))


def compiled_in_words(results: Sequence[compiled.Result]) -> list[str]:
    """Lines about programs that are missing or gave no figure."""
    missing = [r.program for r in results if r.missing]
    failed = [r for r in results if r.emulated is None and not r.missing]
    lines = []
    if missing:
        folders = ", ".join(dict.fromkeys(p.folder for p in missing))
        lines.append(f"{len(missing)} of {len(results)} programs are not in the folder of sources: {folders}")
    lines += [f"{r.program.id} ({NAMES[r.program.arch]}) gave no figure: {r.trouble}" for r in failed]
    return lines


# --- sensitivity -----------------------------------------------------------------------------------------------------


def parameters(columns: Iterable[str] = tuple(NAMES)) -> Table:
    """The free parameters, which the vendor does not document, with their values in these columns of machine.def."""
    columns = tuple(columns)
    rows: dict[str, list[str]] = {}
    for at, column in enumerate(columns):
        for row in free(column):
            cells = rows.setdefault(
                row.name, [row.name, *("" for _ in columns), row.unit, _confidence(row), row.meaning, row.source]
            )
            cells[1 + at] = f"{getattr(row, column):,}"
    head = ("parameter", *(NAMES[column] for column in columns), "unit", "sure", "meaning", "source")
    return Table(head, list(rows.values()), range(1, 1 + len(columns)))


def _confidence(row: Parameter) -> str:
    """The confidence of a free parameter: HW if a measured value replaces the documented one."""
    return "HW" if row.confidence == "DOC" else row.confidence


def leave_one_out(rows: Iterable[Determined]) -> tuple[Table, list[str]]:
    """(a row for each free parameter that the points determine, lines with those that they do not)."""
    head = ("machine", "parameter", "value", "sure", "all points", "decided by", "without it")
    determined: list[Sequence[str]] = []
    undetermined: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row.allowed == row.searched:
            undetermined[row.column].append(row.parameter.name)
            continue
        without = row.without
        sole = [f"{point.id}: {span(row, values)}" for point, values in without.items()]
        deciding = [p.id for side in (row.low, row.high) for p, end in side.ends.items() if end == side.end()]
        determined.append(
            (
                NAMES[row.column],
                row.parameter.name,
                f"{row.value:,}",
                _confidence(row.parameter),
                span(row, row.allowed),
                ", ".join(dict.fromkeys(deciding)),
                "; ".join(sole) or "the same: other points decide it too",
            )
        )
    lines = [f"{NAMES[column]}: no point narrows {', '.join(names)}" for column, names in undetermined.items()]
    return Table(head, determined, (2,)), lines


def compiled_leave_one_out(ranges: Iterable[Range]) -> Table:
    """A row for each figure of the machine that published programs from CSL depend on."""

    def values(low: int, high: int | None) -> str:
        if high is None:
            return f"{low:,} or more" if low else "any"
        return "none" if high < low else f"{low:,}" if low == high else f"{low:,} to {high:,}"

    return Table(
        ("machine", "parameter", "value", "sure", "programs", "all allow", "without one program"),
        [
            (
                *(NAMES[found.arch], found.parameter.name, f"{found.value:,}", _confidence(found.parameter)),
                *(str(len(found.effects)), values(*found.allowed())),
                "; ".join(f"{name}: {values(*ends)}" for name, ends in found.without.items()) or "the same",
            )
            for found in ranges
        ],
        (2, 4),
    )


def span(row: Determined, values: tuple[int, int]) -> str:
    """A range of values as text.  An end at the limit of the search is open."""
    low, high = values
    open_low, open_high = low == row.low.limit, high == row.high.limit
    if open_low and open_high:
        return "any"
    if low == high:
        return f"{low:,}"
    if open_high:
        return f"{low:,} or more"
    return f"up to {high:,}" if open_low else f"{low:,} to {high:,}"


def slopes(rows: Iterable[Slope], most: int = 4) -> Table:
    """A row for each parameter, with the `most` points that it changes most."""
    grouped: dict[str, list[Slope]] = defaultdict(list)
    for row in rows:
        grouped[row.parameter].append(row)
    head = ("parameter", "points moved", "median %", "most %", "most moved")
    table = []
    for name, own in sorted(grouped.items(), key=lambda item: -max(abs(s.pct) for s in item[1])):
        own = sorted(own, key=lambda s: -abs(s.pct))
        named = ", ".join(f"{s.point.id} ({NAMES[s.point.column]})" for s in own[:most])
        median = own[len(own) // 2].pct
        table.append((name, str(len(own)), signed(median), signed(own[0].pct), named))
    return Table(head, table, (1, 2, 3))


# --- closed forms ----------------------------------------------------------------------------------------------------


def models(rows: Iterable[Modelled]) -> Table:
    """A row for each form and number of PEs, with the error in percent, without start-up, for each length."""
    rows = list(rows)
    lengths = sorted({row.length for row in rows})
    cells: dict[tuple[str, str], dict[int, str]] = defaultdict(dict)
    for row in rows:
        grid = f"{row.grid[0]} x {row.grid[1]}" if row.square else str(row.pes)
        cells[row.name, grid][row.length] = f"{row.error_pct:+.1f}" if abs(row.error_pct) >= 0.05 else "0.0"
    head = ("closed form", "PEs", *(f"B={length}" for length in lengths))
    table = [(name, grid, *(line.get(length, "") for length in lengths)) for (name, grid), line in cells.items()]
    return Table(head, table, range(1, 2 + len(lengths)))


def models_in_words(rows: Iterable[Modelled]) -> list[str]:
    """A line for each form: the sizes within BAR_PCT, the worst error, and that against published simulator runs."""
    grouped: dict[str, list[Modelled]] = defaultdict(list)
    for row in rows:
        grouped[row.name].append(row)
    lines = []
    for name, own in grouped.items():
        near = sum(abs(row.error_pct) <= BAR_PCT for row in own)
        worst = max(own, key=lambda row: abs(row.error_pct))
        line = (
            f"{name}: {near} of {len(own)} sizes within {BAR_PCT:g} %, start-up {own[0].startup:.0f} cycles; "
            f"worst {signed(worst.error_pct)} % at {worst.pes} PEs, B={worst.length}"
        )
        fits = [row.published_error_pct for row in own if row.published_error_pct is not None and row.pes == 512]
        if fits:
            line += f"; against the authors' simulator runs at 512 PEs, as a fit: within {max(map(abs, fits)):.1f} %"
        far = [abs(row.error_pct) * row.model / 100 for row in own if abs(row.error_pct) > BAR_PCT]
        if far:
            line += f"; those beyond are off by {min(far):,.0f} to {max(far):,.0f} cycles"
        lines.append(line)
    return lines


# --- documents -------------------------------------------------------------------------------------------------------


def names(text: str) -> list[str]:
    """The names of a document's blocks, in order."""
    return [match[1] for match in _BLOCK.finditer(text)]


def splice(text: str, blocks: Mapping[str, str]) -> str:
    """The document with these blocks replaced.  blocks: text by name."""
    return _BLOCK.sub(lambda m: f"<!-- {m[1]} -->\n{blocks[m[1]]}\n<!-- /{m[1]} -->" if m[1] in blocks else m[0], text)


def block(text: str, name: str) -> str:
    """The text of a block.  Raises ConfigError if the document does not have it."""
    for match in _BLOCK.finditer(text):
        if match[1] == name:
            return match[2].strip("\n")
    raise ConfigError(f"the document has no block <!-- {name} --> to <!-- /{name} -->")


_BLOCK = re.compile(r"<!-- ([\w-]+) -->\n(.*?)<!-- /\1 -->", re.DOTALL)
