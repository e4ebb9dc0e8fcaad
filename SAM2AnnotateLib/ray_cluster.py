"""A connection to a Ray cluster, for studies and servers. Imports errors, optional_imports and processors; ray inside the function."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import threading
from collections.abc import Iterator
from types import ModuleType

from .errors import WorkerError
from .optional_imports import import_for
from .processors import cores_here

INSTALL_HINT = 'pip install "ray>=2.9"'
_CONNECT_SECONDS = 10.0
_REASON_LENGTH = 300  # characters of an error of Ray's, which may have pages


@contextlib.contextmanager
def cluster(address: str, workers: int | None = None) -> Iterator[ModuleType]:
    """Ray, connected to the cluster, for as long as the context lasts.

    Args:
        address: of the cluster ("10.0.0.1:6379", "auto" for the one of this machine); "local" starts one for this process, here.
        workers: cores of a local one; None takes all.

    Raises:
        WorkerError: if no cluster answers.
        MissingPackageError: if Ray is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read at import: nothing is to be reported from a hospital
    if address == "local":
        os.environ.setdefault("RAY_worker_niceness", "0")  # the work is what the machine is to do: Ray's own 15 would starve it
    in_main_thread = threading.current_thread() is threading.main_thread()
    on_term = signal.getsignal(signal.SIGTERM)
    ray = import_for("Running on a cluster", "ray", INSTALL_HINT)
    _require_answer(address)
    # Of a local cluster only: a cluster that runs already has its own.
    local = {"num_cpus": workers or cores_here(), "include_dashboard": False} if address == "local" else {}
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", configure_logging=False, **local)
    except (ConnectionError, ValueError, RuntimeError) as exc:
        raise _no_answer(address, exc) from exc
    try:
        if in_main_thread and on_term is not None:
            signal.signal(signal.SIGTERM, on_term)  # ray puts its own in place, which exits with another code
        yield ray
    finally:
        ray.shutdown()


def _require_answer(address: str) -> None:
    """Raise WorkerError if nothing listens at HOST:PORT: Ray would wait for long, and then end this process without a word."""
    found = re.fullmatch(r"(?:ray://)?(.+):(\d+)", address)
    if found is None:
        return
    try:
        socket.create_connection((found[1], int(found[2])), _CONNECT_SECONDS).close()
    except (OSError, OverflowError) as exc:
        raise _no_answer(address, exc) from exc


def _no_answer(address: str, exc: Exception) -> WorkerError:
    reason = " ".join(str(exc).split())[:_REASON_LENGTH]
    return WorkerError(
        f"No Ray cluster answers at '{address}' ({reason}). Start one with 'ray start --head', or use 'local' for this machine alone."
    )
