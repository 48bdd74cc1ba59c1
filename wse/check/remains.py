"""Findings at the end of a run: wavelets left in queues and routers, and wavelets that left the rectangle."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .. import _engine
from ..fabric.diagnosis import color_name, task_name
from ..fabric.fabric import Fabric
from ..program import route
from .finding import Finding

_SIDES = ("north", "east", "south", "west")


def findings(fabric: Fabric) -> list[Finding]:
    """The findings at the end of a run."""
    return [*_dropped(fabric), *_left(fabric)]


def _dropped(fabric: Fabric) -> Iterator[Finding]:
    """Colors whose wavelets left the rectangle.  The PE is the first one whose route leads out on that side."""
    for color, port in fabric.dropped():
        side = route.PORTS.index(port)
        edge = np.zeros((fabric.height, fabric.width), bool)
        if port in "NS":
            edge[0 if port == "N" else -1] = True
        else:
            edge[:, 0 if port == "W" else -1] = True
        plane = fabric.image.routes.planes[color]
        leads = np.zeros_like(edge)
        for position in range(4):
            leads |= (route.tx_masks(plane, position) >> side & 1).astype(bool)
        here = np.flatnonzero(edge & leads)
        y, x = divmod(int(here[0]) if len(here) else 0, fabric.width)
        yield Finding(
            *("undelivered", x, y, fabric.last_activity, ""),
            f"wavelets of {color_name(fabric.image, color)} left the rectangle in the {_SIDES[side]} and were dropped",
            "route the color no further than to its last receiver",
        )


def _left(fabric: Fabric) -> Iterator[Finding]:
    """Wavelets that wait in queues and routers: one finding for each class, queue or router, color and cause."""
    groups: dict[tuple, list[np.void]] = {}
    for wait in fabric.waiting():
        if wait["who"] in (_engine.WAIT_ROUTER, _engine.WAIT_INPUT_QUEUE, _engine.WAIT_OUTPUT_QUEUE):
            y, x = divmod(int(wait["pe"]), fabric.width)
            key = (fabric.image.class_of_pe[y, x], *(int(wait[name]) for name in ("who", "why", "color", "queue")))
            groups.setdefault(key, []).append(wait)
    # Colors that are stuck for another reason than a full buffer: waits for space on them are consequences.
    causes = {key[3] for key in groups if key[2] != _engine.FOR_ROOM}
    for key, waits in groups.items():
        if key[2] == _engine.FOR_ROOM and key[3] in causes:
            continue
        kind, message, advice = _words(fabric, waits[0])
        y, x = divmod(int(waits[0]["pe"]), fabric.width)
        yield Finding(kind, x, y, fabric.last_activity, "", message, advice, count=len(waits))


def _words(fabric: Fabric, wait: np.void) -> tuple[str, str, str]:
    color, why = color_name(fabric.image, int(wait["color"])), int(wait["why"])
    y, x = divmod(int(wait["pe"]), fabric.width)
    if wait["who"] == _engine.WAIT_INPUT_QUEUE:
        queue = int(wait["queue"])
        held = f"input queue {queue}" if queue < _engine.QUEUES else "the input"
        task = task_name(fabric.image.class_at(x, y), int(wait["task"])) if wait["task"] >= 0 else ""
        takes = f"{task} is blocked" if task else "no operation reads it any more, and no task is bound to it"
        return "queue", f"{held} holds wavelets of {color} at the end: {takes}", "receive as many as are sent"
    if why == _engine.FOR_QUEUE:
        return (
            "undelivered",
            f"wavelets of {color} wait in the router: no input queue of the PE is bound to the color",
            "bind a queue there, or do not route the color to the ramp",
        )
    if why in (_engine.FOR_ROUTE, _engine.FOR_TEARDOWN):
        return (
            "undelivered",
            f"wavelets of {color} wait in the router: its route does not accept them from the side they came from",
            "add the side to the rx of the route, or advance the switch",
        )
    side = int(wait["port"])
    to = f"to the {_SIDES[side]}" if 0 <= side < _engine.RAMP else "to the ramp"
    if wait["who"] == _engine.WAIT_OUTPUT_QUEUE:
        to = "into the router"
    return (
        "queue",
        f"wavelets of {color} wait at the end to go {to}: the next buffer is full",
        "receive as many as are sent",
    )
