"""What names refer to by the rules of scopes, and names of files that are half written.

Covers: wse/csl/syntax/scopes.py
"""

import pytest

from wse.csl.check import check
from wse.csl.syntax import scopes
from wse.csl.syntax.errors import Findings, Source
from wse.csl.syntax.parser import parse

TEXT = """\
param n: i16;
const m = @import_module("<math>", .{ .size = n });
var data: [n]f32;
const dsd = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{n} -> data[i] });
fn twice(x: f32, comptime n: i16) f32 {
  var y: f32 = x;
  {
    const x = y + @as(f32, n);
    y = x;
  }
  for (data) |item, i| { y += item * @as(f32, i); }
  if (maybe()) |value| y = value;
  while (maybe()) |value| { y += value; }
  const z = if (maybe()) |value| value else 0.0;
  return m.sqrt(x) + y + z;
}
fn maybe() ?f32 { return null; }
task wake(w: u32) void { data[0] = twice(1.0, 3); }
"""


def names(text):
    findings = Findings()
    return scopes.names(parse(Source("a.csl", text), findings)), findings


def line(text, offset):
    return text.count("\n", 0, offset) + 1


def test_every_use_means_the_innermost_declaration_before_it():
    found, findings = names(TEXT)
    assert not findings.errors
    meant = [
        (use.text, line(TEXT, use.span.start), line(TEXT, use.declaration.name.start))
        for use in found.uses
        if use.declaration is not None
    ]
    assert ("n", 2, 1) in meant and ("n", 3, 1) in meant and ("n", 8, 5) in meant
    assert ("x", 6, 5) in meant and ("x", 9, 8) in meant and ("x", 15, 5) in meant
    assert ("item", 11, 11) in meant and ("i", 11, 11) in meant and ("i", 4, 4) in meant
    assert [at for at in meant if at[0] == "value"] == [("value", n, n) for n in (12, 13, 14)]
    assert {use.text for use in found.uses if use.declaration is None} == {"i16", "f32", "u32", "mem1d_dsd", "void"}
    for one in found.declarations():
        assert TEXT[one.name.start : one.name.end] == one.text


def test_kinds_and_functions_of_declarations():
    found, _ = names(TEXT)
    assert {(one.text, one.kind) for one in found.top.values()} >= {("n", "param"), ("twice", "fn"), ("wake", "task")}
    local = [(one.text, one.kind, one.function.name) for one in found.local if one.function is not None]
    assert ("x", "parameter", "twice") in local and ("x", "const", "twice") in local
    assert ("item", "capture", "twice") in local and ("w", "parameter", "wake") in local
    assert [(one.text, one.kind) for one in found.local if one.function is None] == [("i", "index")]


def test_what_is_visible():
    found, _ = names(TEXT)
    inside = found.visible(TEXT.index("y = x;"))
    assert line(TEXT, inside["x"].name.start) == 8 and {"n", "y", "m", "twice"} <= set(inside)
    assert line(TEXT, found.visible(TEXT.index("return m"))["x"].name.start) == 5
    assert set(found.visible(0)) == set(found.top)


def test_members_fields_and_builtins_have_places():
    found, _ = names(TEXT)
    assert [TEXT[place.start : place.end] for _, place in found.members] == ["sqrt"]
    given = {one.node.name: one for one in found.given}
    assert given["size"].call.name == "@import_module" and given["size"].path == ()
    assert TEXT[given["tensor_access"].name.start :].startswith("tensor_access")
    assert {call.name for call in found.builtins} == {"@import_module", "@get_dsd", "@as"}


def test_fields_of_fields_have_a_path():
    text = "comptime { @set_local_color_config(c, .{ .routes = .{ .rx = .{ WEST } }, .switches = .{ .pos1 = 1 } }); }"
    found, _ = names(text)
    assert [(one.node.name, one.path) for one in found.given] == [
        ("routes", ()),
        ("rx", ("routes",)),
        ("switches", ()),
        ("pos1", ("switches",)),
    ]


HALF = [
    "fn f() void { var x: i16 = 1; if (x > 0) { x = 2;",
    "fn f() void { var x: i16 = 1; while (true) { var y: i16 = x; x = y +\nfn g() void { f(); }",
]


@pytest.mark.parametrize("text", HALF)
def test_what_stands_before_a_missing_brace_is_kept(text):
    found, findings = names(text)
    assert "f" in found.top and "x" in {one.text for one in found.local}
    assert sum("has no end" in d.message or "missing" in d.message for d in findings.errors) == 1


def messages(path, text):
    path.write_text(text)
    return [found.message for found in check(path)]


def test_names_are_checked_beside_errors_of_syntax(tmp_path):
    text = "const a = ;\nvar b: i16 = a;\nfn f() void { b = c; @nothing(); }\nfn g(x: i16, y) void { b = x; }\n"
    found = messages(tmp_path / "a.csl", text)
    assert len(found) == 4 and any("c is not declared" in one for one in found) and "@nothing" in found[-1]


def test_captures_and_integers_of_any_width_are_declared(tmp_path):
    text = "fn f(a: ?u5) u5 { if (a) |b| { return b; } return if (a) |c| c else 0; }\n"
    assert messages(tmp_path / "a.csl", text) == []
