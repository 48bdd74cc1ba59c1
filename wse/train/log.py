"""Logs of a run: a line of JSON for each step, and TensorBoard's event files.

The keys of a line are stable; a run that is resumed appends to its file.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from ..errors import ConfigError
from .loop import Step

EXTRA = "pip install 'wse[tensorboard]'"
# Scalars of TensorBoard: their tags, and the keys of a line.
SCALARS = {
    "train/loss": "loss",
    "train/learning_rate": "learning_rate",
    "train/gradient_norm": "gradient_norm",
    "train/loss_scale": "loss_scale",
    "wafer/cycles": "cycles",
}


_INFINITE = (float("inf"), -float("inf"))  # in JSON null, as NaN is


class Log:
    """Writes steps to the files that are asked for; a context manager that closes them.

    lines: a .jsonl file.  board: a folder of TensorBoard.  append: the run goes on from a checkpoint.  Raises
    ConfigError if a file cannot be written, or if the package tensorboardX is missing.
    """

    def __init__(self, lines: Path | None = None, board: Path | None = None, append: bool = False):
        self._file: IO[str] | None = None
        self._board: Any = None
        self._begun = time.monotonic()
        if board is not None:
            try:
                from tensorboardX import SummaryWriter
            except ImportError:
                raise ConfigError(f"TensorBoard's files take the package tensorboardX: {EXTRA}") from None
            try:
                self._board = SummaryWriter(str(board))
            except OSError as error:
                raise ConfigError(f"{board}: {error.strerror}") from None
        if lines is not None:
            try:
                self._file = open(lines, "a" if append else "w", encoding="utf-8")  # noqa: SIM115
            except OSError as error:
                raise ConfigError(f"{lines}: {error.strerror}") from None

    def __enter__(self) -> Log:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()
        if self._board is not None:
            self._board.close()

    def add(self, step: Step, bound: dict[str, str]) -> None:
        """Writes a step.  bound: what bounds each phase of its last pass."""
        line = {
            "step": step.step + 1,
            "loss": step.loss,
            "learning_rate": step.rate,
            "gradient_norm": step.norm,
            "loss_scale": step.scale,
            "skipped": step.skipped,
            "tokens": step.tokens,
            "cycles": step.cycles,
            "busiest_expert": step.busiest or None,
            "bound_by": bound,
            "seconds": round(time.monotonic() - self._begun, 3),
        }
        if self._file is not None:
            finite = {key: None if value != value or value in _INFINITE else value for key, value in line.items()}
            self._file.write(json.dumps(finite, allow_nan=False) + "\n")
            self._file.flush()
        if self._board is not None:
            for tag, key in SCALARS.items():
                self._board.add_scalar(tag, line[key], step.step + 1)
