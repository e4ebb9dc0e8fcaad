"""Progress of work in phases: a bar each on a terminal, a line with an estimate elsewhere. Imports progress and (inside functions) tqdm."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator
from typing import Any, TypeVar

from ...progress import Progress

T = TypeVar("T")
# After so many units of a phase its time is estimated; shorter phases are not told of.
_ESTIMATE_AFTER, _WORTH_TELLING_SECONDS = 10, 10.0


def run_in_phases(work: Generator[Progress, None, T]) -> T:
    """Run a generator that reports `Progress` to its end; what it returns. What it reports is shown on standard error."""
    shown = _Bars() if sys.stderr.isatty() else _Lines()
    try:
        while True:
            try:
                progress = next(work)
            except StopIteration as end:
                return end.value
            shown.show(progress)
    finally:
        shown.close()


class _Bars:
    def __init__(self) -> None:
        from tqdm import tqdm

        self._tqdm, self._what = tqdm, ""
        self._bar: Any = None

    def show(self, progress: Progress) -> None:
        if progress.what != self._what or self._bar is None:
            self.close()
            self._what, self._bar = progress.what, self._tqdm(desc=progress.what, total=progress.total, leave=False)
        self._bar.total = progress.total
        self._bar.update(progress.done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class _Lines:
    def __init__(self) -> None:
        self._what, self._started, self._told = "", 0.0, False

    def show(self, progress: Progress) -> None:
        if progress.what != self._what:
            self._what, self._started, self._told = progress.what, time.perf_counter(), False
        if self._told or progress.total is None or progress.done < _ESTIMATE_AFTER:
            return
        self._told = True
        left = (time.perf_counter() - self._started) / progress.done * (progress.total - progress.done)
        if left >= _WORTH_TELLING_SECONDS:
            print(f"{progress.total} {progress.what}: about {left:.0f} s", file=sys.stderr, flush=True)

    def close(self) -> None:
        pass
