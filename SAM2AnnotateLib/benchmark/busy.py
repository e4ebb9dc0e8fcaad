"""What a command costs while other programs keep every core busy. Imports processors."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..processors import cores_here

_LIBRARY = Path(__file__).resolve().parents[1]
_IMAGE = _LIBRARY / "sample_data" / "ct_sarcoma_003" / "image.nii.gz"
_MARKED = ("--axis", "axial", "--slice", "25", "--box", "52,52,103,105", "--extent", "15,34")  # the demo's box and ends
_SPIN = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    for _ in range(10_000_000):\n        pass"


def busy_cores(repeats: int) -> Iterator[tuple[str, dict]]:
    """(g) `segment` on the sample beside as many spinning programs as there are cores, against the same without; alternating runs.

    The whole command counts, from the start of Python to the mask. With OMP_WAIT_POLICY=ACTIVE in the environment it shows what threads
    that do not wait patiently would cost.
    """
    cores, idle, busy = cores_here(), [], []
    load_of_others = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    with tempfile.TemporaryDirectory() as folder:
        _segment(Path(folder))  # from here on all files are in the system's memory
        for _ in range(repeats):
            idle.append(_segment(Path(folder)))
            with _spinning(cores):
                busy.append(_segment(Path(folder)))
    for name, column in (("g segment on a busy machine", 0), ("g the same, computing alone", 1)):
        pairs = [(one[column], two[column]) for one, two in zip(idle, busy, strict=True)]
        yield (
            name,
            {
                "idle_seconds": round(statistics.median(one for one, _ in pairs), 2),
                "busy_seconds": round(statistics.median(two for _, two in pairs), 2),
                "ratio": round(statistics.median(two / one for one, two in pairs), 2),
                "spinning_programs": cores,
                "load_before": load_of_others,
                "runs": repeats,
            },
        )


def _segment(folder: Path) -> tuple[float, float]:
    """Seconds of the whole command, and of these what loaded model and prompt took to the last slice."""
    report = folder / "report.json"
    command = [sys.executable, "-m", "SAM2AnnotateLib", "segment", str(_IMAGE), "-o", str(folder / "mask.nii.gz"), *_MARKED]
    started = time.perf_counter()
    subprocess.run([*command, "--report", str(report), "--overwrite"], cwd=_LIBRARY.parent, capture_output=True, check=True)
    whole = time.perf_counter() - started
    return whole, json.loads(report.read_text(encoding="utf-8"))["seconds"]["segmenting"]


@contextmanager
def _spinning(count: int) -> Iterator[None]:
    """Keep so many programs of this system busy with nothing; they end with this process, too."""
    programs = [subprocess.Popen([sys.executable, "-c", _SPIN]) for _ in range(count)]
    try:
        time.sleep(0.5)  # until they spin
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()
