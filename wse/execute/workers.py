"""Worker processes: a Dask cluster on this computer, or one that is there.

Sweeps and data-parallel training run on it.  Dask is imported when a cluster is asked for, and not before.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..errors import ConfigError

if TYPE_CHECKING:
    from distributed import Client

CONNECT_SECONDS = 10
EXTRA = "pip install 'wse[sweep]'"


@contextmanager
def cluster(workers: int | None = None, scheduler: str | None = None) -> Iterator[Client]:
    """A client of a Dask cluster: of `workers` processes on this computer, of one thread each (default: as many as this
    process may use processors), which end with the block; or of the one whose scheduler is at `scheduler`, an address
    such as tcp://host:8786, which goes on.

    A worker process that dies is replaced.  Ctrl-C reaches this process alone.  ConfigError where Dask is not installed
    or nobody answers at the address.
    """
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise ConfigError(f"this needs {error.name}: {EXTRA}") from None
    if scheduler is not None:
        if workers is not None:
            raise ConfigError("the cluster at --scheduler has its own number of workers: leave --workers out")
        try:
            client = Client(scheduler, timeout=CONNECT_SECONDS)
        except (OSError, TimeoutError, ValueError) as error:
            raise ConfigError(f"no Dask scheduler answers at {scheduler}: {error}") from None
        with client:
            yield client
        return
    count = len(os.sched_getaffinity(0)) if workers is None else workers
    if count < 1:
        raise ConfigError(f"a cluster has at least one worker, not {count}")
    settings = {"distributed.admin.log-format": "%(message)s", "distributed.worker.daemon": True}
    with dask.config.set(settings), _interrupts_ignored():
        made = LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",
            memory_limit=0,
            silence_logs=logging.CRITICAL,
        )
    with made, Client(made) as client:
        yield client


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Processes that are started here do not hear Ctrl-C; the one that started them tells them what to do."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
