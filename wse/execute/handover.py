"""The transfers of a pipeline region: it receives activations and gradients from its neighbors and sends its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..operators import transport
from ..operators.code import Routine
from .emitter import Emitter
from .schedule import BACKWARD, FORWARD, Buffer, Call, Schedule


class PipelineEmitter(Emitter):
    """An Emitter that also emits the transfers between neighboring regions."""

    def transport(self, call: Call) -> None:
        """Send a tile to the neighbouring region, or receive one."""
        r = self.region
        _, action, side = call.what.split(".")
        features = call.buffers["tile"].features
        make: Any = transport.send if action == "send" else transport.receive

        def routine(name: str) -> Routine:
            return make(side, r.x, features, r.width, r.tokens, self.size, name)

        self.run(f"{action}_{side}_{features}", routine, call)


Calls = list[tuple[int, Call]]  # (number of the micro-batch, call)


def micro_batches(made: Schedule, count: int, first: bool, last: bool) -> tuple[Calls, Calls]:
    """The calls of a region for `count` micro-batches, including transfers: all forward, then all backward.

    first, last: whether the region is the first or the last of the pipeline.  This order cannot deadlock: all forward
    transfers go east and all backward transfers go west, so that waits between regions never form a cycle.
    """
    forward: Calls = []
    backward: Calls = []
    for m in range(count):
        calls = [*made.forward]
        if not first:
            calls.insert(0, _cross("receive.west", made.forward[0], FORWARD, made.inputs[0]))
        if not last:
            calls.append(_cross("send.east", made.forward[-1], FORWARD, made.outputs[0]))
        forward += [(m, _of(m, call)) for call in calls]
        calls = [*made.backward]
        if not last:
            calls.insert(0, _cross("receive.east", made.backward[0], BACKWARD, made.gradients_in[0]))
        if not first:
            calls.append(_cross("send.west", made.backward[-1], BACKWARD, made.gradients_out[0]))
        backward += [(m, _of(m, call)) for call in calls]
    return forward, backward


def _of(m: int, call: Call) -> Call:
    """The call with the buffers of micro-batch m."""

    def own(buffers: dict[str, Buffer]) -> dict[str, Buffer]:
        return {role: replace(buffer, name=f"{buffer.name}/{m}") for role, buffer in buffers.items()}

    return replace(call, reads=own(call.reads), writes=own(call.writes))


def _cross(what: str, beside: Call, phase: str, tile: Buffer) -> Call:
    """A call that sends or receives a tile.  what: "send.SIDE" or "receive.SIDE".  beside: the adjacent call."""
    reads, writes = ({}, {"tile": tile}) if what.startswith("receive") else ({"tile": tile}, {})
    return Call(f"transport.{what}", beside.operator, phase, reads, writes)
