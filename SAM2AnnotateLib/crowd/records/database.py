"""A database behind an address: SQLite by a path, anything else as SQLAlchemy takes it. Imports SQLAlchemy, errors.

Two kinds of transactions: `read`, and `write`, in which writers of one database come one after another where it matters: SQLite lets one
writer in at a time (``BEGIN IMMEDIATE``), PostgreSQL is asked for the project's row (``SELECT ... FOR UPDATE``). Whatever a database says
of itself becomes one `OutputError`; a write that raised changed nothing.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from ...errors import InputError, MissingPackageError, OutputError

BUSY_SECONDS = 10.0
_KINDS = ("sqlite", "postgresql")


class Database:
    """Connections to one database.

    Args:
        address: a path of a SQLite file, ``sqlite://`` for one in memory, or ``postgresql://USER:PASSWORD@HOST/NAME``.
        durable: whether a commit waits until the disk has it. Only simulations, whose answers can be made again, do without.
        busy_seconds: how long a writer waits for another.

    Raises:
        InputError: if the address is none, or of another kind of database.
        MissingPackageError: if its driver is not installed.
    """

    def __init__(self, address: str | Path, durable: bool = True, busy_seconds: float = BUSY_SECONDS):
        self.url = _url(address)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        options: dict[str, Any] = {}
        if self.is_sqlite:
            options["connect_args"] = {"timeout": busy_seconds, "check_same_thread": False}
            if not self.file:
                options["poolclass"] = StaticPool
        else:
            options["connect_args"] = {"connect_timeout": 10, "options": f"-c lock_timeout={int(1000 * busy_seconds)}"}
            options["pool_pre_ping"] = True
        if self.file or not self.is_sqlite:
            options |= {"pool_size": 10, "max_overflow": 30, "pool_timeout": busy_seconds}
        try:
            self.engine: Engine = create_engine(self.url, **options)
        except (NoSuchModuleError, ModuleNotFoundError) as exc:
            raise MissingPackageError(
                f"The database '{self.shown}' needs a driver that is not installed ({exc}).",
                "Install it with: pip install 'psycopg[binary]'",
            ) from exc
        if self.is_sqlite:
            _prepare_sqlite(self.engine, durable)
        self._writing = self.engine.execution_options(writing=True)

    @property
    def file(self) -> Path | None:
        """The SQLite file; None for one in memory and for a server."""
        return Path(self.url.database) if self.is_sqlite and self.url.database and self.url.database != ":memory:" else None

    @property
    def shown(self) -> str:
        """The address without its password."""
        return str(self.file) if self.file else self.url.render_as_string(hide_password=True)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that only reads."""
        with self._translated("read"), Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that is committed once its body is through. Raises OutputError if that failed; nothing was changed then."""
        with self._translated("written"), Session(self._writing, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A writing transaction for migrations."""
        with self._translated("written"), self._writing.connect() as connection, connection.begin():
            yield connection

    def create_file(self) -> None:
        """Make a SQLite file for its owner's eyes alone. Raises OutputError."""
        if self.file is None:
            return
        try:
            if not self.file.exists():
                os.close(os.open(self.file, os.O_CREAT | os.O_WRONLY, 0o600))
        except OSError as exc:
            raise OutputError(f"Cannot make the database '{self.file}': {exc.strerror or exc}.") from exc

    def is_private(self) -> bool:
        """Whether no other user of this machine can write to a SQLite file."""
        if self.file is None or os.name != "posix":
            return True
        return not self.file.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise  # two at once: who caused it knows what it means
        except (DataError, UnicodeEncodeError) as exc:  # PostgreSQL keeps no NUL, nothing keeps half a character
            raise InputError("What was sent holds something that cannot be kept, such as a character that is none.") from exc
        except PoolTimeoutError as exc:
            raise OutputError(f"The database '{self.shown}' is busy: too many requests at once.", "Try again.") from exc
        except DBAPIError as exc:
            raise OutputError(f"The database '{self.shown}' cannot be {what}: {_reason(exc)}. Nothing was changed there.") from exc
        except SQLAlchemyError as exc:
            raise OutputError(f"The database '{self.shown}' cannot be {what}: {type(exc).__name__}. Nothing was changed there.") from exc


def _url(address: str | Path) -> URL:
    text = str(address)
    if isinstance(address, Path) or "://" not in text:
        return URL.create("sqlite", database=text)
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as exc:
        raise InputError(
            "The address of the database is none.",
            "Give the path of a SQLite file, or an address such as postgresql://USER:PASSWORD@HOST/NAME.",
        ) from exc
    kind = url.get_backend_name()
    if kind not in _KINDS:
        raise InputError(f"Answers are kept in {' or '.join(_KINDS)}, not in {kind[:40]}.")
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def _prepare_sqlite(engine: Engine, durable: bool) -> None:
    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions begin below, not where the driver thinks they should
        for pragma in ("foreign_keys = ON", "journal_mode = WAL", f"synchronous = {'FULL' if durable else 'OFF'}"):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writing") else "BEGIN")


def _reason(exc: DBAPIError) -> str:
    """What the driver says, in one line, without the statement and its values, which may hold what a person wrote."""
    text = " ".join(str(exc.orig).split())
    return text[:200].rstrip(".") or type(exc.orig).__name__
