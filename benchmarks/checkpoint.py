"""Whether a whole wafer goes on from a file as it would have: `python benchmarks/checkpoint.py [--grid 750x1170]`.

The kernel broadcast runs to a cycle, its state is saved, and it runs to its end.  Then a second fabric is made,
restored from the file, and runs to its end.  The measurements of both and their final states must be equal to the
bit.  It prints the times to save and to restore, and the size of the file; exit status 1 if anything differs.
"""

from __future__ import annotations

import argparse
import filecmp
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wse.fabric.fabric import Fabric
from wse.fabric.run import Run
from wse.kernels import RunOptions, load
from wse.records import dataclass


def timed(name: str, action: Callable[[], Any]) -> None:
    started = time.perf_counter()
    action()
    print(f"{time.perf_counter() - started:8.2f} s  {name}", flush=True)


@dataclass(frozen=True)
class Halved(RunOptions):
    """Saves the state at cycle `half` and goes on, or, without a half, goes on from that file.  The end is saved."""

    half: int = 0
    file: Path = Path()
    end: Path = Path()

    def run(self, fabric: Fabric) -> Run:
        if self.half:
            fabric.run(max_cycles=self.half)
            timed(f"saving cycle {fabric.cycle:,}", lambda: fabric.save(self.file))
            print(f"{self.file.stat().st_size / 1e6:8.1f} MB")
        else:
            timed("restoring it in another fabric", lambda: fabric.restore(self.file))
        run = fabric.run()
        fabric.save(self.end)
        return run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grid", default="750x1170")
    parser.add_argument("--half", type=int, default=1000, help="the cycle that is saved")
    given = parser.parse_args()
    width, height = (int(side) for side in given.grid.split("x"))
    kernel = load("broadcast")
    config = {name: parameter.default for name, parameter in kernel.PARAMETERS.items()}
    with tempfile.TemporaryDirectory() as folder:
        state, ends = Path(folder) / "state", [Path(folder) / name for name in ("first", "second")]
        runs = []
        for half, end in zip((given.half, 0), ends, strict=True):
            options = Halved(grid=(width, height), half=half, file=state, end=end)
            result = kernel.run(config, options)
            runs.append(result.run)
            print(f"{'':10}{result.run.cycles:,} cycles, verified: {result.verified}", flush=True)
        differ = runs[0].diff(runs[1]) + ([] if filecmp.cmp(*ends, shallow=False) else ["the final state"])
    print(f"differs: {', '.join(differ)}" if differ else "equal to the bit: all measurements, and the state at the end")
    return bool(differ)


if __name__ == "__main__":
    sys.exit(main())
