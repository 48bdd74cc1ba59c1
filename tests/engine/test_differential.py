"""The fast paths of the engine give the same results as the reference mode (engine/differential.py).

Covers: csrc/fast/memory_op.c, csrc/fast/store_rows.c, csrc/fast/span_avx512.c,
    csrc/pe/store_only.c, csrc/pe/vector_step.c, csrc/fabric/clocks.c
"""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
from engine import differential
from engine.generated import Plan
from engine.scenes import scenes
from engine.test_threads import observed
from hypothesis import given, settings
from hypothesis import strategies as st

HERE = Path(__file__).resolve().parent


@settings(max_examples=20)
@given(st.integers(0, 1 << 32))
def test_random_programs(seed):
    assert differential.compare(Plan.of_seed(seed)) == {}


@pytest.mark.parametrize("seed", [*range(20), 1271, 8523])
def test_programs_of_fixed_seeds(seed):
    assert differential.compare(Plan.of_seed(seed)) == {}


@settings(max_examples=20)
@given(scenes(), st.integers(1, 3), st.integers(0, 8), st.booleans())
def test_random_fabrics(scene, threads, tile, traced):
    options = {"bins": 16, "activity": True}
    fabric, streams = scene.fabric(reference=True, trace=20_000, **options)
    expected = observed(fabric, streams.values(), max_cycles=400)
    options |= {"threads": threads, "tile": tile, "trace": 20_000 if traced else 0, "reference": False}
    fabric, streams = scene.fabric(**options)
    got = observed(fabric, streams.values(), max_cycles=400)
    assert got[1] == expected[1]
    if got[1] is None:  # others may have run ahead of a fault
        assert set(expected[0].diff(got[0])) <= (set() if traced else {"events"})
        assert got[2:] == expected[2:]


def test_a_plan_is_the_same_for_a_seed():
    one, other = Plan.of_seed(5), Plan.of_seed(5)
    assert one == other and one.describe() == other.describe() != Plan.of_seed(6).describe()


def test_a_difference_is_found_and_made_small():
    """A comparison that takes any use of `rand` for a difference leaves a program of little else."""

    def compare(plan, only=None):
        fabric, streams = plan.fabric(plan.program())
        run = differential.observe(fabric, streams, plan.max_cycles).run
        return {"fast": ["rand"]} if run.opcodes.get("rand") else {}

    plans = itertools.islice(filter(compare, map(Plan.of_seed, itertools.count())), 3)
    plan = min(plans, key=lambda plan: sum(len(kind.text) for kind in plan.kinds))
    kept, differential.compare = differential.compare, compare
    try:
        small = differential.reduce(plan, "fast", seconds=300)
    finally:
        differential.compare = kept
    assert compare(small)
    assert sum(len(kind.text.splitlines()) for kind in small.kinds) < 20 and len(small.places) == 1


def test_the_command_says_what_it_compared():
    done = subprocess.run(
        [sys.executable, HERE / "differential.py", "--seeds", "3", "--first", "7"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == "3 programs from seed 7 on: 0 differ\n"
