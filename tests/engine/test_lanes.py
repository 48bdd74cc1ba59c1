"""Compute elements of a block run ahead together, as each would by itself (engine/divergent.py).

Covers: csrc/pe/arrival.c, csrc/pe/lanes.c, csrc/pe/lane_operations.c, csrc/pe/rows.c, csrc/pe/rows_avx2.c, csrc/pe/rows_avx512.c
"""

import numpy as np
import pytest
from engine import divergent
from hypothesis import given, settings
from hypothesis import strategies as st

import wse


@pytest.mark.parametrize("seed", [*range(40), 1410])
def test_programs_of_fixed_seeds(seed):
    assert divergent.compare(seed) == []


@pytest.mark.parametrize("seed", [*range(24), 157])
def test_programs_beside_operations_that_receive(seed):
    """The main thread runs ahead as far as no wavelet can arrive; what arrives overwrites what it computes with."""
    assert divergent.compare(seed, receives=1 + seed % 2) == []


@settings(max_examples=30)
@given(st.integers(0, 1 << 32))
def test_random_programs(seed):
    assert divergent.compare(seed) == []


@settings(max_examples=25)
@given(st.integers(0, 1 << 32), st.integers(0, 2))
def test_random_loops(seed, receives):
    """Over arrays, of lengths that are the same in all lanes or not, within each other, with bodies of any kind."""
    assert divergent.compare(seed, receives, copies=receives > 0, loops=True) == []


@pytest.mark.parametrize("name", [row.name for row in divergent.SCALARS])
@pytest.mark.parametrize("fp16", list(wse.machine.isa.FP16))
def test_every_instruction_gives_the_bits_of_the_reference(name, fp16):
    """On rows of the processor's widest vectors and of the portable ones; operands of all kinds, an immediate too."""
    row = wse.machine.isa.instruction(name)
    sources = {"RX": ["r1"], "RRX": ["r1", "r2"], "RRRR": ["r1", "r2", "r3"]}[row.form]
    code = ["main:", *(f"ld32 r{i}, [data+{4 * i}]" for i in (1, 2, 3)), f"{name} r4, {', '.join(sources)}"]
    if row.form != "RRRR":
        code += [f"{name} r5, {', '.join([*sources[:-1], '0x3c013c01'])}"]
    code += [f"{name} r1, {', '.join(sources)}", *(f"st32 r{i}, [data+{4 * i}]" for i in (1, 4, 5)), "done"]
    program = wse.Program(70, 1, fp16=fp16)
    pe = program.pe_class("pe")
    pe.array("data", 6, "u32")
    pe.code("\n".join(code))
    pe.local_task("main", 9, active=True)
    program.place(pe)
    words = np.random.default_rng(len(name)).integers(0, 1 << 32, (1, 70, 6), dtype=np.uint32)
    words[0, :, 1:4] = np.where(words[0, :, 1:4] % 4 == 0, words[0, :, 1:4] % 40, words[0, :, 1:4])
    special = np.array([0, 1, 0x7F800000, 0x7FC00000, 0x80000000, 0xFFFFFFFF, 0x7C00, 0x7E00, 0x8000], np.uint32)
    words[0, : len(special), 1] = words[0, len(special) : 2 * len(special), 2] = special
    results = []
    for options in ({"reference": True}, {}, {"portable": True}, {"portable": "avx2"}):
        fabric = wse.Fabric(program, **options)
        fabric.write("data", words)
        run = fabric.run()
        results.append((run.cycles, fabric.read("data").tobytes()))
    assert results == results[:1] * 4
