"""Which values of a figure published programs allow."""

from dataclasses import replace
from pathlib import Path

import pytest
from shell import sh

from wse import Machine
from wse.machine.parameters import PARAMETER
from wse.validation import compiled, determined, document
from wse.validation.determined import Effect, Range

ROW = next(row for row in compiled.programs() if row.id == "fma16-one")


def effect(name: str, per_unit: float, error: float, published: float = 1000) -> Effect:
    return Effect(replace(ROW, id=name, published=published), "branch_taken", per_unit, error)


def test_values_of_one_program():
    assert effect("a", 2, 0).allowed(10) == (0, 20)  # 2 % of 1000 cycles are 20, or 10 of the figure
    assert effect("a", 2, 10).allowed(10) == (-5, 15)
    assert effect("a", -2, 10).allowed(10) == (5, 25)  # a figure that shortens the program


def test_the_nearest_ends_count_and_without_is_what_a_program_decides_alone():
    found = Range("wse3", PARAMETER["branch_taken"], 6, [effect("a", 10, 0), effect("b", 4, 0), effect("c", 5, 10)])
    assert found.allowed() == (4, 8)
    assert found.allowed(found.effects[0]) == (1, 8)
    assert found.without == {"a": (1, 8)}
    assert Range("wse3", PARAMETER["branch_taken"], 6, found.effects[:1]).without == {"a": (0, None)}
    text = document.compiled_leave_one_out([found]).markdown()
    assert "| WSE-3 | branch_taken | 6 | SIM | 3 | 4 to 8 | a: 1 to 8 |" in text


def test_programs_that_exclude_each_other_allow_none():
    found = Range("wse3", PARAMETER["branch_taken"], 6, [effect("a", 20, 20), effect("b", 20, -20)])
    assert found.allowed() == (6, 6)
    found.effects.append(effect("c", 20, 19.9, published=10))
    assert "| none |" in document.compiled_leave_one_out([found]).markdown()


def test_a_program_is_run_with_changed_figures(monkeypatch, tmp_path):
    names = ("op_start_cycles", "launch_cycles", "branch_taken")
    monkeypatch.setattr(determined, "free", lambda arch: [PARAMETER[name] for name in names])
    reported: list[str] = []
    found = determined.leave_one_out([ROW], tmp_path, report=reported.append)
    assert [(r.parameter.name, [e.per_unit for e in r.effects]) for r in found] == [("op_start_cycles", [1.0])]
    low, high = found[0].allowed()
    assert low < Machine("wse3").op_start_cycles < (high or 0) and len(reported) == len(names)


def test_a_program_far_from_its_published_cycles_says_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(determined, "free", lambda arch: [PARAMETER["op_start_cycles"]])
    assert determined.leave_one_out([replace(ROW, published=500)], tmp_path) == []
    assert determined.leave_one_out([replace(ROW, folder="not there")], tmp_path) == []


@pytest.mark.parametrize("option", ["--further", "--models"])
def test_options_that_do_not_go_together(option, tmp_path):
    done = sh("validate", "--sources", Path(tmp_path), "--leave-one-out", option)
    assert done.exit_code == 2 and "--sources goes with" in done.stderr
