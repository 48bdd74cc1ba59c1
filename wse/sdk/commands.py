"""The commands of a host program on a device, in order: what waits for what.

Copies and launches form one stream of commands.  A launch ends when every PE that runs the function has called
unblock_cmd_stream(); the next copy or launch waits for that.  Streaming copies go beside it: they run while the program
runs, and a command does not wait for them, except that before a copy the fabric runs until nothing moves, so that what
was streamed before has been dealt with [docs/csl.md].

Streams to the device share one way, as on the machine: one begins when those before it have been accepted, and what
they set going has had GAP_CYCLES to come to rest; or when nothing moves any more, so that none waits for ever.

Nothing runs ahead of the host: the fabric moves when the host waits for something.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from ..csl.artifact import HOST_SIDE
from .device import Device, Rectangle

SETTLE_CYCLES = 20_000  # before a copy, for a program that never rests
GAP_CYCLES = 1_000  # between two streams to the device


@dataclass(eq=False)
class Task:
    """A command: what its call returns, for is_task_done and task_wait."""

    what: str
    done: bool = False


@dataclass(eq=False)
class Launch(Task):
    """A function that runs: on which PEs, and how often each had signalled before."""

    started: np.ndarray = field(default_factory=lambda: np.zeros(0))
    before: np.ndarray = field(default_factory=lambda: np.zeros(0))


@dataclass(eq=False)
class Stream(Task):
    """Wavelets under way; out: to the host, and then what becomes of them."""

    color: int = 0
    side: str = HOST_SIDE
    at: Rectangle = field(default_factory=lambda: Rectangle(0, 0, 1, 1))
    n: int = 0
    out: bool = False
    deliver: Callable[[np.ndarray], None] | None = None
    shares: bool = True  # the one way to the device
    tensor: np.ndarray | None = None  # what is to be sent, until it is

    def follows(self, other: Stream) -> bool:
        """Whether its wavelets come after the other's by some router."""
        if (self.color, self.out) != (other.color, other.out):
            return False
        return self.at.overlaps(other.at)


class Commands:
    """The commands of one run."""

    def __init__(self, device: Device):
        self.device = device
        self.seconds = 0.0  # that the host spent running the fabric
        self._launches: list[Launch] = []
        self._streams: list[Stream] = []
        self._waiting: list[Stream] = []  # to the device, behind the one that is under way
        self._free_from = 0  # the cycle

    # Functions.

    def launch(self, name: str, args: Sequence) -> Launch:
        """Starts a function on all PEs that have it, when the one before has ended."""
        what = f"launch of {name}"
        self.finish_launches(what)
        before = self.device.signals
        launch = Launch(what, started=self.device.launch(name, args), before=before)
        self._launches.append(launch)
        return launch

    def finish_launches(self, waiting: str) -> None:
        """Runs until every PE that runs a function has released its command stream."""
        for launch in self._launches:
            if self.run(partial(self._has_ended, launch)):
                launch.done = True
                continue
            left = self._silent(launch)
            y, x = divmod(int(np.argmax(left)), left.shape[1])
            more = int(left.sum()) - 1
            who = f"PE ({x}, {y}) has" if not more else f"PE ({x}, {y}) and {more} more have"
            raise self.device.deadlock(
                f"{waiting} waits for the end of the {launch.what}: {who} not called "
                "unblock_cmd_stream(), and nothing on the fabric can move any more"
            )
        self._launches.clear()

    def _has_ended(self, launch: Launch) -> bool:
        return not self._silent(launch).any()

    def _silent(self, launch: Launch) -> np.ndarray:
        return launch.started & (self.device.signals == launch.before)

    # Copies and streams.

    def settle(self, waiting: str) -> None:
        """Before a copy: launches end, and what was streamed before is dealt with."""
        self.finish_launches(waiting)
        self.run(cycles=SETTLE_CYCLES)

    def send(self, stream: Stream, tensor: np.ndarray) -> None:
        """Wavelets [h, w, n] to the device."""
        stream.tensor = np.array(tensor, np.uint32, order="C")  # the host may change its array
        if stream.shares:
            self._waiting.append(stream)
            self._begin()
        else:
            self._put(stream)

    def receive(self, stream: Stream) -> None:
        """Asks for wavelets from the device."""
        at = stream.at
        self.device.fabric.host_ask(stream.color, stream.side, stream.n, at.x, at.y, at.w, at.h)
        self._streams.append(stream)

    def wait(self, task: Task) -> None:
        """Waits for a command."""
        if isinstance(task, Launch):
            self.finish_launches(task.what)
        elif isinstance(task, Stream) and not self.run(lambda: task.done):
            fabric, at = self.device.fabric, task.at
            left = fabric.host_waiting(task.color, task.side, task.out, at.x, at.y, at.w, at.h)
            raise self.device.deadlock(f"{task.what} does not end: {left} wavelets are still to come")

    def finish(self) -> None:
        """Waits for all there is."""
        self.finish_launches("stop()")
        for stream in [*self._streams, *self._waiting]:
            self.wait(stream)

    def _begin(self, whatever: bool = False) -> bool:
        """Puts the next stream on its way, if the way is free, or whatever is on it."""
        if not self._waiting:
            return False
        busy = self.device.cycle < self._free_from or any(s.shares and not s.out for s in self._streams)
        if busy and not whatever:
            return False
        self._put(self._waiting.pop(0))
        return True

    def _put(self, stream: Stream) -> None:
        assert stream.tensor is not None
        self.device.fabric.host_put(stream.color, stream.side, stream.tensor, stream.at.x, stream.at.y)
        stream.tensor = None
        self._streams.append(stream)

    # Running.

    def run(self, until: Callable[[], bool] = lambda: False, cycles: int | None = None) -> bool:
        """Device.run, which delivers what comes, and lets streams begin that wait for the way to be free."""
        started, end = time.perf_counter(), None if cycles is None else self.device.cycle + cycles

        def looked() -> bool:
            self.collect()
            self._begin()
            return until()

        try:
            while not self.device.run(looked, None if end is None else end - self.device.cycle):
                if end is not None and self.device.cycle >= end:
                    return False
                if not self._begin(whatever=True):  # nothing moves
                    return False
            return True
        finally:
            self.seconds += time.perf_counter() - started

    def collect(self) -> None:
        """Delivers what has come, and forgets the streams that are done: in order, where one follows another."""
        fabric = self.device.fabric
        going: list[Stream] = []
        for stream in list(self._streams):
            at = stream.at
            if any(stream.follows(other) for other in going):
                going.append(stream)
                continue
            if stream.out:
                tensor = self._taken(stream)
                stream.done = tensor is not None
                if tensor is not None and stream.deliver is not None:
                    stream.deliver(tensor)
            else:
                stream.done = not fabric.host_waiting(stream.color, stream.side, False, at.x, at.y, at.w, at.h)
            if not stream.done:
                going.append(stream)
            elif stream.shares and not stream.out:
                self._free_from = self.device.cycle + GAP_CYCLES
        self._streams = going

    def _taken(self, stream: Stream) -> np.ndarray | None:
        """What came, if all of it is there."""
        at = stream.at
        try:
            return self.device.fabric.host_take(stream.color, stream.side, stream.n, at.x, at.y, at.w, at.h)
        except ValueError:
            return None
