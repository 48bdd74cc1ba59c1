"""csrc/fast/span.c for each set of vector instructions: all give the bits of the portable version.

The engine uses only the widest set that the processor has.  The files are compiled into a library of their own here.

Covers: csrc/fast/span_avx2.c, csrc/fast/span_avx512.c, csrc/fast/span_avx512_fp16.c
"""

import ctypes
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from documents import ROOT
from outdated import build_engine

from wse.machine import isa

FILES = (
    *("fast/span.c", "fast/span_avx2.c", "fast/span_avx512.c", "fast/span_avx512_fp16.c"),
    *("numeric/element.c", "tables/isa.c"),
)
ACCESS = """
#include "fast/span.h"

void run(int which, int op, int fmt, uint8_t *m, const int32_t *v) {
  const span_function *tables[] = {span_base, span_avx2, span_avx512, span_avx512_fp16};
  span s = {.dst = m + v[0], .step_dst = v[1], .step0 = v[3], .step1 = v[5], .value0 = (uint32_t)v[6]};
  s.src0 = v[2] < 0 ? NULL : m + v[2];
  s.src1 = v[4] < 0 ? NULL : m + v[4];
  s.value1 = (uint32_t)v[7];
  s.extra = (uint32_t)v[8];
  s.n = (uint32_t)v[9];
  s.overlaps = v[10];
  tables[which][op](fmt, &s);
}
"""
FLAGS = set((Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else "").split())
SETS = {
    "avx2": (1, {"avx2", "f16c", "fma"}),
    "avx512": (2, {"avx512bw", "avx512dq", "avx512vl"}),
    "avx512-fp16": (3, {"avx512bw", "avx512dq", "avx512vl", "avx512_fp16"}),
}
SIZE = 8192  # bytes of memory; a third for each operand
VECTORS = [row for row in isa.INSTRUCTIONS if row.kind == "vector" and row.types[0] != "NONE"]

pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """run(set, opcode, format, memory, numbers): executes a span in memory, uint8 [SIZE + 64]."""
    folder = tmp_path_factory.mktemp("span")
    (folder / "access.c").write_text(ACCESS)
    command = ["gcc", "-fPIC", *build_engine(ROOT).flags()[0], "-fvisibility=default", "-c"]

    def compiled(source):
        target = folder / (Path(source).stem + ".o")
        subprocess.run([*command, str(source), "-o", str(target)], check=True)
        return str(target)

    with ThreadPoolExecutor(2) as pool:
        objects = list(pool.map(compiled, [*(ROOT / "csrc" / name for name in FILES), folder / "access.c"]))
    library = folder / "span.so"
    subprocess.run(["gcc", "-shared", *objects, "-o", str(library), "-lm"], check=True)
    function = ctypes.CDLL(str(library)).run
    function.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]

    def call(which, opcode, fmt, memory, numbers):
        numbers = np.array(numbers, np.int64).astype(np.int32)
        function(which, opcode, fmt, memory.ctypes.data, numbers.ctypes.data)

    return call


def operand(random, size, third, n):
    """(offset, step) of n elements of `size` bytes in a third of the memory, forwards or backwards."""
    step = size * int(random.choice([1, 1, 1, 2, 3, -1, 0]))
    room = SIZE // 3 - size
    span = abs(step) * (n - 1)
    if span > room:
        step, span = size, size * (n - 1)
    first = third * (SIZE // 3) + 2 * int(random.integers(0, (room - span) // 2 + 1))
    return (first + span, step) if step < 0 else (first, step)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("row", VECTORS, ids=lambda row: row.name)
def test_bits_are_those_of_the_portable_version(run, row, name):
    which, needs = SETS[name]
    if not needs <= FLAGS:
        pytest.skip(f"this processor has no {name}")
    random = np.random.default_rng(row.opcode)
    sizes = [isa.TYPES[kind].bytes if kind != "NONE" else 0 for kind in row.types]
    for trial in range(60):
        n = int(random.choice([1, 2, 15, 16, 17, 63, 64, 65, 128, 300]))
        places = [operand(random, size or 2, third, n) for third, size in enumerate(sizes[:3])]
        for i in (1, 2):
            if not sizes[i] or random.random() < 0.15:  # a register's value
                places[i] = (-1, 0)
        overlaps = random.random() < 0.1
        if overlaps and places[1][0] >= 0:
            places[0] = places[1]
        value0, value1, extra = random.integers(0, 1 << 32, 3).tolist()
        numbers = [*(number for place in places for number in place), value0, value1, extra, n, int(overlaps)]
        memory = random.integers(0, 256, SIZE + 64, np.uint8)
        if trial % 3 == 0:  # many NaN, infinities and subnormals
            memory[1::2] |= np.uint8(0x7C)
        elif trial % 3 == 1:
            memory[1::2] &= np.uint8(0x83)
        for fmt in range(3):
            expected, got = memory.copy(), memory.copy()
            run(0, row.opcode, fmt, expected, numbers)
            run(which, row.opcode, fmt, got, numbers)
            np.testing.assert_array_equal(got, expected, err_msg=f"{row.name}, format {fmt}, {numbers}")
