"""Streams of an SdkLayout: places, buffers, files, names across processes; stacking; the arguments of compile."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sdk.test_layout import ADD, FROM_RAMP, KEEP, TO_RAMP, adder, new, run, targets

import wse
from wse.sdk.geometry import IntRectangle, IntVector
from wse.sdk.layout import SdkCompileArtifacts, SdkLayout
from wse.sdk.region import FP16TYPE, Color, Edge, Route, RoutingPosition, SdkTarget
from wse.sdk.runtime import SdkRuntime

# The forms of SDK 2.10: numbers of colors.
ADD_NUMBERS = (
    ADD.replace("param rx: color;", "param rx: u16;")
    .replace("param tx: color;", "param tx: i16;")
    .replace("= rx", "= @get_color(rx)")
    .replace("= tx", "= @get_color(tx)")
)


@pytest.fixture(autouse=True)
def _files(_in_a_directory):
    Path("add.csl").write_text(ADD)
    Path("keep.csl").write_text(KEEP)


def chain(layout: SdkLayout, n: int = 4, at=(3, 2), **options) -> tuple[str, str]:
    """One PE that adds 5; returns the names of its streams."""
    into, out = adder(layout, "one", 5, n, at, Edge.LEFT, Edge.RIGHT)
    return layout.create_input_stream(into, **options), layout.create_output_stream(out)


@targets
@pytest.mark.parametrize("text", [ADD, ADD_NUMBERS], ids=["colors", "numbers"])
def test_names_and_forms(text, target):
    Path("add.csl").write_text(text)
    layout = new(target)
    names = chain(layout)
    assert names == ("one_rx", "one__outtx")
    runtime, got = run(layout), np.zeros(4, np.uint32)
    assert [runtime.get_port_id(name) for name in names] == [0, 1]
    runtime.send(names[0], np.arange(4, dtype=np.uint32), nonblock=True)
    runtime.receive(names[1], got, 4, nonblock=False)
    runtime.stop()
    assert got.tolist() == [5, 6, 7, 8]


def test_another_process_runs_what_was_compiled():
    chain(new_layout := new())
    artifacts = new_layout.compile("made", save_port_map=True)
    assert str(artifacts.directory) == "made"
    ports = json.loads(Path("made/port_map.json").read_text())
    assert ports["one_rx"]["out"] is False and ports["one__outtx"]["out"] is True
    assert set(ports["one_rx"]) == {"short", "color", "side", "x", "y", "out", "buffer"}
    code = (
        "import numpy as np\nfrom wse.sdk.runtime import SdkRuntime\nfrom wse.sdk.layout import SdkCompileArtifacts\n"
        "r = SdkRuntime(SdkCompileArtifacts('made'), memcpy_required=False)\nr.load(); r.run()\n"
        "got = np.zeros(4, np.uint32)\nr.send('one_rx', np.arange(4, dtype=np.uint32))\n"
        "r.receive('one__outtx', got, 4)\nr.stop()\nprint(got.tolist())"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[5, 6, 7, 8]\n", done.stderr
    new_layout.compile("plain")
    assert not Path("plain/port_map.json").exists()


@targets
@pytest.mark.parametrize("gate", [(0, 0), (5, 0), (9, 6), (2, 2)], ids=str)
def test_a_stream_by_a_given_place(gate, target):
    layout = new(target)
    names = chain(layout, io_loc=IntVector(*gate))
    runtime, got = run(layout), np.zeros(4, np.uint32)
    color = runtime.artifact.ports[0].color
    plane, configs = runtime.artifact.routes[color]
    assert configs[plane[gate[1], gate[0]]].rx, "the way goes by the place"
    runtime.send(names[0], np.arange(4, dtype=np.uint32), nonblock=True)
    runtime.receive(names[1], got, 4, nonblock=False)
    assert got.tolist() == [5, 6, 7, 8]
    runtime.stop()


@targets
@pytest.mark.parametrize("painted", [True, False])
def test_streams_from_places(painted, target):
    layout, n = new(target), 3
    region = layout.create_code_region("./add.csl", "one", 1, 1)
    region.place(2, 1)
    rx, tx = region.color("rx"), Color("tx", 5)
    for color in (rx, tx):
        region.set_param_all(color)
    region.set_param_all("n", n)
    region.set_param_all("amount", 1)
    if painted:
        region.paint_all(rx, [RoutingPosition().set_input([Route.NORTH]).set_output([Route.RAMP])])
        region.paint_all(tx, [RoutingPosition().set_input([Route.RAMP]).set_output([Route.EAST])])
    down = layout.create_input_stream_from_loc(IntVector(2, 1), rx)
    up = layout.create_output_stream_from_loc(IntVector(2, 1), tx, "x_")
    assert (down, up) == ("one_rx", "x_tx")
    runtime, got = run(layout), np.zeros(n, np.uint32)
    here = [
        configs[plane[1, 2]] for plane, configs in (runtime.artifact.routes[p.color] for p in runtime.artifact.ports)
    ]
    assert [(c.rx, c.tx) for c in here] == ([("N", "R"), ("R", "E")] if painted else [("W", "R"), ("R", "W")])
    runtime.send(down, np.arange(n, dtype=np.uint32), nonblock=True)
    runtime.receive(up, got, n, nonblock=False)
    runtime.stop()
    assert got.tolist() == [1, 2, 3]


def test_buffers_hold_what_is_sent_and_received_ahead():
    """A hundred rounds that the host sends before it asks for the first result: they wait in the buffers of the streams."""
    forever = ADD.replace("{ .async = true }", "{ .async = true, .activate = main_id }")
    Path("add.csl").write_text(forever)
    data = np.arange(400, dtype=np.uint32)

    def ahead(size: int) -> list[int]:
        layout = new()
        into, out = adder(layout, "one", 5, 4, (1, 1), Edge.LEFT, Edge.RIGHT)
        down = layout.create_input_stream(into, io_buffer_size=size)
        up = layout.create_output_stream(out, io_buffer_size=size)
        runtime, got = run(layout), np.zeros(400, np.uint32)
        for i in range(0, 400, 4):
            runtime.send(down, data[i : i + 4], nonblock=False)
        runtime.receive(up, got, 400, nonblock=False)
        runtime.stop()
        return got.tolist()

    assert ahead(400) == (data + 5).tolist()
    with pytest.raises(wse.DeadlockError, match="send of 4 wavelets to stream one_rx does not end"):
        ahead(1)


def test_what_the_program_does_not_take_is_noted(capsys):
    layout = new()
    down, up = chain(layout)
    runtime, got = run(layout), np.zeros(4, np.uint32)
    runtime.send(down, np.arange(40, dtype=np.uint32), nonblock=False)
    runtime.receive(up, got, 4, nonblock=False)
    runtime.stop()
    assert "note: the program did not take" in capsys.readouterr().err


@pytest.mark.parametrize("nonblock", [False, True])
def test_a_file_gets_what_leaves(nonblock):
    forever = ADD.replace("{ .async = true }", "{ .async = true, .activate = main_id }")
    Path("add.csl").write_text(forever)
    layout = new()
    down, up = chain(layout)
    runtime, got = run(layout), np.zeros(4, np.uint32)
    data = np.arange(10_000, dtype=np.uint32)
    runtime.send(down, data[:4], nonblock=True)
    runtime.receive(up, got, 4, nonblock=False)
    if nonblock:
        task = runtime.receive_tofile(up, "made.bin", nonblock=True)
        runtime.send(down, data[4:], nonblock=False)
        assert not runtime.is_task_done(task)
        with pytest.raises(wse.ConfigError, match=r"everything that leaves there is written to made\.bin"):
            runtime.receive(up, got, 4)
    else:
        runtime.send(down, data[4:], nonblock=True)
        task = runtime.receive_tofile(up, Path("made.bin"))
        assert runtime.is_task_done(task)
        assert Path("made.bin").stat().st_size == 4 * (data.size - 4)
    runtime.stop()
    assert runtime.is_task_done(task)
    assert np.array_equal(np.fromfile("made.bin", "<u4"), data[4:] + 5)


def test_stacks():
    layout = new()
    a, b, c = (
        layout.create_code_region("./keep.csl", name, w, h) for name, w, h in (("a", 2, 1), ("b", 3, 2), ("c", 1, 4))
    )
    assert layout.hstack([a, b, c]) == 6
    assert [tuple(r.origin) for r in (a, b, c)] == [(0, 0), (2, 0), (5, 0)]
    a.place(4, 1)
    assert layout.vstack([a, b, c]) == 7
    assert [tuple(r.origin) for r in (a, b, c)] == [(4, 1), (4, 2), (4, 4)]
    assert layout.hstack([c, a], IntVector(10, 3)) == 3
    assert [tuple(r.origin) for r in (c, a)] == [(10, 3), (11, 3)]


def test_colors_and_positions_tell_what_they_are():
    layout = new()
    region = layout.create_code_region("./keep.csl", "code", 1, 1)
    own, fixed = region.color("c"), region.color("d", 7)
    assert (own.get_global_name(), own.get_local_param_name(), own.get_value()) == ("code_c", "c", None)
    assert (fixed.get_global_name(), fixed.get_value(), Color("e").get_global_name()) == ("code_d", 7, "e")
    position = RoutingPosition().set_input([Route.RAMP]).add_input(Route.WEST)
    position.add_output(Route.EAST)
    assert position.get_input() == [Route.RAMP, Route.WEST] and position.get_output() == [Route.EAST]


def test_rectangles():
    corner = IntVector(1, 2)
    assert IntRectangle(corner, IntVector(3, 3)) == IntRectangle(corner, dims=IntVector(2, 1))
    assert list(IntRectangle(origin=corner, dims=IntVector(1, 2))) == [IntVector(1, 2), IntVector(1, 3)]
    for wrong in (
        lambda: IntRectangle(corner),
        lambda: IntRectangle(corner, corner, dims=corner),
        lambda: IntRectangle(corner, 3),
    ):
        with pytest.raises(wse.ConfigError, match="IntRectangle takes two"):
            wrong()


def test_compile_looks_in_libs_and_takes_a_format():
    Path("more").mkdir()
    Path("more/seven.csl").write_text("const seven: u16 = 7;")
    Path("keep.csl").write_text('export var seen: u16 = @import_module("seven.csl").seven;')
    layout = new()
    layout.create_code_region("./keep.csl", "code", 1, 1)
    with pytest.raises(wse.csl.syntax.errors.CslError, match=r"seven\.csl"):
        layout.compile("out")
    artifacts = layout.compile("out", libs=["more"], f16_type=FP16TYPE.BF16)
    runtime = SdkRuntime(artifacts, layout.platform, memcpy_required=False)
    assert runtime.artifact.fp16 == "bf16"
    with pytest.raises(wse.ConfigError, match="cslc_prefix='/opt/sdk' names another compiler"):
        layout.compile("out", cslc_prefix="/opt/sdk")
    assert SdkLayout(SdkTarget.WSE2).platform.target is SdkTarget.WSE2


@pytest.mark.parametrize(
    ("do", "words"),
    [
        (lambda s: chain(s, io_loc=IntVector(3, 2)) and s.compile(), r"io_loc \(3, 2\) of the stream of port rx of region one is a PE of region one"),
        (lambda s: chain(s, io_loc=IntVector(-1, 2)), "io_loc of a stream is the IntVector of a PE"),
        (lambda s: chain(s, io_loc=(0, 0)), "io_loc of a stream is the IntVector of a PE"),
        (lambda s: chain(s, io_buffer_size=0), "io_buffer_size is an integer from 1 to"),
        (lambda s: s.create_input_stream("rx"), "needs the port that create_input_port returned"),
        (lambda s: (chain(s), s.create_input_stream_from_loc(IntVector(9, 9), Color("c")), s.compile()), r"at PE \(9, 9\), where there is no region"),
        (lambda s: (chain(s), s.create_input_stream_from_loc(IntVector(3, 2), Color("one_rx"))), "has a stream 'one_rx' already: give it another prefix"),
        (lambda s: s.create_output_stream_from_loc((3, 2), Color("c")), "has an IntVector and a Color"),
        (lambda s: s.hstack([]), "hstack takes a list of code regions"),
        (lambda s: s.vstack([s.create_code_region("./keep.csl", "a", 1, 1)], (0, 0)), "the origin of vstack is an IntVector"),
        (lambda s: s.compile(f16_type="bf16"), "f16_type is FP16TYPE.F16, BF16 or CB16"),
        (lambda s: s.compile(libs="more"), "libs is a list of directories"),
        (lambda s: SdkLayout("fabric.json"), r"a fabric file \(fabric.json\) is not supported"),
        (lambda s: SdkLayout(s.platform, msg_level="loud"), "msg_level is one of DEBUG, INFO, WARNING, ERROR"),
        (lambda s: s.create_code_region("./keep.csl", "a", 1, 1).set_symbol_all("have", np.zeros(2), 2, 1), "are of type float64: int16"),
        (lambda s: Color("c", "3"), "the value of color c is its number"),
        (lambda s: Color(""), "a color has a name"),
    ],
)  # fmt: skip
def test_what_is_refused(do, words):
    with pytest.raises(wse.WseError, match=words):
        do(new())


def test_ports_of_a_region_have_names_of_their_own():
    region = new().create_code_region("./keep.csl", "a", 1, 1)
    c = Color("c")
    region.create_input_port(c, Edge.LEFT, [TO_RAMP], 1)
    region.create_output_port(c, Edge.LEFT, [FROM_RAMP], 1, "out_")
    with pytest.raises(wse.ConfigError, match="region a has a port c already: give it another prefix"):
        region.create_input_port(c, Edge.TOP, [TO_RAMP], 1)


@pytest.mark.parametrize(
    ("do", "words"),
    [
        (lambda r, a: r.send("one__outtx", a), "send: one__outtx is an output stream"),
        (lambda r, a: r.receive("one_rx", a, 4), "receive: one_rx is an input stream"),
        (lambda r, a: r.send("one_r", a), "no stream 'one_r': did you mean one_rx?"),
        (lambda r, a: r.send(7, a), "no stream 7"),
        (lambda r, a: r.send(None, a), "a stream is given by its name or its number"),
        (lambda r, a: r.send("one_rx", a, 5), "send of 5 wavelets to one_rx: the array has 4 elements"),
        (lambda r, a: r.send("one_rx", a, -1), "n_wavelets of send is at least 0"),
        (lambda r, a: r.receive("one__outtx", a, "4"), "n_wavelets of receive is an integer"),
        (lambda r, a: r.receive("one__outtx", a.astype(np.complex64), 4), "elements of 16 or 32 bits, not complex64"),
        (lambda r, a: r.receive("one__outtx", np.broadcast_to(a[:1], 4), 4), "a contiguous array"),
        (lambda r, a: r.receive_tofile("one__outtx", "no/where.bin"), "no/where.bin cannot be written"),
    ],
)  # fmt: skip
def test_what_streams_refuse(do, words):
    layout = new()
    chain(layout)
    with pytest.raises(wse.ConfigError, match=words):
        do(run(layout), np.zeros(4, np.uint32))


def test_artifacts_are_a_path():
    assert Path(SdkCompileArtifacts("made")) == Path("made")
