"""Start the crowd's server: a safe address, projects that can be read, a database of this version's form. Imports the rest of this room."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence

from ...errors import InputError
from ...optional_imports import import_for
from ...server.address import Address
from ...server.log import event, start_logging
from ...server.process import run_app
from ..project import CrowdProject
from ..records import CrowdRecords
from .app import FEATURE, INSTALL_HINT, make_app
from .limits import WebLimits
from .service import CrowdService

DEFAULT_PORT = 8780


def serve(
    records: CrowdRecords, projects: Sequence[CrowdProject], address: Address, say: Callable[[str], None], limits: WebLimits | None = None
) -> None:
    """Serve until the process is told to end (Ctrl+C, SIGTERM).

    Args:
        records: open; closed by whoever opened them.
        projects: read already.
        address: where to listen.
        say: takes lines for whoever started it.
        limits: what may be asked.

    Raises:
        InputError: if the address is not safe or cannot be had, or a project does not fit.
        MissingPackageError: if FastAPI or uvicorn are not installed.
    """
    address.require_safe()
    for package in ("uvicorn", "fastapi"):
        import_for(FEATURE, package, INSTALL_HINT)
    if not records.database.is_private():
        raise InputError(f"Others may write the database '{records.database.shown}'.", f"chmod 600 {records.database.shown}")
    limits = limits or WebLimits()
    service = CrowdService(records, projects)
    listening = address.listen()
    with contextlib.closing(listening):
        start_logging()
        app = make_app(service, limits=limits, secure=address.has_tls or address.proxy is not None, with_tls=address.has_tls)
        host, port = listening.getsockname()[:2]
        titles = ", ".join(one.title for one in projects)
        say(f"Serving {titles} at {address.shown(listening)}/. Ctrl+C ends it.")
        event("listening", address=host, port=port, scheme="https" if address.has_tls else "http", process=os.getpid())
        run_app(FEATURE, INSTALL_HINT, app, address, listening, ws="none", limit_concurrency=limits.connections, date_header=False)
