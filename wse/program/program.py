"""Programs: a rectangle of PEs, what each class of PEs holds in memory, runs and is woken by, and how colors are
routed.

Everything is declared by name and for whole index ranges; nothing here loops over PEs.  What is wrong by itself is
refused where it is said; what only shows in the whole (memory, names, routes) is found by `Program.check`, which a
Fabric calls.
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
from .symbol import NAME, Color, Symbol


class Program:
    """A program for `width` x `height` PEs of a machine.

    machine: a Machine or its name.  fp16: the 16-bit float format of all its instructions and arrays, "f16" (IEEE),
    "bf16" or "cb16".  ProgramError where something cannot be; RouteError, AsmError and MemoryOverflow are
    ProgramErrors.
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

    @property
    def program(self) -> Program:
        return self

    @property
    def label(self) -> str:
        return "the program"

    def color(self, name: str, id: int | None = None) -> Color:
        """A color by name; without an id the first that is free."""
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
        """The declared color of a name or number."""
        return find_color(self.colors, color)

    def host_color(self, color) -> None:
        """Makes a host color of it: every side of every router leads to the host, as if each PE were at the edge.

        Its routes go from a side to the ramp or from the ramp to a side; a Fabric's host_put, host_ask and host_take
        feed and empty them for whole rectangles.
        """
        self.host_colors.add(self.color_of(color))
        self._checked = False

    def pe_class(self, name: str) -> PEClass:
        """A new class of PEs."""
        if name in self.classes:
            raise ProgramError(f"class {name} is declared twice")
        self.classes[name] = PEClass(self, name)
        self.changed()
        return self.classes[name]

    def shared_array(self, name: str, shape, dtype: str, align: int = 16, offset: int = 0, init=None) -> Symbol:
        """An array in every class, at one address in all of them; arguments as PEClass.array."""
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
        """PEs at x and y are of this class; a later call wins.

        x, y: slices, integers or integer arrays; two arrays of one shape go PE by PE; None is all.
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
        """Routers at x and y take the color from `rx` and pass it on to `tx`, strings over "NESWR"; a later call wins.

        switch: (rx, tx) of positions 1 to 3, None where as in position 0.  ring: from the last position back to the
        first. pop: what becomes of a control wavelet's command that was obeyed.  position: the one to begin with.
        filter: for what goes down the ramp.  teardown: begins torn down.  swap_x, swap_y: wavelets that go on
        straight change to the paired color.  x, y: as in place.
        """
        self.routes.set(
            *(self.color_of(color), rx, tx, x, y, switch, ring, pop, position, filter, teardown, swap_x, swap_y),
            place=caller(),
        )
        self._checked = False

    def changed(self) -> None:
        """Declarations changed: addresses and checks are stale."""
        self._laid_out = self._checked = False

    def layout(self) -> None:
        """Gives every array its address: after the code, the shared arrays, then those of the class."""
        if self._laid_out:
            return
        code = max((pe.code_bytes for pe in self.classes.values()), default=0)
        end = place_symbols(self.shared.values(), code)
        for pe in self.classes.values():
            pe.layout(end if self.shared else pe.code_bytes)
        self._laid_out = True

    def check(self, streams: Sequence[tuple[int, int, int, int, bool]] | None = ()) -> list[str]:
        """Lays out, assembles and checks the whole program.  Returns warnings; raises ProgramError and its kinds.

        streams: (x, y, port, color, out) of what is attached to the edge; None leaves the edge for later (a Fabric
        looks at it when it runs, for its streams are attached after it is made).
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
            # Code that rewrites routers may mend any route.
            self.warnings = [str(error)]
        self.warnings += self._check_ramps(dynamic)
        self._checked = True
        return self.warnings

    def image(self) -> Image:
        """The program as a Fabric loads it; raises what `check` raises.

        Classes, colors and routes are shared with the program: what is changed there later is not loaded, but counts in
        later checks.
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
                # A class may serve PEs that never use the descriptor; one that serves none that can is wrong.
                if dynamic or (here & ramp).any():
                    warnings.append(sentence)
                else:
                    raise route.RouteError(sentence, x, y, int(color))
        return warnings

    def class_at(self, x: int, y: int) -> PEClass | None:
        """The class of PE (x, y)."""
        index = int(self.class_of_pe[y, x])
        return None if index == NO_CLASS else list(self.classes.values())[index]
