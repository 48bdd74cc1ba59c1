"""The commands of a host program on a device, in order: what waits for what.

Copies and launches form one stream of commands.  A launch ends when every PE that runs the function has called
unblock_cmd_stream(); the next copy or launch waits for that.  Streaming copies go beside it: they run while the program
runs, and a command does not wait for them, except that before a copy the fabric runs until nothing moves, so that what
was streamed before has been dealt with [docs/csl.md].

Streams to the device share one way, as on the machine: one begins when those before it have been accepted, and what
they set going has had GAP_CYCLES to come to rest; or when nothing moves any more, so that none waits for ever.

A launch and a copy take the time that windows.py says: the fabric goes on for so long before the function starts, or
before memory is read or written.

Nothing runs ahead of the host: the fabric moves when the host waits for something.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import field
from functools import partial
from pathlib import Path

import numpy as np

from ..csl.artifact import HOST_SIDE
from ..errors import ConfigError
from ..fabric.errors import LimitReached
from ..records import dataclass
from .device import Device, Rectangle
from .recorder import Recorded
from .windows import Copy, Windows

SETTLE_CYCLES = 20_000  # before a copy, for a program that never rests
GAP_CYCLES = 1_000  # between two streams to the device
DRAIN_AHEAD = 4096  # wavelets that a file takes between two looks
DRAIN_CYCLES = 50_000_000  # of a blocking receive_tofile, for a program that never rests


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
    buffer: int = 0  # wavelets that the host holds for it
    tensor: np.ndarray | None = None  # what is to be sent, until it is

    @property
    def place(self) -> tuple[int, str, Rectangle]:
        return self.color, self.side, self.at

    def follows(self, other: Stream) -> bool:
        """Whether its wavelets come after the other's by some router."""
        if (self.color, self.out) != (other.color, other.out):
            return False
        return self.at.overlaps(other.at)


@dataclass(eq=False)
class Drain(Stream):
    """Everything that leaves by a port, written to a file."""

    path: Path = field(default_factory=Path)
    received: int = 0


class Commands:
    """The commands of one run.  recorded: what gets the launches, if they are recorded."""

    def __init__(self, device: Device, recorded: Recorded | None = None):
        self.device, self.recorded = device, recorded
        self.windows = Windows(device.fabric.machine, (device.artifact.memcpy or {}).get("channels") or 1)
        self._launches: list[Launch] = []
        self._streams: list[Stream] = []
        self._waiting: list[Stream] = []  # to the device, behind the one that is under way
        self._free_from = 0  # the cycle
        self._held: Counter[tuple] = Counter()  # wavelets that may leave, or have left and were not taken, by place

    # Functions.

    def launch(self, name: str, args: Sequence) -> Launch:
        """Starts a function on all PEs that have it, when the one before has ended."""
        what = f"launch of {name}"
        self.finish_launches(what)
        self.pass_time(self.windows.launch())
        self.device.messages.debug(f"{what} at cycle {self.device.cycle:,}")
        before = self.device.signals
        launch = Launch(what, started=self.device.launch(name, args), before=before)
        if self.recorded is not None:
            self.recorded.launched(name, int(launch.started.sum()))
        self._launches.append(launch)
        return launch

    def finish_launches(self, waiting: str) -> None:
        """Runs until every PE that runs a function has released its command stream."""
        for launch in self._launches:
            try:
                launch.done = self.run(partial(self._has_ended, launch))
            except LimitReached as limit:
                limit.add_note(f"{waiting} waits for the end of the {launch.what}: {self._who_is_silent(launch)}")
                raise
            if not launch.done:
                raise self.device.deadlock(
                    f"{waiting} waits for the end of the {launch.what}: {self._who_is_silent(launch)}, "
                    "and nothing on the fabric can move any more"
                )
            if self.recorded is not None:
                self.recorded.launch_ended()
        self._launches.clear()

    def _who_is_silent(self, launch: Launch) -> str:
        left = self._silent(launch)
        y, x = divmod(int(np.argmax(left)), left.shape[1])
        more = int(left.sum()) - 1
        who = f"PE ({x}, {y}) has" if not more else f"PE ({x}, {y}) and {more} more have"
        return f"{who} not called unblock_cmd_stream()"

    def _has_ended(self, launch: Launch) -> bool:
        return not self._silent(launch).any()

    def _silent(self, launch: Launch) -> np.ndarray:
        return launch.started & (self.device.signals == launch.before)

    # Copies and streams.

    def settle(self, waiting: str, copy: Copy) -> None:
        """Before the memory of a copy is read or written: launches end, what was streamed before is dealt with, and the
        time of the copy passes."""
        self.finish_launches(waiting)
        self.run(cycles=SETTLE_CYCLES)
        self.pass_time(self.windows.copy(copy))
        self.device.messages.debug(f"{waiting} at cycle {self.device.cycle:,}")

    def send(self, stream: Stream, tensor: np.ndarray) -> None:
        """Wavelets [h, w, n] to the device."""
        stream.tensor = np.array(tensor, np.uint32, order="C")  # the host may change its array
        self.device.messages.debug(f"{stream.what} from cycle {self.device.cycle:,} on")
        if stream.shares:
            self._waiting.append(stream)
            self._begin()
        else:
            self._put(stream)

    def receive(self, stream: Stream) -> None:
        """Asks for wavelets from the device."""
        for other in self._streams:
            if isinstance(other, Drain) and stream.follows(other):
                raise ConfigError(f"{stream.what}: everything that leaves there is written to {other.path}")
        self.ask(stream, stream.n)
        self.device.messages.debug(f"{stream.what} from cycle {self.device.cycle:,} on")
        self._streams.append(stream)

    def ask(self, stream: Stream, n: int) -> None:
        """Lets n more wavelets of a stream leave the fabric."""
        at = stream.at
        self.device.fabric.host_ask(stream.color, stream.side, n, at.x, at.y, at.w, at.h)
        self._held[stream.place] += n

    def arrived(self, stream: Stream) -> int:
        """How many wavelets of a place of one router have left the fabric and were not taken yet."""
        return self._held[stream.place] - self.left(stream)

    def left(self, stream: Stream) -> int:
        """How many wavelets of the stream, and those before it at its place, have not passed yet."""
        at = stream.at
        return self.device.fabric.host_waiting(stream.color, stream.side, stream.out, at.x, at.y, at.w, at.h)

    def drain(self, drain: Drain) -> None:
        """Writes what leaves from now on to the drain's file."""
        with open(drain.path, "wb"):
            pass  # an error at once if the file cannot be written
        self.ask(drain, DRAIN_AHEAD)
        self._streams.append(drain)

    def _drained(self, drain: Drain) -> None:
        """Appends what has come to the file, and asks for more."""
        come = self.arrived(drain)
        if not come:
            return
        words = self._taken(drain, come)
        assert words is not None
        with open(drain.path, "ab") as file:
            file.write(words.astype("<u4").tobytes())
        drain.received += come
        self.ask(drain, come)

    def wait(self, task: Task) -> None:
        """Waits for a command."""
        if isinstance(task, Launch):
            self.finish_launches(task.what)
        elif isinstance(task, Drain):
            self.run(cycles=SETTLE_CYCLES if task.done else DRAIN_CYCLES)
            task.done = True
        elif isinstance(task, Stream) and not self.run(partial(self._is_through, task)):
            left = task.n - self.arrived(task) if task.out and task.buffer else self.left(task)
            raise self.device.deadlock(f"{task.what} does not end: {left} wavelets are still to come")

    def _is_through(self, stream: Stream) -> bool:
        """Whether a stream is done, or what is left of it is in the host's buffer."""
        return stream.done or (not stream.out and stream.tensor is None and self.left(stream) <= stream.buffer)

    def finish(self) -> None:
        """Waits for all there is."""
        self.finish_launches("stop()")
        for stream in [*self._streams, *self._waiting]:
            if not isinstance(stream, Drain):
                self.wait(stream)

    def untaken(self) -> Iterator[str]:
        """What is left of streams to the device at the end."""
        for stream in self._streams:
            if not stream.out and (left := self.left(stream)):
                yield f"the program did not take {left} wavelets of the {stream.what}"

    def end(self) -> None:
        """After the last cycle: the files of drains are whole."""
        self.collect()
        for stream in self._streams:
            stream.done = stream.done or isinstance(stream, Drain)

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
        end = None if cycles is None else self.device.cycle + cycles

        def looked() -> bool:
            self.collect()
            self._begin()
            return until()

        while not self.device.run(looked, None if end is None else end - self.device.cycle):
            if end is not None and self.device.cycle >= end:
                return False
            if not self._begin(whatever=True):  # nothing moves
                return False
        return True

    def pass_time(self, cycles: int) -> None:
        """Lets the cycles of a command pass.  A program that never rests is run for SETTLE_CYCLES of them at most."""
        start, moving = self.device.cycle, min(cycles, SETTLE_CYCLES)
        self.run(cycles=moving)
        passed = self.device.cycle - start
        if passed < moving:  # nothing moves
            self.device.rest(cycles - passed)

    def collect(self) -> None:
        """Delivers what has come, and forgets the streams that are done: in order, where one follows another."""
        fabric = self.device.fabric
        going: list[Stream] = []
        for stream in list(self._streams):
            at = stream.at
            if any(stream.follows(other) for other in going):
                going.append(stream)
                continue
            if isinstance(stream, Drain):
                self._drained(stream)
                going.append(stream)
                continue
            if stream.out:
                tensor = self._taken(stream, stream.n)
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

    def _taken(self, stream: Stream, n: int) -> np.ndarray | None:
        """The next n wavelets of each PE, if all of them are there."""
        at = stream.at
        try:
            words = self.device.fabric.host_take(stream.color, stream.side, n, at.x, at.y, at.w, at.h)
        except ValueError:
            return None
        self._held[stream.place] -= n
        return words
