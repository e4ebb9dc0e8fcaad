"""Passwords as argon2 hashes, with a bound on what guessing may cost the server. Imports errors and (inside functions) argon2."""

from __future__ import annotations

import threading
import unicodedata

from ...errors import InputError, OutputError
from ...optional_imports import import_for

SHORTEST, LONGEST = 10, 256
_AT_ONCE = 2  # each takes `memory_kib`: however many people sign in at once, memory and processors are bounded
_PATIENCE_SECONDS = 20.0


class Passwords:
    """Hashes and checks passwords.

    Args:
        memory_kib: that one hash takes.
        time_cost: passes over it.

    Raises:
        MissingPackageError: if argon2-cffi is not installed.
    """

    def __init__(self, memory_kib: int = 65_536, time_cost: int = 3):
        argon2 = import_for("Accounts with passwords", "argon2", "pip install argon2-cffi")
        self._hasher = argon2.PasswordHasher(time_cost=time_cost, memory_cost=memory_kib, parallelism=1)
        self._wrong = (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError)
        self._turns = threading.BoundedSemaphore(_AT_ONCE)
        self._nobody = self._hasher.hash("of nobody")

    def hash(self, password: str, name: str = "") -> str:
        """The hash to keep. Raises InputError if the password is too short or long, or the name."""
        if not SHORTEST <= len(password) <= LONGEST:
            raise InputError(
                f"A password has {SHORTEST} to {LONGEST} letters.", "Several words in a row are easy to keep and hard to guess."
            )
        if password.casefold() == name.casefold() or len(set(password)) < 4:
            raise InputError(
                "That password is the first that others would try.", "Several words in a row are easy to keep and hard to guess."
            )
        with self._turn():
            return self._hasher.hash(_bytes(password))

    def fits(self, password: str, kept: str) -> bool:
        """Whether it is the password of this hash; takes the same time where there is none ("")."""
        if len(password) > LONGEST:
            return False
        with self._turn():
            try:
                return self._hasher.verify(kept or self._nobody, _bytes(password)) and bool(kept)
            except self._wrong:
                return False

    def _turn(self) -> _Turn:
        return _Turn(self._turns)


class _Turn:
    """One of the few that hash at once; whoever waits too long is sent away."""

    def __init__(self, turns: threading.Semaphore):
        self._turns = turns

    def __enter__(self) -> None:
        if not self._turns.acquire(timeout=_PATIENCE_SECONDS):
            raise OutputError("Too many people sign in at once.", "Try again in a minute.")

    def __exit__(self, *_: object) -> None:
        self._turns.release()


def _bytes(password: str) -> bytes:
    """The same bytes however a keyboard composes its letters."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
