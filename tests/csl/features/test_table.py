"""The table of CSL's features: its form, and that the tests it names exist."""

from __future__ import annotations

import ast
from functools import cache

import pytest
from documents import ROOT

from wse.csl.features import table
from wse.errors import ConfigError

CHAPTERS = table.chapters()
ROW = {"name": "n", "releases": "both", "state": "works", "tests": ["tests/x.py::test_x"]}


@cache
def functions(path: str) -> set[str]:
    """The tests of a file, those of classes as Class::test."""
    if not (ROOT / path).exists():
        return set()
    found = set()
    for node in ast.parse((ROOT / path).read_text()).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)}
    return found


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.key)
def test_every_test_that_is_named_exists(chapter):
    named = [test for feature in chapter.features for test in feature.tests]
    missing = [
        test for test in named if test.partition("::")[2].partition("[")[0] not in functions(test.partition("::")[0])
    ]
    assert missing == []


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.key)
def test_no_feature_stands_twice(chapter):
    names = [feature.name for feature in chapter.features]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"state": "ignored"}, "`state` is one of works, refused, undocumented, not 'ignored'"),
        ({"releases": "3.0"}, "`releases` is one of both, 1.4, 2.10"),
        ({"tests": []}, "`tests` names no test"),
        ({"state": "refused"}, "`note` has to say what happens"),
        ({"typo": 1}, "unknown field `typo`"),
    ],
)
def test_rows_of_another_form_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        table.feature("types", ROW | change)


def test_a_missing_field_is_named():
    with pytest.raises(ConfigError, match="missing field `name`"):
        table.feature("types", {"releases": "both", "state": "works"})
    with pytest.raises(ConfigError, match=r"types\.toml: `page` is missing"):
        table.chapter("types", {"title": "Types", "feature": []})


def test_the_page_counts_states_and_escapes_bars():
    rows = [
        ROW | {"name": "a | b"},
        ROW | {"name": "c", "state": "undocumented", "note": "No page describes it.", "tests": []},
    ]
    text = table.markdown([table.chapter("types", {"title": "Types, all", "page": "https://x", "feature": rows})])
    assert "| [Types, all](#types-all) | 1 | 0 | 1 |" in text
    assert "| a \\| b | both | works | `x.py::test_x` |" in text
    assert "| c. No page describes it. | both | undocumented |  |" in text
