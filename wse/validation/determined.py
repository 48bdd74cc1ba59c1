"""Which values of the machine's figures the published programs allow that are compiled from CSL.

Each program is compiled once and run on machines with one figure changed.  Its cycles are taken as linear in it: a
latency counts as often as the program waits for it.  A program that is within TOLERANCE_PCT of its published cycles
allows the values with which it stays there.  Only calibration and check programs of one machine are put together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import field
from pathlib import Path

from ..machine.parameters import Parameter
from ..records import dataclass
from .compiled import Compiled, Work, find
from .sensitivity import free

TOLERANCE_PCT = 2.0


@dataclass(frozen=True)
class Effect:
    """What a figure does to a program.  per_unit: cycles more for one more; error: cycles from the published value."""

    program: Compiled
    parameter: str
    per_unit: float
    error: float

    def allowed(self, value: int) -> tuple[float, float]:
        """(least, greatest) value of the figure with which the program is within its tolerance."""
        room = TOLERANCE_PCT / 100 * self.program.published
        ends = sorted(value + (side * room - self.error) / self.per_unit for side in (-1, 1))
        return ends[0], ends[1]


@dataclass
class Range:
    """The values of a figure that all programs of a machine allow.  effects: of the programs that it changes."""

    arch: str
    parameter: Parameter
    value: int
    effects: list[Effect] = field(default_factory=list)

    def allowed(self, without: Effect | None = None) -> tuple[int, int | None]:
        """(least, greatest) whole value with which all programs, or all but one, are within their tolerance.

        None: there is no greatest."""
        ends = [effect.allowed(self.value) for effect in self.effects if effect is not without]
        if not ends:
            return 0, None
        return max(0, math.ceil(max(low for low, _ in ends))), math.floor(min(high for _, high in ends))

    @property
    def without(self) -> dict[str, tuple[int, int | None]]:
        """Programs without which more values are allowed, with these values."""
        left = {effect.program.id: self.allowed(effect) for effect in self.effects}
        return {name: values for name, values in left.items() if values != self.allowed()}


def leave_one_out(
    rows: Iterable[Compiled], sources: Path, threads: int = 1, report: Callable[[str], None] | None = None
) -> list[Range]:
    """The values that the programs allow, for each figure in cycles that is not documented and changes one of them.

    Programs that give no figure, or miss TOLERANCE_PCT on the unchanged machine, are left out.
    """
    chosen = list(rows)
    ranges: dict[tuple[str, str], Range] = {}
    for arch in dict.fromkeys(row.arch for row in chosen):
        for parameter in free(arch):
            if parameter.unit == "cycles":
                ranges[arch, parameter.name] = Range(arch, parameter, getattr(parameter, arch))

    def one(numbered: tuple[int, Compiled]) -> list[Effect]:
        i, row = numbered
        root = find(row.folder, sources)
        if root is None:
            return []
        with Work(row, root) as work:
            figure, _ = work.run()
            if figure is None or abs(figure - row.published) > TOLERANCE_PCT / 100 * row.published:
                return []
            found = []
            for (arch, name), wanted in ranges.items():
                if arch != row.arch:
                    continue
                if report is not None:
                    report(f"{i + 1}/{len(chosen)} {row.id}, {name}")
                step = max(1, wanted.value // 8)
                if wanted.value + step > wanted.parameter.most:
                    step = -step
                changed, _ = work.run({name: wanted.value + step})
                if changed is not None and changed != figure:
                    found.append(Effect(row, name, (changed - figure) / step, figure - row.published))
            return found

    with ThreadPoolExecutor(max(1, threads)) as pool:
        for effects in pool.map(one, enumerate(chosen)):
            for effect in effects:
                ranges[effect.program.arch, effect.parameter].effects.append(effect)
    return [found for found in ranges.values() if found.effects]
