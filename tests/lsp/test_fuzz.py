"""Texts that are cut, damaged or joined at random: no request fails, and none takes long."""

import random
import time

import pytest
from documents import ROOT
from editing import Program

from wse.cli.lsp import options_of
from wse.lsp import colouring, completion, hints, hover, navigation, outline, renaming, signatures
from wse.lsp.session import Session

EXAMPLES = sorted((ROOT / "docs/examples").glob("*/*.csl"))
CUTS = 12  # of each text
SIGNS = [
    "{",
    "}",
    "(",
    ")",
    ".{",
    ";",
    ".",
    ",",
    '"',
    "@",
    "|",
    "=",
    "\n",
    "//",
    "0x",
    "'",
    "\u00e9",
    "\U0001f600",
    "fn f(",
]


def damaged(text, at, chosen):
    """The text as it may be while one types: cut, without a part, with a sign too much, with a part twice."""
    end = min(len(text), at + chosen.randrange(1, 60))
    return {
        "cut": text[:at],
        "hole": text[:at] + text[end:],
        "sign": text[:at] + chosen.choice(SIGNS) + text[at:],
        "twice": text[:end] + text[at:],
    }


@pytest.fixture(scope="module", params=EXAMPLES, ids=lambda path: "-".join(path.parts[-2:]))
def opened(request):
    """A session and an example that is open in it."""
    path = request.param
    session = Session(lambda found: None, lambda words: None, options_of)
    session.project.roots = [path.parent]
    session.put(path, path.read_text())
    look(session)
    return session, path


def look(session):
    found = {}
    session.look(time.monotonic(), lambda: False, found.update, lambda words: None)
    said = [one.message for diagnostics in found.values() for one in diagnostics]
    assert not [words for words in said if "internal error" in words]


def ask(session, path, offset):
    """Every request about a place."""
    view = session.view(path)
    hover.hover(view, offset)
    completion.complete(view, offset)
    signatures.signature_help(view, offset)
    navigation.definition(view, offset)
    navigation.references(view, offset)
    outline.outline(view)
    colouring.tokens(view)
    hints.hints(view, session.profiles, 0, len(view.parsed.text))
    try:
        renaming.rename(view, offset, "other_name")
    except renaming.CannotRename as error:
        assert str(error)


@pytest.mark.parametrize("how", ["cut", "hole", "sign", "twice"])
def test_half_written_examples(opened, how):
    session, path = opened
    text = path.read_text()
    chosen = random.Random(f"{path.name} {how}")
    for _ in range(CUTS):
        at = chosen.randrange(len(text))
        now = damaged(text, at, chosen)[how]
        session.put(path, now)
        ask(session, path, min(at, len(now)))  # with what was known before
        look(session)
        ask(session, path, chosen.randrange(len(now) + 1))
    session.put(path, text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\x00\x01\x02",
        "(" * 5000,
        "{" * 5000,
        "fn f() void {" * 300,
        "const a = " + "-" * 3000 + "1;",
        "const a: " + "?" * 3000 + "i16 = 1;",
        "const a = a;\nconst b = c;\nconst c = b;",
        'const m = @import_module("pe.csl");',
        "fn f() void { f(); }\ncomptime { f(); }",
        "comptime { var i: i32 = 0; while (true) { i += 1; } }",
        "fn g(comptime n: i16) i16 { return g(n + 1); }\nconst x = g(0);",
        "struct { a: i16 }.",
        "const s = struct { a: i16, a: i16 };\nvar x: s = .{ .a = 1, .a = 2 };",
        "\ufeffparam n: u16;\r\nvar x: [n]f32;\r\n",
        "fn f(a: i16, a: i16) void { var a: i16 = 1; for (a) |a, a| {} }",
        "const s = \"\\xzz\\q\";\nconst c = '';\n",
    ],
    ids=lambda text: repr(text[:24]),
)
def test_hostile_texts(text, tmp_path):
    program = Program(tmp_path)
    path = program.path("pe")
    program.session.put(path, text)
    begun = time.monotonic()
    try:
        program.session.look(begun, lambda: time.monotonic() - begun > 1.5, program.keep, program.said.append)
    except Exception as error:
        assert type(error).__name__ == "Stopped"
    for offset in (0, len(text) // 2, len(text)):
        ask(program.session, path, offset)
