"""Parts of an SdkLayout: platforms, routes, colors, ports, streams, and regions of PEs that run one file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np

from ..errors import ConfigError
from .geometry import IntRectangle, IntVector


class SdkTarget(Enum):
    """The machine."""

    WSE2 = "wse2"
    WSE3 = "wse3"


class Route(Enum):
    """A side of a router."""

    NORTH = "N"
    EAST = "E"
    SOUTH = "S"
    WEST = "W"
    RAMP = "R"


class Edge(Enum):
    """A side of a region."""

    TOP = "N"
    RIGHT = "E"
    BOTTOM = "S"
    LEFT = "W"


class SimfabConfig:
    """Options of the SDK's simulator; none has an effect here."""

    def __init__(self, **options: Any):
        self.options = options


class FP16TYPE(Enum):
    """A 16-bit float format."""

    F16 = "f16"
    BF16 = "bf16"
    CB16 = "cb16"


@dataclass(frozen=True)
class SdkExecutionPlatform:
    """Where a layout is to run."""

    target: SdkTarget
    config: SimfabConfig | None = None

    def is_simulation(self) -> bool:
        return True

    def is_system(self) -> bool:
        return False


def get_simulator(config: SimfabConfig | None = None, target: SdkTarget = SdkTarget.WSE3) -> SdkExecutionPlatform:
    """The emulator as a platform."""
    return get_platform(None, config, target)


def get_system(cmaddr: str) -> SdkExecutionPlatform:
    """There is none here."""
    return get_platform(cmaddr or "")


def get_platform(
    cmaddr: str | None = None, config: SimfabConfig | None = None, target: SdkTarget = SdkTarget.WSE3
) -> SdkExecutionPlatform:
    """The emulator as a platform."""
    if cmaddr:
        raise ConfigError(f"there is no system at {cmaddr!r}: this is the emulator, leave --cmaddr away")
    if not isinstance(target, SdkTarget):
        raise ConfigError(f"target is SdkTarget.WSE2 or SdkTarget.WSE3, not {target!r}")
    return SdkExecutionPlatform(target, config)


class RoutingPosition:
    """Where a router takes a color from and passes it on to, in one position of its switch."""

    def __init__(self) -> None:
        self.input: str = ""
        self.output: str = ""

    def set_input(self, routes: Sequence[Route]) -> RoutingPosition:
        self.input = _sides(routes)
        return self

    def set_output(self, routes: Sequence[Route]) -> RoutingPosition:
        self.output = _sides(routes)
        return self

    def __repr__(self) -> str:
        return f"<{self.input or '?'} -> {self.output or '?'}>"


def _sides(routes: Sequence[Route]) -> str:
    if not all(isinstance(route, Route) for route in routes):
        raise ConfigError(f"routes are Route.NORTH, EAST, SOUTH, WEST or RAMP, not {list(routes)!r}")
    return "".join(route.value for route in routes)


@dataclass(frozen=True)
class EdgeRouteInfo:
    """Other positions for the PEs at an edge of a painted region."""

    edge: Edge
    positions: tuple[RoutingPosition, ...]


def get_edge_routing(edge: Edge, positions: Sequence[RoutingPosition]) -> EdgeRouteInfo:
    """Positions for the PEs at this edge instead of those of the rest."""
    return EdgeRouteInfo(edge, tuple(positions))


@dataclass(frozen=True)
class Color:
    """A symbolic color.  Its name is that of the param that it is a value of; value: its number, if it must have one;
    scope: the region it belongs to."""

    name: str
    value: int | None = None
    scope: str = ""

    def __str__(self) -> str:
        return f"{self.scope}.{self.name}" if self.scope else self.name


@dataclass(eq=False)
class PortHandle:
    """A color's way into or out of a region: one router for each PE at its edge."""

    region: CodeRegion
    color: Color
    edge: Edge
    positions: tuple[RoutingPosition, ...]
    size: int
    out: bool
    name: str
    connected: bool = False

    @property
    def pes(self) -> list[IntVector]:
        return self.region.at_edge(self.edge)

    def __str__(self) -> str:
        return f"port {self.name} of region {self.region.name}"


@dataclass(eq=False)
class StreamHandle:
    """A stream between the host and a port: for send and receive.  Its place is known when the layout is compiled."""

    port: PortHandle
    name: str
    color: int = -1
    side: str = ""
    at: Any = None  # the Rectangle of its router


@dataclass(eq=False)
class CodeRegion:
    """w x h PEs that run one file; coordinates are relative to its place."""

    path: str
    name: str
    width: int
    height: int
    origin: IntVector | None = None
    params: dict[IntVector, dict[str, Any]] = field(default_factory=dict)
    routes: dict[tuple[Color, IntVector], list[tuple[str, str]]] = field(default_factory=dict)
    symbols: dict[str, np.ndarray] = field(default_factory=dict)
    ports: list[PortHandle] = field(default_factory=list)

    @property
    def everything(self) -> IntRectangle:
        return IntRectangle(IntVector(0, 0), IntVector(self.width, self.height))

    def at_edge(self, edge: Edge) -> list[IntVector]:
        """The PEs at an edge, from the west or the north."""
        if edge in (Edge.TOP, Edge.BOTTOM):
            return [IntVector(x, 0 if edge is Edge.TOP else self.height - 1) for x in range(self.width)]
        return [IntVector(0 if edge is Edge.LEFT else self.width - 1, y) for y in range(self.height)]

    def place(self, x: int, y: int) -> None:
        """Where its upper left PE lies."""
        if x < 0 or y < 0:
            raise ConfigError(f"region {self.name} cannot be placed at ({x}, {y})")
        self.origin = IntVector(int(x), int(y))

    def color(self, name: str, value: int | None = None) -> Color:
        """A color of this region."""
        return Color(name, value, self.name)

    # Params and data.

    def set_param_all(self, name: str | Color, value: Any = None) -> None:
        """A param of all PEs; a color alone is a value of the param that has its name."""
        self._set(self.everything, name, value)

    def set_param(self, pe: IntVector, name: str | Color, value: Any = None) -> None:
        """A param of one PE."""
        self._set([self._checked(pe)], name, value)

    def set_param_range(self, pes: IntRectangle, name: str | Color, value: Any = None) -> None:
        """A param of a rectangle of PEs."""
        self._set(self._inside(pes), name, value)

    def _set(self, pes: Iterable[IntVector], name: str | Color, value: Any) -> None:
        if isinstance(name, Color):
            name, value = name.name, name
        if value is None or not isinstance(name, str):
            raise ConfigError(f"a param has a name and a value, or is a Color: not {name!r}, {value!r}")
        for pe in pes:
            self.params.setdefault(pe, {})[name] = value

    def set_symbol_all(self, name: str, data: np.ndarray, x_size: int, y_size: int) -> None:
        """Initial values of an exported array: a matrix of y_size rows of x_size, in equal blocks over the PEs."""
        matrix = np.asarray(data)
        if matrix.size != x_size * y_size or x_size % self.width or y_size % self.height:
            raise ConfigError(
                f"{matrix.size} values of {name} are no {y_size} x {x_size} matrix "
                f"that divides among the {self.width} x {self.height} PEs of region {self.name}"
            )
        blocks = matrix.reshape(self.height, y_size // self.height, self.width, x_size // self.width)
        self.symbols[name] = np.ascontiguousarray(blocks.transpose(0, 2, 1, 3).reshape(self.height, self.width, -1))

    # Routes.

    def paint(self, pe: IntVector, color: Color, positions: Sequence[RoutingPosition]) -> None:
        """Routes a color at one PE."""
        self._paint([self._checked(pe)], color, positions)

    def paint_all(
        self, color: Color, positions: Sequence[RoutingPosition], edges: Sequence[EdgeRouteInfo] = ()
    ) -> None:
        """Routes a color at all PEs; edges: otherwise at these."""
        self._paint(self.everything, color, positions)
        for edge in edges:
            self._paint(self.at_edge(edge.edge), color, edge.positions)

    def paint_range(
        self,
        pes: IntRectangle,
        color: Color,
        positions: Sequence[RoutingPosition],
        edges: Sequence[EdgeRouteInfo] = (),
    ) -> None:
        """Routes a color at a rectangle of PEs."""
        inside = list(self._inside(pes))
        self._paint(inside, color, positions)
        for edge in edges:
            self._paint([pe for pe in self.at_edge(edge.edge) if pe in inside], color, edge.positions)

    def _paint(self, pes: Iterable[IntVector], color: Color, positions: Sequence[RoutingPosition]) -> None:
        if not positions or not all(p.input and p.output for p in positions):
            raise ConfigError(f"color {color} is painted with {list(positions)}: each needs an input and an output")
        for pe in pes:
            self.routes[color, pe] = [(p.input, p.output) for p in positions]

    def _inside(self, pes: IntRectangle) -> IntRectangle:
        if pes.width < 1 or pes.height < 1:
            raise ConfigError(f"{pes} is no rectangle of PEs of region {self.name}")
        self._checked(pes.upper_left)
        self._checked(pes.lower_right - IntVector(1, 1))
        return pes

    def _checked(self, pe: IntVector) -> IntVector:
        if not (0 <= pe.x < self.width and 0 <= pe.y < self.height):
            raise ConfigError(
                f"region {self.name} has {self.width} x {self.height} PEs: ({pe.x}, {pe.y}) is none of them"
            )
        return pe

    # Ports.

    def create_input_port(
        self, color: Color, edge: Edge, positions: Sequence[RoutingPosition], size: int, prefix: str = ""
    ) -> PortHandle:
        """By which the color comes in; its positions have no inputs yet: these follow from the way that is found."""
        if any(p.input for p in positions):
            raise ConfigError(f"the positions of an input port ({color} of region {self.name}) have no inputs")
        return self._port(color, edge, positions, size, prefix, out=False)

    def create_output_port(
        self, color: Color, edge: Edge, positions: Sequence[RoutingPosition], size: int, prefix: str = ""
    ) -> PortHandle:
        """By which the color leaves; its positions have no outputs yet."""
        if any(p.output for p in positions):
            raise ConfigError(f"the positions of an output port ({color} of region {self.name}) have no outputs")
        return self._port(color, edge, positions, size, prefix, out=True)

    def _port(self, color: Color, edge: Edge, positions, size: int, prefix: str, out: bool) -> PortHandle:
        if not positions or size < 1:
            raise ConfigError(f"a port ({color} of region {self.name}) has at least one position and one wavelet")
        port = PortHandle(self, color, edge, tuple(positions), int(size), out, f"{prefix}{color.name}")
        self.ports.append(port)
        return port


class Layout:
    """Regions and how they are connected: what SdkLayout declares and assembly.py builds."""

    def __init__(self, platform: SdkExecutionPlatform, fp16_type: FP16TYPE = FP16TYPE.F16):
        if not isinstance(platform, SdkExecutionPlatform):
            raise ConfigError(f"SdkLayout takes what get_platform returns, not {platform!r}")
        self.platform, self.fp16_type = platform, fp16_type
        self.regions: list[CodeRegion] = []
        self.connections: list[tuple[PortHandle, PortHandle]] = []
        self.streams: list[StreamHandle] = []
