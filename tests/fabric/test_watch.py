"""wse/fabric/watch.py: which events are traced, and a trace without a bound that lies on the disk."""

import os

import numpy as np
import pytest

import wse
from wse.fabric import fabric as fabric_module
from wse.fabric.run import EVENT
from wse.fabric.watch import Spool, Watch
from wse.kernels import RunOptions, load

GEMM = {"M": 12, "K": 12, "N": 12}


def run(watch=None, trace=10**6, **options):
    module = load("gemm")
    config = {name: parameter.default for name, parameter in module.PARAMETERS.items()} | GEMM
    return module.run(config, RunOptions(grid=(3, 3), trace=trace, watch=watch, **options)).run


@pytest.fixture(scope="module")
def whole():
    return run()


def test_a_spool_has_all_events_whatever_the_capacity(whole, tmp_path, monkeypatch):
    for most in (1, 50, 1 << 20):  # events of a part of the run
        monkeypatch.setattr(fabric_module, "_CHUNK_EVENTS", most)
        for threads in (1, 2):
            spooled = run(Watch(folder=tmp_path), trace=1, threads=threads)
            assert spooled == whole and spooled.events_dropped == 0  # the events, and all figures
    assert isinstance(spooled.events, np.memmap) and os.listdir(tmp_path) == []  # the file has no name
    spooled.save(tmp_path / "a.npz")
    assert wse.Run.load(tmp_path / "a.npz") == whole


def test_some_pes_and_cycles(whole, tmp_path):
    every = whole.events
    for folder in (None, tmp_path):
        chosen = run(Watch(100, 300, ((1, 0, 2, 1), (0, 2, 1, 1)), folder))
        wanted = np.isin(every["pe"], [1, 2, 6]) & (every["cycle"] >= 100) & (every["cycle"] < 300)
        assert 0 < wanted.sum() < len(every) and np.array_equal(chosen.events, every[wanted])
        assert (chosen.cycles, chosen.stalls) == (whole.cycles, whole.stalls)
    assert len(run(Watch(since=10**9, folder=tmp_path)).events) == 0


def test_what_finds_no_place_is_counted(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(fabric_module, "SPOOLED", 100)  # a part of the run may have more
    spooled = run(Watch(folder=tmp_path))
    assert spooled.events_dropped > 0 and len(spooled.events) + spooled.events_dropped == len(whole.events)


@pytest.mark.parametrize("pes", [(3, 0, 1, 1), (0, 2, 1, 2), (-1, 0, 1, 1), (0, 0, 0, 1)])
def test_pes_that_are_not_there(pes):
    with pytest.raises(wse.ConfigError, match="cannot be traced: the program has 3 x 3"):
        run(Watch(pes=(pes,)))


def test_without_a_trace_a_watch_does_nothing(tmp_path):
    assert run(Watch(5, 7, ((9, 9, 1, 1),), tmp_path), trace=0).events is None


def test_an_empty_spool(tmp_path):
    spool = Spool(tmp_path)
    assert len(spool.events()) == 0
    elsewhere = Spool(tmp_path / "nowhere")
    elsewhere.append(np.zeros(3, EVENT))
    assert len(elsewhere.events()) == 3
