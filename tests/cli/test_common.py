"""wse/cli/common.py: the machine of the options, refused options, lines of progress."""

import click
import pytest
from click.testing import CliRunner

from wse import ConfigError, Machine
from wse.cli import common


def test_the_machine_of_the_options(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('machine = "wse2"\n[params]\nhop_cycles = 3\nrouter_depth = 5\n')
    assert common.machine(None, None, (), None) == Machine()
    assert common.machine("wse2", None, [("hop_cycles", "2")], None) == Machine("wse2", overrides={"hop_cycles": 2})
    made = common.machine("wse3", None, [("hop_cycles", "7")], file)  # options override the file
    assert made == Machine("wse3", overrides={"hop_cycles": 7, "router_depth": 5})


def test_a_command_that_executes_nothing_refuses_figures_that_it_does_not_use():
    assert common.model_machine("wse3", [("clock_hz", "1GHz")], None, ("clock_hz",), "wse map").clock_hz == 10**9
    with pytest.raises(ConfigError, match="hop_cycles has no effect on wse map, which uses clock_hz"):
        common.model_machine("wse3", [("hop_cycles", "1")], None, ("clock_hz",), "wse map")


@click.command()
@common.options(common.option("--rate", type=int, default=3, help="Rate."), common.flag("--fast", help="Fast."))
def command(rate, fast):
    common.refuse("is of another mode", "rate")
    click.echo(f"{rate} {fast} {common.given('rate', 'fast')}")


def test_options_in_the_order_of_the_help_with_their_defaults():
    words = CliRunner().invoke(command, ["--help"]).output
    assert words.index("--rate") < words.index("--fast")
    assert "[default: 3]" in words


def test_only_options_of_the_command_line_are_refused():
    assert CliRunner().invoke(command, ["--fast"]).output == "3 True ['--fast']\n"
    result = CliRunner().invoke(command, ["--rate", "3"])
    assert result.exit_code == 2 and "--rate is of another mode" in result.output


def test_a_status_line_is_overwritten_and_removed(capsys):
    line = common.StatusLine()
    line.put("long words")
    line.put("short")
    line.clear()
    line.clear()  # there is none any more
    assert capsys.readouterr().err == f"\rlong words\rshort     \r{' ' * 5}\r"


def test_without_a_terminal_nothing_is_shown(capsys):
    with common.Working() as working:
        working("a step")
    assert capsys.readouterr().err == ""


def test_cycles_of_several_runs_add_up(monkeypatch, capsys):
    line = common.ProgressLine()
    line.is_terminal = True
    line.started -= 10
    for cycle in (100, 200, 50):
        line(cycle)
    assert (line.before, line.last) == (200, 50)
    shown = capsys.readouterr().err
    assert shown.startswith("\r100 cycles") and "cycles/s" in shown


def test_steps_show_their_share_and_the_time_left(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    with common.Steps("points") as bar:
        bar.is_terminal = True
        bar(2, 10)
        bar.started -= 60
        bar(5, 10, ", 1 failed")
        bar(10, 10)
    first, half, last, *_ = capsys.readouterr().err.split("\r")[1:]
    assert first.rstrip() == f"[{'#' * 6}{'.' * 24}]  20 %  2/10 points"
    assert half.rstrip() == f"[{'#' * 15}{'.' * 15}]  50 %  5/10 points, 1 failed  100 s left"
    assert last.rstrip() == f"[{'#' * 30}] 100 %  10/10 points"


def test_steps_of_a_narrow_terminal_stay_on_a_line(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    bar = common.Steps("points")
    bar.is_terminal = True
    bar(1, 2)
    assert len(capsys.readouterr().err) == 20


@pytest.mark.parametrize(
    ("done", "total", "elapsed", "words"),
    [
        (0, 5, 3, ""),
        (5, 5, 3, ""),
        (1, 2, 3, "  3 s left"),
        (1, 11, 60, "  10 min left"),
        (1, 3, 5000, "  2 h 46 min left"),
    ],
)
def test_time_left(done, total, elapsed, words):
    assert common.time_left(done, total, elapsed) == words


def test_a_run_whose_parts_are_known_shows_its_share(capsys):
    line = common.ProgressLine()
    line.is_terminal = True
    line.started -= 10
    line(1000)
    line.part(1, 4)
    line.shown = 0
    line(2000)
    before, after = capsys.readouterr().err.split("\r")[1:]
    assert "%" not in before and after.rstrip().endswith("25 %  30 s left")
