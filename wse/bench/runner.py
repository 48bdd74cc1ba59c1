"""Runs a case in its own process, so that peak memory and caches are not affected by other cases."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from .. import __file__ as package
from .. import _engine
from .._version import __version__
from ..errors import WseError
from ..fabric.errors import RunError
from .cases import CASES, Job
from .meter import RATES, Meter, peak_bytes

_MEASURABLE_PES = 1 << 16  # on smaller grids, the memory of the interpreter dominates


class BenchError(RunError):
    """A case failed: its process ended early, or a result is wrong."""


def measure(job: Job, tell: Callable[[str], Any] = lambda words: None) -> dict[str, Any]:
    """Run a case in a process of its own; returns its figures (see `figures`).

    tell: called with a description of each step.  Raises BenchError if the case fails.
    """
    folder = str(Path(package).resolve().parent.parent)
    path = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "wse.bench", json.dumps(asdict(job))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
    )
    answer: dict[str, Any] = {}
    with process:
        assert process.stdout is not None and process.stderr is not None
        try:
            for line in process.stdout:
                message = json.loads(line)
                if "tell" in message:
                    tell(message["tell"])
                else:
                    answer = message
            errors = process.stderr.read()
        except BaseException:
            process.kill()
            raise
    if "figures" in answer:
        return answer["figures"]
    why = answer.get("error") or (errors.strip().splitlines() or [f"its process ended with {process.returncode}"])[-1]
    raise BenchError(f"case {job.case}, {job.threads} threads: {why}")


def child(text: str) -> None:
    """Run a case in this process.  Prints messages as lines of JSON: steps, then the figures or an error.

    text: a Job in JSON.
    """
    job = Job(**json.loads(text))
    job = Job(**asdict(job) | {"grid": tuple(job.grid) if job.grid else None})
    meter = Meter(tell=lambda words: say({"tell": words}))
    try:
        CASES[job.case].run(job, meter)
    except WseError as error:
        say({"error": str(error)})
    else:
        say({"figures": figures(job, meter)})


def say(message: dict[str, Any]) -> None:
    """Print a message as a line of JSON."""
    print(json.dumps(message), flush=True)


def figures(job: Job, meter: Meter) -> dict[str, Any]:
    """A case in JSON; keys are stable.  Rates are those of the best sample; null for what a case does not have."""
    width, height = job.size
    samples = [sample.rates(meter.multiplies) for sample in meter.samples]
    best = {name: max((s[name] for s in samples), default=0) or None for name in RATES}
    middle = {name: median(s[name] for s in samples) or None if samples else None for name in RATES}
    least = {name: min((s[name] for s in samples), default=0) or None for name in RATES}
    seconds = meter.seconds
    per_pe = [
        (held - meter.before_bytes - sram) / (width * height) if width * height >= _MEASURABLE_PES else None
        for held, sram in zip((meter.idle_bytes, meter.run_bytes), meter.sram_bytes, strict=True)
    ]
    run_seconds = seconds.get("fill", 0.0) + meter.measured_seconds
    return {
        "case": job.case,
        "threads": job.threads,
        **best,
        "bytes_per_pe": per_pe[0],
        "wall_seconds": seconds["build"] + seconds["load"] + run_seconds,
        "peak_rss_bytes": peak_bytes(),
        "verified": True,
        "grid": [width, height],
        "cycles": meter.cycles,
        "samples": len(samples),
        "median": middle,
        "least": least,
        "sample_seconds": min((sample.seconds for sample in meter.samples), default=None),
        "build_seconds": seconds["build"],
        "load_seconds": seconds["load"],
        "run_seconds": run_seconds,
        "check_seconds": seconds["check"],
        "running_bytes_per_pe": per_pe[1],
        "sram_bytes": meter.sram_bytes[1],
    }


def host() -> dict[str, Any]:
    """A description of this computer in JSON."""
    info = _fields("/proc/cpuinfo")
    flags = info.get("flags", "").split()
    memory = _fields("/proc/meminfo").get("MemTotal", "0 kB").split()[0]
    return {
        "cpu": info.get("model name") or platform.processor() or platform.machine(),
        "cores": cores(),
        "vectors": next((name for name in ("avx512f", "avx2") if name in flags), None),
        "memory_bytes": int(memory) * 1024 or None,
        "caches": _caches(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "wse": __version__,
        "engine": _engine.SOURCES,
    }


def cores() -> int:
    """The number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _fields(path: str) -> dict[str, str]:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, _, value in reversed(list(pairs))}


def _caches() -> dict[str, str]:
    """Sizes of the first processor's caches, by name."""
    found = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            level, kind, size = ((index / name).read_text().strip() for name in ("level", "type", "size"))
        except OSError:
            continue
        if kind != "Instruction":
            found[f"L{level}{'d' if kind == 'Data' else ''}"] = size
    return found
