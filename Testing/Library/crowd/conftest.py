"""Both databases as fixtures."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres import a_postgres

from SAM2AnnotateLib.crowd.records import CrowdRecords, Passwords

# Each takes milliseconds instead of a tenth of a second; what a real one costs has a test of its own.
QUICK_PASSWORDS = Passwords(memory_kib=64, time_cost=1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    with a_postgres() as address:
        yield address


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database."""
    if request.param == "sqlite":
        return str(tmp_path / "crowd.sqlite")
    import psycopg

    address, name = request.getfixturevalue("postgres"), f"test_{secrets.token_hex(6)}"
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return address.replace("@/postgres?", f"@/{name}?")


@pytest.fixture
def records(database: str) -> Iterator[CrowdRecords]:
    with CrowdRecords.open(database, passwords=QUICK_PASSWORDS) as opened:
        yield opened
