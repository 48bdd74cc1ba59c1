"""wse/debug/backward.py: an interrupt ends a motion backward where it began, and the session goes on."""

from functools import partial

import numpy as np
import pytest

from wse.csl.artifact import Artifact
from wse.debug.breakpoint import Pause
from wse.debug.debugger import Debugger
from wse.debug.host import DebuggedFabric
from wse.sdk.device import Device

MOTIONS = {
    "back_to_breakpoint": (),
    "back_lines": (3,),
    "back_instructions": (5,),
    "back_task": (2,),
    "goto": (40,),
}


class Session:
    """A debugger of heat after its first steps.  interrupts: what progress raises, one at each call."""

    def __init__(self, heat, interactive=False):
        self.interrupts, self.told = [], []
        artifact = Artifact.load(heat / "out")
        self.debugger = Debugger(artifact, self.ask, (heat,), interactive, self.progress)
        device = Device(artifact, make=partial(DebuggedFabric, self.debugger))
        self.debugger.begin(device.fabric, artifact, heat / "out")
        self.debugger.focus = (2, 0)
        self.debugger.go()
        device.launch("flow", [np.uint16(3)])
        device.run()

    def ask(self, stopped):
        raise AssertionError(stopped)

    def progress(self, cycle):
        self.told.append(cycle)
        if self.interrupts:
            raise self.interrupts.pop(0)


@pytest.mark.parametrize("name", MOTIONS)
def test_an_interrupt_ends_the_motion_where_it_began(heat, name):
    session = Session(heat)
    debugger, motion = session.debugger, partial(getattr(session.debugger, name), *MOTIONS[name])
    debugger.add("task", "exchange", (2, 0))
    here = debugger.cycle
    session.interrupts = [Pause()]
    assert motion().reason == "interrupt" and debugger.cycle == here
    session.interrupts = [Pause(resumes=True)]  # breakpoints have changed: the motion begins again
    assert motion().reason != "interrupt" and not session.interrupts
    there = debugger.cycle
    assert there < here and debugger.goto(here).reason == "cycle"
    session.told.clear()
    motion()
    assert debugger.cycle == there and session.told  # nothing was left by the interrupts, and requests are answered


def test_a_second_control_c_on_the_way_back(heat, monkeypatch):
    session = Session(heat, interactive=True)
    history, here = session.debugger.current.history, session.debugger.cycle
    goto, calls = history.goto, []

    def pressed(cycle, progress=None):
        calls.append(cycle)
        if len(calls) in (2, 3):
            raise KeyboardInterrupt
        return goto(cycle, progress)

    monkeypatch.setattr(history, "goto", pressed)
    session.interrupts = [KeyboardInterrupt()]
    assert session.debugger.goto(40).reason == "interrupt"
    assert calls == [40, here, here, here] and session.debugger.cycle == here


def test_control_c_ends_the_session_only_without_a_terminal(heat):
    session = Session(heat, interactive=True)
    session.interrupts = [KeyboardInterrupt()]
    assert session.debugger.goto(40).reason == "interrupt"
    session.debugger.interactive = False
    session.interrupts = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        session.debugger.goto(40)
