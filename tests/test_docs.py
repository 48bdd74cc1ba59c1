"""docs/: what is generated is current, Python in it runs and prints what stands there, names in tables exist."""

import contextlib
import doctest
import importlib
import inspect
import io
import json
import re
import runpy
import sys
import types
from dataclasses import fields

import made
import operator_cases
import pytest
from documents import ROOT, commands, snippets
from shell import sh

import wse
from wse import Machine, Run, memoryx, report

DOCUMENTS = sorted(ROOT.glob("docs/*.md"))


@pytest.mark.parametrize("name", made.DOCUMENTS)
def test_what_is_made_is_current(name):
    assert (ROOT / name).read_text() == made.DOCUMENTS[name](), "python tests/record.py docs"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_python_runs_and_prints_what_stands_there(path, tmp_path, monkeypatch):
    for folder in ("docs", "traces"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    monkeypatch.chdir(tmp_path)
    module = types.ModuleType("document")
    module.__file__ = str(path)
    monkeypatch.setitem(sys.modules, "document", module)
    for snippet in snippets(path.read_text()):
        printed = io.StringIO()
        code = compile("\n" * (snippet.line - 1) + snippet.code, str(path), "exec")
        with contextlib.redirect_stdout(printed):
            exec(code, module.__dict__)
        if snippet.output is not None:
            assert printed.getvalue().replace(str(path), path.name) == snippet.output, f"{path.name}:{snippet.line}"


@pytest.mark.parametrize(
    "name",
    ["machine.parameters", "program.assembler", "program.dsd", "program.pe_class", "program.program", "program.route"],
)
def test_examples_of_docstrings_are_right(name):
    results = doctest.testmod(importlib.import_module(f"wse.{name}"))
    assert results.attempted and not results.failed


@pytest.mark.parametrize(
    "path", [ROOT / "README.md", ROOT / "traces/README.md", *DOCUMENTS], ids=lambda path: path.name
)
def test_links_lead_somewhere(path):
    text = path.read_text()
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_indexed_names_are_no_references_in_the_site():
    hooks = runpy.run_path(str(ROOT / "docs/site_hooks.py"))
    given = "S[j][i], `a[b][c]`, [text](../csrc/wse.h)\n\n    v[c][j]\n"
    assert hooks["on_page_markdown"](given) == "S[j]\\[i], `a[b][c]`, text\n\n    v[c][j]\n"


def table(text: str, heading: str) -> list[str]:
    """The first column, in code marks, of the table below a heading."""
    section = re.split(r"(?m)^#+ ", text.split(f"# {heading}\n")[1])[0]
    return [name for row in re.findall(r"(?m)^\| (`.*?) \|", section) for name in re.findall(r"`(\w+)`", row)]


def test_every_attribute_of_a_run_is_described():
    described = table((ROOT / "docs/files.md").read_text(), "Run")
    assert sorted(described) == sorted(field.name for field in fields(Run))


def test_every_key_of_the_json_is_described():
    described = set(table((ROOT / "docs/files.md").read_text(), "wse run"))
    keys = json.loads(sh("run", "axpy", "--grid", "1x1", "--length", 8, "--no-plot", "--json").stdout).keys()
    assert described == keys - {"elements_per_cycle"}


def test_every_kind_of_picture_is_described():
    assert tuple(re.findall(r"(?m)^\| `(\w+)` \| ", section("docs/files.md", "Pictures"))) == report.KINDS


def test_files_in_toml_are_read(tmp_path):
    """Of MemoryX and of a machine; that of a sweep runs in tests/cli/test_sweep.py."""
    (text,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/memoryx.md").read_text(), re.DOTALL)
    (tmp_path / "memoryx.toml").write_text(text)
    assert memoryx.system.read(tmp_path / "memoryx.toml") == memoryx.MemoryX(), "the values are the defaults"
    (text,) = re.findall(r"(?m)^    machine = .*\n(?:(?:    .*)?\n)+", (ROOT / "docs/files.md").read_text())
    (tmp_path / "machine.toml").write_text(text.replace("\n    ", "\n").strip())
    assert Machine.load(tmp_path / "machine.toml") == Machine("wse3", "simulator", {"hop_cycles": 1})


def section(name: str, heading: str) -> str:
    return re.split(r"(?m)^## ", (ROOT / name).read_text().split(f"\n## {heading}", 1)[1])[0]


def test_constructors_of_descriptors_are_described_with_their_parameters():
    rows = re.findall(r"(?m)^\| `(\w+)\((.*?)\)` \|", section("docs/programs.md", "Descriptors"))
    assert {name for name, _ in rows} == {"mem1d", "mem4d", "circular", "fifo", "fabin", "fabout"}
    for name, parameters in rows:
        assert set(parameters.split(", ")) <= inspect.signature(getattr(wse, name)).parameters.keys()


def test_a_deadlock_on_a_whole_wafer_is_reported():
    """The last program of docs/programs.md, with another half million PEs that do nothing."""
    (snippet,) = (s for s in snippets((ROOT / "docs/programs.md").read_text()) if "DeadlockError" in s.code)
    code = snippet.code.replace("wse.Program(2, 1)", "wse.Program(750, 700)")
    assert code != snippet.code
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code, {"wse": wse})
    assert printed.getvalue() == snippet.output


@pytest.mark.parametrize(("name", "most"), [("gemm.png", 200_000), ("allreduce.gif", 500_000)])
def test_pictures_are_there_and_small(name, most):
    (words,) = (words for words in commands((ROOT / "docs/gallery.md").read_text()) if words[-1].endswith(name))
    assert 50_000 < (ROOT / words[-1]).stat().st_size < most


def test_the_gallery_shows_each_picture_below_its_command():
    text = (ROOT / "docs/gallery.md").read_text()
    shown = re.findall(r"\]\((pictures/\S+)\)", text)
    drawn = [next(word for word in words if word.startswith("docs/pictures/")) for words in commands(text)]
    assert [f"docs/{name}" for name in shown] == drawn
    assert all((ROOT / name).stat().st_size > 20_000 for name in drawn)
    for name in shown:
        assert text.index(f"docs/{name}") < text.index(f"]({name})")


def test_the_table_of_operators_is_that_of_the_tests():
    """Each row of docs/transformers.md has a model in operator_cases, which tests/execute runs in both modes."""
    text = (ROOT / "docs/transformers.md").read_text().split("### Operators")[1].split("\n## ")[0]
    found = {name: tuple(marks) for name, *marks in re.findall(r"(?m)^\| (.+?) \| (\w+) \| (\w+) \|$", text)}
    found.pop("operator or setting")
    wanted = dict.fromkeys(operator_cases.BOTH, ("executed", "executed"))
    wanted |= dict.fromkeys(operator_cases.STREAMING, ("executed", "refused"))
    wanted |= {name: ("executed", "refused") for name in operator_cases.WIDE if not name.startswith("the same")}
    wanted |= dict.fromkeys(operator_cases.DROPOUT, ("executed", "refused"))
    assert found == wanted | dict.fromkeys(operator_cases.REFUSED, ("refused", "refused"))
