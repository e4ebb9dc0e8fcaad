"""When an invite was revoked. Imports alembic and SQLAlchemy."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column; nothing was revoked before."""
    op.add_column("invites", sa.Column("revoked", sa.DateTime(timezone=True), nullable=True))
