"""The feeder: when the weights that MemoryX sends reach the wafer's edge, and the causes of the wafer's waiting.

Tensors are transferred one after the other.  Each is read from DRAM, ahead of the network by at most the buffer, and
sent.  It arrives at the edge at the lower of both rates, after the latency of the network, divided among the columns.
A rectangle of w columns has the share w / user_width of the machine's memory and network, so that each of its columns
has the bandwidth of a column of the whole wafer.  While the fabric is busy, the wavelets in flight wait at the edge:
`window` of them.

Arrival times are modelled.  Their effect is executed: the engine delivers the segments and counts the waits of each,
and `account` attributes the PEs' waiting to its causes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, replace
from math import ceil

import numpy as np

from ..errors import ConfigError
from ..fabric.run import Run
from ..fabric.stream import Segment, StreamIn
from ..machine.parameters import Machine
from ..records import dataclass
from .system import MemoryX

DRAM_LATENCY = (
    100e-9  # seconds from a request to its data through a loaded controller; ours, invisible beside the network's
)


@dataclass(frozen=True)
class Transfer:
    """The transfer of a tensor from MemoryX to the wafer.

    elements    elements that are sent (zeros of a sparse tensor are not)
    bytes_each  bytes of an element on the network, with its index if it has one
    ready       cycle from which the tensor may be read
    written     bytes of DRAM written per element at the same time, for gradients that come back
    passed      later transfers do not wait for it: they are sent until it is ready
    """

    name: str
    elements: int
    bytes_each: float = 2
    ready: float = 0
    written: float = 0
    passed: bool = False


@dataclass(frozen=True)
class TransferTime:
    """When a transfer takes place, in cycles.

    read        its first element is read from DRAM
    begin, end  its first and its last element arrive at the edge
    cause       "dram" or "network", the slower of the two
    """

    name: str
    read: float
    begin: float
    end: float
    cause: str


@dataclass(frozen=True)
class Plan:
    """Arrival times of a list of transfers, in order.

    window: wavelets of a column that may wait at the edge.  latency: cycles from MemoryX to the edge.
    """

    arrivals: tuple[TransferTime, ...]
    window: int
    latency: float

    def segments(self, wavelets: Mapping[str, int] | Sequence[int]) -> list[Segment]:
        """Return the segments of one column's stream, one for each transfer, at most one wavelet a cycle.

        wavelets: of each tensor in this column, by name or in the order of the transfers.  Several transfers of one
        name each have the name's number.  Raises ConfigError if a number is missing.
        """
        if isinstance(wavelets, Mapping):
            missing = [arrival.name for arrival in self.arrivals if arrival.name not in wavelets]
            if missing:
                raise ConfigError(f"no number of wavelets is given for {missing[0]}")
            counts = [wavelets[arrival.name] for arrival in self.arrivals]
        else:
            counts = list(wavelets)
            if len(counts) != len(self.arrivals):
                raise ConfigError(f"{len(self.arrivals)} transfers have {len(counts)} numbers of wavelets")
        made = []
        for arrival, count in zip(self.arrivals, counts, strict=True):
            took = arrival.end - arrival.begin
            made.append(Segment(int(count), ceil(arrival.begin), min(1.0, count / took) if count and took else 1.0))
        return made

    def causes(self, wavelets: Sequence[int]) -> list[str]:
        """What bounds each segment of a column: "dram", "network", or "edge" for more than one wavelet a cycle."""
        return [
            "edge" if count > arrival.end - arrival.begin else arrival.cause
            for arrival, count in zip(self.arrivals, wavelets, strict=True)
        ]

    def after(self, cycle: float) -> Plan:
        """The plan in cycles from another one; what had arrived by then has negative times."""
        moved = (
            replace(one, read=one.read - cycle, begin=one.begin - cycle, end=one.end - cycle) for one in self.arrivals
        )
        return Plan(tuple(moved), self.window, self.latency)

    @property
    def end(self) -> float:
        """The cycle in which the last element arrives."""
        return self.arrivals[-1].end if self.arrivals else 0.0


@dataclass(frozen=True)
class OutgoingRate:
    """The rate at which gradients may leave.

    rate: wavelets per cycle and column.  cause: what bounds it, "dram", "network" or "edge".
    """

    rate: float
    cause: str


@dataclass
class Link:
    """How far the transfers of earlier plans have come: cycles from which memory and network are free."""

    memory: float = 0.0
    network: float = 0.0


class Feeder:
    """The share of a MemoryX that belongs to a rectangle of `columns` columns of a machine."""

    def __init__(self, memoryx: MemoryX, columns: int, machine: Machine):
        width = machine.params["user_width"]
        if not 1 <= columns <= width:
            raise ConfigError(f"a rectangle has 1 to {width} columns, not {columns}")
        self.memoryx, self.columns, self.machine = memoryx, columns, machine
        self.share = columns / width

    def network_rate(self) -> float:
        """Bytes per cycle and direction for all columns of the rectangle."""
        return self.memoryx.network.bandwidth * self.share / self.machine.clock_hz

    def dram_rate(self, reads: int = 1, writes: int = 0) -> float:
        """Bytes per cycle, read and written together, for all columns of the rectangle; see MemoryX.bandwidth."""
        return self.memoryx.bandwidth(reads, writes) * self.share / self.machine.clock_hz

    @property
    def latency(self) -> float:
        """Cycles from MemoryX to the edge."""
        return self.memoryx.network.latency * self.machine.clock_hz

    def drain(self, bytes_each: float = 4) -> OutgoingRate:
        """The rate at which gradients may leave while weights come in.

        It is bounded by the network, by the memory, which reads as much as it writes, and by the edge, one wavelet per
        cycle and column.  bytes_each: bytes of a gradient on the network.
        """
        network, memory = self.network_rate(), self.dram_rate(1, 1) / 2
        rate = min(network, memory) / bytes_each / self.columns
        return OutgoingRate(min(1.0, rate), "edge" if rate >= 1 else "dram" if memory < network else "network")

    def plan(self, transfers: Iterable[Transfer], link: Link | None = None) -> Plan:
        """Return when each transfer arrives, in cycles of the fabric, if the fabric takes everything immediately.

        link: where an earlier plan ended; it is moved on.  None: nothing was sent before cycle 0.
        """
        network, lag = self.network_rate(), DRAM_LATENCY * self.machine.clock_hz
        buffer = self.memoryx.buffer * self.share
        link = Link() if link is None else link
        arrivals = []
        narrowest = 0.0
        for transfer in transfers:
            size = transfer.elements * transfer.bytes_each
            if transfer.elements < 0 or transfer.bytes_each <= 0 or transfer.written < 0:
                raise ConfigError(
                    f"{transfer.name} cannot be {transfer.elements} elements of {transfer.bytes_each} bytes"
                )
            memory = self._reading(transfer)
            read = max(link.memory, transfer.ready)
            begin = max(link.network, read + lag)
            ahead = min(size, buffer, (begin - read - lag) * memory)  # read while the network was busy
            end = begin + max(size / network, (size - ahead) / memory)
            slow = size / network < (size - ahead) / memory
            arrivals.append(
                TransferTime(
                    transfer.name, read, begin + self.latency, end + self.latency, "dram" if slow else "network"
                )
            )
            if transfer.passed and read > link.memory:  # what it takes of both, whenever that is
                link.memory, link.network = link.memory + size / memory, link.network + size / network
            else:
                link.memory, link.network = max(read + size / memory, end - buffer / network), end
            narrowest = max(narrowest, min(network, memory) / transfer.bytes_each)
        return Plan(tuple(arrivals), ceil(2 * self.latency * narrowest / self.columns), self.latency)

    def _reading(self, transfer: Transfer) -> float:
        """Bytes per cycle that are read for a transfer while its gradients are written."""
        if not transfer.written:
            return self.dram_rate(1, 0)
        return self.dram_rate(1, 1) * transfer.bytes_each / (transfer.bytes_each + transfer.written)


@dataclass(frozen=True)
class Stalls:
    """Cycles of a run by cause, for the mean PE; their sum is the run's cycles.

    compute         instructions and their latencies
    dram, network   waiting for a weight that had not arrived or a gradient that could not leave, by the slower of both
    edge            waiting because one wavelet per cycle enters a column
    fabric          waiting for a free queue entry or for partial sums of neighbours
    idle            no task although nothing was late, as after the last task
    leaving         the part of dram, network and edge that is waiting for gradients to leave
    """

    dram: float
    network: float
    edge: float
    fabric: float
    compute: float
    idle: float
    leaving: float = 0.0

    @property
    def total(self) -> float:
        """The cycles of the run: the sum of all causes but `leaving`, which is part of others."""
        return sum(astuple(self)) - self.leaving

    @property
    def bound(self) -> str:
        """The largest of them, without idle."""
        return max(("compute", "fabric", "edge", "network", "dram"), key=lambda name: getattr(self, name))


WAITS = ("stall_bank", "stall_start", "stall_branch", "stall_latency", "stall_task")


@dataclass(frozen=True, eq=False)
class Timed:
    """What a stream's `timing` was: array of fabric.stream.TIMING."""

    timing: np.ndarray


def account(
    plan: Plan,
    columns: Sequence[tuple[Timed | StreamIn, Sequence[int]]],
    run: Run,
    drain: OutgoingRate | None = None,
    saturated: Sequence[float] = (),
) -> Stalls:
    """Divide the cycles of a run by cause.

    columns    each column's stream, filled after the run began, and its numbers of wavelets by transfer
    run        of the whole run, or of a part of a longer one
    saturated  of each column: Saturation.cycles of the gradients that left by `drain`

    The waiting of the mean PE, for a wavelet or without a task, is attributed in this order: to the time in which the
    edge had no wavelet although more were to come, by the cause of the delay; to the rate of the edge, one wavelet per
    cycle; the rest of the waiting for wavelets to neighbours.  While gradients leave at the full rate of `drain`, PEs
    that wait to send are waiting for it.  Raises ConfigError if streams and plan do not have the same transfers.
    """
    late = dict.fromkeys(("dram", "network", "edge"), 0.0)
    passed = 0.0
    for stream, wavelets in columns:
        timing = stream.timing
        if len(timing) != len(plan.arrivals):
            raise ConfigError(f"a stream has {len(timing)} segments, the plan {len(plan.arrivals)} transfers")
        for row, cause in zip(timing, plan.causes(wavelets), strict=True):
            late[cause] += float(row["starved"]) / len(columns)
            passed += float(row["passed"]) / len(columns)
    pes = run.width * run.height
    for_wavelets = run.total("stall_input") / pes
    waited = for_wavelets + run.total("idle") / pes
    starved = sum(late.values())
    on_the_way = min(late["dram"], plan.latency) if plan.arrivals and plan.arrivals[0].cause == "dram" else 0.0
    late["dram"] -= on_the_way
    late["network"] += on_the_way
    share = min(1.0, waited / starved) if starved else 0.0
    parts = {cause: cycles * share for cause, cycles in late.items()}
    left = waited - starved * share
    parts["edge"] += (passing := min(left, passed))
    left -= passing
    blocked = run.total("stall_output") / pes
    leaving = 0.0
    if drain is not None and saturated:
        leaving = min(blocked, sum(saturated) / len(saturated))
        parts[drain.cause] += leaving
    parts["fabric"] = min(left, for_wavelets) + blocked - leaving
    compute = (float(run.busy.sum(dtype=float)) + sum(run.total(name) for name in WAITS)) / pes
    return Stalls(**parts, compute=compute, idle=run.cycles - compute - sum(parts.values()), leaving=leaving)


@dataclass
class Saturation:
    """Counts the cycles in which an output of a rate had the next wavelet waiting: gaps of at most the interval of the
    rate.  cycles: so far.  last: the cycle of the last wavelet."""

    rate: float
    cycles: float = 0.0
    last: int | None = None

    def add(self, cycles: np.ndarray) -> None:
        """cycles: int [n], in which the next wavelets left."""
        if not len(cycles):
            return
        times = np.asarray(cycles, np.int64)
        gaps = np.diff(times, prepend=times[:1] if self.last is None else self.last)
        self.cycles += float(gaps[gaps <= ceil(1 / self.rate)].sum())
        self.last = int(times[-1])
