"""Random programs by their seeds: one that is suitable, and a command that tries many and prints what differs."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ATTEMPTS = 500


def suitable(draw: Callable[[str], Any], seed: int, refused: type[Exception]) -> Any:
    """The first program of the seed that draw() makes without raising `refused`."""
    for attempt in range(ATTEMPTS):
        try:
            return draw(f"{seed}/{attempt}")
        except refused:
            continue
    raise AssertionError(f"no program of seed {seed} stays within its arrays")


def problems(differences: Callable[[Path], list[str]]) -> list[str]:
    """What differs, or the error that the compiler or the run ends in.  differences: takes a folder to write to."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            return differences(Path(folder))
        except Exception as problem:
            return [f"{type(problem).__name__}: {str(problem)[:600]}"]


def command(
    description: str | None,
    unit: str,
    number: int,
    found_in: Callable[[int], list[str]],
    size: int = 1,
    reduce: Callable[[int, list[str]], str] | None = None,
) -> int:
    """Tries the seeds that the command line asks for; the exit status.

    unit: what is counted, `size` of them in the program of a seed; number: of them where nothing is said.
    found_in: what differs for a seed.  reduce: a smaller text of a program with these differences, for --reduce.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(f"--{unit}", type=int, default=number, dest="number")
    parser.add_argument("--seed", type=int, default=0)
    if reduce is not None:
        parser.add_argument("--reduce", action="store_true", help="print a smaller program for each difference")
    options = parser.parse_args()
    count, started, wrong = -(-options.number // size), time.monotonic(), 0
    for seed in range(options.seed, options.seed + count):
        found = found_in(seed)
        wrong += bool(found)
        for line in found[:4]:
            print(f"seed {seed}: {line}", flush=True)
        if found and reduce is not None and options.reduce:
            print(reduce(seed, found), flush=True)
    seconds = time.monotonic() - started
    print(f"{count * size} {unit} (seeds {options.seed} to {options.seed + count - 1}), {seconds:.0f} s: ", end="")
    print(f"{wrong} programs differ" if wrong else "all agree")
    return 1 if wrong else 0
