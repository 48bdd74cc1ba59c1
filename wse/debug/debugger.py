"""Debugger: runs the fabric of a host program to breakpoints and by steps, forward and backward.

The host program runs until it waits for the fabric, and then calls `advance`.  A motion is what the user has asked for:
to continue, or a step.  Without a motion, `advance` calls `ask`, which returns when the user has chosen one.  A motion
lasts through all waits of the host, until a stop.  The fabric may be at an earlier cycle than the host; `advance`
returns only when it is at the host's cycle again.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from .. import signals
from ..csl.artifact import Artifact, ClassImage
from ..errors import ConfigError, did_you_mean
from ..fabric.errors import FabricFault
from ..fabric.fabric import Fabric
from ..fabric.probe import Stop, Stops, Thread
from ..machine import isa
from ..program.image import NO_CLASS
from ..records import dataclass
from .backward import Backward
from .breakpoint import Breakpoint, Pause, Quit, Stopped
from .history import History
from .lines import Lines, Where
from .values import Values, check, shown, variables

Status = Literal["fault", "quiet", "limit"]
Motion = Generator[Stops, list[Stop], str]  # yields the stops to look for, is sent those found; returns a message


@dataclass(eq=False)
class Target:
    """A program that the host has loaded."""

    directory: Path
    artifact: Artifact
    fabric: Fabric
    history: History
    lines: Lines


class Debugger(Backward):
    """The debugger of one session.

    - program: the artifact that is going to be run; breakpoints can be set in it before the run.
    - ask: called with the reason of a stop.  It returns when the user has chosen a motion (`go`), or raises Quit.
    - folders: where sources are searched.
    - interactive: an interrupt stops the run; otherwise it ends the command.
    - progress: called with the cycle while the fabric runs.
    """

    def __init__(
        self,
        program: Artifact,
        ask: Callable[[Stopped], None],
        folders: tuple[Path, ...] = (),
        interactive: bool = False,
        progress: Callable[[int], Any] | None = None,
    ):
        self.program, self.ask, self.folders, self.interactive = program, ask, folders, interactive
        self.progress = progress
        self.lines = Lines(program, folders)
        self.target: Target | None = None
        self.breakpoints: dict[int, Breakpoint] = {}
        self.focus = (0, 0)
        self.motion: Motion | None = None
        self.ended = False  # whether the host program has ended
        self._wanted = Stops()  # that the motion looks for
        self._until: int | None = None  # the cycle that the motion goes to
        self._count = 0  # of breakpoints that were ever added
        self._wait = (0, 0)  # the cycles at which the host's wait began and ends
        self._reported_fault = False
        self._targets: list[Target] = []
        self._numbers: dict[int, list[int]] = {}  # of breakpoints, by mark in Stops.marks

    # The program.

    def begin(self, fabric: Fabric, artifact: Artifact, directory: Path) -> None:
        """Called when the host has loaded a program."""
        lines = Lines(artifact, (*self.folders, directory))
        target = Target(directory, artifact, fabric, History(fabric, passed=self._remember), lines)
        self._targets.append(target)
        if self.target is None:
            self._choose(target)

    def _choose(self, target: Target) -> None:
        self.target, self.lines = target, target.lines
        x, y = self.focus
        if not (0 <= x < target.fabric.width and 0 <= y < target.fabric.height):
            self.focus = (0, 0)
        for breakpoint in self.breakpoints.values():
            if breakpoint.kind == "line":
                try:
                    breakpoint.location = target.lines.find(breakpoint.text)
                except ConfigError:
                    breakpoint.location = None

    @property
    def current(self) -> Target:
        """The program that runs.  ConfigError before the host has loaded one."""
        if self.target is None:
            raise ConfigError(
                "the program is not loaded yet: `run` starts the host program, `start` stops where it first waits"
            )
        return self.target

    @property
    def artifact(self) -> Artifact:
        """The loaded program, or the one that is to be run."""
        return self.target.artifact if self.target is not None else self.program

    @property
    def cycle(self) -> int:
        """The cycle of the fabric."""
        return self.current.fabric.cycle

    @property
    def is_past(self) -> bool:
        """Whether the fabric is at an earlier cycle than the host."""
        return self.target is not None and self.cycle < self.target.history.present

    def class_at(self, x: int, y: int) -> tuple[int, ClassImage]:
        """The class of a PE; ConfigError if it has no program or is outside."""
        artifact = self.current.artifact
        if not (0 <= x < artifact.width and 0 <= y < artifact.height):
            raise ConfigError(f"PE ({x}, {y}) is not in the program's {artifact.width} x {artifact.height}")
        index = int(artifact.class_of[y, x])
        if index == NO_CLASS:
            raise ConfigError(f"PE ({x}, {y}) has no program")
        return index, artifact.classes[index]

    def thread(self, pe: tuple[int, int] | None = None) -> Thread:
        """The main thread of a PE; None means the PE in focus."""
        return self.current.history.probe.thread(*(pe or self.focus))

    def where(self, pe: tuple[int, int] | None = None) -> Where:
        """The place of the next instruction of a PE; None means the PE in focus."""
        x, y = pe or self.focus
        return self.lines.where(self.class_at(x, y)[0], self.thread((x, y)).pc)

    def values(self, pe: tuple[int, int] | None = None) -> Values:
        """The variables of a PE; None means the PE in focus."""
        x, y = pe or self.focus
        probe, image = self.current.history.probe, self.class_at(x, y)[1]
        special: dict[str, Callable[[], Any]] = {
            "cycle": lambda: self.cycle,
            "pc": lambda: self.thread((x, y)).pc,
            "x": lambda: x,
            "y": lambda: y,
        }
        special |= {f"r{n}": partial(lambda n: probe.registers(x, y)[n], n) for n in range(_REGISTERS)}
        return Values(self.current.fabric, image, x, y, special)

    def task_name(self, image: ClassImage, id: int) -> str:
        """The name of a task of a class, or its number."""
        return next((task.name for task in image.tasks if task.id == id), str(id))

    def color_name(self, color: int) -> str:
        """The name of a color, or its number."""
        return self.artifact.color_names.get(color) or str(color)

    def color_number(self, text: str) -> int:
        """The number of a color given by name or number.  ConfigError if there is none."""
        names = {name: number for number, name in self.artifact.color_names.items()}
        if text in names:
            return names[text]
        if text.isdecimal() and int(text) < 24:
            return int(text)
        raise ConfigError(f"there is no color {text!r}: {did_you_mean(text, names, most=24)}")

    # Breakpoints.

    def add(
        self, kind: str, text: str, pe: tuple[int, int] | None = None, condition: str = "", temporary: bool = False
    ) -> Breakpoint:
        """Adds a breakpoint.  ConfigError if `text` names nothing, or `condition` is no expression over variables."""
        made = Breakpoint(self._count + 1, kind, text, pe, condition, temporary)
        if pe is not None and not (0 <= pe[0] < self.artifact.width and 0 <= pe[1] < self.artifact.height):
            raise ConfigError(f"PE {pe} is not in the program's {self.artifact.width} x {self.artifact.height}")
        if kind == "line":
            made.location = self.lines.find(text, self._near())
            made.text = made.location.name
        elif kind == "task":
            names = {task.name: task.id for image in self.artifact.classes for task in image.tasks}
            if text not in names and not (text.isdecimal() and int(text) < 64):
                raise ConfigError(f"there is no task {text!r}: {did_you_mean(text, names, most=24)}")
        elif kind == "wavelet":
            made.value = self.color_number(text)
            made.text = self.color_name(made.value)
        elif kind == "cycle":
            if not text.isdecimal():
                raise ConfigError(f"a cycle is a number, not {text!r}")
            made.value = int(text)
        else:
            made.pe = pe or self.focus
            made.place = self.values(made.pe).place(text)[1:]
        self._check(made)
        self._count += 1
        self.breakpoints[made.number] = made
        return made

    def _check(self, b: Breakpoint) -> None:
        """ConfigError if the condition of a breakpoint cannot have a value at any PE where it can stop."""
        if not b.condition:
            return
        artifact = self.artifact
        images = artifact.classes if b.pe is None else []
        if b.pe is not None and (index := int(artifact.class_of[b.pe[1], b.pe[0]])) != NO_CLASS:
            images = [artifact.classes[index]]
        known = {name for image in images for name in variables(image)}
        try:
            check(b.condition, known, ("cycle", "pc", "x", "y", *(f"r{n}" for n in range(_REGISTERS))))
        except ConfigError as error:
            raise ConfigError(f"the condition {b.condition!r}: {error}") from None

    def _near(self) -> Where | None:
        try:
            return self.where() if self.target is not None else None
        except ConfigError:
            return None

    def _stops(self) -> Stops:
        """The stops of all enabled breakpoints and of the motion."""
        wanted, target = self._wanted, self.current
        active = [b for b in self.breakpoints.values() if b.enabled]
        lines = {b.number: b.location for b in active if b.kind == "line" and b.location is not None}
        marks, self._numbers = self.lines.marks(lines)
        tasks: dict[int, int] = dict(wanted.tasks)
        for b in (b for b in active if b.kind == "task"):
            for index, image in enumerate(target.artifact.classes):
                for id in [t.id for t in image.tasks if t.name == b.text] or (
                    [int(b.text)] if b.text.isdecimal() else []
                ):
                    tasks[index] = tasks.get(index, 0) | 1 << id
        threads = [b for b in active if b.kind in ("line", "task")]
        pes: set[tuple[int, int]] | None = set(wanted.pes or ())
        for b in threads:
            pes = None if pes is None or b.pe is None else pes | {b.pe}
        waves = [b for b in active if b.kind == "wavelet"]
        ramps: set[tuple[int, int]] | None = set()
        for b in waves:
            ramps = None if ramps is None or b.pe is None else ramps | {b.pe}
        places = [(*b.pe, *b.place) for b in active if b.kind == "watch" and b.pe is not None]
        return Stops(
            pes=None if pes is None else sorted(pes),
            step=wanted.step,
            tasks=tasks,
            marks=marks,
            colors=frozenset(b.value for b in waves),
            wavelet_pes=None if ramps is None else sorted(ramps),
            places=places,
        )

    def _hits(self, found: list[Stop]) -> list[tuple[Breakpoint, Stop]]:
        """Pairs of breakpoint and stop, for breakpoints whose condition is true."""
        watches = [b for b in self.breakpoints.values() if b.enabled and b.kind == "watch"]
        hits = []
        for stop in found:
            for b in self._of(stop, watches):
                at_pe = b.pe is None or b.pe == (stop.x, stop.y)
                if b.enabled and at_pe and self._holds(b, (stop.x, stop.y)):
                    hits.append((b, stop))
        return hits

    def _of(self, stop: Stop, watches: list[Breakpoint]) -> list[Breakpoint]:
        if stop.kind == "mark":
            return [self.breakpoints[n] for n in self._numbers.get(stop.id, []) if n in self.breakpoints]
        if stop.kind == "memory":
            return [watches[stop.id]]
        if stop.kind == "wavelet":
            return [b for b in self.breakpoints.values() if b.kind == "wavelet" and b.value == stop.id]
        if stop.kind == "task":
            name = self.task_name(self.class_at(stop.x, stop.y)[1], stop.id)
            return [b for b in self.breakpoints.values() if b.kind == "task" and b.text in (name, str(stop.id))]
        return []

    def _holds(self, b: Breakpoint, pe: tuple[int, int]) -> bool:
        if not b.condition:
            return True
        try:
            b.trouble = ""
            return bool(np.all(self.values(pe).evaluate(b.condition)))
        except ConfigError as error:
            b.trouble = str(error)
            return True  # a condition that has no value does not hide a stop

    # For the host.

    def advance(self, fabric: Fabric, cycles: int, changed: bool) -> Status:
        """Runs the fabric for the host.  changed: the host has changed it since the last call.  May raise Quit."""
        target = next(target for target in self._targets if target.fabric is fabric)
        if target is not self.target:
            self._choose(target)
        if changed:
            target.history.mark()
        self._wait = fabric.cycle, fabric.cycle + cycles
        while True:
            if self.motion is None:
                self.ask(Stopped("begin"))
            status = self._move()
            if status is not None:
                return status

    def end(self, words: str) -> None:
        """Lets the user look at the fabric, at any cycle, after the host program has ended; always raises Quit.

        words: how the host program ended.
        """
        self.ended, self.motion = True, None
        if self.target is not None:
            self.target.history.mark()
        while True:
            if self.motion is None:
                self.ask(Stopped("ended", words))
            if self.target is None:
                raise Quit
            self._move()

    def _move(self) -> Status | None:
        """Continues the motion.  Returns why the host's wait has ended, or None if the motion has ended before."""
        limit = self.current.history.present if self.ended else self._wait[1]
        while self.motion is not None:
            outcome = self._run_on(limit)
            if isinstance(outcome, Stopped):
                self._stop(outcome)
            elif outcome is not None:
                return outcome
        return None

    def _run_on(self, limit: int) -> Status | Stopped | None:
        """Runs to a stop or the end of the host's wait, and returns it; None if the motion is to continue."""
        history = self.current.history
        self._remember()
        cycles = [b for b in self.breakpoints.values() if b.enabled and b.kind == "cycle"]
        ends = [b.value for b in cycles if b.value > self.cycle]
        if self._until is not None and self._until > self.cycle:
            ends.append(self._until)
        end = min([limit, *ends])
        try:
            why, found = history.run(end, self._stops(), limit, self.progress)
        except KeyboardInterrupt as interrupt:
            return None if self._resumes(interrupt) else Stopped("interrupt", "interrupted")
        if why == "fault":
            if self._reported_fault and not self.ended:
                return "fault"
            self._reported_fault = True
            return Stopped("fault", self._fault(self.current.fabric.fault()))
        hits = self._hits(found)
        hits += [(b, Stop("cycle", *self.focus, b.value)) for b in cycles if b.value == self.cycle == end]
        done = self._take(found)
        if hits:
            return self._at(hits)
        if done is not None:
            return Stopped("step", done)
        if self._until is not None and self.cycle >= self._until:
            return Stopped("cycle")
        if why == "stop" or (why == "limit" and self.cycle < limit):
            return None
        if self.ended:
            return Stopped("ended", f"cycle {self.cycle:,} is the last one: the host program has ended")
        return "quiet" if why == "quiet" else "limit"

    def _resumes(self, interrupt: KeyboardInterrupt) -> bool:
        """Whether a motion goes on after an interrupt.  Raises it if it is to end the session."""
        if isinstance(interrupt, Pause):
            return interrupt.resumes
        if not (self.interactive and signals.answered(interrupt)):
            raise interrupt
        return False

    def _take(self, found: list[Stop]) -> str | None:
        """Sends the stops of the PE in focus to the motion.  Returns its message if it has ended, else None."""
        assert self.motion is not None
        mine = [s for s in found if s.kind in ("step", "task") and (s.x, s.y) == self.focus]
        if not mine:
            return None
        try:
            self._wanted = self.motion.send(mine)
            return None
        except StopIteration as end:
            return end.value or ""

    def _stop(self, stopped: Stopped) -> None:
        """Ends the motion and asks the user."""
        self.motion, self._until, self._wanted = None, None, Stops()
        self.ask(stopped)

    def _at(self, hits: list[tuple[Breakpoint, Stop]]) -> Stopped:
        """The stop at breakpoints.  Moves the focus to one of their PEs."""
        pes = list(dict.fromkeys((stop.x, stop.y) for _, stop in hits))
        if self.focus not in pes:
            self.focus = pes[0]
        breakpoint, stop = next((b, s) for b, s in hits if (s.x, s.y) == self.focus)
        numbers = tuple(dict.fromkeys(b.number for b, _ in hits))
        for number in numbers:
            self.breakpoints[number].hits += 1
        words = self._words(breakpoint, stop)
        if breakpoint.trouble:
            words += f"\nits condition has no value here: {breakpoint.trouble}"
        if len(pes) > 1:
            others = [f"({x}, {y})" for x, y in pes if (x, y) != self.focus]
            more = f" and {len(others) - 8} more" if len(others) > 8 else ""
            words += f"\nat the same cycle: PE {', '.join(others[:8])}{more}"
        for number in numbers:
            if self.breakpoints[number].temporary:
                del self.breakpoints[number]
        return Stopped("breakpoint", words, numbers)

    def _words(self, b: Breakpoint, stop: Stop) -> str:
        name = b.title
        if b.kind == "wavelet":
            kind = "control wavelet" if stop.control else "wavelet"
            return f"{name}: a {kind} 0x{stop.data:08x} came to PE ({stop.x}, {stop.y})"
        if b.kind == "watch":
            return f"{name}\n{self.change(b)}"
        return name

    def change(self, b: Breakpoint) -> str:
        """The old and the new value of a watched place."""
        assert b.pe is not None
        values = self.values(b.pe)
        variable, address, _ = values.place(b.text)
        new = self._bytes(b)
        if not variable.scalar:
            return f"old: {b.old.hex(' ')}\nnew: {new.hex(' ')}"
        part = variable._replace(
            address=address, shape=(len(new) // variable.size,) if len(new) > variable.size else ()
        )
        old, now = (shown(values.decoded(part, np.frombuffer(raw, np.uint8))) for raw in (b.old, new))
        return f"old: {old}\nnew: {now}"

    def _bytes(self, b: Breakpoint) -> bytes:
        assert b.pe is not None
        return self.current.fabric.read_bytes(*b.place, *b.pe, 1, 1).tobytes()

    def _remember(self) -> None:
        """Stores the bytes of all watchpoints, to compare with later."""
        for b in self.breakpoints.values():
            if b.kind == "watch":
                b.old = self._bytes(b)

    def _fault(self, fault: FabricFault) -> str:
        self.focus = fault.x, fault.y
        return str(fault)

    # Motions forward.

    def go(self, motion: Motion | None = None, until: int | None = None) -> None:
        """Sets the motion.  None: to the next breakpoint.  until: at most to this cycle."""
        if motion is None:
            motion = _endless()
        self._wanted = next(motion)
        self.motion, self._until = motion, until

    def step_instructions(self, count: int = 1) -> Motion:
        """`count` instructions of the PE in focus."""
        for _ in range(count):
            yield Stops(pes=[self.focus], step=self.focus)
        return ""

    def step_lines(self, count: int = 1, over: bool = False) -> Motion:
        """To another line of the PE in focus, `count` times.  over: calls are stepped over."""
        for _ in range(count):
            begin, depth = self.where()[:2] if self.thread().state != "idle" else (-1, 0), 0
            while True:
                depth += self._call()
                yield Stops(pes=[self.focus], step=self.focus)
                begins, now = self._begins_task(), self.where()
                depth = 0 if begins else max(0, depth)
                if now.file >= 0 and (begins or now[:2] != begin) and not (over and depth):
                    break
        return ""

    def finish(self) -> Motion:
        """To the return of the function of the PE in focus, or the start of the next task."""
        if self.thread().state == "idle":
            raise ConfigError(f"no task runs at PE {self.focus}: there is no function to finish")
        begin, depth = self.where().function, 0
        while depth >= 0:
            depth += self._call()
            yield Stops(pes=[self.focus], step=self.focus)
            if self._begins_task():
                return f"{begin} has ended"
        return f"{begin} has returned"

    def next_task(self, count: int = 1) -> Motion:
        """To the start of the next task of the PE in focus, `count` times."""
        for _ in range(count):
            while not any(s.kind == "task" for s in (yield self._task_stops())):
                pass
        return ""

    def _task_stops(self) -> Stops:
        """The start of any task of the PE in focus."""
        every_task = (1 << 64) - 1
        return Stops(pes=[self.focus], tasks=dict.fromkeys(range(len(self.current.artifact.classes)), every_task))

    def _begins_task(self) -> bool:
        """Whether the next instruction of the PE in focus is the first one of its task."""
        thread = self.thread()
        return int(self.class_at(*self.focus)[1].task_pc[thread.task]) == thread.pc

    def _call(self) -> int:
        """1 if the next instruction of the PE in focus is a call, -1 if it is a return, else 0."""
        image, thread = self.class_at(*self.focus)[1], self.thread()
        if thread.state != "runs" or thread.pc >= len(image.code):
            return 0
        return _CALLS.get(isa.decode(image.code[thread.pc]).opcode, 0)

    # Memory.

    def may_write(self) -> None:
        """ConfigError at a cycle that the host has already passed."""
        if self.ended or self.cycle < self._wait[0]:
            raise ConfigError(
                f"the host program has passed this cycle, and is at cycle {self.current.history.present:,}: memory can "
                f"be set from cycle {self._wait[0]:,} on; `cycle {self._wait[0]}` goes there"
            )

    def wrote(self) -> None:
        """Called after memory was set: discards the later cycles of the history."""
        self.current.history.mark()


def _endless() -> Motion:
    while True:
        yield Stops()


_REGISTERS = 32
_CALLS = {isa.INSTRUCTION["jal"].opcode: 1, isa.INSTRUCTION["jr"].opcode: -1}
