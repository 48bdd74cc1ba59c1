"""Options of a run: what a Fabric is made with, and a limit that counts over several calls."""

import pytest
from says import says

import wse
from wse import kernels
from wse.errors import ConfigError
from wse.kernels import Progress, RunOptions, options

LOOP = """
spin:
    mov r0, 1
    bnz r0, spin
"""


def endless():
    program = wse.Program(2, 1)
    pe = program.pe_class("pe")
    program.place(pe)
    pe.code(LOOP)
    pe.local_task("spin", 8, active=True)
    return program


def test_the_limit_counts_over_all_calls():
    given = RunOptions(max_cycles=1000)
    fabric = given.fabric(endless())
    fabric.run(max_cycles=400)
    assert fabric.cycle == 400
    assert given.run(fabric).ended == "limit" and fabric.cycle == 1000
    assert given.run(fabric).ended == "limit" and fabric.cycle == 1000


def test_what_is_recorded():
    for trace, activity in ((0, False), (100, False), (0, True)):
        options = RunOptions(max_cycles=200, trace=trace, activity=activity)
        run = options.run(options.fabric(endless()))
        assert (run.events is not None) == bool(trace)
        assert (run.activity is not None) == activity


def test_progress_is_told():
    class Heard:
        def __init__(self):
            self.cycles = []

        def __call__(self, cycle):
            self.cycles.append(cycle)

        def note(self, line):
            raise AssertionError(line)

    heard = Heard()
    options = RunOptions(max_cycles=3_000_000, progress=heard)
    options.run(options.fabric(endless()))
    assert heard.cycles and heard.cycles == sorted(heard.cycles)


SMALL = {"M": 64, "K": 64, "N": 64, "dtype": "f16", "accumulate": "same"}


class Breaks(Progress):
    """Interrupts a run at the first report from a cycle on."""

    def __init__(self, cycle):
        self.cycle = cycle

    def __call__(self, cycle):
        if cycle >= self.cycle:
            raise KeyboardInterrupt


@pytest.mark.parametrize("part", [1000, 7])
def test_a_run_goes_on_from_where_it_was_interrupted(part, tmp_path, monkeypatch):
    monkeypatch.setattr(options, "FIRST_PART", part)
    monkeypatch.setattr(options, "SAVE_SECONDS", 1e-5)
    whole = kernels.run("gemm", SMALL, RunOptions(grid=(8, 8)))
    state = tmp_path / "state"
    with pytest.raises(KeyboardInterrupt) as caught:
        kernels.run("gemm", SMALL, RunOptions(grid=(8, 8), checkpoint=state, progress=Breaks(50)))
    (note,) = caught.value.__notes__
    assert note.startswith(f"{state} holds the state at cycle ")
    rest = kernels.run("gemm", SMALL, RunOptions(grid=(8, 8), restore=state))
    assert rest.verified and rest.run.diff(whole.run) == []
    again = kernels.run("gemm", SMALL, RunOptions(grid=(8, 8), restore=state, checkpoint=state))
    assert again.verified and again.run.diff(whole.run) == []


def test_a_saved_run_keeps_its_limit(tmp_path):
    state = tmp_path / "state"
    limit = RunOptions(grid=(8, 8), checkpoint=state, max_cycles=700)
    run = kernels.run("gemm", SMALL, limit).run
    assert (run.cycles, run.ended) == (700, "limit")


def test_what_cannot_be_restored(tmp_path):
    state = tmp_path / "state"
    with pytest.raises(KeyboardInterrupt):
        kernels.run("gemm", SMALL, RunOptions(grid=(8, 8), checkpoint=state, progress=Breaks(0)))
    with says(ConfigError, f"{state} was saved with seed = 0, here it is 4"):
        kernels.run("gemm", SMALL, RunOptions(grid=(8, 8), restore=state, seed=4))
    with says(ConfigError, f"{state} is the state of another program"):
        kernels.run("gemm", SMALL | {"K": 128}, RunOptions(grid=(8, 8), restore=state))
    several = "this kernel runs its program several times: it can be neither saved nor restored"
    with says(ConfigError, several):
        kernels.run("linear", {}, RunOptions(checkpoint=state))
