"""wse/trace/perfetto.py and chrome.py: the files, read back with the official schema and with json.

Covers: wse/trace/chrome.py, wse/trace/perfetto.py
"""

import json

import pytest
from hypothesis import given
from synthetic import garbage, make_events, make_run

from wse import trace
from wse.machine import isa
from wse.trace import chrome, events, perfetto

schema = pytest.importorskip(
    "perfetto.protos.perfetto.trace.perfetto_trace_pb2", reason="the perfetto package has the schema"
)

FMACS = isa.INSTRUCTION["fmacs"].opcode
ROWS = (
    (0, 1, "TASK_START", 9, 0),
    (2, 1, "OP_START", FMACS, 3),
    (3, 1, "OP_START", FMACS, 255),
    (8, 1, "OP_END", FMACS, 255),
    (9, 0, "LAND", 5, 0xFFFFFFFF),
    (10, 1, "TASK_END", 9, 0),
    (12, 1, "OP_END", FMACS, 3),
    (13, 6, "MARK", 0, 300),
)
LAST = 2**63  # cycle of garbage


def decode(run):
    """The packets of the run's trace, by the official schema."""
    return schema.Trace.FromString(b"".join(perfetto.packets(run))).packet


class Decoded:
    """A trace as a viewer sees it: tracks by their full name, their events in order."""

    def __init__(self, run):
        packets = decode(run)
        assert packets[0].sequence_flags == schema.TracePacket.SEQ_INCREMENTAL_STATE_CLEARED
        assert {packet.trusted_packet_sequence_id for packet in packets} == {1}
        processes, self.tracks, names, self.events, arguments = {}, {}, {}, {}, {}
        for packet in packets:
            names |= {entry.iid: entry.name for entry in packet.interned_data.event_names}
            arguments |= {entry.iid: entry.name for entry in packet.interned_data.debug_annotation_names}
            if packet.HasField("track_descriptor"):
                track = packet.track_descriptor
                assert track.uuid not in self.tracks, "two tracks of one uuid"
                if track.HasField("process"):
                    processes[track.process.pid] = track.process.process_name
                    self.tracks[track.uuid] = track.process.process_name
                elif track.HasField("thread"):
                    self.tracks[track.uuid] = f"{processes[track.thread.pid]} / {track.thread.thread_name}"
                else:
                    assert track.HasField("counter")
                    self.tracks[track.uuid] = f"{self.tracks[track.parent_uuid]} / {track.name}"
            if packet.HasField("track_event"):
                event = packet.track_event
                kind = schema.TrackEvent.Type.Name(event.type)
                value = event.double_counter_value if kind == "TYPE_COUNTER" else None
                if event.debug_annotations:
                    (argument,) = event.debug_annotations
                    assert arguments[argument.name_iid] == "value"
                    value = argument.uint_value
                name = names[event.name_iid] if event.name_iid else None
                track = self.tracks[event.track_uuid]
                self.events.setdefault(track, []).append((packet.timestamp, kind.removeprefix("TYPE_"), name, value))


def test_tracks_and_events():
    run = make_run(4, 4, cycles=20, bins=0, events=make_events(*ROWS), meta={"kernel": "demo", "colors": {"red": 5}})
    assert Decoded(run).events == {
        "PE (1, 0) / main": [
            (0, "SLICE_BEGIN", "task 9", None),
            (3, "SLICE_BEGIN", "fmacs", None),
            (8, "SLICE_END", None, None),
            (10, "SLICE_END", None, None),
        ],
        "PE (1, 0) / microthread 3": [(2, "SLICE_BEGIN", "fmacs", None), (12, "SLICE_END", None, None)],
        "PE (0, 0) / wavelets": [(9, "INSTANT", "red (color 5)", 0xFFFFFFFF)],
        "PE (2, 1) / main": [(13, "INSTANT", "mark", 300)],
    }


def test_counters_are_the_series():
    run = make_run(2, 2, cycles=100, bins=4, events=make_events())
    decoded = Decoded(run)
    fabric = "fabric: gemm on wse3 (simulator), 2 x 2 PEs; 1 ns = 1 cycle"
    hops = decoded.events[f"{fabric} / wavelet-hops per cycle"]
    assert [(time, kind) for time, kind, _, _ in hops] == [(time, "COUNTER") for time in (0, 32, 64, 96, 100)]
    lengths = [32, 32, 32, 4]
    assert [value for *_, value in hops] == pytest.approx([*(run.series[:, 1] / lengths), 0])
    busy = decoded.events[f"{fabric} / busy PEs"]
    assert busy[0][3] == pytest.approx(100 * float(run.series[0, 0]) / 32 / 4)


def test_many_pes_share_a_process_per_row():
    rows = [(pe, pe, "MARK", 0, 1) for pe in range(100)]
    tracks = set(Decoded(make_run(10, 10, bins=0, events=make_events(*rows))).events)
    assert tracks == {f"row y = {y} / ({x}, {y}) main" for x in range(10) for y in range(10)}


def test_names_are_sent_once():
    rows = [(cycle, 0, "MARK", 0, cycle) for cycle in range(500)]
    run = make_run(bins=0, events=make_events(*rows))
    sent = [entry.name for packet in decode(run) for entry in packet.interned_data.event_names]
    assert sent == ["mark"]
    assert len(b"".join(perfetto.packets(run))) < 500 * 30


@given(garbage(LAST))
def test_garbage_still_decodes_and_nests(rows):
    run = make_run(bins=0, events=rows)
    for track in Decoded(run).events.values():
        depth = 0
        for _, kind, _, _ in track:
            depth += {"SLICE_BEGIN": 1, "SLICE_END": -1}.get(kind, 0)
            assert depth >= 0
        assert depth == 0


@given(garbage(LAST))
def test_the_events_are_the_actions(rows):
    run = make_run(events=rows)
    found = [(p.timestamp, p.track_event.type) for p in decode(run) if p.HasField("track_event")]
    found = [event for event in found if event[1] != perfetto.COUNT]
    assert found == [(action.cycle, perfetto.TYPES[action.what]) for action in events.actions(run)]


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, 2**32, 2**64 - 1])
def test_varint(number):
    decoded = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(perfetto.varint(number)))
    assert decoded == number
    assert [byte >> 7 for byte in perfetto.varint(number)] == [1] * (len(perfetto.varint(number)) - 1) + [0]


def test_the_file_is_the_packets(tmp_path):
    run = make_run(events=make_events(*ROWS))
    assert trace.write(run, tmp_path / "run.pftrace").read_bytes() == b"".join(perfetto.packets(run))


def test_chrome_json(tmp_path):
    run = make_run(4, 4, events=make_events(*ROWS))
    page = json.loads(trace.write(run, tmp_path / "run.json").read_text())
    entries = page["traceEvents"]
    lanes = {entry["tid"]: entry["args"]["name"] for entry in entries if entry["name"] == "thread_name"}
    seen = [(lanes[e["tid"]], e["ph"], e["name"], e["ts"]) for e in entries if e["ph"] != "M" and e["pid"] == 1]
    assert seen == [
        ("main", "B", "task 9", 0.0),
        ("microthread 3", "B", "fmacs", 0.002),
        ("main", "B", "fmacs", 0.003),
        ("main", "E", "fmacs", 0.008),
        ("main", "E", "task 9", 0.01),
        ("microthread 3", "E", "fmacs", 0.012),
    ]
    (land,) = (entry for entry in entries if entry["name"] == "color 5")
    assert (land["ph"], land["args"], land["pid"]) == ("i", {"value": 0xFFFFFFFF}, 0)


@given(garbage(LAST))
def test_garbage_is_still_json(rows):
    entries = json.loads("".join(chrome.lines(make_run(events=rows))))["traceEvents"]
    assert sum(entry["ph"] == "B" for entry in entries) == sum(entry["ph"] == "E" for entry in entries)


def test_a_trace_that_is_incomplete_says_so_in_the_viewer():
    run = make_run(4, 2, events=make_events(*ROWS))
    run.events_dropped = 5000
    names = [packet.track_descriptor.process.process_name for packet in decode(run)]
    assert any(name.endswith("; INCOMPLETE: 5,000 events were left out") for name in names)
