"""What stands at a place, and what an editor shows of it.

Covers: wse/lsp/view.py, wse/lsp/hover.py
"""

import re

import pytest
from editing import PE, Program

from wse.csl.builtins.table import public
from wse.lsp import hover


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    made = Program(tmp_path_factory.mktemp("view"))
    made.open("layout")
    made.open("helper")
    return made


def shown(program, words, name="pe"):
    """What is shown of a place, in one line."""
    found = hover.hover(*program.at(words, name))
    return None if found is None else " ".join(found[0].replace("```csl", "").replace("```", "").split())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("param §n: u16", "param n: u16 = 8 The number of elements."),
        ("var da§ta: [n]f32", "var data: [8]f32"),
        ("var poin§ter:", "var pointer: [*]f32"),
        ("const ds§d =", "const dsd: mem1d_dsd"),
        ("const Ki§nd", "const Kind = enum(u16) { first = 1, second = 2 }"),
        ("= Kind.fi§rst;", "first: Kind = Kind.first"),
        ("fn twi§ce", "fn twice(value: f32) f32 Twice the value."),
        ("= twi§ce(math", "fn twice(value: f32) f32 Twice the value."),
        ("const fac§tor", "const factor: f32 = 2.0"),
        ("factor * va§lue", "value: f32"),
        ("|ind§ex|", "index: u16"),
        ("var pa§ir", "var pair: Pair"),
        ("pair.lo§w +=", "low: u16"),
        ("sys§.unblock", 'const sys = @import_module("<memcpy/memcpy>", memcpy_params)'),
        ("sys.unblock_cmd§_stream", "fn unblock_cmd_stream() void"),
        ("helper.sca§led(2)", "fn scaled(value: u16) u16 A multiple of the value."),
        (".sca§le = 3", "param scale: u16 = 3"),
        ("@as(f§32", "f32: type 4 bytes at run time."),
        ("value: f32) f§32 {", "f32: type 4 bytes at run time."),
        ("tensor_access = |§i|", "i: comptime_int"),
    ],
)
def test_hover(program, words, expected):
    assert shown(program, words) == expected


def test_hover_in_a_layout(program):
    assert shown(program, "param §n: u16", "layout") == "param n: u16 = 8 Value from cslc in commands.sh."
    assert shown(program, ".§n = n", "layout") == "param n: u16 = 8 The number of elements."
    assert shown(program, '"pe§.csl"', "layout") == f"`{program.path('pe')}`"
    assert shown(program, "scale * va§lue", "helper") == "value: u16"


def test_nothing_is_shown_of_nothing(program):
    assert shown(program, "§// Twice") is None and shown(program, "fn main() void §{") is None


def test_builtins_are_shown_from_their_table(program):
    assert shown(program, "@bind§_local") is None if "@bind_local" in PE else True
    found = shown(program, "@get§_dsd(mem1d")
    assert found.startswith("@get_dsd(T, properties) A descriptor of type T")
    for name in public():
        words = hover.builtin(name)
        assert name in words and len(words) > len(name) + 10


def test_rows_of_the_table_of_features_are_found():
    assert "SDK 2.10 does not have it" in hover.builtin("@concat_structs")
    assert "WSE-3" in hover.builtin("@get_ut_id")
    assert ("lib_time", "get_timestamp") in hover.rows()


def test_a_value_that_differs(tmp_path):
    from editing import LAYOUT

    program = Program(tmp_path, layout=LAYOUT.replace(".n = n", ".n = n + x"))
    assert shown(program, "param §n: u16").startswith(
        "param n: u16 = 8 The number of elements. Given other values, too: 8, 9"
    )


def test_places_move_with_the_text(program):
    """What is known is of the text before the last keys; local names are found in it by function and order."""
    text = "// a line\n" + PE.replace("fn main() void {", "fn main() void {\n  const new: u16 = 1;")
    view, offset = program.typed(text.replace("pair.low += n", "pa§ir.low += n"))
    words = hover.hover(view, offset)[0]
    assert "var pair: Pair" in words
    view, offset = program.typed(text.replace("const new", "const ne§w"))
    assert "const new: u16" in hover.hover(view, offset)[0]
    program.open("pe", PE)


def test_the_spans_of_what_is_shown_are_names(program):
    view = program.view()
    seen = 0
    for word in re.finditer(r"@?\b[A-Za-z_]\w*", view.parsed.text):
        found = hover.hover(view, word.start())
        if found is not None and '"' not in view.parsed.text[slice(*found[1])]:
            assert found[1] == word.span()
            seen += 1
    assert seen > 70


@pytest.mark.parametrize(
    "layout", ['param other: u16;\nlayout { @set_tile_code(0, 0, "pe.csl", .{}); }', "const a = 1;"]
)
def test_what_is_known_of_a_file_whose_program_is_not(tmp_path, layout):
    """Its params have no values: what does not depend on them is known."""
    program = Program(tmp_path, layout=layout, commands="")
    program.open("layout")
    assert shown(program, "= twi§ce(math") == "fn twice(value: f32) f32 Twice the value."
    assert shown(program, "math.sq§rt").startswith("fn sqrt")
    assert shown(program, "const fac§tor") == "const factor: f32 = 2.0"
    assert shown(program, "var ki§nd: Kind") == "var kind: Kind"
    assert shown(program, "param §n: u16") == "param n: u16 The number of elements."
    assert program.messages("pe") == []
    found = [one.message for one in program.found[program.path("pe")] if one.severity == "information"]
    assert len(found) == ("layout {" not in layout)
