"""Logs of steps: lines of JSON, TensorBoard's files."""

import json
import math

import pytest

from wse.errors import ConfigError
from wse.train.log import SCALARS, Log
from wse.train.loop import Step


def step(number, loss):
    return Step(number, loss, 0.5, 1024.0, 0.01, False, 1000, 16, 5, 5, 5)


def test_a_line_for_each_step(tmp_path):
    path = tmp_path / "run.jsonl"
    for append, numbers in ((False, (0, 1)), (True, (2,))):
        with Log(path, append=append) as log:
            for number in numbers:
                log.add(step(number, 4.0 - number), {"forward": "compute"})
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["step"], line["loss"]) for line in lines] == [(1, 4.0), (2, 3.0), (3, 2.0)]
    assert lines[0].items() >= {"learning_rate": 0.01, "gradient_norm": 0.5, "loss_scale": 1024.0}.items()
    assert lines[0]["cycles"] == 1000 and lines[0]["bound_by"] == {"forward": "compute"}
    with Log(path) as log:
        log.add(step(0, math.nan), {})
    assert json.loads(path.read_text())["loss"] is None  # JSON has no NaN


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboardX")
    from tensorboardX.proto import event_pb2

    with Log(board=tmp_path / "board") as log:
        log.add(step(0, 4.0), {})
        log.add(step(1, 3.0), {})
    (path,) = (tmp_path / "board").iterdir()
    found, data = {}, path.read_bytes()
    while data:  # records: length, its checksum, the event, its checksum
        size = int.from_bytes(data[:8], "little")
        event = event_pb2.Event.FromString(data[12 : 12 + size])
        for value in event.summary.value:
            found.setdefault(value.tag, []).append((event.step, value.simple_value))
        data = data[16 + size :]
    assert found.keys() == SCALARS.keys() and found["train/loss"] == [(1, 4.0), (2, 3.0)]


def test_files_that_cannot_be_written(tmp_path):
    with pytest.raises(ConfigError, match="No such file or directory"):
        Log(tmp_path / "none" / "run.jsonl")
