"""For all tests: programs that they start hear Ctrl+C, and tests beside one another share the cores. Imports the standard library only."""

import os
import signal
import threading

# A shell that starts a job in the background has Ctrl+C ignored; what is started there inherits that, and a test that stops a program by
# the signal would wait for ever.
if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# With several processes of tests, each with a thread a core that spins while it waits, two cores do less than one. It is read when torch is
# loaded.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
