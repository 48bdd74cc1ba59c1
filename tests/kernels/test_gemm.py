"""gemm: products to the bit on any grid, in any type; what goes where, and what it takes."""

import math

import numpy as np
import pytest
from running import is_exact
from running import run as run_kernel
from says import says

import wse
from wse import Machine
from wse.errors import ConfigError
from wse.kernels import data, gemm

TYPES = [
    ("f16", "same"),
    ("bf16", "same"),
    ("cb16", "same"),
    ("f32", "same"),
    ("f16", "f32"),
    ("bf16", "f32"),
    ("cb16", "f32"),
]
# Grids with products: even, odd, larger and smaller than the grid, of uneven parts, with PEs that have no part.
CASES = {
    (1, 1): [(8, 8, 8), (1, 1, 1), (5, 70, 3)],
    (1, 3): [(9, 10, 4), (2, 1, 2)],
    (3, 1): [(9, 10, 4), (2, 2, 1)],
    (2, 2): [(16, 16, 16), (7, 5, 3)],
    (4, 4): [(32, 32, 32), (33, 31, 30), (1, 1, 1)],
    (5, 3): [(37, 41, 29), (3, 7, 11)],
}


def run(sizes, grid, dtype="f16", accumulate="same", **options):
    return run_kernel(gemm, grid, M=sizes[0], K=sizes[1], N=sizes[2], dtype=dtype, accumulate=accumulate, **options)


def config(sizes, dtype="f16", accumulate="same"):
    return {"M": sizes[0], "K": sizes[1], "N": sizes[2], "dtype": dtype, "accumulate": accumulate}


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize("dtype, accumulate", TYPES)
def test_values(dtype, accumulate, arch):
    for grid, products in CASES.items():
        for sizes in products:
            result = run(sizes, grid, dtype, accumulate, arch=arch)
            assert is_exact(result), (grid, sizes)
            # To the bit of a model of the same arithmetic: how far that is from the true product is another matter.
            step = {"f16": 2**-11, "bf16": 2**-8, "cb16": 2**-10}.get(dtype if accumulate == "same" else "", 2**-24)
            assert result.extra["max_error_float64"] <= sizes[1] ** 2 * step
            assert result.run.total("stall_bank") == 0


def test_against_a_loop_of_instructions():
    """The kernel and its reference model against the twin of the instruction, element by element."""
    config_, grid = config((3, 9, 2)), (2, 2)
    machine = Machine("wse3")
    tiling = gemm.plan(config_, grid, machine)
    rng = np.random.default_rng(3)
    a, b = (wse.machine.numerics.round16(rng.normal(size=shape), "f16") for shape in ((3, 9), (9, 2)))
    fabric = wse.Fabric(gemm.build(tiling, machine))
    gemm.load(fabric, tiling, a, b)
    assert fabric.run().ended == "done"
    bits = wse.machine.numerics.to_bits
    for i, j in np.ndindex(3, 2):
        total = np.uint32(0)
        for k in range(9):
            total = wse.machine.numerics.element("fmach", "f16", total, bits(a[i, k], "f16"), bits(b[k, j], "f16"))
        assert bits(gemm.product(fabric, tiling)[i, j], "f16") == total


def test_layout():
    tiling = gemm.plan(config((7, 10, 5)), (2, 3), Machine("wse3"))
    fabric = wse.Fabric(gemm.build(tiling, Machine("wse3")))
    a, b = np.arange(1, 71).reshape(7, 10), np.arange(101, 151).reshape(10, 5)
    gemm.load(fabric, tiling, a, b)
    assert (tiling.rows, tiling.m, tiling.ka, tiling.kb, tiling.columns) == (3, 8, 5, 4, 3)
    tiles_a, tiles_b = fabric.read("A"), fabric.read("B")
    for y, x, k, row in np.ndindex(tiles_a.shape):
        i, column = y * 3 + row, x * 5 + k
        assert tiles_a[y, x, k, row] == (a[i, column] if row < 3 and i < 7 and column < 10 else 0)
    for y, x, k, n in np.ndindex(tiles_b.shape):
        i, column = y * 4 + k, x * 3 + n
        assert tiles_b[y, x, k, n] == (b[i, column] if i < 10 and column < 5 else 0)


@pytest.mark.parametrize("dtype, accumulate, size", [("f16", "same", 2), ("f16", "f32", 2), ("f32", "same", 4)])
def test_counts(dtype, accumulate, size):
    """Each PE multiplies whole tiles; a panel's wavelets land on all but its root, and cross each link of the way once."""
    w, h, M, K, N = 4, 2, 16, 24, 24
    run_ = run((M, K, N), (w, h), dtype, accumulate).run
    assert run_.flops == 2 * M * K * N
    wavelets_a, wavelets_b = M * K * size // 4, K * N * size // 4
    changes = (w - 1) * h + (h - 1) * w
    assert run_.total("wavelets_in") == wavelets_a * (w - 1) + wavelets_b * (h - 1)
    assert run_.total("wavelets_out") == wavelets_a + wavelets_b + changes
    # A change of root is one wavelet that goes to all other routers of its line, and to no compute element.
    assert run_.wavelet_hops == run_.total("wavelets_in") + (w - 1) ** 2 * h + (h - 1) ** 2 * w


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_a_tile_of_64_keeps_its_pe_busy(arch):
    run_ = run((128, 128, 128), (2, 2), arch=arch).run
    operations = 128 * 64 * (64 // 4 + 1)  # k, n, and what one takes
    moved = 128 * 64  # wavelets of A and B: each PE sends half of them and receives the others
    assert operations + moved < run_.cycles < 1.03 * (operations + moved)
    assert run_.utilization > 0.93


def test_pes_of_16_by_16():
    result = run_kernel(gemm)
    assert is_exact(result)
    assert (result.run.width, result.run.height) == (16, 16)
    assert result.parameters == config((256, 256, 256)) == result.run.meta["parameters"]
    assert result.run.meta["kernel"] == "gemm"
    assert result.run.utilization > 0.75


def test_small_panels_where_memory_is_short():
    machine = Machine("wse3")
    tiling = gemm.plan(config((32, 64, 32)), (1, 1), machine)
    assert tiling.panel == gemm.PANEL
    tight = gemm.plan(config((80, 80, 96)), (1, 1), machine)
    assert tight.panel < gemm.PANEL and 2 * tight.panel * tight.k_bytes + sum(tight.tile_bytes) <= machine.sram_bytes
    gemm.build(tight, machine).check()
    assert is_exact(run((80, 80, 96), (1, 1)))


@pytest.mark.parametrize("dtype, accumulate", TYPES)
@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_code_fits_into_what_is_reserved(dtype, accumulate, arch):
    program = gemm.build(gemm.plan(config((5, 5, 5), dtype, accumulate), (3, 3), Machine(arch)), Machine(arch))
    (pe,) = program.classes.values()
    assert pe.code_bytes + 16 * len(pe.descriptors) <= gemm.RESERVED


def test_a_whole_wafer_is_built_at_once():
    machine = Machine("wse3")
    program = gemm.build(gemm.plan(config((9360, 1170, 3000)), (750, 1170), machine), machine)
    assert program.check() == []
    assert len(program.classes) == 1 and len(program.routes.calls) == 6


def test_what_the_host_does_makes_no_difference():
    whole = run((40, 40, 40), (4, 4)).run
    assert whole.diff(run((40, 40, 40), (4, 4), threads=2).run) == []
    assert whole.diff(run((40, 40, 40), (4, 4), trace=10**6).run) == ["events"]
    machine, tiling = Machine("wse3"), gemm.plan(config((40, 40, 40)), (4, 4), Machine("wse3"))
    fabric, rng = wse.Fabric(gemm.build(tiling, machine)), np.random.default_rng(0)
    gemm.load(fabric, tiling, *(data.random(rng, (40, 40), tiling.arithmetic) for _ in "AB"))
    while (pieces := fabric.run(max_cycles=97)).ended == "limit":
        pass
    assert whole.diff(pieces) == []


def test_the_seed_makes_the_inputs():
    first, again, other = (run((8, 8, 8), (2, 2), seed=seed).extra["max_error_float64"] for seed in (1, 1, 2))
    assert first == again != other


def test_a_wrong_product_is_noticed(monkeypatch):
    def product(fabric, tiling):
        c = correct(fabric, tiling)
        c[3, 4] = np.nextafter(c[3, 4], np.float32(9))
        return c

    correct = gemm.product
    monkeypatch.setattr(gemm, "product", product)
    result = run((8, 8, 8), (2, 2))
    assert not result.verified and 0 < result.max_error < 1e-6


def test_large_products_are_sampled(monkeypatch):
    monkeypatch.setattr(gemm, "CHECKED", 40 * 40 * 40 // 16)
    result = run((40, 40, 40), (2, 2))
    assert result.verified and result.extra["compared"] == [10, 10]
    assert result.text[0] == "compared     10 rows and 10 columns of C, not all: the model is slow"


def test_a_run_that_was_cut_short():
    result = run((16, 16, 16), (2, 2), max_cycles=100)
    assert result.run.ended == "limit" and result.run.cycles <= 100
    assert not result.verified and math.isnan(result.max_error)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"M": 0}, "M of gemm must be at least 1, not 0"),
        ({"K": -3}, "K of gemm must be at least 1, not -3"),
        ({"N": 2.5}, "N of gemm is of type int, not 2.5"),
        ({"N": True}, "N of gemm is of type int, not True"),
        ({"dtype": "f64"}, "dtype of gemm is one of f16, bf16, cb16, f32, not 'f64'; did you mean f16?"),
        ({"accumulate": "f16"}, "accumulate of gemm is one of same, f32, not 'f16'"),
        ({"L": 3}, "gemm has no parameter 'L': known: K, M, N, accumulate, dtype"),
        (
            {"M": 1024, "K": 1024, "N": 512},
            "gemm of 1024 x 1024 x 512 (f16, f16 sums) on 4 x 4 PEs needs 262144 bytes per PE for its tiles and 1536 for "
            "the least panels, beside 1280 for code; a PE has 49152: use smaller matrices or a larger grid (10x10)",
        ),
    ],
)
def test_bad_parameters(change, message):
    with says(ConfigError, message):
        run_kernel(gemm, (4, 4), **change)


def test_the_grid_of_the_advice_is_large_enough():
    assert gemm.plan(config((1024, 1024, 512)), (10, 10), Machine("wse3")).panel > 0
    with pytest.raises(ConfigError):
        gemm.plan(config((1024, 1024, 512)), (9, 9), Machine("wse3"))


def test_a_memory_too_small_for_any_grid():
    message = (
        "gemm of 2 x 3 x 4 (f32, f32 sums) on 1 x 1 PEs needs 160 bytes per PE for its tiles and 64 for the least "
        "panels, beside 1280 for code; a PE has 1000: use smaller matrices or a larger grid (none is large enough)"
    )
    with says(ConfigError, message):
        gemm.plan(config((2, 3, 4), "f32"), (1, 1), Machine("wse3", overrides={"sram_bytes": 1000}))


def test_a_missing_parameter():
    given = config((8, 8, 8))
    del given["K"]
    with says(ConfigError, "gemm needs a value for its parameter K"):
        gemm.plan(given, (2, 2), Machine("wse3"))
