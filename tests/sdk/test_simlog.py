"""sim.log with SIMFABRIC_DEBUG: tasks, operations and wavelets beside what PEs print."""

import re
from pathlib import Path

import numpy as np
import pytest

import wse
from wse.sdk import compile, simlog
from wse.sdk.region import SdkTarget, SimfabConfig, get_platform
from wse.sdk.runtime import SdkRuntime

LAYOUT = """
const memcpy = @import_module("<memcpy/get_params>", .{ .width = 2, .height = 1, .MEMCPYH2D_1 = 4 });
layout {
  @set_rectangle(2, 1);
  for (@range(u16, 2)) |x| @set_tile_code(x, 0, "pe.csl", .{ .memcpy_params = memcpy.get_params(x) });
}
"""
PE = """
param memcpy_params;
const sys = @import_module("<memcpy/memcpy>", memcpy_params);
const print = @import_module("<simprint>");
const in_q = @get_input_queue(2);
const id = if (@is_arch("wse2")) @get_data_task_id(@get_color(4)) else @get_data_task_id(in_q);
task come(value: u32) void { print.print_u32_decimal(value); print.print_string("\\n"); }
comptime { @bind_data_task(come, id); @initialize_queue(in_q, .{ .color = @get_color(4) }); }
"""


def log(arch: str, monkeypatch, name: str | None = None, value: str = "", **given) -> list[str]:
    """The lines of sim.log.  name, value: of an environment variable; given: options of SdkRuntime."""
    for variable in simlog.VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    if name is not None:
        monkeypatch.setenv(name, value)
    Path("layout.csl").write_text(LAYOUT)
    Path("pe.csl").write_text(PE)
    options = {"fabric_dims": (9, 3), "fabric_offsets": (4, 1), "memcpy": True}
    compile.run(compile.Request(Path("layout.csl"), arch=arch, **options))
    with SdkRuntime("out", **given) as runner:
        runner.memcpy_h2d(4, np.array([7], np.uint32), 1, 0, 1, 1, 1, streaming=True, nonblock=False)
    return (Path(simlog.NAME)).read_text().splitlines()


def test_suppressed_traces(monkeypatch):
    platform = get_platform(None, SimfabConfig(suppress_trace=True), SdkTarget.WSE3)
    lines = log("wse3", monkeypatch, "SIMFABRIC_DEBUG", "inst_trace,landing", platform=platform)
    assert [re.sub(r"@\d+", "@", line) for line in lines] == ["@ 7"]


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_what_is_traced(arch, monkeypatch):
    plain = log(arch, monkeypatch)
    assert [re.sub(r"@\d+", "@", line) for line in plain] == ["@ 7"]
    landing = log(arch, monkeypatch, "SIMFABRIC_DEBUG", "landing")
    assert len(landing) == 2 and re.fullmatch(r"@\d+ P5\.1: land  .*color 4.*  0x00000007", landing[0])
    assert landing[1] == plain[0]
    tasks = log(arch, monkeypatch, "SINGULARITYENV_SIMFABRIC_DEBUG", "inst_trace")
    assert not any("land" in line for line in tasks) and "@" + plain[0][1:] in tasks
    assert any(re.fullmatch(r"@\d+ P5\.1: task start  come.*", line) for line in tasks)
    both = log(arch, monkeypatch, "SIMFABRIC_DEBUG", "inst_trace, landing")
    assert sorted(both) == sorted({*landing, *tasks}), "in order of cycles"
    cycles = [int(re.match(r"@(\d+)", line)[1]) for line in both]
    assert cycles == sorted(cycles)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("router", "SIMFABRIC_DEBUG=router is not supported: wavelets are recorded where they arrive at a PE"),
        ("landing,all", "SIMFABRIC_DEBUG is a list of inst_trace, landing, not 'all'"),
    ],
)
def test_what_is_refused(value, words, monkeypatch):
    with pytest.raises(wse.ConfigError, match=words):
        log("wse3", monkeypatch, "SIMFABRIC_DEBUG", value)


def test_a_trace_that_is_full_says_so(monkeypatch):
    monkeypatch.setattr(simlog, "TRACED_EVENTS", 2)
    assert any(
        re.fullmatch(r"# \d+ more events: the trace was full", line)
        for line in log("wse3", monkeypatch, "SIMFABRIC_DEBUG", "landing,inst_trace")
    )
