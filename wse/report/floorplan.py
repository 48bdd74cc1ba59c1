"""Pictures of a floor plan: rectangles of regions colored by kernel, and wires between them.

The functions take any objects with the named attributes.
"""

from pathlib import Path

from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from .figure import FAINT, INK, LINES, canvas, ink_on, new, save, tidy

COLORS = {
    "attention": "#0072B2",
    "mlp": "#D55E00",
    "fc": "#D55E00",
    "head": "#117733",
    "embedding": "#88CCEE",
    "positions": "#88CCEE",
    "gelu": "#E69F00",
    "norm": "#CC79A7",
    "add": "#332288",
    "loss": "#999933",
}


def draw(plan, path, wires=True):
    """Write `figure` to `path`; its ending selects the format.  Raises ConfigError if the file cannot be written."""
    save(figure(plan, wires), Path(path))


def figure(plan, wires=True, ax=None):
    """The picture of a floor plan as a Figure.

    plan: .model, .grid (width, height), .rate (sequences/s), .active (share of the PEs), .placed (.region.name,
    .region.kernel, .rectangle) and .wires (.corners).  wires: draw them.  ax: matplotlib Axes of a grid of subplots
    whose place the picture takes; None: a new figure.
    """
    width, height = plan.grid
    made = canvas(9, max(3.5, min(9, 1.6 + 7 * height / width)), ax)
    axes = made.subplots()
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(height - 0.5, -0.5)
    axes.set_aspect("equal" if 1 / 6 < width / height < 6 else "auto")
    axes.add_patch(Rectangle((-0.5, -0.5), width, height, facecolor="#F4F4F4", edgecolor=FAINT))
    for p in plan.placed:
        r = p.rectangle
        color = COLORS.get(p.region.kernel, FAINT)
        axes.add_patch(
            Rectangle((r.x - 0.5, r.y - 0.5), r.width, r.height, facecolor=color, edgecolor="white", linewidth=0.4)
        )
        if r.width > 0.09 * width and r.height > 0.04 * height:
            axes.text(*r.center, p.region.name, ha="center", va="center", fontsize=6, color=ink_on(color))
        elif r.height > 0.12 * height and r.width > 0.012 * width:
            axes.text(*r.center, p.region.name, ha="center", va="center", fontsize=5, color=ink_on(color), rotation=90)
    if wires:
        for wire in plan.wires:
            if wire.source < wire.destination:
                axes.plot(*zip(*wire.corners, strict=True), color=INK, linewidth=0.4, alpha=0.7)
    kernels = dict.fromkeys(p.region.kernel for p in plan.placed)
    handles: list[Patch | Line2D] = [Patch(color=COLORS.get(kernel, FAINT), label=kernel) for kernel in kernels]
    handles.append(Line2D([], [], color=INK, linewidth=0.6, label="wire"))
    made.legend(handles=handles, loc="outside lower center", ncols=min(9, len(handles)), fontsize=8, frameon=False)
    axes.set_xlabel("x, PEs", fontsize=9)
    axes.set_ylabel("y, PEs", fontsize=9)
    tidy(axes)
    made.suptitle(
        f"{plan.model}, pipelined on {width} x {height} PEs: {plan.rate:,.0f} sequences/s, "
        f"{100 * plan.active:.0f} % of the PEs in use",
        fontsize=11,
        color=INK,
    )
    return made.get_figure(root=True)


def bars(rows, path):
    """Write a bar chart of PEs by kernel, computed and published.  rows: (kernel, computed, published)."""
    figure = new(7, 3.6)
    axes = figure.subplots()
    for i, (_, computed, published) in enumerate(rows):
        axes.barh(i - 0.2, published, 0.38, color=LINES[1], label="published" if not i else None)
        axes.barh(i + 0.2, computed, 0.38, color=LINES[0], label="computed" if not i else None)
    axes.set_yticks(range(len(rows)), [row[0] for row in rows], fontsize=8)
    axes.set_xscale("log")
    axes.invert_yaxis()
    axes.set_xlabel("PEs", fontsize=9)
    axes.legend(fontsize=8, frameon=False)
    tidy(axes)
    save(figure, Path(path))
