"""The figures as tables: for a terminal, for docs/performance.md and README.md; and against the targets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

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
    """Three digits and a prefix; nothing for what a case does not have."""
    if not value:
        return ""
    for prefix, size in (("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1.0)):
        if value >= 0.9995 * size or size == 1.0:
            scaled = value / size
            return f"{scaled:.3g} {prefix}".strip() if scaled < 999.5 else f"{scaled:.0f} {prefix}".strip()
    raise AssertionError


def seconds(value: float) -> str:
    return f"{value:.2f} s" if value < 10 else f"{value:.0f} s"


def size(value: float | None) -> str:
    return "" if value is None else f"{value / 1e9:.2f} GB" if value >= 1e9 else f"{value / 1e6:.0f} MB"


def cases(found: Iterable[Figures]) -> Rows:
    """A row per case and number of threads: best rates, times, memory."""
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
    """How far the median sample is from the best, in percent, for the rate that is the case's point."""
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
    """The rate a case is about."""
    kind = case["case"].partition("-")[0]
    name = {"gemm": "fma_per_second", "scalar": "instructions_per_second", "tasks": "instructions_per_second"}.get(
        kind, "hops_per_second"
    )
    return name if case[name] else None


# --- targets ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    """A figure to reach, on one core and on two; `least`: more is better."""

    words: str
    case: str
    figure: Callable[[Figures, dict[tuple[str, int], Figures]], float | None]
    show: Callable[[float | None], str]
    wanted: tuple[float, float | None]
    least: bool = True


def rate(name: str) -> Callable:
    return lambda case, all: case[name]


def against_dense(case: Figures, all: dict[tuple[str, int], Figures]) -> float | None:
    """Percent: time per simulated cycle of the sparse case against the dense one's."""
    dense = all.get(("dense-wafer", case["threads"]))
    if dense is None or dense["grid"] != case["grid"]:
        return None
    return 100 * dense["pe_cycles_per_second"] / case["pe_cycles_per_second"]


def percent(value: float | None) -> str:
    return "" if value is None else f"{value:.2g} %"


TARGETS = (
    Target("dense streams 256 x 256, wavelet-hops/s", "dense-256", rate("hops_per_second"), si, (200e6, 360e6)),
    Target("dense streams whole wafer, wavelet-hops/s", "dense-wafer", rate("hops_per_second"), si, (120e6, 210e6)),
    Target(
        "sparse traffic whole wafer, time per cycle against dense",
        "sparse-wafer",
        against_dense,
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
    """A row per target: wanted and measured, on one core and on two; only cases on their own grid count."""
    by_case = {(case["case"], case["threads"]): case for case in found if case["grid"] == list(Job(case["case"]).size)}
    rows = []
    for target in TARGETS:
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
    """The computer, as a sentence."""
    caches = ", ".join(f"{name} {text}" for name, text in machine["caches"].items())
    memory = f", {machine['memory_bytes'] / 2**30:.0f} GiB of memory" if machine["memory_bytes"] else ""
    vectors = {"avx512f": ", AVX-512", "avx2": ", AVX2", None: ""}[machine["vectors"]]
    return (
        f"{machine['cpu']}{vectors}, {machine['cores']} cores ({caches}){memory}; {machine['system']}, "
        f"Python {machine['python']}, wse {machine['wse']}"
    )


def speed(found: Sequence[Figures]) -> Rows:
    """The few figures of README.md: a row per case, the rate it is about, for each number of threads."""
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
                which = main_rate(case)
                cells.append(
                    f"{si(case[which])}{' ' if not si(case[which])[-1].isalpha() else ''}{UNITS[which]}"
                    if which
                    else ""
                )
        if any(cells):
            first = next(case for case in own if case)
            rows.append((name, f"{first['grid'][0]} x {first['grid'][1]}", CASES[name].words, *cells))
    threads = [f"{count} thread{'s' if count > 1 else ''}" for count in counts]
    return ("case", "PEs", "what", *threads), rows, range(3, 3 + len(counts))


UNITS = {
    "pe_cycles_per_second": "PE-cycles/s",
    "hops_per_second": "hops/s",
    "instructions_per_second": "instr/s",
    "fma_per_second": "FMA/s",
}
