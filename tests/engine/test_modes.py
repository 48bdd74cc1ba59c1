"""What a run does not depend on: tracing, the reference mode, where it is cut; case by case."""

import itertools

import numpy as np
import pytest
from harness import ARCHS, LOOP, bench, events, fabin, fabout, mem

import wse
from wse import _engine

archs = pytest.mark.parametrize("arch", ARCHS)
MODES = {
    "plain": {"reference": False},
    "traced": {"reference": False, "trace": 10_000},
    "reference": {"reference": True},
}
modes = pytest.mark.parametrize("mode", MODES)


def in_all_modes(code: str, arch: str, **options) -> list:
    """One PE in every mode; a fault is an outcome too."""

    def declare(pe):
        pe.local_task("main", 9, active=True)

    outcomes = []
    for mode in MODES.values():
        try:
            ran = bench(code, arch, declare=declare, on_deadlock="return", **mode, **options)
            run, fault = ran.run, None
        except wse.FabricFault as error:
            run, fault = error.run, str(error)
        counters = {name: int(plane[0, 0]) for name, plane in run.counters.items()}
        outcomes.append((run.ended, run.cycles, fault, counters, run.opcodes))
    return outcomes


def expect_one_outcome(code: str, arch: str, **options):
    first, *others = in_all_modes(code, arch, **options)
    for other in others:
        assert other == first
    return first


DSRS = {"d0": mem(64, 8, 4), "a0": mem(0, 8, 4), "b0": mem(4, 8, 4), "d1": fabout(8, 3, LOOP), "d2": mem(96, 8, 4)}
DSRS |= {"a1": fabin(8, 4), "b1": mem(0, 4)}
LOADS = "".join(f"dsr {name}, of_{name}\n" for name in DSRS)


@archs
@pytest.mark.parametrize(
    "code",
    [
        "fmacs d0, a0, b0, r1\nfadds d0, a0, b0\nfadds d0, a0, b0",
        "fadds d0, a0, b0\nmov32 d1, a0 {async}\niadd16 r1, r1, 1\niadd16 r1, r1, 1\nmov32 d2, a1",
        "fadds d0, a0, b0\nmov32 d1, a0\nmov32 d2, a1\nfadds d0, a0, b0",
        ".n: mapstep r1, b1, .e\nfadds d0, a0, b0\nmaploop .n\n.e: mark 1",
        ".n: mapstep r1, b1, .e\nmaploop .n\n.e: fadds d0, a0, b0",
    ],
)
def test_a_limit_at_any_cycle(arch, code):
    """An operation right after another one counts from the cycle in which it issues, behind the other's last element."""
    text = f"main: {LOADS}{code}\nmark 2\ndone"
    whole = expect_one_outcome(text, arch, dsrs=DSRS, memory=bytes(256))
    assert whole[0] == "done"
    for limit in range(1, whole[1] + 2):
        first, *others = in_all_modes(text, arch, dsrs=DSRS, memory=bytes(256), max_cycles=limit)
        for other in others:
            assert other[1:] == first[1:], limit
            # right behind the last cycle a limit may be reached before it is known that nothing is left
            assert other[0] == first[0] or limit >= whole[1]


@archs
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("jmp 4000", "BAD_PC"),
        ("mov r1, 1\nbnz r1, 4000", "BAD_PC"),
        ("sadd r1, r1, r1\njr r2", "BAD_PC"),
        ("fadds d0, a0, b0", "BAD_DSR"),
        ("sdiv r1, r1, r1\nfadds d0, a0, b0", "BAD_DSR"),
        ("mov r1, 50\nactivate r1", "BAD_TASK"),
        ("mov r1, 3\nsmul r2, r1, r1\ntrap r2", "TRAP"),
    ],
)
def test_a_fault_is_in_one_cycle(arch, code, kind):
    outcome = expect_one_outcome(f"main: {code}\ndone", arch, registers={2: 4000})
    assert outcome[0] == "fault"


@archs
def test_a_jump_out_of_the_code_faults_when_it_would_be_fetched(arch):
    """Two cycles for the start of the task, six for the jump that is taken."""
    with pytest.raises(wse.FabricFault) as caught:
        bench("main: jmp 4000", arch, declare=lambda pe: pe.local_task("main", 9, active=True))
    m = wse.Machine(arch)
    assert caught.value.cycle == m.task_start_cycles + m.branch_taken


def two_pes(**options) -> wse.Fabric:
    """PE 0 computes for some 7,000 cycles, then uses a DSR that holds nothing; PE 1 signals for ever."""
    p = wse.Program(2, 1)
    codes = {
        "late": "main: mov r1, 1000\n.again: isub32 r1, r1, 1\nbnz r1, .again\nfadds d0, a0, b0\ndone",
        "busy": "main: iadd32 r1, r1, 1\nhostsig r1\njmp main",
    }
    for x, (name, code) in enumerate(codes.items()):
        pe = p.pe_class(name)
        pe.code(code)
        pe.local_task("main", 9, active=True)
        p.place(pe, x)
    return wse.Fabric(p, **options)


@modes
def test_a_fault_that_lies_ahead_does_not_end_a_run_early(mode):
    """Compute elements run ahead of the fabric; the run goes on to the cycle of the fault, however it is cut."""
    fault_at = 2 + 1 + 1000 * 7 - 3  # the last branch is not taken
    signals = set()
    for chunk, limited in itertools.product((10**6, 997, 4096), (False, True)):
        fabric = two_pes(**MODES[mode])
        while True:
            until = fabric.cycle + chunk
            status = fabric._engine.run(until, until if limited else 10**6)
            if status != _engine.LIMIT:
                break
            assert fabric.cycle == until <= fault_at
        assert status == _engine.FAULTED and fabric.cycle == fault_at + 1
        signals.add(int(fabric.host_signals[0, 1]))
    assert signals == {(fault_at - 3) // 8 + 1}


def test_a_fault_beyond_the_limit_is_no_fault_yet():
    fabric = two_pes()
    assert fabric.run(max_cycles=5000).ended == "limit"
    with pytest.raises(wse.FabricFault) as caught:
        fabric.run()
    assert caught.value.cycle == 7000


@pytest.mark.parametrize("cut", [1, 5, 6, 7, 8, 30])
def test_when_a_run_is_over_does_not_depend_on_the_engines_calls(cut):
    """A router is looked at once more after the last wavelet has left; the run was over when it left."""
    cycles = set()
    for chunk in (1000, cut):
        p = wse.Program(2, 1)
        red = p.color("red")
        p.route(red, "W", "E")
        fabric = wse.Fabric(p)
        fabric.stream_in(0, 0, "W", red, np.arange(5), rate=1 / 9)
        fabric.stream_out(1, 0, "E", red, rate=1 / 20)
        while fabric._engine.run(fabric.cycle + chunk, 1000) == _engine.LIMIT:
            pass
        cycles.add((fabric.cycle, fabric.run().cycles))
    assert len(cycles) == 1


def test_the_options_are_seen_to_be_used():
    """The reference mode looks at every PE in every cycle: that it is one that is asked for shows in nothing else."""
    with pytest.raises(wse.ConfigError, match="reference is True or False, not 2"):
        two_pes(reference=2)
    assert two_pes(reference=True).run(max_cycles=100).same(two_pes(reference=False).run(max_cycles=100))


def test_marks_are_where_they_were():
    """The cycles of a program by hand, in every mode that keeps events."""
    for mode in ({"trace": 100}, {"trace": 100, "reference": True}):
        ran = bench(
            "main: mark 1\nsadd r1, r1, r1\nst32 r1, [memory]\nmark 2\njmp .x\n.x: mark 3\ndone",
            memory=bytes(4),
            declare=lambda pe: pe.local_task("main", 9, active=True),
            **mode,
        )
        assert [cycle for cycle, _, _ in events(ran.run, "MARK")] == [2, 5, 12]
