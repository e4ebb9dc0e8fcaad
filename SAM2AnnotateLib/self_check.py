"""Whether SAM 2 runs here: the bundled model on a small phantom in its own process, and one line that says what came of it.

Imports worker, review, metrics, the phantom of benchmark and below; torch is needed in the worker's Python alone.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .benchmark.phantom import Phantom, make_phantom
from .engine import Adapter
from .errors import CheckpointError, DownloadError, EngineError, MissingPackageError, SAM2AnnotateError, WorkerError
from .intensity import IntensityMapping
from .leftovers import temporary_folder
from .metrics import dice
from .progress import CancelToken
from .prompts import SlicePrompt
from .propagation import RegionPolicy
from .review import ReviewSession
from .worker import SubprocessWorker
from .worker.messages import ModelLoaded, SliceDone

GOOD_DSC = 0.9  # the bundled model reaches 0.98 on this phantom; a broken installation gives noise
_SIDE, _SLICES, _OBJECT_SLICES = 96, 9, 5

_REMEDIES: dict[type[SAM2AnnotateError], str] = {
    MissingPackageError: "Open the Set-up page and install what is missing.",
    CheckpointError: "Install SAM2Annotate again, or get the model again.",
    EngineError: "Close other programs, or choose the device 'cpu'.",
    WorkerError: "Restart Slicer and check again; if it fails the same way, report it with the log.",
}


@dataclass(frozen=True)
class SelfCheckResult:
    """What came of the check.

    Args:
        ok: whether everything works.
        line: one line for the user: what was reached, or what is wrong and what to do.
        problem: name of the error's class, ``PoorResult``, or "" if all is well.
        seconds: how long it took, start of the process included.
        dsc: 3-D Dice coefficient with the phantom's truth, 0..1; None if nothing was computed.
        device: where the model ran; "" if it did not.
        log: end of what the worker wrote, for a report.
    """

    ok: bool
    line: str
    problem: str
    seconds: float
    dsc: float | None = None
    device: str = ""
    log: str = ""


def self_check(
    python: Sequence[str] = (sys.executable,),
    checkpoint: str = "bundled",
    device: str = "auto",
    cancel: CancelToken | None = None,
    adapter: str | Path | None = None,
) -> SelfCheckResult:
    """Run a model on a phantom.

    Args:
        python: the worker's interpreter, see `SubprocessWorker`.
        checkpoint: a name of `CHECKPOINTS` whose file is here, or the path of one.
        device: as `load_engine` takes it.
        cancel: ends it after the slice it is at.
        adapter: what was learned of an object: whether it can be read and is of these weights. The phantom is not that object.

    Raises:
        Cancelled: on request. Every other failure is told in the result.
    """
    start = time.monotonic()
    with temporary_folder("check") as folder:
        log_file = Path(folder) / "worker.log"
        try:
            learned = None if adapter is None else Adapter.load(adapter)
            phantom = make_phantom(_SIDE, _SLICES, _OBJECT_SLICES)
            dsc, used_device = _run(phantom, python, checkpoint, device, log_file, cancel, learned)
        except (CheckpointError, DownloadError, EngineError, MissingPackageError, WorkerError) as exc:
            log = _end_of(log_file)
            return SelfCheckResult(False, _explain(exc, log), type(exc).__name__, time.monotonic() - start, log=log)
        log = _end_of(log_file)
    seconds = time.monotonic() - start
    if not dsc >= GOOD_DSC:
        line = (
            f"The model runs on {used_device}, but its mask is wrong: DSC {dsc:.2f}, expected at least {GOOD_DSC:.2f}. "
            "Choose the device 'cpu'; if that is no better, install PyTorch again."
        )
        return SelfCheckResult(False, line, "PoorResult", seconds, dsc, used_device, log)
    fits = "" if learned is None else f"; '{learned.name}' was learned on this model"
    return SelfCheckResult(True, f"ok, {seconds:.1f} s, DSC {dsc:.2f}, {used_device}{fits}", "", seconds, dsc, used_device, log)


def _run(
    phantom: Phantom,
    python: Sequence[str],
    checkpoint: str,
    device: str,
    log_file: Path,
    cancel: CancelToken | None,
    adapter: Adapter | None,
) -> tuple[float, str]:
    """Dice coefficient and device."""
    session = ReviewSession({phantom.center: SlicePrompt(box=phantom.box)}, phantom.extent, phantom.volume.grid.shape_kji[1:])
    used_device = ""
    with SubprocessWorker(python, log_file) as worker:
        for message in worker.replies(worker.client.load_model(checkpoint, device=device), cancel):
            if isinstance(message, ModelLoaded):
                used_device = message.engine["device"]
        mapping = IntensityMapping(0, 255, "explicit", "the phantom's own range")
        worker.wait(worker.client.open_volume("phantom", phantom.volume, "k", mapping))
        for message in worker.replies(worker.client.propagate("phantom", session.due_work(), RegionPolicy.parse("auto")), cancel):
            if isinstance(message, SliceDone):
                session.add_result(message.result())
        if adapter is not None:
            worker.wait(worker.client.use_adapter(adapter.to_bytes()))
    masks = [(session.mask(position), phantom.mask(position)) for position in phantom.extent.indices]
    found = np.stack([np.zeros_like(truth) if mask is None else mask for mask, truth in masks])
    return dice(found, np.stack([truth for _, truth in masks])), used_device


def _explain(problem: SAM2AnnotateError, log: str) -> str:
    text = str(problem)
    lacking = [line for line in log.splitlines() if line.startswith(("ModuleNotFoundError", "ImportError"))]
    if isinstance(problem, WorkerError) and lacking:
        text = f"The model's process does not start: {lacking[-1]}."
        problem = MissingPackageError(text)
    if isinstance(problem, MissingPackageError):
        text = problem.problem  # a shell command is of no use to Slicer's user
    if "out of memory" in text.lower():
        problem = EngineError(text)
    return " ".join(f"{text} {_REMEDIES.get(type(problem), '')}".split())


def _end_of(log_file: Path) -> str:
    try:
        return log_file.read_text(encoding="utf-8", errors="replace")[-4000:]
    except OSError:
        return ""  # the process did not even start
