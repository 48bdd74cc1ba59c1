"""The middle end: LLVM optimises the functions of a unit.  In this order: lower.py, passes.py, text.py, raising.py."""
