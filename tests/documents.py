"""What documents hold that can be run: commands, Python with its output, and tables that are made."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import wse

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = Path(wse.__file__).resolve().parent.parent  # where the package under test lies: ROOT, or site-packages


def commands(text: str) -> list[list[str]]:
    """The words of each line of an indented block that is a command `wse ...`, without its comment."""
    return [shlex.split(line, comments=True) for line in re.findall(r"(?m)^    (wse .*)$", text)]


class Snippet(NamedTuple):
    """Python code of a document, the line it begins at, and the output that follows it there, None if nothing does."""

    code: str
    line: int
    output: str | None


def snippets(text: str) -> Iterator[Snippet]:
    """The blocks marked python; one marked text directly after it is its output."""
    for match in re.finditer(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", text, re.DOTALL | re.MULTILINE):
        yield Snippet(match[1], text.count("\n", 0, match.start()) + 2, match[2])
