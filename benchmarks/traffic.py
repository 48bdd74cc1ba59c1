"""The cost of a simulated cycle per PE: instructions and bytes moved between caches, counted by valgrind's cachegrind.

    python benchmarks/traffic.py [WxH ...]

Virtual machines often have no hardware counters, and a simulated cache gives reproducible numbers.  Each case runs
twice, the second time for more cycles; the difference is the cost of these cycles.  Valgrind does not support AVX-512,
so the figures are those of the AVX2 engine.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import wse
from wse.bench.programs import Streams, every

D1, L2 = "49152,12,64", "2097152,16,64"  # bytes, ways, line
CYCLES = 32


def case(name: str, width: int, height: int, cycles: int) -> None:
    """Fills the fabric with streams and runs so many cycles more: what cachegrind watches."""
    step = {"dense": 1, "sparse": 200}[name]
    rows, columns = every(height, step), every(width, step)
    machine = wse.Machine("wse3")
    fill = machine.hop_cycles * max(width, height) + 64
    length = fill + 4 * CYCLES
    program = Streams.program(width, height, machine, rows, columns, length)
    streams = Streams.load(program, rows, columns, length)
    streams.fabric.run(fill)
    run = streams.fabric.run(cycles)
    print("PE-cycles", cycles * width * height, "hops", run.wavelet_hops)


def watch(*words: str) -> np.ndarray:
    """Counts of a process: Ir I1mr ILmr Dr D1mr DLmr Dw D1mw DLmw."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out")
        subprocess.run(
            [
                "valgrind",
                "--tool=cachegrind",
                "--cache-sim=yes",
                f"--D1={D1}",
                f"--LL={L2}",
                f"--cachegrind-out-file={out}",
                sys.executable,
                __file__,
                *words,
            ],
            check=True,
            capture_output=True,
        )
        (line,) = re.findall(r"(?m)^summary: (.*)$", out.read_text())
    return np.array(line.split(), np.int64)


def main(grids: list[str]) -> None:
    print("| streams | PEs | instructions | loads and stores | bytes from L2 | bytes from beyond L2 |")
    print("| --- | --- | --: | --: | --: | --: |")
    for grid in grids:
        width, height = map(int, grid.split("x"))
        for name in ("dense", "sparse"):
            few, more = (watch(name, str(width), str(height), str(n)) for n in (CYCLES, 3 * CYCLES))
            ir, _, _, dr, d1r, dlr, dw, d1w, dlw = (more - few) / (2 * CYCLES * width * height)
            cells = (f"{n:.3g}" for n in (ir, dr + dw, 64 * (d1r + d1w), 64 * (dlr + dlw)))
            print(f"| {name} | {width} x {height} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] in (["dense"], ["sparse"]):
        case(sys.argv[1], *map(int, sys.argv[2:]))
    else:
        main(sys.argv[1:] or ["64x64", "256x256"])
