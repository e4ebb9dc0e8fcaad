"""Proposed ends and prototypes in the panel: offered, asked for, proposed; the marks and the decision stay the person's."""

from __future__ import annotations

import numpy as np
import pytest
from panel_bench import makeBench, plainText, segmentArray, settle
from worlds import aVolume, ballArray

from SAM2AnnotateLib.errors import WorkerError
from SAM2AnnotateLib.prototypes import PrototypeLibrary
from SAM2AnnotateLib.review import SliceStatus


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.setenv("SAM2ANNOTATE_PROTOTYPES", str(tmp_path / "prototypes"))
    return makeBench(tmp_path, monkeypatch)


def boxAlone(bench):
    """The ball, marked by a box on its center slice and nothing else."""
    import slicer

    bench.service.findsEnds = True
    volume = aVolume()
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    bench.ui.volumeSelector.setCurrentNode(volume)
    bench.logic.parameters.window = "0,255"
    inside = ballArray() > 100
    (k0, k1), (j0, j1), (i0, i1) = ((int(np.flatnonzero(inside.any(axis=axes))[0]), int(np.flatnonzero(inside.any(axis=axes))[-1]) + 1)
                                    for axes in ((1, 2), (0, 2), (0, 1)))  # fmt: skip
    middle = (k0 + k1 - 1) // 2
    annotated = bench.logic.markObject("k", middle, [(i0, i1), (j0, j1), (middle, middle + 1)])
    settle()
    return annotated, (k0, k1 - 1)


def ends(annotated):
    return tuple(sorted(annotated.stack.index_of(p) for p in (annotated.session.extent.first, annotated.session.extent.last)))


# -- first and last slice -----------------------------------------------------------------------------------------------------------


def test_after_a_box_first_and_last_slice_are_offered_and_the_marks_stay_the_users(bench):
    annotated, truth = boxAlone(bench)
    assert len(annotated.session.extent) == 1 and bench.ui.extentOfferFrame.visible
    assert f"slices {truth[0]} to {truth[1]}" in plainText(bench.ui.extentOfferLabel)
    bench.key("E")
    assert ends(annotated) == truth and not bench.ui.extentOfferFrame.visible
    bench.key("Z")
    assert len(annotated.session.extent) == 1 and bench.ui.extentOfferFrame.visible


def test_an_end_that_the_user_marked_stays_when_the_proposal_is_taken(bench):
    annotated, truth = boxAlone(bench)
    first = truth[0] + 3
    bench.show(annotated.stack.position_of(first))
    bench.key("F")
    assert bench.ui.extentOfferFrame.visible
    bench.click("takeExtent")
    assert ends(annotated) == (first, truth[1])


def test_ends_that_were_marked_by_hand_end_the_offer(bench):
    annotated, truth = boxAlone(bench)
    for index, key in ((truth[0] + 1, "F"), (truth[1] - 1, "L")):
        bench.show(annotated.stack.position_of(index))
        bench.key(key)
    assert not bench.ui.extentOfferFrame.visible and not bench.ui.takeExtentButton.enabled


def test_another_box_asks_anew_and_the_old_proposal_is_dropped(bench):
    annotated, truth = boxAlone(bench)
    bench.service.findsEnds = False
    bench.logic.markObject("k", truth[0] + 4, [(18, 24), (16, 22), (truth[0] + 4, truth[0] + 5)])
    settle()
    assert bench.annotated is annotated and not bench.ui.extentOfferFrame.visible


def test_a_model_that_dies_while_it_looks_for_the_ends_leaves_the_marks_to_the_user(bench, monkeypatch):
    monkeypatch.setattr(bench.service, "_answer", lambda request, _replies: (request.onFailed(WorkerError("It died.")), request)[1])
    annotated, truth = boxAlone(bench)
    assert "It died" in bench.message and not bench.ui.extentOfferFrame.visible
    bench.show(annotated.stack.position_of(truth[0]))
    bench.key("F")
    assert ends(annotated)[0] == truth[0]


# -- prototypes ---------------------------------------------------------------------------------------------------------------------


def kept(bench):
    """The ball, all of it accepted, as a prototype."""
    bench.panel.learning.confirm = lambda _question: True
    annotated = bench.propagated()
    annotated.segment.SetName("Ball")
    for position in annotated.session.extent.indices:
        bench.logic.accept(position)
    settle()
    bench.click("keepPrototype")
    return annotated


def test_keeping_a_prototype_says_that_it_holds_pictures_of_the_patient_and_asks(bench):
    questions = []
    bench.panel.learning.confirm = lambda question: (questions.append(question), False)[1]
    bench.propagated()
    assert not bench.ui.keepPrototypeButton.enabled
    bench.logic.accept(bench.annotated.center)
    settle()
    bench.click("keepPrototype")
    assert "pictures of this patient" in questions[0] and str(bench.panel.learning.prototypes.folder) in questions[0]
    assert PrototypeLibrary().names() == []
    bench.panel.learning.confirm = lambda _question: True
    bench.click("keepPrototype")
    (name,) = PrototypeLibrary().names()
    assert name == bench.annotated.name and len(PrototypeLibrary().prototypes(name)) == 1


def test_a_prototype_finds_its_object_on_another_volume_and_nothing_is_locked(bench):
    kept(bench)
    second = aVolume(name="Second")
    bench.click("nextObject")
    bench.ui.volumeSelector.setCurrentNode(second)
    settle()
    assert bench.ui.prototypeFrame.visible and bench.ui.prototypeComboBox.currentText == "Ball"
    bench.click("proposeObject")
    found = bench.annotated
    assert found is not None and found.volumeNode is second and found.name == "Ball" and not found.session.locked
    assert all(found.session.status(p) is SliceStatus.PROPOSED for p in found.session.extent.indices)
    truth, mask = ballArray() > 100, segmentArray(found)
    assert 2 * (truth & mask).sum() / (truth.sum() + mask.sum()) > 0.8
    assert found.about["proposed_by"]["prototypes"] and found.about["doubts"]
    assert bench.position() == found.center and not bench.ui.prototypeFrame.visible


def test_what_is_not_there_is_told_and_nothing_is_made(bench):
    import slicer
    from orientations import volumeNode

    kept(bench)
    empty = volumeNode(np.full((24, 40, 44), 10, dtype=np.int16), np.diag([-1, -1, 1]), "Empty")
    bench.click("nextObject")
    bench.ui.volumeSelector.setCurrentNode(empty)
    settle()
    segments = sum(n.GetSegmentation().GetNumberOfSegments() for n in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"))
    bench.click("proposeObject")
    assert "was not found in this volume" in bench.message and bench.annotated is None
    assert sum(n.GetSegmentation().GetNumberOfSegments() for n in slicer.util.getNodesByClass("vtkMRMLSegmentationNode")) == segments


def test_a_search_is_cancelled_and_one_that_fails_changes_nothing(bench):
    kept(bench)
    bench.click("nextObject")
    bench.ui.volumeSelector.setCurrentNode(aVolume(name="Second"))
    settle()
    bench.service.held = True
    bench.click("proposeObject")
    bench.service.letThrough(3)
    settle()
    assert bench.ui.proposalProgressBar.visible and not bench.ui.proposeObjectButton.enabled
    bench.click("stopProposing")
    assert bench.annotated is None and "Nothing was changed" in bench.message
    bench.service.held, bench.service.fault = False, WorkerError("The model's process ended unexpectedly.")
    bench.click("proposeObject")
    assert bench.annotated is None and "ended unexpectedly" in bench.message and bench.ui.proposeObjectButton.enabled
    assert PrototypeLibrary().names() == ["Ball"]


def test_what_was_learned_goes_with_the_prototype_and_is_in_use_where_it_finds(bench):
    annotated = kept(bench)
    bench.click("learn")
    settle()
    assert annotated.learned is not None
    bench.click("keepPrototype")
    assert PrototypeLibrary().adapter("Ball").sha256 == annotated.learned["sha256"]
    bench.click("nextObject")
    bench.ui.volumeSelector.setCurrentNode(aVolume(name="Second"))
    settle()
    bench.click("proposeObject")
    assert bench.annotated.learned["sha256"] == annotated.learned["sha256"]


def test_a_damaged_prototype_is_one_clear_line(bench):
    kept(bench)
    card = next(PrototypeLibrary().folder.glob("*/*/card.json"))
    card.write_text(card.read_text().replace("Ball", "Bell"))
    bench.click("nextObject")
    bench.ui.volumeSelector.setCurrentNode(aVolume(name="Second"))
    settle()
    bench.click("proposeObject")
    assert "changed after it was written" in bench.message and bench.annotated is None and bench.ui.proposeObjectButton.enabled


def test_doubts_of_the_search_order_the_review_until_a_slice_is_computed_anew(bench):
    kept(bench)
    bench.click("nextObject")
    bench.ui.volumeSelector.setCurrentNode(aVolume(name="Second"))
    settle()
    bench.click("proposeObject")
    found, logic = bench.annotated, bench.logic
    position = found.center + 2
    found.about["doubts"][str(position)] = 0.93
    found.session.amend_result(found.session.results[position])  # another version
    assert logic.doubts()[position].value == 0.93 and position not in logic.expectedGood()
    assert logic.nextDoubtful(None) == position
    found.addResult(found.session.results[position])
    assert str(position) not in found.about["doubts"] and logic.doubts()[position].value < 0.93
