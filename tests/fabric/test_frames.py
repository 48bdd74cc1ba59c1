"""A Run as an xarray Dataset and as a pandas DataFrame: the same numbers, by name."""

import sys

import numpy as np
import pytest
from says import says

import wse
from wse import ConfigError
from wse.fabric import frames
from wse.fabric.run import COUNTERS


@pytest.fixture(scope="module")
def run():
    return wse.allreduce(np.ones((3, 4, 5)), activity=True).run


def test_the_dataset_holds_all_measurements(run):
    made = run.to_xarray()
    assert dict(made.sizes) == {"y": 3, "x": 4, "port": 5, "color": 24, "bin": 64}
    for name in COUNTERS:
        assert np.array_equal(made[name], run.counters[name]) and made[name].dims == ("y", "x")
    assert np.array_equal(made.links.sel(port="E"), run.links[wse._engine.E])
    assert np.array_equal(made.blocked.sel(port="ramp"), run.blocked[wse._engine.RAMP])
    assert int(made.color_links.sum()) == int(run.colors[..., 0].sum())
    assert np.array_equal(made.color_blocked, run.colors[..., 1])
    assert np.array_equal(made.activity, run.activity)
    assert int(made.series_flops.sum()) == run.flops and int(made.series_hops.sum()) == run.wavelet_hops
    assert int(made.series_busy.sum()) == int(run.busy.sum())
    assert made.cycle[1] == run.bin_cycles
    assert made.attrs["cycles"] == run.cycles and made.attrs["utilization"] == run.utilization
    assert "activity" not in wse.axpy(grid=(1, 1)).run.to_xarray()


def test_stalls_of_the_series(run):
    """Slots stalled on the fabric: the last column of Run.series."""
    assert np.array_equal(run.to_xarray().series_stalled, run.series[:, 3])


def test_the_frame_has_a_row_for_each_pe(run):
    made = run.to_dataframe()
    assert made.index.names == ["y", "x"] and len(made) == 12
    for name in COUNTERS:
        assert made.loc[(2, 1), name] == run.counters[name][2, 1]
    assert made.loc[(1, 3), "busy"] == run.busy[1, 3]
    assert made["links_W"].sum() == run.links[wse._engine.W].sum()
    assert made["blocked_ramp"].unstack().to_numpy().tolist() == run.blocked[wse._engine.RAMP].tolist()


def test_ports_are_those_of_the_engine():
    assert [getattr(wse._engine, port.upper()) for port in frames.PORTS] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("library", "method"), [("xarray", "to_xarray"), ("pandas", "to_dataframe")])
def test_a_missing_library_is_named(run, library, method, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    words = f"Run.{method} needs {library}, which is not installed: run pip install {library}, or pip install "
    with says(ConfigError, words + "'wse[notebook]'"):
        getattr(run, method)()
