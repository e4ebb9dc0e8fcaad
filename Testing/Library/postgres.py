"""A PostgreSQL server of the tests' own, as another user because it refuses root. Imports the standard library."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_PATIENCE_SECONDS = 60.0
_LEAST_MEMORY = 300 << 20


def _program(name: str) -> Path | None:
    found = [Path(path) for path in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)]
    on_path = shutil.which(name)
    return found[0] if found else Path(on_path) if on_path else None


def _user() -> dict[str, object]:
    """Options of subprocess for a user that is not root."""
    if os.getuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    pytest.skip("PostgreSQL refuses root, and there is no user 'postgres' or 'nobody'")


@contextmanager
def a_postgres() -> Iterator[str]:
    """A server without TCP; gives the address of its database `postgres`. Skips where PostgreSQL is not installed."""
    if os.name != "posix":
        pytest.skip("the tests start PostgreSQL on Linux and macOS only")
    pytest.importorskip("psycopg")
    initdb, postgres = _program("initdb"), _program("postgres")
    if initdb is None or postgres is None:
        pytest.skip("no PostgreSQL here: apt-get install postgresql")
    user = _user()
    memory = Path("/dev/shm")  # thousands of small files, which take a disk seconds to remove
    in_memory = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > _LEAST_MEMORY
    folder = Path(tempfile.mkdtemp(prefix="pg_", dir=memory if in_memory else None))
    try:
        if user:
            os.chown(folder, user["user"], user["group"])  # type: ignore[arg-type]
        data = folder / "data"
        made = subprocess.run(
            [initdb, "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
            capture_output=True, text=True, check=False, cwd=folder, **user,
        )  # fmt: skip
        if made.returncode:
            pytest.skip(f"PostgreSQL cannot be set up here: {made.stderr.strip().splitlines()[-1:]}")
        settings = (
            "listen_addresses=",
            "fsync=off",
            "max_connections=200",
            "shared_buffers=32MB",
            "autovacuum=off",
            "full_page_writes=off",
        )
        options = [part for setting in settings for part in ("-c", setting)]
        with open(folder / "log", "wb") as log:
            process = subprocess.Popen([postgres, "-D", data, "-k", folder, *options], stdout=log, stderr=log, cwd=folder, **user)
        try:
            end = time.monotonic() + _PATIENCE_SECONDS
            while "ready to accept connections" not in (folder / "log").read_text(errors="replace"):
                assert process.poll() is None and time.monotonic() < end, (folder / "log").read_text(errors="replace")
                time.sleep(0.05)
            yield f"postgresql://postgres@/postgres?host={folder}"
        finally:
            process.send_signal(signal.SIGQUIT)  # at once: nothing of it is kept
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
