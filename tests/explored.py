"""Runs for tests of the explorer, and a browser to open its pages in."""

import shutil
from functools import cache

import wse
from wse.fabric.run import Run
from wse.kernels import RunOptions, load

# Names of a browser that may be installed, beside the one that `playwright install chromium` brings.
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")


def browser_path() -> str | None:
    """The browser of the system; None if there is none."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def stuck() -> Run:
    """A run of two PEs that each wait for the other before they send."""
    p = wse.Program(2, 1)
    there, back = p.color("there"), p.color("back")
    for x, name, hear, speak in ((0, "left", back, there), (1, "right", there, back)):
        pe = p.pe_class(name)
        pe.dsd("all", wse.mem1d(pe.array("y", 16, "f32")))
        pe.queue_in(2, hear)
        pe.queue_out(2, speak)
        pe.dsd("in", wse.fabin(2, color=hear))
        pe.dsd("out", wse.fabout(2, speak))
        pe.code("main:\n dsr d0, all\n dsr a0, in\n fmovs d0, a0\n dsr d1, out\n dsr a1, all\n fmovs d1, a1\n done")
        pe.local_task("main", 9, active=True)
        p.place(pe, x=x)
    p.route(there, "R", "E", x=0)
    p.route(there, "W", "R", x=1)
    p.route(back, "R", "W", x=1)
    p.route(back, "E", "R", x=0)
    return wse.Fabric(p, detail=True).run(on_deadlock="return")


@cache
def product(slow: bool = False) -> Run:
    """A traced matrix product on 4 x 4 PEs; slow: on a machine whose branches take longer."""
    module = load("gemm")
    config = {name: parameter.default for name, parameter in module.PARAMETERS.items()} | dict.fromkeys("MKN", 24)
    machine = wse.Machine(overrides={"branch_taken": 20} if slow else {})
    return module.run(config, RunOptions(machine=machine, grid=(4, 4), trace=1_000_000, detail=True)).run
