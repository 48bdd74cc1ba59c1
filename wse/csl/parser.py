"""Tokens to a syntax tree: recursive descent with three tokens of look-ahead, no tables.

A method has the name of its production (docs/csl.md lists the grammar) and consumes it entirely.  What is wrong is
recorded with what was expected there; then the parser goes on after the statement or declaration, so that one run
shows several errors.
"""

from __future__ import annotations

from . import ast
from .errors import CslError, Findings, Source, Span
from .lexer import TYPE_WORDS, Token, tokenize

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
ASSIGN = frozenset(["=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="])
BEGINS_DECL = frozenset(["const", "var", "param", "fn", "task", "comptime", "layout", "export", "extern", "inline"])
ONLY_AT_TOP = frozenset(["param", "fn", "task", "layout", "export", "extern"])


class _Failed(Exception):
    """The production cannot be finished; the finding is recorded."""


def parse(source: Source, findings: Findings | None = None) -> ast.File:
    """The tree of a text.  Findings go to `findings`; without it all of them are raised together."""
    found = Findings() if findings is None else findings
    file = Parser(source, found).file()
    if findings is None:
        found.check()
    return file


class Parser:
    def __init__(self, source: Source, findings: Findings):
        self.source = source
        self.findings = findings
        self.tokens = tokenize(source, findings)
        self.at = 0
        self.token = self.tokens[0]
        self.depth = 0

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

    def fail(self, message: str, span: Span | None = None) -> None:
        token = self.token
        if token.kind == "end" and self.at:  # the place is behind what came before
            token = self.tokens[self.at - 1]
            span = span or Span(self.source, token.end - 1, token.end)
        self.findings.add(CslError.at(span or Span(self.source, token.start, token.end), message))
        raise _Failed

    def span(self, first: Token | ast.Node) -> Span:
        """From a token or node to the last token consumed."""
        start = first.start if isinstance(first, Token) else first.span.start
        return Span(self.source, start, max(start, self.tokens[self.at - 1].end if self.at else 0))

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail(f"this is nested more than {MAX_DEPTH} deep")

    # ---- declarations ----

    def file(self) -> ast.File:
        file = ast.File(self.source)
        while self.token.kind != "end":
            self.depth = 0
            before = self.at
            try:
                self.declaration(file)
            except _Failed:
                self.skip_to_declaration(before)
        return file

    def skip_to_declaration(self, before: int) -> None:
        if self.at == before:
            self.advance()
        while self.token.kind != "end":
            token = self.token
            if token.kind == "keyword" and token.text in BEGINS_DECL and self.starts_line(token):
                return
            self.advance()

    def starts_line(self, token: Token) -> bool:
        """At the left margin, or right behind what ends a declaration."""
        previous = self.tokens[self.at - 1].text if self.at else ";"
        return self.source.place(token.start)[1] == 1 or (previous in (";", "}") and token.text in ONLY_AT_TOP)

    def declaration(self, file: ast.File) -> None:
        first = self.token
        if self.take("layout"):
            file.layouts.append(self.block("after layout"))
            return
        if self.on("comptime") and self.peek().text == "{":
            self.advance()
            file.comptimes.append(self.block("after comptime"))
            return
        modifiers: set[str] = set()
        while self.token.text in ("export", "extern", "inline", "comptime") and self.token.kind == "keyword":
            modifiers.add(self.advance().text)
        if self.on("fn") or self.on("task"):
            decl: ast.VarDecl | ast.FnDecl = self.function(first, modifiers)
        elif self.on("const") or self.on("var") or self.on("param"):
            decl = self.variable(first, modifiers)
        else:
            self.fail(
                f"a declaration was expected (const, var, param, fn, task, comptime, layout, export), not {self.token}"
            )
        known = file.decls.get(decl.name)
        if known is not None and decl.name != "_":
            self.findings.add(
                CslError.at(decl.name_span, f"{decl.name} is declared twice", (known.name_span, "first declared here"))
            )
        file.decls.setdefault(decl.name, decl)

    def variable(self, first: Token, modifiers: set[str]) -> ast.VarDecl:
        kind = self.advance().text
        name = self.name(f"the {kind}" if kind != "const" else "the constant")
        decl = ast.VarDecl(
            *(Span(self.source, first.start, name.end), kind, name.text, Span(self.source, name.start, name.end)),
            *(None, None),
        )
        decl.export, decl.extern = "export" in modifiers, "extern" in modifiers
        decl.comptime = "comptime" in modifiers
        if self.take(":"):
            decl.type = self.type()
        while self.token.text in ("align", "linksection", "linkname"):
            word = self.advance().text
            self.expect("(", f"after {word}")
            setattr(decl, word, self.expr())
            self.expect(")", f"behind the argument of {word}")
        if self.take("="):
            decl.init = self.expr()
        elif decl.type is None and kind != "param":
            self.fail(f"{kind} {decl.name} needs a type or a value: ':' or '=' was expected, not {self.token}")
        decl.span = self.span(first)
        self.expect(";", f"after the declaration of {decl.name}")
        return decl

    def function(self, first: Token, modifiers: set[str]) -> ast.FnDecl:
        kind = self.advance().text
        name = self.name("the function" if kind == "fn" else "the task")
        self.expect("(", f"after the name of {kind} {name.text}")
        params: list[ast.Param] = []
        while not self.on(")"):
            start = self.token
            comptime = self.take("comptime")
            param = self.name("the parameter")
            self.expect(":", f"after parameter {param.text}")
            kind_of = self.type()
            params.append(ast.Param(self.span(start), param.text, kind_of, comptime))
            if not self.take(","):
                break
        self.expect(")", "behind the parameters")
        linksection = None
        while self.token.text in ("linksection", "linkname", "align"):
            word = self.advance().text
            self.expect("(", f"after {word}")
            linksection = self.expr()
            self.expect(")", f"behind the argument of {word}")
        if self.on("{"):
            self.fail(f"the type of the result of {kind} {name.text} was expected, such as void, not '{{'")
        result = self.type()
        header = self.span(first)
        body = None
        if not self.take(";"):
            body = self.block(f"as the body of {kind} {name.text}")
        elif "extern" not in modifiers:
            self.findings.add(CslError.at(header, f"{kind} {name.text} has no body; only an extern one may have none"))
        return ast.FnDecl(
            *(header, kind, name.text, Span(self.source, name.start, name.end), params, result, body),
            *("export" in modifiers, "extern" in modifiers, "inline" in modifiers, linksection),
        )

    # ---- types ----

    def type(self) -> ast.Node:
        self.deeper()
        try:
            return self._type()
        finally:
            self.depth -= 1

    def _type(self) -> ast.Node:
        first = self.token
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
        if self.on("struct") or (self.token.text in ("packed", "extern") and self.peek().text == "struct"):
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
            if not self.take(","):
                break
        self.expect("}", "behind the members of the enum")
        return ast.EnumType(self.span(first), tag, members)

    def struct(self) -> ast.Node:
        first = self.advance()
        if first.text != "struct":
            self.advance()
        self.expect("{", "before the fields of the struct")
        fields: list[tuple[str, ast.Node, ast.Node | None, Span]] = []
        while not self.on("}"):
            if self.token.kind not in ("ident", "keyword"):
                self.fail(f"the name of the field was expected, not {self.token}")
            name = self.advance()
            self.expect(":", f"after field {name.text}")
            kind = self.type()
            default = self.expr() if self.take("=") else None
            fields.append((name.text, kind, default, Span(self.source, name.start, name.end)))
            if not self.take(","):
                break
        self.expect("}", "behind the fields of the struct")
        return ast.StructType(self.span(first), fields)

    def list_of(self, item, end: str) -> list:
        """Items with commas between, and perhaps one behind, up to `end`, which stays."""
        items = []
        while not self.on(end) and self.token.kind != "end":
            items.append(item())
            if not self.take(","):
                break
        return items

    # ---- statements ----

    def block(self, where: str) -> ast.Block:
        self.deeper()
        try:
            first = self.expect("{", where)
            body: list[ast.Node] = []
            while not self.on("}"):
                if self.token.kind == "end":
                    opened = Span(self.source, first.start, first.end)
                    self.findings.add(CslError.at(opened, "this block has no end: '}' was expected"))
                    raise _Failed
                if self.token.text in ONLY_AT_TOP and self.token.kind == "keyword" and self.starts_line(self.token):
                    opened = Span(self.source, first.start, first.end)
                    self.fail(f"{self.token.text} cannot stand in a block: is there a '}}' missing?")
                before = self.at
                try:
                    body.append(self.statement())
                except _Failed:
                    self.skip_statement(before)
            self.advance()
            return ast.Block(self.span(first), body)
        finally:
            self.depth -= 1

    def skip_statement(self, before: int) -> None:
        if self.at == before:
            self.advance()
        level = 0
        while self.token.kind != "end":
            text = self.token.text if self.token.kind in ("op", "keyword") else ""
            if text in ("{", ".{"):
                level += 1
            elif text == "}":
                if level == 0:
                    return
                level -= 1
                if level == 0:
                    self.advance()
                    self.take(";")
                    return
            elif text == ";" and level == 0:
                self.advance()
                return
            elif text in ONLY_AT_TOP and self.starts_line(self.token):
                raise _Failed
            self.advance()

    def statement(self) -> ast.Node:
        first = self.token
        if first.kind == "keyword":
            match first.text:
                case "const" | "var":
                    return self.variable(first, set())
                case "comptime":
                    if self.peek().text == "{":
                        self.advance()
                        return ast.ComptimeBlock(self.span(first), self.block("after comptime"))
                    if self.peek().text in ("var", "const"):
                        self.advance()
                        return self.variable(first, {"comptime"})
                case "return":
                    self.advance()
                    value = None if self.on(";") else self.expr()
                    return self.ended(ast.Return(self.span(first), value), "after return")
                case "break":
                    self.advance()
                    label = self.label_use()
                    value = None if self.on(";") else self.expr()
                    return self.ended(ast.Break(self.span(first), label, value), "after break")
                case "continue":
                    self.advance()
                    return self.ended(ast.Continue(self.span(first), self.label_use()), "after continue")
        node = self.control(None)
        if node is not None:
            return node
        simple = self.simple()
        if isinstance(simple, ast.ExprStmt) and isinstance(simple.value, ast.Switch):
            self.take(";")
            return simple.value
        return self.ended(simple, "after the statement")

    def ended(self, node: ast.Node, where: str) -> ast.Node:
        self.expect(";", where)
        return node

    def label_use(self) -> str | None:
        return self.name("the label").text if self.take(":") else None

    def control(self, label: str | None) -> ast.Node | None:
        """A block, if, while, for or switch, with its label; None if none of them is next."""
        first = self.token
        if first.kind == "op" and first.text == "{" and self.peek().text != "}":
            block = self.block("")
            block.label = label
            return block
        if first.kind == "op" and first.text == "{" and self.peek(2).text != ";":  # {} is a block, {}; a value
            block = self.block("")
            block.label = label
            return block
        if first.kind == "ident" and self.peek().text == ":" and self.peek(2).text in ("{", "while", "for", "inline"):
            self.advance()
            self.advance()
            return self.control(first.text)
        if first.kind != "keyword":
            return None
        inline = first.text == "inline" and self.peek().text in ("for", "while")
        if inline:
            self.advance()
        match self.token.text:
            case "if":
                return self.if_statement()
            case "while":
                return self.while_statement(first, inline, label)
            case "for":
                return self.for_statement(first, inline, label)
            case "switch":
                node = self.switch()
                self.take(";")
                return node
        return None

    def body(self) -> ast.Node:
        """Of an if or a loop: a block, another statement, or a simple one, whose `;` is missing before else."""
        if self.token.kind == "keyword" and self.token.text in ("return", "break", "continue", "const", "var"):
            return self.statement()
        node = self.control(None)
        if node is not None:
            return node
        simple = self.simple()
        if not self.on("else"):
            self.expect(";", "after the statement")
        return simple

    def if_statement(self) -> ast.Node:
        self.deeper()
        first = self.advance()
        condition = self.in_parentheses("after if")
        capture = None
        if self.on("|"):
            self.advance()
            capture = self.name("the captured value").text
            self.expect("|", "behind the captured value")
        then = self.body()
        other = self.body() if self.take("else") else None
        self.depth -= 1
        return ast.If(self.span(first), condition, then, other, capture)

    def in_parentheses(self, where: str) -> ast.Node:
        self.expect("(", where)
        node = self.expr()
        self.expect(")", "behind the expression in parentheses")
        return node

    def while_statement(self, first: Token, inline: bool, label: str | None) -> ast.Node:
        self.advance()
        condition = self.in_parentheses("after while")
        step = None
        if self.take(":"):
            self.expect("(", "before the step of the loop")
            step = self.simple()
            self.expect(")", "behind the step of the loop")
        body = self.body()
        return ast.While(self.span(first), condition, step, body, inline, label)

    def for_statement(self, first: Token, inline: bool, label: str | None) -> ast.Node:
        self.advance()
        self.expect("(", "after for")
        items = self.list_of(self.expr, ")")
        if not items:
            self.fail("what to go through was expected: an array or a @range")
        self.expect(")", "behind what to go through")
        self.expect("|", "before the name of the item, as in `for (items) |item|`")
        by_pointer = self.take("*")
        captures = [self.name("the item").text]
        while self.take(","):
            captures.append(self.name("the index").text)
        if len(captures) > 2:
            self.fail("a for loop has one capture, the item, or two, item and index", self.span(first))
        self.expect("|", "behind the names of item and index")
        body = self.body()
        return ast.For(self.span(first), items, captures, body, by_pointer, inline, label)

    def switch(self) -> ast.Switch:
        first = self.advance()
        value = self.in_parentheses("after switch")
        self.expect("{", "before the arms of the switch")
        arms: list[ast.Arm] = []
        while not self.on("}"):
            start = self.token
            values: list[ast.Node] = [] if self.take("else") else self.list_of(self.case, "=>")
            self.expect("=>", "behind the value of an arm")
            if self.token.kind == "keyword" and self.token.text in ("return", "break", "continue"):
                body = self.jump()
            else:
                body = self.control(None) or self.simple()
            arms.append(ast.Arm(self.span(start), values, body))
            if not self.take(",") and not self.take(";") and not self.on("}") and not isinstance(body, ast.Block):
                self.fail(f"',' was expected behind the arm of a switch, not {self.token}")
        self.expect("}", "behind the arms of the switch")
        return ast.Switch(self.span(first), value, arms)

    def jump(self) -> ast.Node:
        """return, break or continue as an arm: without its semicolon."""
        first = self.advance()
        if first.text == "continue":
            return ast.Continue(self.span(first), self.label_use())
        label = self.label_use() if first.text == "break" else None
        value = None if self.token.text in (",", ";", "}") else self.expr()
        if first.text == "return":
            return ast.Return(self.span(first), value)
        return ast.Break(self.span(first), label, value)

    def case(self) -> ast.Node:
        low = self.expr()
        if self.take("..."):
            high = self.expr()
            return ast.Binary(self.span(low), "...", low, high)
        return low

    def simple(self) -> ast.Node:
        first = self.token
        target = self.expr()
        if self.token.kind == "op" and self.token.text in ASSIGN:
            op = self.advance().text
            value = self.expr()
            return ast.Assign(self.span(first), op, target, value)
        return ast.ExprStmt(self.span(first), target)

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
            right = self.expr(level + 1)
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
                self.advance()
                operand = self.unary()
                return ast.Unary(self.span(first), first.text, operand)
            if first.text == "*":  # the type of a pointer
                return self.type()
        elif first.kind == "keyword":
            if first.text == "comptime":
                self.advance()
                value = self.unary()
                return ast.ComptimeExpr(self.span(first), value)
            if first.text == "if":
                self.advance()
                condition = self.in_parentheses("after if")
                then = self.expr()
                other = self.expr() if self.take("else") else None
                return ast.IfExpr(self.span(first), condition, then, other)
            if first.text == "switch":
                return self.switch()
        return self.postfix()

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
                    self.fail("CSL has no optional values: '.?' means nothing")
                case "{" if isinstance(node, ast.Ident | ast.Member) and self.struct_follows():
                    self.advance()
                    items = self.list_of(self.field, "}")
                    self.expect("}", "behind the fields")
                    node = ast.StructLit(self.span(first), node, items)
                case _:
                    return node
        return node

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
                case "fn" | "task" | "enum" | "struct":
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
            case "|":
                return self.tensor_access()
            case "{":
                if self.peek().text == "}":
                    self.advance()
                    self.advance()
                    return ast.Literal(self.span(token), "void", None)
                self.fail("an expression was expected, not a block")
            case "[":
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
