"""Parts of an SdkLayout: platforms, routes, colors, ports, streams, and regions of PEs that run one file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import field
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..records import dataclass
from . import messages
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


MAX_THREADS = 64
CORE_PATH = "out.core"  # where a core goes without a name


def thread_count(number: object, what: str) -> int:
    """A number of threads, checked."""
    if isinstance(number, bool) or not isinstance(number, int | np.integer) or not 1 <= number <= MAX_THREADS:
        raise ConfigError(f"{what} is an integer from 1 to {MAX_THREADS}, not {number!r}")
    return int(number)


class SimfabConfig:
    """Options of a simulator run.

    num_threads: threads of the emulator, 1 to 64; None: as many as are worth it.  suppress_trace: sim.log has what PEs
    print, and no traces, whatever SIMFABRIC_DEBUG says.  dump_core: write the memory of all PEs to core_path when the
    run stops, as SdkRuntime.dump_core does.
    """

    def __init__(
        self,
        num_threads: int | None = None,
        suppress_trace: bool = False,
        dump_core: bool = False,
        core_path: str | Path | None = None,
    ):
        self.num_threads = None if num_threads is None else thread_count(num_threads, "num_threads")
        self.suppress_trace, self.dump_core = bool(suppress_trace), bool(dump_core)
        self.core_path = Path(core_path) if core_path is not None else Path(CORE_PATH)


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
    if config is not None and not isinstance(config, SimfabConfig):
        raise ConfigError(f"config is a SimfabConfig, not {config!r}")
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

    def add_input(self, route: Route) -> RoutingPosition:
        self.input += _sides([route])
        return self

    def add_output(self, route: Route) -> RoutingPosition:
        self.output += _sides([route])
        return self

    def get_input(self) -> list[Route]:
        return [Route(side) for side in self.input]

    def get_output(self) -> list[Route]:
        return [Route(side) for side in self.output]

    def __repr__(self) -> str:
        return f"<{self.input or '?'} -> {self.output or '?'}>"


def _sides(routes: Sequence[Route]) -> str:
    if isinstance(routes, Route | str) or not all(isinstance(route, Route) for route in routes):
        raise ConfigError(f"routes are a list of Route.NORTH, EAST, SOUTH, WEST or RAMP, not {routes!r}")
    return "".join(route.value for route in routes)


@dataclass(frozen=True)
class EdgeRouteInfo:
    """Other positions for the PEs at an edge of a painted region."""

    edge: Edge
    positions: tuple[RoutingPosition, ...]


def get_edge_routing(edge: Edge, positions: Sequence[RoutingPosition]) -> EdgeRouteInfo:
    """Positions for the PEs at this edge instead of those of the rest."""
    if not isinstance(edge, Edge):
        raise ConfigError(f"edge is Edge.TOP, BOTTOM, LEFT or RIGHT, not {edge!r}")
    return EdgeRouteInfo(edge, tuple(positions))


@dataclass(frozen=True)
class Color:
    """A symbolic color.  Its name is that of the param that it is a value of; value: its number, if it must have one;
    scope: the region it belongs to."""

    name: str
    value: int | None = None
    scope: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ConfigError(f"a color has a name, the name of the param that it is a value of, not {self.name!r}")
        number = self.value
        if number is not None and (isinstance(number, bool) or not isinstance(number, int | np.integer) or number < 0):
            raise ConfigError(f"the value of color {self.name} is its number, 0 to 23, not {number!r}")

    def get_local_param_name(self) -> str:
        """The name without the region's."""
        return self.name

    def get_global_name(self) -> str:
        """region_name, or the name of a color without a region."""
        return f"{self.scope}_{self.name}" if self.scope else self.name

    def get_value(self) -> int | None:
        """The number, if it was given one."""
        return self.value

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
class StreamRequest:
    """A stream between the host and a port, or a PE (loc): its place is found when the layout is compiled.

    via: the PE by which it has to enter or leave the fabric.  buffer: wavelets that the host takes or gives ahead.
    """

    name: str
    color: Color
    out: bool
    port: PortHandle | None = None
    loc: IntVector | None = None
    via: IntVector | None = None
    buffer: int = 0

    def __str__(self) -> str:
        return f"stream of {self.port}" if self.port is not None else f"stream {self.name} at {self.loc}"


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
        if not (_is_index(x) and _is_index(y)):
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
        if matrix.dtype not in _DATA:
            raise ConfigError(
                f"the data of {name} of region {self.name} are of type {matrix.dtype}: int16, uint16, float16, int32, "
                "uint32 or float32 was expected; call data.astype"
            )
        x_size, y_size = int(x_size), int(y_size)
        if min(x_size, y_size) < 1:
            raise ConfigError(f"the matrix {name} of region {self.name} has {y_size} rows of {x_size} values")
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
        if not isinstance(color, Color) or not isinstance(edge, Edge):
            raise ConfigError(f"a port of region {self.name} has a Color and an Edge, not {color!r} and {edge!r}")
        if any(port.name == f"{prefix}{color.name}" for port in self.ports):
            raise ConfigError(f"region {self.name} has a port {prefix}{color.name} already: give it another prefix")
        port = PortHandle(self, color, edge, tuple(positions), int(size), out, f"{prefix}{color.name}")
        self.ports.append(port)
        return port


class Layout:
    """Regions and how they are connected: what SdkLayout declares and assembly.py builds."""

    def __init__(self, platform: SdkExecutionPlatform | SdkTarget, msg_level: str = "WARNING"):
        if isinstance(platform, str | Path):
            raise ConfigError(
                f"a fabric file ({platform}) is not supported: give SdkLayout a SdkTarget or what get_platform returns"
            )
        if isinstance(platform, SdkTarget):
            platform = SdkExecutionPlatform(platform)
        if not isinstance(platform, SdkExecutionPlatform):
            raise ConfigError(f"SdkLayout takes what get_platform returns, or a SdkTarget, not {platform!r}")
        self.platform, self.fp16_type, self.libs = platform, FP16TYPE.F16, tuple[str, ...]()
        self.messages = messages.Messages(msg_level)
        self.regions: list[CodeRegion] = []
        self.connections: list[tuple[PortHandle, PortHandle]] = []
        self.streams: list[StreamRequest] = []


# Types of set_symbol_all.
_DATA = tuple(np.dtype(name) for name in ("int16", "uint16", "float16", "int32", "uint32", "float32"))


def _is_index(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= 0)
