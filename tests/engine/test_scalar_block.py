"""Blocks of scalar instructions are timed once: cycles, counters and values as if each were timed when it issues.

Covers: csrc/pe/scalar_block.c
"""

from random import Random

from engine.generated import SCALARS
from hypothesis import given, settings
from hypothesis import strategies as st

import wse
from wse.machine.parameters import Machine

STRAIGHT = [row for row in SCALARS if row.form in ("RX", "RRX", "RRRR")]
BRANCHES = [row for row in SCALARS if row.form == "BR"]
FIGURES = {
    "int_latency": (1, 4),
    "fp_latency": (1, 5),
    "fdiv_latency": (1, 9),
    "load_latency": (1, 3),
    "offset_cycles": (0, 3),
    "branch_taken": (1, 6),
    "branch_not_taken": (1, 6),
}


def instruction(rng: Random) -> str:
    """A scalar instruction that does not branch; its operands are often those of the ones before."""

    def register() -> str:
        return f"r{rng.randint(1, 5)}"

    if rng.random() < 0.4:
        size = rng.choice(("16", "32"))
        place = rng.choice(("data", "r9", f"r9+{4 * rng.randint(0, 3)}"))
        return f"{rng.choice(('ld', 'st'))}{size} {register()}, [{place}]"
    row = rng.choice(STRAIGHT)
    sources = {"RX": 1, "RRX": 2, "RRRR": 3}[row.form]
    operands = [register() for _ in range(sources)]
    if row.form != "RRRR" and rng.random() < 0.3:
        operands[-1] = str(rng.randint(0, 70000))
    return f"{row.name} {register()}, {', '.join(operands)}"


def program(rng: Random, machine: Machine) -> wse.Program:
    """A loop over instructions in which some branches skip a few, on one PE."""
    lines = ["main:", "mov r9, data", f"mov r8, {rng.randint(1, 6)}", "again:"]
    for place in range(rng.randint(1, 12)):
        skips = [f"{rng.choice(BRANCHES).name} r{rng.randint(1, 5)}, over{place}"] if rng.random() < 0.5 else []
        length = rng.choice((1, 2, 3, 5, 70)) if rng.random() < 0.1 else rng.randint(1, 6)
        lines += [*skips, *(instruction(rng) for _ in range(length)), f"over{place}:"]
    result = wse.Program(1, 1, machine)
    pe = result.pe_class("pe")
    pe.array("data", 8, "u32")
    pe.code(
        "\n".join(
            [*lines, "isub32 r8, r8, 1", "bnz r8, again", *(f"st32 r{i}, [data+{4 * i}]" for i in range(1, 6)), "done"]
        )
    )
    pe.local_task("main", 9, active=True)
    result.place(pe)
    return result


def outcome(fabric: wse.Fabric, pieces: list[int]) -> tuple:
    for cycles in pieces:
        fabric.run(cycles)
    run = fabric.run()
    return run.cycles, {name: int(values.sum()) for name, values in run.counters.items()}, fabric.read("data").tobytes()


@settings(max_examples=300)
@given(st.integers(0, 1 << 32))
def test_random_code(seed):
    rng = Random(seed)
    machine = Machine("wse3", overrides={name: rng.randint(*span) for name, span in FIGURES.items()})
    code = program(rng, machine)
    expected = outcome(wse.Fabric(code, reference=True), [])
    pieces = [rng.randint(1, 60) for _ in range(rng.randint(0, 3))]
    for options in ({}, {"bins": 7}, {"check": True}):
        assert outcome(wse.Fabric(code, **options), []) == expected
        assert outcome(wse.Fabric(code, **options), pieces) == expected
