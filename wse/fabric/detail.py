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

MOST_PES = 1 << 16  # of a grid for which profile and activity are recorded as well
COLUMNS = 1 + len(_engine.causes())  # of a profile


@dataclass(eq=False)
class ClassDetail:
    """A class of PEs.

    - tasks: ids by name.
    - code: its instructions as text; places: where each stands in the source; lines: the text of that line, or "".
    - profile: uint64 [instructions + 1, COLUMNS], as `Fabric.profile`; None if none was kept.
    """

    name: str
    tasks: dict[str, int]
    code: list[str]
    places: list[str]
    lines: list[str]
    profile: np.ndarray | None = None


@dataclass(eq=False)
class Detail:
    """A loaded program, and the waits of a deadlock.

    - colors: names by number.  classes: of PEs.
    - class_of: uint16 [h, w], index into `classes`, 0xFFFF for a PE without a program.
    - routes: uint64 [h, w] by color: the configuration word of each router (wse.program.route), 0 for no route.
    - waits: {"who": sentences, "pe": numbers of PEs, "edges": [from, to] pairs, "cycle": indices, "count": all waits};
      None if the run did not end in a deadlock.
    """

    colors: dict[int, str]
    classes: list[ClassDetail]
    class_of: np.ndarray
    routes: dict[int, np.ndarray]
    waits: dict[str, Any] | None = field(default=None)

    def plain(self) -> dict[str, Any]:
        """All but the arrays, as JSON values."""
        classes = [{name: getattr(one, name) for name in _PLAIN} for one in self.classes]
        return {"colors": [[color, name] for color, name in self.colors.items()], "classes": classes} | (
            {"waits": self.waits} if self.waits else {}
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays, by names of letters, digits and underscores."""
        named = {"class_of": self.class_of} | {f"route_{color}": plane for color, plane in self.routes.items()}
        profiles = {f"profile_{i}": one.profile for i, one in enumerate(self.classes) if one.profile is not None}
        return named | profiles

    @classmethod
    def of(cls, plain: Any, arrays: Mapping[str, np.ndarray], shape: tuple[int, int]) -> Detail:
        """The Detail of `plain` and `arrays`, for a grid of this shape [h, w].  ValueError if they are not valid."""
        if not isinstance(plain, dict) or plain.keys() - {"colors", "classes", "waits"}:
            raise ValueError("its detail is wrong")
        classes = []
        left = dict(arrays)
        for i, one in enumerate(plain["classes"]):
            if one.keys() != set(_PLAIN) or not all(isinstance(one[name], kind) for name, kind in _PLAIN.items()):
                raise ValueError(f"its class {i} is wrong")
            texts = [one["name"], *one["tasks"], *one["code"], *one["places"], *one["lines"]]
            sizes = {len(one["code"]), len(one["places"]), len(one["lines"])}
            profile = left.pop(f"profile_{i}", None)
            wanted = (len(one["code"]) + 1, COLUMNS)
            if profile is not None and (profile.dtype != np.uint64 or profile.shape != wanted):
                raise ValueError(f"the profile of its class {i} is wrong")
            if len(sizes) != 1 or not all(isinstance(text, str) for text in texts):
                raise ValueError(f"its class {i} is wrong")
            classes.append(ClassDetail(**one, profile=profile))
        colors = {int(color): str(name) for color, name in plain["colors"]}
        class_of = left.pop("class_of")
        routes = {color: left.pop(f"route_{color}") for color in colors if f"route_{color}" in left}
        known = class_of.shape == shape and class_of.dtype == np.uint16
        if left or not known or any(p.shape != shape or p.dtype != np.uint64 for p in routes.values()):
            raise ValueError(f"its detail is wrong: {', '.join(sorted(left)) or 'a plane'}")
        return cls(colors, classes, class_of, routes, _checked(plain.get("waits"), shape[0] * shape[1]))


_PLAIN: dict[str, type] = {"name": str, "tasks": dict, "code": list, "places": list, "lines": list}
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
