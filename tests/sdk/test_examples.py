"""docs/examples: they pass; the kernel gemm in CSL gives the same product, to the bit, in a similar number of cycles."""

import re

import numpy as np
import pytest
from documents import ROOT

import wse
from wse.kernels import gemm
from wse.sdk import compile, conform
from wse.sdk.runtime import SdkRuntime
from wse.sdk.transfer import MemcpyDataType, MemcpyOrder
from wse.sdk.utils import make_u48

HOW = {"streaming": False, "order": MemcpyOrder.ROW_MAJOR, "nonblock": False}
WORDS, HALVES = MemcpyDataType.MEMCPY_32BIT, MemcpyDataType.MEMCPY_16BIT


def in_csl(arch: str, a: np.ndarray, b: np.ndarray, P: int) -> tuple[np.ndarray, int]:
    """The product and its cycles."""
    m, k, n = a.shape[0] // P, a.shape[1] // P, b.shape[1] // P
    params = {"P": P, "m": m, "k": k, "n": n}
    compile.run(compile.Request(ROOT / "docs/examples/gemm/layout.csl", params, arch=arch))
    runner = SdkRuntime("out")
    A, B, C, time = (runner.get_id(name) for name in ("A", "B", "C", "time"))
    runner.load()
    runner.run()
    tiles_of_a = a.reshape(P, m, P, k).transpose(0, 2, 3, 1).ravel()
    tiles_of_b = b.reshape(P, k, P, n).transpose(0, 2, 1, 3).ravel()
    runner.memcpy_h2d(A, tiles_of_a, 0, 0, P, P, k * m, data_type=WORDS, **HOW)
    runner.memcpy_h2d(B, tiles_of_b, 0, 0, P, P, k * n, data_type=WORDS, **HOW)
    runner.launch("multiply", nonblock=False)
    c, times = np.zeros(P * P * n * m, np.float32), np.zeros(P * P * 6, np.uint32)
    runner.memcpy_d2h(c, C, 0, 0, P, P, n * m, data_type=WORDS, **HOW)
    runner.memcpy_d2h(times, time, 0, 0, P, P, 6, data_type=HALVES, **HOW)
    runner.stop()
    cycles = max(make_u48(t[3:]) - make_u48(t[:3]) for t in times.reshape(-1, 6))
    return c.reshape(P, P, n, m).transpose(0, 3, 1, 2).reshape(P * m, P * n), cycles


@pytest.mark.parametrize("arch", wse.machine.parameters.MACHINES)
@pytest.mark.parametrize(("P", "size"), [(2, 8), (4, 64), (3, 15)])
def test_the_same_product_as_the_kernel(arch, P, size):
    machine = wse.Machine(arch)
    config = {"M": size, "K": size, "N": size, "dtype": "f32", "accumulate": "same"}
    tiling = gemm.plan(config, (P, P), machine)
    rng = np.random.default_rng(P)
    a, b = (rng.standard_normal((size, size), dtype=np.float32) for _ in range(2))
    fabric = wse.Fabric(gemm.build(tiling, machine))
    gemm.load(fabric, tiling, a, b)
    run = fabric.run()
    product, cycles = in_csl(arch, a, b, P)
    assert np.array_equal(product.view(np.uint32), gemm.product(fabric, tiling).view(np.uint32))
    if size == 64:
        row = re.search(
            rf"\| {arch.upper().replace('WSE', 'WSE-')} \| ([\d,]+) \| ([\d,]+) \|", (ROOT / "docs/csl.md").read_text()
        )
        written = [int(figure.replace(",", "")) for figure in row.groups()]
        assert written == pytest.approx([run.cycles, cycles], rel=0.05), "docs/csl.md"


@pytest.mark.parametrize("arch", wse.machine.parameters.MACHINES)
def test_examples_run_by_their_own_scripts(arch):
    outcomes = list(conform.run(conform.find(ROOT / "docs/examples"), (arch,)))
    assert [(o.name, o.status, o.reason) for o in outcomes] == [("gemm", "pass", ""), ("heat", "pass", "")]
