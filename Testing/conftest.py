"""For all tests: programs that they start hear Ctrl+C, whoever started the tests. Imports the standard library only."""

import signal
import threading

# A shell that starts a job in the background has Ctrl+C ignored; what is started there inherits that, and a test that stops a program by
# the signal would wait for ever.
if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
