"""Compares the engine's reference mode with its fast paths on random programs: bits, cycles, counters, series, events.

    python tests/engine/differential.py --seeds 10000 [--first 0] [--jobs 2]

prints the seeds that differ, each with the smallest program found that still does.  A run of a plan is compared however
the engine may be told to do it: on one thread and several, tiles of several cycles, with a trace, in pieces.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    sys.path.append(str(Path(__file__).resolve().parents[2]))  # the checkout, where no package is installed

from engine.generated import Plan

import wse
from wse.program.program import NO_CLASS

BINS = 16
EVENTS = 200_000


@dataclass
class Observed:
    """A run and all that the machine holds afterwards; a fault is an outcome too."""

    run: wse.Run
    fault: str | None
    passed: list[tuple[list, list, list]]
    memory: bytes
    cycle: int
    signals: list
    said: list
    waits: str | None


def observe(fabric: wse.Fabric, streams, max_cycles: int, pieces=(), chunks=()) -> Observed:
    """Runs for max_cycles.  pieces: calls of so many cycles come first; chunks: the engine's calls within one of Fabric."""
    fault = None
    with contextlib.suppress(wse.FabricFault):  # the last call has it again
        for piece in pieces:
            if fabric.cycle + piece >= max_cycles:
                break
            fabric.run(max_cycles=piece, on_deadlock="return")
    if chunks:
        fabric.image.check(fabric._attached())
    for chunk in chunks:
        if (
            fabric.cycle + chunk >= max_cycles
            or fabric._engine.run(fabric.cycle + chunk, max_cycles) != wse._engine.LIMIT
        ):
            break
    try:
        run = fabric.run(max_cycles=max_cycles - min(fabric.cycle, max_cycles), on_deadlock="return")
    except wse.FabricFault as error:
        run, fault = error.run, str(error)
    passed = [(s.data.tolist(), s.control.tolist(), s.cycles.tolist()) for s in streams]
    memory = np.empty(fabric.width * fabric.height * wse._engine.SRAM, np.uint8)
    fabric._engine.read(0, 0, fabric.width, fabric.height, 0, memory)
    deadlock = fabric.deadlock() if run.ended == "deadlock" else None
    return Observed(
        *(run, fault, passed, memory.tobytes(), fabric.cycle, fabric.host_signals.tolist(), fabric.said().tolist()),
        waits=deadlock and str(deadlock),
    )


def differences(expected: Observed, got: Observed, traced: bool, exact: bool) -> list[str]:
    """What differs.  Of a run that faults only the fault is compared with: others may have run ahead of it."""
    if expected.fault or got.fault:
        return [] if expected.fault == got.fault else [f"fault: {expected.fault} | {got.fault}"]
    found = expected.run.diff(got.run)
    if not traced:
        found = [name for name in found if name not in ("events", "events_dropped")]
    found = [f"{name}{_where(expected.run, got.run, name)}" for name in found]
    names = ["passed", "memory", "signals", "said", "waits"]
    if exact:  # a limit that was reached before the end is not taken back
        names.append("cycle")
    for name in names:
        if getattr(expected, name) != getattr(got, name):
            found.append(f"{name} {getattr(expected, name)} | {getattr(got, name)}"[:200] if name == "cycle" else name)
    return found


def in_each_way(
    load: Callable[..., tuple[wse.Fabric, list]], limit: int, pieces: Sequence[tuple[int, ...]]
) -> list[str]:
    """What differs between the reference and the fast paths: on one thread and two, in pieces, without AVX-512.

    load: a fabric with such options, and its streams.  The cycle in which pieces find a deadlock may differ.
    """
    expected = observe(*load(reference=True), limit)
    ways: list[tuple[dict, tuple[int, ...]]] = [({}, ()), ({"threads": 2}, ()), ({"portable": "avx2"}, ())]
    return [
        f"{options} {cuts}: {found}"
        for options, cuts in [*ways, *(({}, cuts) for cuts in pieces)]
        for found in differences(expected, observe(*load(**options), limit, cuts), False, not cuts)
    ]


def _where(expected: wse.Run, got: wse.Run, name: str) -> str:
    """The first place at which an array differs."""
    if name == "events" and expected.events is not None and got.events is not None:
        for one, other in zip(expected.events.tolist(), got.events.tolist(), strict=False):
            if one != other:
                return f" {one} | {other}"
        return f" {len(expected.events)} | {len(got.events)}"
    one, other = (run.counters.get(name, getattr(run, name, None)) for run in (expected, got))
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray) and one.shape == other.shape:
        at = tuple(int(i[0]) for i in np.nonzero(one != other))
        return f"{list(at)} {one[at]} | {other[at]}"
    return f" {one} | {other}"[:120] if not isinstance(one, np.ndarray) else ""


def inconsistencies(program: wse.Program, run: wse.Run) -> list[str]:
    """Sums of a run that do not agree: each cycle of a PE counts once, in its counters, the series and the activity."""
    assert run.activity is not None
    kinds = {name: sum(v for n, v in run.counters.items() if n.startswith(name)) for name in ("busy", "stall", "idle")}
    has_code = program.class_of_pe != NO_CLASS
    sums = {
        "cycles of a PE": (sum(kinds.values()), has_code * np.uint64(run.cycles)),
        "busy slots and series": (run.busy.sum(), run.series[:, 0].sum()),
        "busy slots and activity": (run.busy, run.activity.sum(axis=0)),
        "stalls and series": (run.total("stall_input") + run.total("stall_output"), run.series[:, 3].sum()),
        "flops and series": (run.flops, run.series[:, 2].sum()),
        "links and colors": (run.links.sum(axis=(1, 2)), run.colors[:, :, 0].sum(axis=0)),
        "waits and colors": (run.blocked.sum(axis=(1, 2)), run.colors[:, :, 1].sum(axis=0)),
    }
    return [name for name, (one, other) in sums.items() if not np.array_equal(one, other)]


def variants(plan: Plan) -> Iterator[tuple[str, dict, dict]]:
    """How a plan is run: a name, options of Fabric, and of observe."""
    rng = Random(plan.seed ^ 0x5EED)
    tile, portable = rng.choice([0, 0, 1, 2, 3, 5, 8]), rng.choice([False, False, "avx2", "avx2", True])
    pieces = [rng.choice([1, 2, 7, 60, 300]) if rng.random() < 0.5 else rng.randint(1, 200) for _ in range(400)]
    yield "fast", {"portable": portable}, {}
    yield "threads", {"threads": rng.choice([2, 2, 3, 5]), "tile": tile}, {}
    yield "traced", {"threads": rng.choice([1, 2]), "trace": EVENTS}, {}
    yield "pieces", {"threads": rng.choice([1, 2]), "tile": tile}, {"pieces": pieces}
    yield "chunks", {"tile": tile}, {"chunks": pieces}
    if rng.random() < 0.3:
        yield "traced pieces", {"trace": EVENTS}, {"pieces": pieces}
    if rng.random() < 0.2:
        yield "reference pieces", {"reference": True, "threads": 2}, {"pieces": pieces}


def compare(plan: Plan, only: str | None = None) -> dict[str, list[str]]:
    """What differs from the reference, by variant; empty if nothing does."""
    program = plan.program()
    common = {"bins": BINS, "activity": True}
    expected = observe(*plan.fabric(program, reference=True, trace=EVENTS, **common), plan.max_cycles)
    found = {}
    if expected.fault is None and only in (None, "sums") and (wrong := inconsistencies(program, expected.run)):
        found["sums"] = wrong
    for name, options, cuts in variants(plan):
        if only is not None and name != only:
            continue
        got = observe(*plan.fabric(program, **{"reference": False} | options, **common), plan.max_cycles, **cuts)
        if differs := differences(expected, got, "trace" in options, "pieces" not in cuts):
            found[name] = differs
    return found


# --- the smallest plan that still differs ------------------------------------------------------------------------------


def smaller(plan: Plan) -> Iterator[Plan]:
    """Plans with something left out, the large parts first."""
    for n in (len(plan.places) // 2, len(plan.places) // 4, 1):
        for start in range(0, len(plan.places), n) if n else ():
            yield replace(plan, places=plan.places[:start] + plan.places[start + n :])
    for index, kind in enumerate(plan.kinds):
        for task, statements in kind.tasks.items():
            for n in sorted({len(statements), (len(statements) + 1) // 2, 1}, reverse=True):
                for start in range(0, len(statements), n) if n else ():
                    yield _with(plan, index, task, statements[:start] + statements[start + n :])
            for i, statement in enumerate(statements):
                for j in range(len(statement)):
                    lines = statement[:j] + statement[j + 1 :]
                    yield _with(plan, index, task, [*statements[:i], lines, *statements[i + 1 :]])
            if task in kind.data_tasks or task not in ("main", "other", "third", "fourth"):
                yield _with(plan, index, task, None)
        for name, (what, arguments, options) in kind.descriptors.items():
            if what == "mem1d" and arguments[1] > 1:
                made = copy.deepcopy(plan)
                made.kinds[index].descriptors[name] = what, (arguments[0], arguments[1] // 2, *arguments[2:]), options
                yield made
    for i, (*place, wavelets, rate) in enumerate(plan.inputs):
        for kept in ([], wavelets[: len(wavelets) // 2], wavelets[:-1]):
            if len(kept) < len(wavelets):
                yield replace(plan, inputs=[*plan.inputs[:i], (*place, kept, rate), *plan.inputs[i + 1 :]])
    if plan.overrides:
        for name in plan.overrides:
            yield replace(plan, overrides={n: v for n, v in plan.overrides.items() if n != name})
    for i in range(len(plan.routes)):
        if plan.routes[i][1].keys() & {"filter", "switch", "teardown"}:
            kept = {n: v for n, v in plan.routes[i][1].items() if n in ("rx", "tx", "x", "y")}
            yield replace(plan, routes=[*plan.routes[:i], (plan.routes[i][0], kept), *plan.routes[i + 1 :]])
    for cycles in (plan.max_cycles // 2, plan.max_cycles - 10, plan.max_cycles - 1):
        if cycles > 0:
            yield replace(plan, max_cycles=cycles)


def _with(plan: Plan, index: int, task: str, statements: list[list[str]] | None) -> Plan:
    made = copy.deepcopy(plan)
    kind = made.kinds[index]
    if statements is None:
        del kind.tasks[task]
    else:
        kind.tasks[task] = [lines for lines in statements if lines]
    return made


def reduce(plan: Plan, variant: str, seconds: float = 60) -> Plan:
    """The smallest plan found in this time that still differs in the variant."""
    end = time.monotonic() + seconds
    progress = True
    while progress and time.monotonic() < end:
        progress = False
        for candidate in smaller(plan):
            if time.monotonic() > end:
                break
            try:
                differs = compare(candidate, variant)
            except wse.WseError:
                continue
            if differs:
                plan, progress = candidate, True
                break
    return plan


def check(seed: int) -> tuple[int, dict[str, list[str]]]:
    return seed, compare(Plan.of_seed(seed))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1000, help="how many (default: 1000)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (default: 0)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: 1)")
    parser.add_argument("--show", type=int, default=3, help="programs to make small and print (default: 3)")
    parser.add_argument("--seconds", type=float, default=60, help="for making one small (default: 60)")
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.seeds)
    failed = []
    with ProcessPoolExecutor(options.jobs) as pool:
        results = pool.map(check, seeds, chunksize=8) if options.jobs > 1 else map(check, seeds)
        for seed, found in results:
            if found:
                failed.append(seed)
                print(f"seed {seed}:", *(f"  {variant}: {', '.join(d)}" for variant, d in found.items()), sep="\n")
                sys.stdout.flush()
    for seed in failed[: options.show]:
        plan = Plan.of_seed(seed)
        variant = next(iter(compare(plan)))
        plan = reduce(plan, variant, options.seconds)
        print(f"\n=== seed {seed}, {variant}: {compare(plan, variant)[variant]}\n{plan.describe()}")
    print(f"{len(seeds)} programs from seed {seeds.start} on: {len(failed)} differ{': ' if failed else ''}", *failed)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
