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
        name = _main_rate(case)
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


def _main_rate(case: Figures) -> str | None:
    """The main rate of a case; None if it has none."""
    kind = case["case"].partition("-")[0]
    name = {"gemm": "fma_per_second", "scalar": "instructions_per_second", "tasks": "instructions_per_second"}.get(
        kind, "hops_per_second"
    )
    return name if case[name] else None


# --- targets ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    """A target.  wanted: on one core and on two.  least: the figure must be at least that, else at most."""

    words: str
    case: str
    figure: Callable[[Figures, dict[tuple[str, int], Figures]], float | None]
    show: Callable[[float | None], str]
    wanted: tuple[float, float | None]
    least: bool = True


def rate(name: str) -> Callable:
    """The figure of a target: a rate of the case itself."""
    return lambda case, all: case[name]


def _against_dense(case: Figures, all: dict[tuple[str, int], Figures]) -> float | None:
    """Time per simulated cycle of a sparse case in percent of that of the dense case; None without that."""
    dense = all.get(("dense-wafer", case["threads"]))
    if dense is None or dense["grid"] != case["grid"]:
        return None
    return 100 * dense["pe_cycles_per_second"] / case["pe_cycles_per_second"]


def percent(value: float | None) -> str:
    """A number of percent as text; empty for None."""
    return "" if value is None else f"{value:.2g} %"


_TARGETS = (
    Target("dense streams 256 x 256, wavelet-hops/s", "dense-256", rate("hops_per_second"), si, (200e6, 360e6)),
    Target("dense streams whole wafer, wavelet-hops/s", "dense-wafer", rate("hops_per_second"), si, (120e6, 210e6)),
    Target(
        "sparse traffic whole wafer, time per cycle against dense",
        "sparse-wafer",
        _against_dense,
        percent,
        (3, 3),
        False,
    ),
    Target("f16 product, fused multiply-adds/s, bit-exact", "gemm-f16", rate("fma_per_second"), si, (1.5e9, 2.8e9)),
    Target("scalar instructions/s", "scalar", rate("instructions_per_second"), si, (150e6, 280e6)),
    Target(
        "whole-wafer program, build and load",
        "load-wafer",
        lambda case, all: case["build_seconds"] + case["load_seconds"],
        lambda value: "" if value is None else seconds(value),
        (20, None),
        False,
    ),
    Target(
        "idle bytes per PE beyond the SRAM it touches",
        "load-wafer",
        rate("bytes_per_pe"),
        lambda value: "" if value is None else f"{value:,.0f}",
        (2048, None),
        False,
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
            if case is None:
                cells.append("")
            elif name == "load-wafer":
                cells.append(seconds(case["build_seconds"] + case["load_seconds"]))
            elif name == "gemm-wafer":
                cells.append(seconds(case["run_seconds"]))
            else:
                which = _main_rate(case)
                cells.append(
                    f"{si(case[which])}{' ' if not si(case[which])[-1].isalpha() else ''}{_UNITS[which]}"
                    if which
                    else ""
                )
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
