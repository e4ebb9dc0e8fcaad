"""Counts for Prometheus, in its text form. Imports the standard library."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping

_HELP = {
    "sessions": ("gauge", "Sessions that are open, those whose connection broke included."),
    "connections": ("gauge", "Sessions with a connection."),
    "sessions_total": ("counter", "Sessions begun."),
    "resumed_total": ("counter", "Sessions gone on with after their connection broke."),
    "refused_total": ("counter", "Connections and sessions refused or ended, by reason."),
    "requests_total": ("counter", "Requests done, by kind and outcome."),
    "request_seconds_total": ("counter", "Time from a request's turn in its session to its end, by kind."),
    "slices_total": ("counter", "Masks sent."),
    "received_bytes_total": ("counter", "Bytes in frames from clients."),
    "sent_bytes_total": ("counter", "Bytes in frames to clients."),
    "malformed_total": ("counter", "Messages and chunks that were none."),
    "faults_total": ("counter", "Errors nobody expected; the log has them."),
    "volumes_bytes": ("gauge", "Memory for voxels."),
    "volumes_limit_bytes": ("gauge", "Its limit."),
    "embeddings_bytes": ("gauge", "Memory for embeddings."),
    "embeddings_most_bytes": ("gauge", "The most that it was."),
    "embeddings_limit_bytes": ("gauge", "Its limit."),
    "device_calls_total": ("counter", "Calls of the model."),
    "device_busy_seconds_total": ("counter", "Time that the device computed."),
    "device_waited_seconds_total": ("counter", "Time that calls waited for their turn."),
    "device_longest_wait_seconds": ("gauge", "The longest that a call waited."),
    "devices": ("gauge", "Devices that compute."),
    "devices_lost_total": ("counter", "Devices whose process ended, and was started again."),
}


class Metrics:
    """Counters; any thread may count."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, tuple[tuple[str, str], ...]], float] = defaultdict(float)

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a counter."""
        with self._lock:
            self._counts[name, tuple(sorted(labels.items()))] += amount

    def value(self, name: str, **labels: str) -> float:
        """A counter; 0 if nothing was counted. Without labels, all of that name together."""
        wanted = tuple(sorted(labels.items()))
        with self._lock:
            return sum(count for (one, have), count in self._counts.items() if one == name and (not wanted or have == wanted))

    def text(self, gauges: Mapping[str, float]) -> str:
        """All of it as Prometheus reads it, with what is measured now."""
        with self._lock:
            rows = dict(self._counts)
        rows |= {(name, ()): value for name, value in gauges.items()}
        lines = []
        for name in _HELP:
            kind, text = _HELP[name]
            found = sorted((labels, value) for (one, labels), value in rows.items() if one == name)
            if found:
                lines += [f"# HELP sam2annotate_{name} {text}", f"# TYPE sam2annotate_{name} {kind}"]
            for labels, value in found:
                shown = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
                lines.append(f"sam2annotate_{name}{'{' + shown + '}' if shown else ''} {value:.10g}")
        return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
