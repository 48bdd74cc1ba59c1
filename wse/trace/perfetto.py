"""An encoder of Perfetto's trace format.  A file is a sequence of packets: protobuf messages, each after its length.

Names are interned: a name is written once with a number, and events refer to the number.  An event takes about 17
bytes.  Field numbers are those of perfetto/trace/*.proto.  The tests read files with the official schema.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from ..fabric.run import Run
from .events import BEGIN, END, INSTANT, lane_name, lanes, steps

# TracePacket
TIMESTAMP, SEQUENCE, TRACK_EVENT, INTERNED, FLAGS, DESCRIPTOR = 8, 10, 11, 12, 13, 60
CLEARED, NEEDED = 1, 2  # of FLAGS: earlier interned names are discarded; the packet refers to interned names
# TrackDescriptor, ProcessDescriptor, ThreadDescriptor, CounterDescriptor
UUID, NAME, PROCESS, THREAD, PARENT, COUNTER = 1, 2, 3, 4, 5, 8
PID, TID, PROCESS_NAME, THREAD_NAME, UNIT_NAME = 1, 2, 6, 5, 6
# TrackEvent, DebugAnnotation, InternedData, EventName
ANNOTATION, TYPE, NAME_IID, TRACK, VALUE = 4, 9, 10, 11, 44
TYPES = {BEGIN: 1, END: 2, INSTANT: 3}
COUNT = 4
ANNOTATION_NAME_IID, ANNOTATION_UINT = 1, 3
EVENT_NAMES, ANNOTATION_NAMES = 2, 3

FABRIC = 1  # pid of the process that holds the counters
FIRST = 2  # pid of the first PE or row
SEPARATE = 64  # largest number of PEs with a process each; larger traces have one process per row of PEs


def varint(number: int) -> bytes:
    """A number as a protobuf varint: seven bits per byte, lowest bits first."""
    if number < 0x80:
        return _ONE[number]
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


_ONE = [bytes([number]) for number in range(0x80)]


def integer(field: int, number: int) -> bytes:
    """A field with a varint."""
    return varint(field << 3) + varint(number)


def message(field: int, content: bytes | str) -> bytes:
    """A field with an encoded message, or a string."""
    if isinstance(content, str):
        content = content.encode()
    return varint(field << 3 | 2) + varint(len(content)) + content


def double(field: int, number: float) -> bytes:
    """A field with a double."""
    return varint(field << 3 | 1) + struct.pack("<d", number)


def packet(content: bytes) -> bytes:
    """An element of Trace.packet (field 1).  All packets belong to one sequence."""
    return b"\x0a" + varint(len(content) + len(_SEQUENCE)) + content + _SEQUENCE


_SEQUENCE = integer(SEQUENCE, 1)
_NEEDED = integer(FLAGS, NEEDED)


def packets(run: Run) -> Iterator[bytes]:
    """Yield the file in parts of one or more packets."""
    value = message(ANNOTATION_NAMES, integer(1, 1) + message(2, "value"))  # the name of all arguments
    yield packet(integer(FLAGS, CLEARED) + message(INTERNED, value))
    yield from counters(run)
    tracks = {}
    found = lanes(run)
    rows = len({pe for pe, _ in found}) > SEPARATE
    processes: dict[int, int] = {}
    for number, (pe, lane) in enumerate(found, 1):
        x, y = pe % run.width, pe // run.width
        group = y if rows else pe
        if group not in processes:
            processes[group] = FIRST + len(processes)
            yield process(processes[group], f"row y = {y}" if rows else f"PE ({x}, {y})")
        pid = processes[group]
        tracks[pe, lane] = _BASE + number
        name = f"({x}, {y}) {lane_name(lane)}" if rows else lane_name(lane)
        yield thread(_BASE + number, pid, _BASE + number, name)
    yield from slices(run, tracks)


_BASE = 1 << 24  # above any pid, so that no thread is taken for the main thread of a process


def process(pid: int, name: str) -> bytes:
    """The packet that declares a process; its track has the uuid `pid`."""
    content = integer(UUID, pid) + message(PROCESS, integer(PID, pid) + message(PROCESS_NAME, name))
    return packet(message(DESCRIPTOR, content))


def thread(uuid: int, pid: int, tid: int, name: str) -> bytes:
    """The packet that declares a thread of a process, and its track."""
    content = message(THREAD, integer(PID, pid) + integer(TID, tid) + message(THREAD_NAME, name))
    return packet(message(DESCRIPTOR, integer(UUID, uuid) + content))


def counters(run: Run) -> Iterator[bytes]:
    """Yield the packets of a process for the whole fabric, with the time series as counters, one value per bin."""
    what = run.meta.get("kernel") or "run"
    name = f"fabric: {what} on {run.machine} ({run.profile}), {run.width} x {run.height} PEs; 1 ns = 1 cycle"
    name += f"; INCOMPLETE: {run.events_dropped:,} events were left out" if run.events_dropped else ""
    yield process(FABRIC, name)
    if not len(run.series):
        return
    pes = run.width * run.height
    rows = (
        ("busy PEs", "%", 100 / pes),
        ("wavelet-hops per cycle", "", 1.0),
        ("flops per cycle", "", 1.0),
        ("PEs stalled on the fabric", "%", 100 / pes),
    )
    for column, (name, unit, scale) in enumerate(rows):
        track = (1 << 23) + column
        content = integer(UUID, track) + integer(PARENT, FABRIC) + message(NAME, name)
        yield packet(message(DESCRIPTOR, content + message(COUNTER, message(UNIT_NAME, unit))))
        for start, length, value in _bins(run, column):
            event = integer(TYPE, COUNT) + integer(TRACK, track) + double(VALUE, value / length * scale)
            yield packet(integer(TIMESTAMP, start) + message(TRACK_EVENT, event))


def _bins(run: Run, column: int) -> Iterator[tuple[int, int, float]]:
    """Yield (first cycle, cycles, total) of each bin that the run reached, and a zero at its end."""
    width, cycles = int(run.bin_cycles), int(run.cycles)
    for index, value in enumerate(run.series[:, column].tolist()):
        start = index * width
        if start >= cycles:
            break
        yield start, min(width, cycles - start), value
    yield cycles, 1, 0


def slices(run: Run, tracks: dict[tuple[int, int], int]) -> Iterator[bytes]:
    """Yield the packets of all events, many at a time.  The part behind the time is encoded once per track and name.

    tracks: uuid by (pe, lane).
    """
    iids: dict[str, int] = {}
    known: dict[tuple[str, int, int, str], bytes] = {}
    values: dict[int | None, bytes] = {None: b""}
    heads = [b"\x0a" + varint(length) + _TIME for length in range(_LONGEST)]  # of packets by their length
    found: list[bytes] = []
    before, time = -1, b""
    for what, cycle, pe, lane, name, _, value in steps(run):
        event = known.get((what, pe, lane, name))
        if cycle != before:
            before, time = cycle, varint(cycle)
        if event is None:
            event = integer(TYPE, TYPES[what]) + integer(TRACK, tracks[pe, lane])
            if what != END:
                if name not in iids:
                    iids[name] = len(iids) + 1
                    interned = message(INTERNED, message(EVENT_NAMES, integer(1, iids[name]) + message(2, name)))
                    found.append(packet(_TIME + time + interned))
                event += integer(NAME_IID, iids[name])
            if what != INSTANT:  # without a value: all that follows the time
                event = message(TRACK_EVENT, event) + _BEHIND
            known[what, pe, lane, name] = event
        if what == INSTANT:
            argument = values.get(value)
            if argument is None and value is not None:
                argument = message(ANNOTATION, integer(ANNOTATION_NAME_IID, 1) + integer(ANNOTATION_UINT, value))
                if len(values) < _MOST_VALUES:
                    values[value] = argument
            event = message(TRACK_EVENT, event + (argument or b"")) + _BEHIND
        found.append(heads[1 + len(time) + len(event)] + time + event)
        if len(found) >= _PART:
            yield b"".join(found)
            found.clear()
    yield b"".join(found)


_LONGEST = 256  # bytes of a packet of an event
_MOST_VALUES = 1 << 16  # whose encoding is kept
_PART = 1 << 14  # packets that are joined
_BEHIND = _NEEDED + _SEQUENCE
_TIME = varint(TIMESTAMP << 3)
