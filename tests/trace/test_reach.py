"""wse/trace/reach.py: senders and receivers of a color, by the routes of the program."""

import wse
from wse.program.route import config
from wse.trace import reach
from wse.trace.reach import End, Reach


def planes(program):
    return Reach(program.routes.planes, program.width, program.height)


def test_a_row_that_is_broadcast():
    program = wse.Program(4, 2)
    red = program.color("red")
    program.route(red, "W", "ER", y=0)
    program.route(red, "R", "E", x=0, y=0)
    program.route(red, "W", "R", x=3, y=0)
    found = planes(program)
    assert found.receivers(0, 0) == [End(1, 0, 1), End(2, 0, 2), End(3, 0, 3)]
    assert found.senders(3, 0) == [End(0, 0, 3)] and found.senders(0, 0) == []
    assert found.sends(0) == [0] and found.sends(1) == [] and found.receivers(5, 0) == []
    assert found.senders(3, 7) == []  # a color without routes


def test_all_positions_of_a_switch():
    program = wse.Program(3, 1)
    red = program.color("red")
    program.route(red, "R", "E", x=0)
    program.route(red, "W", "E", x=1, switch=[("R", "E")])
    program.route(red, "W", "R", x=2)
    assert planes(program).senders(2, 0) == [End(1, 0, 1), End(0, 0, 2)]


def test_the_edge_of_the_fabric():
    program = wse.Program(2, 1)
    red = program.color("red")
    program.route(red, "W", "ER")
    assert planes(program).senders(1, 0) == [End(-1, 0, 1)]
    assert planes(program).receivers(0, 0) == []  # it sends nothing
    program.route(red, "R", "E", x=0)
    assert planes(program).receivers(0, 0) == [End(-1, 0, 1), End(1, 0, 1)]


def test_a_loop_ends():
    program = wse.Program(2, 1)
    red = program.color("red")
    program.route(red, "R", "ER", x=0, switch=[("E", "ER")])
    program.route(red, "W", "WR", x=1)
    assert planes(program).receivers(0, 0) == [End(0, 0, 0), End(1, 0, 1)]


def test_colors_that_are_swapped():
    program = wse.Program(3, 1, machine="wse2")
    even, odd = program.color("even", 4), program.color("odd", 5)
    for x, color, other in ((0, even, odd), (1, odd, even)):
        program.route(color, "R" if x == 0 else "W", "E", x=x, swap_x=True)
        assert int(color) ^ 1 == int(other)
    program.route(even, "W", "R", x=2)
    assert planes(program).receivers(0, 4) == [End(2, 4, 2)]
    assert planes(program).senders(2, 4) == [End(0, 4, 2)]


def test_the_masks_of_a_word():
    assert reach.positions(0) == []
    assert reach.positions(config([(1, 2), (4, 8), (16, 3)], position=1)) == [(1, 2), (4, 8), (16, 3)]
