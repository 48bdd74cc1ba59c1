"""The allocation of the operands of calls in one arena, in which buffers with disjoint lifetimes share memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..models.config import ACTIVATIONS
from ..models.graph import GATES
from ..records import dataclass
from .schedule import Buffer, Call, loops

# In-place aliasing: for each call, the pairs (written role, read role) that may share memory if the read buffer is
# not used afterwards.
IN_PLACE = {
    "residual.forward": (("z", "x"), ("z", "y")),
    "dropout.backward": (("y", "x"),),
    "weigh.forward": (("y", "x"),),
    **dict.fromkeys(("times.forward", "times.backward"), (("y", "x"),)),
    "weigh.backward": (("dx", "dy"),),
    **{f"{kind}.backward": (("dx", "dy"),) for kind in ("layernorm", "rmsnorm", *ACTIVATIONS)},
    **{f"{kind}.backward": (("dup", "dy"), ("dgate", "up")) for kind in GATES},
    **{f"{kind}.backward": (("dq", "q"), ("dk", "k"), ("dv", "v")) for kind in ("attention", "attention_over_rows")},
    "loss.forward": (("dlogits", "logits"),),
    "parts.gradient": (("dlogits", "logits"),),
}


@dataclass(frozen=True)
class Arena:
    """A memory layout.  offsets: byte offset of each buffer in the arena.  bytes: size of the arena."""

    offsets: dict[Buffer, int]
    bytes: int


ALIGN = 16  # bytes of one row across all memory banks


def lives(calls: list[Call], always: Iterable[Buffer] = ()) -> dict[Buffer, tuple[int, int]]:
    """The lifetime of each buffer: the numbers of the first and the last call that use it.

    always: buffers that live during the whole pass.
    """
    found: dict[Buffer, tuple[int, int]] = {}
    for loop in loops(calls):
        first, last = loop.start, loop.stop - 1
        for number in loop:
            for buffer in (*calls[number].reads.values(), *calls[number].writes.values()):
                begin = found.get(buffer, (number, number))[0]
                found[buffer] = begin, last if begin < first else number  # what a loop finds is there in each turn
    return found | {buffer: (0, len(calls)) for buffer in always}


def places(calls: list[Call], always: Iterable[Buffer] = ()) -> dict[Buffer, Buffer]:
    """In-place aliasing: for each buffer, the buffer whose memory it uses.

    That is the buffer itself, or one whose lifetime ends in the call where it begins (see IN_PLACE).
    """
    life = lives(calls, always)
    place = {buffer: buffer for buffer in life}
    for number, call in enumerate(calls):
        for written, read in IN_PLACE.get(call.what, ()):
            new, old = call.writes[written], call.reads[read]
            fits = (new.features, new.kind) == (old.features, old.kind)
            begins_here = life[new][0] == number and place[new] is new and written not in call.reads
            if fits and begins_here and life[old][1] == number:
                place[new] = place[old]
                life[old] = life[old][0], number + 1  # no second alias
    return place


def allocate(
    calls: list[Call],
    columns: int,
    tokens: int,
    itemsize: int,
    always: Iterable[Buffer] = (),
    work: Sequence[int] = (),
) -> Arena:
    """Assigns addresses to all buffers of the calls.  Returns the smallest arena found.

    First fit, in several orders: each buffer gets the lowest address that is free during its whole lifetime.

    columns, tokens, itemsize: see Buffer.bytes.  always: buffers that live during the whole pass.  work: bytes of work
    space that each call uses at the start of the arena, where no live buffer may be.  The sources of one operation
    should begin in different banks; buffers therefore begin at multiples of 16 bytes, and every second one in the order
    of placement 8 bytes later.
    """
    own, place = lives(calls, always), places(calls, always)
    life: dict[Buffer, tuple[int, int]] = {}
    for buffer, (begin, end) in own.items():
        first, last = life.get(place[buffer], (begin, end))
        life[place[buffer]] = min(first, begin), max(last, end)
    size = {buffer: buffer.bytes(columns, tokens, itemsize) for buffer in life}
    floor = {buffer: max(work[begin : end + 1], default=0) for buffer, (begin, end) in life.items()}
    orders = (
        lambda b: (-size[b], life[b], b.name),
        lambda b: (life[b][0] - life[b][1], -size[b], b.name),
        lambda b: (-floor[b], life[b][0] - life[b][1], -size[b], b.name),
        lambda b: (-floor[b], -size[b], life[b], b.name),
    )
    least: tuple[int, dict[Buffer, int]] | None = None
    for order in orders:
        offsets = _place(sorted(life, key=order), life, size, floor)
        top = max((offsets[b] + size[b] for b in offsets), default=0)
        if least is None or top < least[0]:
            least = top, offsets
    assert least is not None
    top = max(least[0], *work, 0)
    return Arena({buffer: least[1][place[buffer]] for buffer in own}, -(-top // ALIGN) * ALIGN)


def _place(
    buffers: list[Buffer], life: dict[Buffer, tuple[int, int]], size: dict[Buffer, int], floor: dict[Buffer, int]
) -> dict[Buffer, int]:
    """First fit in the given order.  Returns the byte offset of each buffer."""
    offsets: dict[Buffer, int] = {}
    for number, buffer in enumerate(buffers):
        begin, end = life[buffer]
        taken = sorted(
            (offsets[other], offsets[other] + size[other])
            for other in offsets
            if life[other][0] <= end and begin <= life[other][1]
        )
        shift = ALIGN // 2 * (number % 2)
        offsets[buffer] = _first_gap([(0, floor[buffer]), *taken], size[buffer], shift)
    return offsets


def _first_gap(taken: list[tuple[int, int]], size: int, shift: int) -> int:
    at = shift
    for begin, end in taken:
        if at + size <= begin:
            return at
        if end > at:
            at = -(-(end - shift) // ALIGN) * ALIGN + shift
    return at


def collisions(calls: list[Call], arena: Arena, columns: int, tokens: int, itemsize: int) -> Iterator[tuple[str, str]]:
    """Yields pairs of buffers that overlap in time and in memory, except in-place aliases: none if correct."""
    place = places(calls)
    life = list(lives(calls).items())
    for i, (a, (begin, end)) in enumerate(life):
        for b, (first, last) in life[i + 1 :]:
            if first <= end and begin <= last and place[a] is not place[b]:
                low, high = sorted((a, b), key=arena.offsets.__getitem__)
                if arena.offsets[low] + low.bytes(columns, tokens, itemsize) > arena.offsets[high]:
                    yield low.name, high.name
