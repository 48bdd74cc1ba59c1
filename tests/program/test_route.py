"""wse.program.route: planes of router configurations, and the checks of routes."""

import numpy as np
import pytest
from says import here, says

from wse import Filter, Program, ProgramError, RouteError, _engine
from wse.program import route


def program(width=4, height=3, machine="wse3", **colors):
    p = Program(width, height, machine)
    return p, *(p.color(name, number) for name, number in (colors or {"red": 3}).items())


def test_words():
    word = route.config(
        [(1, 2), (4, 16)], 1, ring=True, pop="pop_on_advance", teardown=True, swap_x=True, filter_index=4
    )
    assert word >> _engine.ROUTE_RX & 31 == 1 and word >> _engine.ROUTE_TX & 31 == 2
    assert word >> _engine.ROUTE_RX + 10 & 31 == 4 and word >> _engine.ROUTE_TX + 10 & 31 == 16
    assert word >> _engine.ROUTE_POS & 3 == 1 and word >> _engine.ROUTE_LAST & 3 == 1
    assert word >> _engine.ROUTE_RING & 1 and word >> _engine.ROUTE_POP & 3 == 2 and word >> _engine.ROUTE_TEARDOWN & 1
    assert word >> _engine.ROUTE_SWAP_X & 1 and not word >> _engine.ROUTE_SWAP_Y & 1
    assert word >> _engine.ROUTE_FILTER == 5
    assert route.ports("NESWR", "rx") == 31 and route.ports("R", "rx") == 16 and route.letters(5) == "NS"


def test_planes_follow_indices():
    p, red = program()
    p.route(red, "W", "E")
    p.route(red, "R", "E", 0)
    p.route(red, "W", "R", 3, slice(0, 3, 2))
    p.route(red, "E", "R", x=np.array([1, 2]), y=np.array([1, 2]))
    p.route(red, "S", "R", x=np.array([0, 2]), y=slice(0, 1))
    rx, tx = route.rx_masks(p.routes.planes[red]), route.tx_masks(p.routes.planes[red])
    assert [[route.letters(m) for m in row] for row in rx] == [
        ["S", "W", "S", "W"],
        ["R", "E", "W", "W"],
        ["R", "W", "E", "W"],
    ]
    assert [[route.letters(m) for m in row] for row in tx] == [
        ["R", "E", "R", "R"],
        ["E", "R", "E", "E"],
        ["E", "E", "R", "R"],
    ]


def test_switch_positions():
    p, red = program()
    p.route(red, "W", "R", switch=[(None, "E"), ("R", None)], pop="always_pop", position=2)
    word = int(p.routes.planes[red][0, 0])
    expected = [(8, 16), (8, 2), (16, 16)]
    assert word == route.config(expected, 2, pop="always_pop")
    plane = p.routes.planes[red]
    assert [int(route.rx_masks(plane, i)[0, 0]) for i in range(3)] == [8, 8, 16]
    assert int(route.tx_masks(plane)[0, 0]) == 18


def test_filters_are_shared():
    p, red = program()
    p.route(red, "W", "R", 1, filter=Filter("range", min_index=1, max_index=2))
    p.route(red, "W", "R", 2, filter=Filter("counter", limit1=9))
    p.route(red, "W", "R", 3, filter=Filter("range", min_index=1, max_index=2))
    assert (p.routes.planes[red] >> np.uint64(_engine.ROUTE_FILTER)).tolist()[0] == [0, 1, 2, 1]
    assert p.routes.filters[0].fields() == (_engine.FILTER_RANGE, True, False, False, 1, 2, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (dict(rx="W", tx=""), RouteError, "the route of color red (3) needs at least one input port and one output port, not rx='W' tx=''"),
        (dict(rx="X", tx="R"), ProgramError, "rx of the route of color red (3) is a string of N, E, S, W, R, not 'X'"),
        (dict(rx="WE", tx="R"), RouteError, "the route of color red (3) takes position 0 from EW: a router of wse3 takes a color from 1 side at a time"),
        (dict(rx="W", tx="R", x=4), ProgramError, "the route of color red (3): x = 4 is outside 0 to 3"),
        (dict(rx="W", tx="R", y=-1), ProgramError, "the route of color red (3): y = -1 is outside 0 to 2"),
        (dict(rx="W", tx="R", x=slice(0, 5)), ProgramError, "the route of color red (3): x = 0:5:1 leaves 0:4"),
        (dict(rx="W", tx="R", x=slice(None, None, -1)), ProgramError, "the route of color red (3): x = 0:4:-1 leaves 0:4"),
        (dict(rx="W", tx="R", x=1.5), ProgramError, "the route of color red (3): x is a slice, an integer or an array of integers, not 1.5"),
        (dict(rx="W", tx="R", x=[0, 1], y=[0, 1, 2]), ProgramError, "the route of color red (3): arrays of x and y have shapes (2,) and (3,), which must be equal"),
        (dict(rx="W", tx="R", pop="pop"), RouteError, "the route of color red (3) has pop='pop': it is one of no_pop, always_pop, pop_on_advance, pop_on_advance_nop"),
        (dict(rx="W", tx="R", position=1), RouteError, "the route of color red (3) starts at position 1, but only 0 to 0 are given"),
        (dict(rx="W", tx="R", switch=[(None, "E")] * 4), RouteError, "the route of color red (3) has 4 switch positions beyond the first; a router has 3"),
    ],
)  # fmt: skip
def test_refused_where_it_is_said(arguments, error, message):
    p, red = program()
    with says(error, message):
        p.route(red, **arguments)


def test_machines_differ():
    p, red, blue = program(red=3, blue=10)
    have = "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 16, 17, 20, 21"
    with says(
        RouteError, f"the route of color blue (10) has switch positions, but on wse3 only colors {have} have switches"
    ):
        p.route(blue, "W", "R", switch=[("R", "E")])
    p, blue = program(machine="wse2", blue=10)
    p.route(blue, "WE", "R", switch=[("R", "E")])


def test_unknown_color():
    p, red = program()
    for given, text in (("blue", "'blue'"), (7, "7")):
        with says(ProgramError, f"there is no color {text} in the program: known: red"):
            p.route(given, "W", "R")
    p.route("red", "W", "R")
    p.route(3, "W", "R")


def test_a_color_that_leaves_the_rectangle():
    p, red = program()
    p.route(red, "R", "E", 0)
    p.route(red, "W", "E", slice(1, 4))
    at = here(-1)
    message = (
        f"color red (3) leaves the rectangle by E at PE (3, 0) and 2 more, where no stream is attached (set at {at}); "
        "attach fab.stream_out there, or do not send it off the edge"
    )
    with says(RouteError, message) as caught:
        p.check()
    assert (caught.value.x, caught.value.y, caught.value.color) == (3, 0, 3)
    streams = [(3, y, _engine.E, 3, True) for y in range(3)]
    assert p.check(streams) == []
    with says(RouteError, message.replace("PE (3, 0) and 2 more", "PE (3, 1)")):
        p.check([streams[0], streams[2]])
    assert p.check(None) == []


@pytest.mark.parametrize(("port", "x", "y"), [("N", 2, 0), ("E", 3, 1), ("S", 1, 2), ("W", 0, 1)])
def test_every_edge(port, x, y):
    p, red = program()
    p.route(red, "R", port, x, y)
    at = here(-1)
    with says(
        RouteError,
        f"color red (3) leaves the rectangle by {port} at PE ({x}, {y}), where no stream is attached (set at {at}); "
        "attach fab.stream_out there, or do not send it off the edge",
    ):
        p.check()


def test_switch_positions_leave_too():
    p, red = program()
    p.route(red, "R", "E", 2, 1, switch=[(None, "S")])
    p.route(red, "W", "R", 3, 1)
    p.route(red, "N", "R", 2, 2, switch=[(None, "S")])
    with pytest.raises(RouteError, match=r"leaves the rectangle by S at PE \(2, 2\)"):
        p.check()


@pytest.mark.parametrize(
    ("port", "neighbor", "side"), [("N", (1, 0), "S"), ("E", (2, 1), "W"), ("S", (1, 2), "N"), ("W", (0, 1), "E")]
)
def test_a_route_that_goes_nowhere(port, neighbor, side):
    p, red = program()
    p.route(red, "R", port, 1, 1)
    at = here(-1)
    message = (
        f"color red (3) goes nowhere from PE (1, 1): it leaves by {port}, but the router of PE {neighbor} does not take it "
        f"from {side} in any position (set at {at}); give that PE a route with rx {side!r}, or drop {port!r} from tx"
    )
    with says(RouteError, message):
        p.check()
    p.route(red, "R", "R", *neighbor)
    with says(RouteError, message):
        p.check()
    p.route(red, "R", "R", *neighbor, switch=[(side, "R")])
    assert p.check() == []


def test_a_color_swap_changes_color():
    p, even, odd = program(machine="wse2", even=4, odd=5)
    p.route(even, "R", "E", 0, 0, swap_x=True)
    p.route(odd, "W", "R", 1, 0)
    assert p.check() == []
    p.route(even, "R", "E", 0, 0)
    with pytest.raises(RouteError, match="goes nowhere"):
        p.check()


def test_waiting_for_nobody_is_a_warning():
    p, red = program()
    p.route(red, "W", "R", 2, slice(0, 2))
    at = here(-1)
    assert p.check() == [
        f"color red (3): PE (2, 0) and 1 more takes it from W, where no router or stream sends it (set at {at})"
    ]
    p.route(red, "W", "R", 0, 0)
    edge = here(-1)
    assert p.check() == [
        f"color red (3): PE (0, 0) and 2 more takes it from W, where no router or stream sends it (set at {edge})"
    ]
    entered = [(0, 0, _engine.W, 3, False)]
    assert "PE (2, 0) and 1 more takes it" in p.check(entered)[0]


def test_code_that_rewrites_routers_turns_errors_into_warnings():
    p, red = program()
    p.route(red, "R", "E", 1, 1)
    pe = p.pe_class("k")
    pe.code("colorst r0, red\n done")
    p.place(pe)
    assert "goes nowhere" in p.check()[0]


def test_a_wafer_is_checked_at_once():
    """Four colors on 750 x 1170 PEs: a quarter of a second; a loop over PEs would take minutes."""
    p, *colors = program(750, 1170, a=0, b=1, c=2, d=3)
    for color in colors:
        p.route(color, "W", "ER")
        p.route(color, "R", "E", 0)
        p.route(color, "W", "R", 749)
    assert p.check() == []


def test_filter_fields():
    with says(ProgramError, "a filter is of kind range, counter or sparse, not 'odd'"):
        Filter("odd")
    with says(ProgramError, "max_index of a filter is 0 to 65535, not 65536"):
        Filter("range", max_index=1 << 16)
