"""Floor plans of pipelined execution: regions are sized for equal rates, placed, and connected by wires.

`plan` searches for the highest rate at which every region, rounded up to whole PEs and with enough memory, can be
placed.  The rate of a pipeline is that of its slowest region.  A wire carries a tensor from the region that computes it
to those that read it, and its gradient back.  Wires that share a PE have different colors.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Protocol

from ..errors import ConfigError
from ..machine.parameters import Machine
from ..models import Graph
from ..program.program import Program
from ..program.route import STEP
from ..records import dataclass
from .microbatch import tokens_of
from .place import Rectangle, place, wire
from .region import STATE_BYTES, Region, regions

# The fraction of a PE's memory that is available for data, beside code, stack and buffers.
USABLE_MEMORY = 0.9
# The number of colors for wires; the others are reserved for traffic within regions.
WIRE_COLORS = 16


class Costs(Protocol):
    """What kernels cost: calibrated on the vendor's compiler (compiler.py), or fitted to executed runs (cost.py)."""

    def pe_cycles(self, region: Region, sequence: int) -> float:
        """PE-cycles per token, forward and backward."""


@dataclass(frozen=True)
class Placed:
    """A placed region.  need: PEs for the common rate.  rate: sequences per second.  memory: bytes."""

    region: Region
    rectangle: Rectangle
    need: int
    rate: float
    memory: int
    bound: str  # "compute" or "memory": what its size follows from

    @property
    def pes(self) -> int:
        """Number of PEs."""
        return self.rectangle.pes


@dataclass(frozen=True)
class Wire:
    """The path of a tensor between regions: corners (x, y) from source to destination, and its color."""

    tensor: str
    source: int
    destination: int
    corners: tuple[tuple[int, int], ...]
    color: int

    @property
    def hops(self) -> int:
        """Length in hops."""
        return sum(abs(ax - bx) + abs(ay - by) for (ax, ay), (bx, by) in pairwise(self.corners))

    def pes(self) -> Iterator[tuple[int, int]]:
        """The PEs on the path, including source and destination."""
        yield self.corners[0]
        for (ax, ay), (bx, by) in pairwise(self.corners):
            dx, dy = (bx > ax) - (bx < ax), (by > ay) - (by < ay)
            for i in range(1, abs(bx - ax) + abs(by - ay) + 1):
                yield ax + i * dx, ay + i * dy


@dataclass(frozen=True)
class FloorPlan:
    """Regions on a grid.  rate: sequences per second of the slowest region.  bound: the limit of the rate."""

    model: str
    sequence: int
    grid: tuple[int, int]
    clock_hz: int
    placed: tuple[Placed, ...]
    wires: tuple[Wire, ...]
    rate: float
    bound: str

    @property
    def pes(self) -> int:
        """The number of PEs that the regions need, before rounding to rectangles."""
        return sum(p.need for p in self.placed)

    @property
    def active(self) -> float:
        """Share of the PEs of the grid that regions use."""
        return self.pes / (self.grid[0] * self.grid[1])

    def by_kernel(self) -> dict[str, tuple[int, int]]:
        """kernel: (regions, PEs needed)."""
        found: dict[str, tuple[int, int]] = {}
        for p in self.placed:
            number, pes = found.get(p.region.kernel, (0, 0))
            found[p.region.kernel] = (number + 1, pes + p.need)
        return found


def plan(
    graph: Graph,
    grid: tuple[int, int],
    machine: Machine,
    costs: Costs,
    sequence: int | None = None,
    by: str = "kernel",
    rate: float | None = None,
    in_flight: int = 1,
    state_bytes: int = STATE_BYTES,
) -> FloorPlan:
    """A floor plan for training `graph` on `grid` (width, height).

    rate        sequences per second to aim at; None: the highest that can be placed
    in_flight   sequences whose inputs each region keeps for the backward pass
    ConfigError if even the memory does not fit, or the rate asked for.
    """
    words = tokens_of(graph.model, sequence)
    sequence = sequence or graph.model.sequence
    made = regions(graph, by)
    memory = [region.bytes(sequence, in_flight, state_bytes) for region in made]
    least = [max(1, math.ceil(size / (machine.sram_bytes * USABLE_MEMORY))) for size in memory]
    work = [costs.pe_cycles(region, sequence) * sequence for region in made]  # PE-cycles per sequence

    def needs(at: float) -> list[int]:
        return [max(low, math.ceil(w * at / machine.clock_hz)) for low, w in zip(least, work, strict=True)]

    if place(needs(0), grid) is None:
        raise ConfigError(
            f"{graph.model.name} does not fit on {grid[0]}x{grid[1]} PEs: weights with optimiser state and one stash "
            f"of a sequence of {words} take {sum(memory):,} bytes, "
            f"{sum(least):,} PEs at least; take a larger grid or weight streaming"
        )
    if rate is None:
        rate, bound = _highest(needs, grid, machine.clock_hz * grid[0] * grid[1] / max(sum(work), 1.0))
    else:
        bound = "asked"
    need = needs(rate)
    rectangles = place(need, grid)
    if rectangles is None:
        raise ConfigError(
            f"{graph.model.name} cannot run at {rate:g} sequences/s on {grid[0]}x{grid[1]} PEs: "
            f"that takes {sum(need):,} PEs in rectangles"
        )
    placed = tuple(
        Placed(
            region,
            rectangle,
            n,
            machine.clock_hz * rectangle.pes / w if w else math.inf,
            size,
            "memory" if n == low and w * rate / machine.clock_hz <= low else "compute",
        )
        for region, rectangle, n, w, size, low in zip(made, rectangles, need, work, memory, least, strict=True)
    )
    slowest = min(p.rate for p in placed)
    return FloorPlan(graph.model.name, sequence, grid, machine.clock_hz, placed, tuple(_wires(placed)), slowest, bound)


def _highest(needs, grid: tuple[int, int], ceiling: float) -> tuple[float, str]:
    """The highest rate that can be placed, to 0.1 %, by bisection below the rate with all PEs busy."""
    low, high = 0.0, ceiling
    while high - low > 1e-3 * high:
        middle = (low + high) / 2
        if place(needs(middle), grid) is None:
            high = middle
        else:
            low = middle
    full = sum(needs(high)) / (grid[0] * grid[1])
    return low, "compute" if full > 0.9 else "placement"


def _wires(placed: tuple[Placed, ...]) -> Iterator[Wire]:
    """Wires between regions that share a tensor, colored greedily along the chain.

    A wire begins where the tensor is made; where no color is left on that path, at a region that reads the tensor too
    and passes it on, the last one first.
    """
    made = {x: i for i, p in enumerate(placed) for operator in p.region.operators for x in operator.outputs}
    taken: dict[tuple[int, int], int] = {}  # PE: bits of the colors there
    holders: dict[str, list[int]] = {}  # of a tensor: regions that have it
    for i, p in enumerate(placed):
        outside = dict.fromkeys(x for operator in p.region.operators for x in operator.inputs)
        for tensor in outside:
            source = made.get(tensor, i)
            if source == i:
                continue
            known = holders.setdefault(tensor, [source])
            for start in (source, *known[:0:-1]):
                both = _free_wires(placed, taken, tensor, start, i)
                if both:
                    break
            else:
                raise ConfigError(
                    f"the wire of {tensor} finds no color: {WIRE_COLORS} cross between {placed[source].region.name} "
                    f"and its reader; use fewer regions (by half of a layer) or another grid"
                )
            known.append(i)
            yield from both


def _free_wires(
    placed: tuple[Placed, ...], taken: dict[tuple[int, int], int], tensor: str, source: int, reader: int
) -> list[Wire]:
    """The wire of a tensor and that of its gradient, in colors that are free on their paths and then are taken.

    Empty if there are none.
    """
    found: list[Wire] = []
    corners = _corners(placed[source].rectangle, placed[reader].rectangle)
    for first, last, path in ((source, reader, corners), (reader, source, corners[::-1])):
        used = 0
        for pe in Wire(tensor, first, last, path, 0).pes():
            used |= taken.get(pe, 0) | sum(1 << made.color for made in found)  # both have all PEs in common
        color = next((c for c in range(WIRE_COLORS) if not used >> c & 1), None)
        if color is None:
            return []
        found.append(Wire(tensor, first, last, path, color))
    for made in found:
        for pe in made.pes():
            taken[pe] = taken.get(pe, 0) | 1 << made.color
    return found


def _corners(a: Rectangle, b: Rectangle) -> tuple[tuple[int, int], ...]:
    """The corners of the path from the center of a to the center of b, along x, then along y."""
    (ax, ay), (bx, by) = (tuple(int(v) for v in r.center) for r in (a, b))
    return tuple(dict.fromkeys([(ax, ay), (bx, ay), (bx, by)]))


def wire_length(plan: FloorPlan) -> float:
    """The length of the chain in hops, center to center."""
    return sum(wire(a.rectangle, b.rectangle) for a, b in pairwise(plan.placed))


def lay(plan: FloorPlan, program: Program, colors: Sequence[int]) -> None:
    """Sets the wires' routes in a program of the plan's grid; wire.color is an index into `colors`, numbers of colors.

    A wire begins at the ramp of its source's middle PE and ends at that of its destination's.
    """
    for wired in plan.wires:
        path = list(wired.pes())
        arrow = ["NESW"[STEP.index((bx - ax, by - ay))] for (ax, ay), (bx, by) in pairwise(path)]
        come = ["R", *("SWNE"["NESW".index(direction)] for direction in arrow)]
        for (x, y), rx, tx in zip(path, come, [*arrow, "R"], strict=True):
            program.route(colors[wired.color], rx, tx, x, y)
