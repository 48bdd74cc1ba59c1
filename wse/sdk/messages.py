"""Messages of the host library on standard error, by level: what `msg_level` of SdkRuntime and SdkLayout chooses."""

from __future__ import annotations

import sys

from ..errors import ConfigError

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class Messages:
    """Prints messages of a level and above."""

    def __init__(self, level: str = "WARNING"):
        if level not in LEVELS:
            raise ConfigError(f"msg_level is one of {', '.join(LEVELS)}, not {level!r}")
        self.level = level

    def debug(self, text: str) -> None:
        self._say("DEBUG", f"debug: {text}")

    def info(self, text: str) -> None:
        self._say("INFO", f"info: {text}")

    def warning(self, text: str) -> None:
        self._say("WARNING", f"note: {text}")

    def _say(self, level: str, text: str) -> None:
        if LEVELS.index(level) >= LEVELS.index(self.level):
            print(text, file=sys.stderr)
