"""Images: the loadable form of programs.

`Program.image` makes an image of a program, `wse.csl.artifact.Artifact.image` of compiled CSL.  `Fabric` loads images
only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Any

import numpy as np

from .. import _engine
from ..errors import ProgramError, did_you_mean
from ..machine import isa
from ..machine.parameters import Machine
from ..records import dataclass
from .route import Routes
from .symbol import Color, Symbol

NO_CLASS = 0xFFFF  # in Image.class_of_pe: a PE without a program
Streams = Sequence[tuple[int, int, int, int, bool]]  # (x, y, port, color, out) of what is attached to the edge


def values_in(numbers: np.ndarray) -> list[int]:
    """The different values in an array of uint16, ascending.  np.unique would import numpy.ma, which takes as long as a
    short run."""
    return np.flatnonzero(np.bincount(numbers.reshape(-1))).tolist()


@dataclass
class Region:
    """A named part of a PE's memory: an array, a variable, or the code.

    type: of the elements, or ""; item: bytes of an element.  undefined: it has no initial value.
    stack: frames of functions that call themselves.
    """

    address: int
    bytes: int
    name: str
    type: str = ""
    item: int = 0
    undefined: bool = False
    code: bool = False
    stack: bool = False

    def at(self, address: int) -> str:
        """The element at an address: `x[3]`, or `x + 6 bytes` if the elements are not known."""
        offset = address - self.address
        if not self.item or self.bytes % self.item:
            return f"{self.name} + {offset} bytes" if offset else self.name
        return f"{self.name}[{offset // self.item}]" if self.bytes > self.item else self.name


@dataclass(eq=False)
class PEImage:
    """The loadable form of a class of PEs.

    words: uint64 [instructions].  task_kind, task_priority: uint8, task_pc: uint32, each [TASKS].  active, blocked:
    a bit for each task.  data: initial memory, (address, bytes).  queues_in, queues_out: color by queue;
    inputs from QUEUES on are those of colors without a queue.  tasks: id by name.  symbols: arrays that the host
    copies by name.  control_tasks: task by entry point, of a class with a table of control tasks; None: both have the
    same number.  control_first: the entry point that is 0 for an input queue, by queue.  thread_priority: of
    microthreads at the start, as wse_class has it; 0: all medium.  locate: place in the source of an instruction, by
    its index; source: the text of that line, or ""; message: what a trap means, by its value, or "".
    regions: the arrays and variables, and the code.
    """

    name: str
    words: np.ndarray
    task_kind: np.ndarray
    task_priority: np.ndarray
    task_pc: np.ndarray
    active: int
    blocked: int
    data: list[tuple[int, bytes]]
    queues_in: dict[int, int]
    queues_out: dict[int, int]
    tasks: dict[str, int]
    symbols: dict[str, Symbol]
    locate: Callable[[int], str]
    message: Callable[[int], str]
    control_tasks: dict[int, int] | None = None
    control_first: dict[int, int] = field(default_factory=dict)
    thread_priority: int = 0
    source: Callable[[int], str] = lambda pc: ""
    regions: list[Region] = field(default_factory=list)

    def region(self, number: int) -> Region | None:
        """The region with a number of the engine, which counts from 1; None for 0."""
        return self.regions[number - 1] if 1 <= number <= len(self.regions) else None

    def region_at(self, address: int) -> Region | None:
        """The region that holds an address."""
        for region in self.regions:
            if region.address <= address < region.address + region.bytes:
                return region
        return None

    def control_offsets(self) -> np.ndarray:
        """uint8 [QUEUES]: what is added to the entry points that come by each input queue."""
        offsets = np.zeros(_engine.QUEUES, np.uint8)
        for queue, first in self.control_first.items():
            offsets[queue] = first
        return offsets

    def control_table(self) -> np.ndarray:
        """uint8 [TASKS]: the task of each entry point of a control wavelet, 0xff none."""
        if self.control_tasks is None:
            return np.arange(_engine.TASKS, dtype=np.uint8)
        table = np.full(_engine.TASKS, 0xFF, np.uint8)
        for entry, task in self.control_tasks.items():
            table[entry] = task
        return table

    @property
    def label(self) -> str:
        """`class NAME`, for messages."""
        return f"class {self.name}"

    def describe(self, pc: int) -> str:
        """The place in the source of instruction `pc`; `instruction PC` if there is no such instruction."""
        return self.locate(pc) if 0 <= pc < len(self.words) else f"instruction {pc}"

    def instruction(self, pc: int) -> int | None:
        """The word of instruction `pc`; None if there is no such instruction."""
        return int(self.words[pc]) if 0 <= pc < len(self.words) else None


@dataclass(eq=False)
class Image:
    """The loadable form of a program.

    colors: by name.  class_of_pe: uint16 [height, width], index into `classes` or NO_CLASS.  host_colors: colors
    whose routes lead to the host at every PE.  shared: arrays that all classes have.  per_pe: (class, address,
    values [height, width]), written to the PEs of the class after the initial memory.  validate: checks the routes
    with the attached streams (None: not known yet) and returns warnings.

    ProgramError if the machine has no such rectangle or format.
    """

    machine: Machine
    width: int
    height: int
    fp16: str
    colors: dict[str, Color]
    classes: list[PEImage]
    class_of_pe: np.ndarray
    routes: Routes
    host_colors: set[int]
    validate: Callable[[Streams | None], list[str]]
    shared: dict[str, Symbol] = field(default_factory=dict)
    per_pe: list[tuple[int, int, np.ndarray]] = field(default_factory=list)
    language: str = ""  # "csl": messages speak of its builtins, else of the package's methods

    def __post_init__(self) -> None:
        check_size(self.machine, self.width, self.height, self.fp16)

    def check(self, streams: Streams | None) -> list[str]:
        """Warnings about the routes.  Raises RouteError if a route is wrong."""
        return self.validate(streams)

    def color_of(self, color: Any) -> Color:
        """The declared color of a name or number; ProgramError if there is none."""
        return find_color(self.colors, color)

    def class_at(self, x: int, y: int) -> PEImage | None:
        """The class of PE (x, y); None if it has no program."""
        index = int(self.class_of_pe[y, x])
        return None if index == NO_CLASS else self.classes[index]


def check_size(machine: Machine, width: int, height: int, fp16: str) -> None:
    """ProgramError if the machine has no rectangle of this size or no such 16-bit format."""
    wide, high = machine.fabric_width, machine.fabric_height
    if not 1 <= width <= wide or not 1 <= height <= high:
        raise ProgramError(f"a program for {machine.name} has 1 x 1 to {wide} x {high} PEs, not {width} x {height}")
    if fp16 not in isa.FP16:
        raise ProgramError(f"fp16 is one of {', '.join(isa.FP16)}, not {fp16!r}")


def find_color(colors: dict[str, Color], color: Any) -> Color:
    """The color of a name or number; ProgramError if it is not declared."""
    for known in colors.values():
        if color == known.name if isinstance(color, str) else color is not None and int(color) == known:
            return known
    raise ProgramError(f"there is no color {color!r} in the program: {did_you_mean(str(color), colors)}")
