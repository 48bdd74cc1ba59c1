"""LLVM's passes over the text of a module: the default pipeline of an optimisation level, without vectorisers."""

from __future__ import annotations

import functools
import re

import llvmlite.binding as llvm

# The target gives costs only: a scalar machine of 32 bits.  What the passes may assume of types is in the module's
# data layout.  It is the same on every host, so that a program compiles to the same code everywhere.
TRIPLE = "riscv32"
FEATURES = "+m,+f"
# No calls of memset for loops, no widened closed forms of their results, no remainder loops.  Loops are unrolled up to
# LLVM's own limit, as in published programs: 8 and 16 rounds of a few instructions are, loops with conditions are not
# (lower.py).  LLVM has these options once for a process.
OPTIONS = (
    "-disable-loop-idiom-all",
    "-replexitval=never",
    "-unroll-runtime=false",
)
SCALED = re.compile(r"(?:tail )?call i16 @scale\.(\d+)\(i16 (-?\d+)\)(?: #\d+)?")  # see scale() in lower.py


@functools.cache
def _machine() -> llvm.TargetMachine:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    for option in OPTIONS:
        llvm.set_option("wse", option)
    return llvm.Target.from_triple(TRIPLE).create_target_machine(features=FEATURES)


@functools.lru_cache(maxsize=32)
def run(text: str, level: int = 2) -> str:
    """The optimised module as text.  level: 1 to 3, as -O1 to -O3.

    Classes of PEs that differ in descriptors or data alone have one text: a stencil with 100 classes has two.
    """
    once = _run(text, level)
    known = SCALED.sub(lambda found: f"add i16 {int(found[1]) * int(found[2]) & 0xFFFF}, 0", once)
    return (
        once if known == once else _run(known, level, unrolled=False)
    )  # indices that unrolled loops have as constants


def _run(text: str, level: int, unrolled: bool = True) -> str:
    machine = _machine()
    with llvm.parse_assembly(text, llvm.create_context()) as module:
        tuning = llvm.create_pipeline_tuning_options(speed_level=level)
        tuning.loop_vectorization = tuning.slp_vectorization = tuning.loop_interleaving = False
        tuning.loop_unrolling = unrolled
        builder = llvm.create_pass_builder(machine, tuning)
        builder.getModulePassManager().run(module, builder)
        return str(module)
