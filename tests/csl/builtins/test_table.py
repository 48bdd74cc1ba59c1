"""The table of builtins: rows, number of arguments, architectures.  Each builtin's meaning is tested with its module."""

from __future__ import annotations

import re

import pytest

from csl.running import compiled
from wse.csl.builtins import table
from wse.csl.check import check
from wse.csl.sema import types as t
from wse.csl.syntax.errors import CslError
from wse.machine import isa

PE = "fn main() void {{ {} }}\ncomptime {{ @export_symbol(main); }}\n"


def test_rows_are_complete():
    assert len(table.BUILTINS) > 100
    for name, row in table.BUILTINS.items():
        assert row.name == name and name.startswith("@")
        assert callable(row.lower)
        assert row.most is None or row.least <= row.most
        assert all(re.fullmatch(r"[a-zA-Z_0-9]+(\?|\.\.\.)?", parameter) for parameter in row.parameters), name
        assert row.meaning.endswith(".") and (row.meaning[0].isupper() or row.meaning[0] == "`"), name
        assert row.architectures and set(row.architectures) <= set(table.ARCHITECTURES)


def test_every_vector_instruction_with_elements_is_a_builtin():
    rows = {f"@{row.name}" for row in isa.INSTRUCTIONS if row.kind == "vector" and row.rule != "FILTER"}
    assert rows <= set(table.BUILTINS)


@pytest.mark.parametrize("name", [name for name in table.public() if table.BUILTINS[name].least])
def test_too_few_arguments_are_refused(name, tmp_path):
    row = table.BUILTINS[name]
    with pytest.raises(CslError, match=f"{name} takes {row.arity} argument"):
        compiled(tmp_path, PE.format(f"{name}();"))


@pytest.mark.parametrize("name", [name for name in table.public() if table.BUILTINS[name].most is not None])
def test_too_many_arguments_are_refused(name, tmp_path):
    row = table.BUILTINS[name]
    with pytest.raises(CslError, match=f"{name} takes {row.arity} argument"):
        compiled(tmp_path, PE.format(f"{name}({', '.join(['1'] * (row.most + 1))});"))


def test_builtins_of_the_library_are_not_for_programs(tmp_path):
    with pytest.raises(CslError, match="there is no builtin @wse_string"):
        compiled(tmp_path, PE.format('_ = @wse_string("x");'))
    assert "@wse_string" in table.BUILTINS and "@wse_string" not in table.public()


def test_a_builtin_of_one_architecture_is_refused_on_the_other(tmp_path, monkeypatch):
    row = table.BUILTINS["@random16"]
    monkeypatch.setitem(table.BUILTINS, "@random16", row._replace(architectures=("wse3",)))
    text = PE.format("var x = @random16(); x += 1;")
    compiled(tmp_path, text, "wse3")
    with pytest.raises(CslError, match="wse2 has no @random16: it is a builtin of wse3"):
        compiled(tmp_path, text, "wse2")
    assert [d.message for d in check(tmp_path / "pe.csl", "wse2")] == ["wse2 has no @random16: it is a builtin of wse3"]


def test_a_name_is_registered_once():
    with pytest.raises(ValueError, match="@random16 is registered twice"):
        table.builtin("@random16", "")(lambda frame, node, want: None)


@pytest.mark.parametrize(
    ("name", "signature", "arity"),
    [
        ("@range", "@range(T, start?, stop, step?)", "2 to 4"),
        ("@fmacs", "@fmacs(dst, src0, src1, extra, options?)", "4 to 5"),
        ("@strcat", "@strcat(strings...)", "at least 0"),
        ("@fp16", "@fp16()", "0"),
    ],
)
def test_the_parameters_of_a_row_say_how_many_arguments_it_takes(name, signature, arity):
    row = table.BUILTINS[name]
    assert (row.signature, row.arity) == (signature, arity)


def test_the_fields_of_struct_arguments_belong_to_parameters():
    for name, row in table.BUILTINS.items():
        names = {parameter.rstrip("?.") for parameter in row.parameters}
        assert set(row.fields) <= names or set(row.fields) <= set(t.PRIMITIVES), name
    config = table.BUILTINS["@set_color_config"].fields["config"]
    assert set(config["switches"]["pos1"]) == {"rx", "tx", "invalid"}
    assert "output_queue" in table.BUILTINS["@get_dsd"].fields["fabout_dsd"]


IN_CODE = {
    "@activate": "@get_local_task_id(9)",
    "@block": "@get_local_task_id(9)",
    "@unblock": "@get_local_task_id(9)",
    "@load_to_dsr": "@get_dsr(dsr_dest, 1), d",
    "@load_to_dsr_xdsr": "@get_dsr(dsr_dest, 1), @get_xdsr(1), c",
    "@allocate_fifo": "a",
}
IN_COMPTIME_BLOCKS = {
    "@bind_local_task": "t, @get_local_task_id(9)",
    "@bind_data_task": "t, @get_data_task_id(@get_input_queue(3))",
    "@bind_control_task": "t, @get_control_task_id(9)",
    "@initialize_queue": "@get_input_queue(2), .{ .color = @get_color(1) }",
    "@set_local_color_config": "@get_color(1), .{ .routes = .{ .rx = .{RAMP}, .tx = .{EAST} } }",
    "@set_teardown_handler": "f, @get_color(1)",
    "@set_empty_queue_handler": "f, @get_output_queue(1)",
    "@rpc": "@get_data_task_id(@get_input_queue(3))",
}
LAYOUT = """var a = @zeros([4]f32);
const d = @get_dsd(mem1d_dsd, .{{ .base_address = &a, .extent = 4 }});
const c = @get_dsd(circbuf_dsd, .{{ .base_address = &a, .extent = 4 }});
fn f() void {{}}
task t() void {{}}
layout {{
  @set_rectangle(1, 1);
  @set_tile_code(0, 0, "pe.csl");
  {};
}}
"""


@pytest.mark.parametrize("name", IN_CODE | IN_COMPTIME_BLOCKS)
def test_builtins_of_a_pe_are_no_part_of_the_layout(name, tmp_path):
    where = "the code of a PE, not in the layout" if name in IN_CODE else "a comptime block of the code of a PE"
    with pytest.raises(CslError, match=f"layout.csl:9:.*{name} belongs in {where}"):
        compiled(tmp_path, PE.format(""), layout=LAYOUT.format(f"{name}({(IN_CODE | IN_COMPTIME_BLOCKS)[name]})"))


@pytest.mark.parametrize("name", IN_COMPTIME_BLOCKS)
def test_builtins_of_comptime_blocks_are_no_statements(name, tmp_path):
    head = "fn f() void {}\ntask t() void {}\n"
    with pytest.raises(CslError, match=f"{name} belongs in a comptime block of the code of a PE"):
        compiled(tmp_path, head + PE.format(f"{name}({IN_COMPTIME_BLOCKS[name]});"))
