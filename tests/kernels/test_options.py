"""Options of a run: what a Fabric is made with, and a limit that counts over several calls."""

import wse
from wse.kernels import RunOptions

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
    options = RunOptions(max_cycles=1000)
    fabric = options.fabric(endless())
    fabric.run(max_cycles=400)
    assert fabric.cycle == 400
    assert options.run(fabric).ended == "limit" and fabric.cycle == 1000
    assert options.run(fabric).ended == "limit" and fabric.cycle == 1000


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
