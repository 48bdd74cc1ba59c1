"""SdkLayout end to end: own regions, painted and connected, with streams; and what it refuses.

Covers: wse/sdk/assembly.py, wse/sdk/geometry.py, wse/sdk/region.py
"""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import wse
from wse.sdk import assembly
from wse.sdk.geometry import IntRectangle, IntVector
from wse.sdk.layout import SdkLayout
from wse.sdk.region import (
    Color,
    Edge,
    Route,
    RoutingPosition,
    SdkTarget,
    SimfabConfig,
    get_edge_routing,
    get_platform,
    get_simulator,
    get_system,
)
from wse.sdk.runtime import SdkRuntime

targets = pytest.mark.parametrize("target", SdkTarget)
TO_RAMP = RoutingPosition().set_output([Route.RAMP])
FROM_RAMP = RoutingPosition().set_input([Route.RAMP])

# Adds `amount` to n words that come in, and passes them on.
ADD = """
param n: u16;
param amount: u16;
param rx: color;
param tx: color;
const iq = @get_input_queue(0);
const oq = @get_output_queue(0);
const from = @get_dsd(fabin_dsd, .{ .extent = n, .fabric_color = rx, .input_queue = iq });
const to = @get_dsd(fabout_dsd, .{ .extent = n, .fabric_color = tx, .output_queue = oq });
const main_id = @get_local_task_id(9);
task main() void { @add16(to, from, amount, .{ .async = true }); }
comptime {
  @bind_local_task(main, main_id);
  @activate(main_id);
  @initialize_queue(iq, .{ .color = rx });
  if (@is_arch("wse3")) @initialize_queue(oq, .{ .color = tx });
}
"""

# Keeps what it has; `got` is what comes in, if it takes something.
KEEP = """
param kind: u16 = 7;
param takes: bool = false;
param c: color = @get_color(0);
param scale: f32 = 1.0;
export var have = [2]u16{ 1, 2 };
export var seen: u16;
export var got = @zeros([4]u16);
const iq = @get_input_queue(1);
const from = @get_dsd(fabin_dsd, .{ .extent = 4, .fabric_color = c, .input_queue = iq });
const got_dsd = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> got[i] });
const main_id = @get_local_task_id(8);
task main() void {
  seen = kind * @as(u16, scale);
  if (takes) @mov16(got_dsd, from, .{ .async = true });
}
comptime {
  @bind_local_task(main, main_id);
  @activate(main_id);
  if (takes) @initialize_queue(iq, .{ .color = c });
}
"""

# Sends 10, 11, 12, 13.
SEND = """
param c: color;
var data = [4]u16{ 10, 11, 12, 13 };
const oq = @get_output_queue(1);
const to = @get_dsd(fabout_dsd, .{ .extent = 4, .fabric_color = c, .output_queue = oq });
const data_dsd = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> data[i] });
const main_id = @get_local_task_id(8);
task main() void { @mov16(to, data_dsd, .{ .async = true }); }
comptime {
  @bind_local_task(main, main_id);
  @activate(main_id);
  if (@is_arch("wse3")) @initialize_queue(oq, .{ .color = c });
}
"""


@pytest.fixture(autouse=True)
def _files(_in_a_directory):
    for name, text in (("add", ADD), ("keep", KEEP), ("send", SEND)):
        Path(f"{name}.csl").write_text(text)


def new(target=SdkTarget.WSE3) -> SdkLayout:
    return SdkLayout(get_platform(None, SimfabConfig(dump_core=True), target))


def run(layout: SdkLayout) -> SdkRuntime:
    runtime = SdkRuntime(layout.compile(out_prefix="out"), layout.platform, memcpy_required=False)
    runtime.load()
    runtime.run()
    return runtime


@targets
def test_params_and_symbols_of_pes(target):
    layout = new(target)
    code = layout.create_code_region("./keep.csl", "code", 3, 2)
    code.set_param_all("kind", 1)
    code.set_param_range(IntRectangle(IntVector(1, 0), dims=IntVector(2, 1)), "kind", 2)
    code.set_param(IntVector(2, 1), "kind", np.uint16(3))
    code.set_param(IntVector(2, 1), "scale", 2.0)
    code.set_symbol_all("have", np.arange(12, dtype=np.uint16), 6, 2)
    code.place(1, 2)
    runtime = run(layout)
    runtime.stop()
    seen = [[int(runtime.read_symbol(1 + x, 2 + y, "seen", "uint16")[0]) for x in range(3)] for y in range(2)]
    assert seen == [[1, 2, 2], [1, 1, 6]]
    matrix = np.arange(12).reshape(2, 6)
    for x, y in np.ndindex(3, 2):
        assert runtime.read_symbol(1 + x, 2 + y, "have", "uint16").tolist() == matrix[y, 2 * x : 2 * x + 2].tolist()
    with pytest.raises(wse.ProgramError, match=r"PE \(0, 0\) has no program"):
        runtime.read_symbol(0, 0, "seen")


def test_regions_of_one_file_keep_their_own_data():
    layout = new()
    for name, x in (("a", 0), ("b", 2)):
        layout.create_code_region("./keep.csl", name, 1, 1).place(x, 0)
    layout.regions[0].set_symbol_all("have", np.array([8, 9], np.uint16), 2, 1)
    runtime = run(layout)
    runtime.stop()
    assert [runtime.read_symbol(x, 0, "have", "uint16").tolist() for x in (0, 2)] == [[8, 9], [1, 2]]


@targets
def test_painted_routes(target):
    """A sender in the west, receivers to the east, the last by an edge routing."""
    layout = new(target)
    send = layout.create_code_region("./send.csl", "send", 1, 1)
    keep = layout.create_code_region("./keep.csl", "keep", 3, 1)
    send.place(0, 0)
    keep.place(1, 0)
    c = Color("c")
    send.set_param_all(c)
    send.paint(IntVector(0, 0), c, [RoutingPosition().set_input([Route.RAMP]).set_output([Route.EAST])])
    keep.set_param_all("c", c)
    keep.set_param_all("takes", True)
    through = RoutingPosition().set_input([Route.WEST]).set_output([Route.RAMP, Route.EAST])
    last = RoutingPosition().set_input([Route.WEST]).set_output([Route.RAMP])
    keep.paint_all(c, [through], [get_edge_routing(Edge.RIGHT, [last])])
    runtime = run(layout)
    runtime.stop()
    for x in (1, 2, 3):
        assert runtime.read_symbol(x, 0, "got", "uint16").tolist() == [10, 11, 12, 13]


def adder(layout: SdkLayout, name: str, amount: int, n: int, at: tuple[int, int], rx: Edge, tx: Edge, size=(1, 1)):
    region = layout.create_code_region("./add.csl", name, *size)
    region.set_param_all("n", n)
    region.set_param_all("amount", amount)
    into, out = region.color("rx"), region.color("tx")
    region.set_param_all(into)
    region.set_param_all(out)
    region.place(*at)
    pes = len(region.at_edge(rx))
    return (
        region.create_input_port(into, rx, [TO_RAMP], n * pes),
        region.create_output_port(out, tx, [FROM_RAMP], n * pes, "_out"),
    )


@targets
@pytest.mark.parametrize("places", [((3, 3), (6, 1)), ((1, 0), (0, 2)), ((0, 0), (1, 0)), ((5, 5), (3, 5))], ids=str)
def test_a_chain_between_streams(target, places):
    layout, n = new(target), 9
    first_in, first_out = adder(layout, "first", 1, n, places[0], Edge.LEFT, Edge.RIGHT)
    second_in, second_out = adder(layout, "second", 10, n, places[1], Edge.TOP, Edge.BOTTOM)
    layout.connect(second_in, first_out)  # in any order
    down, up = layout.create_input_stream(first_in), layout.create_output_stream(second_out)
    runtime = run(layout)
    data, got = np.arange(n, dtype=np.uint32), np.zeros(n, np.uint32)
    task = runtime.receive(up, got, n, nonblock=True)
    runtime.send(down, data[:4], nonblock=False)
    assert not runtime.is_task_done(task)
    runtime.send(down, data[4:], nonblock=True)
    runtime.task_wait(task)
    assert runtime.is_task_done(task) and np.array_equal(got, data + 11)
    runtime.stop()


@targets
def test_ports_of_several_pes(target):
    """Two columns of three PEs; their ends go to the host over three relays, as a stream is one router."""
    layout, n = new(target), 4
    left_in, left_out = adder(layout, "left", 1, n, (2, 1), Edge.LEFT, Edge.RIGHT, (1, 3))
    right_in, right_out = adder(layout, "right", 100, n, (4, 2), Edge.LEFT, Edge.RIGHT, (1, 3))
    layout.connect(left_out, right_in)
    with pytest.raises(wse.ConfigError, match="a stream goes through one router, but port rx of region left has 3"):
        layout.create_input_stream(left_in)
    with pytest.raises(wse.ConfigError, match="is connected to nothing"):
        layout.compile()
    assert right_out.pes == [IntVector(0, y) for y in range(3)]


def test_sixteen_bit_data_go_in_the_low_half():
    layout = new()
    into, out = adder(layout, "one", 5, 4, (1, 1), Edge.LEFT, Edge.RIGHT)
    down, up = layout.create_input_stream(into), layout.create_output_stream(out)
    runtime = run(layout)
    got = np.zeros(6, np.int16)
    runtime.send(down, np.array([-5, 0, 1, 2], np.int16), nonblock=True)
    runtime.receive(up, got, 4, nonblock=False)
    assert got.tolist() == [0, 5, 6, 7, 0, 0]
    with pytest.raises(wse.ConfigError, match="16 or 32 bits"):
        runtime.send(down, np.zeros(4, np.uint64), nonblock=True)
    with pytest.raises(wse.ConfigError, match="at least that many"):
        runtime.receive(up, got, 9, nonblock=True)
    with pytest.raises(
        wse.DeadlockError, match="receive of 4 wavelets from stream one__outtx does not end: 4 wavelets"
    ):
        runtime.receive(up, got, 4, nonblock=False)


# --- what is refused ------------------------------------------------------------------------------------------------------


def _region(layout: SdkLayout, name="a", w=2, h=1):
    return layout.create_code_region("./keep.csl", name, w, h)


@pytest.mark.parametrize(
    ("do", "words"),
    [
        (lambda s: (_region(s), _region(s)), "there is a region 'a' already"),
        (lambda s: _region(s, w=0), "has at least one PE, not 0 x 1"),
        (lambda s: s.create_code_region("./nothing.csl", "n", 1, 1), "there is no file ./nothing.csl"),
        (lambda s: _region(s).place(-1, 0), r"cannot be placed at \(-1, 0\)"),
        (lambda s: (_region(s).place(0, 0), _region(s, "b").place(1, 0), s.compile()), r"a and b overlap at PE \(1, 0\)"),
        (lambda s: s.compile(), "the layout has no region"),
        (lambda s: _region(s).set_param(IntVector(2, 0), "kind", 1), r"has 2 x 1 PEs: \(2, 0\) is none of them"),
        (lambda s: _region(s).set_param_all("kind"), "a param has a name and a value"),
        (lambda s: (_region(s).set_param_all("kind", [1]), s.compile()), r"is a number, a string or a Color, not \[1\]"),
        (lambda s: _region(s).set_param_range(IntRectangle(IntVector(1, 0), IntVector(1, 1)), "kind", 1), "no rectangle"),
        (lambda s: _region(s).set_symbol_all("have", np.zeros(5, np.int16), 5, 1), "are no 1 x 5 matrix that divides"),
        (lambda s: (_region(s).set_symbol_all("x", np.zeros(2, np.int16), 2, 1), s.compile()), "no exported array 'x'"),
        (lambda s: (_region(s).set_symbol_all("have", np.zeros(4, np.int32), 4, 1), s.compile()), "has 4 bytes, but is to be set to 8"),
        (lambda s: _region(s).paint_all(Color("c"), [TO_RAMP]), "needs an input and an output"),
        (lambda s: _region(s).create_input_port(Color("c"), Edge.LEFT, [FROM_RAMP], 1), "have no inputs"),
        (lambda s: _region(s).create_output_port(Color("c"), Edge.LEFT, [TO_RAMP], 1), "have no outputs"),
        (lambda s: _region(s).create_output_port(Color("c"), Edge.LEFT, [], 1), "at least one position"),
        (lambda s: s.connect(*adder(s, "x", 1, 2, (0, 0), Edge.LEFT, Edge.RIGHT)[:1] * 2), "are both input ports"),
        (
            lambda s: s.connect(
                adder(s, "x", 1, 2, (0, 0), Edge.LEFT, Edge.RIGHT)[1], adder(s, "y", 1, 3, (2, 0), Edge.LEFT, Edge.RIGHT)[0]
            ),
            "size 2, port rx of region y 1 and 3: both must agree",
        ),
        (lambda s: s.create_output_stream(adder(s, "x", 1, 2, (0, 0), Edge.LEFT, Edge.RIGHT)[0]), "needs a port of that kind"),
        (lambda s: [s.create_input_stream(adder(s, "x", 1, 2, (0, 0), Edge.LEFT, Edge.RIGHT)[0]), s.compile()], "_outtx of region x is connected to nothing"),
        (lambda s: RoutingPosition().set_input(["WEST"]), "routes are a list of Route.NORTH"),
        (lambda s: SdkLayout(None), "what get_platform returns"),
        (lambda s: get_platform("10.1.2.3:9000"), "there is no system"),
        (lambda s: get_platform(None, None, "wse9"), "target is SdkTarget.WSE2"),
    ],
)  # fmt: skip
def test_what_is_refused(do, words):
    with pytest.raises(wse.WseError, match=words):
        do(new())


def test_values_of_colors():
    layout = new()
    region = _region(layout, w=1)
    region.set_param_all("c", Color("a", 24))
    with pytest.raises(wse.ConfigError, match="color a cannot have the value 24 on wse3"):
        assembly.choose_colors(layout)
    layout = new()
    first, second = layout.create_code_region("add.csl", "one", 1, 1), layout.create_code_region("add.csl", "two", 1, 1)
    out = first.create_output_port(first.color("tx", 1), Edge.RIGHT, [FROM_RAMP], 4)
    layout.connect(out, second.create_input_port(second.color("rx", 2), Edge.LEFT, [TO_RAMP], 4))
    with pytest.raises(wse.ConfigError, match=r"have several values: \[1, 2\]"):
        assembly.choose_colors(layout)


def test_platforms():
    assert get_simulator(SimfabConfig(), SdkTarget.WSE2).is_simulation()
    assert not get_simulator().is_system()
    with pytest.raises(wse.ConfigError, match="there is no system"):
        get_system("10.1.2.3:9000")


def test_streams_by_name_and_number(capsys):
    layout = new()
    into, out = adder(layout, "one", 5, 4, (1, 1), Edge.LEFT, Edge.RIGHT)
    layout.create_input_stream(into), layout.create_output_stream(out)
    runtime = run(layout)
    got = np.zeros(4, np.uint32)
    runtime.send("rx", np.arange(9, dtype=np.uint32), 4, nonblock=True)
    runtime.receive(runtime.get_port_id("_outtx"), got, 4, nonblock=False)
    assert got.tolist() == [5, 6, 7, 8]
    runtime.report_port_infos()
    assert "one_rx: input, color 0, PE (0, 1), side W" in capsys.readouterr().out
    with pytest.raises(wse.ConfigError, match="no stream 'x': known: one__outtx, one_rx"):
        runtime.send("x", got)


def test_a_port_is_connected_once():
    layout = new()
    into, out = adder(layout, "x", 1, 2, (0, 0), Edge.LEFT, Edge.RIGHT)
    layout.connect(into, out)
    with pytest.raises(wse.ConfigError, match="port rx of region x is connected already"):
        layout.create_input_stream(into)


def test_errors_of_a_region_name_its_file():
    Path("bad.csl").write_text("param x: u16;\nvar y: u16 = x + nothing;\nexport var z: u16 = y;\n")
    layout = new()
    layout.create_code_region("./bad.csl", "bad", 1, 1).set_param_all("x", 1)
    with pytest.raises(wse.csl.syntax.errors.CslError, match=r"bad\.csl:2:"):
        layout.compile()


def test_switch_positions_as_csl():
    both = [("W", "R"), ("W", "E"), ("W", "R")]
    assert assembly.config(both, "c", (0, 0)) == (
        ".{ .routes = .{ .rx = .{WEST}, .tx = .{RAMP} }, "
        ".switches = .{ .pos1 = .{ .tx = EAST }, .pos2 = .{ .tx = RAMP } } }"
    )
    assert ".pos1 = .{ .rx = SOUTH }" in assembly.config([("R", "N"), ("S", "N")], "c", (0, 0))
    for positions in ([("R", "N"), ("S", "E")], [("R", "N"), ("R", "ES")]):
        with pytest.raises(wse.ProgramError, match="position 1 of a switch changes one side"):
            assembly.config(positions, "c", (3, 4))


@targets
def test_colors_with_switches_go_where_switches_are(target):
    layout = new(target)
    region = _region(layout, w=1)
    for i in range(10):
        region.set_param_all(Color(f"c{i}"))
    out = RoutingPosition().set_input([Route.RAMP]).set_output([Route.EAST])
    up = RoutingPosition().set_input([Route.RAMP]).set_output([Route.NORTH])
    for i in range(10, 14):
        region.paint_all(Color(f"c{i}"), [out, up])
    numbers = assembly.choose_colors(layout)
    machine = wse.Machine(target.value)
    assert len(set(numbers.values())) == 14
    assert all(machine.has_switch(numbers[Color(f"c{i}")]) for i in range(10, 14))
    region.set_param_all(Color("fixed", 11))
    region.set_param_all(Color("fixed2", 3))
    numbers = assembly.choose_colors(layout)
    assert (numbers[Color("fixed", 11)], numbers[Color("fixed2", 3)]) == (11, 3)
    assert len(set(numbers.values())) == 16
    for i in range(14, 26):
        region.set_param_all(Color(f"c{i}"))
    with pytest.raises(wse.ProgramError, match="needs more colors"):
        assembly.choose_colors(layout)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(SdkTarget),
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=6, unique=True),
    st.lists(st.sampled_from(Edge), min_size=12, max_size=12),
)
def test_chains_through_any_places(target, places, edges):
    """Regions anywhere, ports at any edge: what is sent comes through all of them."""
    layout, n = new(target), 5
    ports = [adder(layout, f"r{i}", 1 << i, n, place, edges[2 * i], edges[2 * i + 1]) for i, place in enumerate(places)]
    for (_, out), (into, _) in pairwise(ports):
        layout.connect(out, into)
    down, up = layout.create_input_stream(ports[0][0]), layout.create_output_stream(ports[-1][1])
    runtime = run(layout)
    got = np.zeros(n, np.uint32)
    runtime.send(down, np.arange(n, dtype=np.uint32), nonblock=True)
    runtime.receive(up, got, n, nonblock=True)
    runtime.stop()
    assert got.tolist() == [i + (1 << len(places)) - 1 for i in range(n)]
