"""What a server gives at most, stated in one place. Imports errors."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

from ..errors import InputError
from ..worker.wire import LARGEST_FRAME_BYTES


@dataclass(frozen=True)
class Limits:
    """Everything that a user could ask too much of.

    Args:
        sessions: at once, over all users.
        sessions_per_user: at once.
        idle_seconds: a session ends after so long without a request.
        resume_seconds: a session whose connection broke waits so long for its user.
        stalled_upload_seconds: an upload fails after so long without a chunk; requests behind it go on.
        embeddings_bytes: memory for embeddings of all sessions together. One that was just made stays even if it alone takes more.
        volumes_bytes: memory for voxels of all sessions together, 8 bit each.
        volumes_per_user_bytes: memory for voxels of one user's sessions together.
        largest_volume_bytes: voxels of one volume.
        largest_message_bytes: of JSON.
        largest_plain_message_bytes: of a message that is not mainly one file; lists of numbers take ten times their JSON in memory.
        waiting_requests: of one session.
        requests_per_second: of one session, in the long run; `requests_at_once` in a burst.
        malformed_messages: a session ends after so many.
        failed_tokens_per_minute: of one address.
    """

    sessions: int = 16
    sessions_per_user: int = 4
    idle_seconds: float = 1800.0
    resume_seconds: float = 300.0
    stalled_upload_seconds: float = 60.0
    embeddings_bytes: int = 2048 << 20
    volumes_bytes: int = 4096 << 20
    volumes_per_user_bytes: int = 2048 << 20
    largest_volume_bytes: int = 1024 << 20
    largest_message_bytes: int = LARGEST_FRAME_BYTES
    largest_plain_message_bytes: int = 16 << 20
    waiting_requests: int = 64
    requests_per_second: float = 50.0
    requests_at_once: int = 200
    malformed_messages: int = 20
    failed_tokens_per_minute: int = 10

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise InputError(f"The limit {field.name} must be above 0, got {value}.")

    def to_json(self) -> dict[str, float]:
        """By name, for the client."""
        return asdict(self)
