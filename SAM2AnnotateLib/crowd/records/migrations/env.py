"""What alembic runs: migrations on the connection that `records.upgrade` gives. Imports alembic and tables."""

from __future__ import annotations

from alembic import context

from SAM2AnnotateLib.crowd.records.tables import Base

if hasattr(context, "config"):  # there while alembic runs this file; imported by anything else, it does nothing
    context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata, transactional_ddl=True)
    context.run_migrations()
