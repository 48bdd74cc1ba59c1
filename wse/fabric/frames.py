"""Measurements of a Run as an xarray Dataset and as a pandas DataFrame.

xarray and pandas belong to the extra `notebook`; they are imported when a function here is called.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from ..errors import ConfigError

PORTS = ("N", "E", "S", "W", "ramp")
SERIES = ("busy", "hops", "flops", "stalled")  # columns of Run.series


def library(name: str, of: str) -> Any:
    """The module of that name.  ConfigError if it is not installed."""
    try:
        return import_module(name)
    except ImportError:
        raise ConfigError(
            f"{of} needs {name}, which is not installed: run pip install {name}, or pip install 'wse[notebook]'"
        ) from None


def dataset(run: Any) -> Any:
    """A Dataset of a Run, with the coordinates y, x, port, color, bin and cycle (the first of each bin).

    Variables: each counter [y, x]; `links` and `blocked` [port, y, x]; `color_links` and `color_blocked` [color, port];
    `series_busy`, `series_hops`, `series_flops` and `series_stalled` [bin]; `activity` [bin, y, x] if it was recorded,
    [bin, y, x_part] if its numbers are those of `Run.activity_step` PEs of a row.
    Attributes: machine, profile, clock_hz, cycles, ended, utilization and bin_cycles.
    """
    xarray = library("xarray", "Run.to_xarray")
    bins = np.arange(len(run.series))
    variables: dict[str, Any] = {name: (("y", "x"), plane) for name, plane in run.counters.items()}
    variables |= {name: (("port", "y", "x"), getattr(run, name)) for name in ("links", "blocked")}
    for at, name in enumerate(("color_links", "color_blocked")):
        variables[name] = (("color", "port"), run.colors[..., at])
    variables |= {f"series_{name}": (("bin",), run.series[:, at]) for at, name in enumerate(SERIES)}
    if run.activity is not None:
        along = "x" if run.activity_step == 1 else "x_part"  # a part of a row
        variables["activity"] = (("bin", "y", along), run.activity)
    coordinates = {
        "y": np.arange(run.height),
        "x": np.arange(run.width),
        "port": list(PORTS),
        "color": np.arange(len(run.colors)),
        "bin": bins,
        "cycle": (("bin",), bins * run.bin_cycles),
    }
    names = ("machine", "profile", "clock_hz", "cycles", "ended", "utilization", "bin_cycles")
    return xarray.Dataset(variables, coordinates, {name: getattr(run, name) for name in names})


def dataframe(run: Any) -> Any:
    """A DataFrame of a Run, with a row for each PE, indexed by (y, x).

    Columns: each counter; `busy`, the sum of the busy_ counters; `links_PORT` and `blocked_PORT` for the ports N, E, S,
    W and ramp.
    """
    pandas = library("pandas", "Run.to_dataframe")
    columns = {name: plane.ravel() for name, plane in run.counters.items()} | {"busy": run.busy.ravel()}
    for name in ("links", "blocked"):
        columns |= {f"{name}_{port}": plane.ravel() for port, plane in zip(PORTS, getattr(run, name), strict=True)}
    places = pandas.MultiIndex.from_product([range(run.height), range(run.width)], names=["y", "x"])
    return pandas.DataFrame(columns, index=places)
