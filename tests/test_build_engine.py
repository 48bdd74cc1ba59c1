"""The build compiles what has changed and nothing else.  Tried with gcc and a module of two files."""

import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest
from outdated import ROOT
from outdated import build_engine as load

from wse import _engine

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")


@pytest.fixture
def tree(tmp_path):
    """A checkout with two C files, of which one includes a header; build() returns what was compiled and linked."""
    (tmp_path / "csrc").mkdir()
    shutil.copy(ROOT / "csrc" / "build_engine.py", tmp_path / "csrc")
    (tmp_path / "setup.py").write_text("")
    (tmp_path / "wse").mkdir()
    (tmp_path / "wse" / "_engine.pyx").write_text("def f():\n    return 1\n")
    (tmp_path / "wse" / "_engine.pxd").write_text("")
    room = tmp_path / "csrc" / "room"
    room.mkdir(parents=True)
    (tmp_path / "csrc" / "wse.h").write_text("extern const char wse_source_digest[];\n")
    (room / "one.h").write_text("enum { ONE = 1 };\n")
    (room / "one.c").write_text('#include "room/one.h"\nint one(void) { return ONE; }\n')
    (room / "two.c").write_text("int two(void) { return 2; }\n")
    module = load(tmp_path)
    (tmp_path / "binding.c").write_text("int binding(void) { return 0; }\n")
    module._cython = lambda folder: tmp_path / "binding.c"  # Cython is tried by every build of the package

    def link(objects, target, flags):
        subprocess.run(["gcc", "-shared", *objects, "-o", target, *flags], check=True)

    def build():
        said = []
        module._content.cache_clear()
        tools = module.Toolchain(compile=["gcc", "-fPIC"], link=link, include=[])
        module.build(tools, tmp_path / "out" / "engine.so", 2, said.append)
        return {line.split()[-1] for line in said}

    return tmp_path, build, module


ENGINE = "engine.so"


def compiled(said):
    return {name for name in said if name.startswith("csrc/")}


def test_only_what_changed_is_compiled(tree):
    root, build, _ = tree
    assert compiled(build()) == {"csrc/room/one.c", "csrc/room/two.c"}
    assert build() == set()
    (root / "csrc/room/two.c").write_text("int two(void) { return 3; }\n")
    assert compiled(build()) == {"csrc/room/two.c"}
    (root / "csrc/room/one.h").write_text("enum { ONE = 11 };\n")
    assert compiled(build()) == {"csrc/room/one.c"}
    assert build() == set()


def test_touched_is_not_changed(tree):
    root, build, _ = tree
    build()
    (root / "csrc/room/two.c").touch()
    assert build() == set()


def test_an_edit_undone_is_noticed(tree):
    root, build, _ = tree
    first = (root / "csrc/room/two.c").read_text()
    build()
    (root / "csrc/room/two.c").write_text("int two(void) { return 3; }\n")
    build()
    (root / "csrc/room/two.c").write_text(first)
    assert ENGINE in build()


def test_flags_have_builds_of_their_own(tree, monkeypatch):
    root, build, _ = tree
    assert ENGINE in build()
    monkeypatch.setenv("WSE_DEBUG", "1")
    assert compiled(build()) == {"csrc/room/one.c", "csrc/room/two.c"}
    monkeypatch.delenv("WSE_DEBUG")
    assert compiled(build()) == set()


def test_back_to_the_other_flags_links_again(tree, monkeypatch):
    root, build, _ = tree
    build()
    release = (root / "out" / "engine.so").read_bytes()
    monkeypatch.setenv("WSE_DEBUG", "1")
    build()
    assert (root / "out" / "engine.so").read_bytes() != release
    monkeypatch.delenv("WSE_DEBUG")
    build()
    assert (root / "out" / "engine.so").read_bytes() == release


def test_a_removed_header_and_a_broken_file_are_errors(tree):
    root, build, module = tree
    build()
    (root / "csrc/room/one.h").unlink()
    with pytest.raises(module.BuildError, match=r"one\.h: No such file"):
        build()
    (root / "csrc/room/one.h").write_text("enum { ONE = 1 };\n")
    (root / "csrc/room/two.c").write_text("int two(void) { return }\n")
    with pytest.raises(module.BuildError, match=r"two\.c:1:\d+: error"):
        build()


def test_the_digest_is_in_the_module(tree):
    root, build, module = tree
    build()
    module._content.cache_clear()
    assert module.source_digest().encode() in (root / "out" / "engine.so").read_bytes()


def test_the_binding_is_compiled_for_the_stable_abi_if_asked_for(tree):
    root, build, module = tree
    (root / "binding.c").write_text(
        "#ifdef Py_LIMITED_API\nint stable_3_11[Py_LIMITED_API == 0x030B0000 ? 1 : -1];\n#endif\nint binding;\n"
    )
    build()
    assert b"stable_3_11" not in (root / "out" / "engine.so").read_bytes()

    def link(objects, target, flags):
        subprocess.run(["gcc", "-shared", *objects, "-o", target, *flags], check=True)

    tools = module.Toolchain(compile=["gcc", "-fPIC", "-fvisibility=default"], link=link, include=[])
    module.build(tools, root / "out" / "engine.so", 2, lambda line: None, True)
    assert b"stable_3_11" in (root / "out" / "engine.so").read_bytes()


def test_the_engine_serves_this_and_later_versions_of_python():
    """One file, of the stable ABI, and none that Python would prefer to it."""
    folder = Path(_engine.__file__).parent
    assert [path.name for path in folder.glob("_engine.*.so")] == [Path(_engine.__file__).name]
    if not sysconfig.get_config_var("Py_GIL_DISABLED"):
        assert _engine.__file__.endswith("_engine.abi3.so")
