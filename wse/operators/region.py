"""Region: a rectangle of PEs under construction, whose operators are called one after the other.

The conventions are in the docstring of the package.  A region has one text of code for all its PEs, which `finish`
gives to its classes.  Classes differ in their descriptors, by the role of a PE: first, last or between in its row, at
the bottom of its column or not, and the parity of its coordinates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from ..errors import ProgramError
from ..machine import isa
from ..program import dsd
from ..program.dsd import Descriptor
from ..program.pe_class import PEClass
from ..program.program import Program
from ..records import dataclass
from .policy import Policy
from .transfers import ROW_END, GradientTransfer, WeightTransfer

# Input and output queues by path.
QUEUE_IN = {"weights": 0, "ring": 1, "total": 2, "north": 3, "ids": 4, "embedding": 7}
# On WSE-2 the queue determines the microthread, so a row sends and receives at the same time by queues of different
# numbers.
QUEUE_OUT = {"ring": 2, "total": 4, "north": 3}
# Microthreads.
SEND, NORTH = 1, 3


class Tile(NamedTuple):
    """An activation.

    at        address of its tile in each PE, [ceil(features / width)][tokens]: a symbol, or a symbol plus bytes
    features  per token
    """

    at: str
    features: int


@dataclass(frozen=True)
class Role:
    """Position of the PEs of a class: first or last in their row, at the bottom of their column, x and y odd.

    x and y are those within the region.
    """

    first: bool
    last: bool
    bottom: bool
    odd_x: bool
    odd_y: bool

    @property
    def name(self) -> str:
        """A name, such as "first_bottom_row1" for the first PE of the last row, if that row is odd."""
        column = "first" if self.first else "last" if self.last else f"column{int(self.odd_x)}"
        return f"{column}{'_bottom' if self.bottom else ''}_row{int(self.odd_y)}"


class Region:
    """A rectangle of `width` x `height` PEs of a program with its upper left PE at (x, y); default: the whole program.

    tokens: of a row of PEs, an even number of at least 2 (ProgramError otherwise).  name: prefix of its classes.
    Arrays and code are the same in all its PEs, at the same addresses.
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
        self.paths: set[str] = set()  # that are routed
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
        """Make a class for each role that occurs."""
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
        """Features of an activation in a PE, padding included."""
        return -(-features // self.width)

    def array(self, name: str, shape: int | tuple[int, ...], dtype: str, offset: int = 0, init=None) -> str:
        """Declare an array in every PE and return its name.  offset: its address modulo 16, in bytes."""
        for pe in self.classes.values():
            pe.array(name, shape, dtype, offset=offset, init=init)
        return name

    def constants(self, name: str, words: list[int]) -> str:
        """Declare a table of u32 words in every PE, once per name, and return the name.

        Raises ProgramError for other words under the same name, and for a word that has more than 32 bits.
        """
        if max(words, default=0) >> 32:
            raise ProgramError(
                f"the table {name} of {self.name} would describe more elements than a descriptor can: use a wider "
                "region or fewer tokens per row"
            )
        if name not in self._tables:
            self._tables[name] = list(words)
            self.array(name, len(words), "u32", init=np.array(words, np.uint32))
        if self._tables[name] != list(words):
            raise ProgramError(
                f"the table {name} of {self.name} has other words already: give one of them another name"
            )
        return name

    def activation(self, name: str, features: int, offset: int = 0) -> Tile:
        """Declare an activation with an array of its own, [fx, tokens] of the storage type."""
        self.array(name, (self.features(features), self.tokens), self.policy.element, offset)
        return Tile(name, features)

    def dsd(self, name: str, make: Callable[[Role, PEClass], Descriptor]) -> str:
        """Declare a descriptor in every PE, made by `make(role, class)`; return its name."""
        for role, pe in self.classes.items():
            pe.dsd(name, make(role, pe))
        return name

    def work(self, bytes: int) -> str:
        """Reserve work space of at least so many bytes, and return its symbol.

        All operators share it; its contents do not survive from one operator to the next.
        """
        self._work = max(self._work, bytes)
        return "work"

    def outbox(self, words: int) -> None:
        """Reserve buffers for vectors of so many f32 that are sent to the north edge."""
        self._outbox = max(self._outbox, words)

    def code(self, text: str) -> None:
        """Append code to the sequence."""
        self._main.append(text if text.endswith("\n") else text + "\n")

    def subroutine(self, name: str, text: str) -> str:
        """Add a subroutine, once per name; its text begins with its label.  Return the name.

        Raises ProgramError for another text under the same name.
        """
        if self._subroutines.setdefault(name, text) != text:
            raise ProgramError(f"subroutine {name} of {self.name} has two texts: give one of them another name")
        return name

    @contextmanager
    def task(self, name: str, id: int, active: bool = False) -> Iterator[None]:
        """Make a local task of the calls within the `with` block.

        active: the task starts with the program.
        """
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
        """Record what the call that is being added takes at the north edge."""
        self._within().streams[self._task].append(stream)
        return stream

    def gives(self, drain: GradientTransfer) -> GradientTransfer:
        """Record what the call that is being added sends out at the north edge."""
        self._within().drains[self._task].append(drain)
        return drain

    def _within(self) -> Region:
        if not self._task:
            raise ProgramError(f"an operator of {self.name} is called outside of a task: with region.task(name, id)")
        return self

    def finish(self) -> None:
        """Give code, work space and tasks to the classes.  Call it once, after the last operator."""
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
        """Return a span, `length` elements from `at` + `offset` bytes, as an expression of the assembler.

        Raises ProgramError if a descriptor cannot hold the length.
        """
        if not 0 <= length < isa.LENGTH_INFINITE:
            raise ProgramError(
                f"an operation of {self.name} would access {length} elements of {at}, beyond the "
                f"{isa.LENGTH_INFINITE - 1} that a descriptor holds: use a wider region or fewer tokens per row"
            )
        return f"{at}+{(length << 16) + offset:#x}"

    # --- paths --------------------------------------------------------------------------------------------------------

    def uses(self, *paths: str) -> None:
        """Make routes, queues and descriptors of these paths, once each.

        paths: weights, ring, total, north, ids, embedding; see the table of colors in the package's docstring.
        """
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
        """A path from the north edge to all PEs of a column."""
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
        """The ring of a row: east from PE to PE, and back from the last to the first."""
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
        """A path from the last PE of a row to all others."""
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
        """The source of what comes from the south; zeros at the bottom."""
        if role.bottom:
            return dsd.mem1d(pe.symbols["zero"], length=0, stride=0)
        return dsd.fabin(queue, color=colors[not role.odd_y])


def memory(size: int, save: bool = False) -> int:
    """Word 0 of a descriptor of elements of `size` bytes in memory.  save: the address is saved back after use."""
    return isa.DSD_MEM1D | ((isa.DSD_SAVE_ADDRESS if save else 0) | (isa.DSD_WIDE if size == 4 else 0)) << 8


def memory_dsr(dsr: str, size: int, span: str, stride: int | None = None, save: bool = False) -> list[str]:
    """Return code that loads a DSR with a descriptor of elements of `size` bytes in memory; it uses r28..r31.

    span: base + (length << 16) as an expression of the assembler, or "register, number", which are added.  stride: in
    bytes; None: `size`.
    """
    address = f"iadd32 r29, {span}" if span.startswith("r") and "," in span else f"mov r29, {span}"
    return [
        f"    mov r28, {memory(size, save):#x}",
        f"    {address}",
        f"    mov r30, {size if stride is None else stride}",
        "    mov r31, 0",
        f"    ldds {dsr}, r28",
    ]


def with_span(dsr: str, name: str) -> list[str]:
    """Return code that loads a DSR with the descriptor `name`, the span in r16 for its base and length, by r28..r31.

    A fabric's descriptor has no base.
    """
    return [
        f"    ld32 r28, [{name}]",
        "    mov r29, r16",
        f"    ld32 r30, [{name}+8]",
        f"    ld32 r31, [{name}+12]",
        f"    ldds {dsr}, r28",
    ]
