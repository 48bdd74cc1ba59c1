"""An SdkLayout as an ordinary CSL layout: places, colors of the machine, ways, the text, the initial data."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..csl.artifact import Artifact, ClassImage, PerPeValues
from ..errors import ConfigError, ProgramError
from ..machine.parameters import Machine
from . import compile, paths
from .device import Rectangle
from .geometry import IntVector
from .paths import Cell, Ways
from .region import CodeRegion, Color, Layout, PortHandle

MARGIN = 2  # free columns and rows beyond the regions, for ways
_NAMES = {"N": "NORTH", "E": "EAST", "S": "SOUTH", "W": "WEST", "R": "RAMP"}
Positions = list[tuple[str, str]]


def build(layout: Layout, directory: Path) -> Path:
    """Compiles the layout to the directory."""
    made = Assembly(layout)
    made.connect()
    directory.mkdir(parents=True, exist_ok=True)
    text = directory / "layout.csl"
    text.write_text(made.text())
    request = compile.Request(text, arch=layout.platform.target.value, fp16_format=layout.fp16_type.value)
    artifact = compile.compile_layout(request)
    planes: dict[tuple[int, int], np.ndarray] = {}
    for region in layout.regions:
        for name, blocks in region.symbols.items():
            initial(artifact, region, name, blocks, planes)
    artifact.per_pe += [PerPeValues(unit, address, values) for (unit, address), values in planes.items()]
    artifact.save(directory)
    return directory


@dataclass
class Assembly:
    """The layout with what was chosen for it."""

    layout: Layout
    width: int = 0
    height: int = 0
    numbers: dict[Color, int] = field(default_factory=dict)
    routes: dict[tuple[int, Cell], Positions] = field(default_factory=dict)

    def __post_init__(self) -> None:
        place(self.layout.regions)
        self.cells: dict[Cell, int] = {}
        for index, region in enumerate(self.layout.regions):
            for pe in region.everything:
                cell = self.cell(region, pe)
                if cell in self.cells:
                    other = self.layout.regions[self.cells[cell]]
                    raise ConfigError(f"regions {other.name} and {region.name} overlap at PE {cell}")
                self.cells[cell] = index
        self.width = max(x for x, _ in self.cells) + 1 + (MARGIN if self._has_ways else 0)
        self.height = max(y for _, y in self.cells) + 1 + (MARGIN if self._has_ways else 0)
        self.numbers = choose_colors(self.layout)

    @property
    def _has_ways(self) -> bool:
        return bool(self.layout.connections or self.layout.streams)

    @staticmethod
    def cell(region: CodeRegion, pe: IntVector) -> Cell:
        assert region.origin is not None
        return region.origin.x + pe.x, region.origin.y + pe.y

    # Ways.

    def connect(self) -> None:
        """Routes: what the regions paint, then the ways between ports, shortest first, then those of streams."""
        ports: dict[tuple[int, Cell], PortHandle] = {}
        for region in self.layout.regions:
            for (color, pe), positions in region.routes.items():
                self.routes[self.numbers[color], self.cell(region, pe)] = list(positions)
            for port in region.ports:
                for pe in port.pes:
                    where = self.numbers[port.color], self.cell(region, pe)
                    if where in ports and ports[where] is not port:
                        raise ConfigError(f"{ports[where]} and {port} are on one router, {where[1]}, with one color")
                    ports[where] = port
                if not port.connected:
                    raise ConfigError(f"{port} is connected to nothing: call connect, or make a stream of it")
        ways = Ways(self.width, self.height, self.cells)
        for number, cell in (*self.routes, *ports):
            ways.take(number, [cell])
        pairs = [
            (source, target, self.cell(source.region, a), self.cell(target.region, b))
            for source, target in self.layout.connections
            for a, b in zip(source.pes, target.pes, strict=True)
        ]
        for source, target, a, b in sorted(pairs, key=lambda p: abs(p[2][0] - p[3][0]) + abs(p[2][1] - p[3][1])):
            number = self.numbers[source.color]
            ends = [self._end(source, a)], [self._end(target, b)]
            way = ways.find(number, *ends, f"{source} at {a} to {target} at {b}")
            self._lay(number, way, source, target)
        used: set[Cell] = set()
        for stream in self.layout.streams:
            port = stream.port
            number, cell = self.numbers[port.color], self.cell(port.region, port.pes[0])
            end, host = [self._end(port, cell)], [e for e in ways.outside() if e.cell not in used]
            what = f"{stream.name} at {cell}"
            way = ways.find(number, end, host, what) if port.out else ways.find(number, host, end, what)
            self._lay(number, way, port if port.out else None, None if port.out else port)
            outside, router = (way[-1], way[-2]) if port.out else (way[0], way[1])
            used.add(outside)
            stream.color, stream.side = number, paths.side_to(router, outside)
            stream.at = Rectangle(*router, 1, 1)

    def _end(self, port: PortHandle, cell: Cell) -> paths.End:
        return paths.port_end(cell, port.edge.value, self.cells[cell])

    def _lay(self, number: int, way: list[Cell], source: PortHandle | None, target: PortHandle | None) -> None:
        """The routes along a way; at its ends the ports' positions get what was left open."""
        for before, here, after in zip(way, way[1:], way[2:], strict=False):
            self.routes[number, here] = [(paths.side_to(here, before), paths.side_to(here, after))]
        if source is not None:
            out = paths.side_to(way[0], way[1])
            self.routes[number, way[0]] = [(p.input, out) for p in source.positions]
        if target is not None:
            into = paths.side_to(way[-1], way[-2])
            self.routes[number, way[-1]] = [(into, p.output) for p in target.positions]

    # Text.

    def text(self) -> str:
        """The layout in CSL."""
        lines = ["// Made by SdkLayout.compile.", "layout {", f"  @set_rectangle({self.width}, {self.height});"]
        for region in self.layout.regions:
            file = json.dumps(str(Path(region.path).resolve()))
            for pe in region.everything:
                x, y = self.cell(region, pe)
                params = ", ".join(f".{k} = {self.value(v)}" for k, v in region.params.get(pe, {}).items())
                lines.append(f"  @set_tile_code({x}, {y}, {file}, .{{ {params} }});")
        names = {number: str(color) for color, number in self.numbers.items()}
        for (number, (x, y)), positions in sorted(self.routes.items()):
            what = config(positions, names[number], (x, y))
            lines.append(f"  @set_color_config({x}, {y}, @get_color({number}), {what});")
        return "\n".join([*lines, "}", ""])

    def value(self, value: Any) -> str:
        """A param's value in CSL."""
        if isinstance(value, Color):
            return f"@get_color({self.numbers[value]})"
        if isinstance(value, bool | np.bool_):
            return "true" if value else "false"
        if isinstance(value, int | np.integer):
            return str(int(value))
        if isinstance(value, float | np.floating):
            return repr(float(value))
        if isinstance(value, str):
            return json.dumps(value)
        raise ConfigError(f"a param's value is a number, a string or a Color, not {value!r}")


def config(positions: Positions, color: str, cell: Cell) -> str:
    """A color's configuration in CSL."""
    rx, tx = positions[0]
    text = f".routes = .{{ .rx = .{{{_directions(rx)}}}, .tx = .{{{_directions(tx)}}} }}"
    switches = []
    for number, (input, output) in enumerate(positions[1:], 1):
        changes = [(".rx", input)] * (set(input) != set(rx)) + [(".tx", output)] * (set(output) != set(tx))
        if len(changes) > 1 or (changes and len(changes[0][1]) != 1):
            raise ProgramError(
                f"color {color} at PE {cell}: position {number} of a switch changes one side, its input or its output, "
                f"but {rx} -> {tx} becomes {input} -> {output}"
            )
        field, sides = changes[0] if changes else (".tx", tx)
        switches.append(f".pos{number} = .{{ {field} = {_directions(sides)} }}")
    return f".{{ {text}, .switches = .{{ {', '.join(switches)} }} }}" if switches else f".{{ {text} }}"


def _directions(sides: str) -> str:
    return ", ".join(_NAMES[side] for side in sides)


def place(regions: list[CodeRegion]) -> None:
    """Regions without a place go to the origin if they are alone, else below the others, in a column."""
    if not regions:
        raise ConfigError("the layout has no region: call create_code_region")
    below = max((r.origin.y + r.height + 1 for r in regions if r.origin is not None), default=0)
    for region in regions:
        if region.origin is None:
            region.place(0, below)
            below += region.height + 1


def choose_colors(layout: Layout) -> dict[Color, int]:
    """A number for each color: one for all that are connected, those with switches where the machine has them."""
    parent: dict[Color, Color] = {}

    def root(color: Color) -> Color:
        parent.setdefault(color, color)
        while parent[color] != color:
            color = parent[color]
        return color

    switched: set[Color] = set()
    for region in layout.regions:
        for values in region.params.values():
            for value in values.values():
                if isinstance(value, Color):
                    root(value)
        for (color, _), positions in region.routes.items():
            root(color)
            switched |= {color} if len(positions) > 1 else set()
        for port in region.ports:
            root(port.color)
            switched |= {port.color} if len(port.positions) > 1 else set()
    for source, target in layout.connections:
        parent[root(source.color)] = root(target.color)
    machine = Machine(layout.platform.target.value)
    roots = list(dict.fromkeys(root(color) for color in parent))
    with_switch = {root(color) for color in switched}
    roots.sort(key=lambda color: color not in with_switch)  # they have fewer to choose from
    given: dict[Color, set[int]] = {}
    for color in parent:
        if color.value is not None:
            given.setdefault(root(color), set()).add(color.value)
    # On WSE-2 colors and local tasks share their numbers: programs count their tasks from 8 on.
    free = sorted(range(machine.colors), key=lambda number: (8 <= number < 16, number))
    numbers: dict[Color, int] = {}
    for color, fixed in given.items():
        if len(fixed) > 1:
            raise ConfigError(f"color {color} and those connected to it have several values: {sorted(fixed)}")
        numbers[color] = fixed.pop()
        if numbers[color] not in range(machine.colors) or (
            color in with_switch and not machine.has_switch(numbers[color])
        ):
            raise ConfigError(f"color {color} cannot have the value {numbers[color]} on {machine.name}")
    free = [number for number in free if number not in numbers.values()]
    for color in roots:
        if color in numbers:
            continue
        number = next((n for n in free if color not in with_switch or machine.has_switch(n)), None)
        if number is None:
            kind = " with switches" if color in with_switch else ""
            raise ProgramError(f"the layout needs more colors{kind} than {machine.name} has: {len(roots)}")
        free.remove(number)
        numbers[color] = number
    return {color: numbers[root(color)] for color in parent}


def initial(
    artifact: Artifact, region: CodeRegion, name: str, blocks: np.ndarray, planes: dict[tuple[int, int], np.ndarray]
) -> None:
    """The blocks of set_symbol_all as initial values, by class and address, of the classes that have the array."""
    size = blocks.shape[2] * blocks.itemsize
    assert region.origin is not None
    here = Rectangle(region.origin.x, region.origin.y, region.width, region.height).slices
    for unit in np.unique(artifact.class_of[here]):
        image = artifact.classes[unit]
        variable = image.symbols.get(name) or image.variables.get(name)
        if variable is None:
            raise ProgramError(f"region {region.name} has no exported array {name!r}: write `export var {name}`")
        if variable.bytes != size:
            raise ProgramError(f"{name} of region {region.name} has {variable.bytes} bytes, but is to be set to {size}")
        key = int(unit), variable.address
        if key not in planes:  # PEs of the class in other regions keep what the source says
            before = np.frombuffer(contents(image, variable.address, size), f"V{size}")
            planes[key] = np.broadcast_to(before, artifact.class_of.shape).copy()
        planes[key][here] = blocks.view(f"V{size}")[:, :, 0]


def contents(image: ClassImage, address: int, size: int) -> bytes:
    """A part of a class's initial memory."""
    memory = bytearray(size)
    for start, data in image.data:
        low, high = max(address, start), min(address + size, start + len(data))
        if low < high:
            memory[low - address : high - address] = data[low - start : high - start]
    return bytes(memory)
