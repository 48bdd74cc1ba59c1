"""The cases of `wse bench`: each runs in a process of its own, checks its result, and measures it several times.

A case is a function of a Job and a Meter.  A long case runs in one fabric and is sampled window by window, so that
the start-up, in which the fabric fills with wavelets, is not measured.  A short case is repeated.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..fabric.fabric import Fabric
from ..fabric.run import Run
from ..kernels import data, gemm
from ..machine.parameters import Machine
from ..records import dataclass
from .meter import Counts, Meter, resident_bytes
from .programs import Scalar, Streams, Tasks, every, pages, require

MOST, LEAST = 12, 3  # samples


@dataclass(frozen=True)
class Job:
    """What to measure.

    case: name in CASES.  threads: of the host.  seconds: approximate time of all samples.  grid: (width, height) in
    PEs; None: that of the case.  portable: without AVX2 and AVX-512.
    """

    case: str
    threads: int = 1
    seconds: float = 4.0
    grid: tuple[int, int] | None = None
    portable: bool = False
    arch: str = "wse3"

    @property
    def machine(self) -> Machine:
        """The machine to emulate."""
        return Machine(self.arch)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in PEs."""
        return self.grid or CASES[self.case].grid or self.wafer

    @property
    def wafer(self) -> tuple[int, int]:
        """(width, height) of the PEs that programs may use on a whole wafer."""
        return 750, self.machine.user_height

    @property
    def options(self) -> dict:
        """Keyword arguments of Fabric."""
        return {"threads": self.threads, "portable": self.portable}


@dataclass(frozen=True)
class Case:
    """A case.  words: description in tables.  grid: (width, height) in PEs; None for the whole wafer."""

    words: str
    run: Callable[[Job, Meter], None]
    grid: tuple[int, int] | None = None


def dense(job: Job, meter: Meter, window: int, finish: bool) -> None:
    """Streams in all rows and columns.  window: cycles of a sample.  finish: also run to the end, and check."""
    width, height = job.size
    streams(job, meter, np.arange(height), np.arange(width), window, finish)


def sparse(job: Job, meter: Meter, window: int) -> None:
    """Streams in one row and one column of 200."""
    width, height = job.size
    streams(job, meter, every(height, 200), every(width, 200), window, False)


def sparse_rows(job: Job, meter: Meter, window: int) -> None:
    """Streams in one row of 100."""
    streams(job, meter, every(job.size[1], 100), np.arange(0), window, False)


def streams(job: Job, meter: Meter, rows: np.ndarray, columns: np.ndarray, window: int, finish: bool) -> None:
    """Streams in these rows and columns (integers [n])."""
    width, height = job.size
    machine = job.machine
    fill = machine.hop_cycles * max(width, height) + 64
    # A stream moves one wavelet per cycle until the stream that shares its ramps arrives; then both move at half of it.
    length = fill + MOST * window
    before(meter)
    with meter.timed("build"):
        program = Streams.program(width, height, machine, rows, columns, length)
        program.check(streams=None)
    with meter.timed("load"):
        loaded = Streams.load(program, rows, columns, length, **job.options)
    fabric = loaded.fabric
    held(meter, touched := pages(program), touched)
    with meter.timed("fill"):
        run = fabric.run(fill, progress=lambda cycle: meter.tell(f"filling, cycle {cycle:,} of {fill:,}"))
    run = windows(job, meter, fabric, run, window)
    meter.run_bytes = resident_bytes()
    with meter.timed("check"):
        loaded.check(run)
        if finish:
            loaded.check(fabric.run())
    meter.cycles = run.cycles


def windows(job: Job, meter: Meter, fabric: Fabric, run: Run, window: int) -> Run:
    """Take samples of `window` cycles each until the time is up; returns the last Run.  run: that of the start-up."""
    at = Counts.of(run)
    while len(meter.samples) < LEAST or (len(meter.samples) < MOST and meter.measured_seconds < job.seconds):
        meter.tell(f"sample {len(meter.samples) + 1}")
        run = None  # type: ignore[assignment]  # counters of a whole wafer take gigabytes: hold one copy
        run = fabric.run(window)
        require(run.ended == "limit", "the program ended while it was measured")
        at = meter.sample(run, at)
    return run


def scalar(job: Job, meter: Meter) -> None:
    """A scalar loop on all PEs; each sample is a launch."""
    width, height = job.size
    trips = 400
    before(meter)
    with meter.timed("build"):
        program = Scalar.program(width, height, job.machine, trips)
        program.check(streams=None)
    with meter.timed("load"):
        loop = Scalar.load(program, trips, **job.options)
    held(meter, touched := pages(program, ("state", "total", "mixed")), touched)
    at = Counts()
    while len(meter.samples) < LEAST or (len(meter.samples) < 10 * MOST and meter.measured_seconds < job.seconds):
        meter.tell(f"sample {len(meter.samples) + 1}")
        run = loop.run()
        at = meter.sample(run, at)
    meter.run_bytes = resident_bytes()
    with meter.timed("check"):
        loop.check(run)
    meter.cycles = run.cycles


def tasks(job: Job, meter: Meter) -> None:
    """A data task for each wavelet of a stream in each row."""
    width, height = job.size
    window = 2048
    fill = job.machine.hop_cycles * width + 64
    length = (fill + MOST * window) // 4  # a task takes more than 4 cycles
    before(meter)
    with meter.timed("build"):
        program = Tasks.program(width, height, job.machine)
        program.check(streams=None)
    with meter.timed("load"):
        loaded = Tasks.load(program, length, **job.options)
    held(meter, touched := pages(program, ("total",)), touched)
    run = windows(job, meter, loaded.fabric, loaded.fabric.run(fill), window)
    meter.run_bytes = resident_bytes()
    with meter.timed("check"):
        loaded.check(loaded.fabric.run())
    meter.cycles = run.cycles


ARRAYS = ("A", "B", "C", "panel_a0", "panel_b0", "panel_a1", "panel_b1")


def product(job: Job, meter: Meter, dtype: str, rows: int, columns: int, inner: int, most: int) -> None:
    """C = A B with tiles of rows x columns per PE.  inner: columns of A.  most: largest number of samples."""
    width, height = job.size
    config = {"M": rows * height, "K": inner, "N": columns * width, "dtype": dtype, "accumulate": "same"}
    tiling = gemm.plan(config, job.size, job.machine)
    of = tiling.arithmetic
    rng = np.random.default_rng(0)
    a, b = data.random(rng, (tiling.M, tiling.K), of), data.random(rng, (tiling.K, tiling.N), of)
    meter.multiplies = True
    before(meter)
    with meter.timed("build"):
        program = gemm.build(tiling, job.machine)
        program.check(streams=None)
    first: np.ndarray | None = None
    while len(meter.samples) < most and (len(meter.samples) < min(most, LEAST) or meter.measured_seconds < job.seconds):
        fabric = None  # free the previous one, which takes gigabytes for a whole wafer
        with meter.timed("load"):
            fabric = Fabric(program, **job.options)
            gemm.load(fabric, tiling, a, b)
        if first is None:
            held(meter, pages(program, ("A", "B")), pages(program, ARRAYS))
        name = f"sample {len(meter.samples) + 1}"
        run = fabric.run(progress=lambda cycle: meter.tell(f"{name}, cycle {cycle:,}"))  # noqa: B023 - used at once
        meter.sample(run, Counts())
        meter.cycles = run.cycles
        del run
        if first is None:
            meter.run_bytes = resident_bytes()
        with meter.timed("check"):
            c = gemm.product(fabric, tiling)
            if first is None:
                first = c
                require(data.same_bits(c, of.matmul(a, b)), "the product differs from its reference")
            require(data.same_bits(c, first), "two runs gave two products")


def load(job: Job, meter: Meter) -> None:
    """Build and load a matrix product, without running it."""
    width, height = job.size
    config = {"M": 4 * height, "K": max(width, height), "N": 4 * width, "dtype": "f16", "accumulate": "same"}
    tiling = gemm.plan(config, job.size, job.machine)
    of = tiling.arithmetic
    rng = np.random.default_rng(0)
    a, b = data.random(rng, (tiling.M, tiling.K), of), data.random(rng, (tiling.K, tiling.N), of)
    before(meter)
    with meter.timed("build"):
        program = gemm.build(tiling, job.machine)
        program.check(streams=None)
    with meter.timed("load"):
        fabric = Fabric(program, **job.options)
        gemm.load(fabric, tiling, a, b)
    held(meter, touched := pages(program, ("A", "B")), touched)
    meter.run_bytes = meter.idle_bytes
    with meter.timed("check"):
        own = fabric.read("A")[:, :, :, : tiling.rows].swapaxes(2, 3)
        require(data.same_bits(data.untile(own, tiling.M, tiling.K), a), "A is not where it was copied to")


def before(meter: Meter) -> None:
    """Record the memory of the process before the program is built."""
    meter.before_bytes = resident_bytes()


def held(meter: Meter, loaded_pages: int, run_pages: int) -> None:
    """Record the memory of the process after loading, and the pages of SRAM that PEs touch when loaded and when run."""
    meter.idle_bytes = resident_bytes()
    meter.sram_bytes = (4096 * loaded_pages, 4096 * run_pages)


CASES = {
    "dense-64": Case(
        "every row and column a stream that every PE stores", lambda j, m: dense(j, m, 2048, True), (64, 64)
    ),
    "dense-256": Case(
        "every row and column a stream that every PE stores", lambda j, m: dense(j, m, 2048, True), (256, 256)
    ),
    "dense-wafer": Case("every row and column a stream that every PE stores", lambda j, m: dense(j, m, 512, False)),
    "sparse-wafer": Case("streams in one row and one column of 200: 1 % of the PEs", lambda j, m: sparse(j, m, 2048)),
    "sparse-rows": Case("streams in one row of 100, no column: 1 % of the PEs", lambda j, m: sparse_rows(j, m, 2048)),
    "gemm-f16": Case(
        "matrix product, tiles of 256 x 48", lambda j, m: product(j, m, "f16", 256, 48, 8 * max(j.size), MOST), (32, 16)
    ),
    "gemm-f32": Case(
        "matrix product, tiles of 64 x 64", lambda j, m: product(j, m, "f32", 64, 64, 40 * max(j.size), MOST), (8, 8)
    ),
    "scalar": Case("a loop of integer and float instructions with branches that depend on data", scalar, (64, 64)),
    "tasks": Case("a data task of four instructions for every wavelet of every row's stream", tasks, (64, 64)),
    "load-wafer": Case("a matrix product's program built and loaded", load),
    "gemm-wafer": Case("matrix product, tiles of 32 x 16, K = 16", lambda j, m: product(j, m, "f16", 32, 16, 16, 1)),
}
