"""wse/signals.py: each phase of a command, in processes of their own."""

import pytest
from shell import python

START = """
import os, signal, sys, time
from wse import signals
signals.install()
def send(number=signal.SIGINT):
    os.kill(os.getpid(), number)
    time.sleep(0.01)  # the handler runs between instructions
"""


@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_before_the_command_runs_a_signal_ends_the_process(name, status):
    done = python(START + f"send(signal.{name})\nprint('not reached')")
    assert (done.returncode, done.stdout, done.stderr) == (status, "", "error: interrupted\n")


def test_after_the_command_it_ends_silently():
    done = python(START + "signals.finish()\nsend()\nprint('not reached')")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_a_running_command_gets_an_exception_and_cleans_up():
    done = python(
        START
        + """
try:
    with signals.raising():
        try:
            send(signal.SIGTERM)
        finally:
            print('cleaned up')
        print('not reached')
except signals.Interrupted as error:
    print(error, error.signum, isinstance(error, KeyboardInterrupt))
"""
    )
    assert done.stdout == "cleaned up\nSIGTERM 15 True\n" and done.returncode == 0


def test_a_swallowed_exception_is_raised_at_the_end():
    done = python(
        START
        + """
try:
    with signals.raising():
        try:
            send()
        except BaseException:
            print('swallowed')
        print('goes on')
except signals.Interrupted as error:
    print(error)
"""
    )
    assert done.stdout == "swallowed\ngoes on\nSIGINT\n"


def test_held_signals_arrive_at_the_end_of_the_outer_block():
    done = python(
        START
        + """
try:
    with signals.raising():
        with signals.held():
            with signals.held():
                send()
            print('inner ended')
        print('not reached')
except signals.Interrupted as error:
    print(error)
"""
    )
    assert done.stdout == "inner ended\nSIGINT\n"


def test_an_ignored_signal_stays_ignored():
    done = python(
        """
import signal
signal.signal(signal.SIGHUP, signal.SIG_IGN)
from wse import signals
signals.install()
print(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN, signal.getsignal(signal.SIGTERM) is signals._handle)
"""
    )
    assert done.stdout == "True True\n"
