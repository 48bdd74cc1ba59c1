"""The tables in docs/accuracy.md and README.md that are made by running it all: `wse validate --write-docs FILE`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..errors import ConfigError
from . import document, models, sensitivity
from .points import FURTHER, TABLE, Compared, compare, read


class Blocks:
    """The blocks that a document may have; each is made when it is asked for, what they share only once.

    report: takes what is being done, in a few words.
    """

    def __init__(self, threads: int = 1, report: Callable[[str], None] | None = None):
        self.threads, self.report = threads, report
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

    def renew(self, path: Path) -> list[str]:
        """Makes the blocks that the document has, and puts them there; returns their names."""
        before = path.read_text(encoding="utf-8")
        chosen = [name for name in document.names(before) if name in self.makers]
        if not chosen:
            known = ", ".join(self.makers)
            raise ConfigError(
                f"{path} has no block to renew, as <!-- points --> to <!-- /points -->: known are {known}"
            )
        path.write_text(document.splice(before, {name: self.makers[name]() for name in chosen}), encoding="utf-8")
        return chosen

    def all_results(self) -> list[Compared]:
        """Of all points that were run."""
        return [result for results in self.results.values() for result in results]

    def run(self, table: Path) -> list[Compared]:
        if table not in self.results:
            self.results[table] = list(compare(read(table), self.threads, report=self.report))
        return self.results[table]

    def accuracy(self) -> str:
        return document.accuracy({"calibration": self.run(TABLE), "further": self.run(FURTHER)}).markdown()

    def points(self, table: Path) -> str:
        results = self.run(table)
        return f"{document.points(results).markdown()}\n\n{document.in_words(results)}."

    def leave_one_out(self) -> str:
        return _marked(*document.leave_one_out(sensitivity.leave_one_out(read(), self.emulator)))

    def models(self) -> str:
        rows = list(models.compare(threads=self.threads, report=self.report))
        return _marked(document.models(rows), document.models_in_words(rows))


def _marked(table: document.Table, lines: list[str]) -> str:
    """As Markdown: the table, then the lines as a list."""
    return "\n".join([table.markdown(), "", *(f"- {line}" for line in lines)])
