"""Profiles: cycles per instruction in the engine, per line of source in the report.

Covers: wse/cli/profile.py
"""

import subprocess
import sys

import numpy as np
import pytest

from csl.backend import Builder, Pe
from wse.csl import profile
from wse.csl.ir import ir
from wse.csl.ir.ir import Addr, Const
from wse.errors import ConfigError
from wse.fabric.run import CAUSES


def looping(tmp_path) -> Pe:
    f = Builder("main")
    f.store(Addr("out"), Const("u16", 0))

    def body(i):
        f.store(Addr("out"), f.bin("add", f.load(Addr("out"), "u16"), i))
        f.add(ir.Sys("nop"))  # the loop stays one

    f.loop(Const("u16", 100), body)
    f.add(ir.Vector("fmovs", ir.Dsd("mem1d", Addr("x"), 64, 4), Const("f32", 1.0)))
    pe = Pe([f.done()], {"out": ("u16", [0]), "x": ("f32", [0] * 64)})
    pe.artifact.save(tmp_path)
    return pe


def test_lines_add_up(tmp_path):
    pe = looping(tmp_path)
    pe.fabric.keep_profile()
    pe.call("main")
    counted = pe.fabric.profile()["pe"]
    assert counted.shape == (len(pe.image.code) + 1, 1 + len(CAUSES))
    assert int(counted[:, 1:].sum()) == pe.fabric.cycle
    profile.save(pe.fabric, tmp_path)
    (found,) = profile.load(tmp_path)
    assert found.pes == 1
    by_times = {row.line: row.times for row in found.lines}
    assert 100 in by_times.values()
    assert sum(row.share for row in found.lines) == pytest.approx(1)
    for row in found.lines:
        assert sum(row.causes.values()) == pytest.approx(row.cycles)
    for cause in CAUSES:
        parts = [row.causes.get(cause, 0) for row in found.lines] + [found.no_line.get(cause, 0)]
        assert sum(parts) == pytest.approx(found.causes.get(cause, 0))
    assert found.cycles == pe.fabric.cycle == pytest.approx(sum(found.causes.values()))
    assert found.causes["branch"] == 502 and found.causes["elements"] == 16
    assert "cycles a PE, 1 PE" in profile.text([found], 3)
    assert "more lines" in profile.text([found], 3)


def test_results_do_not_depend_on_it(tmp_path):
    first, second = looping(tmp_path), looping(tmp_path)
    second.fabric.keep_profile()
    for pe in (first, second):
        pe.call("main")
    assert first.fabric.cycle == second.fabric.cycle
    assert first.read("out")[0] == second.read("out")[0] == 4950


def test_what_is_no_profile(tmp_path):
    pe = looping(tmp_path)
    with pytest.raises(ConfigError, match="there is no profile"):
        profile.load(tmp_path)
    np.savez_compressed(tmp_path / profile.FILE, class0=np.zeros((3, 2), np.uint64))
    with pytest.raises(ConfigError, match="another compilation"):
        profile.load(tmp_path)
    with pytest.raises(ValueError):
        pe.fabric._engine.profile_of(0, len(pe.image.code))  # nobody asked for one
    pe.call("main")
    with pytest.raises(ConfigError, match="before the first cycle, and the fabric is in cycle"):
        pe.fabric.keep_profile()


def test_the_command(tmp_path):
    pe = looping(tmp_path)
    pe.fabric.keep_profile()
    pe.call("main")
    profile.save(pe.fabric, tmp_path)
    command = [sys.executable, "-P", "-m", "wse.cli", "profile", "--lines", "2", str(tmp_path)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "t.csl:" in shown and "more lines" in shown
