"""States: what a few PEs hold at several cycles of a run: queues, registers, DSRs and memory; for the explorer.

A Recorder takes them between two cycles, which changes nothing of the run.  It begins with a state in every cycle.
When there are twice as many states as wanted, every second one is dropped, and the distance between states doubles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import _engine
from ..errors import ConfigError
from ..machine import isa
from ..records import dataclass

MOST_PES = 16  # whose states are recorded
MOST = 128  # states of each
REGISTERS, DSRS, WORDS = 32, len(isa.DSR_FILES) * isa.DSRS, _engine.SRAM // 2
DSR_FIELDS = ("kind", "flags", "queue", "color", "base", "length", "stride")
MAIN_FIELDS = ("state", "task", "pc")
_CHANGE = np.dtype([("state", "<u4"), ("pe", "<u4"), ("word", "<u4"), ("value", "<u4")])


@dataclass(eq=False)
class States:
    """States of PEs.

    - cycles: of the states, ascending.  pes: the PEs, y * width + x.
    - main: uint32 [states, pes, 3]: MAIN_FIELDS of the main thread: 0 idle, 1 runs, 2 or 3 an operation is under way.
    - registers: uint32 [states, pes, 32].  dsrs: int64 [states, pes, 48, 7]: DSR_FIELDS of each DSR.
    - queues: [state][pe]: rows [0 for an input queue or 1, number, color or -1, capacity, [wavelets]]; a wavelet is its
      data, plus 1 << 32 if it is a control wavelet.
    - memory: uint16 [pes, words]: that of the first state.  changes: the words that differ from the state before.
    """

    cycles: list[int]
    pes: list[int]
    main: np.ndarray
    registers: np.ndarray
    dsrs: np.ndarray
    queues: list[list[list[Any]]]
    memory: np.ndarray
    changes: np.ndarray

    def memory_at(self, state: int) -> np.ndarray:
        """uint16 [pes, words] of a state."""
        found = self.memory.copy()
        changes = self.changes[self.changes["state"] <= state]
        found[changes["pe"], changes["word"]] = changes["value"]
        return found

    def plain(self) -> dict[str, Any]:
        """All but the arrays, as JSON values."""
        return {"cycles": self.cycles, "pes": self.pes, "queues": self.queues}

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays by name."""
        changes = self.changes.view(np.uint32).reshape(-1, len(_CHANGE.names or ()))
        named = {name: getattr(self, name) for name in ("main", "registers", "dsrs", "memory")}
        return {f"states_{name}": array for name, array in (named | {"changes": changes}).items()}

    @classmethod
    def of(cls, plain: Any, arrays: Mapping[str, np.ndarray], pes: int) -> States:
        """The States of `plain` and `arrays` for a grid of so many PEs.  ValueError if they are not valid."""
        if not isinstance(plain, dict) or plain.keys() != {"cycles", "pes", "queues"}:
            raise ValueError("its states are wrong")
        found = {name.removeprefix("states_"): array for name, array in arrays.items()}
        shape = (len(plain["cycles"]), len(plain["pes"]))
        wanted = {
            "main": (np.uint32, (*shape, len(MAIN_FIELDS))),
            "registers": (np.uint32, (*shape, REGISTERS)),
            "dsrs": (np.int64, (*shape, DSRS, len(DSR_FIELDS))),
            "memory": (np.uint16, (shape[1], WORDS)),
            "changes": (np.uint32, (len(found.get("changes", ())), len(_CHANGE.names or ()))),
        }
        if found.keys() != wanted.keys() or any(
            found[name].dtype != dtype or found[name].shape != size for name, (dtype, size) in wanted.items()
        ):
            raise ValueError("the arrays of its states are wrong")
        changes = np.ascontiguousarray(found.pop("changes")).view(_CHANGE).reshape(-1)
        limits = zip(_CHANGE.names or (), (*shape, WORDS, 1 << 16), strict=True)
        if any((changes[name] >= limit).any() for name, limit in limits):
            raise ValueError("the memory of its states is wrong")
        numbers, queues = [*plain["cycles"], *plain["pes"]], plain["queues"]
        if not all(isinstance(n, int) and n >= 0 for n in numbers) or any(pe >= pes for pe in plain["pes"]):
            raise ValueError("its states are of other PEs")
        if len(queues) != shape[0] or any(len(row) != shape[1] for row in queues):
            raise ValueError("the queues of its states are wrong")
        return cls(list(plain["cycles"]), list(plain["pes"]), queues=queues, changes=changes, **found)


@dataclass(eq=False)
class _Sample:
    cycle: int
    main: np.ndarray
    registers: np.ndarray
    dsrs: np.ndarray
    queues: list[list[Any]]
    at: np.ndarray  # of the words of all PEs, one after the other, that differ from the sample before
    values: np.ndarray


class Recorder:
    """Records the states of PEs.

    - pes: (x, y), at most MOST_PES.  dsrs: of each file, those that the program names; the others stay empty.
    - since, until: the cycles since .. until - 1 are recorded; until=None: all later.
    - next: the cycle at which `take` is to be called.
    """

    def __init__(
        self,
        engine: Any,
        width: int,
        pes: Sequence[tuple[int, int]],
        since: int = 0,
        until: int | None = None,
        dsrs: int = isa.DSRS,
    ):
        if not 1 <= len(pes) <= MOST_PES:
            raise ConfigError(f"states are those of 1 to {MOST_PES} PEs, not {len(pes)}")
        self._engine, self._width, self._pes = engine, width, list(pes)
        self.until = until
        self._named = [n for n in range(DSRS) if n % isa.DSRS < dsrs]
        self.next, self._step = since, 1
        self._samples: list[_Sample] = []
        self._first = self._memory = np.zeros((0,), np.uint16)

    def take(self) -> None:
        """Records the state now, if it is one of those wanted.  Later ones, of before the fabric went back, go."""
        cycle = self._engine.cycle()
        if cycle < self.next or (self.until is not None and cycle >= self.until):
            return
        self._record(cycle)
        self.next = (cycle // self._step + 1) * self._step

    def went_back(self) -> None:
        """The fabric is at an earlier cycle: the states since then are dropped."""
        cycle = self._engine.cycle()
        while self._samples and self._samples[-1].cycle >= cycle:
            self._samples.pop()
        self._memory = self._first.copy()
        for sample in self._samples[1:]:
            self._memory[sample.at] = sample.values
        self.next = cycle

    def _record(self, cycle: int) -> None:
        memory = np.concatenate([self._words(x, y) for x, y in self._pes])
        if not self._samples:
            self._first, at = memory, np.zeros(0, np.int64)
        else:
            at = np.flatnonzero(memory != self._memory)
        self._memory = memory
        look, queues = self._engine.look, []
        main = np.array([look(x, y, _engine.LOOK_THREAD)[:3] for x, y in self._pes], np.uint32)
        registers = np.array([look(x, y, _engine.LOOK_REGISTERS) for x, y in self._pes], np.uint32)
        dsrs = np.zeros((len(self._pes), DSRS, len(DSR_FIELDS)), np.uint64)
        if self._named:
            dsrs[:, self._named] = [self._dsrs(x, y) for x, y in self._pes]
        for x, y in self._pes:
            rows = []
            for way, what, count in ((0, _engine.LOOK_INPUT, _engine.INPUTS), (1, _engine.LOOK_OUTPUT, _engine.QUEUES)):
                for number in range(count):
                    if values := look(x, y, what, number):
                        color = -1 if values[0] >> 63 else values[0]
                        words = [word & (1 << 33) - 1 for word in values[2:]]
                        if color >= 0 or words:
                            rows.append([way, number, color, values[1], words])
            queues.append(rows)
        self._samples.append(_Sample(cycle, main, registers, dsrs.view(np.int64), queues, at, memory[at]))
        if len(self._samples) >= 2 * MOST:
            self._thin()

    def _words(self, x: int, y: int) -> np.ndarray:
        memory = np.empty(_engine.SRAM, np.uint8)
        self._engine.read(x, y, 1, 1, 0, memory)
        return memory.view(np.uint16)

    def _dsrs(self, x: int, y: int) -> list[list[int]]:
        look, fields = self._engine.look, len(DSR_FIELDS)
        return [look(x, y, _engine.LOOK_DSR, n)[:fields] for n in self._named]

    def _thin(self) -> None:
        """Drops every second sample.  Its changes go to the next one."""
        kept = self._samples[::2]
        for dropped, sample in zip(self._samples[1::2], kept[1:], strict=False):
            at = np.concatenate([sample.at, dropped.at])
            at, first = np.unique(at, return_index=True)
            sample.values = np.concatenate([sample.values, dropped.values])[first]
            sample.at = at
        self._samples = kept
        self._memory = self._first.copy()
        for sample in kept[1:]:
            self._memory[sample.at] = sample.values
        self._step *= 2

    def states(self) -> States | None:
        """What was recorded, with the state now as the last one; None if nothing was."""
        cycle = self._engine.cycle()
        ended = self.until is not None and cycle >= self.until
        if not ended and (not self._samples or self._samples[-1].cycle < cycle):
            self._record(cycle)
        samples = self._samples
        if not samples:
            return None
        changes = np.zeros(sum(len(sample.at) for sample in samples), _CHANGE)
        changes["state"] = np.repeat(np.arange(len(samples)), [len(sample.at) for sample in samples])
        places = np.concatenate([sample.at for sample in samples])
        changes["pe"], changes["word"] = places // WORDS, places % WORDS
        changes["value"] = np.concatenate([sample.values for sample in samples])
        return States(
            [sample.cycle for sample in samples],
            [y * self._width + x for x, y in self._pes],
            np.stack([sample.main for sample in samples]),
            np.stack([sample.registers for sample in samples]),
            np.stack([sample.dsrs for sample in samples]),
            [sample.queues for sample in samples],
            self._first.reshape(len(self._pes), WORDS),
            changes,
        )
