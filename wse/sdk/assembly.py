"""An SdkLayout as an ordinary CSL layout: places, colors of the machine, ways, the text, the initial data."""

from __future__ import annotations

import json
from dataclasses import field
from pathlib import Path
from typing import Any

import numpy as np

from .. import files
from ..csl.artifact import Artifact, ClassImage, PerPeValues, Port
from ..csl.sema.modules import Loader, takes_number
from ..csl.syntax.errors import CslError
from ..errors import ConfigError, ProgramError
from ..machine.parameters import Machine
from ..program.image import values_in
from ..records import dataclass
from . import compile, paths
from .device import Rectangle
from .geometry import IntVector
from .paths import Cell, Ways
from .region import CodeRegion, Color, Layout, PortHandle, StreamRequest

PORT_MAP = "port_map.json"
MARGIN = 2  # free columns and rows beyond the regions, for ways
_NAMES = {"N": "NORTH", "E": "EAST", "S": "SOUTH", "W": "WEST", "R": "RAMP"}
Positions = list[tuple[str, str]]


def build(layout: Layout, directory: Path, save_port_map: bool = False) -> Path:
    """Compiles the layout to the directory."""
    made = Assembly(layout)
    made.connect()
    directory.mkdir(parents=True, exist_ok=True)
    text = directory / "layout.csl"
    text.write_text(made.text())
    request = compile.Request(
        text,
        arch=layout.platform.target.value,
        fp16_format=layout.fp16_type.value,
        import_path=layout.libs,
        whole=False,
    )
    artifact = compile.compile_layout(request)
    artifact.ports = made.ports
    planes: dict[tuple[int, int], np.ndarray] = {}
    for region in layout.regions:
        for name, blocks in region.symbols.items():
            initial(artifact, region, name, blocks, planes)
    artifact.per_pe += [PerPeValues(unit, address, values) for (unit, address), values in planes.items()]
    artifact.save(directory)
    if save_port_map:
        ports = {port.name: {k: v for k, v in vars(port).items() if k != "name"} for port in made.ports}
        files.write_text(directory / PORT_MAP, json.dumps(ports, indent=1) + "\n")
    return directory


@dataclass
class Assembly:
    """The layout with what was chosen for it."""

    layout: Layout
    width: int = 0
    height: int = 0
    numbers: dict[Color, int] = field(default_factory=dict)
    routes: dict[tuple[int, Cell], Positions] = field(default_factory=dict)
    ports: list[Port] = field(default_factory=list)

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
        gates = [(stream.via.x, stream.via.y) for stream in self.layout.streams if stream.via is not None]
        for stream in self.layout.streams:
            where = stream.loc or stream.via
            taken = None if where is None else self.cells.get((where.x, where.y))
            if stream.via is not None and taken is not None:
                raise ConfigError(
                    f"io_loc {tuple(stream.via)} of the {stream} is a PE of region {self.layout.regions[taken].name}: "
                    "give it a free one"
                )
            if stream.loc is not None and taken is None:
                raise ConfigError(f"the {stream} is at PE {tuple(stream.loc)}, where there is no region")
        self.width = max(x for x, _ in (*self.cells, *gates)) + 1 + (MARGIN if self._has_ways else 0)
        self.height = max(y for _, y in (*self.cells, *gates)) + 1 + (MARGIN if self._has_ways else 0)
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
        for stream in self.layout.streams:
            if stream.via is not None:  # kept free from the ways of others
                ways.take(self.numbers[stream.color], [(stream.via.x, stream.via.y)])
        used: set[Cell] = set()
        for stream in self.layout.streams:
            if stream.port is not None:
                self._stream_of_port(ways, stream, stream.port, used)
            else:
                self._stream_at(ways, stream, used)

    def _stream_of_port(self, ways: Ways, stream: StreamRequest, port: PortHandle, used: set[Cell]) -> None:
        """The way between a port and the host, by the stream's gate if it has one."""
        number, cell = self.numbers[port.color], self.cell(port.region, port.pes[0])
        end, what = [self._end(port, cell)], f"{stream} at {cell}"
        host = [e for e in ways.outside() if e.cell not in used]
        if stream.via is None:
            way = ways.find(number, end, host, what) if port.out else ways.find(number, host, end, what)
        else:
            gate = [paths.End((stream.via.x, stream.via.y), dict.fromkeys(paths.STEP, 0))]
            way = ways.find(number, end, gate, what)
            way += ways.find(number, gate, host, what)[1:]
            way = way if port.out else way[::-1]
        self._lay(number, way, port if port.out else None, None if port.out else port)
        self._open(stream, number, way, used)

    def _stream_at(self, ways: Ways, stream: StreamRequest, used: set[Cell]) -> None:
        """The way between the host and a PE whose region has routed the color, or by the west side."""
        assert stream.loc is not None
        number, cell = self.numbers[stream.color], (stream.loc.x, stream.loc.y)
        positions = self.routes.setdefault((number, cell), [("R", "W") if stream.out else ("W", "R")])
        sides = [side for position in positions for side in position[1 if stream.out else 0] if side != "R"]
        if not sides:
            way_of = "output" if stream.out else "input"
            raise ConfigError(f"color {stream.color} is painted at PE {cell} without an {way_of} for the {stream}")
        ways.take(number, [cell])
        end = [paths.End(cell, dict.fromkeys(sides, 0), self.cells[cell])]
        way = ways.find(number, end, [e for e in ways.outside() if e.cell not in used], f"{stream}")
        way = way if stream.out else way[::-1]
        self._lay(number, way, None, None)
        self._open(stream, number, way, used)

    def _open(self, stream: StreamRequest, number: int, way: list[Cell], used: set[Cell]) -> None:
        """The place where the way of a stream crosses the edge of the fabric."""
        outside, router = (way[-1], way[-2]) if stream.out else (way[0], way[1])
        used.add(outside)
        short = stream.port.name if stream.port is not None else stream.name
        self.ports.append(
            Port(stream.name, short, number, paths.side_to(router, outside), *router, stream.out, stream.buffer)
        )

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
            numbers = self.number_params(region)
            for pe in region.everything:
                x, y = self.cell(region, pe)
                given = region.params.get(pe, {}).items()
                params = ", ".join(f".{k} = {self.value(v, k in numbers)}" for k, v in given)
                lines.append(f"  @set_tile_code({x}, {y}, {file}, .{{ {params} }});")
        names = {number: str(color) for color, number in self.numbers.items()}
        for (number, (x, y)), positions in sorted(self.routes.items()):
            what = config(positions, names[number], (x, y))
            lines.append(f"  @set_color_config({x}, {y}, @get_color({number}), {what});")
        return "\n".join([*lines, "}", ""])

    @staticmethod
    def number_params(region: CodeRegion) -> set[str]:
        """The params that the region's file declares as integers: SDK 2.10 gives these the numbers of colors."""
        try:
            file = Loader().load(Path(region.path))
        except CslError:
            return set()  # told when the layout is compiled
        return {name for name in file.decls if takes_number(file, name)}

    def value(self, value: Any, as_number: bool = False) -> str:
        """A param's value in CSL; as_number: a color as its number."""
        if isinstance(value, Color):
            return str(self.numbers[value]) if as_number else f"@get_color({self.numbers[value]})"
        if isinstance(value, bool | np.bool_):
            return "true" if value else "false"
        if isinstance(value, int | np.integer):
            return str(int(value))
        if isinstance(value, float | np.floating):
            if not np.isfinite(value):
                raise ConfigError(f"a param's value is a finite number, not {value!r}")
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
    for stream in layout.streams:
        root(stream.color)
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
    for unit in values_in(artifact.class_of[here]):
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
