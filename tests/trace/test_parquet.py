"""wse/trace/parquet.py: the table has the events of the text, with types and a version that readers can rely on."""

import json
import sys

import numpy as np
import pytest
from synthetic import make_events, make_run

import wse
from wse import trace
from wse.fabric.run import COUNTERS
from wse.machine import isa
from wse.trace import events, parquet

pq = pytest.importorskip("pyarrow.parquet")
FMACS = isa.INSTRUCTION["fmacs"].opcode
INPUT = COUNTERS.index("stall_input")
ROWS = (
    (0, 1, "TASK_START", 9, 7),
    (2, 1, "OP_START", FMACS, 3),
    (3, 1, "WAIT_START", INPUT, 3),
    (5, 1, "WAIT_END", INPUT, 3),
    (8, 1, "OP_END", FMACS, 3),
    (9, 6, "LAND", 5, 0xFFFFFFFF),
    (9, 6, "LAND", 5 + 32, 1),
    (10, 1, "TASK_END", 9, 0),
    (13, 6, "MARK", 0, 300),
)


def written(run, folder):
    return pq.read_table(trace.write(run, folder / "a.parquet"))


def test_the_rows(tmp_path):
    run = make_run(4, 2, events=make_events(*ROWS), meta={"tasks": {"main": 9}, "colors": {"red": 5}})
    table = written(run, tmp_path)
    assert tuple(table.column_names) == parquet.COLUMNS
    rows = [tuple(row.values()) for row in table.to_pylist()]
    assert rows == [
        (0, 1, 0, "task_start", "main", "main", False, None),
        (2, 1, 0, "op_start", "microthread 3", "fmacs", False, None),
        (3, 1, 0, "wait_start", "microthread 3", "input", False, None),
        (5, 1, 0, "wait_end", "microthread 3", "input", False, None),
        (8, 1, 0, "op_end", "microthread 3", "fmacs", False, None),
        (9, 2, 1, "land", "wavelets", "red (color 5)", False, 0xFFFFFFFF),
        (9, 2, 1, "land", "wavelets", "red (color 5)", True, 1),
        (10, 1, 0, "task_end", "main", "main", False, None),
        (13, 2, 1, "mark", "main", "", False, 300),
    ]
    about = json.loads(table.schema.metadata[b"wse"])
    assert about["version"] == parquet.VERSION == 1
    assert (about["machine"], about["width"], about["height"], about["cycles"]) == (run.machine, 4, 2, run.cycles)
    assert about["dropped"] == 0


def test_blocks_and_an_empty_trace(tmp_path, monkeypatch):
    monkeypatch.setattr(events, "BLOCK", 2)
    run = make_run(4, 2, events=make_events(*ROWS))
    assert written(run, tmp_path).num_rows == len(ROWS)
    empty = make_run(4, 2, events=make_events(*ROWS)[:0])
    assert tuple(written(empty, tmp_path).column_names) == parquet.COLUMNS


def test_a_real_run_has_one_row_for_each_event(tmp_path):
    module = wse.kernels.load("reduce")
    config = {name: parameter.default for name, parameter in module.PARAMETERS.items()}
    run = module.run(config, wse.kernels.RunOptions(grid=(8, 1), trace=10**6)).run
    table = written(run, tmp_path)
    assert np.array_equal(table["cycle"].to_numpy(), run.events["cycle"])
    assert np.array_equal(table["x"].to_numpy(), run.events["pe"] % 8)
    text = [line.split(None, 3)[3] for line in list(events.lines(run))[1:]]
    for row, line in zip(table.to_pylist(), text, strict=True):
        assert line.startswith(row["event"].replace("_", " ")) and row["name"] in line


def test_without_pyarrow_the_name_is_refused_before_the_run(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(wse.ConfigError, match=r"needs pyarrow: pip install 'wse\[trace\]'"):
        trace.check(tmp_path / "a.parquet")
