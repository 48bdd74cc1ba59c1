"""`wse debug`: sessions of commands on a program.

Covers: wse/cli/debug.py, wse/debug/debugger.py, wse/debug/host.py, wse/debug/views.py
"""

import fcntl
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import numpy as np
from documents import PACKAGES, ROOT

from wse.sdk import compile

DEBUG = [sys.executable, "-P", "-m", "wse.cli", "debug"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(PACKAGES)}


def session(folder: Path, commands: str, *words: str, status: int = 0) -> str:
    """What a session prints; commands: a line each."""
    done = subprocess.run(
        [*DEBUG, *(words or ("out", "run.py"))],
        cwd=folder,
        env=ENVIRONMENT,
        input=commands,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (status, ""), done.stdout + done.stderr
    return done.stdout


def answers(folder: Path, *commands: str) -> list[str]:
    """What each command prints."""
    text = session(folder, "".join(f"{command}\n" for command in commands))
    parts = re.split(r"(?m)^\(wse\) (.*)\n", text)
    assert parts[1::2] == list(commands), text
    return [part.rstrip("\n") for part in parts[2::2]]


def test_the_session_of_the_document(heat):
    (recorded,) = re.findall(r"(?ms)^```text\n(\(wse\).*?)^```$", (ROOT / "docs/debugger.md").read_text())
    commands = re.findall(r"(?m)^\(wse\) (.*)$", recorded)
    assert session(heat, "".join(f"{command}\n" for command in commands)) == recorded


def test_a_file_of_commands_that_is_not_text(heat, tmp_path):
    (tmp_path / "commands").write_bytes(b"\xff\xfe")
    done = subprocess.run(
        [*DEBUG, "-x", tmp_path / "commands", "out", "run.py"], cwd=heat, env=ENVIRONMENT, capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 2 and "commands is not text: a file of commands is UTF-8" in done.stderr, done.stderr


def test_a_run_to_its_end_is_that_without_a_debugger(heat):
    with_stops = session(heat, "break wavelet east[0]\nbreak relax\nwatch\nrun\n" + "c\n" * 5 + "delete\nc\n")
    assert "SUCCESS!" in with_stops and "the host program has ended with status 0" in with_stops
    ends = []
    for commands in (
        "run\n",
        "break task exchange pe 1,0\nrun\nc\nrs\nrsi\ncycle -300\nc\ndelete\nc\n",
        "start\ncycle 2300\ncycle 5\nc\n",
    ):
        found = re.findall(r"ended with status 0\nPE \(\d, 0\), cycle ([\d,]+)", session(heat, commands))
        ends.append(found[-1])
    assert len(set(ends)) == 1


def test_lines_tasks_and_conditions(heat):
    said = answers(heat, "break 63", "break task exchange pe 3,0", "tbreak relax pe 4,0 if steps == 2", "i b", "delete 1", "disable 2", "run",
                   "print steps", "print u[1:3] * 0", "print $x + 10 * $y", "print steps == 2 and not here", "i b")  # fmt: skip
    assert said[0] == "Breakpoint 1 at pe.csl:63"
    assert said[2] == "Temporary breakpoint 3 at relax of PE (4, 0) if steps == 2"
    assert said[6].splitlines()[0] == said[2] and "pe.csl:75 in relax" in said[6]
    assert said[7:11] == [
        "steps: u16 = 2",
        "u[1:3] * 0 = [0., 0.]",
        "$x + 10 * $y = 4",
        "steps == 2 and not here = true",
    ]
    assert said[11] == "  2  breakpoint 2 at the start of task exchange of PE (3, 0), disabled"


def test_wavelets(heat):
    said = answers(
        heat, "break wavelet east[0] pe 1,0", "run", "print u[12 - 1]", "pe 0,0", "print u[10]", "info routes", "c"
    )
    sent = re.search(r"a wavelet 0x(\w{8}) came to PE \(1, 0\)", said[1])
    assert sent
    value = float(re.sub(r".* = ", "", said[4]))
    assert np.uint32(int(sent[1], 16)).view(np.float32) == np.float32(value)
    assert re.search(r"(?m)^east\[0\] +R -> E$", said[5])


def test_steps_forward_and_back_meet(heat):
    forward = answers(heat, "break task west_here pe 2,0", "run", "delete", *["stepi"] * 12, *["rsi"] * 12)
    places = [part.partition(": ")[2] for part in forward]
    assert places[3:14] == places[15:26][::-1], forward
    lines = answers(heat, "break task exchange pe 2,0", "run", "delete", *["next"] * 3, *["rs"] * 3)
    assert [re.findall(r"csl:\d+", part)[-1] for part in lines[3:6]] == ["csl:49", "csl:52", "csl:53"]
    assert [re.findall(r"csl:\d+", part)[-1] for part in lines[6:]] == ["csl:52", "csl:49", "csl:48"]


def test_calls(heat):
    out = answers(heat, "break 67 pe 1,0", "run", "finish")
    assert "arrived has returned\nPE (1, 0)" in out[2] and "pe.csl:60 in west_here" in out[2]
    task = answers(heat, "break 59 pe 1,0", "run", "step task", "reverse-step task")
    assert "task east_here" in task[2] and "task west_here" in task[3]


def test_watches_and_what_is_set(heat):
    said = answers(heat, "start", "break task exchange pe 1,0", "c", "watch u[1]", "delete 1", "c", "rc", "c", "p u[1]", "set u[1] = 3", "p u[1]",
                   "cycle 100", "set u[1] = 4", "c", "set here = 1.5", "set u[20] = 1", "set v = 1")  # fmt: skip
    assert "Watchpoint 2 on u[1] of PE (1, 0)" in said[3]
    old, new = re.findall(r"(?:old|new): (\S+)", said[5])
    assert old != new and said[7].startswith(f"Watchpoint 2 on u[1] of PE (1, 0)\nold: {old}\nnew: {new}\n")
    assert "this is the first cycle of the history" in said[6]
    assert said[8] == f"u[1] = {new}" and said[10] == "u[1] = 3.0"
    assert said[12].startswith("error: the host program has passed this cycle")
    assert [line.split(":")[0] for line in said[14:]] == ["error"] * 3


def test_the_host_sees_what_was_set(heat):
    done = subprocess.run([*DEBUG, "out", "run.py"], cwd=heat, env=ENVIRONMENT, capture_output=True, text=True,
                          input="break task exchange pe 1,0\nrun\nset u[5] = 1000\ndelete\nc\n")  # fmt: skip
    assert "AssertionError" in done.stderr and "ended with status 1" in done.stdout


def test_everything_can_be_looked_at(heat):
    whats = [
        "breakpoints",
        "queues",
        "routes",
        "tasks",
        "registers",
        "dsrs",
        "operations",
        "pes",
        "variables",
        "history",
    ]
    said = answers(
        heat,
        "break 53 pe 2,0",
        "run",
        *(f"info {what}" for what in whats),
        "x 320 32",
        "disassemble 40 3",
        "list exchange",
        "where",
    )
    found = dict(zip(whats, said[2:], strict=False))
    assert "east[0]" in found["queues"] and re.search(r"(?m)^  9  exchange +local +runs$", found["tasks"])
    assert re.search(r"(?m)^d0 +fabout +1 elements, queue 3, color west\[0\]$", found["dsrs"])
    assert re.search(r"microthread 2: fmovs at pe.csl:52 in exchange, 0 elements done, 1 left", found["operations"])
    assert re.search(r"(?m)^ +\d+ +48 B  u: \[12\]f32$", found["variables"])
    assert sum(int(n) for n in re.findall(r"(?m)^ +(\d+) PEs? ", found["pes"])) == 6
    assert len(said[-4].splitlines()) == 2 and "mov" in said[-3] and "46  task exchange" in said[-2]


ERRORS = [
    ("brake", "there is no command 'brake': did you mean break"),
    ("break pe.csl:400", "pe.csl has no code at or after line 400"),
    ("break relx", "there is no function, task or line 'relx'"),
    ("break other.csl:4", "the program has no file other.csl"),
    ("break wavelet green", "there is no color 'green'"),
    ("break task none", "there is no task 'none'"),
    ("break *4000", "no class has an instruction 4000"),
    ("break 69 pe 9,9", "PE (9, 9) is not in the program's 6 x 1"),
    ("break", "break what?"),
    ("pe 7,0", "is not in the program"),
    ("pe x", "a PE is X,Y"),
    ("print v", "has no variable 'v'"),
    ("print u[", "is not an expression"),
    ("print u[40]", "out of bounds"),
    ("print __import__('os')", "an expression has"),
    ("print $nothing", "there is no $nothing"),
    ("print 1 / 0", "division by zero"),
    ("print 1 in u", "an expression has"),
    ("break 69 if heer == 1", "the condition 'heer == 1': there is no variable 'heer'"),
    ("break 69 if here ==", "is not an expression"),
    ("break 69 if here == $p", "there is no $p"),
    ("break 69 if __import__('os')", "an expression has"),
    ("tbreak relax if u in steps", "an expression has"),
    ("print 1 << 20000", "at most 10,000 bits"),
    ("watch u[1 / 0]", "division by zero"),
    ("cycle ²", "cycle takes a number"),
    ("pe ²,0", "a PE is X,Y"),
    ("break ²", "there is no function, task or line"),
    ("watch u[::2]", "is not contiguous in memory"),
    ("watch 3", "is not a variable"),
    ("x 60000", "a PE has bytes 0 to 49,151"),
    ("step x", "'x' is not a number"),
    ("cycle --4", "cycle takes a number"),
    ("info all", "info about what?"),
    ("delete 5", "there is no breakpoint 5"),
    ("run", "the host program runs already"),
    ("finish", "no task runs at PE"),
    ("disassemble 5000", "has instructions 0 to"),
    ("continue 4", "this command takes no arguments"),
]


def test_errors(heat):
    said = answers(heat, "start", *(command for command, _ in ERRORS))
    for (command, error), words in zip(ERRORS, said[1:], strict=True):
        assert words.startswith("error: ") and error in words and words.count("\n") == 0, (command, words)


def test_a_task_that_begins_in_the_cycle_of_another_ones_end(heat):
    """Its first instruction has been executed: the stop is there all the same."""
    said = answers(heat, "break 63 pe 1,0", "run", "c")
    assert said[1].startswith("Breakpoint 1 at pe.csl:63") and "task east_here" in said[1]
    assert said[2].startswith("Breakpoint 1 at pe.csl:63")


def test_before_the_run(heat):
    said = answers(heat, "step", "print u", "where", "list relax", "help", "help break", "help b")
    assert said[0].startswith("error: the host program has not been started")
    assert said[1].startswith("error: the program is not loaded yet")
    assert "74" in said[3] and "fn relax" in said[3]
    assert "reverse-continue (rc)" in said[4] and "FILE:LINE" in said[5] and said[5] == said[6]


def test_a_file_of_commands_and_arguments_of_the_host_program(heat, tmp_path):
    (tmp_path / "commands").write_text("# two steps\nbreak relax pe 0,0\nrun\n")
    text = session(heat, "p steps\nq\n", "-x", str(tmp_path / "commands"), "out", "run.py", "--", "--steps", "2")
    assert "(wse) break relax pe 0,0\nBreakpoint 1 at relax of PE (0, 0)\n" in text and "steps: u16 = 2" in text


def test_a_fault_stops_before_the_host_gets_it(heat, tmp_path):
    text = (heat / "pe.csl").read_text().replace("  steps -= 1;", "  steps -= 1;\n  @assert(steps != 18);")
    (tmp_path / "pe.csl").write_text(text)
    (tmp_path / "layout.csl").write_text((heat / "layout.csl").read_text())
    compile.run(compile.Request(tmp_path / "layout.csl", {"P": 6, "N": 10}, arch="wse3", output=tmp_path / "out"))
    (tmp_path / "run.py").write_text((heat / "run.py").read_text())
    done = subprocess.run([*DEBUG, "out", "run.py"], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True,
                          input="run\np steps\nrsi\nc\nc\n")  # fmt: skip
    assert "steps: u16 = 18" in done.stdout and done.stdout.count("pe.csl:80") >= 2, done.stdout
    assert "FabricFault" in done.stderr and "ended with status 1" in done.stdout


def test_signals_end_a_session_without_a_terminal(heat):
    process = subprocess.Popen(
        [*DEBUG, "out", "run.py"], cwd=heat, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write("start\n")
    process.stdin.flush()
    while "cycle 0" not in process.stdout.readline():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "interrupted" in errors


def test_control_c_in_a_terminal_stops_the_run_and_not_the_session(heat):
    control, terminal = pty.openpty()
    process = subprocess.Popen(
        [*DEBUG, "out", "run.py", "--", "--steps", "60000"], cwd=heat, env=ENVIRONMENT | {"TERM": "dumb"},
        stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    os.close(terminal)
    said = ""

    def until(text: str, key: str = "") -> None:
        """Reads as far as the text.  key: is pressed each second: readline does not see a signal that comes between its
        prompt and its wait for keys."""
        nonlocal said
        limit = time.monotonic() + 60
        os.write(control, key.encode())
        while text not in said:
            assert time.monotonic() < limit, said
            if select.select([control], [], [], 1)[0]:
                said += os.read(control, 4096).decode()
            else:
                os.write(control, key.encode())
        said = said.partition(text)[2]

    def say(text: str) -> None:
        os.write(control, text.encode())

    try:
        until("(wse) ")
        until("quit ends the session", "\x03")
        say("tbreak relax\nrun\n")
        until("pe.csl:75 in relax")
        until("(wse) ")
        say("continue\n")
        until("continue")
        time.sleep(0.5)
        until("interrupted", "\x03")
        until("(wse) ")
        say("print $cycle > 2000\n")
        until("= true")
        say("quit\n")
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        os.close(control)
