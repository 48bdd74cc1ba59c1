"""Tokens to types and expressions: the lower half of the parser, and how it looks at tokens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from . import ast, habits
from .errors import CslError, Findings, Source, Span
from .lexer import TYPE_WORDS, Token, tokenize

JUMPS = ("return", "break", "continue")
ITEM_KINDS = ("ident", "builtin", "int", "float", "string", "char")  # of tokens that begin an item of a list
MAX_DEPTH = 200  # nested expressions, types and blocks

PRECEDENCE = {
    **dict.fromkeys(["or", "orelse"], 1),
    "and": 2,
    **dict.fromkeys(["==", "!=", "<", ">", "<=", ">="], 3),
    **dict.fromkeys(["&", "^", "|"], 4),
    **dict.fromkeys(["<<", ">>"], 5),
    **dict.fromkeys(["+", "-", "++"], 6),
    **dict.fromkeys(["*", "/", "%"], 7),
}


OPENING, CLOSING = ("(", "[", "{", ".{"), (")", "]", "}")
STATEMENT_WORDS = ("return", "var", "const", "while", "for", "break", "continue", "inline")
NAMES_TYPE = (ast.Ident, ast.Member, ast.Call, ast.BuiltinCall, ast.StructType)  # before the fields of a literal


class Failed(Exception):
    """The production cannot be finished; the finding is recorded."""


class Expressions:
    """Parses types and expressions; `block` and `switch` are those of the whole parser."""

    def __init__(self, source: Source, findings: Findings):
        self.source = source
        self.findings = findings
        self.tokens = tokenize(source, findings)
        self.at = 0
        self.token = self.tokens[0]
        self.depth = 0
        self.unclosed_at = -1  # where a block was found to have no end
        self.labels: dict[str, Span] = {}  # of the loops and blocks that enclose this place

    # ---- tokens ----

    def advance(self) -> Token:
        token = self.token
        if token.kind != "end":
            self.at += 1
            self.token = self.tokens[self.at]
        return token

    def peek(self, ahead: int = 1) -> Token:
        return self.tokens[min(self.at + ahead, len(self.tokens) - 1)]

    def on(self, text: str) -> bool:
        """Whether the next token is this operator or keyword."""
        return self.token.text == text and self.token.kind in ("op", "keyword")

    def doubled(self) -> bool:
        """Whether the same operator stands directly before the next one."""
        before = self.tokens[max(self.at - 1, 0)]
        return before.text == self.token.text and before.end == self.token.start

    def take(self, text: str) -> bool:
        """Consumes the operator or keyword if it is next."""
        if self.token.text == text and self.token.kind in ("op", "keyword"):
            self.advance()
            return True
        return False

    def expect(self, text: str, where: str) -> Token:
        if not self.on(text):
            if text in (";", ")", "]", "}") and self.at:  # the place is behind what came before
                end = self.tokens[self.at - 1].end
                self.fail(f"{text!r} was expected {where}, not {self.token}", Span(self.source, end - 1, end))
            self.fail(f"{text!r} was expected {where}, not {self.token}")
        return self.advance()

    def name(self, what: str) -> Token:
        if self.token.kind != "ident" and not (self.token.kind == "keyword" and self.token.text in TYPE_WORDS):
            hint = " (a reserved word)" if self.token.kind == "keyword" else ""
            self.fail(f"the name of {what} was expected, not {self.token}{hint}")
        return self.advance()

    def fail(self, message: str, span: Span | None = None) -> NoReturn:
        token = self.token
        if token.kind == "end" and self.at:  # the place is behind what came before
            token = self.tokens[self.at - 1]
            span = span or Span(self.source, token.end - 1, token.end)
        message += habits.hint(self.tokens, self.at)
        self.findings.add(CslError.at(span or Span(self.source, token.start, token.end), message))
        raise Failed

    def span(self, first: Token | ast.Node) -> Span:
        """From a token or node to the last token consumed."""
        start = first.start if isinstance(first, Token) else first.span.start
        return Span(self.source, start, max(start, self.tokens[self.at - 1].end if self.at else 0))

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail(f"this is nested more than {MAX_DEPTH} deep")

    @contextmanager
    def labelled(self, label: Token) -> Iterator[None]:
        """The loop or block of a label: no other inside of it has the same one."""
        span = Span(self.source, label.start, label.end)
        known = self.labels.get(label.text)
        if known is not None:
            message = f"label {label.text} is that of a loop or block around this already"
            self.findings.add(CslError.at(span, message, (known, "first defined here")))
            yield
            return
        self.labels[label.text] = span
        try:
            yield
        finally:
            del self.labels[label.text]

    def block(self, where: str) -> ast.Block:
        raise NotImplementedError

    def switch(self) -> ast.Switch:
        raise NotImplementedError

    def jump(self) -> ast.Node:
        raise NotImplementedError

    def in_parentheses(self, where: str) -> ast.Node:
        self.expect("(", where)
        node = self.expr()
        if self.on("="):
            self.fail("an expression was expected, not an assignment: == compares")
        self.expect(")", "behind the expression in parentheses")
        return node

    # ---- types ----

    def type(self) -> ast.Node:
        self.deeper()
        try:
            return self._type()
        finally:
            self.depth -= 1

    def _type(self) -> ast.Node:
        first = self.token
        if self.take("?"):
            elem = self.type()
            return ast.OptionalType(self.span(first), elem)
        if self.take("*"):
            const = self.take("const")
            elem = self.type()
            return ast.PointerType(self.span(first), elem, False, const)
        if self.take("["):
            if self.on("*") and self.peek().text == "]":
                self.advance()
                self.advance()
                const = self.take("const")
                elem = self.type()
                return ast.PointerType(self.span(first), elem, True, const)
            dims = self.list_of(self.expr, "]")
            if not dims:
                self.fail("the length of the array was expected")
            self.expect("]", "behind the lengths of an array type")
            elem = self.type()
            return ast.ArrayType(self.span(first), dims, elem)
        if self.on("fn") or self.on("task"):
            kind = self.advance().text
            self.expect("(", f"after {kind} in a type")
            params = self.list_of(self.parameter_type, ")")
            self.expect(")", "behind the parameter types")
            result = self.type()
            return ast.FnType(self.span(first), kind, params, result)
        if self.on("enum"):
            return self.enum()
        if self.on_struct():
            return self.struct()
        if self.take("("):
            inner = self.expr()
            self.expect(")", "behind the expression in parentheses")
            return inner
        if self.token.kind == "builtin":
            return self.builtin()
        if self.token.kind == "ident" or self.token.text in TYPE_WORDS:
            token = self.advance()
            node: ast.Node = ast.Ident(self.span(token), token.text)
            while True:
                if self.on(".") and self.peek().kind in ("ident", "keyword"):
                    self.advance()
                    member = self.advance()
                    node = ast.Member(self.span(first), node, member.text)
                elif self.take("("):
                    args = self.list_of(self.expr, ")")
                    self.expect(")", "behind the arguments")
                    node = ast.Call(self.span(first), node, args)
                else:
                    return node
        self.fail(f"a type was expected, not {self.token}")
        raise AssertionError

    def parameter_type(self) -> ast.Node:
        """A type in a function type, which may be preceded by the parameter's name."""
        if self.token.kind == "ident" and self.peek().text == ":":
            self.advance()
            self.advance()
        return self.type()

    def enum(self) -> ast.Node:
        first = self.advance()
        tag = None
        if self.take("("):
            tag = self.type()
            self.expect(")", "behind the type of the enum")
        self.expect("{", "before the members of the enum")
        members: list[tuple[str, ast.Node | None, Span]] = []
        while not self.on("}"):
            name = self.name("the member")
            value = self.expr() if self.take("=") else None
            members.append((name.text, value, Span(self.source, name.start, name.end)))
            if not self.comma("}"):
                break
        self.expect("}", "behind the members of the enum")
        return ast.EnumType(self.span(first), tag, members)

    def on_struct(self) -> bool:
        """Whether a struct or union type follows."""
        if self.token.kind != "keyword":
            return False
        word = self.peek().text if self.token.text in ("packed", "extern") else self.token.text
        return word in ("struct", "union")

    def struct(self) -> ast.Node:
        first = self.token
        layout = self.advance().text if first.text in ("packed", "extern") else ""
        word = self.advance().text
        self.expect("{", f"before the fields of the {word}")
        fields: list[tuple[str, ast.Node, ast.Node | None, Span]] = []
        while not self.on("}"):
            if self.token.kind not in ("ident", "keyword"):
                self.fail(f"the name of the field was expected, not {self.token}")
            name = self.advance()
            self.expect(":", f"after field {name.text}")
            kind = self.type()
            default = self.expr() if self.take("=") else None
            fields.append((name.text, kind, default, Span(self.source, name.start, name.end)))
            if not self.comma("}"):
                break
        self.expect("}", f"behind the fields of the {word}")
        return ast.StructType(self.span(first), fields, layout, word == "union")

    def list_of(self, item, end: str) -> list:
        """Items with commas between, and perhaps one behind, up to `end`, which stays."""
        items = []
        while not self.on(end) and self.token.kind != "end":
            items.append(item())
            if not self.comma(end):
                break
        return items

    def comma(self, end: str) -> bool:
        """Takes the comma behind an item of a list up to `end`; False if there is none.  An error if another item
        follows without one, or a semicolon."""
        if self.take(","):
            return True
        if self.token.kind in ITEM_KINDS or self.token.text in (".", ".{") or (self.on(";") and end == "}"):
            self.fail(f"',' or {end!r} was expected, not {self.token}")
        if self.on("=") and end == "}":  # .a = b .c = d: the value of a is b.c
            self.fail("',' was expected before the field whose value this is")
        return False

    # ---- expressions ----

    def expr(self, least: int = 1) -> ast.Node:
        """Binary operators of at least this precedence, all left-associative."""
        self.deeper()
        left = self.unary()
        while True:
            token = self.token
            level = PRECEDENCE.get(token.text) if token.kind in ("op", "keyword") else None
            if level is None or level < least:
                break
            self.advance()
            right = self.branch(level + 1) if token.text == "orelse" else self.expr(level + 1)
            left = ast.Binary(self.span(left), token.text, left, right)
        self.depth -= 1
        return left

    def unary(self) -> ast.Node:
        self.deeper()
        try:
            return self._unary()
        finally:
            self.depth -= 1

    def _unary(self) -> ast.Node:
        first = self.token
        if first.kind == "op":
            if first.text in ("-", "!", "~", "&"):
                if first.text == "&" and self.doubled():
                    self.fail("an expression was expected, not '&'")
                self.advance()
                operand = self.unary()
                return ast.Unary(self.span(first), first.text, operand)
            if first.text in ("*", "?"):  # the type of a pointer, of an optional
                return self.type()
        elif first.kind == "keyword":
            if first.text == "comptime":
                self.advance()
                value = self.unary()
                return ast.ComptimeExpr(self.span(first), value)
            if first.text == "if":
                self.advance()
                condition = self.in_parentheses("after if")
                capture = None if self.tensor_access_follows() else self.capture()
                then = self.branch()
                other = self.branch() if self.take("else") else None
                return ast.IfExpr(self.span(first), condition, then, other, capture)
            if first.text == "switch":
                return self.switch()
            if first.text in JUMPS:
                return self.jump()
        return self.postfix()

    def branch(self, least: int = 1) -> ast.Node:
        """An expression, or a block, which ends with a jump or has no value."""
        if self.on("{") and self.peek().text != "}":
            return self.block("")
        return self.expr(least)

    def tensor_access_follows(self) -> bool:
        """Whether `|` opens a tensor access, and not a captured name: the extents follow."""
        return self.on("|") and not (
            self.peek(2).text == "|" and (self.peek(3).text != "{" or self.peek(4).text == "}")
        )

    def capture(self) -> str | None:
        """The name in |name|, if that follows a condition."""
        if not self.take("|"):
            return None
        name = self.name("the captured value").text
        self.expect("|", "behind the captured value")
        return name

    def postfix(self) -> ast.Node:
        first = self.token
        node = self.primary()
        while self.token.kind == "op":
            match self.token.text:
                case "(":
                    self.advance()
                    args = self.list_of(self.expr, ")")
                    self.expect(")", "behind the arguments")
                    node = ast.Call(self.span(first), node, args)
                case "[":
                    self.advance()
                    indices = self.list_of(self.expr, "]")
                    if not indices:
                        self.fail("an index was expected")
                    self.expect("]", "behind the index")
                    node = ast.Index(self.span(first), node, indices)
                case ".":
                    self.advance()
                    if self.token.kind not in ("ident", "keyword"):
                        self.fail(f"the name of a member was expected after '.', not {self.token}")
                    name = self.advance()
                    node = ast.Member(self.span(first), node, name.text)
                case ".*":
                    self.advance()
                    node = ast.Deref(self.span(first), node)
                case ".?":
                    self.advance()
                    node = ast.Unwrap(self.span(first), node)
                case "{" if isinstance(node, NAMES_TYPE) and self.struct_follows():
                    self.advance()
                    items = self.list_of(self.field, "}")
                    self.expect("}", "behind the fields")
                    node = ast.StructLit(self.span(first), node, items)
                case "{" if isinstance(node, NAMES_TYPE) and self.values_follow():
                    self.advance()
                    values = self.list_of(self.expr, "}")
                    self.expect("}", "behind the elements")
                    node = ast.ArrayLit(self.span(first), node, values)
                case _:
                    return node
        return node

    def values_follow(self) -> bool:
        """Whether `{` opens a list of values, not a block: neither a statement's keyword nor `;` on its own level."""
        depth = 0
        for ahead, token in enumerate(self.tokens[self.at :]):
            if token.kind == "end" or (ahead == 1 and token.text in STATEMENT_WORDS):
                return False
            if token.kind == "op":
                depth += token.text in OPENING
                depth -= token.text in CLOSING
                if depth == 0:
                    return True
                if depth == 1 and token.text == ";":
                    return False
        return False

    def struct_follows(self) -> bool:
        """Whether `{` opens a literal: `{ .name =`."""
        return self.peek().text == "." and self.peek(2).kind in ("ident", "keyword") and self.peek(3).text == "="

    def field(self) -> ast.Field:
        first = self.token
        if first.text == "." and self.peek().kind in ("ident", "keyword") and self.peek(2).text == "=":
            self.advance()
            name = self.advance().text
            self.advance()
            value = self.expr()
            return ast.Field(self.span(first), name, value)
        value = self.expr()
        return ast.Field(self.span(first), None, value)

    def builtin(self) -> ast.Node:
        token = self.advance()
        self.expect("(", f"after {token.text}")
        args = self.list_of(self.expr, ")")
        self.expect(")", f"behind the arguments of {token.text}")
        return ast.BuiltinCall(self.span(token), token.text, args)

    def primary(self) -> ast.Node:
        token = self.token
        kind, text = token.kind, token.text
        if kind == "ident" and self.peek().text == ":" and self.peek(2).text == "{":
            self.advance()
            self.advance()
            with self.labelled(token):
                return ast.BlockExpr(self.span(token), text, self.block("as a labelled block"))
        if kind == "ident" or (kind == "keyword" and text in TYPE_WORDS):
            self.advance()
            return ast.Ident(self.span(token), text)
        if kind == "builtin":
            return self.builtin()
        if kind in ("int", "float", "string", "char"):
            self.advance()
            return ast.Literal(self.span(token), "int" if kind == "char" else kind, token.value)
        if kind == "op":
            return self.primary_op(token)
        if kind == "keyword":
            match text:
                case "true" | "false":
                    self.advance()
                    return ast.Literal(self.span(token), "bool", text == "true")
                case "undefined" | "null":
                    self.advance()
                    return ast.Literal(self.span(token), text, None)
                case "unreachable":
                    self.advance()
                    return ast.BuiltinCall(self.span(token), "@unreachable", [])
                case "fn" | "task" | "enum" | "struct" | "union":
                    return self.type()
                case "packed" | "extern" if self.on_struct():
                    return self.type()
        self.fail(f"an expression was expected, not {token}")
        raise AssertionError

    def primary_op(self, token: Token) -> ast.Node:
        match token.text:
            case "(":
                self.advance()
                node = self.expr()
                self.expect(")", "behind the expression in parentheses")
                return node
            case ".{":
                self.advance()
                items = self.list_of(self.field, "}")
                self.expect("}", "behind the fields")
                return ast.StructLit(self.span(token), None, items)
            case ".":
                self.advance()
                if self.token.kind not in ("ident", "keyword"):
                    self.fail(f"a name was expected after '.', not {self.token}")
                name = self.advance().text
                return ast.DotName(self.span(token), name)
            case "|" if not self.doubled():
                return self.tensor_access()
            case "{":
                if self.peek().text == "}":
                    self.advance()
                    self.advance()
                    return ast.Literal(self.span(token), "void", None)
                self.fail(
                    "an expression was expected, not a block: an array is [3]i16{ 1, 2, 3 }, a struct .{ .x = 1 }"
                )
            case "[":
                if self.peek().text == "_" and self.peek(2).text == "]":
                    self.advance()
                    self.fail("the number of elements was expected, as in [3]i16{ 1, 2, 3 }, not '_'")
                kind = self.type()
                if self.on("{") and isinstance(kind, ast.ArrayType):
                    self.advance()
                    items = self.list_of(self.expr, "}")
                    self.expect("}", "behind the elements")
                    return ast.ArrayLit(self.span(token), kind, items)
                return kind
        self.fail(f"an expression was expected, not {token}")
        raise AssertionError

    def tensor_access(self) -> ast.Node:
        first = self.advance()
        names = [self.name("the index").text]
        while self.take(","):
            names.append(self.name("the index").text)
        self.expect("|", "behind the indices of a tensor access")
        self.expect("{", "before the extents of a tensor access")
        bounds = self.list_of(self.expr, "}")
        self.expect("}", "behind the extents of a tensor access")
        self.expect("->", "before the element of a tensor access")
        body = self.expr()
        return ast.TensorAccess(self.span(first), names, bounds, body)
