"""Motions backward: they are done when their method returns.  An interrupt ends them at the cycle where they began."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..fabric.probe import Stop, Stops
from .breakpoint import Breakpoint, Stopped


class Backward:
    """The methods of Debugger that go to earlier cycles."""

    focus: tuple[int, int]
    breakpoints: dict[int, Breakpoint]
    progress: Callable[[int], Any] | None
    current: Any
    cycle: Any
    where: Callable[[], Any]
    _reported_fault: bool
    _stops: Callable[[], Stops]
    _task_stops: Callable[[], Stops]
    _hits: Callable[[list[Stop]], list[tuple[Breakpoint, Stop]]]
    _at: Callable[[list[tuple[Breakpoint, Stop]]], Stopped]
    _remember: Callable[[], None]
    _begins_task: Callable[[], bool]
    _resumes: Callable[[KeyboardInterrupt], bool]

    def goto(self, cycle: int) -> Stopped:
        """Goes to an earlier cycle of the run, or forward again to at most the host's cycle."""
        return self._backward(lambda: self._goto(cycle))

    def back_to_breakpoint(self) -> Stopped:
        """Back to the previous cycle with a breakpoint."""
        return self._backward(self._back_to_breakpoint)

    def back_instructions(self, count: int = 1) -> Stopped:
        """Back by `count` instructions of the PE in focus."""
        return self._backward(lambda: self._back_instructions(count))

    def back_lines(self, count: int = 1) -> Stopped:
        """Back to the start of the previous line, or of this one from its middle, `count` times."""
        return self._backward(lambda: self._back_lines(count))

    def back_task(self, count: int = 1) -> Stopped:
        """Back to the start of the previous task of the PE in focus, `count` times."""
        return self._backward(lambda: self._back_task(count))

    def _backward(self, motion: Callable[[], Stopped]) -> Stopped:
        """Does a motion."""
        self._reported_fault = False
        here = self.cycle
        while True:
            try:
                return motion()
            except KeyboardInterrupt as interrupt:
                resumes = self._resumes(interrupt)
            self._return_to(here)
            if not resumes:
                return Stopped("interrupt", "interrupted")

    def _return_to(self, cycle: int) -> None:
        """Goes forward to a cycle from which a motion has begun, whatever is pressed on the way."""
        while True:
            try:
                self.current.history.goto(cycle)
                return
            except KeyboardInterrupt as interrupt:
                self._resumes(interrupt)

    def _goto(self, cycle: int) -> Stopped:
        self.current.history.goto(cycle, self.progress)
        return Stopped("cycle")

    def _back_to_breakpoint(self) -> Stopped:
        cycles = [
            b.value for b in self.breakpoints.values() if b.enabled and b.kind == "cycle" and b.value < self.cycle
        ]
        here, hits = self.cycle, self._back(self._stops(), self._hits)
        if cycles and (not hits or max(cycles) > self.cycle) and max(cycles) >= self.current.history.first:
            self.current.history.goto(max(cycles))
            b = next(b for b in self.breakpoints.values() if b.kind == "cycle" and b.value == max(cycles))
            hits = [(b, Stop("cycle", *self.focus, b.value))]
        assert self.cycle <= here
        if hits:
            at = self.cycle
            if any(b.kind == "watch" for b, _ in hits):  # for its value before
                self.current.history.goto(at - 1)
                self._remember()
                self.current.history.goto(at)
            return self._at(hits)
        return Stopped("history", f"no earlier breakpoint: this is the first cycle of the history, {self.cycle:,}")

    def _back_instructions(self, count: int) -> Stopped:
        stops = Stops(pes=[self.focus], step=self.focus)
        for _ in range(count):
            if not self._back(stops, list):
                return Stopped("history", f"this is the first cycle of the history, {self.cycle:,}")
        return Stopped("step")

    def _back_lines(self, count: int) -> Stopped:
        stops = Stops(pes=[self.focus], step=self.focus)
        for _ in range(count):
            while self._back(stops, list) and self.where().file < 0:
                pass
            line, at = self.where()[:2], self.cycle
            if line[0] < 0:
                return Stopped("history", f"this is the first cycle of the history, {self.cycle:,}")
            while not self._begins_task() and self._back(stops, list) and self.where()[:2] == line:
                at = self.cycle
            self.current.history.goto(at)
        return Stopped("step")

    def _back_task(self, count: int) -> Stopped:
        for _ in range(count):
            if not self._back(self._task_stops(), list):
                return Stopped("history", f"this is the first cycle of the history, {self.cycle:,}")
        return Stopped("step")

    def _back(self, stops: Stops, wanted: Callable[[list[Stop]], list]) -> list:
        found: list = self.current.history.last_stop(stops, wanted, self.progress)
        return found
