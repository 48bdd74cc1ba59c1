"""csrc/fabric/pace.c: the faster of two ways is found and kept, and trials of the other are rare.

Here both ways have known costs; tests/engine/test_threads.py compares the results of runs that change between them.
"""

import ctypes
import shutil
import subprocess

import pytest
from documents import ROOT
from outdated import build_engine

ACCESS = """
#include "fabric/pace.h"

static pace p;

void start(void) { p = (pace){0}; }
int way(uint32_t *tiles) {
  pace_stretch s = pace_next(&p);
  *tiles = s.tiles;
  return s.way;
}
void measured(int way, uint32_t tiles, uint64_t ns) { pace_measured(&p, (pace_stretch){way, tiles}, ns); }
"""
ALONE, TEAM = 0, 1

pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")]


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pace")
    (folder / "access.c").write_text(ACCESS)
    command = ["gcc", "-shared", "-fPIC", *build_engine(ROOT).flags()[0], "-fvisibility=default"]
    command += [f"-I{ROOT / 'csrc'}", "-o", str(folder / "pace.so"), str(folder / "access.c")]
    subprocess.run([*command, str(ROOT / "csrc/fabric/pace.c")], check=True)
    found = ctypes.CDLL(str(folder / "pace.so"))
    found.measured.argtypes = ctypes.c_int, ctypes.c_uint32, ctypes.c_uint64
    return found


def run(library, cost, seconds: float) -> list[tuple[float, int, float]]:
    """Stretches (begin, way, seconds) until the time is over.  cost(way, time): seconds of a tile."""
    library.start()
    time, found, tiles = 0.0, [], ctypes.c_uint32()
    while time < seconds:
        way = library.way(ctypes.byref(tiles))
        took = cost(way, time) * tiles.value
        library.measured(way, tiles, int(took * 1e9))
        found.append((time, way, took))
        time += took
    return found


def share(stretches, way: int, since: float = 0.0) -> float:
    """Part of the time that was spent one way."""
    late = [(used, took) for begin, used, took in stretches if begin >= since]
    return sum(took for used, took in late if used == way) / sum(took for _, took in late)


@pytest.mark.parametrize("tile", [2e-7, 5e-6, 1e-3, 0.1])
@pytest.mark.parametrize("ratio", [0.5, 0.9, 1.1, 3.0, 10.0])
def test_the_faster_way_is_kept(library, tile, ratio):
    """ratio: time of a tile with all threads, to that of one."""
    seconds = max(4.0, 4000 * tile)
    stretches = run(library, lambda way, time: tile * (ratio if way == TEAM else 1), seconds)
    assert stretches[0][1] == ALONE
    assert share(stretches, ALONE if ratio > 1 else TEAM, since=seconds / 4) > 0.93


def test_a_change_is_noticed(library):
    """Another process takes a processor after two seconds, for two seconds."""
    stretches = run(library, lambda way, time: 1e-5 * (9 if 2 < time < 4 else 0.6) if way == TEAM else 1e-5, 6.0)
    assert share([s for s in stretches if 1 < s[0] < 2], TEAM) > 0.9
    assert share([s for s in stretches if 3 < s[0] < 4], ALONE) > 0.9
    assert share(stretches, TEAM, since=5) > 0.9


def test_short_runs_have_no_threads(library):
    assert all(way == ALONE for _, way, _ in run(library, lambda way, time: 1e-6, 9e-4))
