"""Weights that stay on the wafer: a row of PEs above a region keeps them and feeds the columns as the edge would.

In pipelined execution every region has its weights resident.  The PE above a column holds what that column's stream
consists of, as f32, with a velocity and a sum of gradients for each weight: 12 bytes.  For every micro-batch it sends
the stream down, rounded to the storage type, first the forward passes', then the backward passes', while it adds up the
gradients that come up the column.  Task `update` then does a step of SGD with momentum in place:

    v = momentum v + scale g        w = w - rate v

The sum of gradients begins with the step.  Memory is laid out in the order in which gradients arrive, so that they are
added up by one operation over all of them; other orders become strided walks (walks.py).  Products are rounded before
they are added (fmacs).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..errors import ConfigError
from ..fabric.fabric import Fabric
from ..program import dsd
from ..program.pe_class import PEClass
from ..program.program import Program
from .strided_access import LENGTH, StridedAccess, strided_accesses

QUEUE_OUT, QUEUE_IN = 0, 3  # weights, gradients
MICROTHREAD = 2
ZERO = -1  # in an order: a zero that is sent, a gradient that nobody wants


class Part(NamedTuple):
    """A piece of a stream.  order: int [columns, n], numbers of weights or ZERO; wide: f32 wavelets, else 16 bits."""

    order: np.ndarray
    wide: bool = False


Sent = tuple[tuple[StridedAccess, ...], bool]  # a part as walks, and whether it is wide


class Tasks(NamedTuple):
    """Ids: task `step` sends and collects what `passes` micro-batches need, `evaluate` sends only what forward passes
    need, `update` changes the weights; `collected` is its own."""

    step: int
    evaluate: int
    update: int
    collected: int


@dataclass(frozen=True)
class Resident:
    """The weight PEs of a region, in row y of the program, from column x0 on.

    forward, backward: the stream of a micro-batch's pass, part by part.  gradients: int [columns, n], the numbers of
    the weights in the order in which their gradients arrive, in every backward pass each weight once.  passes:
    micro-batches of a step.
    """

    program: Program
    x0: int
    y: int
    forward: Sequence[Part]
    backward: Sequence[Part]
    gradients: np.ndarray
    passes: int
    tasks: Tasks
    name: str = "resident"

    @property
    def columns(self) -> int:
        return self.gradients.shape[0]

    @property
    def size(self) -> int:
        """Weights of a column, with those that are only padding."""
        return self.gradients.shape[1]

    def build(self, weights: int, gradients: int) -> None:
        """Adds the PEs, one class for all columns that walk alike.  weights, gradients: the colors; it sets their
        routes in this row."""
        if self.size > LENGTH:
            raise ConfigError(
                f"{self.name}: {self.size} weights above one column, {LENGTH} at most: use more columns for the region"
            )
        row = slice(self.x0, self.x0 + self.columns)
        self.program.route(weights, "R", "S", x=row, y=self.y)
        self.program.route(gradients, "S", "R", x=row, y=self.y)
        alike: dict[tuple[Sent, ...], list[int]] = {}
        for column in range(self.columns):
            parts = [(tuple(self._accesses(part, column)), part.wide) for part in (*self.forward, *self.backward)]
            alike.setdefault(tuple(parts), []).append(column)
        for i, (sent, columns) in enumerate(alike.items()):
            pe = self.program.pe_class(f"{self.name}{i}")
            self._declare(pe, weights, gradients, sent)
            self.program.place(pe, x=np.array(columns) + self.x0, y=np.full(len(columns), self.y))

    def _accesses(self, part: Part, column: int) -> list[StridedAccess]:
        """A part of the stream as walks over the PE's memory; a zero lies behind the weights."""
        place = {int(weight): at for at, weight in enumerate(self.gradients[column]) if weight != ZERO}
        missing = set(part.order[column].tolist()) - set(place) - {ZERO}
        if missing:
            raise ConfigError(f"{self.name}: column {column} sends weight {min(missing)}, which has no gradient there")
        return strided_accesses(np.array([place.get(int(weight), self.size) for weight in part.order[column]]))

    def _declare(self, pe: PEClass, weights: int, gradients: int, sent: tuple[Sent, ...]) -> None:
        pe.queue_out(QUEUE_OUT, weights)
        pe.queue_in(QUEUE_IN, gradients)
        pe.dsd("weights_out", dsd.fabout(QUEUE_OUT, weights))
        pe.dsd("gradients_in", dsd.fabin(QUEUE_IN, color=gradients))
        for array, spare in (("master", 1), ("gradient", 0), ("velocity", 0)):
            symbol = pe.array(
                array, self.size + spare, "f32", offset={"master": 0, "gradient": 8, "velocity": 4}[array]
            )
            pe.dsd(f"{array}_all", dsd.mem1d(symbol, length=self.size))
        pe.array("settings", 3, "f32")  # momentum, scale, -rate
        texts = []
        for i, (pieces, wide) in enumerate(sent):
            texts.append("".join(self._send(pe, f"walk{i}_{k}", access, wide) for k, access in enumerate(pieces)))
        forward, backward = texts[: len(self.forward)], texts[len(self.forward) :]
        for task, id in self.tasks._asdict().items():
            pe.local_task(task, id)
        pe.code(_code("".join(forward), "".join(backward), self.passes))

    def _send(self, pe: PEClass, name: str, access: StridedAccess, wide: bool) -> str:
        array = pe.symbols["master"]
        load = ""
        if len(access.extents) == 1:
            pe.dsd(name, dsd.mem1d(array, length=access.extents[0], stride=access.strides[0], offset=access.first))
        else:
            pe.dsd(name, dsd.mem4d(array, access.extents, access.strides, offset=access.first, xdsr=0))
            load = f"    xdsr x0, {name}.x\n"
        return f"{load}    dsr a0, {name}\n    {'mov32' if wide else 'fs2h'} d0, a0\n"

    # --- the host's side ----------------------------------------------------------------------------------------------

    def write(self, fabric: Fabric, values: np.ndarray, array: str = "master") -> None:
        """The weights, or "gradient" or "velocity": f32 [numbers]."""
        padded = np.append(np.asarray(values, np.float32), np.float32(0))
        own = padded[self.gradients][None]  # ZERO is the last one
        if array == "master":
            own = np.append(own, np.zeros((1, self.columns, 1), np.float32), axis=2)
        self._put(fabric, array, own)

    def read(self, fabric: Fabric, numbers: int, array: str = "master") -> np.ndarray:
        """The weights, or "gradient" or "velocity": f32 [numbers], 0 for those that are not here."""
        values = np.zeros(numbers + 1, np.float32)
        for column in range(self.columns):
            own = fabric.read(array, x=self.x0 + column, y=self.y, w=1, h=1)[0, 0]
            values[self.gradients[column]] = own[: self.size]
        return values[:-1]

    def set(self, fabric: Fabric, momentum: float, scale: float, rate: float) -> None:
        """What the next update takes: scale is a factor of the gradients."""
        self._put(
            fabric, "settings", np.broadcast_to(np.array([momentum, scale, -rate], np.float32), (1, self.columns, 3))
        )

    def _put(self, fabric: Fabric, array: str, values: np.ndarray) -> None:
        for column in range(self.columns):  # classes may have it at different places
            fabric.write(array, values[:, column : column + 1], x=self.x0 + column, y=self.y)


def updated(
    weights: np.ndarray, velocity: np.ndarray, gradient: np.ndarray, momentum: float, scale: float, rate: float
) -> tuple[np.ndarray, np.ndarray]:
    """Weights and velocity as task `update` leaves them, to the bit: all f32."""
    velocity = velocity * np.float32(momentum)
    velocity = velocity + gradient * np.float32(scale)
    return weights + velocity * np.float32(-rate), velocity


def _code(forward: str, backward: str, passes: int) -> str:
    return f"""
step:
    mov r9, 1
    dsr d0, gradient_all
    mov r1, 0
    fmovs d0, r1
    jmp forward
evaluate:
    mov r9, 0
forward:
    mov r8, {passes}
    dsr d0, weights_out
.pass:
{forward}    isub32 r8, r8, 1
    bnz r8, .pass
    bz r9, through
    mov r8, {passes}
    jmp backward
collected:
    isub32 r8, r8, 1
    bz r8, through
backward:
    dsr d1, gradient_all
    dsr a1, gradient_all
    dsr b1, gradients_in
    fadds d1, a1, b1 {{async, ut={MICROTHREAD}, activate=collected}}
    dsr d0, weights_out
{backward}through:
    done
update:
    dsr d0, velocity_all
    dsr a0, velocity_all
    ld32 r1, [settings]
    fmuls d0, a0, r1
    dsr b0, gradient_all
    ld32 r1, [settings+4]
    fmacs d0, a0, b0, r1
    dsr d1, master_all
    dsr a1, master_all
    dsr b1, velocity_all
    ld32 r1, [settings+8]
    fmacs d1, a1, b1, r1
    done
"""
