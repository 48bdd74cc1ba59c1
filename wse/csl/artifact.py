"""The result of a compilation, on disk and for the host.

A directory holds two files.  `out.json`: params and colors as host programs read them, names the host may use,
classes with their symbols and functions, memory maps, source files; all that people look at.  `out.npz`: code,
initial memory, line tables, classes and routes over the rectangle.

    artifact = Artifact.load("out")
    fabric = artifact.fabric()                    # a loaded wse.Fabric, per-PE values written
    for image in artifact.classes:
        image.variables["x"].address              # of an exported pointer's target; image.symbols: of `export var`s
        image.functions["compute"].args           # [(address, type)], .selector

To launch a function: write its arguments to their addresses, its `selector` (u32) to RPC_SELECTOR, activate task
RPC_TASK; all PEs of a rectangle whose class has the function.  Addresses of arguments and of the selector are the
same in all classes.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from dataclasses import asdict, field
from pathlib import Path
from typing import Any

import numpy as np

from .. import _engine, files, npz
from ..errors import ConfigError, RouteError
from ..fabric.fabric import Fabric
from ..machine.digest import check_digest, tables_digest
from ..machine.parameters import Machine
from ..program.image import Image, PEImage, Region, Streams
from ..program.route import Filter, Place, Routes
from ..program.symbol import Color
from ..records import dataclass

FORMAT = 1
RPC_TASK = 28  # one of memcpy's own task ids
STARTUP_TASK = 30
RPC_SELECTOR = _engine.SRAM - 4
RPC_ARGUMENTS = _engine.SRAM - 64  # four bytes each
RPC_MOST = 15
HOST_SIDE = "W"  # the side of a router where host streams enter and leave
TO_DEVICE, TO_HOST = "MEMCPYH2D", "MEMCPYD2H"  # how names of streaming colors begin


@dataclass
class Variable:
    """Elements in a PE's memory under a name of the host's."""

    address: int
    type: str  # "f32", "u16", ...; "" if it is no array of scalars (bytes)
    count: int
    bytes: int
    mutable: bool = True
    pointer: int | None = None  # address of the pointer that says where the elements are at run time

    @property
    def item(self) -> int:
        return self.bytes // self.count if self.count else 1


@dataclass
class Rpc:
    """A function the host can launch."""

    selector: int
    args: list[tuple[int, str]]  # address and type of each


@dataclass
class Row:
    """A row of a memory map."""

    address: int
    bytes: int
    name: str
    what: str
    undefined: bool = False  # it has no initial value

    def region(self) -> Region:
        item = _ITEM.search(self.what)
        width = 0 if item is None else int(item[1]) // 8
        return Region(
            *(self.address, self.bytes, self.name, self.what, width),
            undefined=self.undefined,
            code=self.address == 0 and self.name == "code",
            stack=self.name.startswith("stack of "),
        )


_ITEM = re.compile(r"\b(?:[iuf]|bf|cb)(8|16|32|64)\b")  # an element's type in the text of an array's


@dataclass
class BoundTask:
    name: str
    kind: str
    id: int


@dataclass
class ClassImage:
    """What all PEs of one class get.

    code: uint64 words.  lines: int32 [n, 4]: file, line, column, function (indices into Artifact.files and
    .functions; -1 none) of each instruction.  data: initial memory, (address, bytes).  messages: of traps by their
    value.
    """

    name: str
    file: str
    params: str
    code: np.ndarray
    lines: np.ndarray
    data: list[tuple[int, bytes]]
    task_kind: np.ndarray
    task_high: np.ndarray
    task_pc: np.ndarray
    active: int
    blocked: int
    queues_in: dict[int, int]
    queues_out: dict[int, int]
    variables: dict[str, Variable] = field(default_factory=dict)
    functions: dict[str, Rpc] = field(default_factory=dict)
    symbols: dict[str, Variable] = field(default_factory=dict)
    tasks: list[BoundTask] = field(default_factory=list)
    memory: list[Row] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    control_tasks: dict[int, int] | None = None  # task by entry point, where control tasks have a table of their own
    control_first: dict[int, int] = field(default_factory=dict)  # the entry point that is 0 for an input queue
    addresses: dict[str, int] = field(default_factory=dict)  # of all globals, by the compiler's names
    thread_priority: int = 0  # of microthreads at the start, as PEImage has it

    def loadable(self, name: str, artifact: Artifact) -> PEImage:
        """The class as a Fabric loads it, under this name."""

        def locate(pc: int) -> str:
            """`pe.csl:12:5 in compute`"""
            file, line, column, function = (int(v) for v in self.lines[pc]) if pc < len(self.lines) else (-1,) * 4
            within = f" in {artifact.function_names[function]}" if function >= 0 else ""
            if file < 0:
                return f"instruction {pc}{within} of {name}"
            return f"{artifact.files[file]}:{line}:{column}{within}"

        def source(pc: int) -> str:
            file, line = (int(v) for v in self.lines[pc][:2]) if pc < len(self.lines) else (-1, 0)
            return artifact.source_line({}, file, line) if file >= 0 else ""

        def message(value: int) -> str:
            return self.messages[value] if 0 <= value < len(self.messages) else ""

        return PEImage(
            *(name, self.code, self.task_kind, self.task_high, self.task_pc, self.active, self.blocked, self.data),
            *(self.queues_in, self.queues_out, {task.name: task.id for task in self.tasks}, {}, locate, message),
            control_tasks=self.control_tasks,
            control_first=self.control_first,
            thread_priority=self.thread_priority,
            source=source,
            regions=[row.region() for row in self.memory if row.bytes],
        )


@dataclass
class Exported:
    """An @export_name of the layout."""

    name: str
    type: str
    mutable: bool
    function: bool


@dataclass
class PerPeValues:
    """values [h, w]: written to the address in the PEs of the class."""

    unit: int
    address: int
    values: np.ndarray


@dataclass
class RouteConfig:
    """Arguments of Program.route."""

    rx: str
    tx: str
    switch: list[tuple[str | None, str | None]]
    ring: bool
    pop: str
    position: int
    filter: dict[str, Any] | None
    teardown: bool
    swap_x: bool
    swap_y: bool
    at: str  # file:line

    def enter(self, routes: Routes, color: Color, where: tuple[np.ndarray, ...]) -> None:
        """Sets the routes of a color at PEs (y, x)."""
        if not self.rx or not self.tx or not len(where[0]):
            return
        file, _, line = self.at.rpartition(":")
        filter = Filter(**self.filter) if self.filter else None
        switch = [(rx, tx) for rx, tx in self.switch]
        routes.set(
            *(color, self.rx, self.tx, where[1], where[0], switch, self.ring, self.pop, self.position, filter),
            *(self.teardown, self.swap_x, self.swap_y),
            place=Place(file or self.at, int(line) if line.isdigit() else 0),
        )


@dataclass
class Port:
    """Where a stream of a layout of regions crosses the fabric's edge: the router (x, y), its side, the color.

    short: another name, if no other stream has it.  out: to the host.  buffer: wavelets between the host and the edge.
    """

    name: str
    short: str
    color: int
    side: str
    x: int
    y: int
    out: bool
    buffer: int


@dataclass
class Artifact:
    """A compiled program."""

    arch: str
    width: int
    height: int
    file: str
    params: dict[str, str]
    colors: dict[str, int]
    fabric_dims: tuple[int, int]
    offsets: tuple[int, int]
    host_colors: dict[str, int]
    exports: list[Exported]
    strings: list[str]
    color_names: dict[int, str]
    fp16: str
    files: list[str]
    function_names: list[str]
    classes: list[ClassImage]
    class_of: np.ndarray
    routes: dict[int, tuple[np.ndarray, list[RouteConfig]]]
    per_pe: list[PerPeValues] = field(default_factory=list)
    ports: list[Port] = field(default_factory=list)
    memcpy: dict[str, int | None] | None = None  # --channels and --width-...-buf of a program compiled with --memcpy

    def resolved(self) -> dict[str, Any]:
        """What the program was compiled with, for host programs: params, colors, the fabric."""
        (wide, high), (x, y) = self.fabric_dims, self.offsets
        return {
            "params": self.params,
            "colors": self.colors,
            "arch": self.arch,
            "fp16_format": self.fp16,
            "fabric_dims": [wide, high],
            "fabric_offsets": [x, y],
            "rectangle": [self.width, self.height],
            "memcpy": self.memcpy,
        }

    def source_line(self, cache: dict[int, list[str]], file: int, line: int) -> str:
        """A line of a source file, "" if the file is not there any more.  cache: of files that were read."""
        if file not in cache:
            try:
                cache[file] = Path(self.files[file]).read_text(errors="replace").splitlines()
            except OSError:
                cache[file] = []
        text = cache[file]
        return text[line - 1].strip() if 0 < line <= len(text) else ""

    # On disk.

    def save(self, directory: str | Path) -> None:
        """Writes out.json and out.npz; makes the directory."""
        path = Path(directory)
        path.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, np.ndarray] = {"class_of": self.class_of}
        for i, image in enumerate(self.classes):
            for name in _ARRAYS:
                arrays[f"class{i}.{name}"] = getattr(image, name)
            arrays[f"class{i}.data"] = np.frombuffer(b"".join(data for _, data in image.data), np.uint8)
        for color, (plane, _) in self.routes.items():
            arrays[f"route{color}"] = plane
        for i, values in enumerate(self.per_pe):
            arrays[f"per_pe{i}"] = values.values
        packed = io.BytesIO()
        np.savez_compressed(packed, **arrays)  # type: ignore[arg-type]
        document = self._document() | {"arrays": hashlib.sha256(packed.getvalue()).hexdigest()}
        files.write_bytes(path / "out.npz", packed.getvalue())
        files.write_text(path / "out.json", json.dumps(document, indent=1) + "\n")

    def _document(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "tables": tables_digest(),
            "params": self.params,
            "colors": self.colors,
            **{name: getattr(self, name) for name in _PLAIN},
            "exports": [asdict(export) for export in self.exports],
            "classes": [self._class_document(image) for image in self.classes],
            "routes": {str(color): [asdict(c) for c in configs] for color, (_, configs) in self.routes.items()},
            "per_pe": [[values.unit, values.address] for values in self.per_pe],
            "ports": [asdict(port) for port in self.ports],
            "memcpy": self.memcpy,
        }

    def _class_document(self, image: ClassImage) -> dict[str, Any]:
        document = {k: v for k, v in vars(image).items() if k not in _ARRAYS and k != "data"}
        for name in ("variables", "functions", "symbols"):
            document[name] = {k: asdict(v) for k, v in document[name].items()}
        for name in ("tasks", "memory"):
            document[name] = [asdict(v) for v in document[name]]
        document["data"] = [[address, len(data)] for address, data in image.data]
        return document

    @classmethod
    def load(cls, directory: str | Path) -> Artifact:
        """Reads what save wrote.  ConfigError if it is not there, from another version or made with other tables of
        instructions or machine figures."""
        path = Path(directory)
        try:
            document = json.loads((path / "out.json").read_bytes())
            packed = (path / "out.npz").read_bytes()
            if not isinstance(document, dict) or document.get("format") != FORMAT:
                raise ConfigError(f"{path / 'out.json'} was written by another version: compile the program again")
            check_digest(document.get("tables"), str(path / "out.json"), "compile the program again (cslc -o)")
            if document.get("arrays") != hashlib.sha256(packed).hexdigest():
                raise ValueError("out.npz is not of the same compilation as out.json, or damaged")
            with npz.Archive(io.BytesIO(packed)) as archive:
                arrays = {name: archive.read(name) for name in archive.entries}
            return cls._from_document(document, arrays)
        except (OSError, *npz.UNREADABLE) as error:
            why = f"{type(error).__name__}: {error}" if isinstance(error, LookupError) else str(error)
            raise ConfigError(f"{directory} holds no compiled program ({why}): compile it with cslc -o") from None

    @classmethod
    def _from_document(cls, document: dict[str, Any], arrays: dict[str, np.ndarray]) -> Artifact:
        return cls(
            params=document["params"],
            colors=document["colors"],
            **{name: document[name] for name in _PLAIN if name not in ("color_names", "fabric_dims", "offsets")},
            color_names={int(k): v for k, v in document["color_names"].items()},
            fabric_dims=tuple(document["fabric_dims"]),
            offsets=tuple(document["offsets"]),
            exports=[Exported(**export) for export in document["exports"]],
            ports=[Port(**port) for port in document.get("ports", [])],
            memcpy=document.get("memcpy"),
            classes=[_image(row, arrays, i) for i, row in enumerate(document["classes"])],
            class_of=arrays["class_of"],
            routes={
                int(color): (arrays[f"route{color}"], [RouteConfig(**c) for c in configs])
                for color, configs in document["routes"].items()
            },
            per_pe=[
                PerPeValues(unit, address, arrays[f"per_pe{i}"]) for i, (unit, address) in enumerate(document["per_pe"])
            ],
        )

    # To run.

    def image(self, machine: Machine | str | None = None) -> Image:
        """The program as a Fabric loads it.

        machine: instead of the architecture's own.  Routes are not checked for consistency, since code may change them:
        what a check finds is a warning.
        """
        made = Machine.of(machine or self.arch)
        routes = Routes(self.width, self.height, made)
        colors = self._colors()
        by_number = {int(color): color for color in colors.values()}
        for number, (plane, configs) in self.routes.items():
            for i, config in enumerate(configs):
                config.enter(routes, by_number[number], np.nonzero(plane == i))
        for name, number in self.host_colors.items():
            rx, tx = ("R", HOST_SIDE) if name.startswith(TO_HOST) else (HOST_SIDE, "R")
            routes.set(by_number[number], rx, tx, place=Place("host", 0))

        def validate(streams: Streams | None) -> list[str]:
            try:
                return routes.check(None)
            except RouteError as error:
                return [str(error)]

        return Image(
            *(made, self.width, self.height, self.fp16, colors, self._class_images()),
            *(self.class_of.astype(np.uint16), routes, set(self.host_colors.values()), validate),
            per_pe=[(values.unit, values.address, values.values) for values in self.per_pe],
            language="csl",
        )

    def _colors(self) -> dict[str, Color]:
        """The colors in use, by a name of their own."""
        used = set(self.routes) | set(self.host_colors.values())
        for image in self.classes:
            used |= set(image.queues_in.values()) | set(image.queues_out.values())
        colors: dict[str, Color] = {}
        for number in sorted(used):
            name = self.color_names.get(number) or f"color{number}"
            name = name if name not in colors else f"{name}_{number}"
            colors[name] = Color(number, name)
        return colors

    def _class_images(self) -> list[PEImage]:
        made: dict[str, PEImage] = {}
        for image in self.classes:
            name = image.name
            while name in made:
                name += "_"
            made[name] = image.loadable(name, self)
        return list(made.values())

    def fabric(self, machine: Machine | str | None = None, **options) -> Fabric:
        """A Fabric with the program loaded; options as Fabric takes them."""
        return Fabric(self.image(machine), **options)


_ARRAYS = ("code", "lines", "task_kind", "task_high", "task_pc")
_PLAIN = (
    *("arch", "width", "height", "file", "fabric_dims", "offsets", "host_colors", "strings", "color_names", "fp16"),
    *("files", "function_names"),
)


def _image(row: dict[str, Any], arrays: dict[str, np.ndarray], index: int) -> ClassImage:
    everything = arrays[f"class{index}.data"].tobytes()
    data, at = [], 0
    for address, size in row.pop("data"):
        data.append((address, everything[at : at + size]))
        at += size
    row["variables"] = {k: Variable(**v) for k, v in row["variables"].items()}
    row["symbols"] = {k: Variable(**v) for k, v in row["symbols"].items()}
    row["functions"] = {k: Rpc(v["selector"], [tuple(a) for a in v["args"]]) for k, v in row["functions"].items()}
    row["tasks"] = [BoundTask(**v) for v in row["tasks"]]
    row["memory"] = [Row(**v) for v in row["memory"]]
    for name in ("queues_in", "queues_out", "control_first"):
        row[name] = {int(k): v for k, v in row[name].items()}
    if row.get("control_tasks") is not None:
        row["control_tasks"] = {int(k): v for k, v in row["control_tasks"].items()}
    row |= {name: arrays[f"class{index}.{name}"] for name in _ARRAYS}
    return ClassImage(**row, data=data)
