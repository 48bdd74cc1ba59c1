"""Builtins that find symbols for the host by their numbers.

Covers: wse/csl/builtins/symbols.py
"""

from __future__ import annotations

import pytest

from csl.running import compiled, device, launch, read
from wse.csl.syntax.errors import CslError

ARCHES = ("wse2", "wse3")
LAYOUT = """
layout {
  @set_rectangle(1, 1);
  @set_tile_code(0, 0, "pe.csl");
  @export_name("main", fn(u16)void);
  @export_name("A", i16, true);
  @export_name("x", [*]f32, false);
  @export_name("B", i16, true);
  @export_name("y", [*]i16, true);
  @export_name("wide", i32, true);
  @export_name("C", i16, true);
}
"""
PE = """
var A: i16 = 11;
var B: i16 = 22;
var wide: i32 = 33;
var many = [3]f32{1.0, 2.0, 3.0};
var few = [2]i16{7, 8};
const x: [*]f32 = &many;
var y: [*]i16 = &few;
export var got = @zeros([4]i16);
export var numbers = @zeros([4]u16);
comptime { @export_symbol(main); @export_symbol(A); @export_symbol(B); @export_symbol(wide); %s }
fn main(n: u16) void { A = 12; %s }
"""
POINTERS = "@export_symbol(x); @export_symbol(y);"


def program(body: str, exports: str = POINTERS) -> str:
    return PE % (exports, body)


@pytest.mark.parametrize("arch", ARCHES)
def test_the_number_of_a_symbol_is_that_of_its_name(arch, tmp_path):
    body = (
        "numbers[0] = @get_symbol_id(A); numbers[1] = @get_symbol_id(main); numbers[2] = @get_symbol_id(y);"
        "if (@get_symbol_id(B) == n) { numbers[3] = 1; }"
    )
    loaded = device(tmp_path, program(body), arch, LAYOUT)
    launch(loaded, "main", 3)
    assert read(loaded, "numbers").tolist() == [1, 0, 4, 1]


@pytest.mark.parametrize("number, want", [(1, 12), (3, 22)])
@pytest.mark.parametrize("arch", ARCHES)
def test_the_value_of_a_symbol(arch, number, want, tmp_path):
    loaded = device(tmp_path, program("got[0] = @get_symbol_value(i16, n);"), arch, LAYOUT)
    launch(loaded, "main", number)
    assert read(loaded, "got")[0] == want


@pytest.mark.parametrize("number, want", [(2, 0x4000), (4, 8)])
@pytest.mark.parametrize("arch", ARCHES)
def test_the_pointer_of_a_tensor(arch, number, want, tmp_path):
    """The second word of 16 bits; of 2.0f the upper half is the fourth."""
    body = "const p = @get_tensor_ptr(n); if (@has_exported_tensors()) { numbers[0] = p[1]; numbers[1] = p[3]; }"
    loaded = device(tmp_path, program(body), arch, LAYOUT)
    launch(loaded, "main", number)
    assert read(loaded, "numbers")[1 if number == 2 else 0] == want


def test_without_tensors_code_that_uses_them_is_left_out(tmp_path):
    body = "got[0] = 1; if (@has_exported_tensors()) { got[0] = @as(i16, @get_tensor_ptr(n)[0]); }"
    loaded = device(tmp_path, program(body, ""), layout=LAYOUT)
    launch(loaded, "main", 2)
    assert read(loaded, "got")[0] == 1


def test_without_tensors_their_pointer_is_a_failed_assertion(tmp_path):
    loaded = device(tmp_path, program("got[0] = @as(i16, @get_tensor_ptr(n)[0]);", ""), layout=LAYOUT)
    with pytest.raises(Exception, match="assert"):
        launch(loaded, "main", 2)


@pytest.mark.parametrize(
    "body, exports, message",
    [
        ("got[0] = @get_symbol_id(few);", POINTERS, "this is no exported symbol: @export_symbol"),
        ("const v = @get_symbol_value(u16, n);", POINTERS, "no symbol of type u16 is exported"),
        ("const v = @get_symbol_value(i16, 2.0);", POINTERS, "the number of a symbol is an integer"),
        ("got[0] = @get_symbol_value(i16, 7);", POINTERS, "no symbol of this type has number 7"),
        ("", POINTERS + " _ = @has_exported_tensors();", "@has_exported_tensors belongs in a function or a task"),
        ("", POINTERS + ' @export_symbol(A, "C"); _ = @get_symbol_value(i16, 1);', "@get_symbol_value"),
        ("got[0] = @get_symbol_id(got);", '@export_symbol(got, "D");', 'the layout has no @export_name("D", ...)'),
    ],
)
def test_what_is_refused(body, exports, message, tmp_path):
    with pytest.raises(CslError) as caught:
        compiled(tmp_path, program(body, exports), "wse3", LAYOUT)
    assert message in str(caught.value)
