"""Which layout a file belongs to, and what it is compiled with.

Covers: wse/lsp/project.py
"""

import json

import pytest
from editing import LAYOUT, PE, Program

from wse.cli.lsp import options_of
from wse.lsp.project import Project, commands, distance
from wse.lsp.sources import Sources


@pytest.fixture
def program(tmp_path):
    return Program(tmp_path)


def test_a_layout_in_another_folder(tmp_path):
    (tmp_path / "src" / "kernels").mkdir(parents=True)
    pe = tmp_path / "src" / "kernels" / "pe.csl"
    pe.write_text("param n: u16;\n")
    (tmp_path / "layout.csl").write_text('layout { @set_rectangle(1, 1); @set_tile_code(0, 0, "src/kernels/pe.csl"); }')
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "other.csl").write_text('layout { @set_tile_code(0, 0, "../src/kernels/pe.csl"); }')
    project = Project(Sources(), options_of)
    project.roots = [tmp_path]
    assert project.layouts_of(pe) == [tmp_path / "layout.csl", tmp_path / "far" / "other.csl"]
    assert project.layouts_of(tmp_path / "layout.csl") == [tmp_path / "layout.csl"]


def test_a_file_that_is_reached_through_others(program):
    assert program.session.project.layouts_of(program.path("helper")) == [program.path("layout")]
    program.session.sources.open[program.path("pe")] = PE.replace('"helper.csl"', '"<math>"')
    assert program.session.project.layouts_of(program.path("helper")) == []


def test_the_layout_as_it_is_typed_counts(program):
    program.open("layout", LAYOUT.replace("pe.csl", "new.csl"))
    assert program.session.project.layouts_of(program.path("pe")) == []


def test_options_of_a_script(program):
    found = program.session.project.options(program.path("layout"))
    assert (found.arch, found.params, found.fabric, found.offsets) == ("wse3", {"n": 8}, (9, 3), (4, 1))
    assert found.origin == "cslc in commands.sh" and found.missing == []


def test_the_call_for_wse3_is_taken(tmp_path):
    two = "cslc ./layout.csl --arch=wse2 --params=n:2\ncslc ./layout.csl --arch=wse3 \\\n  --params=n:3 # again\n"
    program = Program(tmp_path, commands=two + "cslc other.csl --arch=wse3 --params=n:9\n")
    assert program.session.project.options(program.path("layout")).params == {"n": 3}


def test_a_call_that_is_not_understood_is_left_out(tmp_path):
    program = Program(tmp_path, commands="cslc layout.csl --params=n:$N -o out\ncslc layout.csl --params=\"n:'\n")
    found = program.session.project.options(program.path("layout"))
    assert found.params == {} and found.missing == ["n"]


def test_the_last_compilation_is_taken_if_there_is_no_script(tmp_path):
    program = Program(tmp_path, commands="")
    for name, file, n in (("out", "x/layout.csl", "5"), ("broken", "", ""), ("other", "other.csl", "7")):
        (tmp_path / name).mkdir()
        document = {"file": file, "arch": "wse2", "params": {"n": n}, "colors": {}, "fp16": "f16"}
        (tmp_path / name / "out.json").write_text(json.dumps(document) if file else "{")
    found = program.session.project.options(program.path("layout"))
    assert (found.params, found.arch, found.origin) == ({"n": 5}, "wse2", "the last cslc (out)")


def test_what_cslc_writes_is_read(tmp_path):
    from wse.cli.cslc import command

    program = Program(tmp_path, commands="")
    words = [str(program.path("layout")), "--arch=wse3", "--params=n:4", "-o", str(tmp_path / "out")]
    assert command.main(words, standalone_mode=False) == 0
    assert program.session.project.options(program.path("layout")).params == {"n": 4}


def test_settings_come_first(program):
    program.session.project.settings = {"params": {"n": 5, "other": 1, "x": "1"}, "arch": "wse2", "importPath": "lib"}
    found = program.session.project.options(program.path("layout"))
    assert (found.params, found.arch) == ({"n": 5}, "wse2")
    assert found.import_paths == [program.folder / "lib"]
    assert found.origin == "the editor's settings, and cslc in commands.sh"


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("cslc a.csl -o out", [["a.csl", "-o", "out"]]),
        ("set -e\n/opt/bin/cslc a.csl \\\n --x=1; cs_python run.py", [["a.csl", "--x=1", "cs_python", "run.py"]]),
        ("cslc a.csl && cs_python run.py", [["a.csl"]]),
        ("echo 'not closed cslc", []),
        ("# cslc a.csl", []),
    ],
)
def test_commands_of_a_script(script, expected):
    assert list(commands(script)) == expected


def test_distance(tmp_path):
    assert distance(tmp_path / "a.csl", tmp_path / "b.csl") == 0
    assert distance(tmp_path / "x" / "a.csl", tmp_path / "y" / "b.csl") == 2


def test_folders_that_are_left_out(tmp_path):
    for name in (".git", "node_modules", "src"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.csl").write_text("")
    project = Project(Sources())
    project.roots = [tmp_path]
    assert project.files() == [tmp_path / "src" / "a.csl"]
    (tmp_path / "b.csl").write_text("")
    assert len(project.files()) == 1
    project.changed()
    assert len(project.files()) == 2


def test_scripts_and_results_in_a_folder_around(tmp_path):
    (tmp_path / "src").mkdir()
    program = Program(tmp_path / "src", commands="")
    program.session.project.roots = [tmp_path]
    layout = program.path("layout")
    (tmp_path / "out").mkdir()
    document = {"file": "src/layout.csl", "arch": "wse3", "params": {"n": "6"}, "colors": {}}
    (tmp_path / "out" / "out.json").write_text(json.dumps(document))
    assert program.session.project.options(layout).params == {"n": 6}
    (tmp_path / "commands.sh").write_text(
        "cslc ./src/layout.csl --arch wse3 --params=n:7\ncslc layout.csl --params=n:9\n"
    )
    assert program.session.project.options(layout).params == {"n": 7}
    program.session.project.roots = [tmp_path / "src"]
    assert program.session.project.options(layout).params == {}
