"""Validation of cycle counts: published programs run on the emulator and are compared point by point.

points       the published figures and their comparison
programs     those of the published programs that are not kernels of the library
compiled     published programs that are compiled from CSL
determined   what published programs compiled from CSL say about the figures of the machine
sensitivity  what the figures depend on, and which points determine which parameter of the machine
models       the closed forms of the collectives against the emulator
document     all of that as tables
blocks       the tables in docs/accuracy.md and README.md
"""

from .points import FURTHER, TABLE, Compared, Point, compare, read, select, summary, within

__all__ = ["FURTHER", "TABLE", "Compared", "Point", "compare", "read", "select", "summary", "within"]
