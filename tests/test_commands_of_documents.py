"""Every command line of every document exists, with its options; those that are quick run, in the order of the page."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest
from documents import ROOT
from shell import sh

from wse.cli import cslc, parse

PAGES = [ROOT / "README.md", ROOT / "traces/README.md", *sorted(ROOT.glob("docs/*.md"))]
NAMES = re.compile(r"\b([A-Z][A-Z_]{2,}|PATH|N|A|B)\b")  # that stand for a value in a sentence: `wse run NAME`
# Commands with these words have these after their own, where the last ones win, to be quick; None: too long for a test.
SMALLER: dict[str, list[str] | None] = {
    "gemm": ["-M", "16", "-K", "16", "-N", "16", "--grid", "2x2"],
    "bench": None,
    "train": None,
    "generate": None,  # tests/cli/test_generate.py
    "embed": None,  # tests/cli/test_embed.py
    "validate": ["--only", "two-phase-512-64-s4"],
    "--system": None,  # tests/test_readme.py
    "debug": None,  # tests/debug/test_shell.py
    "lsp": None,  # talks with an editor
    "profile": None,  # of a compiled program
    "knee": ["--channels", "12"],
    "--step": None,  # executes a training step
    "--measure": None,  # executes all shapes of a kernel
}
ELSEWHERE = ("README.md", "traces/README.md", "docs/gallery.md")  # tests/test_readme.py, tests/record.py


class Line(NamedTuple):
    """A command line of a document: where, its words, the file that its output goes to, and what its comment says."""

    page: Path
    number: int
    words: list[str]
    into: str | None
    comment: str


def lines(page: Path) -> Iterator[Line]:
    """Those of indented blocks and of blocks marked sh."""
    in_shell = False
    for number, text in enumerate(page.read_text().splitlines(), 1):
        if text.startswith("```"):
            in_shell = text == "```sh"
        match = re.match(r"(?:    )?((?:wse|cslc) .*)$" if in_shell else r"    ((?:wse|cslc) .*)$", text)
        if match:
            code, _, comment = match[1].partition(" # ")
            for part in code.split("&&"):
                words, _, into = part.partition(" > ")
                yield Line(page, number, shlex.split(words), into.strip() or None, comment.strip())


def name(line: Line) -> str:
    return f"{line.page.name}:{line.number}"


LINES = [line for page in PAGES for line in lines(page)]


@pytest.mark.parametrize("line", LINES, ids=name)
def test_every_command_exists_with_its_options(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("docs", "traces"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    if line.comment.startswith("status 2"):
        done = sh(*line.words[1:])
        assert done.exit_code == 2
        for part in line.comment.removeprefix("status 2:").split("..."):
            assert part.strip(" ,;") in done.stderr
    elif line.words[0] == "cslc":
        cslc.command.make_context("cslc", line.words[1:])
    else:
        parse(line.words[1:])


def sentences() -> Iterator[tuple[str, list[str]]]:
    """Command lines within sentences that name no placeholder and end with an option or its value."""
    for page in PAGES:
        for match in re.finditer(r"(?<!`)`(wse [^`\n]+)`(?!`)", page.read_text()):
            words = match[1].split()
            if not NAMES.search(match[1]) and not re.search(r"[.…{}|<>]{2,}|[{}|<>]", match[1]):
                yield f"{page.name}: {match[1]}", words


@pytest.mark.parametrize("words", [words for _, words in sentences()], ids=[where for where, _ in sentences()])
def test_commands_in_sentences_exist(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    try:
        parse(words[1:])
    except click.UsageError as error:
        # a command may be named without what it needs, as `wse plot`
        needs = isinstance(error, click.MissingParameter) or "is missing" in str(error)
        assert needs or "requires an argument" in str(error), error


@pytest.mark.parametrize(
    "page", [p for p in PAGES if p.relative_to(ROOT).as_posix() not in ELSEWHERE], ids=lambda p: p.stem
)
def test_commands_of_a_page_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs/pictures").mkdir(parents=True)
    (tmp_path / "traces").symlink_to(ROOT / "traces")
    for line in lines(page):
        words, more = line.words[1:], [SMALLER[word] for word in SMALLER if word in line.words]
        if line.words[0] != "wse" or None in more or line.comment.startswith("status 2") or "csl" in words[:1]:
            continue
        done = sh(*words, *(word for part in more for word in part or ()))
        assert done.exit_code == int(line.comment.startswith("status 1")), f"{name(line)}: {done.stderr}"
        if line.into:
            Path(line.into).write_text(done.stdout)
