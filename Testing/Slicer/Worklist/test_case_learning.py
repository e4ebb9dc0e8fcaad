"""Learning from a list's reviewed cases, volume after volume: the newest comes last, and the next case begins with what was learned."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from panel_bench import makeBench, plainText, settle
from worlds import ballArray, makeLogic, markBall, waitFor

from SAM2AnnotateLib.engine import Adapter, AdapterCard, ScriptedEngine
from SAM2AnnotateLib.errors import WorkerError
from SAM2AnnotateLib.geometry import Box2D, Extent, SliceStack, Volume, VolumeGrid
from SAM2AnnotateLib.intensity import IntensityMapping
from SAM2AnnotateLib.prompts import SlicePrompt
from SAM2AnnotateLib.review import ReviewSession
from SAM2AnnotateLib.review.journal import JournaledObject
from SAM2AnnotateLib.review.stored_object import TAG, pack_object
from SAM2AnnotateLib.volume_io import write_volume
from SAM2AnnotateSlicer.Worklist import LearnedOfCases
from SAM2AnnotateSlicer.Worklist.CaseLearning import CaseLearning
from SAM2AnnotateSlicer.Worklist.Worklist import Worklist

GRID = VolumeGrid((24, 40, 44), np.diag([-1.0, -1.0, 2.0, 1.0]))
RADII = {"a": (9, 11, 12), "b": (8, 10, 11), "c": (9, 10, 12)}


@pytest.fixture
def folder(tmp_path):
    """Three balls of different sizes."""
    path = tmp_path / "cases"
    path.mkdir()
    for name, radii in RADII.items():
        write_volume(Volume(GRID, ballArray(radii_kji=radii)), path / f"{name}.nii.gz")
    return path


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.setenv("SAM2ANNOTATE_PROTOTYPES", str(tmp_path / "prototypes"))
    made = makeBench(tmp_path, monkeypatch)
    made.panel.dataSets.learning.options = {"steps": 6}
    return made


@pytest.fixture
def listed(bench, folder):
    """The panel with the folder as its worklist."""
    bench.panel.dataSets.worklist.openFolder(str(folder))
    return bench


def review(folder, name: str, axis: str = "k", label: str = "Ball") -> None:
    """The case as a person who corrected every slice of the ball saved it: what a segmentation keeps of that in its header."""
    stack = SliceStack.along(GRID, axis)
    masks = stack.view(ballArray(radii_kji=RADII[name]) > 100)
    shown = np.flatnonzero(masks.any(axis=(1, 2)))
    extent = Extent(int(shown[0]), int(shown[-1]))
    center = (extent.first + extent.last) // 2
    session = ReviewSession({center: SlicePrompt(box=Box2D.around(masks[center]))}, extent, stack.frame_shape_rc)
    for position in extent.indices:
        session.correct(position, masks[position])
    about = {"segment": label, "center": center, "mapping": IntensityMapping(0, 255, "explicit", "test").to_json()}
    tag = f"{TAG}:{pack_object(JournaledObject(axis, session, about))}"
    (folder / f"{name}.seg.nrrd").write_bytes(f"NRRD0004\nSegment0_Tags:={tag}|\n\n".encode())


def learned(learning, name="Ball", **options) -> bool:
    """Learn to the end; whether there was anything to learn."""
    begun = learning.start(name, **options)
    waitFor(lambda: not learning.running, 120, "for the end of learning")
    settle()
    return begun


def known(folder, name="Ball") -> LearnedOfCases.LearnedOfCases:
    return LearnedOfCases.read(folder, name)


def openPage(bench, folder):
    bench.click("worklist")
    page = bench.panel.dataSets.cases.page
    page.ui.folderEdit.currentPath = str(folder)
    settle()
    return page


def test_the_newest_case_comes_last_and_learning_goes_on_from_what_was_learned_before(listed, folder):
    learning, service = listed.panel.dataSets.learning, listed.service
    review(folder, "c")
    assert learned(learning) and service.starts == [None]
    first = known(folder)
    assert first.sha256 and first.cases == ("c",) and not learning.isDue("Ball") and not learned(learning)
    review(folder, "a")
    review(folder, "b")
    assert learned(learning) and service.starts[-1].sha256 == first.sha256
    assert known(folder).cases == ("c", "a", "b")
    assert [key.split(":")[2][0] for key in service.learnedFrom] == ["c", "a", "b"]
    card = Adapter.from_bytes(learning.learnedOf("Ball").data()).card
    assert (card.object_name, card.volume_count) == ("Ball", 3)


@pytest.mark.parametrize("harm", ["gone", "damaged", "of another model", "list damaged", "a case is no longer reviewed"])
def test_what_cannot_be_gone_on_from_is_learned_anew_without_a_word(listed, folder, harm):
    learning, service = listed.panel.dataSets.learning, listed.service
    review(folder, "a")
    assert learned(learning)
    before = known(folder)
    file = listed.logic.learnedModels.folder / f"{before.sha256}.safetensors"
    if harm == "gone":
        file.unlink()
    elif harm == "damaged":
        file.write_bytes(file.read_bytes()[:-9])
    elif harm == "of another model":
        own = Adapter.from_bytes(file.read_bytes())
        foreign = listed.logic.learnedModels.keep(Adapter(own.tensors, replace(own.card, base_sha256="0" * 64)).to_bytes())
        LearnedOfCases.write(folder, "Ball", replace(before, sha256=foreign.sha256))
        service.description = None  # as before the model was loaded: the one that learns has to refuse it
        review(folder, "b")
    elif harm == "list damaged":
        (folder / LearnedOfCases.STATE_FILE).write_text("{")
    else:
        LearnedOfCases.write(folder, "Ball", replace(before, cases=("z", "a")))
    assert learned(learning) and service.starts[-1] is None and not learning.problems
    assert known(folder).sha256 and known(folder).cases == (("a", "b") if harm == "of another model" else ("a",))
    assert learning.learnedOf("Ball") is not None


def test_cases_that_show_nothing_new_or_cannot_be_read_leave_what_was_learned(listed, folder):
    learning, service = listed.panel.dataSets.learning, listed.service
    review(folder, "a")
    assert learned(learning)
    before = known(folder)
    review(folder, "b", label="Cube")
    assert learning.isDue("Ball") and not learned(learning) and len(service.starts) == 1
    assert known(folder) == replace(before, cases=("a", "b"))
    (folder / "c.nii.gz").write_bytes(b"no volume")
    review(folder, "c")
    learned(learning)
    assert "c" in learning.problems and len(service.starts) == 1 and learning.learnedOf("Ball").sha256 == before.sha256
    (folder / "c.seg.nrrd").write_bytes(b"NRRD0004\nSegment0_Tags:=" + TAG.encode() + b":damaged|\n\n")
    assert not learned(learning) and learning.learnedOf("Ball").sha256 == before.sha256


def test_where_nothing_better_is_found_what_was_learned_before_stays(listed, folder, monkeypatch):
    from SAM2AnnotateLib.adaptation import learning as library

    learning = listed.panel.dataSets.learning
    review(folder, "a")
    assert learned(learning)
    before = known(folder)
    monkeypatch.setattr(library, "_served", lambda *_: ())
    review(folder, "b")
    assert learned(learning) and "not better" in learning.brought
    assert known(folder) == replace(before, cases=("a", "b"))


def test_a_model_that_dies_is_asked_once_more_and_stopping_changes_nothing(listed, folder):
    learning, service = listed.panel.dataSets.learning, listed.service
    review(folder, "a")
    service.fault = WorkerError("The model's process ended unexpectedly.")
    assert learned(learning) and len(service.starts) == 2 and known(folder).sha256
    before = known(folder)
    review(folder, "b")
    service.held = True
    assert learning.start("Ball")
    waitFor(lambda: service.busy, 60)
    service.letThrough(30)
    assert "from 2 reviewed cases" in learning.text
    learning.cancel()
    assert not learning.running and "Stopped" in learning.text and known(folder) == before
    service.held = False
    assert learned(learning) and known(folder).cases == ("a", "b")


def test_with_the_check_each_reviewed_case_is_learned_from_and_the_next_begins_with_it(bench, folder):
    page, data = openPage(bench, folder), bench.panel.dataSets
    messages: list[str] = []
    bench.logic.message.connect(lambda text, _isError: messages.append(text))

    def marked(name):
        data.worklist.goTo(next(case for case in data.worklist.folder.cases() if case.name == name))
        settle()
        bench.logic.parameters.window = "0,255"
        return markBall(bench.logic)

    def done(annotated):
        bench.logic.propagate()
        waitFor(lambda: not bench.logic.running, 60)
        for position in annotated.session.extent.indices:
            bench.logic.accept(position)
        page.ui.saveButton.click()
        waitFor(lambda: not data.learning.running, 60)
        settle()

    assert not page.ui.learnCheckBox.checked and not page.ui.stopLearningButton.enabled
    data.worklist.goTo(data.worklist.folder.cases()[1])
    bench.logic.parameters.newSegmentName = "Ball"
    bench.logic.parameters.window = "0,255"
    first = markBall(bench.logic)
    assert first.learned is None
    done(first)
    assert not bench.service.starts, "nobody asked for it"
    page.ui.learnCheckBox.click()
    waitFor(lambda: not data.learning.running, 60)
    settle()
    assert len(bench.service.starts) == 1 and "Ball" in plainText(page.ui.learnLabel) and "begins with" in messages[-1]

    second = marked("a")
    assert second.name == "Ball" and second.learned["sha256"] == known(folder).sha256
    assert any("begins with what the worklist learned" in text and second.learned["sha256"][:8] in text for text in messages)
    bench.ui.reviewSection.collapsed = False
    settle()
    assert second.learned["sha256"][:8] in plainText(bench.ui.learningLabel) and bench.ui.forgetButton.visible
    before = known(folder)
    done(second)
    assert bench.service.starts[-1].sha256 == before.sha256 and known(folder).cases == ("b", "a")

    third = marked("c")
    assert third.learned["sha256"] == known(folder).sha256
    bench.click("forget")
    assert third.learned is None
    bench.logic.nextObject()
    bench.logic.parameters.newSegmentName = "Ball"
    bench.panel.learning.learner.use(None)
    assert markBall(bench.logic).learned is None, "a person chose the model as it came"
    bench.logic.nextObject()
    bench.logic.parameters.newSegmentName = "Another"
    assert markBall(bench.logic).learned is None, "an object of another name"


@pytest.mark.skipif(sys.platform == "win32", reason="kills by a POSIX signal")
def test_in_a_real_process_that_is_killed_it_goes_on_from_what_was_learned(tmp_path, folder):
    logic = makeLogic(tmp_path)
    worklist = Worklist(logic)
    learning = CaseLearning(logic, worklist)
    learning.options = {"steps": 10}
    try:
        worklist.openFolder(str(folder))
        review(folder, "a")
        review(folder, "b")
        assert learned(learning)
        review(folder, "c")
        (tmp_path / "fault").write_text("die 2")
        assert learned(learning) and not (tmp_path / "fault").exists()
        kept = learning.learnedOf("Ball")
        assert kept is not None and Adapter.from_bytes(kept.data()).card.volume_count == 3 and known(folder).cases == ("a", "b", "c")
        card = AdapterCard("Ball", ScriptedEngine().weights_sha256, "scripted", volume_count=2)
        misfit = logic.learnedModels.keep(Adapter({"w": np.zeros(3, np.float16)}, card).to_bytes())
        LearnedOfCases.write(folder, "Ball", LearnedOfCases.LearnedOfCases(misfit.sha256, ("a", "b")))
        assert learned(learning) and known(folder).sha256 not in ("", misfit.sha256), "one that does not fit is learned anew"
    finally:
        learning.cleanup()
        logic.service.close()
