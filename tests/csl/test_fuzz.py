"""No text makes the compiler crash or loop: whatever it is given, it compiles it or says what is wrong.

Texts are made three ways: from any characters, from the words of the language in any order, and from the test programs with
tokens dropped, doubled, swapped or replaced.

Covers: wse/csl/syntax/lexer.py
"""

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wse.csl.codegen.link import link
from wse.csl.compile import compile_program
from wse.csl.syntax.errors import Findings, Source
from wse.csl.syntax.lexer import KEYWORDS, OPERATORS, tokenize
from wse.csl.syntax.parser import parse
from wse.errors import WseError

PROGRAMS = sorted((Path(__file__).parent / "programs").glob("*.csl"))
WORDS = [
    *sorted(KEYWORDS), *OPERATORS, "x", "y", "main", "i16", "f32", "u16", "0", "1", "2.5", '"s"', "@as", "@zeros", "@get_dsd",
    "@range", "@import_module", "mem1d_dsd", "{}", "|i|{4} -> x[i]", "fn main() void {", "}", ";", "const x = ", "var y: i16 = ",
]  # fmt: skip
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), database=None)


def parses(text: str) -> None:
    findings = Findings()
    parse(Source("fuzz.csl", text), findings)
    for diagnostic in findings.errors:
        assert str(diagnostic)


def compiles(folder: Path, text: str) -> bool:
    """Whether it compiles; what is wrong must be said, not crashed on."""
    (folder / "pe.csl").write_text(text)
    layout = folder / "layout.csl"
    layout.write_text('layout { @set_rectangle(1, 1); @set_tile_code(0, 0, "pe.csl"); }')
    try:
        link(compile_program(layout, random.choice(["wse2", "wse3"]), max_steps=2_000))
    except WseError as error:
        assert str(error)
        return False
    return True


@given(st.text(max_size=200))
@QUICK
def test_any_text(text):
    parses(text)


@given(st.lists(st.sampled_from(WORDS), max_size=60))
@QUICK
def test_any_words(words):
    parses(" ".join(words))


def mutated(text: str, chance: random.Random, times: int) -> str:
    tokens = [token.text for token in tokenize(Source("t", text), Findings())]
    for _ in range(times):
        i = chance.randrange(len(tokens))
        match chance.randrange(5):
            case 0:
                del tokens[i]
            case 1:
                tokens.insert(i, tokens[i])
            case 2:
                j = chance.randrange(len(tokens))
                tokens[i], tokens[j] = tokens[j], tokens[i]
            case 3:
                tokens[i] = chance.choice(tokens)
            case _:
                tokens[i] = chance.choice(WORDS)
    return " ".join(tokens)


TYPE_NAMES = ["i16", "u16", "i32", "f32", "f16", "bool", "u8", "comptime_int", "type", "color", "mem1d_dsd", "void"]


def disguised(text: str, chance: random.Random, times: int) -> str:
    """Still well formed: names, numbers, types, operators and builtins replaced by others of their kind."""
    tokens = tokenize(Source("t", text), Findings())
    words = [token.text for token in tokens]
    names = [token.text for token in tokens if token.kind == "ident"]
    builtins = [token.text for token in tokens if token.kind == "builtin"]
    for _ in range(times):
        i = chance.randrange(len(tokens))
        match tokens[i].kind:
            case "ident" if tokens[i].text in TYPE_NAMES:
                words[i] = chance.choice(TYPE_NAMES)
            case "ident":
                words[i] = chance.choice(names)
            case "int" | "float" | "string":
                words[i] = chance.choice(["0", "1", "-1", "3", "70000", "2.5", '"s"', "true", "{}", ".{}", "x"])
            case "builtin":
                words[i] = chance.choice(builtins)
            case "op" if tokens[i].text in "+-*/%&|^<>==!=":
                words[i] = chance.choice(["+", "-", "*", "/", "%", "&", "<<", ">>", "==", "<", "++", "and"])
            case "keyword" if tokens[i].text in ("const", "var", "fn", "task", "true", "false"):
                words[i] = chance.choice(["const", "var", "fn", "task", "true", "false"])
    return " ".join(words)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
@pytest.mark.parametrize("how", [mutated, disguised])
def test_changed_programs(how, path, tmp_path):
    chance = random.Random(path.stem)
    text = path.read_text()
    (tmp_path / "modules").symlink_to(path.parent / "modules")
    for times in (1, 1, 1, 2, 2, 3, 5, 8):
        compiles(tmp_path, how(text, chance, times))


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5000,
        "const a = " + "(" * 3000 + "1" + ")" * 3000 + ";",
        "const a = " + "-" * 5000 + "1;",
        "const a = " + "1 + " * 5000 + "1; comptime { @comptime_assert(a == 5001); }",
        "const a: " + "*" * 5000 + "i16;",
        "fn f() void { " + "{ " * 3000 + "} " * 3000 + "}",
        "fn f() void { " + "if (true) " * 2000 + "return; } comptime { f(); }",
        "const a = 1 << 100000000; comptime { @comptime_assert(a > 0); }",
        "fn f(n: comptime_int) comptime_int { return f(n + 1) * 2; } comptime { @comptime_assert(f(1) > 0); }",
        "var a: [1000000000]i16; comptime { @export_symbol(a); }",
        "var a: [100000000]comptime_int; comptime { @export_symbol(a); }",
        "comptime { var n = 1; while (true) { n = n * 3; } }",
        "fn f(comptime n: u16) void { f(n + 1); } fn main() void { f(0); } comptime { @export_symbol(main); }",
        "fn main() void { inline for (@range(u32, 4000000000)) |i| { _ = i; } } comptime { @export_symbol(main); }",
        'const me = @import_module("pe.csl"); fn main() void {} comptime { @export_symbol(main); }',
        'param n: i16 = 0; const me = @import_module("pe.csl", .{ .n = n + 1 });',
        "const T = struct { a: T }; var t: T; comptime { @export_symbol(t); }",
        "const a = [a]i16; var b: a;",
        '"' * 1001,
        "0x" * 2000,
        "'",
        "\\",
        "\0",
    ],
    ids=range(23),
)
def test_hostile_texts(text, tmp_path):
    parses(text)
    compiles(tmp_path, text)
