"""Weights that stay resident on the wafer: a row of PEs above a region stores them and feeds the region's columns.

In pipelined execution, every region has resident weights.  The PE above a column (a weight PE) holds the weights of
that column's stream as f32, with a velocity and a sum of gradients for each: 12 bytes per weight.  For every
micro-batch it sends the stream south, rounded to the storage type: first for the forward passes, then for the backward
passes, while it accumulates the gradients that arrive from the south.  Task `update` then executes a step of SGD with
momentum in place:

    v = momentum v + scale g        w = w - rate v

The sums of gradients are cleared at the start of a step.  Memory is laid out in the order in which gradients arrive, so
that one operation accumulates all of them.  Streams in other orders become strided accesses (strided_access.py).
Products are rounded before they are added (fmacs).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..errors import ConfigError
from ..fabric.fabric import Fabric
from ..program import dsd
from ..program.pe_class import PEClass
from ..program.program import Program
from ..records import dataclass
from .strided_access import LENGTH, StridedAccess, strided_accesses

QUEUE_OUT, QUEUE_IN = 0, 3  # weights, gradients
MICROTHREAD = 2
ZERO = -1  # in an order: a padding zero to send, or a padding gradient to discard


class Part(NamedTuple):
    """A part of a stream.  order: int [columns, n], numbers of weights or ZERO.  wide: f32 wavelets, else 16-bit."""

    order: np.ndarray
    wide: bool = False


Sent = tuple[tuple[StridedAccess, ...], bool]  # a part as strided accesses, and whether it is wide


class Tasks(NamedTuple):
    """Task ids of a weight PE.

    step: sends the weights and collects the gradients of `passes` micro-batches.  evaluate: sends the weights of the
    forward passes only.  update: updates the weights.  collected: internal, activated when a gradient has arrived.
    """

    step: int
    evaluate: int
    update: int
    collected: int


@dataclass(frozen=True)
class Resident:
    """The weight PEs of a region, in row y of the program, from column x0 on.

    forward, backward: the stream of one micro-batch in each pass, part by part.  gradients: int [columns, n], the
    numbers of the weights in the order in which their gradients arrive; each weight occurs once, ZERO is padding.
    passes: micro-batches per step.
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
        """Number of columns."""
        return self.gradients.shape[0]

    @property
    def size(self) -> int:
        """Weights per column, including padding."""
        return self.gradients.shape[1]

    def build(self, weights: int, gradients: int) -> None:
        """Places the weight PEs and sets the routes of their row.

        weights, gradients: the colors.  Columns with equal access patterns share a class.  Raises ConfigError if a
        column has too many weights for one operation, or sends a weight whose gradient does not arrive there.
        """
        if self.size > LENGTH:
            raise ConfigError(
                f"{self.name}: a column has {self.size} weights, the most is {LENGTH}: use more columns for the region"
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
        """A part of the stream as strided accesses to the PE's memory.  A zero, for padding, follows the weights."""
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
        """Writes an array of all weight PEs from `values`, f32 [numbers].

        array: "master" (the weights), "gradient" or "velocity".
        """
        padded = np.append(np.asarray(values, np.float32), np.float32(0))
        own = padded[self.gradients][None]  # ZERO, -1, selects the padding zero
        if array == "master":
            own = np.append(own, np.zeros((1, self.columns, 1), np.float32), axis=2)
        self._put(fabric, array, own)

    def read(self, fabric: Fabric, numbers: int, array: str = "master") -> np.ndarray:
        """Reads an array of all weight PEs: f32 [numbers], 0 for weights that are not in this region.

        array: "master" (the weights), "gradient" or "velocity".
        """
        values = np.zeros(numbers + 1, np.float32)
        for column in range(self.columns):
            own = fabric.read(array, x=self.x0 + column, y=self.y, w=1, h=1)[0, 0]
            values[self.gradients[column]] = own[: self.size]
        return values[:-1]

    def set(self, fabric: Fabric, momentum: float, scale: float, rate: float) -> None:
        """Sets the parameters of the next update.  scale: factor of the gradients.  rate: learning rate."""
        self._put(
            fabric, "settings", np.broadcast_to(np.array([momentum, scale, -rate], np.float32), (1, self.columns, 3))
        )

    def _put(self, fabric: Fabric, array: str, values: np.ndarray) -> None:
        for column in range(self.columns):  # the address may differ between classes
            fabric.write(array, values[:, column : column + 1], x=self.x0 + column, y=self.y)


def updated(
    weights: np.ndarray, velocity: np.ndarray, gradient: np.ndarray, momentum: float, scale: float, rate: float
) -> tuple[np.ndarray, np.ndarray]:
    """The reference model of task `update`, bit for bit.  All arrays are f32.  Returns (weights, velocity)."""
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
