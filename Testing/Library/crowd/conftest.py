"""Both databases as fixtures."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from crowd_cases import QUICK_PASSWORDS
from postgres import a_postgres

from SAM2AnnotateLib.crowd.records import CrowdRecords


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    with a_postgres() as address:
        yield address


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database."""
    return str(tmp_path / "crowd.sqlite") if request.param == "sqlite" else request.getfixturevalue("postgres_database")


@pytest.fixture
def postgres_database(postgres: str) -> Iterator[str]:
    """The address of an empty database of PostgreSQL."""
    import psycopg

    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        yield postgres.replace("@/postgres?", f"@/{name}?")
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def records(database: str) -> Iterator[CrowdRecords]:
    with CrowdRecords.open(database, passwords=QUICK_PASSWORDS) as opened:
        yield opened
