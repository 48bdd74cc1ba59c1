"""Values: the variables of a PE by their names and types, and expressions over them."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..csl.artifact import ClassImage
from ..errors import ConfigError, did_you_mean
from ..fabric.fabric import Fabric
from ..machine import numerics
from ..program.symbol import DTYPES

_TYPE = re.compile(r"((?:\[[\d,\s]+\])*)\s*(\w+)")
_SCALARS: dict[str, np.dtype] = {**DTYPES, "bool": np.dtype("u1"), "u64": np.dtype("<u8"), "i64": np.dtype("<i8")}
_HIDDEN = ("code", "launch")  # rows of a memory map that are not variables
NAMED = re.compile(r"\$(\w+)")  # $pc, $cycle, $r5 in expressions


class Variable(NamedTuple):
    """A variable of a class.  scalar: type of an element, "" if it is not a number; shape: () for a single one."""

    name: str
    address: int
    bytes: int
    type: str
    scalar: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes of an element."""
        return _SCALARS[self.scalar].itemsize if self.scalar else 1


def variables(image: ClassImage) -> dict[str, Variable]:
    """The variables of a class by name: those of its memory map, and exported symbols with other names."""
    found: dict[str, Variable] = {}
    for row in image.memory:
        if row.name not in _HIDDEN:
            found.setdefault(row.name, _variable(row.name, row.address, row.bytes, row.what))
    for name, published in {**image.symbols, **image.variables}.items():
        if name not in found and published.pointer is None:
            shape = f"[{published.count}]" if published.type and published.count > 1 else ""
            found[name] = _variable(name, published.address, published.bytes, shape + published.type)
    return found


def _variable(name: str, address: int, size: int, type: str) -> Variable:
    match = _TYPE.match(type)
    if match and match[2] in _SCALARS:
        shape = tuple(int(number) for number in re.findall(r"\d+", match[1]))
        if int(np.prod(shape, dtype=np.int64)) * _SCALARS[match[2]].itemsize == size:
            return Variable(name, address, size, type, match[2], shape)
    return Variable(name, address, size, type, "", (size,))


class Values:
    """The variables of one PE.  special: functions that return the values of $names, by name without the dollar."""

    def __init__(
        self, fabric: Fabric, image: ClassImage, x: int, y: int, special: Mapping[str, Callable[[], Any]] | None = None
    ):
        self.fabric, self.x, self.y = fabric, x, y
        self.variables = variables(image)
        self.special = dict(special or {})

    def find(self, name: str) -> Variable:
        """ConfigError if the PE has no such variable."""
        if name in self.variables:
            return self.variables[name]
        raise ConfigError(
            f"PE ({self.x}, {self.y}) has no variable {name!r}: {did_you_mean(name, self.variables, most=40)} "
            "(parameters and constants are part of the code, local variables are in registers)"
        )

    def bytes(self, variable: Variable) -> np.ndarray:
        """uint8 [bytes]."""
        return self.fabric.read_bytes(variable.address, variable.bytes, self.x, self.y, 1, 1)[0, 0]

    def read(self, variable: Variable) -> np.ndarray:
        """Its value, an array of its shape: 16-bit floats as float32, bool as bool, other types as bytes."""
        return self.decoded(variable, self.bytes(variable))

    def decoded(self, variable: Variable, raw: np.ndarray) -> np.ndarray:
        """The value that these bytes have in the type of the variable."""
        if not variable.scalar:
            return raw
        values = raw.view(_SCALARS[variable.scalar]).reshape(variable.shape)
        if variable.scalar in ("f16", "bf16", "cb16"):
            fmt = self.fabric.image.fp16 if variable.scalar == "f16" else variable.scalar
            return numerics.from_bits(values, fmt)
        return values.astype(bool) if variable.scalar == "bool" else values

    # Expressions.

    def evaluate(self, text: str) -> Any:
        """The value of an expression over variables: numbers, + - * / // %, comparisons, and, or, not, u[3], u[2:5]."""
        value = self._computed(_parsed(text), text)
        if isinstance(value, int) and value.bit_length() > _MOST_BITS:
            raise ConfigError(f"{text.strip()} has more than {_MOST_BITS:,} bits")
        return value

    def _computed(self, node: ast.AST, text: str) -> Any:
        """The value of a part of the expression `text`; ConfigError if it has none."""
        try:
            with np.errstate(all="ignore"):
                return self._value(node)
        except (ArithmeticError, IndexError, TypeError, ValueError, RecursionError, MemoryError) as error:
            raise ConfigError(f"{text.strip()[:80]}: {str(error) or type(error).__name__}") from None

    def names(self, text: str) -> list[Variable]:
        """The variables of an expression, in order."""
        nodes = [node for node in ast.walk(_parsed(text)) if isinstance(node, ast.Name)]
        return [self.find(name) for name in dict.fromkeys(n.id for n in nodes if not n.id.startswith(_DOLLAR))]

    def place(self, text: str) -> tuple[Variable, int, int]:
        """The memory of a variable, element or range: (variable, byte address, bytes).  ConfigError if it is none."""
        tree = _parsed(text)
        node, index = (tree.value, tree.slice) if isinstance(tree, ast.Subscript) else (tree, None)
        if not isinstance(node, ast.Name) or node.id.startswith(_DOLLAR):
            raise ConfigError(f"{text.strip()!r} is not a variable or an element, such as u or u[3]")
        variable = self.find(node.id)
        if index is None:
            return variable, variable.address, variable.bytes
        numbers = np.arange(int(np.prod(variable.shape, dtype=np.int64))).reshape(variable.shape)
        where = self._computed(index, text)
        try:
            chosen = np.ravel(numbers[where])
        except (IndexError, TypeError, ValueError) as error:
            raise ConfigError(f"{text.strip()}: {error}") from None
        if not chosen.size or (np.diff(chosen) != 1).any():
            raise ConfigError(f"{text.strip()} is not contiguous in memory")
        return variable, variable.address + int(chosen[0]) * variable.size, int(chosen.size) * variable.size

    def write(self, text: str, given: str) -> None:
        """Sets a variable or elements of one; ConfigError if the value does not fit its type."""
        variable, address, size = self.place(text)
        if not variable.scalar:
            raise ConfigError(f"{variable.name} is of type {variable.type}, which cannot be set")
        kind, count = _SCALARS[variable.scalar], size // variable.size
        value = np.asarray(self.evaluate(given))
        if value.dtype.kind not in "biuf" or value.size not in (1, count):
            raise ConfigError(f"{given.strip()} is not a value for {count} x {variable.scalar}")
        value = np.broadcast_to(value.reshape(-1), count)
        if variable.scalar in ("f16", "bf16", "cb16"):
            raw = numerics.to_bits(value, self.fabric.image.fp16 if variable.scalar == "f16" else variable.scalar)
        elif kind.kind == "f":
            raw = value.astype(kind)
        else:
            raw = value.astype(kind)
            if (value.dtype.kind == "f" and (value != np.floor(value)).any()) or (raw != value).any():
                raise ConfigError(f"{given.strip()} does not fit {variable.scalar}")
            if variable.scalar == "bool" and (value > 1).any():
                raise ConfigError(f"{given.strip()} is not true or false")
        memory = np.frombuffer(np.ascontiguousarray(raw, kind).tobytes(), np.uint8)
        self.fabric.write_bytes(address, memory.reshape(1, 1, -1), self.x, self.y)

    def _value(self, node: ast.AST) -> Any:
        match node:
            case ast.Constant(value=bool() | int() | float()):
                return node.value
            case ast.Name(id=name) if name.startswith(_DOLLAR):
                name = name.removeprefix(_DOLLAR)
                if name not in self.special:
                    raise ConfigError(f"there is no ${name}: {did_you_mean(name, self.special, most=8)}")
                return self.special[name]()
            case ast.Name(id="true" | "false" as name) if name not in self.variables:
                return name == "true"
            case ast.Name(id=name):
                value = self.read(self.find(name))
                return value[()] if not value.shape else value
            case ast.Subscript(value=value, slice=index):
                return self._value(value)[self._value(index)]
            case ast.Slice(lower=low, upper=high, step=step):
                return slice(*(None if part is None else int(self._value(part)) for part in (low, high, step)))
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                values = [self._value(part) for part in parts]
                return tuple(values) if isinstance(node, ast.Tuple) else values
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                return _BINARY[type(op)](_plain(self._value(left)), _plain(self._value(right)))
            case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
                return _UNARY[type(op)](_plain(self._value(operand)))
            case ast.BoolOp(op=op, values=parts):
                results = (bool(np.all(self._value(part))) for part in parts)
                return all(results) if isinstance(op, ast.And) else any(results)
            case ast.Compare(left=left, ops=ops, comparators=others) if all(type(op) in _COMPARE for op in ops):
                values = [_plain(self._value(part)) for part in (left, *others)]
                pairs = zip(values, ops, values[1:], strict=False)
                return bool(np.all([np.all(_COMPARE[type(op)](a, b)) for a, op, b in pairs]))
        raise ConfigError(_GRAMMAR)


_DOLLAR = "dollar__"
_GRAMMAR = "an expression has variables, numbers, + - * / // % & | ^ << >>, comparisons, and, or, not"
_MOST_BITS = 10_000  # of an integer, so that it can be computed and printed at once


def _left(value: Any, by: Any) -> Any:
    if isinstance(by, int) and by > _MOST_BITS:
        raise ValueError(f"a shift is by at most {_MOST_BITS:,} bits")
    return operator.lshift(value, by)


_BINARY = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.BitAnd: operator.and_, ast.BitOr: operator.or_,
    ast.BitXor: operator.xor, ast.LShift: _left, ast.RShift: operator.rshift,
}  # fmt: skip
_UNARY: dict[type, Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
    ast.Invert: operator.invert,
}
_COMPARE = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}  # fmt: skip


def _plain(value: Any) -> Any:
    """A NumPy scalar as a Python number, which does not wrap around."""
    return value.item() if isinstance(value, np.generic) else value


def _parsed(text: str) -> ast.expr:
    words = NAMED.sub(lambda match: _DOLLAR + match[1], text.strip())
    try:
        return ast.parse(words, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ConfigError(f"{text.strip()!r} is not an expression") from None


def check(text: str, names: Iterable[str], special: Iterable[str]) -> None:
    """ConfigError unless `text` is an expression over variables with these names, and these $names."""
    names, special = set(names), set(special)
    for node in ast.walk(_parsed(text)):
        match node:
            case ast.Name(id=name) if name.startswith(_DOLLAR):
                name = name.removeprefix(_DOLLAR)
                if name not in special:
                    raise ConfigError(f"there is no ${name}: {did_you_mean(name, special, most=8)}")
            case ast.Name(id=name):
                if name not in names and name not in ("true", "false"):
                    raise ConfigError(f"there is no variable {name!r}: {did_you_mean(name, names, most=40)}")
            case ast.Constant(value=value):
                if not isinstance(value, bool | int | float):
                    raise ConfigError(_GRAMMAR)
            case ast.expr() | ast.operator() | ast.unaryop() | ast.cmpop():
                if not isinstance(node, _NODES) and type(node) not in _OPERATORS:
                    raise ConfigError(_GRAMMAR)


_OPERATORS: set[type] = {*_BINARY, *_UNARY, *_COMPARE}
_NODES = (ast.Subscript, ast.Slice, ast.Tuple, ast.List, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare)


def shown(value: Any, is_bytes: bool = False) -> str:
    """A value as text: the shortest digits that identify a number, arrays in lines of at most 100 characters."""
    if isinstance(value, np.ndarray) and is_bytes:
        return " ".join(f"{byte:02x}" for byte in value.tolist())
    if isinstance(value, np.ndarray) and value.shape:
        with np.printoptions(legacy=False):
            return np.array2string(value, max_line_width=100, threshold=200, separator=", ")
    if isinstance(value, np.ndarray):
        value = value[()]
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, np.floating) and 1e-4 <= abs(value) < 1e8:
        return np.format_float_positional(value, trim="0")
    return str(value)


def word(value: int) -> str:
    """32 bits as an integer and in hexadecimal digits."""
    signed = value - (value >> 31 << 32)
    return f"0x{value:08x}  {signed:,}" if signed < 0 else f"0x{value:08x}  {value:,}"
