"""What is wrong with a file, for editors: `wse csl check`.

A layout file is compiled as far as its parameters are known.  The code of a PE gets its parameters from a layout,
so that of a file alone only what holds for all of them is checked: syntax, names, builtins and how many arguments
they take.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from .builtins.table import checked
from .compile import compile_program
from .sema.frame import PREDEFINED
from .sema.modules import Loader
from .sema.suggest import did_you_mean
from .syntax import ast
from .syntax.errors import CslError, Diagnostic, Findings, Span


def check(
    path: str | Path,
    arch: str = "wse3",
    params: Mapping[str, int] | None = None,
    colors: Mapping[str, int] | None = None,
    import_paths: Iterable[str | Path] = (),
    sdk_version: str | None = None,
    fp16: str = "f16",
) -> list[Diagnostic]:
    """Errors and warnings of a file, errors first; options as of compile_program."""
    findings = Findings()
    try:
        file = Loader().load(Path(path))
    except CslError as error:
        return error.diagnostics
    Names(file, findings, arch).check()
    missing = [d for d in file.decls.values() if is_open(d) and d.name not in {**(params or {}), **(colors or {})}]
    if file.layouts and not findings.errors:
        if missing:
            names = ", ".join(decl.name for decl in missing)
            findings.warn(
                missing[0].name_span, f"only names are checked: the layout needs values for {names} (--params)"
            )
        else:
            try:
                compile_program(
                    *(path, arch, params, colors),
                    import_paths=import_paths,
                    fp16=fp16,
                    warnings=findings.warnings,
                    sdk_version=sdk_version,
                )
            except CslError as error:
                findings.add(error)
    return findings.errors + findings.warnings


def is_open(decl: ast.Node) -> bool:
    """Whether it is a parameter without a value."""
    return isinstance(decl, ast.VarDecl) and decl.kind == "param" and decl.init is None


class Names:
    """Looks up every name of a file, without evaluating anything."""

    def __init__(self, file: ast.File, findings: Findings, arch: str):
        self.file, self.findings, self.arch = file, findings, arch
        self.scopes: list[set[str]] = [set(PREDEFINED) | set(file.decls)]

    def check(self) -> None:
        for decl in self.file.decls.values():
            self.visit(decl)
        for block in (*self.file.comptimes, *self.file.layouts):
            self.visit(block)

    def visit(self, node: Any) -> None:
        if isinstance(node, list | tuple):
            for item in node:
                self.visit(item)
        elif isinstance(node, ast.Ident):
            self.look_up(node)
        elif isinstance(node, ast.BuiltinCall):
            self.builtin(node)
        elif isinstance(node, ast.FnDecl):
            self.inside({param.name for param in node.params}, [*node.params, node.result, node.body])
        elif isinstance(node, ast.Block):
            self.inside(set(), node.body)
        elif isinstance(node, ast.For):
            self.visit(node.items)
            self.inside(set(node.captures), node.body)
        elif isinstance(node, ast.TensorAccess):
            self.visit(node.bounds)
            self.inside(set(node.names), node.body)
        elif isinstance(node, ast.VarDecl):
            self.children(node)
            self.scopes[-1].add(node.name)
        elif isinstance(node, ast.Node):
            self.children(node)

    def children(self, node: Any) -> None:
        for field in fields(node):
            if field.name not in ("span", "name_span"):
                self.visit(getattr(node, field.name))

    def inside(self, names: set[str], body: Any) -> None:
        self.scopes.append(names)
        self.visit(body)
        self.scopes.pop()

    def look_up(self, node: ast.Ident) -> None:
        if node.name == "_" or any(node.name in scope for scope in self.scopes):
            return
        hint = did_you_mean(node.name, set().union(*self.scopes))
        self.report(node.span, f"{node.name} is not declared{hint}")

    def builtin(self, node: ast.BuiltinCall) -> None:
        self.visit(node.args)
        try:
            checked(node, self.file.source.library, self.arch)
        except CslError as error:
            self.findings.add(error)

    def report(self, span: Span, message: str) -> None:
        self.findings.add(CslError.at(span, message))
