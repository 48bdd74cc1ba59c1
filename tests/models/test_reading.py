"""How a config.json is read: each key is taken, known to change nothing, or an error."""

import pytest

from wse.errors import ConfigError
from wse.models.reading import NEUTRAL, Family, Reading, activation, every, read, windows
from wse.schema import Boolean, Integer, Number

SMALL = {"model_type": "one", "depth": 2, "width": 8, "heads": 2, "words": 10}
ONE = Family(
    {"layers": ("depth", "n_layer"), "d_model": ("width",), "heads": ("heads",), "vocab": ("words",)},
    {"sequence": 16},
    {"twist": (Number(0, 9), 1.0)},
    always=(("shift", 2),),
    only={"square": (True, 1)},
    dropout=("drop",),
    neutral="colour",
    rules=(activation("act"),),
)


def model(**changes):
    return read(SMALL | changes, {"one": ONE}, "small", "config.json")


def test_keys_become_fields():
    made = model(act="silu")
    assert (made.layers, made.d_model, made.d_ff, made.kv_heads) == (2, 8, 32, 2)
    assert (made.name, made.sequence, made.activation) == ("small", 16, "silu")
    assert made.numerics == (("shift", 2),)


def test_null_is_absent():
    assert model(twist=None, drop=None, square=None, act=None, colour=None) == model()


def test_the_first_key_with_a_value_counts():
    assert model(n_layer=3).layers == 2
    assert model(depth=None, n_layer=3).layers == 3
    with pytest.raises(ConfigError, match="n_layer is 'x', but must be"):
        model(n_layer="x")  # though depth would count


def test_settings_of_values_are_kept_unless_plain():
    assert model(twist=1) == model()
    assert ("twist", 3) in model(twist=3).numerics
    assert ("drop", 0.1) in model(drop=0.1).numerics
    assert model(drop=0.0) == model()
    with pytest.raises(ConfigError, match=r"drop is 1.5, but must be a finite number from 0 to 1"):
        model(drop=1.5)


@pytest.mark.parametrize("value", [False, 0, 2, "yes", [True], {}])
def test_only_known_variants(value):
    with pytest.raises(
        ConfigError, match=r"square is .*, but must be true or 1: other models of type one are not supported"
    ):
        model(square=value)
    assert model(square=True) == model(square=1) == model()


def test_neutral_keys_may_be_anything():
    assert model(colour=[{"deep": "nest"}], **dict.fromkeys(set(NEUTRAL.split()) - {"model_type"})) == model()


def test_unknown_keys():
    with pytest.raises(
        ConfigError, match="the key 'twsit' is not known for one and may change the model: did you mean"
    ):
        model(twsit=3)
    with pytest.raises(ConfigError, match=r"the key 'zzzzzz' is not known .* remove it if it has no effect$"):
        model(zzzzzz=None)
    with pytest.raises(ConfigError, match="words") as caught:
        read({"model_type": "one"} | {k: v for k, v in SMALL.items() if k != "words"}, {"one": ONE}, "", "c.json")
    assert str(caught.value) == "c.json of type one lacks words"


def test_take_checks_and_marks():
    reading = Reading("one", {"a": 3, "b": None}, "c.json", {})
    assert reading.take("a", Integer(0, 5)) == 3
    assert reading.take("b", Boolean(), True) is True
    assert reading.take("c", Boolean()) is None
    assert reading.taken == {"a", "b", "c"}
    with pytest.raises(ConfigError, match=r"c.json: a is 3, but must be true or false"):
        reading.take("a", Boolean())


def test_windows_of_some_layers():
    reading = Reading("one", {"sliding_window": 7}, "c.json", {"layers": 4})
    windows(0, every(3))(reading)
    assert reading.fields["windows"] == (7, 7, 0, 7)
    off = Reading("one", {"sliding_window": 7, "use_sliding_window": False}, "c.json", {"layers": 4})
    windows(0)(off)
    assert "windows" not in off.fields
