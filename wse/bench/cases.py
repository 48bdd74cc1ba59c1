"""The cases of `wse bench`: each runs in a process of its own, checks its result, and measures it several times.

A case is a function of a Job and a Meter.  A long case runs in one fabric and is sampled window by window, so that
the start-up, in which the fabric fills with wavelets, is not measured.  A short case is repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import numpy as np

from .. import models
from ..execute.streaming import Streaming
from ..fabric.fabric import Fabric
from ..fabric.run import Run
from ..kernels import data, gemm
from ..machine.parameters import Machine
from ..memoryx import MemoryX
from ..records import dataclass
from ..train import checkpoint
from ..train.data import Batches, Text
from ..train.loop import Settings, Trainer
from .meter import MOST, RATES, Counts, Meter, resident_bytes
from .programs import Branches, Scalar, Short, Streams, Tasks, every, pages, require


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
    """A case.

    words: description in tables.  rate: the main one, a name in meter.RATES; "" for a case that is measured by its
    time.  grid: (width, height) in PEs; None for the whole wafer.  full: takes long, only in `wse bench --full`.
    threads: the most that make a difference.  parallel: only worth measuring with all threads.
    """

    words: str
    rate: str
    run: Callable[[Job, Meter], None]
    grid: tuple[int, int] | None = None
    full: bool = False
    threads: int = 1024
    parallel: bool = False


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
    while meter.wants_more(job.seconds):
        meter.tell(f"sample {len(meter.samples) + 1}")
        run = None  # type: ignore[assignment]  # counters of a whole wafer take gigabytes: hold one copy
        run = fabric.run(window)
        require(run.ended == "limit", "the program ended while it was measured")
        at = meter.sample(run, at)
    return run


def loop(
    job: Job, meter: Meter, kind: type[Scalar] | type[Short], trips: int, arrays: tuple[str, ...] = Scalar.ARRAYS
) -> None:
    """A loop of `trips` rounds on all PEs; each sample is a launch.  arrays: that it touches."""
    width, height = job.size
    before(meter)
    with meter.timed("build"):
        program = kind.program(width, height, job.machine, trips)
        program.check(streams=None)
    with meter.timed("load"):
        loop = kind.load(program, trips, **job.options)
    held(meter, touched := pages(program, arrays), touched)
    at = Counts()
    while meter.wants_more(job.seconds, 10 * MOST):
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


def short(job: Job, meter: Meter) -> None:
    """Operations of 16 elements; all of their floating-point operations are multiply-adds."""
    meter.multiplies = True
    loop(job, meter, Short, 32, ("a", "x", "y"))


def train(job: Job, meter: Meter) -> None:
    """Steps of `wse train --model nano`, on a text in which each token has one successor; a sample is a step.

    Multiply-adds are those of the model's products and attention, forward and backward.
    """
    model = models.load("nano")
    graph = models.graph(model)
    settings = Settings(rate=0.03, warmup=0, schedule="constant")
    before(meter)
    with meter.timed("build"):
        execution = Streaming(
            graph,
            8,
            job.machine,
            MemoryX(),
            dtype=settings.dtype,
            grid=job.size,
            threads=job.threads,
            portable=job.portable,
        )
    with meter.timed("load"):
        store = checkpoint.begin(None, graph, settings)
        text = (5 * np.arange(64 * model.sequence) % model.vocab).astype(np.uint16)
        batches = Batches(Text(text, "?" * model.vocab, False, ""), execution.batch, model.sequence, settings.seed)
        trainer = Trainer.start(execution, store, batches, settings)
        trainer.advance()  # compiles the optimiser
    held(meter, 0, 0)
    width, height = execution.grid
    while meter.wants_more(job.seconds):
        meter.tell(f"sample {len(meter.samples) + 1}")
        started = perf_counter()
        step = trainer.advance()
        seconds = perf_counter() - started
        multiply_adds = step.tokens * graph.flops(model.sequence) // 2
        meter.samples.append(Counts(seconds, step.cycles * width * height, flops=2 * int(multiply_adds)))
        meter.cycles = step.cycles
    meter.multiplies = True
    meter.run_bytes = resident_bytes()
    losses = [step.loss for step in trainer.history]
    require(abs(losses[0] / np.log(model.vocab) - 1) < 0.1, f"the first loss is {losses[0]:.3f}, not that of a guess")
    require(losses[-1] < losses[0] - 0.05, f"the loss did not fall: {losses[0]:.3f} to {losses[-1]:.3f}")


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
    while meter.wants_more(job.seconds, most):
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


PE_CYCLES, HOPS, INSTRUCTIONS, FMA = RATES

CASES = {
    "dense-64": Case(
        "every row and column a stream that every PE stores", HOPS, lambda j, m: dense(j, m, 2048, True), (64, 64)
    ),
    "dense-256": Case(
        "every row and column a stream that every PE stores", HOPS, lambda j, m: dense(j, m, 512, True), (256, 256)
    ),
    "dense-wafer": Case(
        "every row and column a stream that every PE stores", HOPS, lambda j, m: dense(j, m, 512, False), full=True
    ),
    "sparse-wafer": Case(
        "streams in one row and one column of 200: 1 % of the PEs", HOPS, lambda j, m: sparse(j, m, 2048), full=True
    ),
    "sparse-rows": Case(
        "streams in one row of 100, no column: 1 % of the PEs", HOPS, lambda j, m: sparse_rows(j, m, 2048)
    ),
    "gemm-f16": Case(
        "matrix product, tiles of 256 x 48, long operations",
        FMA,
        lambda j, m: product(j, m, "f16", 256, 48, 8 * max(j.size), MOST),
        (32, 16),
    ),
    "gemm-f32": Case(
        "matrix product, tiles of 64 x 64",
        FMA,
        lambda j, m: product(j, m, "f32", 64, 64, 40 * max(j.size), MOST),
        (8, 8),
    ),
    "short-f16": Case("f16 multiply-adds in operations of 16 elements", FMA, short, (256, 256)),
    "scalar": Case(
        "a loop of integer and float instructions with a branch that depends on data",
        INSTRUCTIONS,
        lambda j, m: loop(j, m, Scalar, 400),
        (64, 64),
    ),
    "scalar-branches": Case(
        "a scalar loop in which every PE takes branches of its own",
        INSTRUCTIONS,
        lambda j, m: loop(j, m, Branches, 400, Branches.ARRAYS),
        (64, 64),
    ),
    "scalar-alone": Case(
        "the loop of scalar on one PE alone", INSTRUCTIONS, lambda j, m: loop(j, m, Scalar, 20_000), (1, 1), threads=1
    ),
    "tasks": Case(
        "a data task of four instructions for every wavelet of every row's stream", INSTRUCTIONS, tasks, (64, 64)
    ),
    "train-nano": Case("steps of `wse train --model nano`", FMA, train, (4, 8)),
    "load-wafer": Case("a matrix product's program built and loaded", "", load),
    "tiles-256": Case(
        "matrix product, tiles of 4 x 4",
        PE_CYCLES,
        lambda j, m: product(j, m, "f16", 4, 4, max(j.size), 1),
        (256, 256),
        full=True,
    ),
    "gemm-wafer": Case(
        "matrix product, tiles of 32 x 16, K = 16",
        "",
        lambda j, m: product(j, m, "f16", 32, 16, 16, 1),
        full=True,
        parallel=True,
    ),
}
