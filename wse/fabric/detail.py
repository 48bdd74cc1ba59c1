"""Detail: what the explorer shows beside the measurements of a run: classes, code, routes, a profile, waits.

Fabric(program, detail=True) records it.  It has plain values only, so that it can be pickled and saved with the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

import numpy as np

from .. import _engine
from ..records import dataclass
from .states import States

MOST_PES = 1 << 16  # of a grid for which profile and activity are recorded as well
MOST_LINKS = 1 << 23  # PEs times colors with routes, for which links by color are kept
COLUMNS = 1 + len(_engine.causes())  # of a profile


@dataclass(eq=False)
class ClassDetail:
    """A class of PEs.

    - tasks: ids by name.
    - code: its instructions as text; places: where each stands in the source; lines: the text of that line, or "".
    - memory: its variables and code: [name, address, bytes, type or "", whether it is the code].
    - profile: uint64 [instructions + 1, COLUMNS], as `Fabric.profile`; None if none was kept.
    """

    name: str
    tasks: dict[str, int]
    code: list[str]
    places: list[str]
    lines: list[str]
    memory: list[list[Any]] = field(default_factory=list)
    profile: np.ndarray | None = None


@dataclass(eq=False)
class Detail:
    """A loaded program, and the waits of a deadlock.

    - colors: names by number.  classes: of PEs.
    - class_of: uint16 [h, w], index into `classes`, 0xFFFF for a PE without a program.
    - routes: uint64 [h, w] by color: the configuration word of each router (wse.program.route), 0 for no route.
    - waits: {"who": sentences, "pe": numbers of PEs, "edges": [from, to] pairs, "cycle": indices, "count": all waits};
      None if the run did not end in a deadlock.
    - links: uint64 [5, h, w] by color: its wavelets that left each router to the north, east, south, west and down the
      ramp; {} if they were not counted.
    - states: what a few PEs held over time; None if it was not recorded.
    - fp16: the format of `f16`: "f16", "bf16" or "cb16".
    """

    colors: dict[int, str]
    classes: list[ClassDetail]
    class_of: np.ndarray
    routes: dict[int, np.ndarray]
    waits: dict[str, Any] | None = field(default=None)
    links: dict[int, np.ndarray] = field(default_factory=dict)
    states: States | None = None
    fp16: str = "f16"

    def sram_used(self) -> np.ndarray:
        """Bytes of each PE that its code and variables take: uint64 [h, w]."""
        table = np.zeros(1 << 16, np.uint64)
        table[: len(self.classes)] = [sum(size for _, _, size, *_ in one.memory) for one in self.classes]
        return table[self.class_of]

    def plain(self) -> dict[str, Any]:
        """All but the arrays, as JSON values."""
        classes = [{name: getattr(one, name) for name in _PLAIN} for one in self.classes]
        plain = {"colors": [[color, name] for color, name in self.colors.items()], "classes": classes}
        return (
            plain
            | {"fp16": self.fp16}
            | ({"waits": self.waits} if self.waits else {})
            | ({"states": self.states.plain()} if self.states else {})
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays, by names of letters, digits and underscores."""
        named = {"class_of": self.class_of} | {f"route_{color}": plane for color, plane in self.routes.items()}
        profiles = {f"profile_{i}": one.profile for i, one in enumerate(self.classes) if one.profile is not None}
        links = {f"links_{color}": planes for color, planes in self.links.items()}
        return named | profiles | links | (self.states.arrays() if self.states else {})

    @classmethod
    def of(cls, plain: Any, arrays: Mapping[str, np.ndarray], shape: tuple[int, int]) -> Detail:
        """The Detail of `plain` and `arrays`, for a grid of this shape [h, w].  ValueError if they are not valid."""
        if not isinstance(plain, dict) or plain.keys() - {"colors", "classes", "waits", "states", "fp16"}:
            raise ValueError("its detail is wrong")
        classes = []
        left = dict(arrays)
        for i, one in enumerate(plain["classes"]):
            one = {"memory": []} | one  # files of before have none
            if one.keys() != set(_PLAIN) or not all(isinstance(one[name], kind) for name, kind in _PLAIN.items()):
                raise ValueError(f"its class {i} is wrong")
            texts = [one["name"], *one["tasks"], *one["code"], *one["places"], *one["lines"]]
            sizes = {len(one["code"]), len(one["places"]), len(one["lines"])}
            profile = left.pop(f"profile_{i}", None)
            wanted = (len(one["code"]) + 1, COLUMNS)
            if profile is not None and (profile.dtype != np.uint64 or profile.shape != wanted):
                raise ValueError(f"the profile of its class {i} is wrong")
            if len(sizes) != 1 or not all(isinstance(text, str) for text in texts) or not _is_memory(one["memory"]):
                raise ValueError(f"its class {i} is wrong")
            classes.append(ClassDetail(**one, profile=profile))
        colors = {int(color): str(name) for color, name in plain["colors"]}
        class_of = left.pop("class_of")
        routes = {color: left.pop(f"route_{color}") for color in colors if f"route_{color}" in left}
        links = {color: left.pop(f"links_{color}") for color in colors if f"links_{color}" in left}
        if any(p.dtype != np.uint64 or p.shape != (_engine.PORTS, *shape) for p in links.values()):
            raise ValueError("its links by color are wrong")
        recorded = {name: left.pop(name) for name in list(left) if name.startswith("states_")}
        states = States.of(plain["states"], recorded, shape[0] * shape[1]) if "states" in plain or recorded else None
        known = class_of.shape == shape and class_of.dtype == np.uint16
        if left or not known or any(p.shape != shape or p.dtype != np.uint64 for p in routes.values()):
            raise ValueError(f"its detail is wrong: {', '.join(sorted(left)) or 'a plane'}")
        waits = _checked(plain.get("waits"), shape[0] * shape[1])
        return cls(colors, classes, class_of, routes, waits, links, states, str(plain.get("fp16", "f16")))


_PLAIN: dict[str, type] = {"name": str, "tasks": dict, "code": list, "places": list, "lines": list, "memory": list}
_MEMORY = (str, int, int, str, bool)  # types of a row of `memory`


def _is_memory(rows: list[Any]) -> bool:
    """Whether these are rows of a memory map."""
    return all(
        isinstance(row, list) and len(row) == len(_MEMORY) and all(map(isinstance, row, _MEMORY)) for row in rows
    )


_WAITS = ("who", "pe", "edges", "cycle", "count")


def _checked(found: Any, pes: int) -> dict[str, Any] | None:
    """The waits of a file, checked.  ValueError if they are not valid."""
    if found is None:
        return None
    if not isinstance(found, dict) or found.keys() != set(_WAITS) or len(found["who"]) != len(found["pe"]):
        raise ValueError("its waits are wrong")
    count = len(found["who"])
    numbers = [i for edge in found["edges"] for i in edge] + found["cycle"]
    if any(len(edge) != 2 for edge in found["edges"]) or not all(0 <= int(i) < count for i in numbers):
        raise ValueError("its waits are wrong")
    if not all(0 <= int(pe) < pes for pe in found["pe"]) or not all(isinstance(text, str) for text in found["who"]):
        raise ValueError("its waits are wrong")
    return found
