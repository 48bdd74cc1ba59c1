"""Figures of machine.def in commands that execute nothing: each that a command uses changes its result, others are
refused."""

import json

import pytest
from shell import sh

from wse import Machine
from wse.cli import infer, map, system

SYSTEM = ("system", "--model", "gpt3-1_3b", "--systems", "1", "--batch", "256")
COMMANDS = {
    "system, kernels": (
        (*SYSTEM, "--compute", "kernels"),
        (*system.MEMORY_FIGURES, *system.COMPUTE_FIGURES["kernels"]),
    ),
    "system, peak": ((*SYSTEM, "--compute", "peak"), (*system.MEMORY_FIGURES, *system.COMPUTE_FIGURES["peak"])),
    "map, pipelined": (("map", "gpt3-1_3b", "--mode", "pipelined"), map.FIGURES),
    "map, streaming": (("map", "gpt3-1_3b", "--mode", "streaming"), map.FIGURES),
    "infer": (("infer", "--model", "llama3-70b"), infer.FIGURES),
}


def result(words):
    done = sh(*words, "--json")
    assert done.exit_code in (0, None), done.stderr
    found = json.loads(done.stdout)
    found.pop("overrides", None)
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_each_figure_that_a_command_uses_changes_its_result(command):
    words, figures = COMMANDS[command]
    factor = 0.5 if command == "infer" else 0.9  # what 0.5 leaves of a wafer is too small for a pipelined model
    before = result(words)
    for name in figures:
        value = Machine("wse3").params[name]
        changed = 2 * value if name.endswith("_cycles") else int(value * factor)
        assert result((*words, "--set", f"{name}={changed}")) != before, name


@pytest.mark.parametrize("command", COMMANDS)
def test_other_figures_are_refused(command, tmp_path):
    words, figures = COMMANDS[command]
    done = sh(*words, "--set", "task_switch_cycles=3")
    assert done.exit_code == 2
    assert f"task_switch_cycles has no effect on wse {words[0]}" in done.stderr and figures[0] in done.stderr
    file = tmp_path / "silicon.toml"
    file.write_text('profile = "silicon"\n')
    done = sh(*words, "--machine", file)
    assert done.exit_code == 2 and "the profile silicon has no effect on" in done.stderr


def test_a_wafer_of_twice_the_size_is_twice_as_fast_and_holds_twice_as_much():
    double = ("--set", "usable_pes=1.8M")
    one, two = (result((*SYSTEM, "--compute", "peak", *more))["systems"][0] for more in ((), double))
    assert 1.4 < one["step_seconds"] / two["step_seconds"] < 2.1
    assert result(("infer", "--model", "llama3-70b"))["wafers"] == 4
    assert result(("infer", "--model", "llama3-70b", *double))["wafers"] == 2
