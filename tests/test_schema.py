"""Kinds of values, and files of JSON and TOML."""

import math

import numpy as np
import pytest

from wse.errors import ConfigError
from wse.schema import Boolean, Integer, Number, Text, check, check_table, read_toml, shown


@pytest.mark.parametrize(
    "kind, yes, no, words",
    [
        (Integer(1, 5000), [1, 5000, np.int64(3)], [0, 5001, True, 2.0, "3", None], "an integer from 1 to 5,000"),
        (Integer(), [-(10**400), 0], [1.5, math.nan], "an integer"),
        (Integer(2), [2, 10**30], [1], "an integer of at least 2"),
        (Number(0, 1), [0, 1, 0.5, np.float32(1)], [-1e-9, math.nan, math.inf, True, "0"], "a finite number from 0 to 1"),
        (Number(0, above=True), [1e-300], [0, -0.0, 10**400], "a finite number above 0"),
        (Number(0, 1, below=True), [0], [1], "a finite number of at least 0 and below 1"),
        (Text(), ["", "a b", "ä"], ["a\nb", 3, "\ud800", "x" * 5000], "a text of printable characters"),
        (Text(("a", "b")), ["a"], ["c", ["a"], None], "one of a, b"),
        (Boolean(), [True, False], [0, 1, "true", None], "true or false"),
    ],
)  # fmt: skip
def test_kinds(kind, yes, no, words):
    assert all(kind.accepts(value) for value in yes)
    assert not any(kind.accepts(value) for value in no)
    assert str(kind) == words


def test_an_error_names_place_key_value_and_rule():
    with pytest.raises(ConfigError, match=r"^file x: depth is 'two', but must be an integer from 1 to 9$"):
        check(Integer(1, 9), "two", "file x", "depth")
    with pytest.raises(ConfigError, match=r"^x: widht is no figure of a box; there are width$"):
        check_table({"widht": 3}, {"width": Integer(1)}, "x", "of a box")


def test_what_is_shown_is_short_and_on_one_line():
    assert shown("a\nb") == r"'a\nb'"
    assert len(shown("x" * 10_000)) == 60
    assert shown(10**5000) == "an integer of more than 60 digits"
    assert (shown(True), shown(None), shown(3)) == ("true", "null", "3")


@pytest.mark.parametrize(
    "content, words",
    [
        (b"a = 1\na = 2", "is not TOML: "),
        (b"a = " + b"[" * 100_000, "nested too deeply"),
        (b"a = " + b"9" * 5000, "is not TOML: "),
        (b"\xff", "is no UTF-8 text"),
    ],
)
def test_hostile_toml(content, words, tmp_path):
    path = tmp_path / "x.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"^thing {path}.*{words}"):
        read_toml(path, "thing")
    with pytest.raises(ConfigError, match="Is a directory"):
        read_toml(tmp_path, "thing")


def test_toml_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "x.toml").write_bytes(b"\xef\xbb\xbfa = 1\n")
    assert read_toml(tmp_path / "x.toml", "thing") == {"a": 1}
