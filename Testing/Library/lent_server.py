"""The real server's process, mostly with the scripted model; a test may kill it and start it again at its port. Imports the library."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from processes import started

for _package in ("fastapi", "uvicorn", "websockets"):
    pytest.importorskip(_package)

from SAM2AnnotateLib.server.tokens import TokenFile  # noqa: E402 - of packages that need not be there

_PROGRAM = """
import sys, time
import SAM2AnnotateLib.engine as engine
from SAM2AnnotateLib.engine import ScriptedEngine
seconds = float(sys.argv.pop(1))
engine.load_engine = lambda *_arguments, **_options: ScriptedEngine(fail_at=lambda position: time.sleep(seconds))
from SAM2AnnotateLib.cli.main import main
raise SystemExit(main())
"""
_START_SECONDS = 120.0


class LentServer:
    """A server; a context manager.

    Args:
        folder: for tokens and log.
        seconds_per_slice: that the scripted model takes; None for the bundled one, with torch.
        options: further ones of ``sam2annotate serve``.

    Attributes:
        port: where it listens, the same after `start` again.
        token: of the one user.
    """

    def __init__(self, folder: Path, seconds_per_slice: float | None = 0.0, options: tuple[str, ...] = ()):
        self._folder, self._seconds, self._options = folder, seconds_per_slice, options
        self._token_file = folder / "tokens.json"
        self.token = TokenFile(self._token_file).add("anna")
        self.token_text = folder / "anna.token"
        self.token_text.write_text(self.token + "\n")
        self.port = 0
        self._exits = contextlib.ExitStack()
        self._starts = 0
        self.process: subprocess.Popen | None = None

    @property
    def address(self) -> str:
        """As a person types it."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """All that it wrote since it was started last."""
        return (self._folder / f"server-{self._starts}.log").read_text()

    def figure(self, name: str) -> float:
        """A figure of the server's metrics."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{self.address}/metrics", timeout=30) as page:
            lines = page.read().decode().splitlines()
        return next(float(line.split()[-1]) for line in lines if line.startswith(f"sam2annotate_{name} "))

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self._starts += 1
        program = ["-m", "SAM2AnnotateLib"] if self._seconds is None else ["-c", _PROGRAM, str(self._seconds)]
        command = [sys.executable, *program, "serve", "--token-file", str(self._token_file)]
        command += ["--port", str(self.port), *self._options]
        log = self._exits.enter_context((self._folder / f"server-{self._starts}.log").open("wb"))
        self.process = self._exits.enter_context(started(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log))
        end = time.monotonic() + _START_SECONDS
        while not self.port or '"listening"' not in self.log:
            assert self.process.poll() is None and time.monotonic() < end, self.log
            events = [json.loads(line) for line in self.log.splitlines() if line.startswith("{") and line.endswith("}")]
            self.port = next((event["port"] for event in events if event["event"] == "listening"), self.port)
            time.sleep(0.05)

    def kill(self) -> None:
        """End it without a goodbye."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> LentServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()
