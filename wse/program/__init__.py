"""Programs: classes of PEs, arrays, descriptors, colors and routes, and the assembler.

program     Program: a grid of PEs with their classes, colors and routes
pe_class    PEClass: arrays, descriptors, tasks and code shared by PEs
symbol      named colors and arrays
dsd         data structure descriptors (mem1d, mem4d, fabin, fabout, fifo)
image       programs that are ready to load, from the builder or from compiled CSL
route       router configurations, filters and their checks
assembler   text to instruction words and back
"""

from .assembler import Assembly, assemble, disassemble
from .dsd import Descriptor, async_, circular, fabin, fabout, fifo, mem1d, mem4d
from .pe_class import PEClass
from .program import Program
from .route import Filter
from .symbol import Color, Symbol

__all__ = [
    "Assembly",
    "Color",
    "Descriptor",
    "Filter",
    "PEClass",
    "Program",
    "Symbol",
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
