"""Makes the Run.detail of a loaded program: code and places of its classes, names and routes of its colors, states."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from .. import _engine
from ..machine import isa
from ..program.assembler import disassemble_word
from ..program.image import NO_CLASS, Image, PEImage
from . import diagnosis, states
from .detail import MOST_LINKS, ClassDetail, Detail
from .diagnosis import Deadlock
from .states import Recorder
from .watch import Watch


class Details:
    """The methods of `Fabric` for Run.detail and Run.activity."""

    image: Image
    width: int
    height: int
    profile: Callable[[], dict[str, np.ndarray]]
    _engine: _engine.Engine
    _watch: Watch
    _states: Recorder | None
    _has_profile: bool
    _activity_step: int

    def _detail(self, ended: str) -> Detail:
        """Run.detail of a run that has ended like this."""
        waiting = diagnosis.waiting(self.image, self._engine) if ended == "deadlock" else None
        found = describe(self.image, self.profile() if self._has_profile else None, waiting)
        few = len(found.routes) * self.width * self.height <= MOST_LINKS
        for color in found.routes if few else ():
            if (links := self._engine.color_links(color)) is not None:
                found.links[color] = np.frombuffer(links, np.uint64).reshape(_engine.PORTS, self.height, self.width)
        found.states = None if self._states is None else self._states.states()
        return found

    def _activity(self) -> np.ndarray:
        """Run.activity."""
        places = -(-self.width // self._activity_step)
        return np.array(self._engine.plane(_engine.PLANE_ACTIVITY))[:, :, :places].copy()

    def _record_states(self, chosen: np.ndarray | None) -> None:
        """Records the states of the PEs that are traced, if they are few.  chosen: their mask; None: all are."""
        here = self.image.class_of_pe != NO_CLASS
        rows, columns = np.nonzero(here if chosen is None else here & (chosen > 0))
        if 1 <= len(rows) <= states.MOST_PES:
            pes = list(zip(columns.tolist(), rows.tolist(), strict=True))
            dsrs = 1 + max(isa.highest_dsr(pe.words)[0] for pe in self.image.classes)
            self._states = Recorder(self._engine, self.width, pes, self._watch.since, self._watch.until, dsrs)

    def _names(self) -> dict[str, dict[str, int]]:
        """Names of tasks and colors, for traces."""
        tasks = {name: id for pe in self.image.classes for name, id in pe.tasks.items()}
        return {"tasks": tasks, "colors": {name: int(color) for name, color in self.image.colors.items()}}


def row_part(width: int, height: int, most: int) -> int:
    """PEs of a row that share an activity, so that there are at most `most` activities; 0: there are too many."""
    step = 1
    while -(-width // step) * height > most:
        step *= 2
    return step if step == 1 or (step <= 64 <= width) else 0


def describe(image: Image, profiles: Mapping[str, np.ndarray] | None, deadlock: Deadlock | None) -> Detail:
    """The Detail of a loaded program.  profiles: as `Fabric.profile` returns them, or None."""
    return Detail(
        {int(color): color.name for color in image.colors.values()},
        [_class_detail(pe, None if profiles is None else profiles[pe.name]) for pe in image.classes],
        image.class_of_pe,
        {int(color): image.routes.planes[color] for color in image.colors.values() if color in image.routes.planes},
        None if deadlock is None else deadlock.graph(),
        fp16=image.fp16,
    )


def _class_detail(pe: PEImage, profile: np.ndarray | None) -> ClassDetail:
    places = [pe.describe(pc) for pc in range(len(pe.words))]
    texts: dict[str, str] = {}  # by line, because reading a line from its file is slow
    for pc, place in enumerate(places):
        if _line(place) not in texts:
            texts[_line(place)] = pe.source(pc)
    code = [disassemble_word(int(word)) for word in pe.words]
    memory = [[r.name, r.address, r.bytes, r.type, r.code] for r in sorted(pe.regions, key=lambda r: r.address)]
    lines = [texts[_line(place)] for place in places]
    return ClassDetail(pe.name, dict(pe.tasks), code, places, lines, memory, profile)


def _line(place: str) -> str:
    """File and line of `pe.csl:12:5 in compute`."""
    return ":".join(place.split(" ")[0].rstrip(",").split(":")[:2])
