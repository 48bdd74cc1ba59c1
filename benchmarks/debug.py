"""How long a debugger's motions take: `python benchmarks/debug.py [--pes 64] [--cycles 10000]`.

A fabric of PEs x PEs on which every PE runs a task for each wavelet of its row goes on for twice the cycles, at each
instruction of one PE and then without stops.  It prints the seconds to go back over the cycles, to come forward
again, to go back by one instruction, and to run to a stop that does not come: cycle by cycle, and in leaps.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from wse.bench.programs import Tasks
from wse.debug.history import History
from wse.fabric.probe import Stops
from wse.machine import WSE3


def measured(name: str, action: Callable[[], object]) -> None:
    started = time.perf_counter()
    action()
    print(f"{time.perf_counter() - started:8.3f} s  {name}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pes", type=int, default=64)
    parser.add_argument("--cycles", type=int, default=10_000)
    given = parser.parse_args()
    pes, cycles = given.pes, given.cycles
    tasks = Tasks.load(Tasks.program(pes, pes, WSE3), 2 * cycles)
    history = History(tasks.fabric)
    measured(f"forward by {cycles:,} cycles, {pes} x {pes} PEs", lambda: history.run(cycles))
    measured(f"forward by {cycles:,} cycles", lambda: history.run(2 * cycles))
    measured(f"back by {cycles:,} cycles", lambda: history.goto(cycles))
    measured(f"forward to where it was, {history.present:,}", lambda: history.goto(2 * cycles))
    step = Stops(pes=[(pes - 1, pes - 1)], step=(pes - 1, pes - 1))
    measured("back by an instruction", lambda: history.last_stop(step, list))
    history.goto(cycles)
    everything = Stops(tasks={0: 1 << 63})  # a task that there is not: all PEs are looked at
    measured(
        f"forward by {cycles // 10:,} cycles, all PEs looked at in each",
        lambda: history.probe.run(cycles + cycles // 10, stops=everything),
    )
    measured(
        f"forward by {cycles // 2:,} cycles in leaps",
        lambda: history.run(cycles + cycles // 10 + cycles // 2, everything),
    )


if __name__ == "__main__":
    main()
