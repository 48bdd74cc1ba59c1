"""Benchmarks of the engine: each case loads one part of it, runs in its own process, and verifies its result.

programs   the programs, and what their machines must hold afterwards
cases      the table of cases, and how each is sampled
meter      samples and memory
runner     a case in a process of its own; the machine this runs on
document   the figures as tables, and against the targets
"""

from .cases import CASES, Job
from .runner import BenchError, host, measure

__all__ = ["CASES", "BenchError", "Job", "host", "measure"]
