"""The same decisions give the same masks by every door of the module as in the library: the panel's steps, and the console."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from worlds import aVolume, makeLogic, markBall, waitFor

from SAM2AnnotateLib.annotator import Annotator
from SAM2AnnotateLib.engine import ScriptedEngine
from SAM2AnnotateSlicer.Console import Console
from SAM2AnnotateSlicer.Scene.SceneBridge import volumeFromNode

KINDS, SHARES = ("correct", "accept", "unlock", "propagate"), (0.5, 0.2, 0.15, 0.15)


class LibraryDoor:
    """The object in the library alone."""

    def __init__(self, volume, center, box, extent):
        annotator = Annotator(volumeFromNode(volume), ScriptedEngine(), axis="k", window="0,255")
        self._item = annotator.new_object(center, box, extent=extent)
        self.propagate()

    def propagate(self):
        list(self._item.propagate())

    def correct(self, index, mask):
        list(self._item.correct(index, mask))

    def accept(self, index):
        self._item.accept(index)

    def unlock(self, index):
        self._item.unlock(index)

    def masks(self, _volume):
        return self._item.mask_kji()


class PanelDoor:
    """The panel's steps, with the model in a process of its own."""

    def __init__(self, folder, volume):
        self._logic = makeLogic(folder, volume)
        self._annotated = markBall(self._logic)
        self._wait()
        self.propagate()

    def _wait(self):
        waitFor(lambda: not self._logic.running and not self._logic.service.busy, 60)

    def _at(self, index):
        return self._annotated.stack.position_of(index)

    def propagate(self):
        self._logic.propagate()
        self._wait()

    def correct(self, index, mask):
        self._logic.correct(self._at(index), self._annotated.stack.frame_from_slice(mask))
        self._wait()

    def accept(self, index):
        self._logic.accept(self._at(index))

    def unlock(self, index):
        self._logic.unlock(self._at(index))

    def masks(self, volume):
        return slicer.util.arrayFromSegmentBinaryLabelmap(self._annotated.segmentationNode, self._annotated.segmentId, volume) > 0

    def close(self):
        self._logic.service.close()


class ConsoleDoor:
    """The console, beside it, on a segment of its own."""

    def __init__(self, folder, volume, center, box, extent):
        self._logic = makeLogic(folder, volume)
        console = Console(folder, service=lambda: self._logic.service)
        self._review = console.annotate(volume, box, *extent, centerSlice=center, axis="k", window="0,255")

    def propagate(self):
        self._review.propagate()

    def correct(self, index, mask):
        self._review.correct(index, mask)

    def accept(self, index):
        self._review.accept(index)

    def unlock(self, index):
        self._review.unlock(index)

    def masks(self, volume):
        return slicer.util.arrayFromSegmentBinaryLabelmap(self._review.segmentationNode, self._review.segmentId, volume) > 0

    def close(self):
        self._logic.service.close()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_random_decisions_give_the_same_masks_by_every_door(tmp_path, seed):
    rng = np.random.default_rng(seed)
    volume = aVolume()
    truth = slicer.util.arrayFromVolume(volume) > 100
    (k0, j0, i0), (k1, j1, i1) = (np.argwhere(truth).min(axis=0).tolist(), (np.argwhere(truth).max(axis=0) + 1).tolist())
    center, box, extent = (k0 + k1 - 1) // 2, ((i0, j0), (i1, j1)), (k0, k1 - 1)
    for name in ("panel", "console"):
        (tmp_path / name).mkdir()
    panel, console = PanelDoor(tmp_path / "panel", volume), ConsoleDoor(tmp_path / "console", volume, center, box, extent)
    doors = {"library": LibraryDoor(volume, center, box, extent), "panel": panel, "console": console}
    try:
        locked: set[int] = set()
        for _ in range(8):
            index, kind = int(rng.integers(k0, k1)), str(rng.choice(KINDS, p=SHARES))
            if kind == "correct":
                drawn = np.roll(truth[index], int(rng.integers(-3, 4)), axis=0)
                for door in doors.values():
                    door.correct(index, drawn)
                locked.add(index)
            elif kind == "propagate":
                for door in doors.values():
                    door.propagate()
            elif (kind == "accept") == (index not in locked):
                for door in doors.values():
                    getattr(door, kind)(index)
                (locked.add if kind == "accept" else locked.discard)(index)
            wanted = doors["library"].masks(volume)
            for name, door in doors.items():
                found = door.masks(volume)
                wrong = [k for k in range(len(wanted)) if not np.array_equal(found[k], wanted[k])]
                assert not wrong, f"after '{kind}' of slice {index} the {name} differs from the library on slices {wrong}"
    finally:
        panel.close()
        console.close()
