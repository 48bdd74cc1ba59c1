"""Ways through the fabric."""

from itertools import pairwise

import pytest

import wse
from wse.sdk.paths import STEP, End, Ways, port_end, side_to


def picture(text: str) -> tuple[Ways, dict[str, tuple[int, int]]]:
    """Letters are ports in regions of their own, # is another region, x a router that has color 0 already."""
    rows = text.split()
    region, at, taken = {}, {}, []
    for y, row in enumerate(rows):
        for x, letter in enumerate(row):
            if letter == "#":
                region[x, y] = 99
            elif letter == "x":
                taken.append((x, y))
            elif letter != ".":
                at[letter] = (x, y)
                region[x, y] = ord(letter)
    ways = Ways(len(rows[0]), len(rows), region)
    ways.take(0, [*taken, *at.values()])
    return ways, at


def way(text: str, edges: str = "EW", color: int = 0) -> list[tuple[int, int]]:
    """From a to b."""
    ways, at = picture(text)
    ends = [[port_end(at[letter], edge, ways.region[at[letter]])] for letter, edge in zip("ab", edges, strict=True)]
    return ways.find(color, *ends, "a to b")


def steps(cells) -> str:
    return "".join(side_to(a, b) for a, b in pairwise(cells))


@pytest.mark.parametrize(
    ("text", "edges", "expected"),
    [
        ("ab", "EW", "E"),
        ("a..b", "EW", "EEE"),
        ("a.. ..b", "EW", "ESE"),
        ("a#b ...", "EW", "SEEN"),  # around a region, even by another side
        ("a#b", "EW", "EE"),  # through it, if there is no other way
        ("a..b ....", "SS", "SEEEN"),
        ("axb ...", "EW", "SEEN"),
        ("axb ...", "ES", "SEEN"),
        (".... a.xb ....", "ES", "ESEEN"),
    ],
)
def test_ways(text, edges, expected):
    assert steps(way(text, edges)) == expected


def test_colors_do_not_hinder_each_other():
    assert steps(way("axb", color=1)) == "EE"


def test_there_may_be_no_way():
    with pytest.raises(wse.RouteError, match="there is no way for a to b"):
        way("axb")


def test_a_way_takes_its_routers():
    ways, at = picture("a...b ..... c...d")
    for source, target in ("ab", "cd"):
        found = ways.find(0, [port_end(at[source], "E", -1)], [port_end(at[target], "W", -1)], "")
        assert len(found) == 5
    assert not ways.taken[0] >= {(0, 1)} and len(ways.taken[0]) == 10


def test_from_the_host():
    ways, at = picture("....... ..a.... ....... .......")
    end = [port_end(at["a"], "W", ord("a"))]
    found = steps(ways.find(0, ways.outside(), end, ""))
    assert len(found) == 3 and found[-1] == "E"
    ways, at = picture("....... ..a.... ....... .......")
    out = ways.find(0, [port_end(at["a"], "N", ord("a"))], ways.outside(), "")
    assert out == [(2, 1), (2, 0), (2, -1)]


def test_a_port_at_the_edge_needs_no_router():
    ways, at = picture("a.")
    assert ways.find(0, ways.outside(), [port_end(at["a"], "W", 1)], "") == [(-1, 0), (0, 0)]


def test_sides():
    assert [side_to((4, 4), (4 + dx, 4 + dy)) for dx, dy in STEP.values()] == list("NESW")
    assert End((0, 0), {"E": 0}).region == -1
