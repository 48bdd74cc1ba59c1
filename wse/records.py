"""`dataclass` of the standard library, with methods that are made when they are first called.

The standard decorator compiles two to seven functions for each class.  A command imports more than a hundred such
classes and uses few of them: a fifth of the time that cslc took for a short program.  The classes here behave as the
standard ones do, and are dataclasses for `fields`, `replace`, `asdict` and type checkers.  Until its first call,
`inspect.signature` shows (*args, **kwargs) for a constructor.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(cls: type | None = None, /, **options: Any) -> Any:
        """dataclasses.dataclass for options of _OPTIONS."""
        if unknown := options.keys() - _OPTIONS:
            raise TypeError(f"wse.records.dataclass has no option {', '.join(sorted(unknown))}")
        return _decorate(cls, **options) if cls is not None else lambda cls: _decorate(cls, **options)


_OPTIONS = {"eq", "frozen", "init", "kw_only", "slots"}
_OFF = {"init": False, "repr": False, "eq": False}


def _decorate(
    cls: Any, eq: bool = True, frozen: bool = False, init: bool = True, kw_only: bool = False, slots: bool = False
) -> Any:
    own = vars(cls)
    is_hashable_as_written = "__hash__" in own and not (own["__hash__"] is None and "__eq__" in own)
    documented = cls.__doc__
    cls.__doc__ = documented or "-"  # the standard decorator looks at the signature of what has no docstring
    cls = dataclasses.dataclass(cls, kw_only=kw_only, slots=slots, **_OFF)
    cls.__doc__ = documented
    if init:
        _later(cls, "__init__", init=True, frozen=frozen)
    _later(cls, "__repr__", repr=True)
    if eq:
        _later(cls, "__eq__", eq=True)
        if frozen and not is_hashable_as_written:
            _later(cls, "__hash__", replaces=True, eq=True, frozen=True)
        elif not is_hashable_as_written:
            cls.__hash__ = None
    if frozen:
        _freeze(cls)
        if slots:  # by default, both are copied by assignments
            cls.__getstate__, cls.__setstate__ = _getstate, _setstate
    return cls


def _later(cls: type, name: str, replaces: bool = False, **options: bool) -> None:
    """Gives a class a method that is made when it is first called.  replaces: even if the class defines it."""
    if name in vars(cls) and not replaces:
        return

    def method(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        setattr(cls, name, _made(cls, name, options))
        return getattr(cls, name)(self, *args, **kwargs)

    method.__name__, method.__qualname__ = name, f"{cls.__qualname__}.{name}"
    setattr(cls, name, method)


def _made(cls: Any, name: str, options: dict[str, Any]) -> Callable:
    """The method as the standard decorator makes it, for another class with the same fields."""
    copied = ("default", "default_factory", "init", "repr", "hash", "compare", "kw_only")
    columns = [
        (item.name, object, dataclasses.field(**{what: getattr(item, what) for what in copied}))
        for item in dataclasses.fields(cls)
    ]
    namespace: dict[str, Any] = {"__doc__": "-"}
    if hasattr(cls, "__post_init__"):
        namespace["__post_init__"] = cls.__post_init__
    other = dataclasses.make_dataclass(cls.__name__, columns, namespace=namespace, **(_OFF | options))
    method = vars(other)[name]
    method.__qualname__, method.__module__ = f"{cls.__qualname__}.{name}", cls.__module__
    return method


def _getstate(self: Any) -> list[Any]:
    return [getattr(self, item.name) for item in dataclasses.fields(self)]


def _setstate(self: Any, state: list[Any]) -> None:
    for item, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, item.name, value)


def _freeze(cls: Any) -> None:
    """Makes assignments to attributes of instances an error."""
    names = {item.name for item in dataclasses.fields(cls)}

    def __setattr__(self: Any, name: str, value: Any) -> None:
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        super(cls, self).__setattr__(name, value)

    def __delattr__(self: Any, name: str) -> None:
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
        super(cls, self).__delattr__(name)

    for method in (__setattr__, __delattr__):
        if method.__name__ in vars(cls):
            raise TypeError(f"{cls.__name__} is frozen and defines {method.__name__}")
        setattr(cls, method.__name__, method)
