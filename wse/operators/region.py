"""Region: a rectangle of PEs under construction, whose operators are called one after the other.

See the package's page for the conventions.  A region keeps one text of code for all its PEs and puts it into classes in
the end; classes differ in what their descriptors mean, by the role of a PE: whether it is first, last or between in its
row, at the bottom of its column, and the parity of its coordinates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..errors import ProgramError
from ..machine import isa
from ..program import dsd
from ..program.dsd import Descriptor
from ..program.pe_class import PEClass
from ..program.program import Program
from .policy import Policy
from .transfers import ROW_END, GradientTransfer, WeightTransfer

# Input and output queues by what comes and goes.
QUEUE_IN = {"weights": 0, "ring": 1, "total": 2, "north": 3, "ids": 4, "embedding": 7}
# On WSE-2 the queue decides the microthread: what a row sends and receives at once takes queues of different numbers.
QUEUE_OUT = {"ring": 2, "total": 4, "north": 3}
# Microthreads.
SEND, NORTH = 1, 3


class Tile(NamedTuple):
    """An activation: `features` per token; in each PE [ceil(features / width)][tokens] from the address `at` on, which
    is a symbol or a sum of a symbol and bytes."""

    at: str
    features: int


@dataclass(frozen=True)
class Role:
    """What the PEs of a class have in common: whether they are first or last in their row, at the bottom of their
    column, and whether x and y within the region are odd."""

    first: bool
    last: bool
    bottom: bool
    odd_x: bool
    odd_y: bool

    @property
    def name(self) -> str:
        """Such as "first_bottom_row1": of the last row, which is an odd one."""
        column = "first" if self.first else "last" if self.last else f"column{int(self.odd_x)}"
        return f"{column}{'_bottom' if self.bottom else ''}_row{int(self.odd_y)}"


class Region:
    """A rectangle of `width` x `height` PEs of a program, from (x, y) on; default: all of it.

    tokens: of a PE's row, an even number.  name: prefix of its classes.  Arrays, descriptors and code are the same in
    all its PEs, at the same addresses.
    """

    def __init__(
        self,
        program: Program,
        policy: Policy,
        tokens: int,
        x: int = 0,
        y: int = 0,
        width: int | None = None,
        height: int | None = None,
        name: str = "region",
    ) -> None:
        if tokens < 2 or tokens % 2:
            raise ProgramError(f"a PE's row of {name} holds an even number of tokens, at least 2, not {tokens}")
        self.program, self.policy, self.tokens, self.name = program, policy, tokens, name
        self.x, self.y = x, y
        self.width = program.width - x if width is None else width
        self.height = program.height - y if height is None else height
        self.classes: dict[Role, PEClass] = {}
        self.streams: dict[str, list[WeightTransfer]] = {}
        self.drains: dict[str, list[GradientTransfer]] = {}
        self._main: list[str] = []
        self._subroutines: dict[str, str] = {}
        self.paths: set[str] = set()  # that are used
        self._tables: dict[str, list[int]] = {}
        self._work = self._outbox = 0
        self._task = ""
        self._tasks: list[tuple[str, int, bool]] = []
        self._place()
        self.array("column", 1, "u16")
        self.array("row", 1, "u16")
        for pe in self.classes.values():
            pe.dsd("zeros", dsd.mem1d(pe.array("zero", 1, "f32"), length=0, stride=0))
        self.code(
            f"places:\n    coord r1, 0\n    isub32 r1, r1, {self.x}\n    st16 r1, [column]\n"
            f"    coord r1, 1\n    isub32 r1, r1, {self.y}\n    st16 r1, [row]\n    ret\n"
        )

    def _place(self) -> None:
        """A class for each role that there is."""
        columns: dict[tuple[bool, bool, bool], list[int]] = {}
        for dx in range(self.width):
            columns.setdefault((dx == 0, dx == self.width - 1, dx % 2 == 1), []).append(self.x + dx)
        rows: dict[tuple[bool, bool], list[int]] = {}
        for dy in range(self.height):
            rows.setdefault((dy == self.height - 1, dy % 2 == 1), []).append(self.y + dy)
        for (bottom, odd_y), ys in rows.items():
            for (first, last, odd_x), xs in columns.items():
                role = Role(first, last, bottom, odd_x, odd_y)
                self.classes[role] = self.program.pe_class(f"{self.name}_{role.name}")
                x, y = np.meshgrid(xs, ys)
                self.program.place(self.classes[role], x, y)

    # --- declarations -------------------------------------------------------------------------------------------------

    def features(self, features: int) -> int:
        """Features of an activation that a PE holds, with padding."""
        return -(-features // self.width)

    def array(self, name: str, shape: int | tuple[int, ...], dtype: str, offset: int = 0, init=None) -> str:
        """An array in every PE; its name.  offset: bytes beyond a multiple of 16."""
        for pe in self.classes.values():
            pe.array(name, shape, dtype, offset=offset, init=init)
        return name

    def constants(self, name: str, words: list[int]) -> str:
        """A table of u32 words in every PE, declared once; its name.  ProgramError for other words of the same name."""
        if name not in self._tables:
            self._tables[name] = list(words)
            self.array(name, len(words), "u32", init=np.array(words, np.uint32))
        if self._tables[name] != list(words):
            raise ProgramError(
                f"the table {name} of {self.name} has other words already: give one of them another name"
            )
        return name

    def activation(self, name: str, features: int, offset: int = 0) -> Tile:
        """An activation with an array of its own, [fx, tokens] of the storage type."""
        self.array(name, (self.features(features), self.tokens), self.policy.element, offset)
        return Tile(name, features)

    def dsd(self, name: str, make: Callable[[Role, PEClass], Descriptor]) -> str:
        """A descriptor in every PE, which may depend on its role."""
        for role, pe in self.classes.items():
            pe.dsd(name, make(role, pe))
        return name

    def work(self, bytes: int) -> str:
        """Work space: at least so many bytes at `work`, which all operators share; nothing survives there from one
        operator to the next."""
        self._work = max(self._work, bytes)
        return "work"

    def outbox(self, words: int) -> None:
        """Room for vectors of so many f32 on their way north."""
        self._outbox = max(self._outbox, words)

    def code(self, text: str) -> None:
        """Adds to the sequence."""
        self._main.append(text if text.endswith("\n") else text + "\n")

    def subroutine(self, name: str, text: str) -> str:
        """A subroutine, once; its text begins with its label.  ProgramError for another text of the same name."""
        if self._subroutines.setdefault(name, text) != text:
            raise ProgramError(f"subroutine {name} of {self.name} has two texts: give one of them another name")
        return name

    @contextmanager
    def task(self, name: str, id: int, active: bool = False) -> Iterator[None]:
        """What is called within is the local task `name`."""
        if self._task:
            raise ProgramError(f"task {name} of {self.name} begins within task {self._task}")
        self._task = name
        self.streams[name], self.drains[name] = [], []
        self._tasks.append((name, id, active))
        self.code(f"{name}:\n    mov r0, 0\n    call places")
        yield
        self.code("    done")
        self._task = ""

    def takes(self, stream: WeightTransfer) -> WeightTransfer:
        """Notes what the call that is being added takes at the north edge."""
        self._within().streams[self._task].append(stream)
        return stream

    def gives(self, drain: GradientTransfer) -> GradientTransfer:
        """Notes what the call that is being added sends out by the north edge."""
        self._within().drains[self._task].append(drain)
        return drain

    def _within(self) -> Region:
        if not self._task:
            raise ProgramError(f"an operator of {self.name} is called outside of a task: with region.task(name, id)")
        return self

    def finish(self) -> None:
        """Gives code, work space and tasks to the classes."""
        text = "".join([*self._main, *self._subroutines.values()])
        if self._outbox:
            for i in range(2):
                self.array(f"outbox{i}", self._outbox, "f32")
            self.array("outbox_next", 1, "u32")  # the address of the one that comes next, 0 before the first
        self.array("work", max(16, self._work), "u8")
        for pe in self.classes.values():
            pe.code(text)
            pe.control_task("row_end", ROW_END, entry="places", blocked=True)
            for name, id, active in self._tasks:
                pe.local_task(name, id, active=active)

    # --- pieces of code -----------------------------------------------------------------------------------------------

    def span(self, at: str, length: int, offset: int = 0) -> str:
        """A span as a number of the assembler: `length` elements from `at` + offset bytes on."""
        if not 0 <= length < isa.LENGTH_INFINITE:
            raise ProgramError(
                f"an operation of {self.name} would walk over {length} elements of {at}, beyond the "
                f"{isa.LENGTH_INFINITE - 1} that a descriptor holds: use a wider region or fewer tokens per row"
            )
        return f"{at}+{(length << 16) + offset:#x}"

    # --- ways ---------------------------------------------------------------------------------------------------------

    def uses(self, *paths: str) -> None:
        """Routes, queues and descriptors of these ways, once each: weights, ring, total, north, ids, embedding."""
        for path in paths:
            if path not in self.paths:
                self.paths.add(path)
                getattr(self, f"_use_{path}")()

    def _color(self, name: str) -> int:
        known = self.program.colors
        return known[name] if name in known else self.program.color(name)

    @property
    def _xs(self) -> slice:
        return slice(self.x, self.x + self.width)

    @property
    def _ys(self) -> slice:
        return slice(self.y, self.y + self.height)

    def _columns(self, name: str) -> None:
        """From the north edge to all PEs of a column."""
        color, bottom = self._color(name), self.y + self.height - 1
        self.program.route(color, "N", "RS", x=self._xs, y=self._ys)
        self.program.route(color, "N", "R", x=self._xs, y=bottom)
        for pe in self.classes.values():
            pe.queue_in(QUEUE_IN[name], color)

    def _use_weights(self) -> None:
        self._columns("weights")
        color = self._color("weights")
        self.dsd("weights_in", lambda role, pe: dsd.fabin(0, color=color, on_control="terminate", wide=True))

    def _use_embedding(self) -> None:
        self._columns("embedding")
        queue, color = QUEUE_IN["embedding"], self._color("embedding")
        self.dsd("embedding_in", lambda role, pe: dsd.fabin(queue, color=color))

    def _use_ids(self) -> None:
        color, queue, last = self._color("ids"), QUEUE_IN["ids"], self.x + self.width - 1
        self.program.route(color, "W", "RE", x=self._xs, y=self._ys)
        self.program.route(color, "W", "R", x=last, y=self._ys)
        for pe in self.classes.values():
            pe.queue_in(queue, color)
        self.dsd("ids_in", lambda role, pe: dsd.fabin(queue, color=color))

    def _use_ring(self) -> None:
        """The ring of a row, to the east and back."""
        if self.width == 1:
            return
        even, odd, back = (self._color(name) for name in ("ring0", "ring1", "ring_back"))
        last, ys = self.x + self.width - 1, self._ys
        for dx in range(self.width - 1):
            color = odd if dx % 2 else even
            self.program.route(color, "R", "E", x=self.x + dx, y=ys)
            self.program.route(color, "W", "R", x=self.x + dx + 1, y=ys)
        self.program.route(back, "R", "W", x=last, y=ys)
        self.program.route(back, "E", "W", x=slice(self.x + 1, last), y=ys)
        self.program.route(back, "E", "R", x=self.x, y=ys)
        q = QUEUE_IN["ring"]
        to = {role: back if role.last else odd if role.odd_x else even for role in self.classes}
        source = {role: back if role.first else even if role.odd_x else odd for role in self.classes}
        for role, pe in self.classes.items():
            pe.queue_in(q, source[role])
            pe.queue_out(QUEUE_OUT["ring"], to[role])
        self.dsd("ring_in", lambda role, pe: dsd.fabin(q, color=source[role]))
        self.dsd("ring_out", lambda role, pe: dsd.fabout(QUEUE_OUT["ring"], to[role]))
        self.dsd("ring_in_one", lambda role, pe: dsd.fabin(q, length=1, color=source[role]))
        self.dsd("ring_out_one", lambda role, pe: dsd.fabout(QUEUE_OUT["ring"], to[role], length=1))
        self.array("dropped", 1, "u32")
        self.dsd("drop", lambda role, pe: dsd.mem1d(pe.symbols["dropped"]))

    def _use_total(self) -> None:
        """From the last PE of a row to all others."""
        self.uses("ring")
        color, last, q = self._color("total"), self.x + self.width - 1, QUEUE_IN["total"]
        self.program.route(color, "E", "WR", x=slice(self.x + 1, last), y=self._ys)
        self.program.route(color, "E", "R", x=self.x, y=self._ys)
        self.program.route(color, "R", "W", x=last, y=self._ys)
        for role, pe in self.classes.items():
            if role.last:
                pe.queue_out(QUEUE_OUT["total"], color)
            else:
                pe.queue_in(q, color)

    def _use_north(self) -> None:
        """Chains to the north edge."""
        colors = [self._color(f"north{parity}") for parity in (0, 1)]
        for dy in range(self.height):
            self.program.route(colors[dy % 2], "R", "N", x=self._xs, y=self.y + dy)
            if dy:
                self.program.route(colors[dy % 2], "S", "R", x=self._xs, y=self.y + dy - 1)
        q = QUEUE_IN["north"]
        for role, pe in self.classes.items():
            pe.queue_out(QUEUE_OUT["north"], colors[role.odd_y])
            if not role.bottom:
                pe.queue_in(q, colors[not role.odd_y])
        self.dsd("north_out", lambda role, pe: dsd.fabout(QUEUE_OUT["north"], colors[role.odd_y]))
        self.dsd("south_in", lambda role, pe: self._south(role, pe, colors, q))

    def _south(self, role: Role, pe: PEClass, colors: list, queue: int) -> Descriptor:
        """What comes from the south; zeros at the bottom."""
        if role.bottom:
            return dsd.mem1d(pe.symbols["zero"], length=0, stride=0)
        return dsd.fabin(queue, color=colors[not role.odd_y])


def memory(size: int, save: bool = False) -> int:
    """Word 0 of a descriptor of elements of `size` bytes in memory."""
    return isa.DSD_MEM1D | ((isa.DSD_SAVE_ADDRESS if save else 0) | (isa.DSD_WIDE if size == 4 else 0)) << 8


def memory_dsr(dsr: str, size: int, span: str, stride: int | None = None, save: bool = False) -> list[str]:
    """Code that makes a DSR over elements of `size` bytes in memory, through r28..r31.

    span: base + (length << 16) as a number of the assembler, or "register, number": their sum.  stride: in bytes.
    """
    address = f"iadd32 r29, {span}" if span.startswith("r") and "," in span else f"mov r29, {span}"
    return [
        f"    mov r28, {memory(size, save):#x}",
        f"    {address}",
        f"    mov r30, {size if stride is None else stride}",
        "    mov r31, 0",
        f"    ldds {dsr}, r28",
    ]
