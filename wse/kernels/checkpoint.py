"""The saved state of a kernel: that of the run under way, and those at the ends of the runs before it.

A kernel that runs its program several times reads and writes the fabric between the runs.  When it goes on from a saved
state, each run that had ended is replaced by the state at its end, so that the kernel reads the same there again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..fabric.fabric import Fabric
from ..fabric.snapshot import check_sum, saved_options


class Checkpoint:
    """The state of a run in the file `path`; for each run before it, that at its end in `path`.runN, N from 1.

    about: what the runs depend on besides the program; JSON values by name.
    """

    def __init__(self, path: Path, about: Mapping[str, Any]):
        self.path, self._about = path, dict(about)

    def end(self, number: int) -> Path:
        """The file of the state at the end of a run."""
        return self.path.with_name(f"{self.path.name}.run{number}")

    def number(self) -> int:
        """The number of the run in whose course `path` was saved.  ConfigError if it is no saved state."""
        number = saved_options(self.path).get("run", 1)
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise ConfigError(f"{self.path} is no saved state of a kernel: its run is {number!r}")
        return number

    def _of_run(self, number: int) -> dict[str, Any]:
        """What a state depends on: the ends of the runs before it, too."""
        if number == 1:
            return self._about
        ends = []
        for before in range(1, number):
            try:
                ends.append(check_sum(self.end(before)))
            except FileNotFoundError:
                raise ConfigError(
                    f"{self.path} is of run {number} of the kernel and needs {self.end(before)}, the state at the "
                    f"end of run {before}: keep these files together"
                ) from None
        return self._about | {"run": number, "ends": ends}

    def save(self, fabric: Fabric, number: int) -> None:
        """Saves the state in the course of a run."""
        fabric.save(self.path, self._of_run(number))

    def restore(self, fabric: Fabric, number: int) -> None:
        """Goes to the state in the course of a run.  ConfigError as of Fabric.restore."""
        fabric.restore(self.path, self._of_run(number))

    def save_end(self, fabric: Fabric, number: int) -> None:
        """Saves the state at the end of a run."""
        fabric.save(self.end(number), self._about | {"ended": number})

    def restore_end(self, fabric: Fabric, number: int) -> None:
        """Goes to the state at the end of a run that was before that of `path`."""
        self._of_run(number + 1)  # all files are there
        fabric.restore(self.end(number), self._about | {"ended": number})

    def files(self, number: int) -> str:
        """The files that hold a state of a run, in words."""
        if number == 1:
            return str(self.path)
        more = self.end(1).name if number == 2 else f"{self.end(1).name} to {self.end(number - 1).name}"
        return f"{self.path}, with {more},"
