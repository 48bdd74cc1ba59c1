"""Benchmark figures as tables for the terminal, docs/performance.md and README.md, and compared with targets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..records import dataclass
from .cases import CASES, Job

Figures = dict[str, Any]  # a case of --json
Rows = tuple[Sequence[str], list[Sequence[str]], Sequence[int]]  # head, rows, columns that are numbers

RATES = {
    "pe_cycles_per_second": "PE-cycles/s",
    "hops_per_second": "wavelet-hops/s",
    "instructions_per_second": "instructions/s",
    "fma_per_second": "FMA/s",
}


def si(value: float | None) -> str:
    """A number with three digits and an SI prefix; empty if a case does not have it."""
    if not value:
        return ""
    for prefix, size in (("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1.0)):
        if value >= 0.9995 * size or size == 1.0:
            scaled = value / size
            return f"{scaled:.3g} {prefix}".strip() if scaled < 999.5 else f"{scaled:.0f} {prefix}".strip()
    raise AssertionError


def seconds(value: float) -> str:
    """A time in seconds as text."""
    return f"{value:.2f} s" if value < 10 else f"{value:.0f} s"


def size(value: float | None) -> str:
    """A number of bytes as text; empty for None."""
    return "" if value is None else f"{value / 1e9:.2f} GB" if value >= 1e9 else f"{value / 1e6:.0f} MB"


def cases(found: Iterable[Figures]) -> Rows:
    """A row per case and number of threads, with the rates of the best sample, times and memory."""
    head = ("case", "threads", *RATES.values(), "bytes/PE", "build", "load", "run", "peak memory")
    rows = [
        (
            case["case"],
            str(case["threads"]),
            *(si(case[name]) for name in RATES),
            "" if case["bytes_per_pe"] is None else f"{case['bytes_per_pe']:,.0f}",
            *(seconds(case[f"{part}_seconds"]) if case[f"{part}_seconds"] else "" for part in ("build", "load", "run")),
            size(case["peak_rss_bytes"]),
        )
        for case in found
    ]
    return head, rows, range(1, len(head))


def medians(found: Iterable[Figures]) -> Rows:
    """A row per case with the main rate of the median sample, and its distance from the best sample in percent."""
    rows = []
    for case in found:
        name = main_rate(case)
        if name and case["samples"] > 1:
            below = 100 * (1 - case["median"][name] / case[name])
            rows.append(
                (
                    case["case"],
                    str(case["threads"]),
                    RATES[name],
                    si(case["median"][name]),
                    f"{below:.0f}",
                    str(case["samples"]),
                )
            )
    return ("case", "threads", "rate", "median", "% below the best", "samples"), rows, (1, 3, 4, 5)


def main_rate(case: Figures) -> str | None:
    """The main rate of a case; None if it has none."""
    name = CASES[case["case"]].rate
    return name if name and case[name] else None


def result(case: Figures) -> str:
    """What matters most of a case: its main rate with its unit, or its time."""
    which = main_rate(case)
    if which:
        text = si(case[which])
        return f"{text}{'' if text[-1].isalpha() else ' '}{_UNITS[which]}"
    return seconds(duration(case))


def duration(case: Figures) -> float:
    """The time of a case that is measured by it: of its run, or of building and loading where nothing runs."""
    return case["run_seconds"] or case["build_seconds"] + case["load_seconds"]


# --- targets ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    """A target.  wanted: on one core and on two.  least: the figure must be at least that, else at most."""

    words: str
    case: str
    figure: Callable[[Figures, dict[tuple[str, int], Figures]], float | None]
    show: Callable[[float | None], str]
    wanted: tuple[float | None, float | None]
    least: bool = True


def rate(name: str) -> Callable:
    """The figure of a target: one of the case itself, which files of earlier versions may not have."""
    return lambda case, all: case.get(name)


def _against_dense(case: Figures, all: dict[tuple[str, int], Figures]) -> float | None:
    """Time per simulated cycle of a sparse case in percent of that of the dense case; None without that."""
    dense = all.get(("dense-wafer", case["threads"]))
    if dense is None or dense["grid"] != case["grid"]:
        return None
    return 100 * dense["pe_cycles_per_second"] / case["pe_cycles_per_second"]


def percent(value: float | None) -> str:
    """A number of percent as text; empty for None."""
    return "" if value is None else f"{value:.2g} %"


def _time(value: float | None) -> str:
    return "" if value is None else seconds(value)


_TARGETS = (
    Target(
        "whole-wafer product, tiles 32 x 16, K = 16", "gemm-wafer", rate("run_seconds"), _time, (None, 25), least=False
    ),
    Target("4 x 4 tiles, 256 x 256 PEs, PE-cycles/s", "tiles-256", rate("pe_cycles_per_second"), si, (200e6, 380e6)),
    Target("scalar instructions/s", "scalar", rate("instructions_per_second"), si, (2.5e9, 4.5e9)),
    Target(
        "scalar instructions/s where every lane takes branches of its own",
        "scalar-branches",
        rate("instructions_per_second"),
        si,
        (400e6, 750e6),
    ),
    Target(
        "tasks: a data task of four instructions per wavelet, instructions/s",
        "tasks",
        rate("instructions_per_second"),
        si,
        (500e6, 900e6),
    ),
    Target("f16 multiply-adds/s, long operations", "gemm-f16", rate("fma_per_second"), si, (3e9, 5.5e9)),
    Target("f16 multiply-adds/s, operations of 16 elements", "short-f16", rate("fma_per_second"), si, (1.5e9, 2.8e9)),
    Target("f32 multiply-adds/s", "gemm-f32", rate("fma_per_second"), si, (1.5e9, 2.8e9)),
    Target("dense streams 256 x 256, hops/s", "dense-256", rate("hops_per_second"), si, (700e6, 1.3e9)),
    Target("dense streams, whole wafer, hops/s", "dense-wafer", rate("hops_per_second"), si, (500e6, 900e6)),
    Target(
        "sparse columns: time per cycle against dense", "sparse-wafer", _against_dense, percent, (3, 3), least=False
    ),
    Target(
        "a step of `wse train --model nano`", "train-nano", rate("sample_seconds"), _time, (0.08, None), least=False
    ),
    Target("multiply-adds/s of a nano training step", "train-nano", rate("fma_per_second"), si, (400e6, 700e6)),
    Target(
        "peak memory of the whole-wafer product", "gemm-wafer", rate("peak_rss_bytes"), size, (None, 4e9), least=False
    ),
    Target(
        "whole-wafer program, build and load",
        "load-wafer",
        lambda case, all: case["build_seconds"] + case["load_seconds"],
        _time,
        (20, None),
        least=False,
    ),
    Target(
        "idle bytes per PE beyond the SRAM it touches",
        "load-wafer",
        rate("bytes_per_pe"),
        lambda value: "" if value is None else f"{value:,.0f}",
        (2048, None),
        least=False,
    ),
)


def targets(found: Sequence[Figures]) -> Rows:
    """A row per target, wanted and measured, on one and two cores.  Cases on other grids than their own are ignored."""
    by_case = {(case["case"], case["threads"]): case for case in found if case["grid"] == list(Job(case["case"]).size)}
    rows = []
    for target in _TARGETS:
        cells: list[str] = [target.words]
        for threads, wanted in zip((1, 2), target.wanted, strict=True):
            case = by_case.get((target.case, threads))
            value = None if case is None or wanted is None else target.figure(case, by_case)
            sign = "" if target.least else "at most "
            cells += ["" if wanted is None else sign + target.show(wanted), target.show(value)]
            met = value is not None and wanted is not None and (value >= wanted if target.least else value <= wanted)
            cells.append("" if value is None else "yes" if met else "no")
        if any(cells[2::3]):
            rows.append(tuple(cells))
    return ("figure", "wanted, 1 core", "measured", "met", "2 cores", "measured", "met"), rows, (1, 2, 4, 5)


# --- documents --------------------------------------------------------------------------------------------------------


def machine_in_words(machine: dict[str, Any]) -> str:
    """A sentence that describes the computer.  machine: see runner.host."""
    caches = ", ".join(f"{name} {text}" for name, text in machine["caches"].items())
    memory = f", {machine['memory_bytes'] / 2**30:.0f} GiB of memory" if machine["memory_bytes"] else ""
    vectors = {"avx512f": ", AVX-512", "avx2": ", AVX2", None: ""}[machine["vectors"]]
    return (
        f"{machine['cpu']}{vectors}, {machine['cores']} cores ({caches}){memory}; {machine['system']}, "
        f"Python {machine['python']}, wse {machine['wse']}"
    )


def speed(found: Sequence[Figures]) -> Rows:
    """The table of README.md: a row per case, with its main rate or time for each number of threads."""
    counts = sorted({case["threads"] for case in found})
    by_case = {(case["case"], case["threads"]): case for case in found}
    rows = []
    for name in CASES:
        own = [by_case.get((name, threads)) for threads in counts]
        cells = []
        for case in own:
            cells.append("" if case is None else result(case))
        if any(cells):
            first = next(case for case in own if case)
            rows.append((name, f"{first['grid'][0]} x {first['grid'][1]}", CASES[name].words, *cells))
    threads = [f"{count} thread{'s' if count > 1 else ''}" for count in counts]
    return ("case", "PEs", "what", *threads), rows, range(3, 3 + len(counts))


_UNITS = {
    "pe_cycles_per_second": "PE-cycles/s",
    "hops_per_second": "hops/s",
    "instructions_per_second": "instr/s",
    "fma_per_second": "FMA/s",
}
