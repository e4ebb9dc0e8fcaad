"""All sessions: who may begin one, go on with one, and when one is over. Imports session, tokens and below."""

from __future__ import annotations

import secrets
import threading
import time

from ..errors import SAM2AnnotateError
from ..worker.wire import Refusal
from .limits import Limits
from .log import event, mark_of
from .metrics import Metrics
from .seats import Seats
from .session import Session
from .tokens import TokenEntry, TokenFile
from .uploads import MemoryBudget

_JOIN_SECONDS = 10.0


class RefusedError(SAM2AnnotateError):
    """The server does not let somebody in; carries why."""

    def __init__(self, refusal: Refusal, problem: str = ""):
        super().__init__(problem or refusal.problem, refusal.remedy)
        self.refusal = refusal


class Sessions:
    """The sessions of a server.

    Args:
        seats: where they compute.
        limits: what they may ask.
        metrics: counts.
    """

    def __init__(self, seats: Seats, limits: Limits, metrics: Metrics):
        self._seats, self._limits, self._metrics = seats, limits, metrics
        self.budget = MemoryBudget(limits.volumes_bytes, limits.volumes_per_user_bytes)
        self._open: dict[str, Session] = {}
        self._lock = threading.Lock()

    def begin(self, user: TokenEntry) -> Session:
        """A new session. Sessions that wait for a client that may never come back make room, the one that has waited longest first.

        Raises:
            RefusedError: if there is no room.
        """
        with self._lock:
            own = [session for session in self._open.values() if session.user == user.id]
            if len(own) >= self._limits.sessions_per_user:
                self._make_room(own, f"{user.name} has {len(own)} sessions already, as many as one user may have.")
            if len(self._open) >= self._limits.sessions:
                self._make_room(list(self._open.values()), f"The server has {len(self._open)} sessions already, as many as it takes.")
            key = secrets.token_urlsafe(32)
            session = self._open[key] = Session(key, user.id, user.name, self._seats, self.budget, self._limits, self._metrics)
        self._metrics.count("sessions_total")
        event("session_began", session=mark_of(key), user=user.name)
        return session

    def go_on(self, key: str, user: TokenEntry) -> Session:
        """A session whose connection broke.

        Raises:
            RefusedError: if there is none of this key, or it is another user's: nobody learns which.
        """
        with self._lock:
            session = self._open.get(key)
        if session is None or session.user != user.id:
            raise RefusedError(Refusal.EXPIRED)
        self._metrics.count("resumed_total")
        event("session_resumed", session=mark_of(key), user=user.name)
        return session

    def end(self, session: Session, refusal: Refusal | None = None, reason: str = "") -> None:
        """End one."""
        with self._lock:
            self._open.pop(session.key, None)
        if refusal is not None:
            self._metrics.count("refused_total", reason=refusal.name.lower())
        session.end(refusal, reason)

    def look_after(self, tokens: TokenFile) -> None:
        """To be called each second: signs of life, and the end of what is over."""
        now = time.monotonic()
        with self._lock:
            sessions = list(self._open.values())
        for session in sessions:
            if not self._is_allowed(session, tokens):
                self.end(session, Refusal.TOKEN)
            elif not session.is_connected and now - session.left_at > self._limits.resume_seconds:
                self.end(session, Refusal.EXPIRED)
            elif not session.is_busy and now - session.asked_at > self._limits.idle_seconds:
                self.end(session, Refusal.IDLE)
            else:
                session.beat()

    def figures(self) -> dict[str, float]:
        """For the metrics."""
        with self._lock:
            sessions = list(self._open.values())
        return {
            "sessions": len(sessions),
            "connections": sum(session.is_connected for session in sessions),
            "volumes_bytes": self.budget.taken_bytes,
            "volumes_limit_bytes": self.budget.limit_bytes,
            "embeddings_limit_bytes": self._limits.embeddings_bytes,
        }

    def close(self) -> None:
        """End all, and wait until none computes any more."""
        with self._lock:
            sessions, self._open = list(self._open.values()), {}
        for session in sessions:
            session.end(Refusal.STOPPING)
        for session in sessions:
            session.join(_JOIN_SECONDS)

    @staticmethod
    def _is_allowed(session: Session, tokens: TokenFile) -> bool:
        try:
            return tokens.knows(session.user)
        except SAM2AnnotateError:  # the file is gone or damaged: nobody is let in, and nobody stays
            return False

    def _make_room(self, sessions: list[Session], problem: str) -> None:
        left = [session for session in sessions if not session.is_connected]
        if not left:
            raise RefusedError(Refusal.TOO_MANY, problem)
        oldest = min(left, key=lambda session: session.left_at)
        del self._open[oldest.key]
        oldest.end(Refusal.EXPIRED)
