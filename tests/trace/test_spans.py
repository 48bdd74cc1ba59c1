"""Spans as a trace for a viewer, read back with the viewer's own schema."""

import json
from collections import namedtuple

import pytest

from wse.errors import ConfigError
from wse.trace import spans

Span = namedtuple("Span", "track name phase begin end bound_by")
SPANS = [
    Span("weights", "q", "forward", 0, 40, "dram"),
    Span("compute", "q", "forward", 10, 60, "compute"),
    Span("compute", "k", "forward", 60, 90, ""),
    Span("compute", "q", "backward", 90, 200, "compute"),
]


def test_perfetto_reads_tracks_and_slices(tmp_path):
    processor = pytest.importorskip("perfetto.trace_processor")
    from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace

    assert processor
    file = Trace()
    file.ParseFromString(spans.write(SPANS, tmp_path / "step.pftrace", "nano").read_bytes())
    names, tracks, open_, found = {}, {}, {}, []
    for packet in file.packet:
        for event in packet.interned_data.event_names:
            names[event.iid] = event.name
        if packet.HasField("track_descriptor") and packet.track_descriptor.HasField("thread"):
            tracks[packet.track_descriptor.uuid] = packet.track_descriptor.thread.thread_name
        if packet.HasField("track_event"):
            event = packet.track_event
            if event.type == event.TYPE_SLICE_BEGIN:
                assert event.track_uuid not in open_  # slices of a track follow each other
                open_[event.track_uuid] = names[event.name_iid], packet.timestamp
            else:
                name, begin = open_.pop(event.track_uuid)
                found.append((tracks[event.track_uuid], name, begin, packet.timestamp))
    assert not open_
    assert sorted(found) == [
        ("compute", "backward q [compute]", 90, 200),
        ("compute", "forward k", 60, 90),
        ("compute", "forward q [compute]", 10, 60),
        ("weights", "forward q [dram]", 0, 40),
    ]


def test_chrome_json(tmp_path):
    events = json.loads(spans.write(SPANS, tmp_path / "step.json").read_text())["traceEvents"]
    slices = [e for e in events if e["ph"] == "X"]
    assert [(e["name"], e["ts"], e["dur"]) for e in slices][:2] == [("q", 0.0, 0.04), ("q", 0.01, 0.05)]
    assert slices[0]["args"] == {"phase": "forward", "bound_by": "dram"}
    assert len({e["tid"] for e in slices}) == 2


def test_names_that_no_timeline_can_have(tmp_path):
    with pytest.raises(ConfigError, match=r"^a timeline is written as .pftrace or .json, not as 'step.png'$"):
        spans.check("step.png")
    with pytest.raises(ConfigError, match=r"there is no folder"):
        spans.check(tmp_path / "nowhere" / "step.json")
