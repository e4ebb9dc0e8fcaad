"""Start the server: a safe address, models in memory, tokens that can be read; then serve until stopped. Imports the rest of this room."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError
from ..optional_imports import import_for
from .address import Address
from .app import INSTALL_HINT, make_app
from .limits import Limits
from .log import event, start_logging
from .process import keep_nothing_of_a_crash, run_app
from .seats import Seats
from .tokens import TokenFile

_PING_SECONDS = 20.0


@dataclass(frozen=True)
class Settings:
    """How a server is started.

    Args:
        address: where it listens.
        token_file: of those who may come in.
        limits: what they may ask.
    """

    address: Address
    token_file: Path
    limits: Limits = field(default_factory=Limits)


def serve(settings: Settings, make_seats: Callable[[], Seats], say: Callable[[str], None]) -> None:
    """Serve until the process is told to end (Ctrl+C, SIGTERM).

    Args:
        settings: how.
        make_seats: loads models; called once all else has been checked.
        say: takes lines for whoever started it.

    Raises:
        InputError: if the address is not safe or cannot be had, or there is no token.
        MissingPackageError: if FastAPI or uvicorn are not installed.
    """
    settings.address.require_safe()
    for package in ("uvicorn", "fastapi", "websockets"):
        import_for("Serving a model", package, INSTALL_HINT)
    tokens = TokenFile(settings.token_file)
    users = tokens.entries()
    if not users:
        raise InputError(
            f"There is no token in '{settings.token_file}', so nobody could come in.",
            f"Make one: sam2annotate serve token add NAME --token-file {settings.token_file}",
        )
    keep_nothing_of_a_crash()
    listening = settings.address.listen()
    with contextlib.closing(listening):
        host, port = listening.getsockname()[:2]
        seats = make_seats()
        start_logging()
        app = make_app(seats, tokens, settings.limits, behind_proxy=settings.address.proxy is not None, with_tls=settings.address.has_tls)
        whom = f"{len(users)} users" if len(users) > 1 else users[0].name
        say(f"Lending {', '.join(seats.models)} at {settings.address.shown(listening)} to {whom}. Ctrl+C ends it.")
        scheme = "https" if settings.address.has_tls else "http"
        event("listening", address=host, port=port, scheme=scheme, models=", ".join(seats.models), process=os.getpid())
        run_app(
            "Serving a model",
            INSTALL_HINT,
            app,
            settings.address,
            listening,
            ws="websockets-sansio",
            ws_max_size=settings.limits.largest_message_bytes,
            ws_ping_interval=_PING_SECONDS,
            ws_ping_timeout=_PING_SECONDS,
            limit_concurrency=4 * settings.limits.sessions + 512,
        )
