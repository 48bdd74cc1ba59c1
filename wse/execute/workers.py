"""Worker processes: a local Dask cluster, or an existing one.

Sweeps and data-parallel training use it.  Dask is imported only when a cluster is requested.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING

from ..errors import ConfigError

if TYPE_CHECKING:
    from distributed import Client, Security

CONNECT_SECONDS = 10
EXTRA = "pip install 'wse[sweep]'"


@contextmanager
def cluster(workers: int | None = None, scheduler: str | None = None) -> Iterator[Client]:
    """A context manager that yields a client of a Dask cluster.

    workers: single-threaded processes of a local cluster, by default one per available processor; they end with the
    block.  scheduler: address of an existing cluster, such as tcp://host:8786, which keeps running.

    A worker process that dies is replaced.  Terminal signals reach this process only.  Connections within a local
    cluster are encrypted with a key that only this process has.  Raises ConfigError if Dask is not installed, no
    scheduler answers at the address, or `workers` is invalid.
    """
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise ConfigError(f"this needs {error.name}: {EXTRA}") from None
    if scheduler is not None:
        if workers is not None:
            raise ConfigError("the cluster at --scheduler has its own number of workers: leave --workers out")
        with _connect(scheduler) as client:
            yield client
        return
    count = len(os.sched_getaffinity(0)) if workers is None else workers
    if count < 1:
        raise ConfigError(f"a cluster has at least one worker, not {count}")
    settings = {"distributed.admin.log-format": "%(message)s", "distributed.worker.daemon": True}
    with dask.config.set(settings), _signals_blocked():
        made = LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",
            memory_limit=0,
            silence_logs=logging.CRITICAL,
            security=_security(),
        )
    with made, Client(made) as client:
        yield client


def _connect(scheduler: str) -> Client:
    """A client of the cluster at this address.  Raises ConfigError if none answers.

    The finalizer of a client that could not connect closes it, for which it takes the lock of Dask's event loops.  It
    is called here, which leaves nothing for a later call: the client could be collected while another one starts in
    the same thread and has that lock, which hangs.
    """
    from distributed import Client

    client = object.__new__(Client)
    try:
        Client.__init__(client, scheduler, timeout=CONNECT_SECONDS)
    except BaseException as error:
        client.__del__()
        if isinstance(error, TypeError):  # Dask's, for an address tls://... without a key
            why = "give its certificate and key in Dask's configuration, distributed.comm.tls"
        elif isinstance(error, (OSError, TimeoutError, ValueError)):
            why = str(error)
        else:
            raise
    else:
        return client
    raise ConfigError(f"no Dask scheduler answers at {scheduler}: {why}")


def _security() -> Security:
    """TLS with a temporary key.  Without it, every local user could connect to the cluster's ports and run code in the
    workers."""
    from distributed.security import Security

    try:
        return Security.temporary()
    except ImportError as error:
        raise ConfigError(f"this needs cryptography: {EXTRA}") from error


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Blocks SIGINT and SIGHUP in threads and processes started within the block.

    A terminal sends these signals to all processes of its group.  The thread that starts and replaces workers inherits
    the mask, and so do the workers; this process ends them.
    """
    resource_tracker.ensure_running()  # starting it unblocks SIGINT, so it must run already
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
