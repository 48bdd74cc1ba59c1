"""How a kernel is run: machine, grid, host threads, limits, recording, and progress reports."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from ..check import Checker
from ..fabric.fabric import Fabric
from ..fabric.run import Run
from ..fabric.watch import Watch
from ..machine.parameters import Machine
from ..program.program import Program
from ..records import dataclass
from .checkpoint import Checkpoint

SAVE_SECONDS = 600  # of running, between two checkpoints
FIRST_PART = 1000  # cycles, before the speed is known
_RUNS: WeakKeyDictionary[Fabric, int] = WeakKeyDictionary()  # how often RunOptions.run ran a fabric


class Progress:
    """Receives progress reports of a run.  This class ignores them; that of the command line prints them."""

    def __call__(self, cycle: int) -> None:
        """The simulation has reached this cycle; `Fabric.run` calls it about 20 times a second."""

    def part(self, done: int, total: int) -> None:
        """So many of so many equal parts of the run are done."""

    def note(self, line: str) -> None:
        """A line of text to show, such as the loss of an epoch."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a kernel is run.  Results depend on `machine`, `grid`, `inputs` and `seed` only.

    machine     the emulated machine
    grid        (width, height) in PEs; None: the kernel's own default
    inputs      arrays by name, of the kernel's INPUTS, in the shapes that its parameters say; others are random
    seed        of the random inputs
    threads     of the host
    max_cycles  end the run after so many cycles; None: no limit
    trace       events to keep; 0: none
    watch       which events, and where
    check       collects findings of a checked run; None: the run is not checked
    activity    record the busy cycles of each PE in each time bin, for an animation
    detail      record `Run.detail`, for the explorer
    progress    is called during the run
    checkpoint  where the state is saved every ten minutes and when the run is interrupted; see Fabric.save
    restore     such a file, from which the run goes on
    """

    machine: Machine = field(default_factory=Machine)
    grid: tuple[int, int] | None = None
    inputs: Mapping[str, np.ndarray] = field(default_factory=dict)
    seed: int = 0
    threads: int = 1
    max_cycles: int | None = None
    trace: int = 0
    watch: Watch | None = None
    check: Checker | None = None
    activity: bool = False
    detail: bool = False
    progress: Progress = field(default_factory=Progress)
    checkpoint: Path | None = None
    restore: Path | None = None

    def input(self, name: str, random: Callable[[], np.ndarray]) -> np.ndarray:
        """The array of an input, or what `random` makes where none is given."""
        given = self.inputs.get(name)
        return random() if given is None else given

    def fabric(self, program: Program) -> Fabric:
        """The program, loaded on a fabric that records what these options ask for."""
        fabric = Fabric(
            program,
            threads=self.threads,
            trace=self.trace,
            activity=self.activity,
            watch=self.watch,
            detail=self.detail,
            check=self.check is not None,
        )
        if self.check is not None:
            self.check.add(fabric)
        return fabric

    def run(self, fabric: Fabric, more: bool = False) -> Run:
        """Runs the fabric until nothing is left to do, or its cycle is `max_cycles`, which counts over all calls.

        more: the kernel may run the fabric again.  With `restore`, the runs that had ended before the state was saved
        are not repeated: the fabric goes to the state at their ends.  ConfigError as of Fabric.restore.
        """
        number = _RUNS[fabric] = _RUNS.get(fabric, 0) + 1
        about: dict[str, Any] = {"seed": self.seed}
        if self.inputs:
            about["inputs"] = _digest(self.inputs)
        saves = None if self.checkpoint is None else Checkpoint(self.checkpoint, about)
        if self.restore is not None:
            saved = Checkpoint(self.restore, about)
            under_way = saved.number()
            if number < under_way:
                saved.restore_end(fabric, number)
            elif number == under_way:
                saved.restore(fabric, number)
        if saves is None:
            return fabric.run(self._left(fabric), progress=self.progress)
        try:
            run = self._saving(fabric, saves, number)
        except KeyboardInterrupt as interrupt:
            saves.save(fabric, number)
            interrupt.add_note(f"{saves.files(number)} holds the state at cycle {fabric.cycle:,}")
            raise
        if more and run.ended == "done":
            saves.save_end(fabric, number)
        return run

    def _left(self, fabric: Fabric) -> int | None:
        return None if self.max_cycles is None else max(0, self.max_cycles - fabric.cycle)

    def _saving(self, fabric: Fabric, saves: Checkpoint, number: int) -> Run:
        """Runs in parts, after each of which the state is saved.

        The state is saved where the run stops for it, so that `progress` cannot do it: a part ends after as many cycles
        as took SAVE_SECONDS at the speed of the one before.
        """
        part = FIRST_PART
        while True:
            left, started, start = self._left(fabric), time.perf_counter(), fabric.cycle
            run = fabric.run(part if left is None else min(part, left), progress=self.progress)
            if run.ended != "limit" or (left is not None and left <= part):
                return run
            took = time.perf_counter() - started
            if took > SAVE_SECONDS / 2:
                saves.save(fabric, number)
            part = max(1, min(4 * part, int((fabric.cycle - start) * SAVE_SECONDS / max(took, 1e-6))))


def _digest(arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name, values in sorted(arrays.items()):
        digest.update(f"{name} {values.dtype.str} {values.shape} ".encode() + np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()
