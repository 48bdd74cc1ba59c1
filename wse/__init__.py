"""An open emulator of the Cerebras wafer-scale engine.

    import wse

    p = wse.Program(width=2, height=1, machine="wse3")
    ...
    fabric = wse.Fabric(p)
    run = fabric.run()
    print(run.cycles, run.utilization)

Each kernel of `wse run` is a function of NumPy arrays:

    C, run = wse.gemm(A, B, grid=(16, 16))

Coordinates are (x, y), x to the east, y to the south; arrays over the grid are indexed [y, x].  Time is cycles.

A name is imported from its module when it is first used: `import wse` takes about a millisecond, so that the commands
can install their signal handlers before anything large is loaded.
"""

from __future__ import annotations

import os
from importlib import import_module

from ._version import __version__

if not any(name.startswith("_engine.") and name.endswith((".so", ".pyd")) for name in os.listdir(__path__[0])):
    raise ImportError(
        f"{__path__[0]} holds no compiled engine.  Run from another folder, or as .venv/bin/pytest instead of "
        "python -m pytest, to use the installed package; or build in place: python setup.py build_ext --inplace"
    )

TYPE_CHECKING = False  # type checkers take it as true; typing itself takes longer to import than all of this
if TYPE_CHECKING:  # the names of _NAMES, for type checkers and editors; a test compares the two
    from typing import Any

    from .errors import AsmError, ConfigError, MemoryOverflow, ProgramError, RouteError, WseError
    from .fabric.errors import DeadlockError, FabricFault, RunError
    from .fabric.fabric import Fabric
    from .fabric.run import Run
    from .fabric.snapshot import Snapshot
    from .fabric.stream import Segment, StreamIn, StreamOut
    from .fabric.timeline import Timeline
    from .machine.parameters import WSE2, WSE3, Machine
    from .program.assembler import Assembly, assemble, disassemble
    from .program.dsd import Descriptor, async_, circular, fabin, fabout, fifo, mem1d, mem4d
    from .program.pe_class import PEClass
    from .program.program import Program
    from .program.route import Filter
    from .program.symbol import Color, Symbol

# module: the public names that it defines
_NAMES = {
    # Machines and their instructions.
    "machine.parameters": ("WSE2", "WSE3", "Machine"),
    "program.assembler": ("Assembly", "assemble", "disassemble"),
    # Programs: classes of PEs, arrays, descriptors, colors and routes.
    "program.program": ("Program",),
    "program.pe_class": ("PEClass",),
    "program.symbol": ("Color", "Symbol"),
    "program.dsd": ("Descriptor", "async_", "circular", "fabin", "fabout", "fifo", "mem1d", "mem4d"),
    "program.route": ("Filter",),
    # Running them.
    "fabric.stream": ("Segment", "StreamIn", "StreamOut"),
    "fabric.fabric": ("Fabric",),
    "fabric.run": ("Run",),
    "fabric.snapshot": ("Snapshot",),
    "fabric.timeline": ("Timeline",),
    # What can go wrong.
    "errors": ("AsmError", "ConfigError", "MemoryOverflow", "ProgramError", "RouteError", "WseError"),
    "fabric.errors": ("DeadlockError", "FabricFault", "RunError"),
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names}
_MODULES = {"collectives": "kernels.collectives", "numerics": "machine.numerics"}  # public under a shorter name

__all__ = [*sorted(_MODULE_OF), "__version__"]


def __getattr__(name: str) -> Any:
    """A public name, a module of the package or the function of a kernel, when it is first used."""
    if name in _MODULE_OF:
        value = getattr(import_module(f".{_MODULE_OF[name]}", __name__), name)
    else:
        from importlib.util import find_spec

        if name.startswith("__"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        if find_spec(f"wse.{_MODULES.get(name, name)}") is not None:
            value = import_module(f".{_MODULES.get(name, name)}", __name__)
        elif name in _kernels():
            value = import_module(".kernels.functions", __name__).function(name)
        else:
            from .errors import did_you_mean

            near = did_you_mean(name, [*__dir__()], most=0)
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}" + (f"; {near}" if near else ""))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES, *_kernels()})


def _kernels() -> Any:
    """The table of kernels; each is a function of this module."""
    return import_module(".kernels", __name__).KERNELS
