"""What the compiler says about programs that are wrong: the place and the sentence.

Covers: wse/csl/syntax/errors.py, wse/csl/syntax/parser.py, wse/csl/syntax/expressions.py, wse/csl/syntax/ast.py,
    wse/csl/sema/suggest.py, wse/csl/check.py, wse/csl/builtins/layout.py
"""

import pytest

from csl.running import compiled, write
from wse.csl.check import check
from wse.csl.syntax.errors import CslError, Findings, Source
from wse.csl.syntax.parser import parse

HEAD = """param given: i16;
var x: i16 = 1;
var y: u32 = 2;
var f: f32 = 1.5;
var arr: [4]i16;
const small = 3;
const pair = .{ 1, 2 };
var dsd = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> arr[i] });
const E = enum(u16) { A, B };
"""

# In a function: what is wrong with the statement; ^ marks nothing, the caret is tested elsewhere.
BODY = {
    "read length": ("@set_fifo_read_length(3, 1);", "a FIFO was expected, not"),
    "write length": ("@set_fifo_write_length(3, 1);", "a FIFO was expected, not"),
    "control tasks": ("@set_control_task_table();", "@set_control_task_table belongs in a comptime block of the code"),
    "undeclared": ("foo = 1;", "foo is not declared"),
    "misspelt": ("smal + x;", "smal is not declared: did you mean small?"),
    "unknown builtin": ("@activat(x);", "there is no builtin @activat: did you mean @activate?"),
    "library builtin": ('@wse_sys("mark", void, 1);', "there is no builtin @wse_sys"),
    "argument count": ("@as(i16);", "@as takes 2 arguments, not 1"),
    "too large": ("x = 40000;", "40000 does not fit i16, which holds -32768 to 32767"),
    "negative": ("y = -1;", "-1 does not fit u32, which holds 0 to 4294967295"),
    "mixed types": ("y = x + y;", "both sides of + must have one type, not i16 and u32"),
    "no conversion": ("y = x;", "a value of type u32 was expected, not one of type i16 (convert it with @as(u32, ...))"),
    "float to int": ("x = 1.5;", "a value of type i16 was expected, not 1.5 of type comptime_float"),
    "no bool": ("if (x) { x = 1; }", "a condition must be a bool, not a value of type i16"),
    "and of ints": ("const b = x and true; _ = b;", "a condition must be a bool"),
    "const": ("small = 4;", "small is a constant and cannot be changed"),
    "local const": ("const c = x + 1; c = 2;", "c is a constant and cannot be changed"),
    "index": ("arr[4] = 1;", "index 4 is outside of [4]i16, which has 0 to 3"),
    "index count": ("arr[0, 1] = 1;", "[4]i16 has 1 indices, not 2"),
    "index type": ("arr[1.5] = 1;", "an index must be an integer"),
    "not an array": ("x[0] = 1;", "a value of type i16 cannot be indexed"),
    "deref": ("x.* = 1;", ".* needs a pointer, not a value of type i16"),
    "no member": ("E.C;", "E has no member C: known: A, B"),
    "no field": ("_ = pair.a;", "a value of type comptime_struct has no member a"),
    "tuple index": ("_ = pair[2];", "index 2 is outside of this tuple, which has 0 to 1"),
    "not called": ("helper;", "helper is not called: parentheses are missing"),
    "calls a variable": ("x();", "a function was expected, not a value of type i16"),
    "few arguments": ("helper();", "helper takes 1 argument, not 0"),
    "wrong argument": ("helper(f);", "a value of type i16 was expected, not one of type f32"),
    "division": ("const z = 1 / 0; _ = z;", "1 is divided by zero"),
    "returns a value": ("return 1;", "a value of type void was expected, not 1"),
    "break": ("break;", "there is no loop around this"),
    "continue": ("continue;", "there is no loop around this"),
    "no label": ("while (x > 0) { break :out; }", "there is no loop or block out around this"),
    "twice": ("var a: i16 = 1; var a: i16 = 2;", "a is declared twice in one block"),
    "unset param": ("x = given;", "param given has no value"),
    "assertion": ('@comptime_assert(small > 3, "small is small");', "this assertion does not hold: small is small"),
    "vector destination": ("@mov16(x, dsd);", "a destination is a descriptor, a DSR or a pointer to a scalar, not a value"),
    "unknown option": ("@mov16(dsd, dsd, .{ .asynch = true });", "an operation has no option asynch"),
    "two completions": (
        "@mov16(dsd, dsd, .{ .activate = main, .unblock = main });",
        "an operation has .activate or .unblock, not both",
    ),
    "extra scalar": ("@fmacs(dsd, dsd, dsd, dsd);", "the last operand of @fmacs is a scalar"),
    "not bound": ("@activate(main);", "main is a function, not a task: call it"),
    "no dsd": ("x = 1; _ = @set_dsd_length(x, 3);", "a descriptor of type mem1d_dsd or"),
    "negative length": ("_ = @set_dsd_length(dsd2, -1);", "an extent is 0 to 65535, not -1"),
    "range step": ("for (@range(i16, 0, 4, 0)) |i| { _ = i; }", "the step of a @range must not be 0"),
    "not iterable": ("for (x) |i| { _ = i; }", "a for loop goes through an array or a @range, not a value of type i16"),
    "comptime under condition": (
        "comptime var n = 0; if (x > 0) { n = 1; } _ = n;",
        "a compile-time variable cannot be changed under a run-time condition",
    ),
    "comptime from run time": ("comptime var n = 0; n = x;", "this variable exists at compile time only"),
    "needs comptime": ("const A = [x]i16; _ = A;", "the value of variable x is not known at compile time"),
    "no type": ("const A: x = 1;", "the value of variable x is not known at compile time"),
    "bitcast size": ("_ = @bitcast(u16, y);", "@bitcast needs types of one size: u32 has 32 bits, u16 has 16 bits"),
    "enum value": ("_ = @as(E, 7);", "E has no member with the value 7"),
    "switch": ("switch (@as(E, x)) { E.A => x = 1 }", "no arm of this switch is for B, and there is no else"),
    "address of a number": ("_ = &3;", "a value has no address: only variables, and elements and fields of variables"),
    "address of an element of a value": ("_ = &(([2]i16{ 0, 0 })[1]);", "a value has no address"),
    "address of a new array": ("_ = &@zeros([4]f32);", "a value has no address"),
    "address of a sum": ("_ = &(small + 1);", "a value has no address"),
    "layout builtin": ("@set_rectangle(1, 1);", "@set_rectangle stands only in the layout block"),
    "struct field": ("_ = @get_dsd(mem1d_dsd, .{ .base_adress = &arr });", "a mem1d_dsd has no property base_adress"),
    "not affine": (
        "_ = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> arr[i * i] });",
        "the index must be affine",
    ),
    "4d": ("_ = @get_dsd(mem1d_dsd, .{ .tensor_access = |i, j|{2, 2} -> arr[2 * i + j] });", "2 indices make a mem4d_dsd"),
    "dsr": ("_ = @get_dsr(dsr_dest, 99);", "there is no dsr_dest 99"),
    "queue": ("_ = @get_input_queue(9);", "9 is no number of an input queue: on wse3 these are 0 to 7"),
    "task id": ("_ = @get_local_task_id(3);", "3 is no number of a local task: on wse3 these are 8 to 30"),
    "arch": ('_ = @is_arch("wse4");', 'there is no architecture "wse4"'),
    "orelse": ("_ = x orelse 1;", "orelse needs an optional value, not a value of type i16"),
    "duplicate field": ("_ = .{ .a = 1, .a = 2 };", "the field a is given twice"),
    "mixed literal": ("_ = .{ .a = 1, 2 };", "a literal has named fields or, as a tuple, values alone, not both"),
    "concat": ("_ = @concat_structs(.{ .a = 1 }, .{ .a = 2 });", "both structs have a field a"),
    "bad string": ('_ = "a" ++ 1;', "++ joins strings, tuples or arrays"),
    "const pointer": ("const p: *const i16 = &x; p.* = 1;", "a constant cannot be changed"),
    "pointer type": ("const p: *u32 = &x; _ = p;", "a value of type *u32 was expected"),
    "unreachable": ("comptime { @unreachable(); }", "this must not be reached"),
}  # fmt: skip


@pytest.mark.parametrize("name", BODY)
def test_statement(name, tmp_path):
    statement, message = BODY[name]
    text = HEAD + (
        "const dsd2 = @get_dsd(mem1d_dsd, .{ .base_address = &arr, .extent = 4 });\n"
        "fn helper(n: i16) void { x = n; }\n"
        f"fn main() void {{\n  {statement}\n}}\ncomptime {{ @export_symbol(main); }}\n"
    )
    with pytest.raises(CslError) as caught:
        compiled(tmp_path, text)
    first = caught.value.diagnostics[0]
    assert message in first.message, first.message
    assert first.span is not None
    line = text.split("\n").index(f"  {statement}") + 1
    assert first.span.line in (line, 1) and first.span.source.path.endswith("pe.csl")
    assert "^" in str(first)


TOP = {
    "align of code": ("fn q() align(4) void {}", 1, "a fn has no align"),
    "no result": ("fn g() { }", 1, "the type of the result of fn g was expected, such as void, not '{'"),
    "no semicolon": ("var a: i16 = 1\nvar b: i16 = 2;", 1, "';' was expected after the declaration of a, not 'var'"),
    "no value": ("const a;", 1, "constant a has no value: '=' was expected, not ';'"),
    "keyword": ("var while: i16 = 1;", 1, "the name of the var was expected, not 'while' (a reserved word)"),
    "string": ('const s = "abc;\n', 1, "this string has no end on its line"),
    "character": ("const s = 1 # 2;\n", 1, "'#' begins no token of CSL"),
    "stray": ("x = 1;", 1, "a declaration was expected (const, var, param, fn, task, comptime, layout, export), not 'x'"),
    "color": ("color red;", 1, "colors are values: const red = @get_color(number), or param red: color"),
    "open block": ("fn g() void {\n  var a: i16 = 1;\n", 1, "this block has no end: '}' was expected"),
    "missing brace": ("fn g() void {\n  if (true) {\n}\nfn h() void {}\n", 4, "fn cannot stand in a block: is there a '}' missing?"),
    "expression": ("const a = ;", 1, "an expression was expected, not ';'"),
    "arguments": ("const a = @as(i16, 1;", 1, "')' was expected behind the arguments of @as, not ';'"),
    "comma of arguments": ("const a = @as(i16 1);", 1, "',' or ')' was expected, not '1'"),
    "comma of fields": ("const a = .{ .x = 1\n  .y = 2 };", 2, "',' was expected before the field whose value this is"),
    "comma of numbers": ("const a = [2]i16{ 1 2 };", 1, "',' or '}' was expected, not '2'"),
    "semicolon of fields": ("const s = struct {\n  x: i16;\n  y: i16;\n};", 2, "',' or '}' was expected, not ';'"),
    "comma of members": ("const e = enum {\n  a\n  b };", 3, "',' or '}' was expected, not 'b'"),
    "for": ("fn g() void {\n  for (@range(i16, 3)) { }\n}", 2, "'|' was expected before the name of the item"),
    "twice": ("var a: i16 = 1;\nvar a: i16 = 2;", 2, "a is declared twice"),
    "no body": ("fn g() void;", 1, "fn g has no body; only an extern one may have none"),
    "number": ("const a = 1_000_;\nconst b = 0x;", 2, "';' was expected after the declaration of b"),
    "escape": ('const a = "\\q";', 1, "\\q is no escape"),
    "tensor": ("const a = |i|[4] -> b[i];", 1, "'{' was expected before the extents of a tensor access"),
    "captures": ("fn g() void {\n  for (a) |i, j, k| {}\n}", 2, "a for loop has one capture, the item, or two"),
}  # fmt: skip


@pytest.mark.parametrize("name", TOP)
def test_syntax(name):
    text, line, message = TOP[name]
    findings = Findings()
    parse(Source("t.csl", text), findings)
    assert findings.errors, "no error"
    first = findings.errors[0]
    assert message in first.message, first.message
    assert first.span.line == line


def test_several_errors_in_one_run(tmp_path):
    text = """fn main() void { a = 1; b(); }
fn other() void { const c: u8 = 256; _ = c; main(); }
task t() void { return 1; }
comptime { @export_symbol(main); @export_symbol(other); @bind_local_task(t, @get_local_task_id(9)); }
"""
    with pytest.raises(CslError) as caught:
        compiled(tmp_path, text)
    assert [d.span.line for d in caught.value.diagnostics] == [1, 2, 3]
    findings = Findings()
    parse(Source("t.csl", "const a = ;\nfn f() void {\n  x = ;\n  y = 1;\n  z = );\n}\nvar v\n"), findings)
    assert [d.span.line for d in findings.errors] == [1, 3, 5, 7]


def test_the_way_there_is_told(tmp_path):
    pe = 'const m = @import_module("m.csl", .{ .n = 3 });\nfn main() void { m.go(1); }\ncomptime { @export_symbol(main); }\n'
    module = "param n: i16;\nconst table = make(n);\nfn make(k: i16) i16 {\n  @comptime_assert(k > 5);\n  return k;\n}\nfn go(a: i16) i16 { return a + table; }\n"
    with pytest.raises(CslError) as caught:
        compiled(tmp_path, pe, m=module)
    text = str(caught.value)
    assert "m.csl:4:3: error: this assertion does not hold" in text
    assert "m.csl:2:15: note: in make, called here" in text
    assert "pe.csl:1:11: note: m.csl is imported here" in text
    assert text.split("\n")[2].endswith("^" + "~" * (len("@comptime_assert(k > 5)") - 1))


@pytest.mark.parametrize(
    "layout, message",
    [
        ("", "the program has no layout block"),
        ("layout { }", "the layout sets no rectangle"),
        ("layout { @set_rectangle(0, 1); }", "a rectangle of 0 x 1 PEs does not fit the wafer"),
        (
            'layout { @set_rectangle(1, 1); @set_tile_code(1, 0, "pe.csl"); }',
            "x = 1 is outside of the rectangle, which has 0 to 0",
        ),
        ('layout { @set_rectangle(1, 1); @set_tile_code(0, 0, "no.csl"); }', "no.csl is not found; looked in"),
        ('layout { @set_tile_code(0, 0, "pe.csl"); }', "@set_rectangle must come before"),
        ("layout { @set_rectangle(1, 1); @set_rectangle(1, 1); }", "the rectangle is set twice"),
        (
            'layout { @set_rectangle(1, 1); @set_tile_code(0, 0, "pe.csl"); @set_tile_code(0, 0, "pe.csl"); }',
            "the code of PE (0, 0) is set twice",
        ),
        (
            "layout { @set_rectangle(1, 1); @set_color_config(0, 0, @get_color(24), .{}); }",
            "color 24 cannot be routed: routable colors are 0 to 23",
        ),
        (
            "layout { @set_rectangle(1, 1); @set_color_config(0, 0, @get_color(1), .{ .route = 1 }); }",
            "a color's configuration has no field route",
        ),
        (
            "layout { @set_rectangle(1, 1); @set_color_config(0, 0, @get_color(1), .{ .routes = .{ .rx = .{ true } } }); }",
            "a direction was expected, not true",
        ),
        (
            "layout { @set_rectangle(1, 1); @set_color_config(0, 0, @get_color(1), .{ .filter = .{ .min_idx = 1 } }); }",
            "a filter has a .kind",
        ),
        ('const m = @import_module("<nothing>"); layout { @set_rectangle(m.w, 1); }', "there is no library <nothing>"),
        ('const m = @import_module("<tim>"); layout { @set_rectangle(m.w, 1); }', "did you mean time?"),
        ("layout { @set_rectangle(1, 1); while (true) {} }", "rounds of loops and calls at compile time"),
        ("fn r(n: i16) i16 { return r(n); } layout { @set_rectangle(r(1), 1); }", "nest more than"),
        ("const a = b; const b = a; layout { @set_rectangle(a, 1); }", "depends on itself"),
        (
            'layout { @set_rectangle(1, 1); @export_name("a", i16, true); @export_name("a", i16, true); }',
            "a is exported twice",
        ),
        (
            'layout { @set_rectangle(1, 1); @export_name("a", fn(i16, i16, i16, i16, i16, i16, i16, i16, i16, i16, i16, i16, i16, i16, i16, i16)void); }',
            "a: a function for the host has at most 15 parameters",
        ),
        ("layout { @set_rectangle(3, 2); }", "6 PEs of the rectangle have no code, (0, 0) is the first"),
        (
            "layout { @set_rectangle(1, 1); @set_color_config(0, 0, @get_color(1), .{ .routes = .{ .rx = RAMP, .tx = .{ EAST, EAST } } }); }",
            "EAST stands twice among these directions",
        ),
        ("layout { @set_rectangle(1, 1); } layout { }", "a program has one layout block"),
        ("param n: i16; layout { @set_rectangle(n, 1); }", "param n has no value"),
    ],
)
def test_layout(layout, message, tmp_path):
    from wse.csl.compile import compile_program

    path = write(tmp_path, "", layout or "// nothing\n")
    with pytest.raises(CslError) as caught:
        compile_program(path, max_steps=20_000)
    assert message in str(caught.value), str(caught.value)


@pytest.mark.parametrize(
    "comptime, message",
    [
        ("@bind_local_task(t, @get_local_task_id(9)); @bind_local_task(u, @get_local_task_id(9));", "local task 9 is bound twice"),
        ("@bind_local_task(v, @get_local_task_id(9));", "local task v takes no parameters"),
        ("@bind_local_task(n, @get_local_task_id(9));", "a task was expected, not 3"),
        ("@initialize_queue(@get_input_queue(2), .{ .color = @get_color(1) }); @initialize_queue(@get_input_queue(2), .{ .color = @get_color(2) });", "input queue 2 is initialized twice"),
        ("@initialize_queue(@get_input_queue(2), .{ .colour = @get_color(1) });", "a queue has no option colour"),
        ("@initialize_queue(n, .{});", "a queue was expected, not 3"),
        ("@export_symbol(t2);", "t2 is not declared"),
        ("@export_symbol(n);", "a pointer, a variable or a function was expected"),
        ("@export_symbol(t); @export_symbol(t);", "t is exported twice"),
        ("@bind_data_task(v, @get_data_task_id(@get_color(3)));", "on wse3 the id of a data task is made from a value of type input_queue, not 3 of type color"),
        ("@set_teardown_handler(t, @get_color(1)); @set_teardown_handler(u, @get_color(1));", "color 1 has two teardown handlers"),
        ("@activate(@get_color(1), 2);", "@activate takes 1 argument, not 2"),
        ("@random16();", "@random16 is not possible at compile time"),
        ("_ = @get_dsd(i16, .{});", "i16 is no type of descriptors"),
        ("_ = @get_dsd(fabin_dsd, .{});", "a fabin_dsd needs .input_queue or .fabric_color"),
    ],
)  # fmt: skip
def test_comptime_block(comptime, message, tmp_path):
    text = (
        f"const n = 3;\ntask t() void {{}}\ntask u() void {{}}\ntask v(a: u32) void {{}}\ncomptime {{ {comptime} }}\n"
    )
    with pytest.raises(CslError) as caught:
        compiled(tmp_path, text)
    assert message in str(caught.value), str(caught.value)


def test_exports_of_layout_and_pes_agree(tmp_path):
    layout = 'layout { @set_rectangle(1, 1); @set_tile_code(0, 0, "pe.csl"); @export_name("f", fn(i16)void); @export_name("v", i16, true); }'
    text = "fn f() void {}\nfn v() void {}\ncomptime { @export_symbol(f); @export_symbol(v); }\n"
    with pytest.raises(CslError) as caught:
        compiled(tmp_path, text, layout=layout)
    assert "f is of type fn()void, but exported as fn(i16)void" in str(caught.value)
    text = "fn f(n: i16) void {}\nvar v: i16 = 0;\nconst c: i16 = 0;\nvar p: [*]i16 = &q;\nvar q = @zeros([4]i16);\n"
    for call, message in {
        "@export_symbol(f); @export_symbol(v);": "",
        '@export_symbol(f, "v");': "v is of type fn(i16)void, but exported as i16",
        '@export_symbol(v, "f");': "f is of type i16, but exported as fn(i16)void",
        '@export_symbol(p, "v");': "v is of type [*]i16, but exported as i16",
        '@export_symbol(c, "v");': "c is a const, but exported as v with true, to be changed by the host",
        '@export_symbol(v, "fixed");': "v is a var, but exported as fixed with false, not to be changed",
        "@export_symbol(q);": 'the layout has no @export_name("q", ...) for this symbol: known: f, fixed, v',
    }.items():
        layout = (
            layout.replace('@export_name("v"', '@export_name("fixed", i16, false); @export_name("v"')
            if "fixed" not in layout
            else layout
        )
        try:
            compiled(tmp_path, f"{text}comptime {{ {call} }}\n", layout=layout)
            found = ""
        except CslError as error:
            found = str(error)
        assert message in found and bool(message) == bool(found), found


def test_check_of_a_file_alone(tmp_path):
    path = tmp_path / "pe.csl"
    path.write_text(
        "param n: i16;\nvar a: [n]f32;\nfn f() void {\n  for (a) |v, i| { b = v; }\n  @mov9(a);\n  @as(i16);\n}\n"
    )
    found = check(path)
    assert [(d.span.line, d.message) for d in found] == [
        (4, "b is not declared"),
        (5, "there is no builtin @mov9: did you mean @mov32 or @mov16 or @fmovs?"),
        (6, "@as takes 2 arguments, not 1"),
    ]
    data = found[0].to_json()
    assert (data["line"], data["column"], data["length"], data["severity"]) == (4, 20, 1, "error")


def test_check_of_a_layout(tmp_path):
    path = write(tmp_path, "fn main() void { x = 1; }\ncomptime { @export_symbol(main); }\n")
    assert [d.message for d in check(path)] == ["x is not declared"]
    path.write_text("param n: i16;\nlayout { @set_rectangle(n, 1); }\n")
    assert check(path)[0].message == "only names are checked: the layout needs values for n (--params)"
    path.write_text('param n: i16;\nlayout { @set_rectangle(n, 1); @set_tile_code(0, 0, "pe.csl"); }\n')
    (tmp_path / "pe.csl").write_text("fn main() void {}\n")
    assert check(path, params={"n": 1}) == []
    found = check(path, params={"n": 3})
    assert [d.message for d in found] == [
        "2 PEs of the rectangle have no code, (1, 0) is the first: @set_tile_code gives it"
    ]
    assert found[0].span.line == 2
    assert "cannot be read" in check(tmp_path / "none.csl")[0].message


def test_many_errors_are_cut(tmp_path):
    text = "".join(f"fn f{i}() void {{ a{i} = 1; }}\n" for i in range(30))
    text += "comptime { " + " ".join(f"@export_symbol(f{i});" for i in range(30)) + " }\n"
    with pytest.raises(CslError) as caught:
        compiled(tmp_path, text)
    assert len(caught.value.diagnostics) == 30
    assert str(caught.value).endswith("(10 more errors)")
