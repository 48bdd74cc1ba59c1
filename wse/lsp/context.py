"""Where a cursor stands in text that may be half written: in which call and argument, in which literal, behind what.

Only tokens before the cursor are looked at; nothing need be parsed.
"""

from __future__ import annotations

from dataclasses import field
from pathlib import Path

from ..csl.syntax.errors import Findings, Source
from ..csl.syntax.lexer import Token, tokenize
from ..records import dataclass

OPENS, CLOSES = ("(", "[", "{", ".{"), (")", "]", "}")


@dataclass(eq=False)
class Bracket:
    """An open bracket around the cursor.

    before: the text of the expression that it follows, `f` of `f(` or the type of a literal.  commas: behind it, on its
    own level.  given: names of the fields that stand in it.  field: the one whose value the cursor is in.
    """

    text: str
    start: int
    before: str = ""
    commas: int = 0
    given: list[str] = field(default_factory=list)
    field: str | None = None


@dataclass(eq=False)
class Context:
    """brackets: around the cursor, innermost last.  word: the name at whose end the cursor stands, with the @ of a
    builtin; start: where it begins.  behind: the token before it.  base: the text of the expression before a `.`, None
    if no member is meant.  string: what is written of the string in which the cursor stands."""

    brackets: list[Bracket]
    word: str
    start: int
    behind: str = ""
    base: str | None = None
    string: str | None = None
    comment: bool = False

    @property
    def call(self) -> Bracket | None:
        """The innermost call around the cursor, through literals only."""
        for bracket in reversed(self.brackets):
            if bracket.text == "(" and bracket.before:
                return bracket
            if bracket.text != ".{":
                return None
        return None

    @property
    def path(self) -> list[str] | None:
        """Names of the fields between the call and the cursor; None if a literal between them has none."""
        names: list[str] = []
        for bracket in reversed(self.brackets[:-1]):
            if bracket.text == "(":
                break
            if bracket.field is None:
                return None
            names.insert(0, bracket.field)
        return names


def context(path: Path, text: str, offset: int) -> Context:
    """The context of an offset of a text."""
    before = text[:offset]
    line = before[before.rfind("\n") + 1 :]
    quote, comment = scan_line(line)
    if comment:
        return Context([], "", offset, comment=True)
    string = None
    if quote is not None:
        string = line[quote + 1 :]
        before = before[: len(before) - len(line) + quote]
    tokens = tokenize(Source(path, before), Findings())[:-1]
    word, start = "", len(before)
    if (
        string is None
        and tokens
        and tokens[-1].end == len(before)
        and tokens[-1].kind in ("ident", "keyword", "builtin")
    ):
        word, start = tokens[-1].text, tokens.pop().start
    elif string is None and before.endswith("@"):
        word, start = "@", len(before) - 1
    made = Context(brackets(tokens, before), word, start, tokens[-1].text if tokens else "", string=string)
    if tokens and tokens[-1].text == "." and tokens[-1].kind == "op":
        made.base = operand(tokens, len(tokens) - 1, before)
    elif tokens and tokens[-1].kind == "float" and tokens[-1].text.endswith("."):
        made.base, made.behind = "", "."  # a number
    return made


def scan_line(line: str) -> tuple[int | None, bool]:
    """Where a string begins that has no end on the line; whether the line ends in a comment."""
    at, quote = 0, None
    while at < len(line):
        char = line[at]
        if quote is not None:
            if char == "\\":
                at += 1
            elif char == '"':
                quote = None
        elif char == '"':
            quote = at
        elif line.startswith("//", at):
            return None, True
        at += 1
    return quote, False


def brackets(tokens: list[Token], text: str) -> list[Bracket]:
    """The brackets that are open behind the tokens."""
    found: list[Bracket] = []
    for at, token in enumerate(tokens):
        if token.kind != "op":
            continue
        if token.text in OPENS:
            before = operand(tokens, at, text) if token.text in ("(", "[", "{") else ""
            found.append(Bracket(token.text, token.start, before or ""))
        elif token.text in CLOSES:
            if found:
                found.pop()
        elif token.text == ";" and found and found[-1].text != "{":
            while found and found[-1].text != "{":  # a statement ends: what is open before has no end
                found.pop()
        elif token.text == "," and found:
            found[-1].commas += 1
            found[-1].field = None
        elif token.text == "=" and found and at > 2 and names_field(tokens, at) and found[-1].text in ("{", ".{"):
            found[-1].field = tokens[at - 1].text
            found[-1].given.append(tokens[at - 1].text)
    return found


def names_field(tokens: list[Token], at: int) -> bool:
    """Whether `=` follows the name of a field of a literal: `{ .name =`."""
    return tokens[at - 2].text == "." and tokens[at - 3].text in ("{", ".{", ",")


def operand(tokens: list[Token], end: int, text: str) -> str | None:
    """The text of the postfix expression that ends before a token; None if there is none."""
    at = end - 1
    start: int | None = None
    while at >= 0:
        token = tokens[at]
        if token.text in (")", "]") and token.kind == "op":
            opening = matching(tokens, at)
            if opening is None:
                break
            start, at = opening, opening - 1
            if tokens[at].kind not in ("ident", "builtin") and tokens[at].text not in (")", "]", ".*", ".?"):
                break  # in parentheses
        elif token.text in (".*", ".?"):
            at -= 1
        elif token.kind in ("ident", "builtin") or (token.kind == "keyword" and at and tokens[at - 1].text == "."):
            start = at
            if (
                at
                and tokens[at - 1].text == "."
                and tokens[at - 1].kind == "op"
                and at > 1
                and ends_operand(tokens[at - 2])
            ):
                at -= 2
                continue
            break
        else:
            break
    return text[tokens[start].start : tokens[end - 1].end] if start is not None else None


def ends_operand(token: Token) -> bool:
    return token.kind in ("ident", "builtin") or token.text in (")", "]", ".*", ".?")


def matching(tokens: list[Token], at: int) -> int | None:
    """The opening bracket of a closing one."""
    depth = 0
    for number in range(at, -1, -1):
        token = tokens[number]
        if token.kind == "op":
            depth += token.text in CLOSES
            depth -= token.text in OPENS
            if depth == 0:
                return number
    return None
