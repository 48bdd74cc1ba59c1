"""SimfabConfig, platforms, and the options of SdkRuntime: threads, cores, messages, the end of a run.

Covers: wse/sdk/messages.py
"""

from pathlib import Path

import numpy as np
import pytest
from sdk.test_layout import KEEP, new
from sdk.test_runtime import ADDER, adder, start
from sdk.test_script import cs_python

import wse
from wse.sdk.recorder import Recorder
from wse.sdk.region import SdkTarget, SimfabConfig, get_platform
from wse.sdk.runtime import SdkRuntime


def platform(**options):
    return get_platform(None, SimfabConfig(**options), SdkTarget.WSE3)


@pytest.mark.parametrize(("name", "written"), [(None, "out.core"), ("other.core", "other.core"), (Path("p"), "p")])
def test_a_core_when_the_run_ends(name, written):
    runner = start(adder("wse3"), **ADDER, platform=platform(dump_core=True, core_path=name))
    runner.memcpy_h2d(runner.get_id("data"), np.full(4, 7, np.uint32), 1, 1, 1, 1, 4)
    assert not Path(written).exists()
    runner.stop()
    assert 7 in np.load(written)["memory"]


def test_no_core_without_being_asked():
    start(adder("wse3"), **ADDER, platform=platform()).stop()
    assert not Path("out.core").exists()


@pytest.mark.parametrize(
    ("options", "threads"),
    [
        ({}, None),
        ({"platform": platform(num_threads=3)}, 3),
        ({"simfab_numthreads": 2}, 2),
        ({"platform": platform(num_threads=3), "simfab_numthreads": np.int64(2)}, 2),
    ],
)
def test_threads_reach_the_fabric(options, threads, monkeypatch):
    seen = []
    fabric = Recorder.fabric

    def note(*a, threads, **b):
        seen.append(threads)
        return fabric(*a, threads=threads, **b)

    monkeypatch.setattr(Recorder, "fabric", staticmethod(note))
    start(adder("wse3"), **ADDER, **options)
    assert seen == [threads or 1]


@pytest.mark.parametrize("number", [0, 65, "4", True, 1.5])
def test_numbers_of_threads_that_are_refused(number):
    with pytest.raises(wse.ConfigError, match="num_threads is an integer from 1 to 64"):
        SimfabConfig(num_threads=number)
    with pytest.raises(wse.ConfigError, match="simfab_numthreads is an integer from 1 to 64"):
        start(adder("wse3"), **ADDER, simfab_numthreads=number)


def test_a_platform_of_the_other_machine_is_refused():
    with pytest.raises(wse.ConfigError, match="out was compiled for wse2, but the platform is wse3"):
        start(adder("wse2"), **ADDER, platform=platform())
    with pytest.raises(wse.ConfigError, match="platform is what get_platform returns"):
        start(adder("wse3"), **ADDER, platform=SdkTarget.WSE3)
    with pytest.raises(wse.ConfigError, match="config is a SimfabConfig"):
        get_platform(None, {"num_threads": 3})


@pytest.mark.parametrize(("level", "lines"), [("DEBUG", 3), ("INFO", 2), ("WARNING", 0), ("ERROR", 0)])
def test_levels_of_messages(level, lines, capsys):
    runner = start(adder("wse3"), **ADDER, msg_level=level)
    runner.launch("add", np.float32(1))
    runner.stop()
    said = capsys.readouterr().err.splitlines()
    assert len(said) == lines
    if level == "DEBUG":
        assert said[0] == "info: out: 3 x 2 PEs of wse3 loaded"
        assert said[1] == f"debug: launch of add at cycle {wse.Machine('wse3').launch_cycles}"
        assert said[2].startswith("info: out: stopped after")


def test_levels_that_are_refused_and_notes_that_are_hidden(capsys):
    with pytest.raises(wse.ConfigError, match="msg_level is one of DEBUG, INFO, WARNING, ERROR, not 'info'"):
        start(adder("wse3"), **ADDER, msg_level="info")
    with pytest.raises(TypeError, match="SdkRuntime has no option worker: its options are cmaddr"):
        start(adder("wse3"), **ADDER, worker=1)
    start(adder("wse3"), **ADDER, suppress_simfab_trace=False, msg_level="INFO").stop()
    assert "the emulator writes no simfab_traces" in capsys.readouterr().err


def test_a_runtime_is_loaded_and_run_once():
    runner = start(adder("wse3"), **ADDER)
    with pytest.raises(wse.ConfigError, match="out is loaded already"):
        runner.load()
    runner.stop()
    with pytest.raises(wse.ConfigError, match="make another SdkRuntime"):
        runner.run()


def test_several_runtimes_in_a_process():
    first, second = start(adder("wse3"), "a", **ADDER), start(adder("wse2"), "b", **ADDER)
    for runner, value in ((first, 1), (second, 2), (first, 3)):
        runner.memcpy_h2d(runner.get_id("data"), np.full(4, value, np.uint32), 0, 0, 1, 1, 4)
    got = [np.zeros(4, np.uint32) for _ in range(2)]
    for runner, into in zip((first, second), got, strict=True):
        runner.memcpy_d2h(into, runner.get_id("data"), 0, 0, 1, 1, 4)
        runner.stop()
    assert [into.tolist() for into in got] == [[3] * 4, [2] * 4]
    again = SdkRuntime("a")
    again.load()
    again.run()
    again.memcpy_d2h(got[0], again.get_id("data"), 0, 0, 1, 1, 4)
    again.stop()
    assert got[0].tolist() == [0] * 4


def test_a_run_without_stop_is_an_error_of_the_program(tmp_path):
    Path("keep.csl").write_text(KEEP)
    layout = new()
    layout.create_code_region("./keep.csl", "code", 1, 1)
    layout.compile("out")
    text = (
        "from cerebras.sdk.runtime.sdkruntimepybind import SdkRuntime\n"
        "r = SdkRuntime('out', memcpy_required=False)\nr.load()\nr.run()\n"
    )
    for more, said in (("", "error: the run of out was not ended: call SdkRuntime.stop()\n"), ("r.stop()", "")):
        Path("run.py").write_text(text + more)
        assert cs_python("run.py").stderr == said
    Path("run.py").write_text(text + "1 / 0")
    assert "was not ended" not in cs_python("run.py").stderr
