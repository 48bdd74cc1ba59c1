"""Variables of a PE by their types, and expressions over them."""

import numpy as np
import pytest

from wse.csl.artifact import Artifact
from wse.debug.values import Values, shown
from wse.errors import ConfigError
from wse.sdk import compile

SOURCE = """
param memcpy_params: comptime_struct;
const sys = @import_module("<memcpy/memcpy>", memcpy_params);
var a = [2, 3]i16{ 1, -2, 3, 4, 5, -6 };
var h = [2]f16{ 1.5, -0.25 };
var b: bool = true;
var n: u32 = 4000000000;
var small: i8 = -3;
var p: *i16 = &a[0, 1];
fn f() void {
  n += @as(u32, a[1, 1]) + @as(u32, p.*);
  b = !b;
  h[0] += h[1];
  small += 1;
  sys.unblock_cmd_stream();
}
comptime {
  @export_symbol(f);
}
"""
LAYOUT = """
const memcpy = @import_module("<memcpy/get_params>", .{ .width = 1, .height = 1 });
layout {
  @set_rectangle(1, 1);
  @set_tile_code(0, 0, "pe.csl", .{ .memcpy_params = memcpy.get_params(0) });
  @export_name("f", fn()void);
}
"""


@pytest.fixture(scope="module")
def values(tmp_path_factory) -> Values:
    folder = tmp_path_factory.mktemp("values")
    (folder / "pe.csl").write_text(SOURCE)
    (folder / "layout.csl").write_text(LAYOUT)
    compile.run(compile.Request(folder / "layout.csl", arch="wse3", output=folder / "out"))
    artifact = Artifact.load(folder / "out")
    return Values(artifact.fabric(), artifact.classes[0], 0, 0, {"cycle": lambda: 7})


def test_variables_by_type(values):
    found = values.variables
    assert {name: (v.scalar, v.shape) for name, v in found.items() if name in "ahbn" or name == "small"} == {
        "a": ("i16", (2, 3)),
        "h": ("f16", (2,)),
        "b": ("bool", ()),
        "n": ("u32", ()),
        "small": ("i8", ()),
    }
    assert found["p"].scalar == "" and found["p"].bytes == 2
    assert values.read(found["a"]).tolist() == [[1, -2, 3], [4, 5, -6]]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a[1, 2]", -6), ("a[0][1]", -2), ("h", [1.5, -0.25]), ("b", True), ("not b", False), ("n", 4_000_000_000),
        ("n * 2", 8_000_000_000), ("a[0, :]", [1, -2, 3]), ("a[:, 0] + 1", [2, 5]), ("$cycle + 1", 8), ("small < 0 and b", True),
        ("a[0, 0] == 1 or v", True), ("1 < small + 5 < 4", True), ("-small % 2", 1), ("true", True), ("7 // 2 << 1", 6), ("~0 & 5 | 2 ^ 1", 7),
    ],
)  # fmt: skip
def test_expressions(values, text, value):
    assert np.array_equal(values.evaluate(text), value)


def test_what_is_set(values):
    for text, given, read in (
        ("a[1, 1]", "-7", "a[1, 1]"), ("a[0, 0:2]", "[8, 9]", "a[0, :2]"), ("h[1]", "0.1", "h[1]"), ("b", "false", "b"), ("n", "5", "n"),
    ):  # fmt: skip
        values.write(text, given)
        wanted = {"0.1": float(np.float16(0.1)), "false": False}.get(given)
        assert np.array_equal(values.evaluate(read), eval(given) if wanted is None else wanted)


@pytest.mark.parametrize(
    ("text", "given", "error"),
    [
        ("a[0, 0]", "40000", "does not fit i16"),
        ("n", "-1", "does not fit u32"),
        ("n", "0.5", "does not fit u32"),
        ("b", "2", "is not true or false"),
        ("a", "[1, 2]", "is not a value for 6 x i16"),
        ("p", "3", "is of type"),
        ("a[:, 1]", "3", "is not contiguous in memory"),
        ("a[7, 0]", "3", "out of bounds"),
        ("3", "3", "is not a variable or an element"),
        ("n", "n +", "is not an expression"),
        ("q", "3", "has no variable 'q'"),
        ("a[1 / 0, 0]", "3", "division by zero"),
        ("a[0, ::0]", "3", "slice step cannot be zero"),
        ("a[0.5, 0]", "3", "only integers"),
        ("a[n + (1, 2)]", "3", "unsupported operand"),
    ],
)
def test_what_cannot_be_set(values, text, given, error):
    before = values.fabric.read_bytes(0, 4096).tobytes()
    with pytest.raises(ConfigError) as raised:
        values.write(text, given)
    assert error in str(raised.value)
    assert values.fabric.read_bytes(0, 4096).tobytes() == before


def test_expressions_reach_nothing_else(values):
    for text in ("a.dtype", "(lambda: 1)()", "[x for x in a]", "'x' * 9", "f'{n}'", "n := 3", "a if b else h", "{}"):
        with pytest.raises(ConfigError):
            values.evaluate(text)
    with pytest.raises(ConfigError, match="unsupported operand"):
        values.evaluate("2.5 << 2")


def test_values_that_cannot_be_computed(values):
    for text, error in (
        ("1 << 20000", "at most 10,000 bits"),
        (" * ".join(["(1 << 9000)"] * 3), "more than 10,000 bits"),
        ("1e308 * 10 * n // 0", "zero"),
        ("(" * 5000 + "1" + ")" * 5000, "not an expression"),
        ("1" + "+ 1" * 20_000, "recursion|not an expression"),
        ("$cycle / 0", "zero"),
    ):
        with pytest.raises(ConfigError, match=error):
            values.evaluate(text)
    with np.errstate(all="raise"):
        assert np.isnan(values.evaluate("h * 0 / 0")).all()


def test_how_values_are_shown():
    assert [shown(np.float32(x)) for x in (0.1, 1, 1e-9, 3e20)] == ["0.1", "1.0", "1e-09", "3e+20"]
    assert shown(np.array(True)) == "true" and shown(np.array([1, -2], np.int16)) == "[ 1, -2]"
    assert shown(np.array([1, 255], np.uint8), True) == "01 ff"
