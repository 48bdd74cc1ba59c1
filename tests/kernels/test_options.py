"""Options of a run: what a Fabric is made with, and a limit that counts over several calls.

Covers: wse/kernels/checkpoint.py
"""

from pathlib import Path

import numpy as np
import pytest
from says import says

import wse
from wse import kernels
from wse.errors import ConfigError
from wse.fabric.snapshot import saved_options
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
    with says(ConfigError, f"{__file__} is no saved state of a fabric"):
        kernels.run("gemm", SMALL, RunOptions(grid=(8, 8), restore=Path(__file__)))


SGD = {"data": "synthetic", "epochs": 1, "hidden": 8}
SEVERAL = [
    ("linear", {}, None, (100, 40_000)),
    ("softmax", {}, None, (10, 4_500)),
    ("sgd", SGD, None, (1_000, 300_000)),
]


@pytest.mark.parametrize(("name", "config", "grid", "cycles"), SEVERAL, ids=[row[0] for row in SEVERAL])
def test_kernels_that_run_several_times_go_on_in_each_of_their_runs(name, config, grid, cycles, tmp_path):
    """Outputs, figures and measurements are those of a run without a break, to the bit."""
    whole = kernels.run(name, config, RunOptions(grid=grid))
    assert whole.verified
    numbers = set()
    for at in cycles:
        state = tmp_path / f"{at}.state"
        with pytest.raises(KeyboardInterrupt):
            kernels.run(name, config, RunOptions(grid=grid, checkpoint=state, progress=Breaks(at)))
        numbers.add(saved_options(state).get("run", 1))
        rest = kernels.run(name, config, RunOptions(grid=grid, restore=state))
        assert rest.verified and rest.run.diff(whole.run) == [] and rest.extra == whole.extra
        for output, values in whole.outputs.items():
            assert np.array_equal(rest.outputs[output], values, equal_nan=True)
    assert max(numbers) > 1


def test_a_saved_run_that_goes_on_can_be_saved_again(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    with pytest.raises(KeyboardInterrupt) as caught:
        kernels.run("linear", {}, RunOptions(checkpoint=first, progress=Breaks(40_000)))
    assert caught.value.__notes__[0].startswith(f"{first}, with first.run1, holds the state at cycle ")
    with pytest.raises(KeyboardInterrupt):
        kernels.run("linear", {}, RunOptions(restore=first, checkpoint=second, progress=Breaks(41_000)))
    assert {path.name for path in tmp_path.iterdir()} == {"first", "first.run1", "second", "second.run1"}
    first.unlink()
    (tmp_path / "first.run1").unlink()
    assert (
        kernels.run("linear", {}, RunOptions(restore=second)).run.diff(kernels.run("linear", {}, RunOptions()).run)
        == []
    )


def test_other_inputs_do_not_go_on(tmp_path):
    state = tmp_path / "state"
    given = {"A": np.ones((64, 64), np.float16)}
    with pytest.raises(KeyboardInterrupt):
        kernels.run("gemm", SMALL, RunOptions(grid=(8, 8), checkpoint=state, progress=Breaks(0), inputs=given))
    other = {"A": np.zeros((64, 64), np.float16)}
    with pytest.raises(ConfigError, match="was saved with inputs"):
        kernels.run("gemm", SMALL, RunOptions(grid=(8, 8), restore=state, inputs=other))


def test_ends_of_earlier_runs_that_are_missing_or_of_another_run(tmp_path):
    state = tmp_path / "state"
    end = tmp_path / "state.run1"
    with pytest.raises(KeyboardInterrupt):
        kernels.run("linear", {}, RunOptions(checkpoint=state, progress=Breaks(40_000)))
    kept = end.read_bytes()
    end.unlink()
    with pytest.raises(ConfigError, match=r"state is of run 2 .* needs .*state\.run1, .* keep these files together"):
        kernels.run("linear", {}, RunOptions(restore=state))
    end.write_bytes(kept[:-40] + bytes(40))
    with pytest.raises(ConfigError, match="damaged"):
        kernels.run("linear", {}, RunOptions(restore=state))
