"""Stops the session when the engine that would be tested is not the one of these sources.

`--engine-threads N` gives every fabric at least N host threads: all that is asserted must hold for any number.
"""

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

pytest.register_assert_rewrite("says")
settings.register_profile("wse", deadline=None, print_blob=True)
settings.register_profile("ci", settings.get_profile("wse"), derandomize=True)  # the same examples every time
settings.load_profile("ci" if os.environ.get("CI") else "wse")


def pytest_addoption(parser):
    parser.addoption(
        "--engine-threads", type=int, default=1, metavar="N", help="host threads of every fabric, at least"
    )


def with_threads(least: int) -> None:
    """From now on fabrics have at least so many host threads."""
    from wse.fabric.fabric import Fabric

    plain = Fabric.__init__

    def init(self, program, threads=1, *others, **named):
        given = type(threads) is int and threads > 0  # what is refused stays refused
        plain(self, program, max(threads, least) if given else threads, *others, **named)

    Fabric.__init__ = init


def pytest_configure(config):
    try:
        import wse
    except ImportError as error:
        pytest.exit(f"wse cannot be imported: {error}", returncode=2)
    if config.getoption("--engine-threads") > 1:
        with_threads(config.getoption("--engine-threads"))
    # An installed package has an engine of its own; in the checkout, the engine may be older than its sources.
    if Path(wse.__file__).resolve().parent != ROOT / "wse":
        return
    built = Path(wse._engine.__file__).stat().st_mtime
    sources = [*ROOT.glob("csrc/**/*.[ch]"), *ROOT.glob("csrc/**/*.def"), *ROOT.glob("wse/_engine.p*[xd]")]
    newer = sorted(str(path.relative_to(ROOT)) for path in sources if path.stat().st_mtime > built)
    if newer:
        pytest.exit(
            f"the engine is older than {', '.join(newer)}; run: python setup.py build_ext --inplace", returncode=2
        )
