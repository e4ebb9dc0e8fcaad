"""Who may use the server: tokens, one a user, kept as salted hashes in a file. Imports atomic_files, json_input and errors.

A token is ``s2a_ID_SECRET``: the id, 8 letters that are no secret, tells which entry to compare with; the secret is 32 random bytes. What
is random and that long cannot be guessed, so one pass of BLAKE2b with a salt guards it as well as the slow hashes that passwords need, and
costs an attacker's server no time. Secrets are compared in constant time, with a hash of its own where the id is unknown.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import stat
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from ..atomic_files import sole_writer, write_text_atomically
from ..errors import InputError
from ..json_input import Fields, read_json

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_TOKEN = re.compile(r"s2a_([A-Za-z0-9]{8})_([A-Za-z0-9_-]{43})")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_FORMAT = 1
_DAY = 86_400.0


@dataclass(frozen=True)
class TokenEntry:
    """What the file holds of one token: nothing that it could be made from.

    Args:
        id: the part of the token that is no secret.
        name: of the user.
        salt, digest: hexadecimal.
        created, expires: seconds since 1970; 0 for never.
    """

    id: str
    name: str
    salt: str
    digest: str
    created: float
    expires: float = 0.0

    def is_expired(self, now: float) -> bool:
        """Whether its time is over."""
        return 0 < self.expires <= now

    def fits(self, secret: str) -> bool:
        """Whether it is this token's secret; takes the same time whatever it is."""
        return hmac.compare_digest(_digest(secret, self.salt), self.digest)


def _digest(secret: str, salt: str) -> str:
    return hashlib.blake2b(secret.encode("ascii"), salt=bytes.fromhex(salt), digest_size=32).hexdigest()


_NOBODY = TokenEntry("", "", "00" * 16, "00" * 32, 0.0, 1.0)  # compared with where the id is unknown


def token_id(token: str) -> str:
    """The id in what somebody sent as a token, or "" if it has not the form of one."""
    found = _TOKEN.fullmatch(token)
    return found[1] if found else ""


class TokenFile:
    """The tokens in a file, read again when it changes, so that a token that is revoked is so at once.

    Args:
        path: of the file; it is made by the first `add`.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._lock = threading.Lock()
        self._read_at: tuple[int, int, int] | None = None
        self._entries: dict[str, TokenEntry] = {}

    # -- for whoever runs the server ---------------------------------------------------------------------------------------------

    def add(self, name: str, days: float | None = None) -> str:
        """Make a user's token and return it; it is told this once.

        Args:
            name: of the user.
            days: until it expires; None for never.

        Raises:
            InputError: if the user has one already, name or days are none, or another program writes there now.
            OutputError: if the file cannot be written.
        """
        if not _NAME.fullmatch(name):
            raise InputError(f"A user's name is made of up to 64 letters, digits, and . _ @ -, got {name!r}.")
        if days is not None and not 0 < days <= 36_500:
            raise InputError(f"A token expires after 1 to 36500 days, got {days}.")
        with sole_writer(self.path):
            return self._add(name, days)

    def _add(self, name: str, days: float | None) -> str:
        entries = self._load() if self.path.exists() else {}
        now = time.time()
        if any(one.name == name for one in entries.values()):
            raise InputError(f"'{name}' has a token already. Revoke it first.", f"sam2annotate serve token revoke {name}")
        secret = secrets.token_urlsafe(32)
        key = next(key for key in iter(lambda: "".join(secrets.choice(_LETTERS) for _ in range(8)), "") if key not in entries)
        salt = secrets.token_hex(16)
        entry = TokenEntry(key, name, salt, _digest(secret, salt), now, 0.0 if days is None else now + days * _DAY)
        self._store({**entries, key: entry})
        return f"s2a_{key}_{secret}"

    def revoke(self, name: str) -> None:
        """Take a user's token away. Raises InputError if there is none."""
        with sole_writer(self.path):
            entries = self._load()
            kept = {key: one for key, one in entries.items() if one.name != name}
            if len(kept) == len(entries):
                raise InputError(f"'{name}' has no token in '{self.path}'.")
            self._store(kept)

    # -- for the server --------------------------------------------------------------------------------------------------------------

    def entries(self) -> list[TokenEntry]:
        """All tokens, by name.

        Raises:
            InputError: if the file is missing, damaged, or others may write it.
        """
        with self._lock:
            return sorted(self._current().values(), key=lambda one: one.name)

    def user_of(self, token: str) -> TokenEntry | None:
        """Whose token it is; None if it is nobody's, or its time is over."""
        found = _TOKEN.fullmatch(token)
        with self._lock:
            entry = self._current().get(found[1]) if found else None
        fits = (entry or _NOBODY).fits(found[2] if found else "")
        return entry if entry is not None and fits and not entry.is_expired(time.time()) else None

    def knows(self, key: str) -> bool:
        """Whether there is a token with this id, and its time is not over."""
        with self._lock:
            entry = self._current().get(key)
        return entry is not None and not entry.is_expired(time.time())

    def _current(self) -> dict[str, TokenEntry]:
        """The entries as the file has them now. A file that cannot be read lets nobody in."""
        try:
            status = self.path.stat()
        except OSError as exc:
            self._entries, self._read_at = {}, None
            raise self._missing(exc) from exc
        now = (status.st_mtime_ns, status.st_size, status.st_ino)
        if now != self._read_at:
            self._entries, self._read_at = {}, None
            self._entries, self._read_at = self._load(), now
        return self._entries

    def _missing(self, exc: OSError) -> InputError:
        return InputError(
            f"The file of tokens '{self.path}' cannot be read: {exc.strerror}.",
            f"Make a token first: sam2annotate serve token add NAME --token-file {self.path}",
        )

    def _load(self) -> dict[str, TokenEntry]:
        try:
            status = self.path.stat()
        except OSError as exc:
            raise self._missing(exc) from exc
        if os.name == "posix" and status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise InputError(f"Others may write the file of tokens '{self.path}', and so let themselves in.", f"chmod 600 {self.path}")
        try:
            stored = read_json(self.path, "the file of tokens")
        except InputError as exc:  # such as one user's token alone, or any other file
            raise InputError(
                exc.problem, f"Name a file that 'sam2annotate serve token add NAME --token-file {self.path}' is to make."
            ) from exc
        content = Fields(stored, f"the file of tokens '{self.path}'")
        content.require_only("format", "tokens")
        content.whole("format", _FORMAT, _FORMAT)
        entries = {}
        for one in content.objects("tokens"):
            one.require_only("id", "name", "salt", "digest", "created", "expires")
            texts = {name: one.text(name) for name in ("id", "name", "salt", "digest")}
            if not (re.fullmatch("[0-9a-f]{32}", texts["salt"]) and re.fullmatch("[0-9a-f]{64}", texts["digest"])):
                raise InputError(f"The file of tokens '{self.path}' is damaged: salt or digest of '{texts['name']}' are none.")
            entries[texts["id"]] = TokenEntry(**texts, created=one.number("created"), expires=one.number("expires"))
        return entries

    def _store(self, entries: dict[str, TokenEntry]) -> None:
        tokens = [asdict(one) for one in entries.values()]
        if not self.path.exists() and self.path.parent.is_dir() and os.name == "posix":
            os.close(os.open(self.path, os.O_CREAT | os.O_WRONLY, 0o600))  # writing keeps who may read it
        write_text_atomically(self.path, json.dumps({"format": _FORMAT, "tokens": tokens}, indent=1) + "\n")
