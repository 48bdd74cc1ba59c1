"""Tokens to a syntax tree: recursive descent with three tokens of look-ahead, no tables.

    file      = { declaration }, and a ";" may stand behind the "}" of a declaration or statement
    declaration = "layout" block | "comptime" block | {"export" | "extern" | "inline"} (variable | function)
    variable  = ("const" | "var" | "param") name [":" type] {("align" | "linkname" | "linksection") "(" expr ")"}
                ["=" expr] ";"
    function  = ("fn" | "task") name "(" [["comptime"] [name ":"] type {"," …}] ")" {attribute} type {attribute}
                (block | ";")
    attribute = ("linkname" | "linksection") "(" expr ")"
    type      = "?" type | "*" ["const"] type | "[" "*" "]" ["const"] type | "[" expr {"," expr} "]" type
              | ("fn" | "task") "(" [type {"," type}] ")" type | enum | struct | name {"." name} ["(" …")"] | builtin
    statement = variable | block | "comptime" (block | variable | if | while | for | switch) | if | while | for
              | switch | name ":" statement
              | "return" [expr] ";" | "break" [":" name] [expr] ";" | "continue" [":" name] ";" | simple ";"
    simple    = expr [("=" | "+=" | …) expr]
    if        = "if" "(" expr ")" ["|" name "|"] body ["else" body]
    while     = "while" "(" expr ")" ["|" name "|"] [":" "(" (simple | block) ")"] body
    for       = "for" "(" expr ")" "|" ["*"] name ["," name] "|" body
    switch    = "switch" "(" expr ")" "{" {(expr ["..." expr] {"," …} | "else") "=>" (block | if | while | for
                | switch | simple) [","]} "}"; the body of an if or loop ends without ";" here
    expr      = operators, left-associative, loosest first: or; and; == != < > <= >=; & ^ |; << >>; + - ++; * / %
    unary     = ("-" | "!" | "~" | "&" | "comptime") unary | "if" "(" expr ")" ["|" name "|"] branch ["else" branch]
              | switch | "return" [expr] | "break" [":" name] [expr] | "continue" [":" name] | postfix
    branch    = block | expr, also behind orelse
    postfix   = primary {"(" … ")" | "[" … "]" | "." name | ".*" | ".?" | "{" fields "}"}
    primary   = literal | name | builtin | "(" expr ")" | ".{" fields "}" | "." name | type | type "{" … "}" | "{}"
              | name ":" block | "|" name {"," name} "|" "{" expr {"," expr} "}" "->" expr

A method has the name of its production and consumes it entirely.  What is wrong is recorded with what was expected
there; then the parser goes on after the statement or declaration, so that one run shows several errors.  Types and
expressions are in expressions.py.
"""

from __future__ import annotations

from . import ast, habits
from .errors import CslError, Findings, Source, Span
from .expressions import JUMPS, Expressions, Failed
from .lexer import Token

ASSIGN = frozenset(["=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="])
BEGINS_DECL = frozenset(["const", "var", "param", "fn", "task", "comptime", "layout", "export", "extern", "inline"])
ONLY_AT_TOP = frozenset(["param", "fn", "task", "layout", "export", "extern"])


def parse(source: Source, findings: Findings | None = None) -> ast.File:
    """The tree of a text.  Findings go to `findings`; without it all of them are raised together."""
    found = Findings() if findings is None else findings
    file = Parser(source, found).file()
    if findings is None:
        found.check()
    return file


class Parser(Expressions):
    """Parses declarations and statements."""

    # ---- declarations ----

    def file(self) -> ast.File:
        file = ast.File(self.source)
        while self.token.kind != "end":
            self.depth = 0
            before = self.at
            try:
                self.declaration(file)
                self.behind_block()
            except Failed:
                self.skip_to_declaration(before)
        return file

    def behind_block(self) -> None:
        """A semicolon behind the brace that ends a block, which may stand there."""
        if self.tokens[self.at - 1].text == "}":
            self.take(";")

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
        if "comptime" in modifiers:
            self.fail("comptime variables stand in functions and blocks: a const outside is known when compiling", None)
        if "inline" in modifiers and modifiers & {"export", "extern"}:
            self.fail("an inline function exists where it is called only: it is neither export nor extern", None)
        if self.on("param") and modifiers:
            self.fail(f"a param is not {min(modifiers)}: export a const or a var", None)
        if self.on("fn") or self.on("task"):
            decl: ast.VarDecl | ast.FnDecl = self.function(first, modifiers)
        elif self.on("const") or self.on("var") or self.on("param"):
            decl = self.variable(first, modifiers)
        elif self.on("color"):
            name = self.peek().text
            self.fail(f"colors are values: const {name} = @get_color(number), or param {name}: color", None)
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

    def local(self, first: Token, modifiers: set[str]) -> ast.VarDecl:
        """The declaration of a variable in a block."""
        decl = self.variable(first, modifiers)
        self.refuse(decl, f"{decl.name} is local: only global variables have a")
        return decl

    def refuse(self, decl: ast.VarDecl | ast.FnDecl, why: str, *words: str) -> None:
        """An error if a declaration has one of the attributes."""
        for word in words or ("linkname", "linksection"):
            given = getattr(decl, word)
            if given is not None:
                self.findings.add(CslError.at(given.span, f"{why} {word}"))

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
        self.attributes(decl, "align", "linksection", "linkname")
        if kind == "param":
            self.refuse(decl, f"{decl.name} is a param, which has no")
        if decl.extern:
            self.refuse(decl, f"extern {decl.name} lies where its export does: it has no", "linksection")
        if self.take("="):
            decl.init = self.expr()
            if decl.extern:
                self.findings.add(
                    CslError.at(self.span(first), f"extern {decl.name} has a value: it is given where it is exported")
                )
        elif kind == "const" and not decl.extern and not (decl.export and decl.type is not None):
            self.fail(f"constant {decl.name} has no value: '=' was expected, not {self.token}")
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
            text = f"#{len(params) + 1}"
            if "extern" not in modifiers or self.peek().text == ":":
                text = self.name("the parameter").text
                self.expect(":", f"after parameter {text}")
            kind_of = self.type()
            params.append(ast.Param(self.span(start), text, kind_of, comptime))
            if not self.take(","):
                break
        self.expect(")", "behind the parameters")
        name_span = Span(self.source, name.start, name.end)
        decl = ast.FnDecl(name_span, kind, name.text, name_span, params, ast.Literal(name_span, "void", None), None)
        decl.export, decl.extern, decl.inline = (word in modifiers for word in ("export", "extern", "inline"))
        self.attributes(decl, "linksection", "linkname")
        if self.on("{"):
            self.fail(f"the type of the result of {kind} {name.text} was expected, such as void, not '{{'")
        decl.result = self.type()
        self.attributes(decl, "linksection", "linkname")
        if decl.inline:
            self.refuse(decl, f"{name.text} is inline and exists where it is called only: it has no")
        if decl.extern:
            self.refuse(decl, f"extern {name.text} lies where its export does: it has no", "linksection")
        header = self.span(first)
        decl.span = header
        if not self.take(";"):
            decl.body = self.block(f"as the body of {kind} {name.text}")
            if decl.extern:
                self.findings.add(
                    CslError.at(header, f"extern {kind} {name.text} has a body: it is given where it is exported")
                )
        elif not decl.extern:
            self.findings.add(CslError.at(header, f"{kind} {name.text} has no body; only an extern one may have none"))
        return decl

    def attributes(self, decl: ast.VarDecl | ast.FnDecl, *words: str) -> None:
        """Attributes of a declaration, which are entered into it."""
        while self.token.kind == "keyword" and self.token.text in ("align", "linksection", "linkname"):
            if self.token.text not in words:
                self.fail(f"a {decl.kind} has no {self.token.text}")
            word = self.advance().text
            self.expect("(", f"after {word}")
            if getattr(decl, word) is not None:
                self.findings.add(CslError.at(decl.name_span, f"{decl.name} has two {word}s"))
            setattr(decl, word, self.expr())
            self.expect(")", f"behind the argument of {word}")

    # ---- statements ----

    def block(self, where: str) -> ast.Block:
        self.deeper()
        try:
            first = self.expect("{", where)
            body: list[ast.Node] = []
            while not self.on("}"):
                if self.token.kind == "end" or self.on_top():
                    self.unclosed(first)
                    return ast.Block(self.span(first), body)
                before = self.at
                try:
                    body.append(self.statement())
                    self.behind_block()
                except Failed:
                    self.skip_statement(before)
            self.advance()
            return ast.Block(self.span(first), body)
        finally:
            self.depth -= 1

    def on_top(self) -> bool:
        """Whether what follows stands at the top of a file only, where a line begins: the block before has no end."""
        return self.token.kind == "keyword" and self.token.text in ONLY_AT_TOP and self.starts_line(self.token)

    def unclosed(self, first: Token) -> None:
        """Says that a block has no end, once for all blocks that end there.  What it holds is kept."""
        if self.unclosed_at == self.at:
            return
        self.unclosed_at = self.at
        if self.token.kind == "end":
            opened = Span(self.source, first.start, first.end)
            self.findings.add(CslError.at(opened, "this block has no end: '}' was expected"))
        else:
            place = Span(self.source, self.token.start, self.token.end)
            message = f"{self.token.text} cannot stand in a block: is there a '}}' missing?"
            self.findings.add(CslError.at(place, message))

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
            elif self.on_top():
                return
            self.advance()

    def statement(self) -> ast.Node:
        first = self.token
        if first.kind == "keyword":
            match first.text:
                case "const" | "var":
                    return self.local(first, set())
                case "comptime":
                    if self.peek().text == "{":
                        self.advance()
                        return ast.ComptimeBlock(self.span(first), self.block("after comptime"))
                    if self.peek().text in ("var", "const"):
                        self.advance()
                        return self.local(first, {"comptime"})
                    if self.peek().text in ("if", "while", "for", "switch", "inline"):
                        self.advance()
                        body = self.control(None)
                        if body is None:
                            self.fail(f"for or while was expected after inline, not {self.peek()}")
                        return ast.ComptimeBlock(self.span(first), ast.Block(body.span, [body]))
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
        following = self.peek()
        simple = self.simple()
        if isinstance(simple, ast.ExprStmt) and isinstance(simple.value, ast.Switch):
            self.take(";")
            return simple.value
        meant = None if self.on(";") else habits.statement(first, following)
        if meant is not None:
            self.fail(meant, Span(self.source, first.start, first.end))
        return self.ended(simple, "after the statement")

    def ended(self, node: ast.Node, where: str) -> ast.Node:
        self.expect(";", where)
        return node

    def label_use(self) -> str | None:
        return self.name("the label").text if self.take(":") else None

    def control(self, label: str | None, arm: bool = False) -> ast.Node | None:
        """A block, if, while, for or switch, with its label; None if none of them is next.

        arm: of a switch, where a simple statement ends before `,` or `}`."""
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
            with self.labelled(first):
                return self.control(first.text, arm)
        if first.kind != "keyword":
            return None
        inline = first.text == "inline" and self.peek().text in ("for", "while")
        if inline:
            self.advance()
        match self.token.text:
            case "if":
                return self.if_statement(arm)
            case "while":
                return self.while_statement(first, inline, label, arm)
            case "for":
                return self.for_statement(first, inline, label, arm)
            case "switch":
                node = self.switch()
                self.take(";")
                return node
        return None

    def body(self, arm: bool = False) -> ast.Node:
        """Of an if or a loop: a block, a statement, or a simple one or a jump, whose `;` is missing before else."""
        if self.on("const") or self.on("var"):
            return self.statement()
        if self.token.kind == "keyword" and self.token.text in JUMPS:
            simple = self.jump()
        else:
            node = self.control(None, arm)
            if node is not None:
                return node
            simple = self.simple()
        if not self.on("else") and not (arm and (self.on(",") or self.on("}"))):
            self.expect(";", "after the statement")
        return simple

    def if_statement(self, arm: bool) -> ast.Node:
        self.deeper()
        first = self.advance()
        condition = self.in_parentheses("after if")
        capture = self.capture()
        then = self.body(arm)
        other = self.body(arm) if self.take("else") else None
        self.depth -= 1
        return ast.If(self.span(first), condition, then, other, capture)

    def while_statement(self, first: Token, inline: bool, label: str | None, arm: bool) -> ast.Node:
        self.advance()
        condition = self.in_parentheses("after while")
        capture = self.capture()
        step = None
        if self.take(":"):
            self.expect("(", "before the step of the loop")
            step = self.block("as the step of the loop") if self.on("{") else self.simple()
            self.expect(")", "behind the step of the loop")
        body = self.body(arm)
        self.no_else("while")
        return ast.While(self.span(first), condition, step, body, inline, label, capture)

    def no_else(self, word: str) -> None:
        if self.on("else"):
            self.fail(f"a {word} loop has no else: write what follows it behind the loop")

    def for_statement(self, first: Token, inline: bool, label: str | None, arm: bool) -> ast.Node:
        self.advance()
        if not self.on("(") or self.peek().text in ("var", "const"):
            self.fail(f"'(' was expected after for, and what to go through: {habits.LOOP}")
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
        body = self.body(arm)
        self.no_else("for")
        return ast.For(self.span(first), items, captures, body, by_pointer, inline, label)

    def switch(self) -> ast.Switch:
        first = self.advance()
        value = self.in_parentheses("after switch")
        self.expect("{", "before the arms of the switch")
        arms: list[ast.Arm] = []
        while not self.on("}"):
            start = self.token
            if start.text in ("case", "default") and self.peek().text not in ("=>", ",", "...", ".", "+", "-"):
                self.fail(f"{start.text} is not a word of CSL: {habits.ARM}")
            values: list[ast.Node] = [] if self.take("else") else self.list_of(self.case, "=>")
            self.expect("=>", "behind the value of an arm")
            if self.token.kind == "keyword" and self.token.text in JUMPS:
                body = self.jump()
            else:
                body = self.control(None, arm=True) or self.simple()
            arms.append(ast.Arm(self.span(start), values, body))
            if not self.take(",") and not self.take(";") and not self.on("}") and not isinstance(body, ast.Block):
                self.fail(f"',' was expected behind the arm of a switch, not {self.token}")
        self.expect("}", "behind the arms of the switch")
        return ast.Switch(self.span(first), value, arms)

    def jump(self) -> ast.Node:
        """return, break or continue as an arm or before else: without its semicolon."""
        first = self.advance()
        if first.text == "continue":
            return ast.Continue(self.span(first), self.label_use())
        label = self.label_use() if first.text == "break" else None
        value = None if self.token.text in (",", ";", "}", ")", "else") else self.expr()
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
