"""The model in a process of its own: its crash takes nobody's work along. The client needs no torch. Imports review and below."""

from .client import WorkerClient
from .subprocess_worker import SubprocessWorker

__all__ = ["SubprocessWorker", "WorkerClient"]
