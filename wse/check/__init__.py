"""Checked runs: mistakes of a program that the machine does not report, with their place and the earlier event.

    checker = Checker()
    options = RunOptions(check=checker)            # or: fabric = Fabric(program, check=True); checker.add(fabric)
    ...
    for finding in checker.findings():
        print(finding)

docs/check.md has a section for each kind.

    finding     a finding; the kinds
    sentences   messages of the findings that the engine records while the program runs
    remains     findings in the state that a run leaves
    suppress    files of known findings
"""

from __future__ import annotations

from ..fabric.fabric import Fabric
from . import remains, sentences
from .finding import KINDS, Finding, merged
from .suppress import Suppressions

__all__ = ["KINDS", "Checker", "Finding", "Suppressions", "findings"]


class Checker:
    """Collects the findings of all fabrics of a run.  suppressions: known findings, which are left out."""

    def __init__(self, suppressions: Suppressions | None = None):
        self.suppressions = suppressions or Suppressions()
        self.fabrics: list[Fabric] = []

    def add(self, fabric: Fabric) -> None:
        """Adds a fabric, which was made with check=True."""
        self.fabrics.append(fabric)

    def findings(self, ended: bool = True) -> list[Finding]:
        """The findings so far, in order of cycles.  ended: the program has ended: checks its end, too."""
        return self.suppressions.left([found for fabric in self.fabrics for found in findings(fabric, ended)])


def findings(fabric: Fabric, ended: bool = True) -> list[Finding]:
    """The findings of a fabric that was made with check=True, in order of cycles.

    ended: the program has ended; what it has left in queues, FIFOs, routers, switches and filters is checked as well.
    Raises ConfigError without check=True.
    """
    found = [sentences.finding(fabric.image, record) for record in fabric.found(ended)]
    if ended:
        found += remains.findings(fabric)
    return sorted(merged(found), key=lambda one: (one.cycle, one.y, one.x))
