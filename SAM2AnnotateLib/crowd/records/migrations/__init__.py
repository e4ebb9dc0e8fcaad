"""The tables' forms, one after another; alembic runs them, see `records.upgrade`. Nothing imports this."""
