"""The router against a slow model of it on random fabrics, and case by case.

Covers: csrc/router/router.c, csrc/router/router_avx2.c, csrc/router/router_avx512.c, csrc/router/buffer.c,
    csrc/router/switch.c
"""

from fractions import Fraction

import numpy as np
import pytest
from engine import router_model as rm
from engine.router_model import ADVANCE, NOP, RESET, TEARDOWN, Route, Wavelet, control_word
from engine.scenes import Read, Scene, Send, scenes
from harness import ARCHS, EVENT, WEST, fabin, fabout, mem, run
from hypothesis import given, settings
from hypothesis import strategies as st

import wse

CYCLES = 600
archs = pytest.mark.parametrize("arch", ARCHS)


class Outcome:
    """What a scene did on the engine, in the model's terms."""

    def __init__(self, scene: Scene, cycles: int = CYCLES, **options):
        self.fabric, streams = scene.fabric(**{"trace": 20_000} | options)
        self.fault = None
        try:
            self.run = self.fabric.run(max_cycles=cycles, on_deadlock="return")
        except wse.FabricFault as error:
            self.run, self.fault = error.run, (error.kind, error.x, error.y, error.color, error.cycle)
        self.left = {
            where: list(zip(s.cycles.tolist(), s.data.tolist(), s.control.tolist(), strict=True))
            for where, s in streams.items()
        }
        landings = self.run.events[self.run.events["kind"] == EVENT["LAND"]].tolist()
        w = scene.width
        self.landed = [(cycle, (pe % w, pe // w), a & 31, b, bool(a & 32)) for cycle, pe, _, a, b in landings]


def agree(scene: Scene, cycles: int = CYCLES, **options) -> Outcome:
    """Runs the scene on the engine and on the model: the same wavelets, in the same order and cycles."""
    got, model, fault = Outcome(scene, cycles, **options), scene.model(), None
    try:
        model.run(cycles)
    except rm.FaultRaised as raised:
        fault = raised.args
    assert got.fault == fault
    if fault:
        return got
    assert got.left == model.left
    assert sorted(got.landed) == sorted(model.landed)
    for i, port in enumerate(rm.PORTS):
        for counted, plane in ((model.links, got.run.links[i]), (model.waited, got.run.blocked[i])):
            expected = {place: n for (to, place), n in counted.items() if to == port and n}
            assert {(x, y): plane[y, x] for y, x in np.argwhere(plane).tolist()} == expected, port
    for place in scene.places:
        for q, op in model.pes[place].threads.items():
            if isinstance(op.source, int) and op.queue is None and q != rm.MAIN:
                expected = op.got + [0] * (op.n - len(op.got))
                assert got.fabric.read(f"got{q}", *place, 1, 1).ravel().tolist() == expected
    return got


@settings(max_examples=80)
@given(scenes(), st.integers(1, 3), st.sampled_from([False, True, "avx2"]))
def test_random_fabrics(scene, threads, portable):
    got = agree(scene, threads=threads, portable=portable)
    for (_, _, color), passed in got.left.items():
        sources = [where for where in scene.inputs if where[2] == color]
        sources += [op for ops in scene.programs.values() for op in ops if isinstance(op, Send) and op.color == color]
        if len(sources) == 1 and not (isinstance(sources[0], Send) and sources[0].relays is not None):
            data = [word for _, word, control in passed if not control]
            assert data == sorted(set(data)), "a wavelet came twice, or out of order"


# --- latencies ----------------------------------------------------------------------------------------------------------


def line(machine, length: int, port: str = "W", color: int = 0, n: int = 1, words=None, **route) -> Scene:
    """A color that enters a line of routers from `port`, goes straight through all of them and leaves."""
    out = rm.OPPOSITE[port]
    dx, dy = (abs(step) for step in rm.STEP[port])
    scene = Scene(1 + dx * (length - 1), 1 + dy * (length - 1), wse.Machine.of(machine))
    places = [(i * dx, i * dy) for i in range(length)]
    for place in places:
        scene.routes[place, color] = Route([(port, out)], **route)
    if port in "ES":
        places.reverse()
    traffic = [Wavelet(i) for i in range(n)] if words is None else words
    scene.inputs[places[0], port, color] = traffic, Fraction(1)
    scene.outputs[places[-1], out, color] = 1000, Fraction(1)
    return scene


@archs
@pytest.mark.parametrize("port", "NESW")
@pytest.mark.parametrize("hops", [1, 2, 7])
def test_each_hop_takes_hop_cycles(arch, port, hops):
    scene = line(arch, hops, port)
    ((cycle, data, control),) = next(iter(agree(scene).left.values()))
    assert (cycle, data, control) == ({"wse2": 1, "wse3": 2}[arch] * hops, 0, False)


@archs
def test_a_stream_passes_one_wavelet_a_cycle(arch):
    passed = next(iter(agree(line(arch, 5, n=100)).left.values()))
    assert [data for _, data, _ in passed] == list(range(100))
    assert [cycle - passed[0][0] for cycle, _, _ in passed] == list(range(100))


def test_on_silicon_a_link_rests_after_eight_wavelets():
    passed = next(iter(agree(line(wse.Machine("wse3", "silicon"), 3, n=27)).left.values()))
    assert [cycle - passed[0][0] for cycle, _, _ in passed] == [i + i // 8 for i in range(27)]


def test_a_link_that_was_idle_for_256_cycles_has_rested():
    # eight wavelets of one color, then one of another after every gap around 256 cycles
    machine = wse.Machine("wse3", "silicon")
    for gap in range(248, 262):
        scene = line(machine, 1, n=8)
        other = line(machine, 1, color=1, n=2)
        scene.routes |= other.routes
        scene.inputs |= {where: (words, Fraction(1, gap)) for where, (words, _) in other.inputs.items()}
        scene.outputs |= other.outputs
        agree(scene)


@archs
def test_latency_of_the_ramps(arch):
    m = wse.Machine(arch)
    ran = run("mov32 d0, a0", arch, dsrs={"d0": fabout(3), "a0": mem(0, 3, 4)}, memory=bytes(12), trace=100)
    first = ran.events("OP_START")[0][0] + m.op_start_cycles
    assert m.ramp_out_cycles == 3
    assert ran.out.cycles.tolist() == [first + 3, first + 4, first + 5]

    words = {WEST: [1]}
    dsrs = {"d0": mem(0, 1, 4), "a0": fabin(1)}
    ran = run("mov32 d0, a0", arch, dsrs=dsrs, memory=bytes(4), inputs=words, rate=Fraction(1, 1000), trace=100)
    first = ran.events("OP_START")[0][0] + m.op_start_cycles
    assert ran.events("OP_END")[0][0] == first  # it has been there for long

    ran = run("mov32 d0, a0", arch, dsrs=dsrs | {"a0": fabin(2), "d0": mem(0, 2, 4)}, memory=bytes(8),
              inputs={WEST: [1, 2]}, rate=Fraction(1, 1000), trace=100)  # fmt: skip
    landed = ran.events("LAND")[1][0]
    assert ran.events("OP_END")[0][0] == landed + {"wse2": 2, "wse3": 3}[arch]


# --- sharing ------------------------------------------------------------------------------------------------------------


@archs
def test_a_blocked_color_does_not_block_another(arch):
    m = wse.Machine(arch)
    scene = Scene(3, 1, m)
    for x in range(3):
        scene.routes[(x, 0), 0] = Route([("W", "R" if x == 2 else "E")])  # no PE receives at the end
        scene.routes[(x, 0), 1] = Route([("W", "E")])
    for color in (0, 1):
        scene.inputs[(0, 0), "W", color] = [Wavelet(i) for i in range(100)], Fraction(1)
    scene.outputs[(2, 0), "E", 1] = 1000, Fraction(1)
    got = agree(scene)
    ((_, passed),) = got.left.items()
    assert [data for _, data, _ in passed] == list(range(100))
    stuck = 3 * m.router_depth
    assert got.fabric.streams[0].sent == stuck
    assert passed[-1][0] - passed[stuck][0] == 99 - stuck  # at full rate again
    assert got.run.ended == "deadlock"


@archs
@pytest.mark.parametrize("colors", [2, 3, 5])
def test_colors_share_a_link_in_turns(arch, colors):
    scene = Scene(1, 1, wse.Machine(arch))
    for color in range(colors):
        scene.routes[(0, 0), color] = Route([("W", "E")])
        scene.inputs[(0, 0), "W", color] = [Wavelet(i) for i in range(20)], Fraction(1)
        scene.outputs[(0, 0), "E", color] = 1000, Fraction(1)
    left = agree(scene).left
    order = sorted((cycle, color) for (_, _, color), passed in left.items() for cycle, _, _ in passed)
    assert [color for _, color in order] == list(range(colors)) * 20
    assert [cycle - order[0][0] for cycle, _ in order] == list(range(20 * colors))


@archs
def test_a_multicast_goes_on_where_there_is_room(arch):
    # east has room for one wavelet only, south takes all it gets; the router's buffer is all the slack there is
    scene = Scene(1, 1, wse.Machine(arch))
    scene.routes[(0, 0), 0] = Route([("W", "ES")])
    scene.inputs[(0, 0), "W", 0] = [Wavelet(i) for i in range(9)], Fraction(1)
    scene.outputs = {((0, 0), "E", 0): (1, Fraction(1)), ((0, 0), "S", 0): (1000, Fraction(1))}
    left = agree(scene).left
    assert [data for _, data, _ in left[(0, 0), "E", 0]] == [0]
    assert [data for _, data, _ in left[(0, 0), "S", 0]] == [0, 1]  # 1 waits for the east, and 2 behind it


@archs
@pytest.mark.parametrize("rate", [Fraction(1), Fraction(1, 3), Fraction(2, 3), Fraction(7, 10)])
def test_rates_of_streams(arch, rate):
    for into, out in ((rate, Fraction(1)), (Fraction(1), rate)):
        scene = line(arch, 2, n=50)
        scene.inputs = {where: (words, into) for where, (words, _) in scene.inputs.items()}
        scene.outputs = {where: (capacity, out) for where, (capacity, _) in scene.outputs.items()}
        passed = next(iter(agree(scene).left.values()))
        assert [cycle - passed[0][0] for cycle, _, _ in passed] == [-(-i // rate) for i in range(50)]


# --- faults -------------------------------------------------------------------------------------------------------------


def test_two_inputs_of_a_color_meet():
    scene = Scene(2, 2, wse.Machine("wse2"))
    scene.routes[(1, 0), 0] = Route([("E", "S")])
    scene.routes[(1, 1), 0] = Route([("NE", "W")])
    scene.routes[(0, 1), 0] = Route([("E", "W")])
    scene.inputs[(1, 0), "E", 0] = [Wavelet(1)], Fraction(1)
    scene.inputs[(1, 1), "E", 0] = [Wavelet(2), Wavelet(3)], Fraction(1)
    scene.outputs[(0, 1), "W", 0] = 10, Fraction(1)
    assert agree(scene).fault == ("COLLISION", 1, 1, 0, 2)  # the second one lands in cycle 2, as that from the north
    fabric, _ = scene.fabric()
    with pytest.raises(wse.FabricFault) as caught:
        fabric.run()
    assert str(caught.value) == (
        "two inputs of one color met in one cycle (PE (1, 1), cycle 2, color c0); "
        "separate the senders in time, or use two colors"
    )


def test_two_inputs_of_a_color_in_turns_do_not_meet():
    scene = Scene(1, 1, wse.Machine("wse2"))
    scene.routes[(0, 0), 0] = Route([("NE", "W")])
    scene.inputs[(0, 0), "E", 0] = [Wavelet(i) for i in range(20)], Fraction(1, 2)
    scene.programs[0, 0] = []
    scene.inputs[(0, 0), "N", 0] = [], Fraction(1)
    scene.outputs[(0, 0), "W", 0] = 100, Fraction(1)
    assert len(agree(scene).left[(0, 0), "W", 0]) == 20


def test_off_the_edge():
    p = wse.Program(2, 1, "wse2")
    c = p.color("c", 3)
    pe = p.pe_class("one")
    pe.queue_out(2, c)
    pe.dsd("out", wse.fabout(2, c, 1))
    # a program that rewrites routers is not refused before it runs
    pe.code("main:\ndsr d0, out\nmov32 d0, r1\ndone\nnever: colorst r0, c\ndone")
    pe.local_task("main", 9, active=True)
    p.place(pe, 0, 0)
    p.route(c, "R", "E", 0, 0)
    p.route(c, "W", "E", 1, 0)
    with pytest.raises(wse.FabricFault) as caught:
        wse.Fabric(p).run()
    dispatch = 2 + 4 + 4  # task start, four loads, DSR load to operation
    cycle = dispatch + 4 + 3 + 1
    assert str(caught.value) == (
        f"a wavelet left the rectangle where no stream is attached (PE (1, 0), cycle {cycle}, color c, port E); "
        "attach a stream there, or do not route it off the edge"
    )


# --- switches -----------------------------------------------------------------------------------------------------------


def test_control_words_as_programs_write_them():
    # words found in published programs, with what their comments say
    hidden = [(NOP, True)]
    assert rm.commands(0x09DF9249) == [(TEARDOWN, True), *hidden * 7] and 0x09DF9249 >> 16 & 63 == 31
    assert rm.commands(0x8B009249)[:2] == [(NOP, True), (ADVANCE, True)]
    assert rm.commands(5 << 22 | 4 << 25)[:2] == [(ADVANCE, True), (NOP, True)]
    word = control_word([(TEARDOWN, True)])
    assert word & 0x3FFFFFFF == 0x09DF9249
    for commands in ([(RESET, False), (ADVANCE, True), (NOP, False)], [(TEARDOWN, False)] * 8, []):
        word = control_word(commands, 5)
        assert rm.commands(word) == commands + hidden * (8 - len(commands)) and word >> 16 & 63 == 5


def fan(positions: str, commands: list, **route) -> list[str]:
    """Where five wavelets go, one after each control wavelet, by a router with these positions; and the words of the latter."""
    scene = Scene(1, 1, wse.Machine("wse3"))
    scene.routes[(0, 0), 0] = Route([("W", port) for port in positions], **route)
    words = [Wavelet(0)]
    for i, opcode in enumerate(commands, 1):
        words += [Wavelet(control_word([(opcode, True)]), control=True), Wavelet(i)]
    scene.inputs[(0, 0), "W", 0] = words, Fraction(1)
    scene.outputs = {((0, 0), port, 0): (100, Fraction(1)) for port in dict.fromkeys(positions)}
    left = agree(scene).left
    went = {data: port for (_, port, _), passed in left.items() for _, data, control in passed if not control}
    controls = sorted((cycle, port) for (_, port, _), passed in left.items() for cycle, _, control in passed if control)
    # a control wavelet leaves by the position that it found
    assert [port for _, port in controls] == [went[i] for i in range(len(commands))]
    return [went[i] for i in range(len(commands) + 1)]


A, R = ADVANCE, RESET


@pytest.mark.parametrize(
    ("positions", "commands", "route", "went"),
    [
        ("ESN", [A, A, A, A], {}, "ESNNN"),  # stays at the last
        ("ESN", [A, A, A, A], {"ring": True}, "ESNES"),
        ("ESN", [A, R, A, A], {}, "ESESN"),
        ("ESN", [NOP, NOP, A, NOP], {}, "EEESS"),
        ("ESN", [A, A, R, NOP], {"position": 1}, "SNNEE"),
        ("ESN", [A, A, A, R], {"position": 2, "ring": True}, "NESNE"),
        ("E", [A, R, A, A], {"ring": True}, "EEEEE"),
        ("ESNE", [A, A, A, A], {}, "ESNEE"),
    ],
)
def test_positions(positions, commands, route, went):
    assert "".join(fan(positions, commands, **route)) == went


@pytest.mark.parametrize(
    ("pop", "first", "second", "leaves"),
    [
        # both routers obey the first command; the second and the word that leaves them by the pop mode
        ("no_pop", "S", "S", [(A, True), (NOP, False), (R, True)]),
        ("always_pop", "S", "E", [(R, True)]),
        ("pop_on_advance", "S", "E", [(NOP, False), (R, True)]),
        ("pop_on_advance_nop", "S", "E", [(NOP, True), (NOP, False), (R, True)]),
    ],
)
def test_pop_modes(pop, first, second, leaves):
    # from the west; position 0 goes on east, position 1 south
    scene = Scene(2, 1, wse.Machine("wse3"))
    for x in range(2):
        scene.routes[(x, 0), 0] = Route([("W", "E"), ("W", "S")], pop=pop)
        scene.outputs[(x, 0), "S", 0] = 10, Fraction(1)
    scene.outputs[(1, 0), "E", 0] = 10, Fraction(1)
    word = control_word([(A, True), (NOP, False), (R, True)])
    scene.inputs[(0, 0), "W", 0] = [Wavelet(word, control=True), Wavelet(7)], Fraction(1)
    left = agree(scene).left
    assert [data for _, data, _ in left[(0, 0), "S", 0]] == [7]  # the first router has advanced
    ((_, passed, control),) = left[(1, 0), "E", 0]
    rest = [(NOP, False)] * (8 - len(leaves) - 5) if pop in ("always_pop", "pop_on_advance") else []
    gone = {"always_pop": 2, "pop_on_advance": 1}.get(pop, 0)
    expected = leaves + [(NOP, True)] * (8 - len(leaves) - gone) + [(NOP, False)] * gone
    assert control and rm.commands(passed) == expected, rest
    assert passed & 0xC03F0000 == word & 0xC03F0000

    # where the second router stands is seen by a wavelet that comes after the first router was reset
    words = [Wavelet(word, control=True), Wavelet(control_word([(R, True)]), control=True), Wavelet(7)]
    scene.inputs[(0, 0), "W", 0] = words, Fraction(1)
    left = agree(scene).left
    assert first == "S"
    assert [data for _, data, control in left[(1, 0), second, 0] if not control] == [7]


@archs
def test_the_last_wavelet_of_an_operation_may_advance_switches(arch):
    scene = Scene(2, 1, wse.Machine(arch))
    scene.routes[(0, 0), 0] = Route([("R", "E"), ("R", "S")])
    scene.routes[(1, 0), 0] = Route([("W", "E"), ("W", "S")])
    scene.programs[0, 0] = [Send(0, [1, 2, 3], advance=True), Send(0, [4, 5], advance=True)]
    scene.outputs = {
        (place, port, 0): (10, Fraction(1)) for place, port in (((0, 0), "S"), ((1, 0), "E"), ((1, 0), "S"))
    }
    left = agree(scene).left
    assert [data for _, data, _ in left[(1, 0), "E", 0]][0] == 1
    assert sum(map(len, left.values())) == 5


@pytest.mark.parametrize("hidden", [False, True])
def test_a_control_wavelet_hidden_from_the_compute_element(hidden):
    scene = line("wse3", 2)
    for x in range(2):
        scene.routes[(x, 0), 0] = Route([("W", "ER")])
        scene.programs[x, 0] = [Read(0, 5)]
    word = control_word([(NOP, hidden)] * 8)
    scene.inputs[(0, 0), "W", 0] = [Wavelet(word, control=True), Wavelet(5)], Fraction(1)
    got = agree(scene)
    assert [place for _, place, _, _, control in got.landed if control] == ([] if hidden else [(0, 0), (1, 0)])
    assert [place for _, place, _, data, _ in got.landed if data == 5] == [(0, 0), (1, 0)]
    assert len(got.left[(1, 0), "E", 0]) == 2


# --- filters ------------------------------------------------------------------------------------------------------------


def filtered(filter: rm.Filter, words: list[Wavelet]) -> list[int]:
    """The wavelets, by their place in the row, that come through the filter; all of them go on."""
    scene = line("wse3", 1)
    scene.routes[(0, 0), 0] = Route([("W", "ER")], filter=filter)
    scene.programs[0, 0] = [Read(0, 100)]
    scene.inputs[(0, 0), "W", 0] = words, Fraction(1)
    got = agree(scene)
    assert len(got.left[(0, 0), "E", 0]) == len(words)
    return [[w.data for w in words].index(data) for _, _, _, data, _ in got.landed]


def test_range_filter():
    words = [Wavelet(index << 16 | 1) for index in (0, 4, 5, 6, 8, 9, 0xFFFF)]
    words.append(Wavelet(control_word([(NOP, False)]), control=True))
    assert filtered(rm.Filter("range", min_index=5, max_index=8), words) == [2, 3, 4, 7]  # control always passes
    assert filtered(rm.Filter("range", min_index=0, max_index=0xFFFF), words) == list(range(8))


def test_counter_filter():
    words = [Wavelet(i) for i in range(10)]
    # the counter goes 0 to limit1, inclusive, and passes while it is at most max_counter
    assert filtered(rm.Filter("counter", limit1=3, max_counter=0), words) == [0, 4, 8]
    assert filtered(rm.Filter("counter", limit1=3, max_counter=1), words) == [0, 1, 4, 5, 8, 9]
    assert filtered(rm.Filter("counter", init_counter=2, limit1=3, max_counter=0), words) == [2, 6]
    assert filtered(rm.Filter("counter", limit1=0, max_counter=0), words) == list(range(10))
    assert filtered(rm.Filter("counter", count_data=False, limit1=3, max_counter=0), words) == list(range(10))


def test_counter_filter_and_control_wavelets():
    control = [Wavelet(control_word([(NOP, False)], 31) | i << 30, control=True) for i in range(2)]
    words = [Wavelet(1), control[0], Wavelet(2), control[1], Wavelet(3), Wavelet(4)]
    count = rm.Filter("counter", limit1=2, max_counter=0)
    assert filtered(count, words) == [0, 1, 3, 5]  # neither counted nor filtered
    assert filtered(rm.Filter("counter", True, True, limit1=2, max_counter=0), words) == [0, 1, 3]
    assert filtered(rm.Filter("counter", True, True, True, limit1=2, max_counter=0), words) == [0, 3]
    assert filtered(rm.Filter("counter", True, False, True, limit1=2, max_counter=0), words) == [0, 5]
    # a control wavelet passes at max_counter only
    assert filtered(rm.Filter("counter", True, False, True, limit1=9, max_counter=2), words) == [0, 2, 3, 4]


def test_sparse_filter():
    words = [Wavelet(i) for i in range(12)]
    # as a counter 0 to limit1, then 0 to limit2, then all pass
    assert filtered(rm.Filter("sparse", limit1=3, limit2=2, max_counter=0), words) == [0, 4, *range(7, 12)]
    assert filtered(rm.Filter("sparse", limit1=3, limit2=3, max_counter=1), words) == [0, 1, 4, 5, *range(8, 12)]
    assert filtered(rm.Filter("sparse", limit1=5, max_counter=1), words) == [0, 1, *range(6, 12)]
    assert filtered(rm.Filter("sparse", init_counter=3, limit1=4, limit2=4), words) == [2, *range(7, 12)]
    assert filtered(rm.Filter("sparse", limit2=4), words) == list(range(12))
    assert filtered(rm.Filter("sparse", count_data=False, limit1=3, max_counter=0), words) == list(range(12))


# --- teardown, color swap -------------------------------------------------------------------------------------------------


@archs
def test_teardown_stops_a_color_until_it_is_ended(arch):
    m = wse.Machine(arch)
    p = wse.Program(2, 1, m)
    c = p.color("c")
    p.route(c, "W", "E")
    pe = p.pe_class("pe")
    pe.code("handler: nop\nnop\ntdexit c\ndone")
    pe.local_task("handler", 29)
    p.place(pe)
    f = wse.Fabric(p)
    words, control = [1, control_word([(TEARDOWN, True)]), 2, 3], [0, 1, 0, 0]
    f.stream_in(0, 0, "W", c, words, control)
    out = f.stream_out(1, 0, "E", c)
    f.run()
    assert out.data.tolist() == words and out.control.tolist() == [bool(bit) for bit in control]
    h = m.hop_cycles
    first = h + 1  # the control wavelet leaves the first router, which is torn down
    assert out.cycles[1] == first + h
    # the router wakes its PE for the next cycle; after two nops the color is free, and moves a cycle later
    freed = [cycle + 1 + m.task_start_cycles + 2 for cycle in (first, first + h)]
    second = max(freed[0] + 1 + h, freed[1] + 1)
    assert out.cycles[2:].tolist() == [second, second + 1]


def test_a_route_that_begins_torn_down():
    scene = line("wse3", 2)
    scene.routes[(1, 0), 0].teardown = True
    got = agree(scene)
    assert got.left == {((1, 0), "E", 0): []} and got.run.ended == "deadlock"


def test_the_ramp_fills_the_buffer_of_a_color_that_is_torn_down():
    scene = line("wse3", 2)
    scene.routes[(0, 0), 0] = Route([("R", "E")], teardown=True)
    scene.inputs.clear()
    scene.programs[(0, 0)] = [Send(0, list(range(40)))]
    fabric, _ = scene.fabric()
    run, model = fabric.run(on_deadlock="return"), scene.model()
    model.run(500)
    (sent,) = (op.done for op in model.pes[0, 0].threads.values())
    figures = scene.machine.params
    assert sent == figures["router_depth"] + figures["oq0_depth"]
    assert run.counters["elements"][0, 0] == sent


@pytest.mark.parametrize("port", "WN")
def test_colors_swap_on_every_hop(port):
    scene = line("wse2", 4, port, n=6)
    places = [place for place, _ in scene.routes]
    out = rm.OPPOSITE[port]
    swap = {"swap_x": port == "W", "swap_y": port == "N"}
    for i, place in enumerate(places):
        scene.routes.pop((place, 0))
        scene.routes[place, i % 2] = Route([(port, out + "R")], **swap)
        scene.programs[place] = [Read(i % 2, 6)]
    got = agree(scene)
    # four hops: it leaves as it came; on its way it is color 0 and 1 in turn, and the ramp gets it as it arrives
    assert [data for _, data, _ in got.left[places[-1], out, 0]] == list(range(6))
    assert {(place, color) for _, place, color, _, _ in got.landed} == {(p, i % 2) for i, p in enumerate(places)}
    assert len(got.landed) == 24


# --- long waits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("power", [8, 16, 24])
def test_a_buffer_that_was_last_used_long_ago(power):
    # the second wavelet comes to its buffers some 2^power cycles after the first has left them
    for wait in range(2**power - 4, 2**power + 1):
        p = wse.Program(2, 1, wse.Machine("wse3", overrides={"router_depth": 1, "idiv_latency": wait}))
        c = p.color("c")
        p.route(c, "R", "E", 0)
        p.route(c, "W", "E", 1)
        pe = p.pe_class("pe")
        pe.queue_out(2, c)
        pe.dsd("out", wse.fabout(2, c, 1))
        pe.code("main: dsr d0, out\nmov32 d0, r1\nidivu32 r2, r2, 1\nmov32 d0, r1\ndone")
        pe.local_task("main", 9, active=True)
        p.place(pe, 0)
        f = wse.Fabric(p)
        out = f.stream_out(1, 0, "E", c)
        f.run()
        apart = 1 + 2 + wait + 4  # drain, division, start
        assert out.cycles.tolist() == [out.cycles[0], int(out.cycles[0]) + apart]


@pytest.mark.parametrize("wait", [2**29 + 7, 2**30 + 7])
def test_a_wavelet_that_waits_for_long(wait):
    code = "idivu32 r2, r2, 1\nmov32 d0, a0"
    dsrs = {"d0": mem(0, 20, 4), "a0": fabin(20)}
    ran = run(code, dsrs=dsrs, memory=bytes(80), inputs={WEST: range(20)}, idiv_latency=wait, max_cycles=None)
    assert ran.array("<u4") == list(range(20))
    assert ran.cycles == (wait + 4 + 20 + 2) % 65536
