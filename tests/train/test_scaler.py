"""Dynamic loss scaling."""

import pytest

from wse.errors import ConfigError
from wse.train.scaler import Scaler


def test_an_overflow_halves_the_scale_and_skips_the_step():
    scaler = Scaler.of("f16")
    assert scaler.scale == 2**15
    assert scaler.after(True) and scaler.scale == 2**15
    assert not scaler.after(False)
    assert (scaler.scale, scaler.skipped, scaler.clean) == (2**14, 1, 0)


def test_clean_steps_double_it_up_to_its_limit():
    scaler = Scaler.of("bf16")
    scaler.after(False)
    for _ in range(1999):
        scaler.after(True)
    assert scaler.scale == 2**14
    scaler.after(True)
    assert scaler.scale == 2**15
    for _ in range(2000):
        scaler.after(True)
    assert scaler.scale == 2**15


def test_it_does_not_fall_below_its_least():
    scaler = Scaler.of("cb16")
    assert scaler.scale == 2**20
    for _ in range(60):
        scaler.after(False)
    assert scaler.scale == 2**-14 and scaler.skipped == 60


def test_f32_and_fixed_scales_stay():
    for scaler, scale in ((Scaler.of("f32"), 1), (Scaler.of("f16", "none"), 1), (Scaler.of("f16", "128"), 128)):
        assert not scaler.after(False)
        assert scaler.scale == scale
    for choice in ("0", "-2", "inf", "nan", "x", ""):
        with pytest.raises(ConfigError, match=rf"^a loss scale is a number above 0, dynamic or none, not '{choice}'$"):
            Scaler.of("f16", choice)


def test_it_is_restored_as_it_was():
    scaler = Scaler.of("f16")
    scaler.after(False)
    scaler.after(True)
    assert Scaler.restored(scaler.state()) == scaler
