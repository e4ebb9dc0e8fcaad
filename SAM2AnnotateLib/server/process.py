"""A process that serves: how it is told of requests, how it ends, and that nothing of it stays. Imports address, impatient; uvicorn inside.

For the server that lends its model, and for that of a crowd.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

from ..optional_imports import import_for
from .address import Address
from .impatient import impatient_http

_STOP_SECONDS = 5


def run_app(feature: str, install: str, app: Any, address: Address, listening: socket.socket, **options: Any) -> None:
    """Serve an application until the process is told to end (Ctrl+C, SIGTERM).

    Args:
        feature: that needs uvicorn, as the subject of a sentence, and how to install it.
        install: the command.
        app: ASGI.
        address: where it listens.
        listening: the socket.
        **options: for uvicorn, such as `limit_concurrency`.
    """
    uvicorn = import_for(feature, "uvicorn", install)
    keep_nothing_of_a_crash()
    config = uvicorn.Config(
        app,
        http=impatient_http(feature, install),
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=address.proxy is not None,
        forwarded_allow_ips=address.proxy or "",
        timeout_graceful_shutdown=_STOP_SECONDS,
        ssl_certfile=address.certificate,
        ssl_keyfile=address.key,
        **options,
    )
    with _quiet_end():
        uvicorn.Server(config).run(sockets=[listening])


@contextlib.contextmanager
def _quiet_end() -> Iterator[None]:
    """uvicorn raises what it was stopped by once more."""
    try:
        yield
    except KeyboardInterrupt:
        return


def keep_nothing_of_a_crash() -> None:
    """No memory image of this process on disk: it holds pictures of patients."""
    with contextlib.suppress(ImportError, ValueError, OSError):  # Windows writes none unless told to
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
