"""Who comes: cookie, proof that the page is ours, and how often somebody may be wrong. Imports records, `server`'s guesses, problems."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from ...server.guesses import Guesses
from ..records import CrowdRecords, Person
from ..records.people import folded
from ..records.tokens import csrf_of
from .limits import WebLimits
from .problems import RefusedError, not_ours, not_signed_in, too_often

_ACCOUNT_WINDOW_SECONDS = 900.0
_MOST_KNOWN = 10_000


@dataclass(frozen=True)
class Visitor:
    """Somebody who is signed in."""

    person: Person
    token: str

    @property
    def csrf(self) -> str:
        """What their page proves itself with."""
        return csrf_of(self.token)


class Gate:
    """Lets in, and counts who is wrong.

    Args:
        records: of accounts and sessions.
        limits: how often.
        secure: whether the cookie is only ever sent over TLS.
    """

    def __init__(self, records: CrowdRecords, limits: WebLimits, secure: bool):
        self._records = records
        self.secure = secure
        # With TLS under a name that a browser takes from this very host alone.
        self.cookie = "__Host-crowd" if secure else "crowd"
        self._addresses = Guesses(limits.wrong_passwords_per_minute)
        self._accounts = Guesses(limits.wrong_passwords_per_account, window_seconds=_ACCOUNT_WINDOW_SECONDS)
        self._requests = Guesses(limits.requests_per_minute)
        self._known: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def visitor(self, cookies: Mapping[str, str]) -> Visitor:
        """Who is signed in. Raises RefusedError: 401 if nobody is, 429 if they ask too much."""
        token = cookies.get(self.cookie, "")
        person = self._records.session_person(token) if token else None
        if person is None:
            raise not_signed_in()
        key = str(person.id)
        if self._requests.too_many("person", key):
            raise too_often(10)
        self._requests.failed("person", key)
        return Visitor(person, token)

    @staticmethod
    def require_own_page(headers: Mapping[str, str], scheme: str) -> None:
        """Refuse a request that another page made a browser send. Raises RefusedError."""
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise not_ours()
        origin = headers.get("origin")
        if origin is not None and origin.lower() != f"{scheme}://{headers.get('host', '')}".lower():
            raise not_ours()
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise RefusedError(415, "Requests are JSON.")  # which another page's form cannot send

    @staticmethod
    def require_csrf(visitor: Visitor, headers: Mapping[str, str]) -> None:
        """Refuse a request whose page does not know the visitor's proof. Raises RefusedError."""
        if not hmac.compare_digest(headers.get("x-csrf-token", "").encode(), visitor.csrf.encode()):
            raise not_ours()

    def require_patience(self, address: str, name: str) -> None:
        """Refuse a try after too many wrong ones. Raises RefusedError."""
        account, place = _account(name), _place(address)
        if self._addresses.too_many(place, ""):
            raise too_often(60)
        with self._lock:
            known = (place, account) in self._known
        if not known and self._accounts.too_many("", account):
            raise too_often(int(_ACCOUNT_WINDOW_SECONDS))

    def wrong(self, address: str, name: str) -> None:
        """Note a try that was wrong."""
        self._addresses.failed(_place(address), "")
        self._accounts.failed("", _account(name))

    def right(self, address: str, name: str) -> None:
        """Note who signed in from where, so that others' wrong tries do not keep them out."""
        with self._lock:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known.add((_place(address), _account(name)))


def _account(name: str) -> str:
    """What stands for a name where it is counted: short, however long a name somebody sends."""
    return hashlib.sha256(folded(name).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _place(address: str) -> str:
    """Where somebody comes from. Of IPv6 the network, in which one machine has as many addresses as it likes."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)
