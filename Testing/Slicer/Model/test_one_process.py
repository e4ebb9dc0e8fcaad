"""Panel and console share one process of the model: who ends it, which model answers whom, and that a script does not freeze the window."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import qt
import slicer
from fake_service import FakeService
from panel_bench import MODULE, makeBench, settle
from worlds import Heard, aVolume, makeLogic, markBall, waitFor

from SAM2AnnotateLib.errors import Cancelled, EngineError
from SAM2AnnotateLib.review import SliceStatus
from SAM2AnnotateSlicer.Console import Console
from SAM2AnnotateSlicer.Model import ModelService, SharedService
from SAM2AnnotateSlicer.Review.Logic import AnnotationLogic
from slicer_host.modules.scripted_module import load_module, reload_module, unload_module

BOX = {"box": ((10, 9), (34, 31)), "firstSlice": 5, "lastSlice": 18, "axis": "k", "window": "0,255"}


@pytest.fixture(autouse=True)
def noServiceIsLeft():
    """A script that was tested does not keep its process for the next test."""
    yield
    SharedService.scriptDone()


@pytest.fixture
def bench(tmp_path, monkeypatch):
    return makeBench(tmp_path, monkeypatch)


@pytest.fixture
def world(tmp_path):
    """A logic and a console on one real process with the scripted model."""
    made = []

    def make(delaySeconds=0.0):
        made.append(makeLogic(tmp_path, aVolume(), delaySeconds))
        return made[-1], Console(service=lambda: made[-1].service)

    yield make
    for logic in made:
        logic.service.close()


# -- the door -----------------------------------------------------------------------------------------------------------------------


def test_the_modules_logic_annotates_and_reviews(bench):
    logic = slicer.util.getModuleLogic("SAM2Annotate")
    review = logic.annotate(aVolume(), **BOX)
    assert review.slices == list(range(5, 19)) and {review.status(index) for index in review.slices} == {SliceStatus.PROPOSED}
    again = logic.review(review.segmentationNode, review.segmentId)
    again.accept(9)
    assert review.status(9) is SliceStatus.ACCEPTED
    assert isinstance(logic, AnnotationLogic) and logic is bench.logic


def test_the_modules_logic_is_there_before_the_panel_was_ever_shown(tmp_path, monkeypatch):
    monkeypatch.setattr(ModelService, "ModelService", lambda **_options: FakeService(tmp_path))
    load_module(MODULE)
    assert slicer.util.getModuleLogic("SAM2Annotate").annotate(aVolume(), **BOX).slices[0] == 5


# -- one process, and who ends it ---------------------------------------------------------------------------------------------------


def scriptsLogic():
    import SAM2Annotate

    return SAM2Annotate.SAM2AnnotateLogic()


def test_panel_and_console_use_one_process_and_the_panel_ends_it(bench):
    scriptsLogic().annotate(aVolume(), **BOX)
    annotated = bench.propagated()
    slicer.util.getModuleLogic("SAM2Annotate").review(annotated.segmentationNode, annotated.segmentId).propagate()
    scriptsLogic().close()  # the panel needs it
    slicer.mrmlScene.Clear(False)
    settle()
    assert len(bench.services) == 1 and not bench.service.closed
    unload_module("SAM2Annotate")
    assert bench.service.closed


def test_a_script_without_a_panel_has_a_process_that_the_panel_takes_over(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(ModelService, "ModelService", lambda **_options: made.append(FakeService(tmp_path)) or made[-1])
    module = load_module(MODULE)
    logic = module.SAM2AnnotateLogic()
    logic.annotate(aVolume(), **BOX)
    bench = slicer.util.getModuleWidget("SAM2Annotate")
    assert len(made) == 1 and bench.logic.service is made[0]
    reload_module("SAM2Annotate")
    assert made[0].closed and len(made) == 2
    unload_module("SAM2Annotate")
    assert made[1].closed


def test_a_script_without_a_panel_ends_its_process_by_close_and_may_begin_again(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(ModelService, "ModelService", lambda **_options: made.append(FakeService(tmp_path)) or made[-1])
    logic = load_module(MODULE).SAM2AnnotateLogic()
    review = logic.annotate(aVolume(), **BOX)
    logic.close()
    assert made[0].closed
    review.propagate()
    assert len(made) == 2 and not made[1].closed


def test_a_review_of_a_script_goes_on_after_the_panel_was_reloaded(bench):
    review = slicer.util.getModuleLogic("SAM2Annotate").annotate(aVolume(), **BOX)
    bench.take(reload_module("SAM2Annotate"))
    review.propagate()
    assert len(bench.services) == 2 and bench.services[0].closed and not bench.service.closed


# -- in the real process ------------------------------------------------------------------------------------------------------------


def test_the_window_lives_while_a_script_waits_and_the_log_says_what_for(world, caplog):
    logic, console = world(delaySeconds=0.02)
    review = console.annotate(logic.volumeNode, **BOX)
    process, ticks, timer = logic.service.processId, [], qt.QTimer()
    timer.setInterval(5)
    timer.connect("timeout()", lambda: ticks.append(True))
    timer.start()
    seen = []
    with caplog.at_level(logging.INFO):
        review.correct(7, np.ones((40, 44), bool), progress=lambda _progress: seen.append(len(ticks)))
    timer.stop()
    assert seen == sorted(seen) and seen[-1] > seen[0] >= 0 and len(seen) > 1
    assert "computing the slices of 'Object' beside slice 7" in caplog.text
    assert logic.service.processId == process is not None


def test_the_panel_goes_on_with_the_process_that_a_script_used(world):
    logic, console = world()
    console.annotate(logic.volumeNode, **BOX)
    process = logic.service.processId
    logic.parameters.segmentation = None
    markBall(logic)
    logic.propagate()
    waitFor(lambda: not logic.running)
    assert logic.service.processId == process and logic.current.counts()[SliceStatus.PROPOSED] == 17


def test_what_the_panel_computes_comes_first_and_its_cancel_leaves_the_script_alone(world):
    logic, console = world(delaySeconds=0.01)
    heard = Heard(logic)
    markBall(logic)
    logic.propagate()
    logic.parameters.segmentation = None
    qt.QTimer.singleShot(120, logic.cancel)
    review = console.annotate(logic.volumeNode, **BOX)
    assert {review.status(index) for index in review.slices} == {SliceStatus.PROPOSED}
    assert not logic.running and any("are done and kept" in text for text, _error in heard.messages)


def test_a_script_may_ask_for_another_model_and_the_panel_keeps_its_own(world):
    logic, console = world()
    loaded = []
    real = logic.service._process.client.load_model
    logic.service._process.client.load_model = lambda checkpoint, **options: loaded.append(checkpoint) or real(checkpoint, **options)
    markBall(logic)
    waitFor(lambda: not logic.service.busy)
    review = console.annotate(aVolume(name="Other"), model="another", **BOX)
    logic.preview()
    waitFor(lambda: not logic.service.busy)
    assert loaded == ["bundled", "another", "bundled"]
    console.review(review.segmentationNode, review.segmentId).propagate()  # without a choice: the panel's
    assert loaded == ["bundled", "another", "bundled"]


def test_a_model_that_a_script_cannot_have_is_no_harm_to_the_panel(world):
    logic, console = world()
    markBall(logic)
    waitFor(lambda: not logic.service.busy)
    with pytest.raises(EngineError, match="not downloaded"):
        console.annotate(aVolume(name="Other"), model="missing", **BOX)
    logic.propagate()
    waitFor(lambda: not logic.running)
    assert logic.current.counts()[SliceStatus.PROPOSED] == 17


def test_an_error_of_the_scripts_own_stops_the_model_and_reaches_the_script(world):
    logic, console = world(delaySeconds=0.01)

    def fails(progress):
        if progress.done == 3:
            raise ZeroDivisionError("of the script")

    with pytest.raises(ZeroDivisionError, match="of the script"):
        console.annotate(logic.volumeNode, progress=fails, **BOX)
    assert not logic.service.busy
    node = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    review = console.review(node, node.GetSegmentation().GetNthSegmentID(0))
    assert sum(review.status(index) is SliceStatus.PROPOSED for index in review.slices) >= 2
    review.propagate()
    assert {review.status(index) for index in review.slices} == {SliceStatus.PROPOSED}


def test_a_process_that_dies_under_a_script_is_told_to_it(world, tmp_path):
    logic, console = world()
    (tmp_path / "fault").write_text("die 3")
    with pytest.raises(Exception, match="ended unexpectedly") as told:
        console.annotate(logic.volumeNode, **BOX)
    assert not isinstance(told.value, Cancelled)
