"""The panel's whole work on a model of a server: a real server's process, and a network that is cut in the midst of it."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from cutting_proxy import CuttingProxy
from lent_server import LentServer
from panel_bench import MODULE, Bench, settle
from worlds import WORKER, aVolume, markBall, waitFor

from SAM2AnnotateLib.engine import Adapter, ScriptedEngine
from SAM2AnnotateLib.geometry import SliceStack
from SAM2AnnotateLib.intensity import IntensityMapping
from SAM2AnnotateLib.propagation import RegionPolicy, SliceEncoder, propagate
from SAM2AnnotateLib.review import ReviewSession, SliceStatus
from SAM2AnnotateLib.volume_io import read_volume
from SAM2AnnotateSlicer.Console import Console
from SAM2AnnotateSlicer.Model.PythonCommand import pythonCommand
from SAM2AnnotateSlicer.Model.ServerSettings import Server, keepServer
from SAM2AnnotateSlicer.Scene.SceneBridge import ijkToWorld, jumpToSlice, sliceAxis, volumeFromNode
from slicer_host.modules.scripted_module import load_module
from slicer_host.views.views_and_mouse import drag
from slicer_host.widgets.segment_editing import paint

SECONDS_PER_SLICE = 0.03


@pytest.fixture
def aServer(tmp_path):
    with LentServer(tmp_path, SECONDS_PER_SLICE) as server:
        yield server


@pytest.fixture
def aNetwork(aServer):
    with CuttingProxy(aServer.port) as proxy:
        yield proxy


@pytest.fixture
def bench(tmp_path, monkeypatch, aServer, aNetwork):
    """The module with its real model service, and the server's model chosen."""
    from SAM2AnnotateSlicer.Review import JournalKeeper

    keeper = JournalKeeper.JournalKeeper
    monkeypatch.setattr(JournalKeeper, "JournalKeeper", lambda _settings: keeper(tmp_path / "journals"))
    keepServer(Server(f"http://127.0.0.1:{aNetwork.port}", aServer.token), ["bundled"])
    load_module(MODULE)
    made = Bench()
    made.enter()
    made.states = []
    made.logic.service.stateChanged.connect(lambda text, _busy: made.states.append(text))
    return made


def chooseServer(bench):
    box = bench.ui.modelComboBox
    box.setCurrentIndex(box.findData("server:bundled"))
    box.activated.emit(box.currentIndex)
    assert bench.logic.parameters.model == "server:bundled"


def markByMouse(bench, volume):
    """A box around the ball, drawn in the view; first and last slice by keys."""
    slicer.util.setSliceViewerLayers(background=volume, fit=True, rotateToVolumePlane=True)
    names = slicer.app.layoutManager().sliceViewNames()
    view = next(name for name in names if sliceAxis(slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode(), volume) == ("k", True))
    inside = slicer.util.arrayFromVolume(volume) > 100
    (low, high), *others = [(int(at.min()), int(at.max())) for at in np.nonzero(inside)]
    center = (low + high) // 2
    bench.panel.views.showVolume(volume)
    node = slicer.app.layoutManager().sliceWidget(view).mrmlSliceNode()
    jumpToSlice(node, volume, "k", center)
    bench.key("B")
    (rows, cols) = others
    corners = [(ijkToWorld(volume) @ [cols[end], rows[end], center, 1])[:3] for end in (0, 1)]
    drag(view, tuple(corners[0]), tuple(corners[1]))
    settle()
    stack = bench.annotated.stack
    for index, key in ((low, "F"), (high, "L")):
        jumpToSlice(node, volume, "k", index)
        settle()
        bench.key(key)
    assert sorted((stack.index_of(bench.annotated.session.extent.first), stack.index_of(bench.annotated.session.extent.last))) == [
        low,
        high,
    ]
    return bench.annotated


def idle(bench):
    waitFor(lambda: not bench.logic.running and not bench.logic.service.busy and not bench.panel.box.following.active, 120)
    settle()


def computedHere(annotated, session: ReviewSession) -> dict[int, np.ndarray]:
    """What the model of this computer gives for what is due in a review."""
    volume, mapping = volumeFromNode(annotated.volumeNode), annotated.about["mapping"]
    window = IntensityMapping(mapping["lower"], mapping["upper"], "explicit", "")
    encoder = SliceEncoder(ScriptedEngine(), volume, SliceStack.along(volume.grid, "k"), window)
    work = session.due_work()
    options = {"locked": work.locked, "corrected": work.corrected, "due": work.due, "proposals": work.proposals}
    return {one.position: one.mask for one in propagate(encoder, work.prompts, work.extent, RegionPolicy(), **options)}


def cutWhenSlicesCame(bench, network, count):
    """Break the network in the midst of the propagation that runs."""
    known = len(bench.annotated.session.due_work().due)
    waitFor(lambda: len(bench.annotated.session.due_work().due) <= known - count, 60, "for the first slices")
    assert bench.logic.running
    network.cut()


def test_a_box_to_an_exported_mask_though_the_network_breaks(bench, aServer, aNetwork, tmp_path):
    volume = aVolume(name="DOE^JANE")
    bench.ui.volumeSelector.setCurrentNode(volume)
    chooseServer(bench)
    annotated = markByMouse(bench, volume)
    idle(bench)
    assert list(annotated.session.results) == [annotated.center], "a preview, by the server"
    assert bench.logic.service.description["model"] == "scripted"
    assert any("Sending the volume" in text for text in bench.states) and any("Connecting to the server" in text for text in bench.states)

    # Propagate; the network breaks in the middle; the server need not be told the volume again.
    before = ReviewSession.from_json(annotated.session.to_json())
    expected = computedHere(annotated, before)
    bench.key("Return")
    cutWhenSlicesCame(bench, aNetwork, 3)
    idle(bench)
    assert {p: annotated.session.mask(p).tobytes() for p in expected} == {p: mask.tobytes() for p, mask in expected.items()}
    assert any("Connecting again" in text for text in bench.states) and aServer.log.count("session_resumed") >= 1
    assert "cannot" not in bench.message and bench.logic.failure is None, "it went on by itself"

    # Correct a slice; the server dies in the middle and is started again: what was decided stands, and it is told.
    bench.show(annotated.center)
    bench.key("A")
    corrected = annotated.session.extent.first + 2
    bench.show(corrected)
    bench.key("C")
    drawn = annotated.labelmap.readSlice(annotated.stack.index_of(corrected))[None].copy()
    drawn[:, :, :18] = False
    paint(slicer.util.findChildren(bench.panel.widget, name="segmentEditorWidget")[0], drawn)
    said = []
    bench.logic.service.noticed.connect(said.append)
    bench.key("Return")
    locks = {position: annotated.session.mask(position).tobytes() for position in annotated.session.locked}
    assert set(locks) == {annotated.center, corrected}
    expected = computedHere(annotated, ReviewSession.from_json(annotated.session.to_json()))
    waitFor(lambda: bench.logic.running, 10)
    aServer.kill()
    aServer.start()
    idle(bench)
    assert {position: annotated.session.mask(position).tobytes() for position in annotated.session.locked} == locks
    if annotated.session.due_work().due:  # the server took too long to come back, which was said
        bench.key("Return")
        idle(bench)
    assert {p: annotated.session.mask(p).tobytes() for p in expected} == {p: mask.tobytes() for p, mask in expected.items()}
    assert any("forgotten this session" in text for text in said), (said, bench.states)

    # Accept the rest, export.
    for end in (annotated.session.extent.first, annotated.session.extent.last):
        bench.show(end)
        bench.key("Shift+A")
    statuses = {annotated.session.status(position) for position in annotated.session.extent.indices}
    assert statuses == {SliceStatus.ACCEPTED, SliceStatus.CORRECTED}
    raw = tmp_path / "nnUNet_raw"
    raw.mkdir()
    bench.ui.saveSection.collapsed = False
    bench.click("exportNnunet")
    page = bench.panel.dataSets.export.page
    page.ui.rawFolderEdit.currentPath, page.ui.patientIdEdit.text, page.ui.nameEdit.text = str(raw), "P1", "Ball"
    settle()
    for button in (page.ui.previewButton, page.ui.exportButton):
        assert button.enabled, button.toolTip
        button.click()
        waitFor(lambda: not page.exporter.busy, 120)
        settle()
    (label,) = raw.glob("*/labelsTr/*.nii.gz")
    assert np.array_equal(
        read_volume(label).array_kji == 1,
        slicer.util.arrayFromSegmentBinaryLabelmap(annotated.segmentationNode, annotated.segmentId, volume) > 0,
    )
    assert "DOE" not in aServer.log and str(tmp_path) not in aServer.log


def test_a_cancel_while_the_server_is_away_is_heard_and_the_next_run_goes_on(bench, aServer, aNetwork):
    volume = aVolume()
    bench.ui.volumeSelector.setCurrentNode(volume)
    chooseServer(bench)
    annotated = markByMouse(bench, volume)
    idle(bench)
    aNetwork.refusing = True
    aNetwork.cut()
    bench.key("Return")
    waitFor(lambda: any("Connecting again" in text for text in bench.states), 30)
    process = bench.logic.service.processId
    bench.click("cancel")
    waitFor(lambda: not bench.logic.running, 10)
    assert bench.logic.service.processId == process, "the relay heard it; it was not ended"
    aNetwork.refusing = False
    bench.key("Return")
    idle(bench)
    assert not annotated.session.due_work().due


def test_from_the_server_to_the_model_here_and_back(bench, aServer, tmp_path, monkeypatch):
    service = bench.logic.service
    service._process._command = [*pythonCommand(), "-u", str(WORKER), str(tmp_path / "fault"), "0"]
    volume = aVolume()
    bench.ui.volumeSelector.setCurrentNode(volume)
    chooseServer(bench)
    annotated = markByMouse(bench, volume)
    idle(bench)
    first = service.processId
    bench.panel.object.useModel("bundled")
    idle(bench)
    assert service.processId != first and list(annotated.session.results) == [annotated.center]
    waitFor(lambda: aServer.figure("sessions") == 0, 10, "for the session to end: the server need not keep it for one who left")
    chooseServer(bench)
    idle(bench)
    bench.key("Return")
    idle(bench)
    assert not annotated.session.due_work().due


def test_what_was_learned_on_the_server_is_in_use_there_though_it_is_started_anew(bench, aServer):
    volume = aVolume()
    bench.ui.volumeSelector.setCurrentNode(volume)
    chooseServer(bench)
    annotated = markByMouse(bench, volume)
    idle(bench)
    bench.key("Return")
    idle(bench)
    for position in range(annotated.center + 1, annotated.center + 4):
        bench.logic.correct(position, annotated.session.mask(position))
    settle()
    bench.click("learn")
    waitFor(lambda: annotated.learned is not None, 60, bench.message)
    idle(bench)
    card = Adapter.from_bytes(bench.logic.learnedModels.find(annotated.learned).data()).card
    assert card.window == tuple(annotated.about["mapping"][end] for end in ("lower", "upper")) and card.object_name == annotated.name
    bench.logic.correct(annotated.center - 1, annotated.session.mask(annotated.center - 1))  # open slices stay until something is asked
    idle(bench)
    locks = {position: annotated.session.mask(position).tobytes() for position in annotated.session.locked}
    assert bench.logic.service.description["adapter"] == annotated.learned["name"]
    aServer.kill()
    aServer.start()
    drawn = annotated.session.mask(annotated.center - 2).copy()
    drawn[:20] = False
    bench.logic.correct(annotated.center - 2, drawn)
    idle(bench)
    assert (
        not annotated.session.due_work().due
        and locks.items() <= {position: annotated.session.mask(position).tobytes() for position in annotated.session.locked}.items()
    )
    assert aServer.log.count("session_began") == 1 and bench.logic.service.description["adapter"] == annotated.learned["name"]


def test_a_script_names_a_model_of_the_server(bench, aServer):
    volume = aVolume()
    inside = slicer.util.arrayFromVolume(volume) > 100
    (first, last), rows, cols = [(int(at.min()), int(at.max())) for at in np.nonzero(inside)]
    console, box = Console(), ((cols[0], rows[0]), (cols[1] + 1, rows[1] + 1))
    review = console.annotate(volume, box, first, last, window="0,255", model="server:bundled")
    found = slicer.util.arrayFromSegmentBinaryLabelmap(review.segmentationNode, review.segmentId, volume) > 0
    assert (found & inside).sum() > 0.9 * inside.sum() and aServer.log.count("session_began") == 1
    console.close()


def test_a_scene_from_elsewhere_without_a_server_says_what_to_do(tmp_path, monkeypatch):
    load_module(MODULE)
    bench = Bench()
    bench.enter()
    bench.logic.parameters.model = "server:sam2.1_hiera_large"
    settle()
    bench.ui.volumeSelector.setCurrentNode(aVolume())
    markBall(bench.logic)
    waitFor(lambda: not bench.logic.service.busy, 30)
    settle()
    assert "No server is known to this computer yet. Choose the model 'On a server...'" in bench.message
