"""Random functions of CSL over descriptors, and what they do to memory: each is made as a text and an evaluator.

The evaluator walks every operation element by element over bytes; it shares nothing with the compiler or the engine.
The programs have loops, branches, calls, @map, constant and changing descriptors in variables, parameters, structs and
arrays, explicit DSRs, reductions into scalars, and operands that overlap.

    python tests/csl/random_vectors.py --functions 2000 --seed 1 --reduce

compares what it leaves in memory with the code of every optimisation level on both machines, and prints what differs;
--reduce drops statements that the difference does not need.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

from csl.running import read, write
from csl.vector_functions import Maker
from csl.vector_model import State, Unsuitable, mismatch
from wse.csl.codegen.link import link
from wse.csl.compile import compile_program
from wse.sdk.device import Device

ARCHES, LEVELS = ("wse2", "wse3"), (0, 1, 2, 3)
FUNCTIONS = 5  # of a program


class Program(NamedTuple):
    seed: str
    text: str
    wanted: dict[str, tuple[str, bytes]]  # arrays, kinds and bytes at the end
    statements: int


def draw(seed: str, dropped: frozenset[int] = frozenset()) -> Program:
    maker = Maker(seed, dropped)
    maker.declare()
    for kind in ("i16", "f32"):
        maker.chooser(kind)
    for _ in range(2):
        maker.helper()
    for _ in range(2):
        maker.mapped()
    bodies = [(f"f{i}", maker.function(f"f{i}", [], "void", size=6)) for i in range(FUNCTIONS)]
    state = State(maker.arrays)
    for name, init in maker.init.items():
        state.dsds[name] = init(state)
    for _, body in bodies:
        body(state, [])
    calls = " ".join(f"{name}();" for name, _ in bodies)
    maker.texts.append(f"fn main() void {{ {calls} }}\ncomptime {{ @export_symbol(main); }}\n")
    wanted = {name: (kind, bytes(state.bytes[name])) for name, kind in state.kinds.items()}
    return Program(seed, "\n".join(maker.texts), wanted, maker.statements)


def program(seed: int) -> Program:
    """The first program of the seed that stays within its arrays."""
    for attempt in range(500):
        try:
            return draw(f"{seed}/{attempt}")
        except Unsuitable:
            continue
    raise AssertionError(f"no program of seed {seed} stays within its arrays")


def differences(made: Program, folder: Path, arches=ARCHES, levels=LEVELS) -> list[str]:
    """Arrays that are not as the evaluator has them."""
    path, found = write(folder, made.text), []
    for arch in arches:
        for level in levels:
            loaded = Device(link(compile_program(path, arch), level=level))
            loaded.launch("main", ())
            loaded.run(cycles=10_000_000)
            for name, (kind, want) in made.wanted.items():
                wrong = mismatch(kind, want, read(loaded, name).tobytes())
                if wrong:
                    found.append(f"{arch}, level {level}: {name}{wrong}")
    return found


def problems(made: Program, arches=ARCHES, levels=LEVELS) -> list[str]:
    """Differences, or the error that the compiler or the run ends in."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            return differences(made, Path(folder), arches, levels)
        except Exception as problem:
            return [f"{type(problem).__name__}: {str(problem)[:600]}"]


def reduced(made: Program, found: list[str]) -> Program:
    """The program without statements that are not needed for one of the differences."""
    first = found[0].split(",")[0]
    arches = (first,) if first in ARCHES else ARCHES
    dropped: frozenset[int] = frozenset()
    numbers = list(range(made.statements))
    size = max(1, len(numbers) // 4)
    while size:
        for at in range(0, len(numbers), size):
            trial = dropped | frozenset(numbers[at : at + size])
            if trial == dropped:
                continue
            try:
                smaller = draw(made.seed, trial)
            except Unsuitable:
                continue
            if (now := problems(smaller, arches)) and now[0].split(":")[0] == found[0].split(":")[0]:
                dropped, made = trial, smaller
        size //= 2
    return made


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--functions", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reduce", action="store_true", help="print a smaller program for each difference")
    options = parser.parse_args()
    count, started, wrong = -(-options.functions // FUNCTIONS), time.monotonic(), 0
    for seed in range(options.seed, options.seed + count):
        made = program(seed)
        found = problems(made)
        wrong += bool(found)
        for line in found[:4]:
            print(f"seed {seed}: {line}", flush=True)
        if found and options.reduce:
            print(reduced(made, found).text, flush=True)
    seconds = time.monotonic() - started
    print(
        f"{count * FUNCTIONS} functions (seeds {options.seed} to {options.seed + count - 1}), {seconds:.0f} s: ", end=""
    )
    print(f"{wrong} programs differ" if wrong else "all agree")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
