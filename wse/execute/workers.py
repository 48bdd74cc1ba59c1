"""Worker processes: a Dask cluster on this computer, or one that is there.

Sweeps and data-parallel training run on it.  Dask is imported when a cluster is asked for, and not before.
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
    """A client of a Dask cluster: of `workers` processes on this computer, of one thread each (default: as many as this
    process may use processors), which end with the block; or of the one whose scheduler is at `scheduler`, an address
    such as tcp://host:8786, which goes on.

    A worker process that dies is replaced.  Signals of the terminal reach this process alone.  Connections to the
    cluster on this computer are encrypted, and only this process has the key.  ConfigError where Dask is not installed
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
        except TypeError as error:  # Dask's, for an address tls://... without a key
            raise ConfigError(
                f"no Dask scheduler answers at {scheduler}: give its certificate and key in Dask's configuration, "
                "distributed.comm.tls"
            ) from error
        except (OSError, TimeoutError, ValueError) as error:
            raise ConfigError(f"no Dask scheduler answers at {scheduler}: {error}") from None
        with client:
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


def _security() -> Security:
    """TLS with a key made for this cluster: without it, whoever may connect to a port of this computer, such as another
    user, could run code in the workers."""
    from distributed.security import Security

    try:
        return Security.temporary()
    except ImportError as error:
        raise ConfigError(f"this needs cryptography: {EXTRA}") from error


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Threads and processes that are started in the block do not receive SIGINT and SIGHUP, which a terminal sends to
    all its processes.  The thread that starts workers, and replaces those that die, is among them; this process tells
    them when to end."""
    resource_tracker.ensure_running()  # a thread that starts it later would unblock SIGINT
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
