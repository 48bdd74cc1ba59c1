"""wse/report/text.py: words and numbers."""

import math

import numpy as np
import pytest
from synthetic import make_run

from wse.report import text


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (0, "", "0"),
        (7, "PEs", "7 PEs"),
        (999, "", "999"),
        (1000, "", "1 k"),
        (1234, "", "1.23 k"),
        (12_345, "", "12.3 k"),
        (999_999, "", "1 M"),
        (875_000_000, "Hz", "875 MHz"),
        (1.41e-05, "s", "14.1 µs"),
        (2.5e-9, "s", "2.5 ns"),
        (0.5, "s", "500 ms"),
        (-1500, "", "-1.5 k"),
        (1e30, "", "1000000000000 E"),
        (math.nan, "s", "- s"),
        (None, "", "-"),
    ],
)
def test_si(value, unit, words):
    assert text.si(value, unit) == words


def test_shares_are_of_all_pe_cycles_and_sorted():
    run = make_run(5, 3)
    shares = text.shares(run)
    assert sum(shares.values()) == pytest.approx(1)
    assert list(shares.values()) == sorted(shares.values(), reverse=True)
    idle = run.counters["idle"].sum() / (run.cycles * run.pes)
    assert shares["idle"] == pytest.approx(float(idle))
    assert "flops" not in shares


def test_shares_leave_out_what_never_happened():
    run = make_run(2, 2)
    run.counters["stall_bank"][:] = 0
    assert "stall_bank" not in text.shares(run)
    for plane in run.counters.values():
        plane[:] = 0
    assert text.shares(run) == {}


def test_busy_is_a_share_of_the_run():
    run = make_run(4, 2, cycles=100)
    expected = (run.counters["busy_scalar"] + run.counters["busy_vector"] + run.counters["busy_micro"]) / 100
    assert np.array_equal(text.busy(run), expected)
    assert text.busy(run).mean() == pytest.approx(run.utilization)


@pytest.mark.parametrize(
    ("cycles", "bins", "bin_cycles", "lengths"),
    [(10, 4, 4, [4, 4, 2]), (8, 4, 4, [4, 4]), (1, 4, 4, [1]), (0, 4, 4, []), (16, 4, 4, [4, 4, 4, 4])],
)
def test_bin_lengths_end_with_the_run(cycles, bins, bin_cycles, lengths):
    run = make_run(1, 1, cycles=cycles, series=np.zeros((bins, 4), np.uint64), bin_cycles=bin_cycles)
    assert text.bin_lengths(run).tolist() == lengths


def test_titles_name_kernel_machine_grid_and_clock():
    run = make_run(16, 8)
    assert text.title(run) == "gemm on wse3 (simulator), 16 x 8 PEs"
    assert text.duration(run) == "12,345 cycles, 14.1 µs at 875 MHz"
    assert text.duration(make_run(ended="deadlock")).endswith(", ended: deadlock")
    assert text.title(make_run(meta={})).startswith("run on wse3")


def test_figures_are_the_runs():
    run = make_run(4, 4)
    rows = dict(text.figures(run))
    assert rows["cycles"] == "12,345"
    assert rows["flops"] == f"{run.flops:,}"
    assert rows["wavelet-hops"] == f"{run.wavelet_hops:,}"
    assert rows["utilization (busy share of PE-cycles)"] == text.percent(run.utilization)
    assert rows["PE-cycles per second"] == text.si(run.pe_cycles / 1.25)


def test_figures_of_an_empty_run():
    run = make_run(1, 1, cycles=0, wall_seconds=0.0)
    rows = dict(text.figures(run))
    assert rows["cycles"] == "0"
    assert rows["flop/s at the clock"] == "- flop/s"
    assert "wall time" not in rows
