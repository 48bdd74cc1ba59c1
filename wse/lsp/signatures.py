"""The parameters of the call around the cursor."""

from __future__ import annotations

from pathlib import Path

from ..csl.builtins.table import BUILTINS
from ..csl.sema.values import FnRef, Val
from ..records import dataclass
from .context import context
from .hover import documentation
from .view import View


@dataclass(eq=False)
class Signature:
    """label: the whole line; parameters: the parts of it; active: the number of the one at the cursor."""

    label: str
    parameters: list[str]
    active: int
    words: str = ""


def signature_help(view: View, offset: int) -> Signature | None:
    """The signature of the call around an offset, None if it is in none, or in one of an unknown function."""
    where = context(view.parsed.path, view.parsed.text, offset)
    call = next((one for one in reversed(where.brackets) if one.text == "(" and one.before), None)
    if call is None or where.comment:
        return None
    row = BUILTINS.get(call.before)
    if row is not None:
        last = len(row.parameters) - 1
        return Signature(row.signature, list(row.parameters), min(call.commas, max(last, 0)), row.meaning)
    value = view.expression(call.before, offset)
    if not isinstance(value, Val) or not isinstance(value.data, FnRef):
        return None
    decl, instance = value.data.decl, value.data.instance
    text = instance.file.source.text
    parameters = [" ".join(text[param.span.start : param.span.end].split()) for param in decl.params]
    result = " ".join(text[decl.result.span.start : decl.result.span.end].split())
    label = f"{decl.kind} {decl.name}({', '.join(parameters)}) {result}"
    other = view.of(Path(instance.file.source.path))
    declared = other.parsed.names.top.get(decl.name) if other is not None else None
    words = documentation(other.parsed, declared) if other is not None and declared is not None else ""
    return Signature(label, parameters, min(call.commas, max(len(parameters) - 1, 0)), words)
