"""Every documented feature of CSL, its libraries, host interface and compiler, with its state and its test.

A chapter is a file NAME.toml of this folder:

    title = "Types"
    page = "https://sdk.cerebras.net/csl/language/types"      where the feature is documented
    [[feature]]
    name = "integers of any width up to 64 bits: `i3`, `u5`"
    releases = "both"                                         "both", "1.4" or "2.10"
    state = "works"                                           "works", "refused" or "undocumented"
    tests = ["tests/csl/features/test_table.py::test_NAME"]   tests that show the state
    note = "what a user has to know beyond the name"          optional; required if not "works"

A feature that is refused ends the compilation, or raises an error in the host program, with a message that says so.
`undocumented` is a feature that the public pages name and do not describe well enough to be built; using it is refused,
too.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from importlib import resources
from typing import NamedTuple

from ...errors import ConfigError

RELEASES = ("both", "1.4", "2.10")
STATES = ("works", "refused", "undocumented")


class Feature(NamedTuple):
    """A row of the table."""

    name: str
    releases: str
    state: str
    tests: tuple[str, ...]
    note: str = ""


class Chapter(NamedTuple):
    """A file of the table: the features of a page of the documentation."""

    key: str
    title: str
    page: str
    features: tuple[Feature, ...]


def chapters() -> tuple[Chapter, ...]:
    """All chapters, by title.  Raises ConfigError with the file and the row for what is not of the form above."""
    files = (entry for entry in resources.files(__package__).iterdir() if entry.name.endswith(".toml"))
    read = (chapter(entry.name.removesuffix(".toml"), tomllib.loads(entry.read_text("utf-8"))) for entry in files)
    return tuple(sorted(read, key=lambda one: one.title))


def chapter(key: str, document: dict) -> Chapter:
    """A chapter of a file's document."""
    missing = {"title", "page", "feature"} - set(document)
    if missing:
        raise ConfigError(f"{key}.toml: `{min(missing)}` is missing")
    return Chapter(key, document["title"], document["page"], tuple(feature(key, row) for row in document["feature"]))


def feature(key: str, row: dict) -> Feature:
    """A feature of a row."""
    where = f"{key}.toml: {row.get('name', 'a feature without a name')}"
    unknown = set(row) - set(Feature._fields)
    missing = {"name", "releases", "state"} - set(row)
    if unknown or missing:
        raise ConfigError(f"{where}: {'unknown' if unknown else 'missing'} field `{min(unknown or missing)}`")
    for name, values in (("releases", RELEASES), ("state", STATES)):
        if row[name] not in values:
            raise ConfigError(f"{where}: `{name}` is one of {', '.join(values)}, not {row[name]!r}")
    if row["state"] != "undocumented" and not row.get("tests"):
        raise ConfigError(f"{where}: `tests` names no test")
    if row["state"] != "works" and not row.get("note"):
        raise ConfigError(f"{where}: `note` has to say what happens, for the state is {row['state']!r}")
    return Feature(**{**row, "tests": tuple(row.get("tests", ()))})


PAGE = """\
# Features of CSL

Made from the files in `wse/csl/features` by `python tests/record.py docs`. A row is a feature that the public
documentation of SDK 1.4 or 2.10 describes. *works*: compiles, runs and gives the documented result. *refused*: the
compiler, or the host library, ends with a message that names the feature. *undocumented*: named by the documentation,
but not described well enough to be built; refused, too. Nothing is accepted and ignored. The last column names a test
that shows the state.

"""


def markdown(all_chapters: Iterable[Chapter]) -> str:
    """The page docs/csl-features.md."""
    all_chapters = tuple(all_chapters)
    lines = ["| chapter | works | refused | undocumented |", "| --- | ---: | ---: | ---: |"]
    for one in all_chapters:
        counts = [sum(row.state == state for row in one.features) for state in STATES]
        lines.append(f"| [{one.title}](#{anchor(one.title)}) | {' | '.join(map(str, counts))} |")
    totals = [sum(row.state == state for one in all_chapters for row in one.features) for state in STATES]
    lines.append(f"| all | {' | '.join(map(str, totals))} |")
    for one in all_chapters:
        lines += ["", f"## {one.title}", "", f"Documented at <{one.page}>.", ""]
        lines += ["| feature | release | state | test |", "| --- | --- | --- | --- |"]
        lines += [cells(row) for row in one.features]
    return PAGE + "\n".join(lines) + "\n"


def cells(row: Feature) -> str:
    """A row of a chapter's table."""
    name = f"{row.name}. {row.note}" if row.note else row.name
    test = f"`{row.tests[0].removeprefix('tests/')}`" if row.tests else ""
    return "| " + " | ".join(text.replace("|", "\\|") for text in (name, row.releases, row.state, test)) + " |"


def anchor(title: str) -> str:
    """The anchor that Markdown gives to a heading."""
    kept = "".join(letter for letter in title.lower() if letter.isalnum() or letter in " -_")
    return kept.replace(" ", "-")
