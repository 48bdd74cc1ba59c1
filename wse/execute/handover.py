"""What a region of a pipeline does beside its operators: takes activations from its neighbors, hands its own over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..operators import transport
from ..operators.code import Routine
from .emitter import Emitter
from .schedule import BACKWARD, FORWARD, Buffer, Call, Schedule


class PipelineEmitter(Emitter):
    """Adds what crosses from region to region to the calls that an Emitter knows."""

    def transport(self, call: Call) -> None:
        r = self.region
        _, action, side = call.what.split(".")
        features = call.buffers["tile"].features
        make: Any = transport.send if action == "send" else transport.receive

        def routine(name: str) -> Routine:
            return make(side, r.x, features, r.width, r.tokens, self.size, name)

        self.run(f"{action}_{side}_{features}", routine, call)


Calls = list[tuple[int, Call]]  # with the number of the micro-batch


def micro_batches(made: Schedule, count: int, first: bool, last: bool) -> tuple[Calls, Calls]:
    """All micro-batches forward, then all backward, with what comes from other regions and goes there.

    first, last: of the pipeline's regions.  In this order nobody who hands over waits for somebody who waits for it:
    forward everything goes east, backward west.
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
    """A call on the buffers of a micro-batch."""

    def own(buffers: dict[str, Buffer]) -> dict[str, Buffer]:
        return {role: replace(buffer, name=f"{buffer.name}/{m}") for role, buffer in buffers.items()}

    return replace(call, reads=own(call.reads), writes=own(call.writes))


def _cross(what: str, beside: Call, phase: str, tile: Buffer) -> Call:
    """Sending or receiving a tile."""
    reads, writes = ({}, {"tile": tile}) if what.startswith("receive") else ({"tile": tile}, {})
    return Call(f"transport.{what}", beside.operator, phase, reads, writes)
