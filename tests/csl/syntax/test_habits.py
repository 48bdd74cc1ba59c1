"""What is written as in another language: the message says how CSL writes it."""

import pytest
from csl.running import compiled

from wse.csl.syntax import habits
from wse.csl.syntax.errors import CslError

STATEMENTS = {
    "n++;": "an expression was expected, not ';': a variable is incremented by `n += 1`",
    "++n;": "an expression was expected, not '++': a variable is incremented by `n += 1`",
    "n--;": "a variable is decremented by `n -= 1`",
    "if (n == 1 && n == 2) { n = 3; }": "an expression was expected, not '&': `&&` is written `and`",
    "if (n == 1 || n == 2) { n = 3; }": "an expression was expected, not '|': `||` is written `or`",
    "if (not n == 1) { n = 3; }": "not 'n': `!` negates",
    "if (n = 1) { n = 3; }": "an expression was expected, not an assignment: == compares",
    "n = n > 1 ? 2 : 3;": "not '?': a choice is `if (condition) a else b`",
    "n = n ** 2;": "a type was expected, not '2': powers are pow of <math>",
    "int k = 3;": "a variable is declared with its type behind the name, as in `var n: i16 = 0;`",
    "f32 k = 3.0;": "a variable is declared with its type behind the name",
    "let k = 3;": "a variable is declared with var or const",
    "if (n == 1) { n = 2; } elif (n == 2) { n = 3; }": "elif is written else if",
    "for (var i: i16 = 0; i < 3; i += 1) { n = i; }": "a loop that counts is `for (@range(i16, n)) |i| { }`",
    "for i in range(3) { n = i; }": "a loop that counts is `for (@range(i16, n)) |i| { }`",
    "switch (n) { case 1: n = 2; else => {} }": "case is not a word of CSL: an arm is written",
    "switch (n) { 1 => n = 2, default: n = 3; }": "default is not a word of CSL: an arm is written",
    "switch (n) { 1 => n = 2, default => n = 3 }": "default is not declared: the last arm of a switch is `else",
    "/* a comment */ n = 1;": "not '/': a comment begins with //",
    'printf("n");': "printf is not declared: <simprint> prints",
    "const k: double = 1.0;": "double is not declared: the widest float is f32",
    "const k: usize = 1;": "usize is not declared: integers are u16, u32 and the like",
    "n = sqrt(4.0);": "sqrt is not declared: it is a member of <math>",
    "n = len(v);": "len is not declared: @element_count",
    "takes(v);": "not one of type [3]i16 (take its address with &)",
    "takes(k);": "a value of type *const [3]i16 was expected, not a value of type [3]i16 (take its address with &)",
    "e = 1;": "a value of type E was expected, not 1 of type comptime_int (convert it with @as(E, ...))",
    "e = n;": "not one of type i16 (convert it with @as(E, ...))",
    "const p = P(1);": "a function was expected, not type P: a value of it is P{ .name = value, ... }",
    "k[1] = 3;": "k is a constant and cannot be changed",
    "s.k[1] = 3;": "s.k is a constant and cannot be changed",
    "@activate(main);": "main is a function, not a task: call it",
    "@activate(t);": "task t is not bound to an id: @bind_local_task binds it in a comptime block",
}
HEAD = """export var n: i16 = 0;
var v = [3]i16{ 1, 2, 3 };
const k = [3]i16{ 1, 2, 3 };
const s = .{ .k = k };
const E = enum(u16) { a, b };
const P = struct { x: i16 };
var e = E.a;
task t() void {}
fn takes(p: *const [3]i16) void { n += p.*[0]; }
comptime { @export_symbol(main); }
fn main() void {
"""


@pytest.mark.parametrize("text", STATEMENTS)
def test_statements(text, tmp_path):
    with pytest.raises(CslError) as caught:
        compiled(tmp_path, HEAD + text + "\n}\n")
    first = caught.value.diagnostics[0]
    assert STATEMENTS[text] in first.message and f"pe.csl:{HEAD.count(chr(10)) + 1}:" in str(caught.value)


def test_declarations(tmp_path):
    with pytest.raises(CslError, match="not '->': the type of a result stands directly behind the parameters"):
        compiled(tmp_path, "fn f() -> i16 { return 1; }\n")
    with pytest.raises(CslError, match=r"math is not found; looked in .*; the library is <math>"):
        compiled(tmp_path, 'const m = @import_module("math");\ncomptime { @comptime_print(m.PI); }\n')


def test_names_of_other_languages_may_be_declared(tmp_path):
    """Words are explained only where a text has no other meaning."""
    names = [name for name in (*habits.NAMES, *habits.WORDS, "case") if name.isidentifier()]
    declared = "".join(f"fn {name}(x: i16) i16 {{ return x; }}\n" for name in names)
    calls = "".join(f"  n += {name}(1);\n  {name}(2);\n" for name in names)
    switch = "  const a = 1;\n  switch (n) { a => { n = 0; }, else => {} }\n"
    compiled(tmp_path, f"export var n: i16 = 0;\n{declared}fn main() void {{\n{calls}{switch}}}\n")
    masks = "const case = 1;\nconst default = 2;\n"
    arms = "switch (n) { case => { n = 0; }, default...5 => { n = 1; }, else => {} }"
    compiled(tmp_path, f"export var n: i16 = 0;\n{masks}fn main() void {{ var p = &n; const q = n & n; {arms} }}\n")
