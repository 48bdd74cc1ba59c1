"""NumPy 1's promotion of scalars, for host programs.

The SDK's Python has NumPy 1, where `np.uint16(5) + (np.uint16(2) << 16)` is 131077; NumPy 2 keeps the type of the NumPy
scalar and gives 5.  `rewrite` replaces binary operators and comparisons in the source of a host program by calls of
`binary` and `compare`, which choose the type of the result as NumPy 1 does (before NEP 50).
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

NAME = "__wse_promotion__"  # of this module in a rewritten program
_OPERATORS: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow, ast.LShift: operator.lshift,
    ast.RShift: operator.rshift, ast.BitAnd: operator.and_, ast.BitOr: operator.or_, ast.BitXor: operator.xor,
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}  # fmt: skip
_BY_NAME = {kind.__name__: function for kind, function in _OPERATORS.items()}
_OF_INTEGERS = ("LShift", "RShift", "BitAnd", "BitOr", "BitXor")
_CATEGORY = {"b": 0, "i": 1, "u": 1, "f": 2, "c": 2}


def apply(name: str, a: Any, b: Any) -> Any:
    """a OPERATOR b with the promotion of NumPy 1; without NumPy's numbers as Python does it."""
    function = _BY_NAME[name]
    if isinstance(a, np.generic | np.ndarray) or isinstance(b, np.generic | np.ndarray):
        kind = result_type(a, b)
        if kind is not None and not (name in _OF_INTEGERS and kind.kind not in "biu"):
            a, b = _as(a, kind), _as(b, kind)
    return function(a, b)


def apply_in_place(name: str, a: Any, b: Any) -> Any:
    """The new value of a after `a OPERATOR= b`: arrays keep their type and are changed in place."""
    if isinstance(a, np.generic):
        return apply(name, a, b)
    return getattr(operator, "i" + _BY_NAME[name].__name__.strip("_"))(a, b)


def result_type(a: Any, b: Any) -> np.dtype | None:
    """The type in which NumPy 1 computes; None where both operands are arrays, or one is no number."""
    kinds = _dtype(a), _dtype(b)
    if kinds[0] is None or kinds[1] is None:
        return None
    scalar = _is_scalar(a), _is_scalar(b)
    if scalar[0] == scalar[1]:
        return np.promote_types(kinds[0], kinds[1]) if scalar[0] else None
    array, value = (kinds[1], a) if scalar[0] else (kinds[0], b)
    own = kinds[0] if scalar[0] else kinds[1]
    if _CATEGORY[own.kind] > _CATEGORY[array.kind]:
        return np.promote_types(array, own)
    number = value[()] if isinstance(value, np.ndarray) else value
    least = np.min_scalar_type(number)
    if least.kind == "u" and array.kind == "i":
        least = np.min_scalar_type(-int(number) - 1)  # the signed type that holds it
        if least.kind == "O":
            least = own
    return np.promote_types(array, least)


def _is_scalar(value: Any) -> bool:
    return not isinstance(value, np.ndarray) or value.ndim == 0


def _dtype(value: Any) -> np.dtype | None:
    """The type that NumPy 1 gives a number; None if it is none."""
    if isinstance(value, np.generic | np.ndarray):
        return value.dtype if value.dtype.kind in _CATEGORY else None
    if isinstance(value, bool):
        return np.dtype(bool)
    if isinstance(value, int):
        if -(1 << 63) <= value < 1 << 64:
            return np.dtype(np.int64 if value < 1 << 63 else np.uint64)
        return None
    return np.dtype(type(value)) if isinstance(value, float | complex) else None


def _as(value: Any, kind: np.dtype) -> Any:
    if isinstance(value, np.ndarray) and value.ndim:
        return value if value.dtype == kind else value.astype(kind)
    return kind.type(value[()] if isinstance(value, np.ndarray) else value)


class _Rewriter(ast.NodeTransformer):
    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        return self._call("apply", node, node.op, node.left, node.right)

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        if len(node.ops) > 1:  # a chain evaluates its middle operands once
            return node
        return self._call("apply", node, node.ops[0], node.left, node.comparators[0])

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        self.generic_visit(node)
        if type(node.op) not in _OPERATORS or not isinstance(node.target, ast.Name):
            return node  # elements and attributes of arrays keep their type
        old = ast.copy_location(ast.Name(node.target.id, ast.Load()), node.target)
        value = self._call("apply_in_place", node, node.op, old, node.value)
        return ast.copy_location(ast.Assign([node.target], value), node)

    def _call(self, name: str, node: ast.AST, op: ast.AST, left: ast.expr, right: ast.expr) -> Any:
        if type(op) not in _OPERATORS:
            return node
        function = ast.Attribute(ast.Name(NAME, ast.Load()), name, ast.Load())
        made = ast.Call(function, [ast.Constant(type(op).__name__), left, right], [])
        return ast.fix_missing_locations(ast.copy_location(made, node))


def rewrite(source: str | bytes, path: str) -> Any:
    """The code of a program with NumPy 1's promotion.  SyntaxError as of `compile`."""
    tree = _Rewriter().visit(ast.parse(source, path))
    at = 0
    body = tree.body
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        at = 1  # the docstring
    while at < len(body) and isinstance(body[at], ast.ImportFrom) and body[at].module == "__future__":
        at += 1
    bring = ast.Import([ast.alias("wse.sdk.promotion", NAME)])
    body.insert(at, bring)
    bring.lineno, bring.col_offset = 1, 0
    return compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)
