"""Options of the suite; refuses to run on a package or an engine that was built from other sources.

`--engine-threads N` gives every fabric at least N host threads, `--engine-reference` turns every fast path of the engine
off: all tests must pass with either.
"""

import gc
import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings
from outdated import reason

TESTS = Path(__file__).resolve().parent
# The selection of `make fast`: files and folders with tests of all parts of the engine and of the builder.
FAST = (
    "engine/test_deadlock.py",
    "engine/test_dsd.py",
    "engine/test_fifo.py",
    "engine/test_queue.py",
    "engine/test_task.py",
    "kernels/test_axpy.py",
    "machine/test_isa.py",
    "machine/test_parameters.py",
    "models/test_config.py",
    "program/",
    "fabric/test_copies.py",
    "fabric/test_diagnosis.py",
    "fabric/test_fabric.py",
    "csl/test_diagnostics.py",
    "test_layers.py",
    "test_mirror.py",
)

# A shell ignores interrupts in what it runs in the background, and nohup hangups; the commands that tests start would
# inherit that.
for _name, _handler in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
    if hasattr(signal, _name) and signal.getsignal(getattr(signal, _name)) is signal.SIG_IGN:
        signal.signal(getattr(signal, _name), _handler)

pytest.register_assert_rewrite("says", "layer_bounds")
settings.register_profile("wse", deadline=None, print_blob=True)
settings.register_profile("ci", settings.get_profile("wse"), derandomize=True)  # the same examples every time
settings.load_profile("ci" if os.environ.get("CI") else "wse")


def pytest_addoption(parser):
    parser.addoption(
        "--engine-threads", type=int, default=1, metavar="N", help="host threads of every fabric, at least"
    )
    parser.addoption(
        "--engine-vectors",
        choices=["base", "avx2"],
        help="vectors of the host that fabrics use at most, unless a test says",
    )
    parser.addoption(
        "--engine-reference", action="store_true", help="every fabric without fast paths, unless a test says which"
    )


def with_engine(least: int, reference: bool, portable: bool | str) -> None:
    """Sets the least number of host threads of all fabrics made later; reference, portable: see Fabric.  All threads
    step every part of a run, also where one would be faster: the tests are for what they do."""
    from wse.fabric.fabric import Fabric

    plain = Fabric.__init__

    def init(self, program, threads=1, *others, **named):
        given = type(threads) is int and threads > 0  # what is refused stays refused
        named.setdefault("reference", reference)
        named.setdefault("portable", portable)
        named.setdefault("team", "all")
        plain(self, program, max(threads, least) if given else threads, *others, **named)

    Fabric.__init__ = init


def pytest_configure(config):
    try:
        import wse
        from wse import _engine
    except ImportError as error:
        pytest.exit(f"wse cannot be imported: {error}", returncode=2)
    threads, reference = config.getoption("--engine-threads"), config.getoption("--engine-reference")
    vectors = {None: False, "base": True, "avx2": "avx2"}[config.getoption("--engine-vectors")]
    with_engine(threads, reference, vectors)
    if not hasattr(config, "workerinput"):  # once, not in each worker of pytest-xdist
        why = reason(Path(wse.__file__).parent, getattr(_engine, "SOURCES", ""))
        if why:
            pytest.exit(why, returncode=2)


def is_fast(path):
    """Whether a file belongs to the fast selection."""
    return path.is_relative_to(TESTS) and path.relative_to(TESTS).as_posix().startswith(FAST)


def pytest_ignore_collect(collection_path, config):
    """With `-m fast`, other files are not imported: collecting all tests takes as long as running these."""
    if config.option.markexpr == "fast" and collection_path.is_file() and not is_fast(collection_path):
        return True
    return None


def pytest_collection_modifyitems(items):
    for item in items:
        if is_fast(item.path):
            item.add_marker(pytest.mark.fast)
        if item.get_closest_marker("kills_workers"):
            item.add_marker(pytest.mark.usefixtures("leftovers"))
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))


@pytest.fixture
def leftovers():
    """Coroutines of Dask that spoke with a killed process may end with an exception that Dask does not retrieve.  It is
    reported when they are collected: here, not in a later test."""
    yield
    gc.collect()
