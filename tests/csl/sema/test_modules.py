"""Where modules are looked for: beside the importing file, beside the top file, in the import paths, in this order."""

from __future__ import annotations

import pytest

from wse.csl.compile import compile_program
from wse.csl.syntax.errors import CslError

from .. import running

LAYOUT = 'layout {{ @set_rectangle(1, 1); @set_tile_code(0, 0, "{}"); }}\n'
PE = 'const m = @import_module("inner/user.csl");\ncomptime { @comptime_assert(m.found == WANTED); }\n'


@pytest.mark.parametrize("wanted", [1, 2, 3])
def test_order_of_folders(wanted, tmp_path):
    top, other = tmp_path / "top", tmp_path / "path"
    (top / "inner").mkdir(parents=True)
    other.mkdir()
    (top / "layout.csl").write_text(LAYOUT.format("pe.csl"))
    (top / "pe.csl").write_text(PE.replace("WANTED", str(wanted)))
    (top / "inner/user.csl").write_text('const found = @import_module("number.csl").found;\n')
    for number, folder in enumerate((top / "inner", top, other), 1):
        if number >= wanted:
            (folder / "number.csl").write_text(f"const found = {number};\n")
    compile_program(top / "layout.csl", import_paths=[other])


def test_what_is_not_found_says_where(tmp_path):
    (tmp_path / "layout.csl").write_text(LAYOUT.format("inner/pe.csl"))
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner/pe.csl").write_text('const m = @import_module("number.csl");\n')
    with pytest.raises(CslError) as caught:
        compile_program(tmp_path / "layout.csl", import_paths=["elsewhere"])
    message = caught.value.diagnostics[0].message
    assert "number.csl is not found; looked in" in message
    assert message.endswith(f"inner, {tmp_path}, elsewhere")


UNUSED = """param missing: u16;
param untyped;
const wrong: i16 = 100000;
var also: f32 = nothing;
fn unused() void { missing(1, 2); }
const late = other.value;
const other = @import_module("other.csl");
comptime { @comptime_assert(late == 3); }
"""


def test_what_nothing_uses_is_not_analysed(tmp_path):
    (tmp_path / "layout.csl").write_text(LAYOUT.format("pe.csl"))
    (tmp_path / "pe.csl").write_text(UNUSED)
    (tmp_path / "other.csl").write_text("const value = 3;\nconst bad = @get_dsd(fabin_dsd, .{ .fabric_color = {} });\n")
    compile_program(tmp_path / "layout.csl")
    for use, message in {
        "const x = missing;": "param missing has no value",
        "const x = wrong;": "100000 does not fit i16",
        "const x = &also;": "nothing is not declared",
        "unused();": "takes",
        "const x = other.bad;": "a value of type color was expected",
    }.items():
        (tmp_path / "pe.csl").write_text(f"{UNUSED}comptime {{ {use} }}\n")
        with pytest.raises(CslError) as caught:
            compile_program(tmp_path / "layout.csl")
        assert message in str(caught.value) or use == "unused();", str(caught.value)


def test_values_for_params_that_do_not_exist(tmp_path):
    (tmp_path / "layout.csl").write_text(LAYOUT.format("pe.csl"))
    (tmp_path / "pe.csl").write_text('const m = @import_module("other.csl", .{ .count = 1, .cuont = 2 });\n')
    (tmp_path / "other.csl").write_text("param count: i16;\n")
    warnings = []
    compile_program(tmp_path / "layout.csl", warnings=warnings)
    assert [warning.message for warning in warnings] == [
        "other.csl has no param cuont: its value is not used; did you mean count?"
    ]


def test_imports_stand_in_modules(tmp_path):
    (tmp_path / "layout.csl").write_text(LAYOUT.format("pe.csl"))
    text = 'fn main() void { const m = @import_module("<math>"); }\ncomptime { @export_symbol(main); }\n'
    (tmp_path / "pe.csl").write_text(text)
    with pytest.raises(CslError, match="@import_module is the value of a constant of a module"):
        compile_program(tmp_path / "layout.csl")


@pytest.mark.parametrize("tile", ["@set_tile_code(x, 0)", '@set_tile_code(x, 0, "layout.csl", .{ .x = x })'])
def test_layout_and_code_in_one_file(tile, tmp_path):
    """The comptime blocks and imports are those of the PEs; params have the values of the command line there, too."""
    text = """
    param width: u16;
    param x: i16 = 7;
    layout { @set_rectangle(width, 1); for (@range(i16, width)) |x| { TILE; } }
    export var got: i16 = 0;
    const m = @import_module("other.csl", .{ .x = x });
    fn main() void { got = m.double() + @as(i16, width); }
    comptime { @export_symbol(main); }
    """.replace("TILE", tile)
    other = "param x: i16;\nfn double() i16 { return 2 * x; }\n"
    loaded = running.run(tmp_path, "", layout=text, params={"width": 3}, other=other)
    want = [17, 17, 17] if "layout" not in tile else [3, 5, 7]
    assert [running.read(loaded, "got", x)[0] for x in range(3)] == want


def test_misspelt_params_of_a_pe_are_warned_of(tmp_path):
    """Values that a PE's code has no param for are usual: one layout gives them to the code of the edges, too."""
    layout = """layout {{
  @set_rectangle(2, 1);
  for (@range(i16, 2)) |x| {{ @set_tile_code(x, 0, "pe.csl", .{{ .{} = 3, .edge = x }}); }}
}}
"""
    pe = "param count: i16 = 1;\nexport var n: i16 = count;\nfn main() void {}\ncomptime { @export_symbol(main); }\n"
    for given, expected in {
        "cuont": ["pe.csl has no param cuont: its value is not used; did you mean count?"],
        "count": [],
        "count = 2, .counts": [],
        "edges": [],
    }.items():
        warnings = []
        compile_program(running.write(tmp_path, pe, layout.format(given)), warnings=warnings)
        assert [warning.message for warning in warnings] == expected, given


def test_variables_that_are_read_when_compiling_are_warned_of(tmp_path):
    """The documentation lists what is known at compile time: literals, constants, params.  A variable's first value is
    used, which code may change later."""
    pe = """var n: u16 = 4;
    const more = n + 1;
    var a = @zeros([4]i16);
    var p: [*]i16 = &a;
    const d = @get_dsd(mem1d_dsd, .{ .tensor_access = |i|{4} -> a[i] });
    fn main() void { n = more; @mov16(d, 3); p[0] = a[1]; }
    comptime { @export_symbol(main); @export_symbol(p, "p"); }
    """
    warnings = []
    compile_program(running.write(tmp_path, pe), warnings=warnings)
    assert [(one.message, one.span.start) for one in warnings] == [
        (
            "variable n is read at compile time, which gives its initial value: "
            "declare it with const if no code changes it",
            pe.index("n + 1"),
        )
    ]
