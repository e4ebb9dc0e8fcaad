"""What the crowd's server gives at most. Imports errors."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ...errors import InputError


@dataclass(frozen=True)
class WebLimits:
    """Everything that somebody could ask too much of.

    Args:
        body_bytes: of one request.
        body_seconds: that a body may take to come.
        wrong_passwords_per_minute: from one address.
        wrong_passwords_per_account: in a quarter of an hour, from wherever; who signed in from their address before is not kept out by it.
        requests_per_minute: of one person.
        waiting_sign_ins: people who wait for their password to be checked; more are told to come back.
        connections: at once.
    """

    body_bytes: int = 64 << 10
    body_seconds: float = 20.0
    wrong_passwords_per_minute: int = 10
    wrong_passwords_per_account: int = 20
    requests_per_minute: int = 1200
    waiting_sign_ins: int = 40
    connections: int = 1000

    def __post_init__(self) -> None:
        for one in fields(self):
            if not getattr(self, one.name) > 0:
                raise InputError(f"The limit {one.name} must be above 0, got {getattr(self, one.name)}.")
