"""The tables of docs/accuracy.md and README.md that are made from runs: `wse validate --write-docs FILE`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..errors import ConfigError
from . import compiled, determined, document, models, sensitivity
from .points import FURTHER, TABLE, Compared, compare, read


class Blocks:
    """The blocks of a document.  A block is made on demand; runs that several blocks use are executed once.

    threads: of the host.  report: called with a short description of each step.  sources: where the CSL of published
    programs is; without it the blocks "compiled" and "compiled-leave-one-out" are left as they are.
    """

    def __init__(self, threads: int = 1, report: Callable[[str], None] | None = None, sources: Path | None = None):
        self.threads, self.report, self.sources = threads, report, sources
        self.emulator = sensitivity.Emulator(threads, report)
        self.results: dict[Path, list[Compared]] = {}
        self.makers: dict[str, Callable[[], str]] = {
            "accuracy": self.accuracy,
            "points": lambda: self.points(TABLE),
            "further": lambda: self.points(FURTHER),
            "parameters": lambda: document.parameters().markdown(),
            "leave-one-out": self.leave_one_out,
            "slopes": lambda: document.slopes(sensitivity.slopes(read(), self.emulator)).markdown(),
            "models": self.models,
        }
        if sources is not None:
            self.makers["compiled"] = self.compiled
            self.makers["compiled-leave-one-out"] = self.compiled_leave_one_out

    def renew(self, path: Path) -> list[str]:
        """Make the blocks that a document has, and write them into it; returns their names.

        Raises ConfigError if it has none.
        """
        before = path.read_text(encoding="utf-8")
        chosen = [name for name in document.names(before) if name in self.makers]
        if not chosen:
            known = ", ".join(self.makers)
            raise ConfigError(
                f"{path} has no block to renew, such as <!-- points --> to <!-- /points -->: known are {known}"
            )
        path.write_text(document.splice(before, {name: self.makers[name]() for name in chosen}), encoding="utf-8")
        return chosen

    def all_results(self) -> list[Compared]:
        """The results of all points that were run."""
        return [result for results in self.results.values() for result in results]

    def run(self, table: Path) -> list[Compared]:
        """The results of the points of a table; runs them at the first call."""
        if table not in self.results:
            self.results[table] = list(compare(read(table), self.threads, report=self.report))
        return self.results[table]

    def accuracy(self) -> str:
        """The block "accuracy": a summary of all points."""
        return document.accuracy({"calibration": self.run(TABLE), "further": self.run(FURTHER)}).markdown()

    def points(self, table: Path) -> str:
        """The blocks "points" and "further": a row per point of a table, and a summary."""
        results = self.run(table)
        return f"{document.points(results).markdown()}\n\n{document.in_words(results)}."

    def compiled(self) -> str:
        """The block "compiled": programs compiled from CSL, by class, then each."""
        rows = list(compiled.compare(compiled.programs(), self.sources, self.threads, self.report))
        tables = [document.compiled_accuracy(rows), document.compiled_programs(rows)]
        lines = [f"- {line}" for line in document.compiled_in_words(rows)]
        return "\n\n".join([*(table.markdown() for table in tables), *(["\n".join(lines)] if lines else [])])

    def compiled_leave_one_out(self) -> str:
        """The block "compiled-leave-one-out": the values that programs compiled from CSL allow."""
        assert self.sources is not None
        found = determined.leave_one_out(compiled.programs(), self.sources, self.threads, self.report)
        return document.compiled_leave_one_out(found).markdown()

    def leave_one_out(self) -> str:
        """The block "leave-one-out": the values that the points allow for each free parameter."""
        return _marked(*document.leave_one_out(sensitivity.leave_one_out(read(), self.emulator)))

    def models(self) -> str:
        """The block "models": errors against the closed forms."""
        rows = list(models.compare(threads=self.threads, report=self.report))
        return _marked(document.models(rows), document.models_in_words(rows))


def _marked(table: document.Table, lines: list[str]) -> str:
    """Markdown of a table, followed by the lines as a list."""
    return "\n".join([table.markdown(), "", *(f"- {line}" for line in lines)])
