"""Makes the Run.detail of a loaded program: code and places of its classes, names and routes of its colors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..program.assembler import disassemble_word
from ..program.image import Image, PEImage
from .detail import ClassDetail, Detail
from .diagnosis import Deadlock


def describe(image: Image, profiles: Mapping[str, np.ndarray] | None, deadlock: Deadlock | None) -> Detail:
    """The Detail of a loaded program.  profiles: as `Fabric.profile` returns them, or None."""
    return Detail(
        {int(color): color.name for color in image.colors.values()},
        [_class_detail(pe, None if profiles is None else profiles[pe.name]) for pe in image.classes],
        image.class_of_pe,
        {int(color): image.routes.planes[color] for color in image.colors.values() if color in image.routes.planes},
        None if deadlock is None else deadlock.graph(),
    )


def _class_detail(pe: PEImage, profile: np.ndarray | None) -> ClassDetail:
    places = [pe.describe(pc) for pc in range(len(pe.words))]
    texts: dict[str, str] = {}  # by line, because reading a line from its file is slow
    for pc, place in enumerate(places):
        if _line(place) not in texts:
            texts[_line(place)] = pe.source(pc)
    code = [disassemble_word(int(word)) for word in pe.words]
    return ClassDetail(pe.name, dict(pe.tasks), code, places, [texts[_line(place)] for place in places], profile)


def _line(place: str) -> str:
    """File and line of `pe.csl:12:5 in compute`."""
    return ":".join(place.split(" ")[0].rstrip(",").split(":")[:2])
