"""The whole work of a radiologist on real cases, by widgets, keys and mouse, with the bundled model in its real process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import slicer
from worlds import dsc, waitFor

from SAM2AnnotateLib.annotator import Annotator
from SAM2AnnotateLib.engine import load_engine
from SAM2AnnotateLib.geometry import SliceStack
from SAM2AnnotateLib.review import SliceStatus
from SAM2AnnotateLib.simulation.gestures import gestures_from_truth
from SAM2AnnotateLib.volume_io import read_volume
from SAM2AnnotateSlicer.Scene.SceneBridge import ijkToWorld, jumpToSlice, sliceAxis, sliceIndex
from slicer_host import pythonqt
from slicer_host.modules.scripted_module import enter_module, load_module, unload_module
from slicer_host.views.views_and_mouse import drag, move_mouse
from slicer_host.widgets.segment_editing import paint

ROOT = Path(__file__).resolve().parents[3]
CASES = {
    "ct_sarcoma_003": ROOT / "SAM2AnnotateLib" / "sample_data" / "ct_sarcoma_003",
    "mr_cardiac_3": ROOT / "Testing" / "Data" / "mr_cardiac_3",
}


@pytest.fixture
def module():
    """The module, loaded and entered, as the user has it."""
    pytest.importorskip("sam2")
    load_module(ROOT / "SAM2Annotate" / "SAM2Annotate.py")
    yield enter_module("SAM2Annotate")
    unload_module("SAM2Annotate")


class Panel:
    """The panel as a person uses it."""

    def __init__(self, widget):
        self.widget = widget
        self.logic = widget.logic

    def child(self, name):
        found = slicer.util.findChildren(self.widget.parent, name=name)
        assert len(found) == 1, (name, found)
        return found[0]

    def key(self, keys):
        pythonqt.press_key(slicer.util.mainWindow(), keys)
        slicer.app.processEvents()

    def viewAlong(self, volume, axis):
        """The slice view that shows the volume's slices along an axis, turned to them as the user would."""
        slicer.util.setSliceViewerLayers(background=volume, fit=True, rotateToVolumePlane=True)
        for name in slicer.app.layoutManager().sliceViewNames():
            if sliceAxis(slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode(), volume) == (axis, True):
                return name
        raise AssertionError(f"no view along {axis}")

    def show(self, view, volume, axis, index):
        node = slicer.app.layoutManager().sliceWidget(view).mrmlSliceNode()
        jumpToSlice(node, volume, axis, index)
        slicer.app.processEvents()
        assert sliceIndex(node, volume, axis) == index
        middle = np.array(volume.GetImageData().GetDimensions()) / 2
        middle["ijk".index(axis)] = index
        move_mouse(view, tuple((ijkToWorld(volume) @ [*middle, 1])[:3]))
        waitFor(lambda: self.widget.currentPosition() is not None or self.logic.current is None, 5)

    def idle(self):
        waitFor(lambda: not self.logic.running and not self.logic.service.busy, 120)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_from_a_box_to_a_saved_and_reloaded_review(module, case, tmp_path):
    panel, logic = Panel(module), module.logic
    truth = read_volume(CASES[case] / "label.nii.gz").array_kji == 1
    volume = slicer.util.loadVolume(str(CASES[case] / "image.nii.gz"))
    panel.child("volumeSelector").setCurrentNode(volume)
    image = slicer.util.arrayFromVolume(volume).copy()
    assert logic.parameters.volume is volume

    # One box on the center slice, first and last slice.
    stack = SliceStack.along(read_volume(CASES[case] / "image.nii.gz").grid, "k")
    gestures = gestures_from_truth(truth, stack, np.random.default_rng(3))
    center, (start, stop), ends = stack.index_of(gestures.center), stack.box_to_indices(gestures.box), stack.extent_of(gestures.extent)
    view = panel.viewAlong(volume, "k")
    panel.show(view, volume, "k", center)
    panel.key("B")
    corners = [(ijkToWorld(volume) @ [i, j, center, 1])[:3] for i, j in (start, np.array(stop) - 1)]
    drag(view, tuple(corners[0]), tuple(corners[1]))
    annotated = logic.current
    assert annotated is not None and annotated.axis == "k" and stack.index_of(annotated.center) == center
    for index, key in ((ends.first, "F"), (ends.last, "L")):
        panel.show(view, volume, "k", index)
        panel.key(key)
    assert annotated.session.extent == gestures.extent
    panel.idle()
    assert list(annotated.session.results) == [annotated.center]
    drawn = annotated.session.prompts[annotated.center].box
    assert max(abs(a - b) for a, b in zip(vars(drawn).values(), vars(gestures.box).values(), strict=True)) <= 1

    # Propagate; accept the center.
    panel.key("Return")
    assert logic.running
    panel.idle()
    panel.show(view, volume, "k", center)
    panel.key("A")
    assert annotated.session.status(annotated.center) is SliceStatus.ACCEPTED
    before = {index: annotated.labelmap.readSlice(index) for index in range(truth.shape[0])}
    reference = commandLineMask(CASES[case] / "image.nii.gz", center, stack.box_to_indices(drawn), (ends.first, ends.last), annotated)
    assert dsc(np.stack(list(before.values())), truth) >= dsc(reference, truth)

    # Correct one slice by painting, then go on.
    corrected = (ends.first + center) // 2
    panel.show(view, volume, "k", corrected)
    panel.key("C")
    assert logic.editor.active
    editor = panel.child("segmentEditorWidget")
    wanted = truth[corrected : corrected + 1] | before[corrected][None]
    paint(editor, wanted)
    panel.key("Return")
    panel.idle()
    assert annotated.labelmap.readSlice(corrected).tobytes() == wanted[0].tobytes()
    assert annotated.session.status(stack.position_of(corrected)) is SliceStatus.CORRECTED
    expected = logic.nextDoubtful(panel.widget.currentPosition())
    panel.key("N")
    waitFor(lambda: panel.widget.currentPosition() == expected, 5)

    # Undo, redo.
    panel.key("Z")
    assert annotated.session.status(stack.position_of(corrected)) is SliceStatus.PROPOSED
    panel.key("Y")
    assert annotated.labelmap.readSlice(corrected).tobytes() == wanted[0].tobytes()
    panel.idle()

    # Save, close, load: everything is there again.
    state = annotated.session.to_json()
    found = np.stack([annotated.labelmap.readSlice(index) for index in range(truth.shape[0])])
    assert slicer.util.saveScene(str(tmp_path / "work.mrb"))
    slicer.mrmlScene.Clear(0)
    assert logic.current is None
    slicer.util.loadScene(str(tmp_path / "work.mrb"))
    slicer.app.processEvents()
    back = logic.current
    assert back is not None and back.session.to_json() == state
    again = np.stack([back.labelmap.readSlice(index) for index in range(truth.shape[0])])
    assert np.array_equal(again, found) and again[corrected].tobytes() == wanted[0].tobytes()
    assert dsc(again, truth) >= dsc(reference, truth)
    assert np.array_equal(slicer.util.arrayFromVolume(back.volumeNode), image)


def commandLineMask(image, center, box, extent, annotated):
    """What `sam2annotate segment` makes of the same box and extent: the same calls as cli/segment.py."""
    mapping = annotated.about["mapping"]
    annotator = Annotator(read_volume(image), load_engine("bundled"), axis="k", window=f"{mapping['lower']},{mapping['upper']}")
    made = annotator.new_object(center, box=box, extent=extent)
    for _ in made.propagate():
        pass
    return made.mask_kji()
