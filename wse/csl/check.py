"""What is wrong with a file, for editors: `wse csl check`.

A layout file is compiled as far as its parameters are known.  The code of a PE gets its parameters from a layout,
so that of a file alone only what holds for all of them is checked: syntax, names, builtins and how many arguments
they take.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from .builtins.table import checked
from .compile import compile_program
from .sema import types as t
from .sema.frame import PREDEFINED
from .sema.modules import Loader
from .sema.suggest import did_you_mean
from .syntax import ast, scopes
from .syntax.errors import CslError, Diagnostic, Findings


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
    try:
        file, findings = Loader().parsed(Path(path))
    except CslError as error:
        return error.diagnostics
    check_names(file, findings, arch)
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


def check_names(file: ast.File, findings: Findings, arch: str) -> None:
    """Looks up every name of a file, without evaluating anything.  findings: those of the parser, to add to."""
    names = scopes.names(file)
    known = set(PREDEFINED) | declared(file, bool(findings.errors))
    for use in names.uses:
        if use.declaration is None and use.text not in known and not is_integer(use.text):
            hint = did_you_mean(use.text, known | set(names.visible(use.span.start)))
            findings.add(CslError.at(use.span, f"{use.text} is not declared{hint}"))
    for call in names.builtins:
        try:
            checked(call, file.source.library, arch)
        except CslError as error:
            findings.add(error)


def is_integer(name: str) -> bool:
    """Whether it is the name of an integer type, such as u5."""
    try:
        return t.int_named(name) is not None
    except ValueError:  # too wide, which the evaluator says
        return True


DECLARED = (  # forms in which a name is declared; of parameters, fields and labels
    re.compile(r"\b(?:const|var|param|fn|task)\s+(\w+)"),
    re.compile(r"\b(\w+)\s*:"),
    re.compile(r"\|\s*\*?\s*(\w+)\s*[,|]"),
    re.compile(r",\s*(\w+)\s*\|"),
)


def declared(file: ast.File, broken: bool) -> set[str]:
    """Names that a file declares; broken: also where the declaration cannot be parsed."""
    if not broken:
        return set(file.decls)
    return {name for form in DECLARED for name in form.findall(file.source.text)}
