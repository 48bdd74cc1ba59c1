"""`wse csl`: what one does with CSL programs besides compiling them (cslc)."""

from __future__ import annotations

from . import LazyGroup

ACTIONS = {
    "run": ("wse.cli.csl_run", "Run the host program of a compiled program; print and draw what was measured."),
    "check": ("wse.cli.csl_check", "Diagnostics of a file, for people and editors."),
    "conform": ("wse.cli.csl_conform", "Run every example of a checkout by its own scripts."),
}

command = LazyGroup(
    name="csl", table=ACTIONS, noun="action", help="Run CSL programs, check their sources, run whole collections."
)
