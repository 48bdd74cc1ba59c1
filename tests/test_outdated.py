"""The suite refuses a package or an engine made from other sources, and says what to do."""

import shutil

import pytest
from outdated import ROOT, build_engine, reason


@pytest.fixture
def checkout(tmp_path):
    """A copy of the sources, as (its root, a copy of its package as pip would install it, the engine's digest)."""
    root = tmp_path / "checkout"
    ignore = shutil.ignore_patterns("__pycache__", "*.so")
    for folder in ("csrc", "wse"):
        shutil.copytree(ROOT / folder, root / folder, ignore=ignore)
    shutil.copy(ROOT / "setup.py", root)
    package = tmp_path / "site-packages" / "wse"
    shutil.copytree(root / "wse", package, ignore=shutil.ignore_patterns("*.pyx", "*.pxd"))
    return root, package, build_engine(root).source_digest()


def test_equal_sources_are_accepted(checkout):
    root, package, digest = checkout
    assert reason(package, digest, root) is None
    assert reason(root / "wse", digest, root) is None


@pytest.mark.parametrize("name", ["wse/kernels/axpy.py", "wse/models/families.toml", "wse/csl/lib/math.csl"])
def test_an_edited_file_of_the_package_is_noticed(checkout, name):
    root, package, digest = checkout
    (root / name).write_text((root / name).read_text() + "\n")
    why = reason(package, digest, root)
    assert name.removeprefix("wse/") in why and "pip install ." in why
    assert reason(root / "wse", digest, root) is None  # an editable install imports the checkout's own files


def test_a_file_that_is_new_or_gone_is_noticed(checkout):
    root, package, digest = checkout
    (root / "wse" / "new.py").write_text("")
    assert "new.py (not installed)" in reason(package, digest, root)
    (root / "wse" / "new.py").unlink()
    (root / "wse" / "kernels" / "axpy.py").unlink()
    assert "kernels/axpy.py (not in the checkout)" in reason(package, digest, root)


@pytest.mark.parametrize("name", ["csrc/router/switch.c", "csrc/tables/isa.def", "csrc/wse.h", "wse/_engine.pyx"])
def test_an_edited_source_of_the_engine_is_noticed(checkout, name):
    root, package, digest = checkout
    (root / name).write_text((root / name).read_text() + "\n")
    assert "pip install ." in reason(package, digest, root)
    assert "build_ext --inplace" in reason(root / "wse", digest, root)


def test_the_engine_knows_its_sources():
    from wse import _engine

    assert build_engine().source_digest() == _engine.SOURCES
