"""Which journals are offered, whatever became of scene and segment meanwhile, and that recovering brings nothing twice."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import slicer
from panel_bench import makeBench, segmentArray, settle
from worlds import aVolume, markBall

from SAM2AnnotateLib.review import SliceStatus
from SAM2AnnotateLib.review.journal import JournaledObject, write_journal
from SAM2AnnotateSlicer.Review import InUse as InUseFile
from SAM2AnnotateSlicer.Review.AnnotatedSegment import AnnotatedSegment
from SAM2AnnotateSlicer.Review.InUse import InUse
from slicer_host.modules import util_functions


@pytest.fixture
def bench(tmp_path, monkeypatch):
    return makeBench(tmp_path, monkeypatch)


def acceptNext(bench):
    """One more decision on the current object."""
    session = bench.annotated.session
    bench.logic.accept(next(p for p in session.extent.indices if session.status(p) is SliceStatus.PROPOSED))


def openScene(bench, path):
    """The next session: another process would begin with an empty scene."""
    slicer.mrmlScene.Clear(False)
    slicer.util.loadScene(str(path))
    settle()


def offered(bench) -> bool:
    """Whether a journal is offered, and the work is held up."""
    assert bench.ui.recoveryFrame.visible == (not bench.ui.segmentComboBox.enabled)
    return bench.ui.recoveryFrame.visible


def segments(bench) -> list[str]:
    """Names of all segments of the scene."""
    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    return [
        node.GetSegmentation().GetNthSegment(n).GetName() for node in nodes for n in range(node.GetSegmentation().GetNumberOfSegments())
    ]


def copies(bench, folder):
    """The journals as they are on the disk now, to be put back later."""
    return {path: path.read_bytes() for path in (folder / "journals").glob("*.json")}


def putBack(kept):
    for path, content in kept.items():
        path.write_bytes(content)


def test_a_journal_of_an_older_state_is_not_offered_from_the_third_session_on(bench, tmp_path):
    scene = tmp_path / "scene.mrb"
    bench.propagated()
    acceptNext(bench)
    assert slicer.util.saveScene(str(scene))  # a journal stays that the scene holds
    first = copies(bench, tmp_path)
    assert first
    for _session in (2, 3):
        openScene(bench, scene)
        assert not offered(bench) and len(bench.annotated.session.locked) >= 1
        acceptNext(bench)
        assert slicer.util.saveScene(str(scene))
        putBack(first)  # as if it lay beside the scene, or on another computer, all the time
    openScene(bench, scene)
    assert not offered(bench) and segments(bench) == ["Object 1"] and len(bench.annotated.session.locked) == 3


def test_a_newer_state_than_the_scenes_is_offered_and_goes_into_the_segment_that_is_there(bench, tmp_path):
    scene = tmp_path / "scene.mrb"
    bench.propagated()
    acceptNext(bench)
    assert slicer.util.saveScene(str(scene))
    acceptNext(bench)
    bench.annotated.segment.SetName("Spleen")
    bench.logic.noObjectHere(bench.annotated.session.extent.last)
    state, array = bench.annotated.session.to_json(), segmentArray(bench.annotated)
    openScene(bench, scene)  # Slicer was killed before it was saved again
    assert offered(bench)
    bench.click("recover")
    assert segments(bench) == ["Object 1"] and bench.annotated.session.to_json() == state
    assert np.array_equal(segmentArray(bench.annotated), array)
    openScene(bench, scene)  # killed once more, right after
    assert offered(bench)
    bench.click("recover")
    assert segments(bench) == ["Object 1"] and bench.annotated.session.to_json() == state and not offered(bench)


def test_a_state_that_went_apart_from_the_scenes_comes_beside_it(bench, tmp_path):
    scene = tmp_path / "scene.mrb"
    annotated = bench.propagated()
    assert slicer.util.saveScene(str(scene))
    bench.logic.accept(annotated.session.extent.first)
    apart = copies(bench, tmp_path)
    openScene(bench, scene)
    bench.ui.discardButton.click()  # in testing mode the question is answered with no
    util_functions.answer("confirmOkCancelDisplay", True)
    bench.click("discard")
    bench.logic.accept(bench.annotated.session.extent.last)
    assert slicer.util.saveScene(str(scene))
    putBack(apart)
    openScene(bench, scene)
    assert offered(bench)
    bench.click("recover")
    assert segments(bench) == ["Object 1", "Object 1 (recovered)"]
    assert bench.annotated.session.locked == {bench.annotated.session.extent.first}
    assert not offered(bench)


def test_a_segment_that_was_edited_since_is_not_written_over(bench, tmp_path):
    scene = tmp_path / "scene.mrb"
    annotated = bench.propagated()
    index = annotated.stack.index_of(annotated.session.extent.first)
    array = segmentArray(annotated).astype(np.uint8)
    array[index, :3, :3] = 1
    bench.logic.nextObject()  # nobody notices the edit while another object is worked on
    node, segmentId, volume = annotated.segmentationNode, annotated.segmentId, annotated.volumeNode
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, node, segmentId, volume)
    assert slicer.util.saveScene(str(scene))
    annotated.session.accept(annotated.center)
    annotated.changed.emit()
    bench.logic.keeper.store(annotated)
    slicer.mrmlScene.Clear(False)
    slicer.util.loadScene(str(scene))
    settle()
    bench.ui.volumeSelector.setCurrentNode(slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode"))
    settle()
    assert offered(bench)
    bench.click("recover")
    assert segments(bench) == ["Object 1", "Object 1 (recovered)"]
    node = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    assert (slicer.util.arrayFromSegmentBinaryLabelmap(node, segmentId, bench.logic.volumeNode)[index, :3, :3] == 1).all()


@pytest.mark.parametrize("twins", [False, True])
def test_a_segmentation_that_is_opened_from_its_file_renamed_holds_its_state(bench, tmp_path, twins):
    annotated = bench.propagated()
    acceptNext(bench)
    annotated.segment.SetName("Liver")
    assert slicer.util.saveNode(annotated.segmentationNode, str(tmp_path / "liver.seg.nrrd"))
    slicer.mrmlScene.Clear(False)
    if twins:
        aVolume(name="Another phase")  # on the same grid: whose segmentation it is stands in the journal only
    bench.ui.volumeSelector.setCurrentNode(aVolume())
    settle()
    assert offered(bench)  # the scene has no such segment yet
    node = slicer.util.loadSegmentation(str(tmp_path / "liver.seg.nrrd"))
    node.SetName("Opened")
    settle()
    assert not offered(bench) and segments(bench) == ["Liver"]


@pytest.mark.parametrize("twins", [False, True])
def test_a_newer_state_goes_into_the_segment_of_the_file(bench, tmp_path, twins):
    annotated = bench.propagated()
    assert slicer.util.saveNode(annotated.segmentationNode, str(tmp_path / "ball.seg.nrrd"))
    acceptNext(bench)
    slicer.mrmlScene.Clear(False)
    if twins:
        aVolume(name="Another phase")
    slicer.util.loadSegmentation(str(tmp_path / "ball.seg.nrrd"))
    volume = aVolume()
    bench.ui.volumeSelector.setCurrentNode(volume)
    settle()
    bench.click("recover")
    assert segments(bench) == ["Object 1"] and len(bench.annotated.session.locked) == 1 and bench.annotated.volumeNode is volume
    assert not offered(bench)


def test_of_several_objects_only_those_come_that_the_scene_lacks_or_holds_older(bench, tmp_path):
    scene = tmp_path / "scene.mrb"
    first = bench.propagated()
    bench.logic.nextObject()
    bench.ui.segmentNameEdit.text = bench.logic.parameters.newSegmentName = "Second"
    markBall(bench.logic)
    assert slicer.util.saveScene(str(scene))
    acceptNext(bench)
    bench.logic.nextObject()
    bench.logic.parameters.newSegmentName = "Third"
    third = markBall(bench.logic)
    third.segment.SetColor(0.2, 0.4, 0.6)
    third.segment.SetTerminology("a code")
    bench.logic.storeNow()
    state = first.session.to_json()
    openScene(bench, scene)
    assert offered(bench)
    bench.click("recover")
    assert segments(bench) == ["Object 1", "Second", "Third"] and "Recovered: Second, Third." in bench.message
    segment = bench.annotated.segment
    assert segment.GetTerminology() == "a code" and np.allclose(segment.GetColor(), (0.2, 0.4, 0.6), atol=1e-3)
    node = bench.annotated.segmentationNode
    assert AnnotatedSegment.of(node, first.segmentId).session.to_json() == state


def test_objects_of_two_segmentations_with_one_id_are_both_in_the_journal(bench):
    for name in ("One", "Other"):
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
        node.GetSegmentation().AddEmptySegment("Segment_1", name)
    bench.logic.parameters.volume = aVolume()
    for name, propagated in (("One", True), ("Other", False)):
        bench.logic.selectSegment(slicer.util.getNode(name), "Segment_1")
        markBall(bench.logic)
        if propagated:
            bench.logic.propagate()
    slicer.mrmlScene.Clear(False)
    bench.ui.volumeSelector.setCurrentNode(aVolume())
    settle()
    bench.click("recover")
    assert sorted(len(one.session.results) for one in bench.logic.keeper.all()) == [1, 17]


def test_an_object_that_was_marked_along_another_direction_since_is_brought_up_to_date(bench, tmp_path):
    scene = tmp_path / "scene.mrb"
    bench.mark()
    assert slicer.util.saveScene(str(scene))
    markBall(bench.logic, "i")
    bench.logic.propagate()
    array = segmentArray(bench.annotated)
    openScene(bench, scene)
    bench.click("recover")
    assert segments(bench) == ["Object 1"] and bench.annotated.axis == "i" and np.array_equal(segmentArray(bench.annotated), array)


def test_after_recovery_all_is_as_before_the_crash(bench, tmp_path):
    """Fault 22: gray window and its reason, name, model, box."""
    voxels = aVolume()
    array = slicer.util.arrayFromVolume(voxels)
    array[:] = np.where(array > 100, -800, -1000)
    array[0, 0, 0] = 1000
    slicer.util.arrayFromVolumeModified(voxels)
    before = array.copy()
    bench.ui.volumeSelector.setCurrentNode(voxels)
    bench.logic.parameters.window, bench.logic.parameters.model = "auto", "medsam2"
    bench.logic.markObject("k", 12, [[11, 34], [10, 31], [4, 21]])
    fed, bounds = bench.logic.mapping(), bench.annotated.boundsIjk()
    slicer.mrmlScene.Clear(False)
    volume = aVolume()
    slicer.util.arrayFromVolume(volume)[:] = before
    slicer.util.arrayFromVolumeModified(volume)
    bench.ui.volumeSelector.setCurrentNode(volume)
    settle()
    assert bench.logic.mapping() != fed  # chosen by the volume alone
    bench.click("recover")
    assert bench.logic.mapping() == fed and fed.reason in bench.ui.windowLabel.text and not bench.ui.showFedButton.visible
    display = volume.GetDisplayNode()
    assert (display.GetWindow(), display.GetLevel()) == (fed.upper - fed.lower, (fed.upper + fed.lower) / 2)
    assert bench.annotated.name == "Object 1" and bench.service.choice.checkpoint == "medsam2"
    assert np.array_equal(bench.annotated.boundsIjk(), bounds) and bench.logic.parameters.roi.GetDisplayVisibility()


def test_a_window_of_the_views_comes_back_as_it_was_then(bench):
    bench.mark()
    volume = bench.logic.volumeNode
    volume.GetDisplayNode().SetAutoWindowLevel(False)
    volume.GetDisplayNode().SetWindowLevel(150, 60)
    bench.logic.parameters.window = "shown"
    bench.logic.preview()
    slicer.mrmlScene.Clear(False)
    bench.ui.volumeSelector.setCurrentNode(aVolume())
    settle()
    bench.click("recover")
    assert (bench.logic.mapping().lower, bench.logic.mapping().upper) == (-15, 135)


def test_the_sample_is_not_held_up_by_a_journal_that_it_discarded(bench):
    """Fault 14: the volume is chosen, and its journal offered, before the load call returns."""
    bench.click("trySample")
    slicer.mrmlScene.Clear(False)
    settle()
    bench.click("trySample")
    assert not offered(bench) and bench.annotated.name == "Sarcoma" and bench.ui.acceptButton.enabled


def test_a_journal_that_somebody_else_discarded_is_no_offer_any_more(bench, tmp_path):
    bench.propagated()
    slicer.mrmlScene.Clear(False)
    bench.ui.volumeSelector.setCurrentNode(aVolume())
    settle()
    assert offered(bench)
    for path in copies(bench, tmp_path):
        path.unlink()  # by another Slicer
    bench.panel.refresh()
    assert not offered(bench)


# -- two Slicers -------------------------------------------------------------------------------------------------------------------

_HOLDS_A_LOCK = """
import importlib.util, sys, pathlib
spec = importlib.util.spec_from_file_location("InUse", sys.argv[1]); file = importlib.util.module_from_spec(spec)
spec.loader.exec_module(file)
use = file.InUse(pathlib.Path(sys.argv[2]))
print([use.begin(pathlib.Path(path)) for path in sys.argv[3:]], flush=True)
sys.stdin.read()
"""


def anotherProgram(folder, *paths):
    """A process that is at journals until its input ends, or it is killed."""
    command = [sys.executable, "-c", _HOLDS_A_LOCK, InUseFile.__file__, str(folder), *map(str, paths)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline().strip() == str([True] * len(paths))
    return process


def test_the_journal_of_another_slicer_that_is_at_work_is_neither_offered_nor_written_nor_discarded(bench, tmp_path):
    bench.propagated()
    path = bench.logic.keeper.journals.pathFor(bench.logic.volumeNode)
    slicer.mrmlScene.Clear(False)
    other, content = anotherProgram(path.parent, path), path.read_bytes()
    try:
        bench.ui.volumeSelector.setCurrentNode(aVolume())
        settle()
        assert not offered(bench)
        markBall(bench.logic)
        own = bench.logic.keeper.journals.pathFor(bench.logic.volumeNode)
        assert own != path and own.is_file() and path.read_bytes() == content
        bench.logic.keeper.journals.discard(bench.logic.volumeNode)
        assert path.read_bytes() == content and not own.exists()
    finally:
        other.kill()
        other.communicate()
    bench.panel._lookForJournal()
    assert offered(bench)  # it died, and what it did not save is there


def test_a_journal_that_another_slicer_wrote_since_is_not_written_over(bench):
    """Where there are no locks, as on a network drive, the file itself tells."""
    bench.propagated()
    journals = bench.logic.keeper.journals
    path = journals.pathFor(bench.logic.volumeNode)
    (segmentId, stored), *_ = journals.read(path, bench.logic.volumeNode).items()
    about = {**stored.about, "lineage": [["another", 7]]}
    identity = json.loads(path.read_text().splitlines()[0])["volume"]
    write_journal(path.with_name("theirs"), identity, {segmentId: JournaledObject(stored.axis, stored.session, about)})
    path.write_bytes(path.with_name("theirs").read_bytes())
    foreign = path.read_bytes()
    acceptNext(bench)
    assert path.read_bytes() == foreign and journals.pathFor(bench.logic.volumeNode) != path
    assert len(journals.candidates(bench.logic.volumeNode)) == 2


def test_a_lock_is_gone_with_its_program_and_leaves_no_file_after_an_orderly_end(tmp_path):
    path = Path(tmp_path / "a.json")
    use = InUse(tmp_path)
    assert use.begin(path) and use.begin(path) and not use.elsewhere(path)
    use.endAll()
    assert list(tmp_path.iterdir()) == []
    other = anotherProgram(tmp_path, path)
    assert use.elsewhere(path) and not use.begin(path)
    other.kill()
    other.communicate()
    assert not use.elsewhere(path) and use.begin(path)
    use.endAll()
