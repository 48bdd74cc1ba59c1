"""Functions that sweeps in tests run in place of commands; worker processes import them."""

import json
import os
import signal
import time
from pathlib import Path


def option(arguments, name):
    return arguments[arguments.index(name) + 1]


def note(arguments):
    """Appends the point and its process to a file, then returns the square."""
    with Path(option(arguments, "--notes")).open("a") as file:
        file.write(f"{option(arguments, '-x')} {os.getpid()}\n")
    time.sleep(float(option(arguments, "--pause")))
    x = int(option(arguments, "-x"))
    if "--fail" in arguments and x == int(option(arguments, "--fail")):
        return 2, "", "error: this one cannot be done"
    return 0, json.dumps({"square": x * x, "parts": {"low": x % 10}, "name": "a" if x else 0}), ""


def fatal(arguments):
    """Kills its process if x is 3."""
    if option(arguments, "-x") == "3":
        os.kill(os.getpid(), signal.SIGKILL)
    return note(arguments)


def words(arguments):
    return 0, "no JSON", ""


def a_list(arguments):
    return 0, "[1, 2]", ""
