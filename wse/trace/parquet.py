"""Events as a Parquet table, for DuckDB, pandas, Polars and the like.  pyarrow is imported when a table is written.

A row is an event.  The version in the file's metadata (key `wse`, a JSON object with `version`, `machine`, `profile`,
`width`, `height`, `cycles`, `clock_hz`, `dropped`) grows when a column changes its meaning or goes away.
"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..fabric.run import Run
from . import events

VERSION = 1
COLUMNS = ("cycle", "x", "y", "event", "lane", "name", "control", "value")


def check() -> Any:
    """The modules of pyarrow; ConfigError if it is not installed."""
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError:
        raise ConfigError("a trace as .parquet needs pyarrow: pip install 'wse[trace]'") from None


def write(run: Run, path: Path) -> None:
    """Writes the events of a run, a row group for each block of them."""
    pa, parquet = check()
    text = pa.dictionary(pa.int32(), pa.string())
    schema = pa.schema(
        [
            ("cycle", pa.uint64()),
            ("x", pa.uint32()),
            ("y", pa.uint32()),
            ("event", text),  # lower-case row of csrc/tables/events.def
            ("lane", text),  # main, microthread N, wavelets
            ("name", text),  # of the task, instruction, color, or cause of a wait
            ("control", pa.bool_()),  # of a wavelet
            ("value", pa.uint32()),  # of a wavelet, mark or signal; null for others
        ],
        metadata={"wse": json.dumps(about(run))},
    )
    names, kinds = events.Names(run), [row.lower() for row, _, _ in events.kinds()]
    with parquet.ParquetWriter(path, schema, compression="zstd") as file:
        for block in events.blocks(events.in_order(run)):
            file.write_table(pa.table(_columns(pa, block, run.width, names, kinds), schema=schema))


def about(run: Run) -> dict[str, Any]:
    """The metadata of the file."""
    return {
        "version": VERSION,
        "machine": run.machine,
        "profile": run.profile,
        "width": run.width,
        "height": run.height,
        "cycles": run.cycles,
        "clock_hz": run.clock_hz,
        "dropped": run.events_dropped,
    }


def _columns(pa: Any, block: np.ndarray, width: int, names: events.Names, kinds: list[str]) -> list[Any]:
    """The columns of a block of events; names are looked up once for each combination of kind and argument."""
    kind, a, b = (block[field].astype(np.int64) for field in ("kind", "a", "b"))
    known = np.isin(kind, [i for i, row in enumerate(kinds) if row in ("land", "hop", "mark", "hostsig")])
    keys, place = np.unique(kind << 32 | a << 16 | np.where(known, 0, b & 0xFFFF), return_inverse=True)
    rows = [(int(key >> 32), int(key >> 16 & 0xFFFF), int(key & 0xFFFF)) for key in keys]

    def column(values: list[str]) -> Any:
        different = list(dict.fromkeys(values))
        at = {value: i for i, value in enumerate(different)}
        codes = np.array([at[value] for value in values], np.int32)[place]
        return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(different, pa.string()))

    wavelets = [events.kind_name(k) in ("LAND", "HOP") for k, _, _ in rows]
    control = np.array([w and bool(arg & events.CONTROL) for w, (_, arg, _) in zip(wavelets, rows, strict=True)], bool)
    return [
        pa.array(block["cycle"]),
        pa.array((block["pe"] % width).astype(np.uint32)),
        pa.array((block["pe"] // width).astype(np.uint32)),
        column([events.kind_name(k).lower() for k, _, _ in rows]),
        column([events.lane_name(events.lane_of(k, thread)) for k, _, thread in rows]),
        column([events.plain_name(names, k, arg) for k, arg, _ in rows]),
        pa.array(control[place]),
        pa.array(b.astype(np.uint32), mask=~known),
    ]
