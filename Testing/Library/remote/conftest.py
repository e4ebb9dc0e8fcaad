"""A server that misbehaves when told to, and a volume for it; skipped where websockets is not installed."""

from __future__ import annotations

import pytest


@pytest.fixture
def a_server():
    """One session at a time, on a port of its own."""
    pytest.importorskip("websockets")
    from stand_in_server import StandInServer

    with StandInServer() as server:
        yield server


@pytest.fixture
def a_volume():
    """See `remote_bench.a_ball`."""
    from remote_bench import a_ball

    return a_ball()
