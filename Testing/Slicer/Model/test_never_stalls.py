"""The mouse never waits: results are taken in short turns, views are rendered once a step, and Cancel answers at once."""

from __future__ import annotations

import sys
import time

import pytest
import slicer
from panel_bench import makeBench, settle
from worlds import Heard, aVolume, makeLogic, markBall, waitFor

from SAM2AnnotateLib.errors import OutputError
from SAM2AnnotateSlicer.Model import ModelService
from SAM2AnnotateSlicer.Model.Patience import Patience
from SAM2AnnotateSlicer.Model.WorkerProcess import TURN_SECONDS, WorkerProcess
from SAM2AnnotateSlicer.Pace import Pace
from SAM2AnnotateSlicer.Turns import inTurn
from slicer_host import pythonqt
from slicer_host.views import view_costs

VIEWS = ("Red", "Green", "Yellow")


@pytest.fixture
def bench(tmp_path, monkeypatch):
    return makeBench(tmp_path, monkeypatch)


@pytest.fixture
def costly():
    """Renderings that take so long that every later wish in the same step would be rendered at once."""
    view_costs.switch(view_costs.Costs(rendering=0.002, segment=0.002))
    yield
    view_costs.switch(view_costs.Costs())


def paused():
    widgets = [pythonqt.unwrap(slicer.app.layoutManager().sliceWidget(name)) for name in VIEWS]
    return any(widget.sliceView().isRenderPaused() for widget in widgets)


# -- one rendering a step -----------------------------------------------------------------------------------------------------------


def addSegments(node, count):
    for n in range(count):
        node.GetSegmentation().AddEmptySegment("", f"Neighbor {n}")


@pytest.mark.parametrize("segments", [0, 12])
@pytest.mark.parametrize("step", ["accept", "noObject", "undo", "nextObject", "firstSlice", "goToCenter"])
def test_one_step_of_the_user_renders_each_view_once_however_many_segments_there_are(bench, costly, step, segments):
    annotated = bench.propagated()
    bench.click("accept")
    addSegments(annotated.segmentationNode, segments)
    bench.show(annotated.center - 2)
    settle()
    view_costs.counted()
    bench.panel.trigger(step)
    assert not view_costs.counted().renderings  # that is a turn of its own
    settle(30)
    renderings = view_costs.counted().renderings
    assert all(renderings.get(name, 0) <= 1 for name in VIEWS), renderings
    settle()
    assert renderings or view_costs.counted().renderings, "what the step did was not drawn"


def test_a_box_that_is_drawn_renders_each_view_once(bench, costly):
    annotated = bench.mark()
    addSegments(annotated.segmentationNode, 8)
    bench.click("nextObject")
    settle()
    view_costs.counted()
    red = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    bench.panel._onBox(red, ((5.0, 5.0, 0.0), (-5.0, -5.0, 0.0)))
    settle(30)
    renderings = view_costs.counted().renderings
    assert all(renderings.get(name, 0) <= 1 for name in VIEWS), renderings


def test_rendering_goes_on_whatever_a_step_raises(bench):
    def fail():
        assert paused()
        raise ValueError("not foreseen")

    with pytest.raises(ValueError, match="not foreseen"):
        bench.panel.attempt(fail)
    bench.panel._steps["accept"] = fail
    bench.propagated()
    with pytest.raises(ValueError, match="not foreseen"):
        bench.panel.trigger("accept")
    settle()
    assert not paused() and not bench.panel._triggering


def test_a_dialog_of_a_failed_step_is_opened_when_the_views_are_drawn_again(bench, monkeypatch):
    bench.propagated()
    shown = []

    def errorDisplay(text):
        settle()  # as the dialog's own event loop does
        shown.append((text, paused()))

    monkeypatch.setattr(slicer.util, "errorDisplay", errorDisplay)

    def fail(_position):
        raise OutputError("The disk is full.")

    bench.panel._steps["accept"] = lambda: fail(0)
    bench.panel.messages._dialogs = True
    bench.panel.trigger("accept")
    assert shown == [("The disk is full.", False)]


def test_steps_that_ask_something_do_not_stop_the_views(bench):
    bench.propagated()
    seen = []
    bench.panel.saving.askFile = lambda _suggested: seen.append(paused()) or ""
    bench.click("save")
    assert seen == [False]


# -- while slices arrive ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["ImportState", "CloseState"])
def test_no_view_is_held_back_while_the_scene_is_closed_or_imported(bench, state):
    """That goes on for long after our part of it, opens dialogs, and brings views that would be resumed without having been paused."""
    bench.propagated()
    settle()
    scene = slicer.mrmlScene
    for one in ("BatchProcessState", state):
        scene.StartState(getattr(slicer.vtkMRMLScene, one))
    try:
        assert not paused()
    finally:
        for one in (state, "BatchProcessState"):
            scene.EndState(getattr(slicer.vtkMRMLScene, one))
    settle()
    assert not paused()


def test_the_views_follow_only_the_newest_slice(bench):
    bench.mark()
    bench.ui.followCheckBox.checked = True
    bench.service.held = True
    bench.click("propagate")
    arrived = []
    bench.logic.sliceArrived.connect(lambda position, *_: arrived.append(position))
    view_costs.counted()
    bench.letThrough(7)
    assert view_costs.counted().jumps == {"Red": 1}
    assert bench.position() == arrived[-1] and len(arrived) == 7


def test_views_and_strip_are_brought_up_to_date_ten_times_a_second_at_most(bench):
    bench.mark()
    bench.ui.followCheckBox.checked = False
    shown = []
    bench.logic.slicesShown.connect(lambda positions: shown.append(len(positions)))
    bench.service.held = True
    bench.click("propagate")
    begun = time.monotonic()
    for _ in range(12):
        bench.service.letThrough(1)
        slicer.app.processEvents()
        time.sleep(0.02)
    elapsed = time.monotonic() - begun
    assert len(shown) <= elapsed / 0.1 + 1
    waitFor(lambda: sum(shown) == 12, 5)


def test_views_that_do_not_follow_are_drawn_when_slices_came(bench):
    bench.mark()
    bench.ui.followCheckBox.checked = False
    bench.service.held = True
    bench.click("propagate")
    settle()
    view_costs.counted()
    bench.letThrough(3)
    counts = view_costs.counted()
    assert set(counts.renderings) == set(VIEWS) and not counts.jumps


def test_the_scene_hears_of_several_slices_at_once(bench):
    annotated = bench.mark()
    heard = []
    annotated.segmentationNode.GetSegmentation().AddObserver(
        slicer.vtkSegmentation.SourceRepresentationModified, lambda *_: heard.append(annotated.writing)
    )
    bench.service.held = True
    bench.click("propagate")
    bench.service.letThrough(1)
    heard.clear()
    bench.letThrough(2)
    assert 1 <= len(heard) <= 2 and all(heard)  # and it is known for our own writing, no edit of the user
    bench.letThrough(None)
    assert not bench.annotated.session.locked


def test_what_follows_from_a_work_decides_how_soon_it_is_done_again():
    now, renders = [0.0], [0.0]

    def jump():
        now[0] += 0.1
        inTurn(render)

    def render():
        now[0] += renders[0]

    pace = Pace(lambda: inTurn(jump), 100, lambda: now[0])
    for renders[0], expected in ((0.4, 1000), (0.0, 200), (-0.1, 100)):
        pace._do()
        settle(40)
        assert pace._timer.interval == expected
    pace.stop()


def test_of_what_takes_long_one_thing_is_done_in_a_turn_even_if_one_raises(monkeypatch):
    done, turns = [], []
    monkeypatch.setattr(sys, "excepthook", lambda *_: None)

    def fail():
        done.append("fail")
        raise ValueError("expected by the test")

    for work in (lambda: done.append(1), fail, lambda: done.append(2), lambda: done.append(3)):
        inTurn(work)
    while len(done) < 4:
        before = len(done)
        slicer.app.processEvents()
        turns.append(len(done) - before)
        assert len(turns) < 5000
        time.sleep(0.002)
    assert max(turns) == 1 and done == [1, "fail", 2, 3]
    pythonqt.slot_errors.clear()


# -- the worker's messages ----------------------------------------------------------------------------------------------------------

_TALKATIVE = """
import sys, time
from SAM2AnnotateLib.worker.messages import Heartbeat, to_line
sys.stdout.buffer.write(b"".join(to_line(Heartbeat(n)) for n in range(60)))
sys.stdout.buffer.flush()
{then}
"""


def talkative(tmp_path, onMessage, onEnd, then="time.sleep(30)"):
    command = [sys.executable, "-u", "-c", _TALKATIVE.format(then=then)]
    return WorkerProcess(onMessage, onEnd, tmp_path / "log", command)


def test_what_waits_is_taken_in_turns_of_a_hundredth_of_a_second(tmp_path):
    came, turns = [], []

    def take(message):
        came.append(message.request)
        time.sleep(0.003)

    process = talkative(tmp_path, take, came.append)
    process.start()
    while len(came) < 60:
        before = len(came)
        slicer.app.processEvents()
        turns.append(len(came) - before)
        assert len(turns) < 20000
        time.sleep(0.001)
    process.kill()
    assert came == list(range(60))
    assert max(turns) <= TURN_SECONDS / 0.003 + 2


def test_what_a_process_said_last_comes_before_its_end(tmp_path):
    came = []

    def take(message):
        came.append(message.request)
        time.sleep(0.002)

    process = talkative(tmp_path, take, lambda error: came.append(error), then="")
    process.start()
    waitFor(lambda: len(came) == 61, 20)
    assert came[:60] == list(range(60)) and "ended unexpectedly" in str(came[60])


# -- cancel -------------------------------------------------------------------------------------------------------------------------


def test_cancelling_after_a_stall_of_our_own_keeps_the_models_process(tmp_path, monkeypatch):
    monkeypatch.setattr(ModelService, "_CANCEL_MILLISECONDS", 300)
    logic = makeLogic(tmp_path, aVolume(), delaySeconds=0.03)
    heard = Heard(logic)
    try:
        markBall(logic)
        waitFor(lambda: not logic.service.busy)
        logic.propagate()
        waitFor(lambda: len(heard.slices) > 2)
        process = logic.service.processId
        time.sleep(0.2)  # slices wait in the pipe
        logic.cancel()
        assert logic.stopping
        time.sleep(0.7)  # we are busy for longer than the model has for its answer
        waitFor(lambda: not logic.running)
        assert logic.service.processId == process
        assert any(text.startswith("Stopped. ") and "ended" not in text for text, _error in heard.messages), heard.messages
    finally:
        logic.service.close()


def test_time_in_which_we_were_busy_is_no_time_of_waiting():
    now, over = [0.0], []
    patience = Patience(1500, 5, lambda: over.append(now[0]), lambda: now[0])
    patience.begin()
    for seconds in (0.3, 5.0, 0.3, 0.3, 0.3):
        now[0] += seconds
        patience.look()
    assert not over
    now[0] += 0.3
    patience.look()
    assert over
    now[0] += 0.3
    patience.look()
    assert len(over) == 1


def test_cancel_answers_at_once_and_leaves_the_views_where_they_are(bench):
    bench.mark()
    bench.ui.followCheckBox.checked = True
    bench.service.held = bench.service.slowToStop = True
    bench.click("propagate")
    bench.letThrough(4)
    shown = bench.position()
    bench.panel.trigger("cancel")  # nothing else has happened yet when we look
    _done, total = bench.logic.progress
    assert bench.ui.estimateLabel.text == f"Stopping. 4 of {total} slices are done and kept."
    assert not bench.ui.cancelButton.enabled and "being stopped" in bench.ui.cancelButton.toolTip
    bench.service.stop()
    settle()
    assert bench.position() == shown and not bench.ui.progressBar.visible
    assert f"{total - 4} slices" in bench.ui.estimateLabel.text  # what is kept is not computed again
    bench.service.slowToStop = False
    bench.click("propagate")
    assert bench.logic.progress == (0, total - 4)
