"""Declarations, uses, other names, outlines, colours.

Covers: wse/lsp/navigation.py, wse/lsp/renaming.py, wse/lsp/outline.py, wse/lsp/colouring.py
"""

import re

import pytest
from editing import HELPER, LAYOUT, PE, Program

from wse.csl.sema.modules import LIBRARY
from wse.lsp import colouring, navigation, outline
from wse.lsp.renaming import CannotRename, applied, rename, renamed_place


@pytest.fixture
def program(tmp_path):
    return Program(tmp_path)


def lines(spans):
    """(file without ending, line, text) of places."""
    return [
        (span.source.path.rsplit("/", 1)[1][:-4], span.line, span.source.text[span.start : span.end]) for span in spans
    ]


@pytest.mark.parametrize(
    ("words", "name", "expected"),
    [
        ("= twi§ce(math", "pe", ("pe", 16, "twice")),
        ("return fac§tor", "pe", ("pe", 17, "factor")),
        ("data[ind§ex] =", "pe", ("pe", 22, "index")),
        ("helper.sca§led(2)", "pe", ("helper", 4, "scaled")),
        (".sca§le = 3", "pe", ("helper", 1, "scale")),
        ('"helper§.csl"', "pe", ("helper", 1, "")),
        ('"pe§.csl"', "layout", ("pe", 1, "")),
        (".§n = n", "layout", ("pe", 2, "n")),
        (".n = §n", "layout", ("layout", 1, "n")),
        ("pair.lo§w", "pe", ("pe", 9, "low")),
        ("Kind.fir§st", "pe", ("pe", 8, "first")),
        ("math.sq§rt", "pe", ("math", None, "sqrt")),
        ('"<ma§th>"', "pe", ("math", 1, "")),
    ],
)
def test_definition(program, words, name, expected):
    (found,) = lines(navigation.definition(*program.at(words, name)))
    assert found == (expected[0], expected[1] or found[1], expected[2])


def test_what_has_no_definition(program):
    for words in ("param n: u§16", "§// Twice", "@range(u1§6"):
        assert navigation.definition(*program.at(words)) == []


def test_references_in_a_file(program):
    found = lines(navigation.references(*program.at("var da§ta: [n]f32")))
    assert [line for _, line, _ in found] == [10, 11, 13, 23, 23] and {text for _, _, text in found} == {"data"}
    without = navigation.references(*program.at("var da§ta: [n]f32"), with_declaration=False)
    assert lines(without) == found[1:]


def test_references_in_other_files(program):
    expected = {("helper", 4, "scaled"), ("pe", 23, "scaled")}
    assert set(lines(navigation.references(*program.at("helper.sca§led(2)")))) == expected
    assert set(lines(navigation.references(*program.at("fn sca§led", "helper")))) == expected
    found = lines(navigation.references(*program.at("param sca§le", "helper")))
    assert set(found) == {("helper", 1, "scale"), ("helper", 4, "scale"), ("pe", 6, "scale")}
    found = lines(navigation.references(*program.at("param §n: u16")))
    assert ("layout", 6, "n") in found and found.count(("layout", 6, "n")) == 1


def test_a_name_of_another_scope_is_no_reference(program):
    program.open("pe", PE.replace("fn main() void {", "fn other(factor: f32) f32 { return factor; }\nfn main() void {"))
    assert len(navigation.references(*program.at("const fac§tor"))) == 2


# ---- other names ----


def edited(program, words, new, file="pe"):
    """The texts after a rename, by file."""
    found = rename(*program.at(words, file), new)
    return {path.stem: applied(path.read_text(), spans, new)[0] for path, spans in found.items()}


def test_rename_in_a_file(program):
    texts = edited(program, "const fac§tor", "by")
    assert texts == {"pe": PE.replace("factor", "by")}
    program.open("pe", texts["pe"])
    assert program.messages("pe") == []


def test_rename_in_several_files(program):
    texts = edited(program, "helper.sca§led(2)", "multiple")
    assert texts == {"pe": PE.replace("scaled", "multiple"), "helper": HELPER.replace("scaled", "multiple")}
    texts = edited(program, "param sca§le", "by", "helper")
    assert ".by = 3" in texts["pe"] and texts["helper"].startswith("param by: u16;")
    texts = edited(program, "param §n: u16", "count")
    assert set(texts) == {"pe", "layout"} and ".count = n" in texts["layout"]
    for name, text in texts.items():
        program.path(name).write_text(text)
    program.open("pe", texts["pe"])
    assert program.messages("pe") == program.messages("layout") == []


@pytest.mark.parametrize(
    ("words", "new", "why"),
    [
        ("const fac§tor", "while", "while is a word of the language"),
        ("const fac§tor", "f32", "f32 is a name of the language"),
        ("const fac§tor", "u7", "u7 is a name of the language"),
        ("const fac§tor", "1st", "is no name"),
        ("const fac§tor", "a-b", "is no name"),
        ("const fac§tor", "value", "value would mean another declaration|with value the program would be wrong"),
        ("var da§ta: [n]f32", "pointer", r"pe\.csl would be wrong: pointer is declared twice"),
        ("sys.unblock_cmd§_stream", "go", "unblock_cmd_stream belongs to the library, in memcpy.csl"),
        ("math.sq§rt", "root", "sqrt belongs to the library"),
        ("@ran§ge", "x", "@range is a builtin of the language"),
        ("value: f32) f§32 {", "x", "f32 is a name of the language"),
        ("pair.lo§w", "x", "low is a field"),
        ("fn ma§in", "start", "with start the program would be wrong: the layout has no @export_name"),
        ("§// Twice", "x", "no name stands here"),
    ],
)
def test_names_that_are_refused(program, words, new, why):
    with pytest.raises(CannotRename, match=why):
        rename(*program.at(words), new)


def test_a_name_that_would_be_hidden_is_refused(program):
    text = PE.replace("fn main() void {", "fn main() void {\n  const local: u16 = n;\n  data[0] = @as(f32, local);")
    program.open("pe", text)
    with pytest.raises(CannotRename, match="n would mean another declaration in line 24"):
        rename(*program.at("const loc§al"), "n")
    with pytest.raises(CannotRename, match="local would mean another declaration in line 24"):
        rename(*program.at("param §n: u16"), "local")


def test_a_param_of_the_layout_is_given_from_outside(program):
    with pytest.raises(CannotRename, match=r"n is given its value by cslc in commands\.sh"):
        renamed_place(*program.at("param §n: u16", "layout"))


def test_the_same_name_is_no_edit(program):
    assert rename(*program.at("const fac§tor"), "factor") == {}


# ---- outlines and colours ----


def test_outline(program):
    found = outline.outline(program.view())
    assert [(one.name, one.kind) for one in found][:3] == [
        ("n", "param"),
        ("memcpy_params", "param"),
        ("sys", "module"),
    ]
    by_name = {one.name: one for one in found}
    assert by_name["Kind"].kind == "enum" and [one.name for one in by_name["Pair"].children] == ["low", "high"]
    text = program.view().parsed.text
    assert text[slice(*by_name["twice"].span)].startswith("fn twice") and text[by_name["twice"].span[1] - 1] == "}"
    for one in found:
        assert one.span[0] <= one.name_span[0] <= one.name_span[1] <= one.span[1]
    assert [one.kind for one in outline.outline(program.view("layout"))] == ["param", "module", "layout"]


def test_colours(program):
    view = program.view()
    found = colouring.tokens(view)
    text = view.parsed.text
    assert [start for start, *_ in found] == sorted({start for start, *_ in found})
    said = {(text[start:end], kind) for start, end, kind, _ in found}
    assert {("sys", "namespace"), ("n", "parameter"), ("twice", "function"), ("@range", "macro")} <= said
    assert {("f32", "type"), ("Kind", "type"), ("data", "variable"), ("low", "property")} <= said
    assert all(kind in colouring.TYPES and set(mods) <= set(colouring.MODIFIERS) for *_, kind, mods in found)
    assert all(re.fullmatch(r"@?\w+", text[start:end]) for start, end, *_ in found)


def test_the_library_can_be_read(program):
    path = LIBRARY / "math.csl"
    program.session.put(path, path.read_text())
    program.look()
    view = program.session.view(path)
    assert outline.outline(view) and colouring.tokens(view)
    assert program.found.get(path, []) == []
    assert LAYOUT
