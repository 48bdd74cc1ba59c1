"""Transfer of activations between neighboring regions: a row of PEs sends its tiles to the same row of the next region.

Two chains run through all regions of a row: one east for activations, one west for their gradients.  In the sending
region, each PE sends its own features and then forwards those of the PEs behind it.  In the receiving region, each PE
forwards the features of the PEs ahead of it and then keeps its own.  Features therefore travel in descending order to
the east and in ascending order to the west.  The widths of the two regions may differ.  Each link carries one wavelet
per cycle.

    line = transport.Line(program)                        # colors and routes, once
    line.declare(pe, x)                                   # queues and descriptors of a class of PEs in column x
    routine = transport.send("east", x0=4, features=32, width=4, tokens=32, size=2)
    ... routine.call(tile="y") ...                        # in every PE of the region that sends
    routine = transport.receive("west", x0=8, features=32, width=8, tokens=32, size=2)
    ... routine.call(tile="x") ...                        # in every PE of the next region, which receives from the west

Tiles have the shape [ceil(features / width)][tokens].  Padding features are not sent; the receiver sets them to zero.
All transfers block the main thread until they are complete.
"""

from __future__ import annotations

from typing import Literal

from ..errors import ConfigError
from ..machine import isa
from ..program import dsd
from ..program.pe_class import PEClass
from ..program.program import Program
from .code import Routine, register
from .strided_access import LENGTH

Side = Literal["east", "west"]
SIDES: tuple[Side, Side] = ("east", "west")
TOWARDS = {"east": "E", "west": "W"}
QUEUE_IN = {"east": 6, "west": 5}  # by the side from which data arrive
QUEUE_OUT = {"east": 5, "west": 6}
XDSR = 11
DSR = 7


def opposite(side: Side) -> Side:
    """The other side."""
    return "west" if side == "east" else "east"


class Line:
    """The colors and routes of the two chains, over columns xs of the rows ys; by default the whole program.

    Colors alternate with the parity of the column, so that a PE never receives on the color on which it sends.
    """

    def __init__(self, program: Program, xs: range | None = None, ys: slice | None = None) -> None:
        self.xs = range(program.width) if xs is None else xs
        self.colors = {(side, parity): program.color(f"{side}{parity}") for side in SIDES for parity in (0, 1)}
        for side in SIDES:
            beyond = self.xs[-1] if side == "east" else self.xs[0]
            for x in self.xs:
                if x == beyond:
                    continue
                to = x + (1 if side == "east" else -1)
                color = self.colors[side, x % 2]
                program.route(color, "R", TOWARDS[side], x=x, y=ys)
                program.route(color, TOWARDS[opposite(side)], "R", x=to, y=ys)

    def declare(self, pe: PEClass, x: int) -> None:
        """Declares the queues and descriptors of a class.

        All PEs of the class must be in columns with the parity of x, and be at an end of the chain if and only if x is.
        """
        for side in SIDES:
            behind = x - 1 if side == "east" else x + 1  # the column that sends to x on this chain
            ahead = x + 1 if side == "east" else x - 1
            came, goes = opposite(side), side
            source = target = None
            if behind in self.xs:
                source = self.colors[side, behind % 2]
                pe.queue_in(QUEUE_IN[came], source)
            if ahead in self.xs:
                target = self.colors[side, x % 2]
                pe.queue_out(QUEUE_OUT[goes], target)
            for name, simd in (("", False), ("_pairs", True)):
                if source is None:  # the code refers to it, but PEs at the end never load it
                    pe.array(f"from_{came}{name}", dsd.BYTES, "u8")
                else:
                    pe.dsd(f"from_{came}{name}", dsd.fabin(QUEUE_IN[came], color=source, simd=simd))
                if target is None:
                    pe.array(f"to_{goes}{name}", dsd.BYTES, "u8")
                else:
                    pe.dsd(f"to_{goes}{name}", dsd.fabout(QUEUE_OUT[goes], target, simd=simd))


def send(side: Side, x0: int, features: int, width: int, tokens: int, size: int, name: str = "") -> Routine:
    """A subroutine that sends the tiles of a region towards `side`.  Its operand is "tile".

    x0, width: first column and width of the region.  features: of the activation.  tokens: tokens per row of PEs.
    size: bytes of an element, 2 or 4.  name: of the subroutine, by default send_SIDE.
    Raises ConfigError for an invalid tile or one that exceeds the length field of a descriptor.
    """
    block = _block(features, width, tokens, size)
    lines = [*_own(side, x0, features, width, tokens, block)]
    lines += ["bz r3, .passed_own", *_load_tile(side, tokens, size, block)]
    lines += [f"dsr d{DSR}, to_{side}{_pairs(tokens, size)}", f"{_move(size)} d{DSR}, a{DSR}", ".passed_own:"]
    # Forward the features of the PEs behind: those below (above) this PE's own.
    lines += [*_behind(side, features, block, "r2", "r3")]
    lines += [*_pass_on(opposite(side), side, tokens, size)]
    return _routine(name or f"send_{side}", lines)


def receive(side: Side, x0: int, features: int, width: int, tokens: int, size: int, name: str = "") -> Routine:
    """A subroutine that receives the tiles of a region from `side`.  Its operand is "tile".

    Each PE forwards the features for the PEs ahead of it, then stores its own.  The parameters and errors are those of
    `send`, for the receiving region.
    """
    block = _block(features, width, tokens, size)
    towards = opposite(side)
    lines = [*_own(towards, x0, features, width, tokens, block)]
    lines += ["mov r24, r3", *_ahead(towards, features, "r2", "r3")]
    lines += [*_pass_on(side, towards, tokens, size)]
    lines += ["mov r3, r24", "bz r3, .none", *_load_tile(towards, tokens, size, block, "d")]
    lines += [f"dsr a{DSR}, from_{side}{_pairs(tokens, size)}", f"{_move(size)} d{DSR}, a{DSR}", ".none:"]
    lines += _padding(tokens, size, block)
    return _routine(name or f"receive_{side}", lines)


def _block(features: int, width: int, tokens: int, size: int) -> int:
    if size not in (2, 4) or min(features, width, tokens) < 1:
        raise ConfigError(
            f"a tile must have at least one element, of 2 or 4 bytes, not {features} x {tokens} of {size} bytes"
        )
    if features * tokens > LENGTH:
        raise ConfigError(
            f"a row sends {features} features of {tokens} tokens to the next region; one transfer holds at most "
            f"{LENGTH} elements: use fewer tokens per row"
        )
    return -(-features // width)


def _own(side: Side, x0: int, features: int, width: int, tokens: int, block: int) -> list[str]:
    """Sets r2 to the PE's first feature and r3 to the number of its features without padding."""
    return [
        "coord r2, 0",
        f"isub32 r2, r2, {x0}",
        f"imul32 r2, r2, {block}",
        f"mov r3, {features}",
        "isub32 r3, r3, r2",
        *_clamp("r3", block),
    ]


def _clamp(r: str, most: int) -> list[str]:
    """r = min(max(r, 0), most)."""
    return [
        "mov r5, 0",
        f"ilts32 r4, {r}, r5",
        f"sel {r}, r4, r5, {r}",
        f"mov r5, {most}",
        f"ilts32 r4, r5, {r}",
        f"sel {r}, r4, r5, {r}",
    ]


def _behind(side: Side, features: int, block: int, first: str, to: str) -> list[str]:
    """Sets register `to` to the number of features of the PEs behind this one, on the chain towards `side`."""
    if side == "east":
        return [f"mov {to}, {first}", *_clamp(to, features)]
    return [f"mov {to}, {features - block}", f"isub32 {to}, {to}, {first}", *_clamp(to, features)]


def _ahead(side: Side, features: int, first: str, to: str) -> list[str]:
    """Sets register `to` to the number of features for the PEs ahead of this one, on the chain towards `side`."""
    if side == "east":
        return [
            f"mov {to}, {features}",
            f"isub32 {to}, {to}, {first}",
            f"isub32 {to}, {to}, r24",
            *_clamp(to, features),
        ]
    return [f"mov {to}, {first}", *_clamp(to, features)]


def _load_tile(side: Side, tokens: int, size: int, block: int, file: str = "a") -> list[str]:
    """Loads the DSR of the PE's r3 features in the tile, in the order in which they travel towards `side`."""
    row = tokens * size
    order = -row if side == "east" else row
    # A 4D descriptor of [1][1][features][tokens]: extents, then strides in bytes, slowest first.
    lines = [
        "mov r28, 0x10001",
        f"mov r29, {block | tokens << 16:#x}",
        "mov r30, 0",
        f"mov r31, {order & 0xFFFF | size << 16:#x}",
        f"ldxd x{XDSR}, r28",
        "mov r29, r8",
    ]
    if side == "east":  # starts with the last feature
        lines += [f"imul32 r4, r3, {row}", "iadd32 r29, r29, r4", f"isub32 r29, r29, {row}"]
    return [
        *lines,
        f"imul32 r4, r3, {tokens << 16}",
        "iadd32 r29, r29, r4",
        f"mov r28, {isa.DSD_MEM4D}",
        "mov r30, 0",
        f"mov r31, {XDSR}",
        f"ldds {file}{DSR}, r28",
    ]


def _padding(tokens: int, size: int, block: int) -> list[str]:
    """Sets the rows of the tile after the PE's r24 features to zero."""
    row = tokens * size
    return [
        f"mov r3, {block}",
        "isub32 r3, r3, r24",
        "bz r3, .whole",
        f"imul32 r4, r24, {row}",
        "iadd32 r29, r8, r4",
        f"imul32 r4, r3, {tokens << 16}",
        "iadd32 r29, r29, r4",
        f"mov r28, {isa.DSD_MEM1D}",
        f"mov r30, {size}",
        "mov r31, 0",
        f"ldds d{DSR}, r28",
        "mov r4, 0",
        f"{_move(size)} d{DSR}, r4",
        ".whole:",
    ]


def _pass_on(came: Side, side: Side, tokens: int, size: int) -> list[str]:
    """Forwards r3 features of a row."""
    name = f"from_{came}{_pairs(tokens, size)}"
    return [
        "bz r3, .passed",
        *(f"ld32 r{28 + i}, [{name}+{4 * i}]" for i in range(4)),
        f"imul32 r29, r3, {tokens << 16}",
        f"ldds a{DSR}, r28",
        f"dsr d{DSR}, to_{side}{_pairs(tokens, size)}",
        f"{_move(size)} d{DSR}, a{DSR}",
        ".passed:",
    ]


def _pairs(tokens: int, size: int) -> str:
    """The suffix of the descriptors with two 16-bit elements per wavelet, which need an even number of tokens."""
    return "_pairs" if size == 2 and tokens % 2 == 0 else ""


def _move(size: int) -> str:
    return "mov16" if size == 2 else "mov32"


def _routine(name: str, lines: list[str]) -> Routine:
    text = "".join(f"{line}\n" if line.endswith(":") else f"    {line}\n" for line in lines)
    assert register(("tile",), "tile") == "r8"
    return Routine(name, ("tile",), 0, f"{name}:\n{text}    jr r27\n")
