"""Documents, or parts of them, that are generated from tables and docstrings; see record.py."""

import inspect
from collections.abc import Callable

from documents import ROOT

from wse import _engine, kernels
from wse.csl.features import table as features
from wse.lsp import grammar
from wse.machine import isa
from wse.validation.document import Table, splice

ISA = """\
# Instructions

Made from `csrc/tables/isa.def` by `python tests/record.py docs`. `wse isa NAME` shows one instruction with its encoding;
[programs.md](programs.md) describes how programs are written.

Types, in the order of the operands: H the program's 16-bit float, S f32, W a 16-bit and D a 32-bit word. WSE-2 and WSE-3:
elements a cycle, before the limits of memory and fabric. flops: floating-point operations per element. Latencies are names
of `wse arch`.

[CONTRIBUTING.md](../CONTRIBUTING.md) describes how an instruction is added.

"""

KERNELS = """\
# Kernels

`wse run NAME` builds a kernel's program, runs it on random inputs (`--seed`), compares the result with a model in NumPy (to
the bit, or, where a section says so, with float64 within bounds) and says where the cycles went. This page is made from the
kernels in `wse/kernels` by `python tests/record.py docs`. `wse/kernels/__init__.py` says what a kernel consists of.

In Python, `wse.NAME` is a function of NumPy arrays: `C, run = wse.gemm(A, B, grid=(16, 16))`. [notebooks.md](notebooks.md)
describes these functions. Below each kernel's options stand its arrays; a shape such as `height tokens` is a product.

| kernel | what it is | grid by default |
| --- | --- | --- |
"""


def isa_page() -> str:
    return ISA + isa.reference().rstrip() + "\n"


def kernels_page() -> str:
    index, sections = "", []
    for name, (_, line) in kernels.KERNELS.items():
        module = kernels.load(name)
        index += f"| [{name}](#{name}) | {line} | {module.GRID[0]} x {module.GRID[1]} |\n"
        sections.append(f"\n## {name}\n\n{inspect.getdoc(module).strip()}\n\n{parameters(module.PARAMETERS)}\n")
        sections.append(arrays(name, module))
    return KERNELS + index + "".join(sections)


def arrays(name: str, module: kernels.Kernel) -> str:
    call = f"`{', '.join([*module.OUTPUTS, 'run'])} = wse.{name}({', '.join(module.INPUTS)}, ...)`"
    lines = [call, "", "| array | what it is |", "| --- | --- |"]
    shapes = {row.name: ", ".join(axis.replace("*", " ") for axis in row.shape) for row in module.INPUTS.values()}
    lines += [f"| `{row.name}` | `[{shapes[row.name]}]` {row.help} |" for row in module.INPUTS.values()]
    for key, words in module.OUTPUTS.items():
        shape, bracket, rest = words.partition("] ")
        words = f"`{shape}]` {rest}" if bracket else words
        lines.append(f"| returns `{key}` | {words[0].upper() + words[1:]}. |")
    return "\n".join(lines) + "\n"


def parameters(rows: dict[str, kernels.Parameter]) -> str:
    lines = ["| option | default | what it is |", "| --- | --- | --- |"]
    for row in rows.values():
        long = "--" + row.name.replace("_", "-")
        option = row.flag if row.flag and len(row.name) == 1 else f"{row.flag}, {long}" if row.flag else long
        choices = f" One of {', '.join(map(str, row.choices))}." if row.choices else ""
        default = "" if row.default is None else f"`{row.default}`"
        lines.append(f"| `{option}` | {default} | {row.help}{choices} |")
    return "\n".join(lines) + "\n"


def files_page() -> str:
    counters = [(f"`{name.lower()}`", unit, meaning) for name, unit, meaning in _engine.counters()]
    causes = [(f"`{name.lower()}`", meaning) for name, _, meaning in _engine.causes()]
    events = [(f"`{name}`", a, b) for name, a, b in _engine.events()]
    blocks = {
        "counters": Table(("counter", "unit", "what is counted"), counters).markdown(),
        "causes": Table(("cause", "cycles"), causes).markdown(),
        "events": Table(("kind", "a", "b"), events).markdown(),
    }
    return splice((ROOT / "docs/files.md").read_text(), blocks)


DOCUMENTS: dict[str, Callable[[], str]] = {
    "docs/isa.md": isa_page,
    "docs/kernels.md": kernels_page,
    "docs/files.md": files_page,
    "docs/csl-features.md": lambda: features.markdown(features.chapters()),
    "wse/lsp/vscode/syntaxes/csl.tmLanguage.json": grammar.document,
}
