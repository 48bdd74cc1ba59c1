"""wse/records.py: its classes behave as those of the standard library's decorator.

Covers: wse/records.py
"""

import copy
import dataclasses
import pickle

import pytest

from wse import records

OPTIONS = [
    {},
    {"eq": False},
    {"frozen": True},
    {"frozen": True, "eq": False},
    {"frozen": True, "kw_only": True},
    {"frozen": True, "slots": True},
    {"slots": True, "eq": False},
]


def pair(options, **namespace):
    """The same class by either decorator."""
    made = []
    for decorate in (dataclasses.dataclass, records.dataclass):
        body = {
            "__annotations__": {"a": "int", "b": "str", "c": "list", "hidden": "int"},
            "b": "two",
            "c": dataclasses.field(default_factory=list),
            "hidden": dataclasses.field(default=0, repr=False, compare=False),
            "__qualname__": "Outer.Record",
            "__module__": __name__,
        }
        made.append(decorate(**options)(type("Record", (), body | namespace)))
    return made


def outcome(call):
    try:
        return call()
    except Exception as error:
        return type(error), str(error)


def behaviour(cls):
    """What instances of one of the classes of `pair` do."""
    return [
        outcome(lambda: repr(cls(a=1))),
        outcome(lambda: repr(cls(a=2, b="x", c=[3], hidden=4))),
        outcome(lambda: repr(cls(1, "y"))),
        outcome(lambda: cls(b="no a")),
        outcome(lambda: cls(a=1, d=2)),
        cls(a=1) == cls(a=1, hidden=5),
        cls(a=1) != cls(a=1),
        cls(a=1) == cls(a=2),
        cls(a=1) == "other",
        cls(a=1).c is cls(a=1).c,
        outcome(lambda: hash(cls(a=1, c=())) == hash(cls(a=1, c=(), hidden=5))),
        outcome(lambda: setattr(cls(a=1), "a", 3)),
        outcome(lambda: delattr(cls(a=1), "b")),
        repr(dataclasses.replace(cls(a=1), b="z")),
        dataclasses.asdict(cls(a=1)),
        [field.name for field in dataclasses.fields(cls)],
        cls.__match_args__,
        cls.__hash__ is None,
        repr(copy.deepcopy(cls(a=1, c=[[2]]))),
        hasattr(cls(a=1), "__dict__"),
        cls.__init__.__qualname__,
    ]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_methods_are_the_standard_ones(options):
    theirs, ours = pair(options)
    assert behaviour(ours) == behaviour(theirs)
    for cls in (theirs, ours):
        if options.get("frozen"):
            with pytest.raises((dataclasses.FrozenInstanceError, TypeError)):  # TypeError: of slots in Python 3.11
                cls(a=1).new = 3


def test_methods_that_a_class_defines_stay():
    words = {
        "__repr__": lambda self: "mine",
        "__eq__": lambda self, other: True,
        "__hash__": lambda self: 7,
        "__post_init__": lambda self: self.c.append("after"),
    }
    for options in ({}, {"frozen": True}):
        seen = [(repr(cls(1)), cls(1) == 5, hash(cls(1)), cls(1).c) for cls in pair(options, **words)]
        assert seen[0] == seen[1] == ("mine", True, 7, ["after"])


@records.dataclass(frozen=True)
class Base:
    a: int

    def doubled(self):
        return type(self)(2 * self.a)


@records.dataclass(frozen=True)
class Derived(Base):
    b: int = 2


class Plain(Base):
    """Not decorated."""


@records.dataclass(frozen=True, slots=True)
class Slots:
    a: int


def test_a_class_may_be_derived_from():
    assert repr(Derived(1)) == "Derived(a=1, b=2)" and Derived(1) != Base(1) and Derived(1).doubled() == Derived(2)
    assert repr(Plain(1).doubled()) == "Plain(a=2)" and Plain(1) != Base(1)
    plain = Plain(1)
    plain.more = 5  # as in the standard library: what a class that is not decorated adds
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'a'"):
        plain.a = 2


@pytest.mark.parametrize("value", [Base(1), Derived(1, 3), Slots(4)], ids=repr)
def test_instances_are_pickled(value):
    assert pickle.loads(pickle.dumps(value)) == value == copy.copy(value)


def test_other_options_are_refused():
    with pytest.raises(TypeError, match="no option order"):
        records.dataclass(order=True)
    with pytest.raises(TypeError, match="is frozen and defines __setattr__"):
        records.dataclass(frozen=True)(type("Odd", (), {"__setattr__": None}))
