"""Connections that say nothing are closed. Imports optional_imports; uvicorn inside the function."""

from __future__ import annotations

import asyncio
from typing import Any

from ..optional_imports import import_for

# A client has so long to say what it wants. uvicorn itself waits for ever: a few hundred silent connections would keep everybody out.
HEAD_SECONDS = 5.0


def impatient_http(feature: str, install: str) -> type[asyncio.Protocol]:
    """uvicorn's HTTP protocol, which closes a connection whose first request's head is not whole in time.

    Args:
        feature: that needs uvicorn, as the subject of a sentence.
        install: the command that installs it.
    """
    H11Protocol = import_for(feature, "uvicorn.protocols.http.h11_impl", install).H11Protocol  # noqa: N806 - a class

    class ImpatientHttp(H11Protocol):  # type: ignore[misc, valid-type]
        """A connection that is closed unless it asks for something."""

        def connection_made(self, transport: Any) -> None:
            """Begin to wait."""
            super().connection_made(transport)
            self._patience = self.loop.call_later(HEAD_SECONDS, self._close_unless_asked)

        def connection_lost(self, exc: Exception | None) -> None:
            """Stop waiting."""
            self._patience.cancel()
            super().connection_lost(exc)

        def _close_unless_asked(self) -> None:
            # With a WebSocket the transport has another protocol by now.
            if self.cycle is None and self.transport.get_protocol() is self:
                self.transport.close()

    return ImpatientHttp
