"""wse/trace/simulator.py: lines that readers of the vendor's text trace understand, and that agree with the run."""

import re
from pathlib import Path

import pytest
from synthetic import make_events, make_run

import wse
from wse import trace
from wse.fabric.run import COUNTERS
from wse.fabric.watch import Watch
from wse.machine import isa
from wse.trace import simulator

FMACS = isa.INSTRUCTION["fmacs"].opcode
INPUT = COUNTERS.index("stall_input")
# What a reader of the vendor's trace looks for in a line.
LANDING = re.compile(r"^@(\d+) P(\d+)\.(\d+) \(\w+\) landing C(\d+) from link ([WESNR]),")
OPERATION = re.compile(r"^@(\d+) P(\d+)\.(\d+): \[EX OP\] (?:IDLE|\^ T\d+(?:\.\w+)?\s+(\S+))$")
STALL = re.compile(r"^@(\d+) P(\d+)\.(\d+):.*Pipe: (?:\d+), Msg: stall: (.+)")


def test_what_each_event_becomes():
    run = make_run(
        *(3, 2),
        events=make_events(
            (5, 1, "TASK_START", 9, 7),
            (7, 1, "OP_START", FMACS, 255),
            (9, 1, "WAIT_START", INPUT, 255),
            (12, 1, "WAIT_END", INPUT, 255),
            (14, 1, "OP_END", FMACS, 255),
            (14, 1, "HOP", 3 | 1 << 6, 0xABC),
            (15, 4, "HOP", 3 | 32 | 0 << 6, 1),
            (15, 1, "HOP", 3 | 0 << 6, 1),  # off the edge
            (16, 1, "TASK_END", 9, 0),
            (17, 1, "OP_START", FMACS, 2),
        ),
    )
    hop = wse.Machine(run.machine, run.profile).hop_cycles
    assert list(simulator.lines(run)) == [
        "@0 dimX=3, dimY=2\n",
        "@5 P1.0: [EX OP] ^ T09 SCALAR\n",
        "@7 P1.0: [EX OP] ^ T09 FMACS\n",
        "@9 P1.0: [EX OP] IDLE\n",
        "@9 P1.0: Pipe: 4, Msg: stall: input\n",
        "@12 P1.0: [EX OP] ^ T09 FMACS\n",
        f"@{14 + hop} P2.0 (hwtile) landing C3 from link W, data=00000abc, ctrl=0\n",
        "@14 P1.0: [EX OP] ^ T09 SCALAR\n",
        f"@{15 + hop} P1.0 (hwtile) landing C3 from link S, data=00000001, ctrl=1\n",
        "@16 P1.0: [EX OP] IDLE\n",
        "@17 P1.0: [EX OP] ^ T00 FMACS\n",
    ]


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_every_line_of_a_run_is_understood_and_every_hop_lands(arch, tmp_path):
    module = wse.kernels.load("allreduce")
    config = {name: parameter.default for name, parameter in module.PARAMETERS.items()} | {"length": 16}
    options = wse.kernels.RunOptions(
        machine=wse.Machine(arch), grid=(5, 4), trace=10**6, watch=Watch(folder=tmp_path, hops=True)
    )
    run = module.run(config, options).run
    head, *lines = Path(trace.write(run, tmp_path / "sim.log")).read_text().splitlines()
    assert head == "@0 dimX=5, dimY=4"
    assert all(LANDING.match(line) or OPERATION.match(line) or STALL.match(line) for line in lines)
    landings = [LANDING.match(line) for line in lines if LANDING.match(line)]
    assert len(landings) == run.wavelet_hops > 0
    for link, port in zip("SWNE", range(4), strict=True):  # what leaves to the north lands from the south
        assert sum(found[5] == link for found in landings) == run.links[port].sum()
    names = {OPERATION.match(line)[4] for line in lines if OPERATION.match(line)}
    assert names - {None, "SCALAR"} <= {name.upper() for name in run.opcodes} and len(names) > 3
    assert {STALL.match(line)[4] for line in lines if STALL.match(line)} <= {"input", "output"}


def test_what_was_left_out_is_said():
    run = make_run(3, 2, events=make_events((5, 1, "TASK_START", 9, 7)))
    run.events_dropped = 7
    assert list(simulator.lines(run))[1] == "# 7 events were left out\n"
