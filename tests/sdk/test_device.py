"""The host's side of a loaded program: copies within their symbol, launch arguments that fit."""

from __future__ import annotations

import numpy as np
import pytest
from csl.running import device, read

from wse.errors import ConfigError, ProgramError
from wse.sdk.device import argument

PE = """
var first = [3]u16{ 1, 2, 3 };
var behind = [3]u16{ 7, 8, 9 };
var first_ptr: [*]u16 = &first;
export var seen = @zeros([1]u16);
fn main() void { seen[0] = behind[0]; }
comptime { @export_symbol(first_ptr, "first"); @export_symbol(main); }
"""


@pytest.mark.parametrize("size", [8, 6000, 49152])
def test_a_copy_longer_than_its_symbol_is_refused(size, tmp_path):
    loaded = device(tmp_path, PE)
    at = loaded.everything
    message = rf"first of pe\.0 has 6 bytes \(3 x u16\), but the copy is of {size} bytes"
    with pytest.raises(ProgramError, match=message):
        loaded.write("first", at, np.zeros((1, 1, size), np.uint8))
    if size > 10000:
        with pytest.raises(ProgramError, match=message):
            loaded.read("first", at, size)
    loaded.write("first", at, np.arange(6, dtype=np.uint8).reshape(1, 1, 6))
    assert loaded.read("first", at, 6).tolist() == [[[0, 1, 2, 3, 4, 5]]]
    loaded.launch("main", ())
    loaded.run()
    assert read(loaded, "seen")[0] == 7


def test_a_copy_may_read_beyond_its_symbol(tmp_path, capsys):
    """As an example of the vendor does: with a note, once."""
    loaded = device(tmp_path, PE)
    at = loaded.everything
    for _ in range(2):
        words = loaded.read("first", at, 12).view("<u2")[0, 0]
    assert words[:3].tolist() == [1, 2, 3]
    notes = capsys.readouterr().err.splitlines()
    assert len(notes) == 1 and "reads 12 bytes for each PE from first, which has 6 (3 x u16)" in notes[0]


def test_copies_of_half_words_that_have_the_wrong_type(tmp_path, capsys):
    """Elements of 16 bits that are copied as 32: the message names the data type that was meant."""
    loaded = device(tmp_path, PE)
    at = loaded.everything
    with pytest.raises(ProgramError, match="it would reach what lies behind: MEMCPY_16BIT copies elements of 16 bits"):
        loaded.write("first", at, np.zeros((1, 1, 12), np.uint8))
    loaded.read("first", at, 12)
    assert "the rest is what lies behind: MEMCPY_16BIT copies elements of 16 bits" in capsys.readouterr().err
    with pytest.raises(ProgramError, match=r"it would reach what lies behind$"):
        loaded.write("first", at, np.zeros((1, 1, 14), np.uint8))


def test_constants_are_read_only(tmp_path):
    text = """
    const table = [3]u16{ 4, 5, 6 };
    const table_ptr: [*]const u16 = &table;
    var variable = [3]u16{ 7, 8, 9 };
    const variable_ptr: [*]u16 = &variable;
    fn main() void {}
    comptime { @export_symbol(table_ptr, "table"); @export_symbol(variable_ptr, "variable"); @export_symbol(main); }
    """
    loaded = device(tmp_path, text)
    new = np.arange(6, dtype=np.uint8).reshape(1, 1, 6)
    with pytest.raises(
        ProgramError, match=r"table of pe\.0 is a constant, .*: the host cannot change it\. Declare what"
    ):
        loaded.write("table", loaded.everything, new)
    assert loaded.read("table", loaded.everything, 6).view("<u2").tolist() == [[[4, 5, 6]]]
    loaded.write("variable", loaded.everything, new)
    assert loaded.read("variable", loaded.everything, 6).tolist() == new.tolist()


@pytest.mark.parametrize(
    ("value", "type"),
    [
        (32768, "i16"), (-32769, "i16"), (65536, "u16"), (-1, "u16"), (256, "u8"), (-129, "i8"), (1 << 32, "u32"),
        (-1, "u32"), (1 << 31, "i32"), (1.5, "i16"), (float("nan"), "i16"), (float("inf"), "i32"), (2, "bool"),
        (70000.0, "f16"), (1e39, "f32"), (np.float64(1e39).item(), "f32"),
    ],
)  # fmt: skip
def test_an_argument_that_does_not_fit_is_refused(value, type):
    with pytest.raises(ConfigError, match=r"argument 1 of f is of type .* does not fit"):
        argument(value, type, "argument 1 of f")


@pytest.mark.parametrize(
    ("value", "type", "data"),
    [
        (32767, "i16", "ff7f"), (-1, "i16", "ffff"), (3.0, "i16", "0300"), (True, "bool", "01"), (255, "u8", "ff"),
        (np.uint16(65535), "i16", "ffff"), (np.float32(1), "u32", "0000803f"), (1, "f32", "0000803f"),
        (float("inf"), "f16", "007c"), (65504, "f16", "ff7b"),
    ],
)  # fmt: skip
def test_arguments_that_fit(value, type, data):
    assert argument(value, type, "argument 1 of f").hex() == data


SWAP = """
param which: u16;
var a = [3]u16{ 1, 2, 3 };
var b = [4]u16{ 7, 8, 9, 10 };
var front: [*]u16 = &a;
const back: [*]u16 = &b;
var still: [*]u16 = &a;
fn swap() void { if (which != 0) { front = &b; } else { front = @ptrcast([*]u16, &a[1]); } }
var far: u16 = 10000;
fn lose() void { front = @ptrcast([*]u16, &a[far]); }
comptime {
  @export_symbol(front); @export_symbol(back); @export_symbol(still);
  @export_symbol(swap); @export_symbol(lose);
}
"""
TWO = """layout { @set_rectangle(3, 1);
  @set_tile_code(0, 0, "pe.csl", .{ .which = 0 }); @set_tile_code(1, 0, "pe.csl", .{ .which = 1 });
  @set_tile_code(2, 0, "pe.csl", .{ .which = 1 }); }
"""


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_copies_follow_an_exported_pointer(arch, tmp_path):
    loaded = device(tmp_path, SWAP, arch, TWO)
    at = loaded.everything

    def front() -> list[list[int]]:
        return loaded.read("front", at, 4).view("<u2")[0].tolist()

    assert front() == [[1, 2]] * 3
    loaded.launch("swap", ())
    loaded.run()
    assert front() == [[2, 3], [7, 8], [7, 8]]
    loaded.write("front", at, np.array([[[20, 30], [70, 80], [90, 100]]], "<u2").view(np.uint8))
    assert loaded.read("still", at, 6).view("<u2")[0].tolist() == [[1, 20, 30], [1, 2, 3], [1, 2, 3]]
    assert loaded.read("back", at, 8).view("<u2")[0].tolist() == [[7, 8, 9, 10], [70, 80, 9, 10], [90, 100, 9, 10]]
    assert np.frombuffer(loaded.symbol(2, 0, "front")[1], "<u2").tolist() == [90, 100, 9]
    right = loaded.rectangle(1, 0, 2, 1)
    assert loaded.read("front", right, 8).view("<u2")[0].tolist() == [[70, 80, 9, 10], [90, 100, 9, 10]]
    with pytest.raises(ProgramError, match=r"the pointer front of PE \(0, 0\) holds 0x.*, in a .*copy of 6 bytes"):
        loaded.read("front", at, 6)


def test_a_pointer_to_no_variable_is_refused(tmp_path):
    loaded = device(tmp_path, SWAP, "wse3", TWO)
    loaded.launch("lose", ())
    loaded.run()
    with pytest.raises(ProgramError, match=r"the pointer front of PE \(0, 0\) holds 0x.*, in no variable"):
        loaded.write("front", loaded.everything, np.zeros((1, 3, 2), np.uint8))
    with pytest.raises(ProgramError, match=r"the pointer front of PE \(1, 0\) holds"):
        loaded.symbol(1, 0, "front")


def test_a_pointer_that_no_code_uses_takes_no_memory(tmp_path):
    image = device(tmp_path, SWAP, "wse3", TWO).artifact.classes[0]
    assert image.variables["still"].pointer is None
    assert image.variables["front"].pointer is not None
    assert [row.name for row in image.memory].count("still") == 0
