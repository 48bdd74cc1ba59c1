"""No text makes the compiler crash or loop: whatever it is given, it compiles it or says what is wrong.

Texts are made three ways: from any characters, from the words of the language in any order, and from the test programs by
mutations.py, which also runs for hours from the command line.

Covers: wse/csl/syntax/lexer.py
"""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from csl.mutations import HOW, PROGRAMS, WORDS, compiles
from wse.csl.syntax.errors import Findings, Source
from wse.csl.syntax.parser import parse

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), database=None)


def parses(text: str) -> None:
    findings = Findings()
    parse(Source("fuzz.csl", text), findings)
    for diagnostic in findings.errors:
        assert str(diagnostic)


@given(st.text(max_size=200))
@QUICK
def test_any_text(text):
    parses(text)


@given(st.lists(st.sampled_from(WORDS), max_size=60))
@QUICK
def test_any_words(words):
    parses(" ".join(words))


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
@pytest.mark.parametrize("how", HOW)
def test_changed_programs(how, path, tmp_path):
    chance = random.Random(path.stem)
    text = path.read_text()
    (tmp_path / "modules").symlink_to(path.parent / "modules")
    for times in (1, 2, 4, 8):
        compiles(tmp_path, how(text, chance, times), chance.choice(["wse2", "wse3"]))


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
        "var v = undefined;",
        "fn main() void { var v = undefined; v += 1; } comptime { @export_symbol(main); }",
        "fn main() void { comptime var v = undefined; v += 1; } comptime { @export_symbol(main); }",
        "fn main() void { comptime inline f(); } comptime { @export_symbol(main); }",
        "const a = .{}[{}]; comptime { @comptime_assert(a == 1); }",
        "const a = .{1, 2}[@zeros([3]i16)]; comptime { @comptime_assert(a == 1); }",
        "const a = .{1, 2}[true]; comptime { @comptime_assert(a == 1); }",
        '"' * 1001,
        "0x" * 2000,
        "'",
        "\\",
        "\0",
    ],
    ids=range(30),
)
def test_hostile_texts(text, tmp_path):
    parses(text)
    compiles(tmp_path, text)
