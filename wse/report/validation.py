"""Pictures of `wse validate`: emulated and published figures, sensitivity, closed forms.

The functions take any objects with the named attributes.  They write to `path`, whose ending selects the format, and
raise ConfigError if that fails.
"""

from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import SymLogNorm
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter

from ..errors import ConfigError
from . import STILL
from .figure import FAINT, HEAT, INK, LINES, ink_on, new, save, tidy

_MARKERS = {"wse2": ("o", LINES[0]), "wse3": ("s", LINES[1]), "silicon": ("^", LINES[2])}
NAMES = {"wse2": "WSE-2, simulator", "wse3": "WSE-3, simulator", "silicon": "WSE-3, silicon"}


def check(path):
    """Raise ConfigError if `path` has no ending of a picture or no folder.  Quick, for use before a long run."""
    path = Path(path)
    if path.suffix.lower() not in STILL:
        raise ConfigError(
            f"cannot tell the picture's format from {str(path)!r}: the name must end in {', '.join(STILL)}"
        )
    if not path.parent.is_dir():
        raise ConfigError(f"cannot write {str(path)!r}: there is no folder {str(path.parent)!r}")


def points(results, summary, path, band=5.0):
    """Write a picture of emulated against published cycles, and of the error and tolerance of each point.

    results: .point (.id, .column, .unit, .published, .tolerance_pct), .emulated, .error_pct, .ok.  summary: as of
    validation.points.summary.  band: half width of the shaded band, in percent.
    """
    figure = new(11, 5 + 0.12 * max(0, len(results) - 30))
    scatter, errors = figure.subplots(1, 2, width_ratios=(1, 1.1))
    _draw_scatter(scatter, [r for r in results if r.point.unit == "cycles"], band)
    _draw_errors(errors, results)
    shown = {r.point.column for r in results}
    handles = [
        Line2D([], [], linestyle="", marker=marker, color=color, markersize=5, label=NAMES[column])
        for column, (marker, color) in _MARKERS.items()
        if column in shown
    ]
    handles.append(Line2D([], [], color=LINES[0], alpha=0.15, linewidth=8, label=f"± {band:g} %"))
    scatter.legend(handles=handles, fontsize=8, frameon=False, loc="upper left")
    figure.suptitle(
        f"{summary['ok']} of {summary['points']} published points within their tolerance; error: "
        f"median {summary['median_pct']:.2f} %, 90th percentile {summary['p90_pct']:.2f} %, "
        f"worst {summary['worst_pct']:.2f} %",
        fontsize=11,
        color=INK,
    )
    save(figure, Path(path))


def _draw_scatter(axes, results, band):
    """Draw emulated over published cycles."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("published, cycles", fontsize=9)
    axes.set_ylabel("emulated, cycles", fontsize=9)
    tidy(axes)
    if not results:
        axes.text(0.5, 0.5, "no point is in cycles", ha="center", va="center", transform=axes.transAxes, color=INK)
        return
    values = [v for r in results for v in (r.point.published, r.emulated) if v > 0]
    ends = np.array([min(values) / 1.5, max(values) * 1.5])
    axes.fill_between(ends, ends * (1 - band / 100), ends * (1 + band / 100), color=LINES[0], alpha=0.15, linewidth=0)
    axes.plot(ends, ends, color=FAINT, linewidth=1)
    for column, (marker, color) in _MARKERS.items():
        own = [r for r in results if r.point.column == column]
        if own:
            x, y = [r.point.published for r in own], [r.emulated for r in own]
            axes.plot(x, y, marker, color=color, markersize=5, alpha=0.8)
    axes.set_xlim(*ends)
    axes.set_ylim(*ends)


def _draw_errors(axes, results):
    """Draw a row per point, with its tolerance as a bar and its error as a mark."""
    rows = np.arange(len(results))
    tolerance = np.array([r.point.tolerance_pct for r in results], float)
    axes.barh(rows, 2 * tolerance, left=-tolerance, height=0.7, color="#EEEEEE", label="tolerance")
    for row, result in zip(rows, results, strict=True):
        marker, color = _MARKERS[result.point.column]
        axes.plot(
            result.error_pct,
            row,
            marker,
            color=color,
            markersize=4 if result.ok else 7,
            markeredgecolor="none" if result.ok else INK,
        )
    axes.axvline(0, color=FAINT, linewidth=1)
    axes.set_yticks(rows, [r.point.id for r in results], fontsize=6.5)
    axes.set_ylim(len(results) - 0.5, -0.5)
    axes.set_xlabel("error, %; grey: tolerance", fontsize=9)
    tidy(axes)
    axes.tick_params(axis="y", labelsize=6.5)


def slopes(rows, path):
    """Write a heat map of the change of each point's time, in percent, for 10 % more of each timing parameter.

    rows: .point (.id, .column), .parameter, .pct.  Parameters and points without a row are not drawn.
    """
    names = list(dict.fromkeys(row.parameter for row in rows))
    names.sort(key=lambda name: -max(abs(row.pct) for row in rows if row.parameter == name))
    columns = sorted(dict.fromkeys(row.point for row in rows), key=lambda point: list(NAMES).index(point.column))
    cells = np.zeros((len(names), len(columns)))
    for row in rows:
        cells[names.index(row.parameter), columns.index(row.point)] = row.pct
    figure = new(max(6, 2.8 + 0.34 * len(columns)), max(3.5, 2.3 + 0.24 * len(names)))
    axes = figure.subplots()
    top = max(1.0, float(np.abs(cells).max(initial=0)))
    image = axes.imshow(
        cells, cmap="RdBu_r", norm=SymLogNorm(0.1, vmin=-top, vmax=top), aspect="auto", interpolation="none"
    )
    axes.set_yticks(range(len(names)), names, fontsize=7.5)
    axes.set_xticks(range(len(columns)), [point.id for point in columns], rotation=90, fontsize=7)
    for i, j in np.argwhere(np.abs(cells) >= 0.05):
        axes.text(
            j,
            i,
            _short(cells[i, j]),
            ha="center",
            va="center",
            fontsize=5.5,
            color=ink_on(image.cmap(image.norm(cells[i, j]))),
        )
    starts = [j for j in range(1, len(columns)) if columns[j].column != columns[j - 1].column]
    for j in starts:
        axes.axvline(j - 0.5, color=INK, linewidth=1)
    for first in [0, *starts] if columns else []:
        axes.text(first - 0.4, -0.75, NAMES[columns[first].column], fontsize=8, ha="left", va="bottom", color=INK)
    bar = figure.colorbar(image, ax=axes, pad=0.01, aspect=40)
    bar.set_label("change of the time in % for 10 % more of the parameter", fontsize=8)
    bar.set_ticks([-10, -1, -0.1, 0, 0.1, 1, 10], labels=["-10", "-1", "-0.1", "0", "0.1", "1", "10"])
    bar.ax.tick_params(labelsize=7)
    save(figure, Path(path))


def _short(value):
    return f"{value:.0f}" if abs(value) >= 9.95 else f"{value:.1f}"


def models(rows, path):
    """Write a picture of the errors of the emulator against closed forms, without start-up, over the length.

    A panel for each form, a line for each number of PEs.  rows: .name, .pes, .length, .error_pct, .claimed_pct (the
    accuracy that the authors claim, or None).
    """
    names = list(dict.fromkeys(row.name for row in rows))
    across = min(3, max(1, len(names)))
    down = max(1, -(-len(names) // across))
    figure = new(3.6 * across + 0.6, 2.7 * down + 0.8)
    panels = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).ravel()
    sizes = sorted({row.pes for row in rows})
    colors = {pes: colormaps[HEAT](0.9 * i / max(1, len(sizes) - 1)) for i, pes in enumerate(sizes)}
    for axes, name in zip(panels, names, strict=False):
        own = [row for row in rows if row.name == name]
        if own[0].claimed_pct is not None:
            axes.axhspan(-own[0].claimed_pct, own[0].claimed_pct, color="#EEEEEE")
        for pes in sorted({row.pes for row in own}):
            line = sorted((row.length, row.error_pct) for row in own if row.pes == pes)
            axes.plot(*zip(*line, strict=True), marker="o", markersize=3, linewidth=1, color=colors[pes])
        axes.set_xscale("log", base=2)
        axes.set_yscale("symlog", linthresh=5)
        axes.yaxis.set_major_locator(
            FixedLocator([sign * tick for tick in (5, 10, 100, 1000) for sign in (1, -1)] + [0])
        )
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set_title(name, fontsize=9, color=INK)
        tidy(axes)
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("B, wavelets", fontsize=8)
        axes.set_ylabel("error, %", fontsize=8)
    panels[0].set_ylim(-12, max(12, 1.5 * max(row.error_pct for row in rows)))
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    handles = [
        Line2D([], [], color=colors[pes], marker="o", markersize=3, linewidth=1, label=f"{pes} PEs") for pes in sizes
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(sizes) or 1, fontsize=7.5, frameon=False)
    figure.suptitle("Error of the emulator, without start-up, against the closed forms", fontsize=11, color=INK)
    save(figure, Path(path))
