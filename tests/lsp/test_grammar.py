"""The TextMate grammar against the lexer: every token of real programs gets the scope of its kind.

Covers: wse/lsp/grammar.py
"""

import json
import re

import pytest
from documents import ROOT

from wse.csl.sema.frame import PREDEFINED
from wse.csl.sema.modules import LIBRARY
from wse.csl.syntax.errors import Source
from wse.csl.syntax.lexer import KEYWORDS, OPERATORS, tokenize
from wse.lsp import grammar

VSCODE = ROOT / "wse/lsp/vscode"
TEXTS = [*sorted((ROOT / "docs/examples").rglob("*.csl")), *sorted(LIBRARY.rglob("*.csl"))]
KINDS = {  # of the lexer: scopes that a token may have
    "keyword": ("keyword.", "storage.", "constant.language"),
    "builtin": ("support.function.builtin",),
    "int": ("constant.numeric",),
    "float": ("constant.numeric",),
    "string": ("string.",),
    "char": ("constant.character",),
    "ident": ("entity.", "variable.", "storage.type", "constant.language"),
    "op": ("keyword.operator", ""),
}


def scopes(text):
    """(start, end, scope) of a text, by the rules of TextMate: the first match in a line, of rules in their order."""
    made = grammar.grammar()["patterns"]
    rules = [(re.compile(one.get("match") or one["begin"]), one) for one in made]
    found, start = [], 0
    for line in text.splitlines(keepends=True):
        at, body = 0, line.rstrip("\r\n")
        while at < len(body):
            matches = [(m.start(), i, m, one) for i, (form, one) in enumerate(rules) if (m := form.search(body, at))]
            if not matches:
                break
            _, _, match, one = min(matches, key=lambda row: row[:2])
            end = match.end()
            if "begin" in one:
                inner = re.compile(one["patterns"][0]["match"])
                while end < len(body) and body[end] != '"':
                    escape = inner.match(body, end)
                    end = escape.end() if escape else end + 1
                end = min(end + 1, len(body))
            if "captures" in one:
                for number, capture in one["captures"].items():
                    a, b = match.span(int(number))
                    found.append((start + a, start + b, capture["name"]))
            else:
                found.append((start + match.start(), start + end, one["name"]))
            assert end > at
            at = end
        start += len(line)
    return found


def test_the_file_is_current():
    assert (VSCODE / "syntaxes/csl.tmLanguage.json").read_text() == grammar.document()


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_tokens_have_the_scopes_of_their_kinds(path):
    text = path.read_text()
    found = {start: (end, name) for start, end, name in scopes(text)}
    before = None
    for token in tokenize(Source(path, text))[:-1]:
        end, name = found.get(token.start, (token.end, ""))
        kind = "ident" if token.kind == "keyword" and before == "." else token.kind  # a field such as .color
        before = token.text
        assert name.startswith(KINDS[kind]), (token, name, text[token.start : token.end + 20])
        if token.kind != "op":
            assert end == token.end, (token, name)


@pytest.mark.parametrize("word", sorted(KEYWORDS | set(PREDEFINED)))
def test_every_word_of_the_language_has_a_scope_of_its_own(word):
    ((start, end, name),) = scopes(word)
    assert (start, end) == (0, len(word)) and not name.startswith(("variable", "entity"))


@pytest.mark.parametrize("sign", OPERATORS)
def test_operators(sign):
    found = scopes(f"a {sign} b")
    assert (found[1][:2] == (2, 2 + len(sign))) or set(sign) <= grammar.BRACKETS


def test_groups_of_keywords_are_keywords():
    assert KEYWORDS >= grammar.VALUES | grammar.CONTROL | grammar.WORDS_OF_OPERATORS


@pytest.mark.parametrize(
    "line", ["// while (x) fn", '"a // b @c', "'\\x41'", "x.while", "i16x", "f32_", "0x1f_ff", "1.5e-3"]
)
def test_lines_that_look_like_others(line):
    found = scopes(line)
    assert "keyword" not in "".join(name for _, _, name in found).replace("keyword.operator.csl", "")


def test_the_extension_names_its_files():
    package = json.loads((VSCODE / "package.json").read_text())
    (language,), (made,) = package["contributes"]["languages"], package["contributes"]["grammars"]
    for name in (language["configuration"], made["path"], package["main"]):
        assert (VSCODE / name).is_file()
    assert made["scopeName"] == grammar.SCOPE and language["id"] == made["language"] == "csl"
    json.loads((VSCODE / language["configuration"]).read_text())


def test_settings_of_the_extension_are_those_of_the_server():
    from wse.lsp.project import checked

    properties = json.loads((VSCODE / "package.json").read_text())["contributes"]["configuration"]["properties"]
    names = {name.removeprefix("wse.") for name in properties} - {"command"}
    document = (ROOT / "docs/editor.md").read_text()
    assert names == set(re.findall(r"`wse\.(\w+)`", document)) - {"command"}
    for name in names:
        good, wrong = checked({name: 5.5})
        assert not good and len(wrong) == 1, name
        assert checked({name: properties[f"wse.{name}"]["default"]}) == ({}, [])
        for value in properties[f"wse.{name}"].get("enum", []):
            assert checked({name: value})[1] == []
