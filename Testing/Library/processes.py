"""Programs that a test starts, and that end with it. Imports the standard library only."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


@contextmanager
def started(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen]:
    """A program, killed at the end of the block if it still runs: leaving `Popen` alone would wait for it, for ever if the test failed."""
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        finally:
            process.kill()
