"""gemv: products to the bit on any grid, in any type, in the order of the program."""

import math

import numpy as np
import pytest
from running import is_exact
from running import run as run_kernel
from says import says

import wse
from wse import Machine
from wse.errors import ConfigError
from wse.kernels import data, gemv

TYPES = [
    ("f16", "same"),
    ("bf16", "same"),
    ("cb16", "same"),
    ("f32", "same"),
    ("f16", "f32"),
    ("bf16", "f32"),
    ("cb16", "f32"),
]
GRIDS = [(1, 1), (1, 3), (2, 1), (2, 2), (3, 1), (4, 4), (5, 3), (6, 2)]


def run(sizes, grid, dtype="f16", accumulate="same", **options):
    return run_kernel(gemv, grid, M=sizes[0], K=sizes[1], dtype=dtype, accumulate=accumulate, **options)


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize("dtype, accumulate", TYPES)
def test_values(dtype, accumulate, arch):
    for grid in GRIDS:
        for sizes in ((16, 16), (37, 41), (1, 1), (2, 9)):
            assert is_exact(run(sizes, grid, dtype, accumulate, arch=arch)), (grid, sizes)


def test_reference_is_the_order_of_the_program():
    """Two columns of PEs: 1 + 2048 of the first are added to the 1 of the second, each sum rounded to f16."""
    of = data.arithmetic("f16")
    a, x = np.array([[1, 2048, 1]]), np.ones((3, 1))
    assert gemv.reference(a, x, 2, of) == [2048]  # (1 + 2048 rounds to 2048) + 1 does again
    assert gemv.reference(a[:, ::-1], x, 2, of) == [2048]
    assert gemv.reference(np.array([[2048, 1, 1]]), x, 1, of) == [2050]  # 2048 + (1 + 1)
    assert gemv.reference(np.array([[2048, 1, 1]]), x, 3, of) == [2048]


def test_the_program_adds_in_that_order():
    """The same on a fabric, where the tiles are written by hand."""
    for width, expected in ((3, 2050), (1, 2048)):
        given = {"M": 1, "K": 3, "dtype": "f16", "accumulate": "same"}
        program = gemv.build(given, (width, 1), Machine("wse3"))
        fabric = wse.Fabric(program)
        k, m = program.shared["A"].shape
        tiles = np.zeros((1, width, k, m))
        tiles[..., 0] = np.array([2048, 1, 1]).reshape(1, width, k)
        fabric.write("A", tiles)
        fabric.write("x", np.ones((1, width, k)))
        fabric.run()
        assert fabric.read("y")[0, 0, 0] == expected


def test_counts():
    w, h, M, K = 4, 3, 24, 20
    run_ = run((M, K), (w, h)).run
    assert run_.flops == 2 * M * K + M * (w - 1)
    down, west = K * (h - 1), M // 2 * (w - 1)  # x goes one to a wavelet, 16-bit sums two
    assert run_.wavelet_hops == down + west == run_.total("wavelets_in")
    assert run_.total("wavelets_out") == K + west
    assert run_.total("stall_bank") == 0


def test_a_column_takes_its_slots():
    """Beyond the RAW distance of y, a column of 64 takes 64 / 4 + 1."""
    short, long = (run((64, K), (1, 1)).run.cycles for K in (10, 110))
    assert long - short == 100 * 17
    short, long = (run((64, K), (1, 1), "f32").run.cycles for K in (10, 110))
    assert long - short == 100 * 65


def test_classes_on_a_large_grid():
    config = {"M": 4000, "K": 3000, "dtype": "f16", "accumulate": "same"}
    program = gemv.build(config, (750, 1170), Machine("wse3"))
    assert program.check() == []
    assert len(program.classes) == 8


def test_defaults():
    result = run_kernel(gemv)
    assert is_exact(result)
    assert result.run.meta["kernel"] == "gemv"
    assert result.run.meta["parameters"] == {"M": 1024, "K": 1024, "dtype": "f16", "accumulate": "same"}
    assert result.run.utilization > 0.75


def test_what_the_host_does_makes_no_difference():
    whole = run((40, 40), (4, 4)).run
    assert whole.diff(run((40, 40), (4, 4), threads=2).run) == []
    assert whole.diff(run((40, 40), (4, 4), trace=10**6).run) == ["events"]


def test_a_run_that_was_cut_short():
    result = run((64, 64), (2, 2), max_cycles=50)
    assert result.run.ended == "limit"
    assert not result.verified and math.isnan(result.max_error)


def test_a_wrong_product_is_noticed(monkeypatch):
    correct = gemv.reference
    monkeypatch.setattr(gemv, "reference", lambda *args: correct(*args) + np.float32(0.25))
    result = run((8, 8), (2, 2))
    assert not result.verified and result.max_error == 0.25


@pytest.mark.parametrize(
    "change, message",
    [
        ({"M": 0}, "M of gemv must be at least 1, not 0"),
        ({"K": "7"}, "K of gemv is of type int, not '7'"),
        ({"dtype": "i16"}, "dtype of gemv is one of f16, bf16, cb16, f32, not 'i16'; did you mean f16?"),
        (
            {"M": 1000, "K": 700},
            "gemv of 1000 x 700 (f16) on 4 x 4 PEs needs 90974 bytes per PE for tiles of 256 x 175, vectors and code; "
            "a PE has 49152: use a smaller matrix or a larger grid",
        ),
    ],
)
def test_bad_parameters(change, message):
    with says(ConfigError, message):
        run_kernel(gemv, (4, 4), **change)


@pytest.mark.parametrize("dtype, accumulate", TYPES)
def test_the_largest_that_is_accepted_fits(dtype, accumulate):
    config = {"M": 64, "K": 1, "dtype": dtype, "accumulate": accumulate}
    with pytest.raises(ConfigError):
        while True:
            gemv.build(config, (1, 1), Machine("wse3"))
            config["K"] += 1
    gemv.build(config | {"K": config["K"] - 1}, (1, 1), Machine("wse3")).check()
    gemv.build(config | {"K": 3 * config["K"] - 3}, (3, 3), Machine("wse3")).check()
