"""The time that a host's launches and copies take on the fabric."""

from __future__ import annotations

import numpy as np
import pytest
from csl import running

from wse.machine.parameters import Machine
from wse.sdk.commands import SETTLE_CYCLES, Commands
from wse.sdk.windows import LAUNCH_SECONDS, Copy, Windows

STAMPS = """
const timestamp = @import_module("<time>");
export var begin = @zeros([3]u16);
export var end = @zeros([3]u16);
fn tic() void { timestamp.enable_tsc(); timestamp.get_timestamp(&begin); }
fn toc() void { timestamp.get_timestamp(&end); }
fn nothing() void {}
comptime { @export_symbol(tic); @export_symbol(toc); @export_symbol(nothing); }
"""

RESTLESS = """
const again: local_task_id = @get_local_task_id(9);
export var count = @zeros([1]u32);
fn main() void { @activate(again); }
task run() void { count[0] += 1; @activate(again); }
comptime { @bind_local_task(run, again); @export_symbol(main); }
"""


def commands_of(folder, text: str) -> Commands:
    return Commands(running.device(folder, text, "wse3"))


def window(folder, between) -> int:
    """Cycles between two time stamps, with what `between` has the host do."""
    commands = commands_of(folder, STAMPS)
    for step in ("tic", between, "toc"):
        if callable(step):
            step(commands)
        else:
            commands.launch(step, ())
            commands.run()
            commands._launches.clear()  # these functions release no command stream
    words = [running.read(commands.device, name).astype(int) for name in ("begin", "end")]
    first, last = (int((stamp * [1, 1 << 16, 1 << 32]).sum()) for stamp in words)
    return last - first


def test_a_launch_takes_its_cycles(tmp_path):
    machine = Machine("wse3")
    one = window(tmp_path / "one", lambda commands: None)
    two = window(
        tmp_path / "two", lambda commands: (commands.launch("nothing", ()), commands.run(), commands._launches.clear())
    )
    assert one >= machine.launch_cycles
    assert two - one >= machine.launch_cycles


@pytest.mark.parametrize("to_device", [True, False])
@pytest.mark.parametrize("words", [0, 1, 1000])
def test_a_copy_takes_its_cycles(tmp_path, to_device, words):
    copy = Copy(to_device, 1, words)
    without = window(tmp_path / "without", lambda commands: None)
    with_copy = window(tmp_path / "with", lambda commands: commands.settle("a copy", copy))
    assert with_copy - without == Windows(Machine("wse3")).copy(copy)


def test_a_copy_is_longer_with_more_words_and_pes_and_shorter_with_channels():
    def cycles(to_device, pes, words, channels=1):
        return Windows(Machine("wse3"), channels).copy(Copy(to_device, pes, words))

    for to_device in (True, False):
        assert cycles(to_device, 1, 1) < cycles(to_device, 16, 16) < cycles(to_device, 16, 1600)
        assert cycles(to_device, 16, 1600, channels=4) < cycles(to_device, 16, 1600)
    assert cycles(True, 16, 16000) - cycles(True, 16, 0) == pytest.approx(16000 / 0.868, abs=1)  # WANG


def test_a_program_that_never_rests_does_not_hold_up_a_copy(tmp_path):
    commands = commands_of(tmp_path, RESTLESS)
    commands.device.launch("main", ())
    before = commands.device.cycle
    commands.settle("a copy", Copy(True, 1, 10**9))
    assert commands.device.cycle - before == 2 * SETTLE_CYCLES
    assert running.read(commands.device, "count")[0] > 1000


def test_wavelets_that_wait_are_kept_over_a_long_rest(tmp_path):
    """What waits in routers and queues keeps its order and its counts when billions of cycles pass."""
    text = """
const c = @get_color(4);
const oq = @get_output_queue(2);
const iq = @get_input_queue(2);
export var data = @zeros([12]u32);
const all = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{12} -> data[i] });
const in = @get_dsd(fabin_dsd, .{ .extent = 12, .fabric_color = c, .input_queue = iq });
const out = @get_dsd(fabout_dsd, .{ .extent = 12, .fabric_color = c, .output_queue = oq });
fn send() void {
  for (@range(u16, 12)) |i| { data[i] = i + 1; }
  @mov32(out, all, .{ .async = true });
}
fn take() void { @mov32(all, 0); @mov32(all, in); }
comptime {
  @set_local_color_config(c, .{ .routes = .{ .rx = .{ RAMP }, .tx = .{ RAMP } } });
  @initialize_queue(oq, .{ .color = c });
  @initialize_queue(iq, .{ .color = c });
  @export_symbol(send); @export_symbol(take);
}
"""
    commands = commands_of(tmp_path, text)
    commands.device.launch("send", ())
    commands.device.run()
    for cycles in (1 << 29, 1 << 30, 1 << 31, 1 << 33, 5):
        start = commands.device.cycle
        commands.pass_time(cycles)
        assert commands.device.cycle == start + cycles
    commands.device.launch("take", ())
    commands.device.run()
    assert np.array_equal(running.read(commands.device, "data"), np.arange(1, 13))


def test_seconds_of_a_system_are_an_estimate_beside_the_cycles():
    windows = Windows(Machine("wse3"))
    windows.launch()
    assert windows.seconds == LAUNCH_SECONDS
    windows.copy(Copy(True, 1, 10**6))
    assert 4e-3 < windows.seconds < 6e-3
    assert str(windows) == "1 launch and 1 copy by the host, for which a CS-3 takes about 4.87 ms"
