"""How far off the cycle counts are: published programs run on the emulator and compared point by point."""

from .points import TABLE, Compared, Point, compare, read, summary

__all__ = ["TABLE", "Compared", "Point", "compare", "read", "summary"]
