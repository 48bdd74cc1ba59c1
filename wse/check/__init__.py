"""Checked runs: mistakes of a program that the machine lets pass, with their places and what came before.

    checker = Checker()
    options = RunOptions(check=checker)            # or: fabric = Fabric(program, check=True); checker.add(fabric)
    ...
    for finding in checker.findings():
        print(finding)

docs/check.md describes the kinds, one section each.

    finding     a finding; the kinds
    sentences   the words of findings that the engine notes while the program runs
    remains     findings in what a run has left behind
    suppress    files that say which findings are known
"""

from __future__ import annotations

from ..fabric.fabric import Fabric
from . import remains, sentences
from .finding import KINDS, Finding, merged
from .suppress import Suppressions

__all__ = ["KINDS", "Checker", "Finding", "Suppressions", "findings"]


class Checker:
    """Collects the findings of the fabrics of a run.  suppressions: findings that are known, and left out."""

    def __init__(self, suppressions: Suppressions | None = None):
        self.suppressions = suppressions or Suppressions()
        self.fabrics: list[Fabric] = []

    def add(self, fabric: Fabric) -> None:
        """Findings of this fabric count too; it was made with check=True."""
        self.fabrics.append(fabric)

    def findings(self, ended: bool = True) -> list[Finding]:
        """The findings so far, in order of cycles.  ended: the program has ended, and what it leaves is looked at."""
        return self.suppressions.left([found for fabric in self.fabrics for found in findings(fabric, ended)])


def findings(fabric: Fabric, ended: bool = True) -> list[Finding]:
    """The findings of a fabric that was made with check=True, in order of cycles.

    ended: the program has ended: also what it has left in queues, FIFOs, routers, switches and filters.
    Raises ConfigError without check=True.
    """
    found = [sentences.finding(fabric.image, record) for record in fabric.found(ended)]
    if ended:
        found += remains.findings(fabric)
    return sorted(merged(found), key=lambda one: (one.cycle, one.y, one.x))
