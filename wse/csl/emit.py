"""What `cslc --emit` prints of a compiled program: its IR, its code with source lines, its memory, its layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..program.assembler import disassemble_word
from ..program.image import NO_CLASS
from .artifact import Artifact, ClassImage
from .ir import ir
from .ir import text as irtext

FORMS = ("asm", "ir", "layout", "memory-map")


def emit(form: str, layout: ir.Layout, artifact: Artifact) -> str:
    """Text in one of the FORMS.  ir: after simplification."""
    if form == "ir":
        return irtext.text(layout)
    if form == "layout":
        return layout_text(artifact)
    return "\n".join(asm(artifact, c) if form == "asm" else memory_map(artifact, c) for c in artifact.classes)


def asm(artifact: Artifact, image: ClassImage) -> str:
    """A class's code: each run of instructions under the source line it is from, the place beside each instruction."""
    lines = [f"class {image.name}  // {image.file} {image.params}".rstrip()]
    starts = {index: name for name, index in image.labels.items()}
    sources: dict[int, list[str]] = {}
    last = None
    for i, word in enumerate(image.code):
        if i in starts:
            lines.append(f"{starts[i]}:")
            last = None
        file, line = int(image.lines[i, 0]), int(image.lines[i, 1])
        if (file, line) != last and file >= 0:
            lines.append(
                f"  // {Path(artifact.files[file]).name}:{line}  {artifact.source_line(sources, file, line)}".rstrip()
            )
        last = (file, line)
        lines.append(f"  {i:5}  {disassemble_word(int(word)):32}  // {_place(artifact, image, i)}")
    return "\n".join(lines) + "\n"


def _place(artifact: Artifact, image: ClassImage, index: int) -> str:
    """`pe.csl:12:5 in compute`"""
    file, line, column, function = image.lines[index].tolist()
    within = f"in {artifact.function_names[function]}" if function >= 0 else ""
    return f"{Path(artifact.files[file]).name}:{line}:{column} {within}".rstrip() if file >= 0 else within


def memory_map(artifact: Artifact, image: ClassImage) -> str:
    """What lies where in a PE of the class."""
    used = sum(row.bytes for row in image.memory)
    count = int((artifact.class_of == artifact.classes.index(image)).sum())
    lines = [f"class {image.name}  // {image.file}, {count} PEs, {used} bytes used"]
    end = 0
    for row in image.memory:
        if row.address > end:
            lines.append(f"  {end:6} {row.address:6} {row.address - end:6} B  (free)")
        lines.append(f"  {row.address:6} {row.address + row.bytes:6} {row.bytes:6} B  {row.name}  ({row.what})")
        end = max(end, row.address + row.bytes)
    return "\n".join(lines) + "\n"


def layout_text(artifact: Artifact) -> str:
    """Classes and routes over the rectangle."""
    a = artifact
    lines = [f"{a.file}: {a.width} x {a.height} PEs on {a.arch}"]
    for i, image in enumerate(a.classes):
        lines.append(f"class {i} {image.name}: {_where(a.class_of == i)}  // {image.file} {image.params}".rstrip())
    if (a.class_of == NO_CLASS).any():
        lines.append(f"no code: {_where(a.class_of == NO_CLASS)}")
    for name, color in sorted(a.host_colors.items()):
        lines.append(f"color {color}: the host's {name}")
    for color, (plane, configs) in sorted(a.routes.items()):
        for i, c in enumerate(configs):
            here = plane == i
            if here.any():
                more = "".join(f" | {rx or c.rx} -> {tx or c.tx}" for rx, tx in c.switch)
                lines.append(f"color {color}: {c.rx} -> {c.tx}{more} at {_where(here)}")
    return "\n".join(lines) + "\n"


def routes(artifact: Artifact) -> str:
    """A table of the colors that each PE's router has at the start: where it takes them from and passes them on to."""
    names = artifact.color_names | {color: name for name, color in artifact.host_colors.items()}
    rows = [("PE", "color", "name", "input", "output", "switch positions", "set at")]
    for y, x in np.ndindex(artifact.height, artifact.width):
        for color, (plane, configs) in sorted(artifact.routes.items()):
            if plane[y, x] >= 0:
                c = configs[plane[y, x]]
                switch = " | ".join(f"{rx or c.rx} -> {tx or c.tx}" for rx, tx in c.switch) + (
                    " (ring)" if c.ring else ""
                )
                rows.append((f"({x}, {y})", str(color), names.get(color, ""), c.rx, c.tx, switch, c.at))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]]) + "\n"


def _where(here: np.ndarray) -> str:
    """Which PEs, as a rectangle if they are one."""
    count = int(here.sum())
    if not count:
        return "nowhere"
    y, x = np.nonzero(here)
    x0, x1, y0, y1 = int(x.min()), int(x.max()), int(y.min()), int(y.max())
    span = f"x {x0}..{x1}, y {y0}..{y1}"
    return f"{span} ({count} PEs)" if count == (x1 - x0 + 1) * (y1 - y0 + 1) else f"{count} PEs within {span}"
