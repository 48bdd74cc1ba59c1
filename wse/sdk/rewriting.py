"""The code of a host program with its operators and calls replaced by those of wse.sdk.promotion."""

from __future__ import annotations

import ast
from typing import Any

from .promotion import OPERATORS

NAME = "__wse_promotion__"  # of wse.sdk.promotion in a rewritten program
# A frame sees these calls: they stay as they are written.
_OF_FRAMES = {"super", "locals", "vars", "globals", "dir", "eval", "exec"}


# Functions of Python that compute nothing with two numbers.
_PLAIN = {
    "abs", "all", "any", "bool", "bytes", "chr", "dict", "enumerate", "filter", "float", "format", "getattr", "hasattr",
    "hex", "id", "input", "int", "isinstance", "issubclass", "iter", "len", "list", "map", "max", "min", "next", "open",
    "ord", "print", "range", "repr", "reversed", "round", "set", "slice", "sorted", "str", "tuple", "type", "zip",
}  # fmt: skip


class _Rewriter(ast.NodeTransformer):
    def __init__(self) -> None:
        self.classes: list[str] = []  # that enclose the node, for the names of private attributes
        self.in_class_body = False

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.decorator_list = [self.visit(part) for part in node.decorator_list]
        node.bases, node.keywords = [self.visit(part) for part in node.bases], [self.visit(k) for k in node.keywords]
        self.classes.append(node.name)
        before, self.in_class_body = self.in_class_body, True
        node.body = [part for statement in node.body for part in _as_list(self.visit(statement))]
        self.in_class_body = before
        self.classes.pop()
        return node

    def visit_FunctionDef(self, node: Any) -> ast.AST:
        before, self.in_class_body = self.in_class_body, False
        self.generic_visit(node)
        self.in_class_body = before
        return node

    visit_AsyncFunctionDef = visit_FunctionDef
    visit_Lambda = visit_FunctionDef

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        name = type(node.op).__name__
        return _operation(node, name, node.left, node.right) if name in OPERATORS else node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        names = [type(op).__name__ for op in node.ops]
        if not OPERATORS.intersection(names):
            return node
        if len(names) == 1:
            return _operation(node, names[0], node.left, node.comparators[0])
        if OPERATORS.issuperset(names) and all(isinstance(n, ast.Name | ast.Constant) for n in node.comparators[:-1]):
            left = [node.left, *node.comparators[:-1]]  # those in the middle may be evaluated twice
            parts = [_operation(node, *part) for part in zip(names, left, node.comparators, strict=True)]
            return ast.copy_location(ast.BoolOp(ast.And(), parts), node)
        if any(_holds(part, self.in_class_body) for part in node.comparators):
            return node  # it cannot stand in a function of its own
        later = [ast.copy_location(ast.Lambda(_NO_ARGUMENTS, part), part) for part in node.comparators]
        operators = ast.Tuple([ast.Constant(name) for name in names], ast.Load())
        return _call(node, "chain", operators, node.left, *later)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        name = getattr(node.func, "id", "")
        if isinstance(node.func, ast.Name | ast.Attribute) and name not in _OF_FRAMES and name not in _PLAIN:
            node.func = _call(node.func, "called", node.func)
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        self.generic_visit(node)
        if len(node.targets) != 1 or not isinstance(node.targets[0], ast.Subscript):
            return node
        target = node.targets[0]
        stored = _call(node, "assign_item", node.value, target.value, _index(target.slice))
        return ast.fix_missing_locations(ast.copy_location(ast.Expr(stored), node))

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        self.generic_visit(node)
        name, target = type(node.op).__name__, node.target
        if name not in OPERATORS:
            return node
        if isinstance(target, ast.Name):
            old = ast.copy_location(ast.Name(target.id, ast.Load()), target)
            value = _call(node, "apply_in_place", ast.Constant(name), old, node.value)
            return ast.copy_location(ast.Assign([target], value), node)
        if isinstance(target, ast.Attribute):
            kind, old = "attribute", _call(target, "load_attribute", target.value, self._constant(target.attr))
        else:
            kind, old = "item", _call(target, "load_item", target.value, _index(target.slice))
        loaded = ast.Starred(old, ast.Load())
        stored = _call(node, f"store_{kind}", ast.Constant(name), loaded, node.value)
        return ast.fix_missing_locations(ast.copy_location(ast.Expr(stored), node))

    def _constant(self, name: str) -> ast.expr:
        """An attribute's name, as Python compiles it within a class."""
        if self.classes and name.startswith("__") and not name.endswith("__"):
            owner = self.classes[-1].lstrip("_")
            name = f"_{owner}{name}" if owner else name
        return ast.Constant(name)


_NO_ARGUMENTS = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])


def _as_list(made: Any) -> list[Any]:
    return made if isinstance(made, list) else [] if made is None else [made]


def _holds(node: ast.AST, in_class_body: bool) -> bool:
    """Whether an expression depends on the function it stands in."""
    bound = (ast.Yield, ast.YieldFrom, ast.Await, ast.NamedExpr)
    return any(isinstance(part, bound) or (in_class_body and isinstance(part, ast.Name)) for part in ast.walk(node))


def _index(node: ast.expr) -> ast.expr:
    """A subscript as a value: `1:2` as slice(1, 2, None)."""
    if isinstance(node, ast.Slice):
        parts = [part or ast.Constant(None) for part in (node.lower, node.upper, node.step)]
        made: ast.expr = ast.Call(ast.Attribute(ast.Name(NAME, ast.Load()), "slice", ast.Load()), parts, [])
        return ast.copy_location(made, node)
    if isinstance(node, ast.Tuple):
        return ast.copy_location(ast.Tuple([_index(part) for part in node.elts], ast.Load()), node)
    return node


def _call(node: ast.AST, function: str, *arguments: ast.expr) -> Any:
    made = ast.Call(ast.Attribute(ast.Name(NAME, ast.Load()), function, ast.Load()), list(arguments), [])
    return ast.fix_missing_locations(ast.copy_location(made, node))


def _operation(node: ast.AST, name: str, left: ast.expr, right: ast.expr) -> Any:
    """A call of the operator's own function."""
    return _call(node, f"do_{name}", left, right)


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
