"""What tests of the logic begin with: a volume with a known object, a logic with a real worker process, and waiting with an end."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import slicer
from orientations import volumeNode

WORKER = Path(__file__).with_name("scripted_worker.py")


def waitFor(condition, seconds: float = 60.0, what: str = "") -> None:
    """Let Slicer work until the condition holds; fails after that many seconds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s in vain {what}"
        slicer.app.processEvents()
        time.sleep(0.002)


def ballArray(shape_kji=(24, 40, 44), radii_kji=(9, 11, 12)) -> np.ndarray:
    """A bright ellipsoid in the middle of a dark volume."""
    grids = np.meshgrid(*[np.arange(size) - size // 2 for size in shape_kji], indexing="ij")
    inside = sum((grid / radius) ** 2 for grid, radius in zip(grids, radii_kji, strict=True)) < 1
    return np.where(inside, 180, 10).astype(np.int16)


def aVolume(direction=None, name: str = "Ball"):
    """The ellipsoid as a volume node; stored as LPS unless told otherwise."""
    return volumeNode(ballArray(), np.diag([-1, -1, 1]) if direction is None else direction, name)


class Heard:
    """Collects what a logic's events say."""

    def __init__(self, logic):
        self.messages: list[tuple[str, bool]] = []
        self.slices: list[int] = []
        logic.message.connect(lambda text, error: self.messages.append((text, error)))
        logic.sliceArrived.connect(lambda position, *_: self.slices.append(position))

    @property
    def errors(self) -> list[str]:
        """The messages that are errors."""
        return [text for text, error in self.messages if error]


def makeLogic(folder: Path, volume=None, delaySeconds: float = 0.0):
    """An AnnotationLogic on a fresh parameter node, its service running the scripted worker; `folder`/fault is the fault file."""
    from SAM2AnnotateSlicer.Model.ModelService import ModelService
    from SAM2AnnotateSlicer.Model.PythonCommand import pythonCommand
    from SAM2AnnotateSlicer.Review.JournalKeeper import JournalKeeper
    from SAM2AnnotateSlicer.Review.Logic import AnnotationLogic
    from SAM2AnnotateSlicer.Scene.ParameterNode import SAM2AnnotateParameterNode

    command = [*pythonCommand(), "-u", str(WORKER), str(folder / "fault"), str(delaySeconds)]
    service = ModelService(folder, command)
    logic = AnnotationLogic(slicer.mrmlScene, service, JournalKeeper(folder / "journals"))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")
    logic.setParameters(SAM2AnnotateParameterNode(node))
    logic.parameters.volume = volume
    logic.parameters.window = "0,255"
    return logic


def markBall(logic, axis: str = "k"):
    """Mark the ellipsoid by its bounds on its middle slice; returns the object."""
    array = slicer.util.arrayFromVolume(logic.parameters.volume) > 100
    bounds = []
    for at in (2, 1, 0):
        along = np.flatnonzero(array.any(axis=tuple(n for n in range(3) if n != at)))
        bounds.append((along[0], along[-1] + 1))
    low, high = bounds["ijk".index(axis)]
    return logic.markObject(axis, (low + high - 1) // 2, bounds)


def dsc(one: np.ndarray, other: np.ndarray) -> float:
    """Dice similarity of two bool arrays."""
    return 2 * (one & other).sum() / (one.sum() + other.sum())
