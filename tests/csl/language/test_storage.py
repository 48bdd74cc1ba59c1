"""Storage classes and attributes of declarations: export, extern, linkname, align, comptime.

Covers: wse/csl/sema/modules.py, wse/csl/sema/calls.py, wse/csl/syntax/parser.py, wse/csl/codegen/link.py
"""

from itertools import pairwise

import numpy as np
import pytest
from csl.running import compiled, launch, read, run

from wse.csl.syntax.errors import CslError
from wse.errors import ProgramError

HEAD = """var out = @zeros([4]i32);
var out_ptr: [*]i32 = &out;
comptime { @export_symbol(out_ptr, "out"); @export_symbol(main); }
"""
OTHER = """export var shared: i16 = 5;
export var named: i16 linkname("different") = 6;
export fn add_ten(x: i32) i32 { return x + 10; }
export const fixed: i16 = 7;
export fn twice(x: i32) i32 linkname("double") { return 2 * x; }
"""
NAMED = """param name: comptime_string;
param n: i32;
export fn get() linkname(name) i32 { return n; }
"""

PROGRAMS = {
    "an extern variable of another module": (
        'extern var shared: i16;\nconst m = @import_module("other.csl");\n'
        "fn main() void { out[0] = @as(i32, shared); shared = 8; out[1] = @as(i32, m.shared); }",
        [5, 8],
    ),
    "an extern function of another module": (
        'extern fn add_ten(x: i32) i32;\nconst m = @import_module("other.csl");\nfn main() void { out[0] = add_ten(2); }',
        [12],
    ),
    "an extern function with a linkname, whose parameters have no names": (
        'extern fn two(i32) i32 linkname("double");\nconst m = @import_module("other.csl");\n'
        "fn main() void { out[0] = two(4); }",
        [8],
    ),
    "linknames of functions before and after the result": (
        'fn f(x: i32) linkname("one") i32 { return x + 1; }\nfn g(x: i32) i32 linkname("other") { return x * 3; }\n'
        "fn main() void { out[0] = f(4); out[1] = g(4); }",
        [5, 12],
    ),
    "functions of two instances of a module have linknames of their own": (
        'const a = @import_module("named.csl", .{ .name = "a", .n = 1 });\n'
        'const b = @import_module("named.csl", .{ .name = "b", .n = 2 });\n'
        'extern fn of_b() i32 linkname("b");\nfn main() void { out[0] = a.get(); out[1] = of_b(); }',
        [1, 2],
    ),
    "an instance of a function for each type has one linkname": (
        'fn f(x: anytype) i32 linkname("one") { return @as(i32, x) + 1; }\n'
        "fn main() void { out[0] = f(@as(i16, 4)) + f(@as(i32, 5)); }",
        [11],
    ),
    "sections without addresses": (
        'var x: i32 linksection(".a") = 3;\nconst y = [2]i32{ 4, 5 };\nvar z: [2]i32 align(16) linksection(".b") = y;\n'
        'fn f() linksection(".c") i32 { return x + z[1]; }\nfn main() void { out[0] = f(); }',
        [8],
    ),
    "an extern variable with a linkname": (
        'extern var mine: i16 linkname("different");\nconst m = @import_module("other.csl");\n'
        "fn main() void { out[0] = @as(i32, mine); }",
        [6],
    ),
    "an extern constant": (
        'extern const fixed: i16;\nconst m = @import_module("other.csl");\nfn main() void { out[0] = @as(i32, fixed); }',
        [7],
    ),
    "several names of one exported variable": (
        'extern var a: i16 linkname("different");\nextern var b: i16 linkname("different");\nconst m = @import_module("other.csl");\n'
        "fn main() void { a += 1; b += 2; out[0] = @as(i32, m.named); }",
        [9],
    ),
    "an exported constant without a value": ("export const k: i32;\nfn main() void { out[0] = k + 1; }", [1]),
    "an extern function that nothing calls": ("extern fn nowhere(x: i32) i32;\nfn main() void { out[0] = 1; }", [1]),
    "an exported function is also called": (
        "export fn f(x: i32) i32 { return x; }\nfn main() void { out[0] = f(3); }",
        [3],
    ),
    "a variable is used before it is declared": (
        "fn main() void { later += 1; out[0] = later; }\nvar later: i32 = 4;",
        [5],
    ),
    "a type is deduced from the value": (
        "const a: i16 = 10;\nconst b = a;\nfn main() void { out[0] = @as(i32, b); }",
        [10],
    ),
    "comptime variables": (
        "fn main() void { comptime var bits: u16 = 0xffff; bits &= 0x0400; out[0] = @as(i32, bits); }",
        [0x400],
    ),
    "a comptime call": ("fn f(n: i32) i32 { return n * n; }\nfn main() void { out[0] = comptime f(7); }", [49]),
    "a const of a comptime call": (
        "fn f(n: i32) i32 { return n * n; }\nconst k = f(6);\nfn main() void { out[0] = k; }",
        [36],
    ),
}


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(name, arch, tmp_path):
    body, want = PROGRAMS[name]
    assert read(run(tmp_path, HEAD + body, arch=arch, other=OTHER, named=NAMED), "out")[: len(want)].tolist() == want


def test_functions_are_exported_by_their_linknames(tmp_path):
    body = 'export fn f(x: i32) linkname("start") void { out[0] = x; }\nfn main() void {}'
    loaded = run(tmp_path, HEAD + body)
    launch(loaded, "start", np.int32(9))
    assert read(loaded, "out")[0] == 9


SECTIONS = """var a: [3]u16 linksection(".one") = [3]u16{ 1, 2, 3 };
var b: u32 linksection(".one") = 4;
const c: u16 linksection(".two") = 5;
var d: [1000]u16;
fn main() void {
  out[0] = @as(i32, @bitcast(u16, @ptrcast(*u16, &a)));
  out[1] = @as(i32, @bitcast(u16, @ptrcast(*u16, &b)));
  out[2] = @as(i32, @bitcast(u16, @ptrcast(*u16, &c)));
  out[3] = @as(i32, a[2]) + @as(i32, b) + @as(i32, c) + @as(i32, d[999]);
}
"""


@pytest.mark.parametrize("one, two", [(40960, 40980), (2000, 3000), (4096, 4108)])
def test_addresses_of_sections(one, two, tmp_path):
    sections = {".one": one, ".two": two}
    loaded = run(tmp_path, HEAD + SECTIONS, options={"sections": sections})
    at = one + 6 + (-(one + 6) % 4)
    assert np.uint16(read(loaded, "out")[:3]).tolist() == [one, at, two]
    assert read(loaded, "out")[3] == 3 + 4 + 5
    rows = loaded.artifact.classes[0].memory
    assert all(one.address + one.bytes <= two.address for one, two in pairwise(rows))
    assert "section .two" in next(row.what for row in rows if row.name == "c")


@pytest.mark.parametrize(
    "sections, message",
    [
        ({".one": 40960, ".two": 40964}, "sections .one and .two overlap in"),
        ({".one": 0}, "section .one takes the bytes 0 to 11 of"),
        ({".two": 49151}, "section .two of .* begins at byte 49151, but c is aligned to 2 bytes"),
        ({".two": 60000}, "variables lie behind the code, from"),
        ({".ones": 40960}, "no variable has the linksection .ones, which has an address: did you mean .one?"),
    ],
)
def test_addresses_that_sections_cannot_have(sections, message, tmp_path):
    with pytest.raises(ProgramError, match=message):
        run(tmp_path, HEAD + SECTIONS, options={"sections": sections})


def test_functions_get_no_address(tmp_path):
    body = 'fn f() linksection(".code") void { out[0] = 1; }\nfn main() void { f(); f(); }'
    with pytest.raises(CslError, match=r"section .code has an address .*, not functions as f"):
        run(tmp_path, HEAD + body, options={"sections": {".code": 40960}})


@pytest.mark.parametrize("bytes_", [2, 16, 64, 1024])
def test_align(bytes_, tmp_path):
    body = f"var pad: u8 = 1;\nvar x: i16 align({bytes_}) = 3;\n" + (
        "fn main() void { out[0] = @as(i32, @bitcast(u16, @ptrcast(*u16, &x))); out[1] = @as(i32, pad); }"
    )
    assert np.uint16(read(run(tmp_path, HEAD + body), "out")[0]) % bytes_ == 0


def test_exported_variables_are_symbols(tmp_path):
    loaded = run(
        tmp_path,
        HEAD + 'const m = @import_module("other.csl");\nfn main() void { out[0] = @as(i32, m.shared); }',
        other=OTHER,
    )
    assert {"shared", "different", "fixed"} <= set(loaded.artifact.classes[0].symbols)


ERRORS = [
    ("extern var x: i16 = 3;\nfn main() void {}", 4, "extern x has a value: it is given where it is exported"),
    ("extern fn f() void {}\nfn main() void {}", 4, "extern fn f has a body: it is given where it is exported"),
    ("extern var x: i16;\nfn main() void { x = 1; }", 4, "no module exports a variable x"),
    ("extern fn f() void;\nfn main() void { f(); }", 5, "no module exports a function f"),
    ('extern fn add_ten(x: i16) i16;\nconst m = @import_module("other.csl");\nfn main() void { _ = add_ten(2); }', 6,
        "add_ten is declared as fn(i16)i16, but exported as fn(i32)i32"),
    ("extern fn f(x: i32) i32;\nconst k = f(3);\nfn main() void { out[0] = k; }", 5, "f is extern and cannot be called at compile time"),
    ('export var shared: i16 = 1;\nconst m = @import_module("other.csl");\nfn main() void { out[0] = @as(i32, m.shared); }', 1,
        "a variable shared is exported already by another module"),
    ("export var x: comptime_int = 3;\nfn main() void {}", 4, "a variable of type comptime_int cannot be export"),
    ("var x: i16 align(3) = 3;\nfn main() void { x = 1; }", 4, "an alignment is a number of bytes and a power of two, not 3"),
    ("var x: i16 linksection(3) = 3;\nfn main() void { x = 1; }", 4, "a linksection is a comptime_string, not 3"),
    ("fn f() linksection(3) void {}\nfn main() void { f(); f(); }", 4, "a linksection is a comptime_string, not 3"),
    ("fn f() linkname(3) void {}\nfn main() void { f(); }", 4, "a linkname is a comptime_string, not 3"),
    ('fn f() linkname("") void {}\nfn main() void { f(); }', 4, "a linkname is not empty"),
    ('inline fn f() linkname("g") void {}\nfn main() void { f(); }', 4, "f is inline and exists where it is called only: it has no linkname"),
    ("fn f() align(4) void {}\nfn main() void { f(); }", 4, "a fn has no align"),
    ('extern fn f() linksection(".mine") void;\nfn main() void { f(); }', 4, "extern f lies where its export does: it has no linksection"),
    ('extern var x: i32 linksection(".mine");\nfn main() void { x = 1; }', 4, "extern x lies where its export does"),
    ('param x: i32 linkname("y") = 1;\nfn main() void { out[0] = x; }', 4, "x is a param, which has no linkname"),
    ('fn main() void {\n  var x: i32 linksection(".mine") = 1;\n  out[0] = x;\n}', 5, "x is local: only global variables have a linksection"),
    ('var x: i32 align(4) align(8) = 1;\nfn main() void { out[0] = x; }', 4, "x has two aligns"),
    ('fn f() linkname("g") void {}\nfn h() linkname("g") void {}\nfn main() void { f(); h(); }', 5, "h has the symbol g"),
    ('export var g: i32 = 1;\nfn h() linkname("g") void {}\nfn main() void { h(); }', 5, "h has the symbol g"),
    ('export fn f() void {}\nexport fn g() linkname("f") void {}\nfn main() void {}', 5, "g has the symbol f"),
    ('extern fn f() linkname("g") void;\nfn main() void { f(); }', 5, "no module exports a function g"),
    ("comptime var x: i16 = 1;\nfn main() void { out[0] = x; }", 4, "comptime variables stand in functions and blocks"),
    ("fn main() void {\n  comptime var x: i16 = 1;\n  const p = &x;\n}", 6, "this variable exists at compile time only and has no address"),
    ("fn main() void {\n  comptime var x: i16 = 1;\n  if (out[0] == 0) { x = 2; }\n}", 6, "a compile-time variable cannot be changed"),
    ("const x: i16;\nfn main() void {}", 4, "constant x has no value"),
    ("fn f(comptime x: i32) i32 { return x; }\nfn main() void {\n  out[0] = f(out[1]);\n}", 6, "is not known at compile time"),
    ("task t() i16 { return 1; }\nfn main() void {}\ncomptime { @bind_local_task(t, @get_local_task_id(9)); }", 4,
        "task t returns a value"),
    ("fn f(a: i32, a: i32) i32 { return a; }\nfn main() void { out[0] = f(1, 2); }", 4, "a is declared twice"),
    ("var x: i16 = 1;\nvar x: i16 = 2;\nfn main() void {}", 5, "x is declared twice"),
    ("fn f() { }\nfn main() void { f(); }", 4, "the type of the result of fn f was expected"),
    ('export var x: i16 = 1;\nvar y: i16 linkname("x") = 1;\nfn main() void { x += 1; y += 1; }', 5,
        "only export and extern variables may share the symbol x"),
    ('export var x: i16 = 1;\nextern var y: i32 linkname("x");\nfn main() void { x += 1; y += 1; }', 5,
        "y is of type i32, but the symbol x of type i16"),
    ('export var x: i32 = 1;\nextern const y: i32 linkname("x");\nfn main() void { x += 1; out[0] = y; }', 5,
        "the symbol x is that of a var and of a const"),
    ("var x: i32 linkname(3) = 1;\nfn main() void { out[0] = x; }", 4, "a linkname is a comptime_string, not 3"),
    ('fn main() void {\n  var x: i32 linkname("y") = 1;\n  out[0] = x;\n}', 5, "x is local: only global variables have a linkname"),
    ("export var v: void = {};\nfn main() void { const q = v; }", 4, "a variable of type void cannot be export"),
    ("export inline fn f() void {}\nfn main() void { f(); }", 4, "an inline function exists where it is called only"),
    ("export param x: i32 = 1;\nfn main() void { out[0] = x; }", 4, "a param is not export"),
    ("inline fn f() void {}\nconst p: *const fn() void = f;\nfn main() void { p(); }", 5, "f is inline and has no address"),
    ("inline fn f() void {}\nfn main() void {\n  const p = &f;\n  p();\n}", 6, "f is inline and has no address"),
    ("fn f() void {}\nvar p: *fn() void = f;\nfn main() void { p(); }", 5, "a pointer to a function is const: write *const fn()void"),
    ("fn f() void {}\nvar p: *fn() void = &f;\nfn main() void { p(); }", 5, "*const fn()void"),
    ("const a = b;\nconst b = a;\nfn main() void { out[0] = a; }", 4, "depends on itself"),
]  # fmt: skip


@pytest.mark.parametrize("body, line, message", ERRORS, ids=range(len(ERRORS)))
def test_errors(body, line, message, tmp_path):
    with pytest.raises(CslError) as caught:
        compiled(tmp_path, HEAD + body, other=OTHER)
    assert message in str(caught.value) and f".csl:{line}:" in str(caught.value), str(caught.value)
