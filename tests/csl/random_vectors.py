"""Random functions of CSL over descriptors, and what they do to memory: each is made as a text and an evaluator.

The evaluator walks every operation element by element over bytes; it shares nothing with the compiler or the engine.
The programs have loops, branches, calls, @map, constant and changing descriptors in variables, parameters, structs and
arrays, explicit DSRs, reductions into scalars, and operands that overlap.

    python tests/csl/random_vectors.py --functions 2000 --seed 1 --reduce

compares what it leaves in memory with the code of every optimisation level on both machines, and prints what differs;
--reduce drops statements that the difference does not need.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

from csl import seeds
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
    return seeds.suitable(draw, seed, Unsuitable)


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
    return seeds.problems(lambda folder: differences(made, folder, arches, levels))


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
    return seeds.command(
        __doc__,
        "functions",
        2000,
        lambda seed: problems(program(seed)),
        size=FUNCTIONS,
        reduce=lambda seed, found: reduced(program(seed), found).text,
    )


if __name__ == "__main__":
    sys.exit(main())
