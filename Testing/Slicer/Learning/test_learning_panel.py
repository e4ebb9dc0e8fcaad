"""Learning from the panel: offered, done, taken back, forgotten; what is locked is never touched."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from panel_bench import makeBench, plainText, settle
from worlds import aVolume

from SAM2AnnotateLib.adaptation import learn
from SAM2AnnotateLib.errors import EngineError
from SAM2AnnotateLib.review import SliceStatus
from SAM2AnnotateSlicer.Review.AnnotatedSegment import AnnotatedSegment


@pytest.fixture
def bench(tmp_path, monkeypatch):
    return makeBench(tmp_path, monkeypatch)


def corrected(bench, count=3):
    """The ball, propagated, with that many slices corrected."""
    annotated = bench.propagated()
    for n in range(count):
        position = annotated.center + 1 + n
        bench.logic.correct(position, annotated.session.mask(position))
    settle()
    return annotated


def locked(annotated):
    return {position: annotated.session.mask(position).tobytes() for position in annotated.session.locked}


def openMasks(annotated):
    session = annotated.session
    return {p: session.mask(p).tobytes() for p in session.extent.indices if p not in session.locked and session.mask(p) is not None}


def test_learning_is_offered_after_the_third_correction_and_not_forced(bench):
    annotated = bench.propagated()
    assert not bench.ui.learnButton.enabled and "two slices" in bench.ui.learnButton.toolTip
    for n in range(3):
        assert "can learn" not in plainText(bench.ui.learningLabel)
        position = annotated.center + 1 + n
        bench.logic.correct(position, annotated.session.mask(position))
        settle()
    assert "3 slices are corrected" in plainText(bench.ui.learningLabel) and bench.ui.learnButton.enabled
    assert bench.ui.learnButton.text == "Learn from these 3 slices" and annotated.learned is None
    assert "learn" not in bench.service.asked


def test_what_was_learned_of_several_volumes_is_not_replaced_by_what_one_teaches(bench):
    annotated = corrected(bench)
    annotated.about["learned"] = {"sha256": "0" * 64, "name": "Ball", "volumes": 4}
    bench.logic.changed.emit()
    settle()
    assert "can learn" not in plainText(bench.ui.learningLabel) and "are corrected" not in plainText(bench.ui.learningLabel)
    bench.click("learn")
    assert "learn" not in bench.service.asked and annotated.learned["volumes"] == 4
    assert "learned of 4 volumes" in plainText(bench.ui.messageLabel) and "'Forget' first" in plainText(bench.ui.messageLabel)
    annotated.about.pop("learned")
    bench.click("learn")
    assert "learn" in bench.service.asked


def test_by_hand_two_accepted_slices_are_enough(bench):
    annotated = bench.propagated()
    for position in (annotated.center, annotated.center + 1):
        bench.logic.accept(position)
    settle()
    bench.click("learn")
    assert "learn" in bench.service.asked and len(bench.service.lessons) == 4


def test_what_is_taught_is_what_is_locked_and_that_it_is_not_there_beyond_the_ends(bench):
    annotated = corrected(bench)
    extent = annotated.session.extent
    bench.click("learn")
    taught = dict(bench.service.lessons)
    assert set(taught) == set(annotated.session.locked) | {extent.first - 2, extent.last + 2} & set(range(annotated.stack.shape_src[0]))
    assert all(taught[p].any() == (p in extent) for p in taught)
    accepted = {p for p in annotated.session.locked if annotated.session.status(p) is not SliceStatus.CORRECTED}
    assert bench.service.drawn == set(taught) - accepted


@pytest.fixture
def inPasses(monkeypatch):
    """What is learned goes into passes, however little it gained on slices held out."""
    monkeypatch.setattr(sys.modules[learn.__module__], "_has_open_slices", lambda _: False)


@pytest.mark.usefixtures("inPasses")
def test_after_learning_the_open_slices_are_proposed_anew_and_the_locked_ones_stand(bench):
    annotated = corrected(bench)
    before = locked(annotated)
    bench.click("learn")
    settle()
    assert annotated.learned is not None and annotated.learned["name"] == annotated.name
    assert locked(annotated) == before
    assert bench.service.learnedAskedFor[-1].sha256 == annotated.learned["sha256"]
    assert not annotated.session.due_work().due
    assert annotated.learned["sha256"][:8] in plainText(bench.ui.learningLabel) and "held out" in plainText(bench.ui.learningLabel)


def test_what_gained_too_little_leaves_the_open_slices_as_they_are_and_says_so(bench):
    """The ball's slices held out are found by a box as well without learning."""
    annotated = corrected(bench)
    masks, before, asked = openMasks(annotated), locked(annotated), len(bench.service.learnedAskedFor)
    bench.click("learn")
    settle()
    assert annotated.learned["inPasses"] is False and not bench.ui.forgetButton.isHidden()
    assert "they stay as they are" in plainText(bench.ui.learningLabel)
    assert openMasks(annotated) == masks and locked(annotated) == before and not annotated.session.due_work().due
    assert len(bench.service.learnedAskedFor) == asked  # nothing was computed
    bench.click("forget")
    settle()
    assert annotated.learned is None and openMasks(annotated) == masks
    bench.key("Z")
    bench.key("Z")
    assert annotated.learned is None and openMasks(annotated) == masks


def test_one_step_of_undo_takes_the_learning_back_and_redo_brings_it_again(bench):
    annotated = corrected(bench)
    masks, state = openMasks(annotated), annotated.session.to_json()
    bench.click("learn")
    settle()
    learned = annotated.learned
    bench.key("Z")
    assert annotated.learned is None and openMasks(annotated) == masks and annotated.session.to_json() == state
    bench.key("Y")
    assert annotated.learned == learned


@pytest.mark.usefixtures("inPasses")
def test_forget_goes_back_to_the_model_as_it_came_as_one_step(bench):
    annotated = corrected(bench)
    masks = openMasks(annotated)
    bench.click("learn")
    settle()
    learned, before = annotated.learned, locked(annotated)
    bench.click("forget")
    settle()
    assert annotated.learned is None and locked(annotated) == before and openMasks(annotated) == masks
    assert bench.service.asked[-1] == "propagate" or bench.service.asked[-2] == "propagate"
    bench.key("Z")
    assert annotated.learned == learned and not bench.ui.forgetButton.isHidden()


def test_where_nothing_better_is_found_that_is_told_and_nothing_is_changed(bench, monkeypatch):
    monkeypatch.setattr(sys.modules[learn.__module__], "_served", lambda *_: ())
    annotated = corrected(bench)
    state, steps = annotated.session.to_json(), annotated.stepCount
    bench.click("learn")
    settle()
    assert "not better" in bench.message and "not better" in plainText(bench.ui.learningLabel)
    assert annotated.learned is None and annotated.session.to_json() == state and annotated.stepCount == steps
    assert bench.logic.learnedModels.all() == []


def test_what_is_listed_is_what_can_be_used(bench):
    annotated = corrected(bench)
    bench.click("learn")
    settle()
    (listed,) = bench.logic.learnedModels.all()
    assert listed == bench.logic.learnedModels.find(annotated.learned) and listed.text.startswith(f"{annotated.name} (")


def test_progress_and_time_left_are_shown_and_cancel_changes_nothing(bench):
    annotated = corrected(bench)
    state = annotated.session.to_json()
    bench.service.held = True
    bench.click("learn")
    bench.service.letThrough(24)
    settle()
    assert bench.ui.learningProgressBar.visible and "%" in bench.ui.learningProgressBar.format
    assert not bench.ui.learnButton.enabled
    bench.click("stopLearning")
    assert not bench.ui.learningProgressBar.visible and "nothing was changed" in bench.message
    assert annotated.learned is None and annotated.session.to_json() == state


def test_decisions_go_on_while_the_model_learns(bench):
    annotated = corrected(bench)
    bench.service.held = True
    bench.click("learn")
    bench.service.letThrough(5)
    position = annotated.center - 2
    bench.logic.accept(position)
    bench.service.held = False
    bench.service.letThrough(None)
    settle()
    assert annotated.session.status(position) is SliceStatus.ACCEPTED and annotated.learned is not None


def test_a_model_that_fails_while_it_learns_changes_nothing_and_is_told(bench):
    annotated = corrected(bench)
    state = annotated.session.to_json()
    bench.service.fault = EngineError("Out of memory on cuda with model x at 512 pixels.", "Choose a smaller model.")
    bench.click("learn")
    assert "Out of memory" in bench.message and "nothing was changed" in bench.message
    assert annotated.session.to_json() == state and annotated.learned is None and bench.ui.learnButton.enabled


@pytest.mark.usefixtures("inPasses")
def test_what_was_learned_is_named_by_hash_in_tag_and_journal_and_found_again(bench):
    annotated = corrected(bench)
    bench.click("learn")
    settle()
    sha256 = annotated.learned["sha256"]
    assert annotated.journaled().about["learned"] == {"sha256": sha256, "name": annotated.name}
    assert annotated.about["engine"]["adapter_sha256"] == sha256
    assert (bench.logic.learnedModels.folder / f"{sha256}.safetensors").is_file()
    (journal,) = bench.logic.keeper.journals.folder.glob("*.json")
    assert sha256 in journal.read_text()


def test_a_file_that_is_gone_is_told_and_forget_goes_on(bench):
    annotated = corrected(bench)
    bench.click("learn")
    settle()
    models = bench.logic.learnedModels
    (models.folder / f"{annotated.learned['sha256']}.safetensors").unlink()
    models._known.clear()
    position = annotated.center - 3
    bench.panel.attempt(bench.logic.correct, position, np.zeros_like(annotated.session.mask(position)))
    assert "not on this computer" in bench.message and "Forget" in bench.message
    assert annotated.session.status(position) is SliceStatus.CORRECTED
    bench.click("forget")
    settle()
    assert annotated.learned is None and not annotated.session.due_work().due


def test_a_damaged_file_is_one_clear_line(bench, tmp_path):
    models = bench.logic.learnedModels
    models.folder.mkdir(parents=True)
    path = models.folder / f"{'a' * 64}.safetensors"
    for content in (b"\xff" * 64, b"", (9).to_bytes(8, "little") + b"[1, 2, 3]", (2).to_bytes(8, "little") + b"{}" + b"\xff" * 64):
        path.write_bytes(content)
        assert models.all() == []
    with pytest.raises(Exception, match="cannot be used") as caught:
        models.find({"sha256": "a" * 64, "name": "Liver"})
    assert "\n" not in str(caught.value) and "Liver" in str(caught.value)


def test_what_was_learned_serves_the_next_object_if_it_is_chosen(bench):
    annotated = corrected(bench)
    bench.click("learn")
    settle()
    learned = annotated.learned
    bench.click("nextObject")
    combo = bench.ui.learnedComboBox
    row = combo.findData(learned["sha256"])
    assert row > 0
    combo.setCurrentIndex(row)
    combo.emit("activated(int)", row) if not hasattr(combo, "activated") else combo.activated.emit(row)
    again = bench.mark(aVolume(name="Second"))
    assert again is not annotated and again.learned == learned
    assert bench.logic.nextLearned is None


def test_who_goes_on_to_another_object_ends_the_learning_and_is_told(bench):
    annotated = corrected(bench)
    bench.service.held = True
    bench.click("learn")
    bench.click("nextObject")
    assert "Nothing was learned" in bench.message and not bench.panel.learning.learner.running
    assert annotated.learned is None and bench.logic.learnedModels.all() == []


@pytest.mark.parametrize("harm", ["x", ["y"], {"sha256": 3}, {"sha256": "../../etc", "name": "x"}, {"name": "x"}, 7])
def test_what_a_hand_wrote_into_a_scene_is_no_reason_to_fail(bench, harm):
    annotated = corrected(bench)
    annotated.about |= {"learned": harm, "doubts": harm, "learnedAt": harm}
    annotated.store()
    back = AnnotatedSegment.restore(annotated.segmentationNode, annotated.segmentId)
    assert back.session.to_json() == annotated.session.to_json() and back.proposedDoubts == {}
    assert bench.logic.selectSegment(annotated.segmentationNode, annotated.segmentId) is back
    bench.panel.attempt(bench.logic.correct, back.center, back.session.mask(back.center))
    assert back.session.status(back.center) is SliceStatus.CORRECTED and "Unexpected" not in bench.message


def test_json_of_the_scene_holds_no_weights(bench):
    annotated = corrected(bench)
    bench.click("learn")
    settle()
    assert len(json.dumps(annotated.journaled().about["learned"])) < 300
