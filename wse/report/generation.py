"""Picture of a model on the wafer: where its regions lie, and how busy their PEs were."""

from pathlib import Path

import numpy as np
from matplotlib.patches import Rectangle

from .figure import FAINT, HEAT, INK, new, save


def draw(layout, busy, cycles, wafer, path):
    """Write `figure` to `path`; its ending selects the format.  Raises ConfigError if the file cannot be written."""
    save(figure(layout, busy, cycles, wafer), Path(path))


def figure(layout, busy, cycles, wafer):
    """The picture as a Figure: the wafer with the strip, and the strip alone, stretched.

    layout: .width, .height, .regions(), of a strip from the wafer's corner.  busy: slots in which each PE executed,
    [height, width].  cycles: of the run.  wafer: width, height in PEs.
    """
    share = 100 * np.asarray(busy, np.float64) / max(1, cycles)
    most = max(float(share.max()), 1e-9)
    made = new(10, 8)
    left, right = made.subplots(1, 2, width_ratios=(2, 1))
    left.add_patch(Rectangle((-0.5, -0.5), *wafer, facecolor="#F4F4F4", edgecolor=FAINT, zorder=-1))
    left.imshow(share, cmap=HEAT, vmin=0, vmax=most, interpolation="nearest", aspect="auto")
    left.set_xlim(-0.5, wafer[0] - 0.5)
    left.set_ylim(wafer[1] - 0.5, -0.5)
    left.set_aspect("equal")
    left.set_title(f"the wafer, {wafer[0]} x {wafer[1]} PEs", fontsize=10, color=INK)
    drawn = right.imshow(share, cmap=HEAT, vmin=0, vmax=most, interpolation="nearest", aspect="auto")
    right.set_title(f"the strip, {layout.width} x {layout.height} PEs, stretched", fontsize=10, color=INK)
    regions = layout.regions()
    for _, top, height in regions:
        right.add_patch(
            Rectangle((-0.5, top - 0.5), layout.width, height, fill=False, edgecolor="white", linewidth=0.6)
        )
    right.set_yticks([top + height / 2 - 0.5 for _, top, height in regions], [name for name, _, _ in regions])
    right.tick_params(axis="y", labelsize=6, length=0)
    made.colorbar(drawn, ax=right, label="slots with an instruction, %")
    return made
