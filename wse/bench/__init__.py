"""Benchmarks of the engine: each case loads one part of it, runs in its own process, and verifies its result.

programs   the programs, with checks of their results
cases      the table of cases, and how each is sampled
meter      samples, and memory of the process
runner     runs a case in a process of its own; describes the computer
document   the figures as tables, and compared with the targets
compare    two measurements beside each other
"""

from .cases import CASES, Case, Job
from .runner import BenchError, host, measure

__all__ = ["CASES", "BenchError", "Case", "Job", "host", "measure"]
