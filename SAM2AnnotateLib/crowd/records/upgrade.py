"""The database's form, brought up to this version. Imports alembic, database and tables."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from ...errors import InputError, OutputError
from .database import Database

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 0x53414D32  # any number that all versions share


def upgrade(database: Database, versions: Path | None = None, may_upgrade: bool = True) -> str | None:
    """Make the tables, or bring them to this version's form, all or nothing.

    Args:
        database: a SQLite file is made if it is missing.
        versions: folder of the migrations; the program's own by default.
        may_upgrade: False refuses an older form; a database without tables gets them all the same.

    Returns:
        The copy that was made of a SQLite file before it was changed; None if none was.

    Raises:
        InputError: if the database is newer than this program, or holds something else, or is older and may not be upgraded.
        OutputError: if it cannot be written; it is as it was then.
    """
    database.create_file()
    config = _config(versions)
    script = ScriptDirectory.from_config(config)
    with database.connection() as connection:
        if not database.is_sqlite:  # two servers that start at once
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        current = MigrationContext.configure(connection).get_current_revision()
        if current is not None and current not in {one.revision for one in script.walk_revisions()}:
            raise InputError(
                f"The database '{database.shown}' was made by a newer version of SAM2Annotate (its form is '{current}'). Use that version."
            )
        if current is None and "people" in inspect(connection).get_table_names():
            raise InputError(f"The database '{database.shown}' holds tables of something else. Give another one.")
        if current == script.get_current_head():
            return None
        if current is not None and not may_upgrade:
            raise InputError(
                f"The database '{database.shown}' has the form of an older version of SAM2Annotate ('{current}').",
                "Stop the server of that version, then start this one's, which upgrades it: sam2annotate crowd serve FOLDER",
            )
        copy = _copied(database, current) if current is not None else None
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return copy


def _config(versions: Path | None) -> Config:
    config = Config()
    config.set_main_option("script_location", _MIGRATIONS.as_posix().replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.set_main_option("version_locations", (versions or _MIGRATIONS / "versions").as_posix().replace("%", "%%"))
    return config


def _copied(database: Database, revision: str) -> str | None:
    if database.file is None:
        return None
    copy = database.file.with_name(f"{database.file.name}.before-{revision}")
    try:
        copy.unlink(missing_ok=True)
        copy.touch(mode=0o600)
        with closing(sqlite3.connect(database.file)) as old, closing(sqlite3.connect(copy)) as new:
            old.backup(new)
    except (OSError, sqlite3.Error) as exc:
        raise OutputError(f"The database '{database.shown}' could not be copied before its upgrade: {exc}. Nothing was changed.") from exc
    return str(copy)
