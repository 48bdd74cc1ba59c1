"""`wse csl`: what one does with CSL sources besides compiling (cslc) and running (cs_python) them."""

from __future__ import annotations

from . import LazyGroup

ACTIONS = {
    "check": ("wse.cli.csl_check", "Diagnostics of a file, for people and editors."),
    "conform": ("wse.cli.csl_conform", "Run every example of a checkout by its own scripts."),
}

command = LazyGroup(
    name="csl", table=ACTIONS, noun="action", help="Check CSL sources, run whole collections of programs."
)
