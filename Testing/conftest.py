"""For all tests: programs hear Ctrl+C, tests beside one another share the cores, the longest files are known. Imports pytest."""

import os
import signal
import threading
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent

# A shell that starts a job in the background has Ctrl+C ignored; what is started there inherits that, and a test that stops a program by
# the signal would wait for ever.
if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# With several processes of tests, each with a thread a core that spins while it waits, two cores do less than one. It is read when torch is
# loaded.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def pytest_collection_modifyitems(items):
    """Mark the tests of the files that take longest."""
    lines = (HERE / "long_files.txt").read_text(encoding="utf-8").splitlines()
    files = {HERE / line for line in lines if line and not line.startswith("#")}
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        raise pytest.UsageError(f"Testing/long_files.txt names what is not there: {missing}")
    for item in items:
        if item.path in files:
            item.add_marker("long")
