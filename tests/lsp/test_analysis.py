"""Diagnostics of programs that may be half written, incremental analysis.

Covers: wse/lsp/analysis.py, wse/lsp/session.py, wse/lsp/sources.py
"""

import time

import pytest
from editing import HELPER, LAYOUT, PE, Program

from wse.lsp.analysis import Analyser, Stopped, within


@pytest.fixture
def program(tmp_path):
    return Program(tmp_path)


def test_a_right_program_has_no_findings(program):
    program.open("layout")
    assert program.messages("pe", None) == program.messages("layout", None) == []
    assert program.said == [f"{program.path('layout')}: wse3, n = 8, from cslc in commands.sh"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("twice(math.sqrt", "twise(math.sqrt", ["twise is not declared: did you mean twice?"]),
        ("factor * value", 'factor * "x"', None),
        ("@export_symbol(main)", "@export_symbul(main)", None),
        ("helper.scaled(2)", "helper.scaled(2, 3)", ["scaled takes 1 argument, not 2"]),
        ("data[index] = ", "data[index] = = ", ["an expression was expected, not '='"]),
    ],
)
def test_errors_of_a_file(program, old, new, expected):
    program.open("pe", PE.replace(old, new))
    found = program.messages("pe")
    assert found == expected if expected is not None else len(found) == 1
    program.open("pe", PE)
    assert program.messages("pe", None) == []


def test_several_errors_of_a_file(program):
    text = PE.replace("factor * value", "factor * unknown").replace("pair.low += n", "pair.middle += n")
    program.open("pe", text.replace("const math =", "const mth ="))
    found = program.messages("pe")
    assert len(found) == 3 and {"unknown", "math", "middle"} == {
        w for w in ("unknown", "math", "middle") if w in str(found)
    }


def test_errors_of_syntax_hide_what_follows_from_them_only(program):
    program.open(
        "pe", PE.replace("fn twice(value: f32) f32 {", "fn twice(value: f32 f32 {").replace("* value", "* other")
    )
    found = program.messages("pe")
    assert any("')' was expected" in one for one in found) and not any("twice" in one for one in found[1:])
    program.open("layout", LAYOUT.replace("@set_rectangle(2, 1)", "@set_rectangle(2)"))
    assert program.messages("layout") == ["@set_rectangle takes 2 arguments, not 1"]


def test_an_error_in_another_file_is_shown_there(program):
    program.open("helper", HELPER.replace("scale * value", "scale * valve"))
    assert program.messages("helper") == ["valve is not declared: did you mean value?"]
    program.open("layout", LAYOUT.replace(".n = n", ".m = n"))
    assert any("param n has no value" in one for one in program.messages("pe"))


def test_types_in_functions_that_nothing_calls(program):
    program.open("pe", PE.replace("fn main", "fn unused(a: f32) void { data[0] = a + data; }\nfn main"))
    assert program.messages("pe") == []
    (found,) = [one for one in program.found[program.path("pe")] if one.severity == "information"]
    assert found.notes == [(None, "nothing calls unused, so cslc does not say this")]


def test_a_file_that_no_layout_names(tmp_path):
    program = Program(tmp_path, alone="fn f() void { x = 1; }\n")
    program.open("alone")
    assert program.messages("alone") == ["x is not declared"]
    assert "no layout of the workspace names this file" in program.messages("alone", "information")[0]


def test_params_without_a_value_are_named(tmp_path):
    program = Program(tmp_path, commands="")
    program.open("layout")
    (found,) = program.messages("layout", "warning")
    assert found.startswith("param n has no value: give it one by cslc --params")
    assert program.messages("pe") == []
    program.open("pe", PE.replace("twice(math", "twise(math"))
    assert program.messages("pe") == ["twise is not declared: did you mean twice?"]


def test_only_what_has_changed_is_analysed_again(program):
    before = program.session.analyses[program.path("layout")]
    program.open("pe", PE + " ")
    after = program.session.analyses[program.path("layout")]
    assert after.layout is before.layout and after.classes[0] is before.classes[0]
    assert after.parts[id(after.classes[0])] is not before.parts[id(before.classes[0])]
    program.look()
    again = program.session.analyses[program.path("layout")]
    assert again.parts[id(again.classes[0])] is after.parts[id(after.classes[0])]
    program.open("layout", LAYOUT + " ")
    assert program.session.analyses[program.path("layout")].layout is not before.layout


def test_classes_with_other_params_are_compiled_each(program):
    program.open("layout", LAYOUT.replace(".n = n", ".n = n + x"))
    analysis = program.session.analyses[program.path("layout")]
    assert len(analysis.parts) == 2 and analysis.complete
    program.open("pe", PE.replace("var data: [n]f32;", "var data: [n]f32;\ncomptime { @comptime_assert(n < 9); }"))
    assert program.messages("pe") == ["this assertion does not hold"]


def test_an_evaluation_that_does_not_end_is_stopped(program):
    program.session.put(program.path("pe"), PE.replace("comptime {", "comptime { var i: i32 = 0; while (true) i += 1;"))
    options = program.session.project.options(program.path("layout"))
    with pytest.raises(Stopped):
        list(Analyser(program.session.sources, options, None, within(0.2)).run())


def test_two_layouts_of_a_file(tmp_path):
    program = Program(tmp_path, other=LAYOUT)
    assert any("belongs to several layouts" in line and "other.csl" in line for line in program.said)


def test_warnings_and_whole_programs(program):
    program.open("layout", LAYOUT.replace("layout {\n", 'layout {\n  @export_name("nothing", fn()void);\n'))
    assert program.messages("layout", "warning") == ["no PE exports a symbol nothing"]
    program.open("layout", LAYOUT.replace("@range(u16, 2)", "@range(u16, 1)"))
    assert any("1 PEs of the rectangle have no code" in one for one in program.messages("layout"))


def test_functions_that_exist_at_compile_time_only_are_no_run_time_code(program):
    program.open("pe", PE.replace("fn main", 'fn name(a: comptime_int) comptime_string { return "x"; }\nfn main'))
    assert program.messages("pe", None) == []


def test_what_is_known_of_a_program_that_takes_long(program):
    """Before the first analysis has ended, requests see what it has found so far."""
    program.session.analyses.clear()
    program.session.project.settings = {"params": {"n": 9}}
    program.session.sources.open[program.path("layout")] = LAYOUT.replace(".n = n", ".n = n + x")
    seen = []

    def stop():
        known = program.session.analyses.get(program.path("layout"))
        seen.append(len(known.parts) if known is not None else -1)
        return False

    program.session.look(time.monotonic(), stop, program.keep, program.said.append)
    assert {0, 1} <= set(seen)
