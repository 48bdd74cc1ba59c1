"""Program: a rectangle of PEs, with the classes, colors and routes of its PEs.

All declarations are by name and for index ranges; nothing here loops over PEs.  A declaration that is wrong by itself
raises at once.  What depends on the whole program (memory, names, routes) is checked by `Program.check`, which
`Fabric` calls.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ProgramError
from ..machine import isa
from ..machine.parameters import Machine
from . import route
from .image import NO_CLASS, Image, check_size, find_color
from .pe_class import PEClass, place_symbols
from .route import Filter, Index, caller
from .symbol import NAME, Color, Symbol, some


class Program:
    """A program for a rectangle of `width` x `height` PEs.

    - width, height: in PEs, at most the machine's fabric.
    - machine: a `Machine`, or its name: "wse2" or "wse3".
    - fp16: format of all 16-bit floats of the program: "f16" (IEEE binary16), "bf16" or "cb16".

    Every method raises ProgramError for an impossible declaration.  RouteError, AsmError and MemoryOverflow are
    subclasses of ProgramError.

    Attributes: `machine`, `width`, `height`, `fp16`; `colors`, `classes` and `shared` (arrays) by name; `class_of_pe`,
    uint16 [height, width], index of each PE's class, 0xFFFF without one; `warnings` of the last check.

        >>> import numpy as np
        >>> import wse
        >>> program = wse.Program(width=2, height=1)
        >>> worker = program.pe_class("worker")
        >>> x = worker.array("x", 4, "f32")
        >>> all_x = worker.dsd("all_x", wse.mem1d(x))
        >>> worker.code("main: dsr d0, all_x\\n dsr a0, all_x\\n dsr b0, all_x\\n fadds d0, a0, b0\\n done")
        >>> task = worker.local_task("main", 9, active=True)
        >>> program.place(worker)
        >>> fabric = wse.Fabric(program)
        >>> fabric.write("x", np.ones((1, 2, 4)))
        >>> fabric.run().ended, fabric.read("x")[0, 1].tolist()
        ('done', [2.0, 2.0, 2.0, 2.0])
    """

    def __init__(self, width: int, height: int, machine: str | Machine = "wse3", fp16: str = "f16"):
        self.machine = Machine.of(machine)
        self.machine.check_executable()
        check_size(self.machine, width, height, fp16)
        self.width, self.height, self.fp16 = int(width), int(height), fp16
        self.colors: dict[str, Color] = {}
        self.classes: dict[str, PEClass] = {}
        self.shared: dict[str, Symbol] = {}
        self.class_of_pe = np.full((self.height, self.width), NO_CLASS, np.uint16)
        self.routes = route.Routes(self.width, self.height, self.machine)
        self.warnings: list[str] = []
        self.host_colors: set[int] = set()
        self._laid_out = self._checked = False

    def __repr__(self) -> str:
        counts = np.bincount(self.class_of_pe[self.class_of_pe != NO_CLASS], minlength=len(self.classes))
        classes = [f"{name} on {n:,}" for name, n in zip(self.classes, counts, strict=False)]
        colors = [f"{name} {int(color)}" for name, color in self.colors.items()]
        groups = (("classes", classes), ("colors", colors), ("shared arrays", list(self.shared)))
        parts = [f"; {title}: {some(names)}" for title, names in groups if names]
        return f"Program({self.width} x {self.height} PEs of {self.machine.name}, {self.fp16}{''.join(parts)})"

    @property
    def program(self) -> Program:
        """The program itself: it is the owner of shared arrays."""
        return self

    @property
    def label(self) -> str:
        """`the program`, for messages."""
        return "the program"

    def color(self, name: str, id: int | None = None) -> Color:
        """Declares a color and returns it.

        - name: an identifier, unique in the program.
        - id: number of the color, 0 to colors - 1 of the machine; default: the lowest free number.

        Raises ProgramError if the name is taken or not an identifier, or if the id is taken or out of range.
        """
        if name in self.colors:
            raise ProgramError(f"color {name} is declared twice")
        if not NAME.fullmatch(name):
            raise ProgramError(f"{name!r} is no name for a color: letters, digits and _, not beginning with a digit")
        taken = {int(color): color for color in self.colors.values()}
        if id is None:
            free = [number for number in range(self.machine.colors) if number not in taken]
            if not free:
                raise ProgramError(f"color {name}: all {self.machine.colors} colors of {self.machine.name} are taken")
            id = free[0]
        if not 0 <= id < self.machine.colors:
            raise ProgramError(
                f"color {name} has id {id}: routable colors of {self.machine.name} are 0 to {self.machine.colors - 1}"
            )
        if id in taken:
            raise ProgramError(f"color {name} has id {id}, which color {taken[id].name} has already")
        self.colors[name] = Color(id, name)
        self.changed()
        return self.colors[name]

    def color_of(self, color: Any) -> Color:
        """The declared color of a name or number.  Raises ProgramError if there is none."""
        return find_color(self.colors, color)

    def host_color(self, color) -> None:
        """Makes a declared color a host color: every port N, E, S, W of every router connects to the host.

        Each PE then behaves as if it were at the edge of the fabric.  A route of a host color goes from a port to the
        ramp, or from the ramp to a port.  `Fabric.host_put`, `host_ask` and `host_take` transfer wavelets of whole
        rectangles.  Raises ProgramError if the color is not declared.
        """
        self.host_colors.add(self.color_of(color))
        self._checked = False

    def pe_class(self, name: str) -> PEClass:
        """Declares a class of PEs and returns it.  Raises ProgramError if the name is taken."""
        if name in self.classes:
            raise ProgramError(f"class {name} is declared twice")
        self.classes[name] = PEClass(self, name)
        self.changed()
        return self.classes[name]

    def shared_array(self, name: str, shape, dtype: str, align: int = 16, offset: int = 0, init=None) -> Symbol:
        """Declares an array that all classes have, at the same address.  Arguments and errors as `PEClass.array`.

        The host can copy it for a rectangle that spans several classes.
        """
        symbol = Symbol(self, name, shape, dtype, align, offset, init)
        if not NAME.fullmatch(name) or re.fullmatch(r"r\d+", name):
            raise ProgramError(f"{name!r} is no name for an array: letters, digits and _, and no register")
        for others in (self.shared, *(c.symbols for c in self.classes.values())):
            if name in others:
                raise ProgramError(
                    f"{name} of the program is declared twice: {others[name].owner.label} has it already"
                )
        self.shared[name] = symbol
        self.changed()
        return symbol

    def place(self, pe: PEClass, x: Index = None, y: Index = None) -> None:
        """Assigns PEs to a class.  A later call overrides an earlier one.

        - pe: a class of this program.
        - x, y: coordinates: an integer, a slice, an integer array, or None for all.  Two arrays have the same shape and
          select PE by PE; one array is combined with every coordinate of the other axis.

        Raises ProgramError if the class belongs to another program or a coordinate is outside the rectangle.
        """
        if pe.program is not self:
            raise ProgramError(f"class {pe.name} belongs to another program")
        index = list(self.classes.values()).index(pe)
        selected = route.select(x, y, self.width, self.height, f"place of {pe.label}")
        self.class_of_pe[selected] = index
        self.changed()

    def route(
        self,
        color,
        rx: str,
        tx: str,
        x: Index = None,
        y: Index = None,
        switch: Sequence[tuple[str | None, str | None]] = (),
        ring: bool = False,
        pop: str = "no_pop",
        position: int = 0,
        filter: Filter | None = None,
        teardown: bool = False,
        swap_x: bool = False,
        swap_y: bool = False,
    ) -> None:
        """Configures the routers at x and y for a color.  A later call overrides an earlier one.

        - color: name or number of a declared color.
        - rx, tx: input and output ports, strings over "NESWR" (R: the ramp to the PE), such as "W" and "ER".
        - x, y: coordinates, as in `place`.
        - switch: (rx, tx) of the switch positions 1 to 3; None stands for the ports of position 0.
        - ring: the last position advances to position 0; otherwise it stays.
        - pop: what a router does with a command of a control wavelet that it executed: "no_pop", "always_pop",
          "pop_on_advance" or "pop_on_advance_nop".
        - position: initial switch position.
        - filter: `Filter` for wavelets that leave by the ramp.
        - teardown: the color is initially torn down.
        - swap_x, swap_y: wavelets that leave east or west (x), north or south (y) change to the paired color,
          `color ^ 1`.

        Raises RouteError for empty or unknown ports, positions or filters that the machine does not have, and
        ProgramError if the color is not declared or a coordinate is outside the rectangle.
        """
        self.routes.set(
            *(self.color_of(color), rx, tx, x, y, switch, ring, pop, position, filter, teardown, swap_x, swap_y),
            place=caller(),
        )
        self._checked = False

    def changed(self) -> None:
        """Marks addresses and checks as stale.  Called by every declaration."""
        self._laid_out = self._checked = False

    def layout(self) -> None:
        """Assigns an address to every array.  Idempotent.

        A PE's memory holds the code, then the shared arrays, then the arrays of the class in the order of declaration.
        Raises MemoryOverflow if a class does not fit.
        """
        if self._laid_out:
            return
        code = max((pe.code_bytes for pe in self.classes.values()), default=0)
        end = place_symbols(self.shared.values(), code)
        for pe in self.classes.values():
            pe.layout(end if self.shared else pe.code_bytes)
        self._laid_out = True

    def check(self, streams: Sequence[tuple[int, int, int, int, bool]] | None = ()) -> list[str]:
        """Lays out, assembles and checks the whole program; returns warnings, one sentence each.

        - streams: (x, y, port, color, out) of each stream at the edge of the fabric.  None: the edge is not checked;
          `Fabric.run` checks it later, because streams are attached to a Fabric.

        Raises ProgramError or its subclasses AsmError (code), MemoryOverflow (memory) and RouteError (routes).
        """
        self.layout()
        if not self._checked:
            for pe in self.classes.values():
                pe.build()
        dynamic = any(pe._rebinds("colorst") for pe in self.classes.values())
        try:
            self.warnings = self.routes.check(streams, self.host_colors)
        except route.RouteError as error:
            if not dynamic:
                raise
            # A program that rewrites router configurations may correct any route at run time.
            self.warnings = [str(error)]
        self.warnings += self._check_ramps(dynamic)
        self._checked = True
        return self.warnings

    def image(self) -> Image:
        """The loadable image of the program.  Raises what `check` raises.

        The image shares classes, colors and routes with the program.  A later change of the program does not change
        what is loaded, but later checks see it.
        """
        self.check(streams=None)
        return Image(
            *(self.machine, self.width, self.height, self.fp16, self.colors),
            [pe.image() for pe in self.classes.values()],
            *(self.class_of_pe, self.routes, self.host_colors, self.check, self.shared),
        )

    def _check_ramps(self, dynamic: bool) -> list[str]:
        warnings = []
        for index, pe in enumerate(self.classes.values()):
            here = self.class_of_pe == index
            if not here.any():
                warnings.append(f"{pe.label} is placed nowhere")
                continue
            for name, d in pe.descriptors.items():
                if d.kind == isa.DSD_FABOUT:
                    color, masks, side = self.color_of(d.color), route.rx_masks, "rx"
                elif d.kind == isa.DSD_FABIN and d.queue in pe.queues_in:
                    color, masks, side = pe.queues_in[d.queue], route.tx_masks, "tx"
                else:
                    continue
                plane = self.routes.planes.get(color)
                ramp = np.zeros(here.shape, bool) if plane is None else masks(plane) & route.RAMP_BIT != 0
                without = here & ~ramp
                if not without.any():
                    continue
                y, x = divmod(int(np.argmax(without)), self.width)
                verb = "sends" if side == "rx" else "reads"
                sentence = (
                    f"descriptor {name} of {pe.label} {verb} {route.name_of(color)}, but the route of PE ({x}, {y}) "
                    f"has no ramp in {side} (descriptor set at {pe.places[name]}, "
                    f"route at {self.routes.set_at(color, x, y) if plane is not None else 'no line'}); "
                    f"add R to {side} there"
                )
                # A warning if some PE of the class can use the descriptor: the others may never use it.  An error if
                # no PE of the class can.
                if dynamic or (here & ramp).any():
                    warnings.append(sentence)
                else:
                    raise route.RouteError(sentence, x, y, int(color))
        return warnings

    def class_at(self, x: int, y: int) -> PEClass | None:
        """The class of PE (x, y); None if it has none."""
        index = int(self.class_of_pe[y, x])
        return None if index == NO_CLASS else list(self.classes.values())[index]
