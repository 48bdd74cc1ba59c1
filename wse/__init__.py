"""An open emulator of the Cerebras wafer-scale engine.

    import wse

    p = wse.Program(width=2, height=1, machine="wse3")
    ...
    fabric = wse.Fabric(p)
    run = fabric.run()
    print(run.cycles, run.utilization)

Coordinates are (x, y), x to the east, y to the south; arrays over the grid are indexed [y, x].  Time is cycles.
"""

from __future__ import annotations

from ._version import __version__

try:
    from . import _engine  # noqa: F401 - fails early, and says what to do
except ModuleNotFoundError as error:
    if error.name not in ("wse._engine", "numpy"):
        raise
    raise ImportError(
        f"the compiled engine of wse is not here ({error}; imported from {__path__[0]}).  "
        "Install the package (pip install .), or build it in the checkout (python setup.py build_ext --inplace); "
        "python -m and scripts in the checkout import the checkout's wse, an installed pytest the installed one"
    ) from None

# The machine and its instructions.
from .assembler import Assembly, assemble, disassemble

# Descriptors.
from .dsd import Descriptor, async_, circular, fabin, fabout, fifo, mem1d, mem4d

# Errors.
from .errors import (
    AsmError,
    ConfigError,
    DeadlockError,
    FabricFault,
    MemoryOverflow,
    ProgramError,
    RouteError,
    RunError,
    WseError,
)

# Running.
from .fabric import Fabric, StreamIn, StreamOut
from .machine import WSE2, WSE3, Machine

# Programs.
from .program import Color, PEClass, Program, Symbol
from .route import Filter
from .run import Run

__all__ = [
    "WSE2",
    "WSE3",
    "AsmError",
    "Assembly",
    "Color",
    "ConfigError",
    "DeadlockError",
    "Descriptor",
    "Fabric",
    "FabricFault",
    "Filter",
    "Machine",
    "MemoryOverflow",
    "PEClass",
    "Program",
    "ProgramError",
    "RouteError",
    "Run",
    "RunError",
    "StreamIn",
    "StreamOut",
    "Symbol",
    "WseError",
    "__version__",
    "assemble",
    "async_",
    "circular",
    "disassemble",
    "fabin",
    "fabout",
    "fifo",
    "mem1d",
    "mem4d",
]

_LAZY = ("collectives", "kernels", "numerics", "report", "trace")


def __getattr__(name: str):
    # Packages that cost time to import come when they are asked for.
    if name in _LAZY:
        from importlib import import_module

        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
