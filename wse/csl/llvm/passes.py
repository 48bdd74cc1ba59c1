"""LLVM's passes over the text of a module: the default pipeline of an optimisation level, without vectorisers."""

from __future__ import annotations

import functools

import llvmlite.binding as llvm

# The target gives costs only: a scalar machine of 32 bits.  What the passes may assume of types is in the module's
# data layout.  It is the same on every host, so that a program compiles to the same code everywhere.
TRIPLE = "riscv32"
FEATURES = "+m,+f"
# Loops stay loops: no calls of memset for them, no widened closed forms of their results, no remainder loops.  They are
# unrolled where they stay small, for a PE has 48 KiB for code and data: published programs (a transpose in three loops
# of 8, a stencil on 4 x 4 points) take longer than unrolled ones would.  LLVM has these options once for a process:
# functions that numba compiles after a CSL program are unrolled less, too.
OPTIONS = (
    "-disable-loop-idiom-all",
    "-replexitval=never",
    "-unroll-runtime=false",
    "-unroll-threshold=64",
    "-unroll-max-percent-threshold-boost=100",
)


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
    machine = _machine()
    with llvm.parse_assembly(text, llvm.create_context()) as module:
        tuning = llvm.create_pipeline_tuning_options(speed_level=level)
        tuning.loop_vectorization = tuning.slp_vectorization = tuning.loop_interleaving = False
        builder = llvm.create_pass_builder(machine, tuning)
        builder.getModulePassManager().run(module, builder)
        return str(module)
