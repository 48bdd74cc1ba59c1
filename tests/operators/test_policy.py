"""Policies: what each stands for, and what is refused."""

import pytest

from wse.errors import ConfigError
from wse.operators.policy import Policy


def test_what_they_stand_for():
    said = {
        (s, p): (Policy(s, p).products, Policy(s, p).gradients)
        for s in ("bf16", "f32")
        for p in ("POL0", "POL1", "POL2")
    }
    assert [said["bf16", p] for p in ("POL0", "POL1", "POL2")] == [
        ("exact", "exact"),
        ("mixed", "exact"),
        ("half", "half"),
    ]
    assert {said["f32", p] for p in ("POL0", "POL1", "POL2")} == {("f32", "f32")}
    assert (Policy("cb16").fp16, Policy("cb16").element, Policy("cb16").size) == ("cb16", "f16", 2)
    assert (Policy("f32").fp16, Policy("f32").element, Policy("f32").size) == ("f16", "f32", 4)


def test_what_is_refused():
    with pytest.raises(ConfigError, match=r"^the storage of a policy is f16, bf16, cb16, f32, not 'fp8'$"):
        Policy("fp8")
    with pytest.raises(ConfigError, match=r"^the level of a policy is POL0, POL1, POL2, not 'POL3'$"):
        Policy("f16", "POL3")
