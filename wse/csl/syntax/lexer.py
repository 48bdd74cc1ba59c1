"""Text to tokens.

Longest match first.  Tokens join what belongs together, with or without space between: `.{` opens a literal, `.*`
follows a pointer, `.?` an optional.  A
character that begins no token is reported and skipped, so that one run shows all of them.
"""

from __future__ import annotations

import math
import re

from .errors import CslError, Findings, Source, Span

KEYWORDS = frozenset(
    [
        "align",
        "and",
        "asm",
        "break",
        "color",
        "comptime",
        "const",
        "continue",
        "else",
        "enum",
        "export",
        "extern",
        "false",
        "fn",
        "for",
        "if",
        "inline",
        "layout",
        "linkname",
        "linksection",
        "null",
        "or",
        "orelse",
        "packed",
        "param",
        "return",
        "struct",
        "switch",
        "task",
        "true",
        "undefined",
        "union",
        "unreachable",
        "var",
        "void",
        "while",
    ]
)
# `color`, `void` and the like are names of types as well: the parser takes them where a type may stand.
INTEGER_BITS = 1 << 13  # of an integer at compile time: more is a mistake, slow, and unreadable in a message
TYPE_WORDS = frozenset({"color", "void"})

OPERATORS = [
    "<<=",
    ">>=",
    "...",
    ".*",
    ".{",
    ".?",
    "++",
    "+=",
    "-=",
    "*=",
    "/=",
    "%=",
    "&=",
    "|=",
    "^=",
    "==",
    "!=",
    "<=",
    ">=",
    "=>",
    "->",
    "<<",
    ">>",
    "+",
    "-",
    "*",
    "/",
    "%",
    "&",
    "|",
    "^",
    "~",
    "!",
    "<",
    ">",
    "=",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    ",",
    ";",
    ":",
    ".",
    "?",
]

_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\r\n\f\v\ufeff]+|//[^\n]*)
  | (?P<ident>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<builtin>@[A-Za-z_][A-Za-z0-9_]*)
  | (?P<float>0[xX][0-9a-fA-F_]*\.[0-9a-fA-F_]*(?:[pP][+-]?[0-9_]+)?|0[xX][0-9a-fA-F_]+[pP][+-]?[0-9_]+
      |[0-9][0-9_]*\.(?![.*A-Za-z_{])[0-9_]*(?:[eE][+-]?[0-9_]+)?|[0-9][0-9_]*[eE][+-]?[0-9_]+)
  | (?P<int>0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|[0-9][0-9_]*)
  | (?P<string>"(?:[^"\\\n]|\\.)*")
  | (?P<char>'(?:[^'\\\n]|\\.[0-9a-fA-F]{0,2})')
  | (?P<op>\.(?=[ \t\r\n]+[{*?])[ \t\r\n]+[{*?]|"""
    + "|".join(re.escape(op) for op in OPERATORS)
    + r""")
""",
    re.VERBOSE,
)

_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "\\": "\\", '"': '"', "'": "'"}


class Token:
    """kind: ident, keyword, builtin, int, float, string, char, op, end.  text: as written.  value: of a literal."""

    __slots__ = ("end", "kind", "start", "text", "value")

    def __init__(self, kind: str, text: str, start: int, end: int, value: object = None):
        self.kind, self.text, self.start, self.end, self.value = kind, text, start, end, value

    def __repr__(self) -> str:
        return f"{self.kind}:{self.text}"

    def __str__(self) -> str:
        return "the end of the file" if self.kind == "end" else repr(self.text) if len(self.text) < 40 else self.kind


def tokenize(source: Source, findings: Findings | None = None) -> list[Token]:
    """The tokens of a text, the last of kind `end`.  Findings go to `findings`; without it the first is raised."""
    text, tokens, at = source.text, [], 0
    match, length = _TOKEN.match, len(text)
    while at < length:
        found = match(text, at)
        if found is None:
            at = _report(source, at, findings)
            continue
        kind, end = found.lastgroup or "", found.end()
        if kind != "space":
            word = found.group()
            value: object = None
            if kind == "ident":
                if word in KEYWORDS:
                    kind = "keyword"
            elif kind == "op":
                word = "".join(word.split())
            elif kind in _VALUES:
                try:
                    value = _VALUES[kind](word)
                except (ValueError, OverflowError) as problem:
                    shown = word if len(word) < 80 else f"{word[:60]}..."
                    _found(findings, CslError.at(Span(source, at, end), f"{shown} is no {kind} literal: {problem}"))
                    value = _DEFAULTS[kind]
            tokens.append(Token(kind, word, at, end, value))
        at = end
    tokens.append(Token("end", "", length, length))
    return tokens


def _report(source: Source, at: int, findings: Findings | None) -> int:
    """Says what is wrong at an offset where no token begins; where to go on."""
    char = source.text[at]
    line_end = source.text.find("\n", at)
    line_end = len(source.text) if line_end < 0 else line_end
    if char == '"':
        problem, end = "this string has no end on its line: a closing double quote was expected", line_end
    elif char == "'":
        problem, end = "this is no character literal: one character between quotes was expected", at + 1
    elif char == "@":
        problem, end = "the name of a builtin was expected after @", at + 1
    else:
        problem, end = f"{char!r} begins no token of CSL", at + 1
    _found(findings, CslError.at(Span(source, at, end), problem))
    return end


def _found(findings: Findings | None, error: CslError) -> None:
    if findings is None:
        raise error
    findings.add(error)


def _integer(word: str) -> int:
    digits = word.replace("_", "")
    is_power = len(digits) > 1 and digits[0] == "0" and digits[1] in "xXbBoO"
    value = int(digits, 0) if is_power else int(digits) if len(digits) < INTEGER_BITS // 3 else None
    if value is None or value.bit_length() > INTEGER_BITS:
        raise ValueError(f"it has more than {INTEGER_BITS:,} bits")
    return value


def _float(word: str) -> float:
    word = word.replace("_", "")
    value = float.fromhex(word) if word[:2] in ("0x", "0X") else float(word)
    if math.isinf(value):
        raise ValueError("it is larger than any comptime_float")
    return value


def _string(word: str) -> str:
    return _unescape(word[1:-1])


def _char(word: str) -> int:
    text = _unescape(word[1:-1])
    data = bytes_of(text)
    return data[0] if len(data) == 1 else ord(text)


def bytes_of(text: str) -> bytes:
    """The bytes of a comptime_string: UTF-8; a byte that is none stands in it as a surrogate."""
    return text.encode("utf-8", "surrogateescape")


def text_of(data: bytes) -> str:
    """The comptime_string of these bytes."""
    return data.decode("utf-8", "surrogateescape")


def _unescape(body: str) -> str:
    if "\\" not in body:
        return body
    out, at = [], 0
    while at < len(body):
        if body[at] != "\\":
            out.append(body[at])
            at += 1
            continue
        code = body[at + 1]
        if code == "x":
            digits = body[at + 2 : at + 4]
            if not re.fullmatch("[0-9a-fA-F]{2}", digits):
                raise ValueError(r"two hexadecimal digits were expected after \x")
            out.append(text_of(bytes([int(digits, 16)])))
            at += 4
        elif code in _ESCAPES:
            out.append(_ESCAPES[code])
            at += 2
        else:
            raise ValueError(f"\\{code} is no escape: known are \\n \\t \\r \\0 \\\\ \\\" \\' \\xNN")
    return text_of(bytes_of("".join(out)))


_VALUES = {"int": _integer, "float": _float, "string": _string, "char": _char}
_DEFAULTS: dict[str, object] = {"int": 0, "float": 0.0, "string": "", "char": 0}
