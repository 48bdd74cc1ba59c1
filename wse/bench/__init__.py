"""How fast the engine is: cases that load one part of it each, every one in a process of its own, its result verified.

programs   the programs, and what their machines must hold afterwards
cases      the table of cases, and how each is sampled
meter      samples and memory
runner     a case in a process of its own; the machine this runs on
document   the figures as tables, and against the targets
"""

from .cases import CASES, Job
from .runner import BenchError, host, measure

__all__ = ["CASES", "BenchError", "Job", "host", "measure"]
