"""The documented features of CSL, a file per chapter of the documentation; see table.py."""
