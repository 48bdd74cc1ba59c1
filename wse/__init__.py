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

from importlib import import_module

from ._version import __version__

try:
    import_module("wse._engine")
except ModuleNotFoundError as error:
    if error.name != "wse._engine":
        raise
    raise ImportError(
        f"{__path__[0]} holds no compiled engine.  Run from another folder, or as .venv/bin/pytest instead of "
        "python -m pytest, to use the installed package; or build in place: python setup.py build_ext --inplace"
    ) from None

# isort: off
# Machines and their instructions.
from .machine.parameters import WSE2, WSE3, Machine
from .program.assembler import Assembly, assemble, disassemble

# Programs: classes of PEs, arrays, descriptors, colors and routes.
from .program.program import Program
from .program.pe_class import PEClass
from .program.symbol import Color, Symbol
from .program.dsd import Descriptor, async_, circular, fabin, fabout, fifo, mem1d, mem4d
from .program.route import Filter

# Running them.
from .fabric.stream import Segment, StreamIn, StreamOut
from .fabric.fabric import Fabric
from .fabric.run import Run

# What can go wrong.
from .errors import (
    AsmError,
    ConfigError,
    MemoryOverflow,
    ProgramError,
    RouteError,
    WseError,
)
from .fabric.errors import DeadlockError, FabricFault, RunError
# isort: on

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
    "Segment",
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

# Packages that cost time to import are imported when they are asked for.
_LAZY = {
    "collectives": "wse.kernels.collectives",
    "kernels": "wse.kernels",
    "numerics": "wse.machine.numerics",
    "report": "wse.report",
    "trace": "wse.trace",
}


def __getattr__(name: str):
    if name in _LAZY:
        return import_module(_LAZY[name])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
