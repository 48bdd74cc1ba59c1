"""The TextMate grammar of CSL, made from the tables of the lexer and of predefined names.

`wse/lsp/vscode/syntaxes/csl.tmLanguage.json` holds it for editors; `python tests/record.py docs` writes it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from ..csl.sema import types as t
from ..csl.sema.frame import PREDEFINED
from ..csl.syntax.lexer import KEYWORDS, OPERATORS

SCOPE = "source.csl"
NAME = r"[A-Za-z_][A-Za-z0-9_]*"
VALUES = frozenset({"true", "false", "null", "undefined"})
CONTROL = frozenset(
    ["break", "continue", "else", "for", "if", "inline", "orelse", "return", "switch", "unreachable", "while"]
)
WORDS_OF_OPERATORS = frozenset({"and", "or"})
BRACKETS = frozenset("(){}[],;:")


def words(names: Iterable[str]) -> str:
    """A pattern of whole words."""
    return rf"\b(?:{'|'.join(sorted(names))})\b"


def grammar() -> dict[str, Any]:
    """The grammar as a document.  Earlier patterns come before later ones at the same place."""
    types = [name for name, value in PREDEFINED.items() if value.type is t.TYPE]
    directions = [name for name, value in PREDEFINED.items() if value.type is t.DIRECTION]
    storage = KEYWORDS - VALUES - CONTROL - WORDS_OF_OPERATORS - set(types)
    signs = sorted((sign for sign in OPERATORS if sign not in BRACKETS), key=lambda sign: (-len(sign), sign))
    escape = {"name": "constant.character.escape.csl", "match": r"\\(?:x[0-9A-Fa-f]{2}|.)"}
    return {
        "$schema": "https://raw.githubusercontent.com/martinring/tmlanguage/master/tmlanguage.json",
        "name": "CSL",
        "scopeName": SCOPE,
        "fileTypes": ["csl"],
        "patterns": [
            rule("comment.line.double-slash.csl", r"//.*$"),
            {
                "name": "string.quoted.double.csl",
                "begin": '"',
                "end": r'"|$',
                "patterns": [escape],
            },
            rule("constant.character.csl", r"'(?:[^'\\\n]|\\.[0-9A-Fa-f]{0,2})'"),
            rule("support.function.builtin.csl", rf"@{NAME}"),
            declaration("fn|task", "storage.type.function.csl", "entity.name.function.csl"),
            declaration("param", "storage.type.csl", "variable.parameter.csl"),
            declaration("const|var", "storage.type.csl", "variable.other.csl"),
            rule("entity.other.attribute-name.csl", rf"(?<=\.){NAME}(?=\s*=[^=>])"),
            rule("entity.name.function.member.csl", rf"(?<=\.){NAME}(?=\s*\()"),
            rule("variable.other.member.csl", rf"(?<=\.){NAME}"),
            rule("constant.language.csl", words(VALUES | set(directions))),
            rule("keyword.control.csl", words(CONTROL)),
            rule("keyword.operator.word.csl", words(WORDS_OF_OPERATORS)),
            rule("storage.type.csl", rf"{words(types)}|\b[iu](?:0|[1-9][0-9]*)\b"),
            rule("storage.modifier.csl", words(storage)),
            rule("entity.name.function.csl", rf"\b{NAME}(?=\s*\()"),
            rule("constant.numeric.csl", NUMBER),
            rule("variable.other.csl", rf"\b{NAME}\b"),
            rule("keyword.operator.csl", "|".join(re.escape(sign) for sign in signs)),
        ],
    }


NUMBER = (
    r"\b0[xX][0-9A-Fa-f_]*\.[0-9A-Fa-f_]*(?:[pP][+-]?[0-9_]+)?|\b0[xX][0-9A-Fa-f_]+(?:[pP][+-]?[0-9_]+)?"
    r"|\b0[bB][01_]+|\b0[oO][0-7_]+"
    r"|\b[0-9][0-9_]*\.(?![.*A-Za-z_{])[0-9_]*(?:[eE][+-]?[0-9_]+)?|\b[0-9][0-9_]*(?:[eE][+-]?[0-9_]+)?"
)


def rule(name: str, match: str) -> dict[str, Any]:
    return {"name": name, "match": match}


def declaration(keywords: str, keyword: str, name: str) -> dict[str, Any]:
    """The words that declare, and what they declare."""
    return {
        "match": rf"\b({keywords})\s+({NAME})\b",
        "captures": {"1": {"name": keyword}, "2": {"name": name}},
    }


def document() -> str:
    """The grammar as the text of a file."""
    return json.dumps(grammar(), indent=2) + "\n"
