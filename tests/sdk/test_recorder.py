"""wse/sdk/recorder.py: what the runs of a host program leave, however they end; recording changes nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from documents import ROOT

import wse
from wse.fabric.errors import LimitReached
from wse.sdk import compile, recorder
from wse.sdk.recorder import Recorder
from wse.sdk.runtime import SdkRuntime
from wse.sdk.transfer import MemcpyDataType, MemcpyOrder

P, N = 3, 4
HOW = {"order": MemcpyOrder.ROW_MAJOR, "data_type": MemcpyDataType.MEMCPY_32BIT, "nonblock": False, "streaming": False}


@pytest.fixture
def heat(_in_a_directory) -> str:
    """The directory of the compiled example."""
    compile.run(compile.Request(ROOT / "docs/examples/heat/layout.csl", {"P": P, "N": N}, arch="wse3"))
    return "out"


@pytest.fixture
def ended(monkeypatch) -> list:
    """What has been recorded."""
    runs: list = []
    monkeypatch.setattr(recorder, "current", Recorder(ended=runs.append))
    return runs


def flow(name: str, *steps: int, stop: bool = True, runner: SdkRuntime | None = None) -> SdkRuntime:
    runner = runner or SdkRuntime(name)
    runner.load()
    runner.run()
    u = runner.get_id("u")
    points = np.arange(P * (N + 2), dtype=np.float32)
    runner.memcpy_h2d(u, points, 0, 0, P, 1, N + 2, **HOW)
    for n in steps:
        runner.launch("flow", np.uint16(n), nonblock=False)
    runner.memcpy_d2h(points, u, 0, 0, P, 1, N + 2, **HOW)
    if stop:
        runner.stop()
    return runner


def test_launches_and_the_whole(heat, ended):
    runner = flow(heat, 5, 5, 10)
    (recorded,) = ended
    assert (recorded.number, str(recorded.directory), recorded.stopped) == (1, "out", True)
    assert recorded.run.ended == "done" and recorded.run.cycles == runner.device.fabric.last_activity
    launches = recorded.launches
    assert [(one.function, one.pes, one.ended) for one in launches] == [("flow", P, True)] * 3
    first, second, third = (one.totals for one in launches)
    assert second.cycles == first.cycles and third.cycles == pytest.approx(2 * second.cycles, rel=0.1)
    assert first.flops == second.flops == 5 * 4 * P * N and third.flops == 2 * first.flops
    assert first.wavelet_hops == 5 * 2 * (P - 1)
    assert sum(one.flops for one in (first, second, third)) == recorded.run.flops
    assert 0 < first.utilization < 1 and sum(first.stalls.values()) + first.utilization == pytest.approx(1)
    assert launches[0].cycle + first.cycles < launches[1].cycle


def test_recording_changes_nothing(heat, ended, monkeypatch):
    flow(heat, 5, 7)
    monkeypatch.setattr(recorder, "current", Recorder())
    assert flow(heat, 5, 7).device.measure() == ended[0].run


def test_several_runs_and_one_that_is_not_stopped(heat, ended):
    flow(heat, 2)
    flow(heat, 3, stop=False)
    assert len(ended) == 1
    recorder.current.finish()
    recorder.current.finish()
    assert [(one.number, one.stopped, one.run.ended) for one in ended] == [(1, True, "done"), (2, False, "interrupted")]
    assert [one.launches[0].totals.flops for one in ended] == [4 * P * N * n for n in (2, 3)]


@pytest.mark.parametrize("limit", [1, 1700, 2020, 2500])
def test_the_limit_in_the_middle_of_a_command(heat, ended, monkeypatch, limit):
    """In a copy, in the time before a launch, in a launch: the run is exactly so long, and stop() still ends it."""
    monkeypatch.setattr(recorder.current, "max_cycles", limit)
    runner = SdkRuntime(heat)
    with pytest.raises(LimitReached) as caught:
        flow(heat, 100, 100, runner=runner)
    assert f"ended in cycle {limit:,}, as --max-cycles says" in str(caught.value)
    notes = getattr(caught.value, "__notes__", [])
    if limit >= 2000:
        assert notes == [
            "launch of flow waits for the end of the launch of flow: PE (0, 0) and 2 more have not called "
            "unblock_cmd_stream()"
        ]
    with pytest.raises(LimitReached):
        runner.stop()
    (recorded,) = ended
    assert recorded.run.ended == recorded.device.failed == "limit" and runner.device.cycle == limit
    assert recorded.device.error == str(caught.value)
    assert [one.ended for one in recorded.launches] == [False] * (limit >= 2000)


def test_a_limit_that_is_not_reached_is_no_limit(heat, ended, monkeypatch):
    flow(heat, 4)
    monkeypatch.setattr(recorder.current, "max_cycles", 10**6)
    flow(heat, 4)
    assert ended[0].run == ended[1].run and ended[1].run.ended == "done"


def test_an_interrupt_is_heard_within_a_command(heat, ended, monkeypatch):
    class Stops:
        def __call__(self, cycle: int) -> None:
            if cycle > 3000:
                raise KeyboardInterrupt

        def clear(self) -> None:
            pass

    monkeypatch.setattr(recorder.current, "progress", Stops())
    with pytest.raises(KeyboardInterrupt):
        flow(heat, 60_000)
    recorder.current.finish()
    assert ended[0].run.ended == "interrupted" and ended[0].launches[0].ended is False


def test_what_is_recorded_of_a_deadlock(ended):
    for name in ("layout.csl", "pe.csl"):
        text = (ROOT / "docs/examples/heat" / name).read_text()
        Path(name).write_text(text.replace("@fmovs(out(to_west, west_out), point(1), .{ .async = true });", ""))
    compile.run(compile.Request(Path("layout.csl"), {"P": P, "N": N}, arch="wse3"))
    with pytest.raises(wse.DeadlockError) as caught:
        flow("out", 2)
    assert "color west[" in str(caught.value) and "@fmovs(point(N + 1), in(from_east, east_in)" in str(caught.value)
    recorder.current.finish()
    assert ended[0].run.ended == ended[0].device.failed == "deadlock" and not ended[0].stopped
    assert ended[0].device.error == str(caught.value)
    assert [(one.function, one.ended) for one in ended[0].launches] == [("flow", False)]
    assert ended[0].launches[0].totals.cycles > 0


def test_nothing_is_recorded_unless_something_is_asked_for(heat, monkeypatch):
    monkeypatch.setattr(recorder, "current", Recorder(max_cycles=10**6))
    assert flow(heat, 2)._recorded is None and recorder.current.count == 0
