"""The worker: its messages, its requests one by one, and the real process with the bundled model, also when it dies or hangs."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from SAM2AnnotateLib.engine import ScriptedEngine
from SAM2AnnotateLib.errors import Cancelled, CheckpointError, EngineError, MissingPackageError, OutputError, PromptError, WorkerError
from SAM2AnnotateLib.geometry import Box2D, Extent, SliceStack, Volume, VolumeGrid
from SAM2AnnotateLib.intensity import IntensityMapping
from SAM2AnnotateLib.progress import CancelToken
from SAM2AnnotateLib.prompts import Point, SlicePrompt
from SAM2AnnotateLib.propagation import RegionPolicy, SliceEncoder, propagate
from SAM2AnnotateLib.review import ReviewSession, SliceStatus
from SAM2AnnotateLib.worker import SubprocessWorker, WorkerClient
from SAM2AnnotateLib.worker import messages as m
from SAM2AnnotateLib.worker.serve import Worker

POLICY, MAPPING = RegionPolicy(), IntensityMapping(0, 255, "explicit", "test")
posix = pytest.mark.skipif(sys.platform == "win32", reason="stops and kills processes by POSIX signals")


@pytest.fixture
def a_volume():
    """A bright block on slices 2..9 of 12, stored flipped: positions differ from indices."""
    voxels = np.zeros((12, 40, 48), dtype=np.int16)
    voxels[2:10, 12:28, 14:34] = 180
    return Volume(VolumeGrid(voxels.shape, np.diag([1.0, 1.2, -2.5, 1.0])), voxels)


def _session(volume):
    stack = SliceStack.along(volume.grid, "axial")
    extent = stack.extent_of(Extent(2, 9))
    return ReviewSession({stack.position_of(5): SlicePrompt(box=stack.box_of((12, 10), (36, 30)))}, extent, stack.frame_shape_rc)


# -- messages -------------------------------------------------------------------------------------------------------------------


def test_every_message_comes_back_from_its_line_as_it_was():
    prompt = SlicePrompt(box=Box2D(1, 4, 2, 9), points=(Point(2, 3), Point(0, 0, False))).to_json()
    sent = [
        m.LoadModel(1, "bundled", image_size=256),
        m.OpenVolume(2, "ct", "/tmp/Ä b.npy", np.eye(4).tolist(), "axial", -55.0, 155.0),
        m.PredictSlice(3, "ct", 4, prompt, "auto", [0, 5, 0, 9]),
        m.Propagate(4, "ct", {"4": prompt}, [2, 9], "20 mm", [4], [4], 4, [5, 6], []),
        m.Failed(5, "EngineError", "Out of memory"),
    ]
    assert [m.from_line(m.to_line(message)) for message in sent] == sent
    assert all(m.to_line(message).count(b"\n") == 1 for message in sent)


def test_a_result_travels_without_loss(a_volume):
    encoder = SliceEncoder(ScriptedEngine(), a_volume, SliceStack.along(a_volume.grid, "axial"), MAPPING)
    work = _session(a_volume).due_work()
    for result in propagate(encoder, work.prompts, work.extent, POLICY):
        back = m.from_line(m.to_line(m.SliceDone.of(7, result, 1, 8))).result()
        assert np.array_equal(back.mask, result.mask) and back.crop == result.crop and back.prompted == result.prompted
        assert (back.position, back.predicted_iou, back.object_score) == (result.position, result.predicted_iou, result.object_score)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"Loading weights 100%", "no message"),
        (b"[1, 2]", "no message"),
        (b'{"version": 99, "type": "Ready"}', "version 99"),
        (b'{"version": 4, "type": "Format disk", "request": 1}', "Unknown message"),
        (b'{"version": 4, "type": "CloseVolume", "request": 1}', "lacks a field"),
        (b'{"version": 4, "type": "Shutdown", "request": 1, "code": "x"}', "Unknown message or field"),
    ],
)
def test_a_line_that_is_no_message_is_refused_with_the_reason(line, reason):
    with pytest.raises(WorkerError, match=reason):
        m.from_line(line)


def test_the_client_cuts_a_stream_into_messages_wherever_it_is_split():
    client = WorkerClient(lambda _: None)
    stream = m.to_line(m.Ready(0, 42)) + m.to_line(m.Finished(3))
    for cut in range(len(stream)):
        assert client.feed(stream[:cut]) + client.feed(stream[cut:]) == [m.Ready(0, 42), m.Finished(3)]
    client.close()


# -- requests, in this process ------------------------------------------------------------------------------------------------------


class _InProcess:
    """A worker without a process: what the client sends is handled at once."""

    def __init__(self, engine=None):
        self.replies: list[m.Message] = []
        self.tokens: dict[int, CancelToken] = {}
        self.worker = Worker(self.replies.append, load=lambda *_args, **_options: engine or ScriptedEngine())
        self.client = WorkerClient(self._take)

    def _take(self, data: bytes) -> None:
        message = m.from_line(data)
        self.worker.handle(message, self.tokens.get(message.request, CancelToken()))

    def open(self, volume):
        self.client.load_model("scripted")
        self.client.open_volume("v", volume, "axial", MAPPING)
        self.replies.clear()


def test_the_worker_gives_the_same_masks_as_the_library(a_volume):
    encoder = SliceEncoder(ScriptedEngine(), a_volume, SliceStack.along(a_volume.grid, "axial"), MAPPING)
    work = _session(a_volume).due_work()
    expected = {result.position: result.mask for result in propagate(encoder, work.prompts, work.extent, POLICY)}
    local = _InProcess()
    local.open(a_volume)
    local.client.propagate("v", work, POLICY)
    *slices, last = local.replies
    assert isinstance(last, m.Finished) and len(slices) == 8
    assert [message.done for message in slices] == list(range(1, 9)) and {message.total for message in slices} == {8}
    for message in slices:
        assert np.array_equal(message.result().mask, expected[message.result().position])
    local.client.close()


def test_a_correction_is_carried_over_and_locked_slices_do_not_come_back(a_volume):
    local, session = _InProcess(), _session(a_volume)
    local.open(a_volume)
    local.client.propagate("v", session.due_work(), POLICY)
    for message in local.replies[:-1]:
        assert session.add_result(message.result())
    where = session.extent.first + 2
    drawn = np.zeros(session.frame_shape_rc, dtype=bool)
    drawn[12:14, 16:20] = True
    session.correct(where, drawn)
    local.replies.clear()
    local.client.propagate("v", session.due_work(where), POLICY)
    assert where not in {message.result().position for message in local.replies[:-1]}
    assert session.mask(where).tobytes() == drawn.tobytes() and session.status(where) is SliceStatus.CORRECTED
    local.client.close()


def test_embeddings_serve_preview_propagation_and_prefetch(a_volume):
    engine = ScriptedEngine()
    local, session = _InProcess(engine), _session(a_volume)
    local.open(a_volume)
    work = session.due_work()
    ((position, prompt),) = work.prompts.items()
    local.client.predict_slice("v", position, prompt, POLICY)
    crop = local.replies[0].result().crop
    local.client.prefetch("v", position, session.extent, crop)
    local.client.propagate("v", work, POLICY)
    assert engine.encoded_frames == 8
    local.client.close()


def test_every_failure_is_one_reply_with_the_errors_name_and_text(a_volume):
    local, work = _InProcess(), _session(a_volume).due_work()
    local.client.propagate("v", work, POLICY)
    assert local.replies == [m.Failed(1, "WorkerError", "No model is loaded.")]
    local.open(a_volume)
    local.client.propagate("another", work, POLICY)
    assert local.replies.pop().text == "The volume is not open in the model's process."
    local.client.predict_slice("v", 99, SlicePrompt(box=Box2D(1, 5, 900, 950)), POLICY)
    assert (failed := local.replies.pop()).kind == "PromptError" and "outside the slice" in failed.text
    local.client.close()


def test_a_bug_in_one_request_does_not_end_the_worker(a_volume):
    def broken(_position):
        raise ZeroDivisionError("a bug")

    local, work = _InProcess(ScriptedEngine(fail_at=broken)), _session(a_volume).due_work()
    local.open(a_volume)
    local.client.propagate("v", work, POLICY)
    assert isinstance(local.replies[0], m.SliceDone), "the prompted slice came before the fault"
    assert local.replies[-1].kind == "ZeroDivisionError" and "log has the details" in local.replies[-1].text
    local.replies.clear()
    local.client.close_volume("v")
    assert isinstance(local.replies[-1], m.Finished)
    local.client.close()


def test_a_cancelled_request_never_begins(a_volume):
    local, work = _InProcess(), _session(a_volume).due_work()
    local.open(a_volume)
    token = CancelToken()
    token.cancel()
    local.tokens[3] = token
    assert local.client.propagate("v", work, POLICY) == 3
    assert [type(reply) for reply in local.replies] == [m.Failed] and local.replies[0].kind == "Cancelled"
    local.client.close()


# -- the real process ----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def a_worker():
    """A running worker with the bundled model."""
    pytest.importorskip("sam2")
    with SubprocessWorker() as worker:
        (loaded,) = worker.wait(worker.client.load_model("bundled", device="cpu"))
        assert loaded.engine["model"] == "bundled"
        yield worker


def test_the_real_process_annotates_with_the_bundled_model(a_worker, a_volume):
    a_worker.wait(a_worker.client.open_volume("v", a_volume, "axial", MAPPING))
    session = _session(a_volume)
    for message in a_worker.replies(a_worker.client.propagate("v", session.due_work(), POLICY)):
        session.add_result(message.result())
    stack = SliceStack.along(a_volume.grid, "axial")
    truth = stack.view(a_volume.array_kji) > 0
    found = np.zeros_like(truth)
    for position in session.extent.indices:
        found[position] = session.mask(position)
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.7


def test_errors_of_the_process_come_back_as_the_librarys_own(a_worker, a_volume):
    with pytest.raises(CheckpointError, match="sam3"):
        a_worker.wait(a_worker.client.load_model("sam3"))
    a_worker.wait(a_worker.client.load_model("bundled", device="cpu"))
    a_worker.wait(a_worker.client.open_volume("v", a_volume, "axial", MAPPING))
    with pytest.raises(PromptError, match="outside the slice"):
        a_worker.wait(a_worker.client.predict_slice("v", 3, SlicePrompt(box=Box2D(1, 5, 900, 950)), POLICY))
    with pytest.raises(EngineError, match="toaster"):
        a_worker.wait(a_worker.client.load_model("bundled", device="toaster"))
    a_worker.wait(a_worker.client.load_model("bundled", device="cpu"))


def test_cancelling_ends_the_request_and_leaves_the_worker_usable(a_worker, a_volume):
    a_worker.wait(a_worker.client.open_volume("v", a_volume, "axial", MAPPING))
    session, cancel = _session(a_volume), CancelToken()
    with pytest.raises(Cancelled):
        for message in a_worker.replies(a_worker.client.propagate("v", session.due_work(), POLICY), cancel):
            session.add_result(message.result())
            cancel.cancel()
    assert 1 <= len(session.results) < 8
    done = len(session.results)
    assert len(a_worker.wait(a_worker.client.propagate("v", session.due_work(), POLICY))) == 8 - done, "the rest"


@posix
def test_a_killed_process_is_told_and_finished_slices_stand(a_volume):
    pytest.importorskip("sam2")
    session = _session(a_volume)
    with SubprocessWorker() as worker:
        worker.wait(worker.client.load_model("bundled", device="cpu"))
        worker.wait(worker.client.open_volume("v", a_volume, "axial", MAPPING))
        with pytest.raises(WorkerError, match="ended unexpectedly .*lack of memory"):
            for message in worker.replies(worker.client.propagate("v", session.due_work(), POLICY)):
                session.add_result(message.result())
                os.kill(worker.process.pid, signal.SIGKILL)
        kept = {position: result.mask.copy() for position, result in session.results.items()}
        assert kept
        with pytest.raises(WorkerError):
            worker.wait(worker.client.close_volume("v"))
    with SubprocessWorker() as again:
        again.wait(again.client.load_model("bundled", device="cpu"))
        again.wait(again.client.open_volume("v", a_volume, "axial", MAPPING))
        for message in again.replies(again.client.propagate("v", session.due_work(), POLICY)):
            session.add_result(message.result())
    assert len(session.results) == 8


@posix
def test_a_process_that_hangs_is_ended_after_the_silence_allowed(a_volume):
    with SubprocessWorker(silence_seconds=1.8) as worker:
        os.kill(worker.process.pid, signal.SIGSTOP)
        with pytest.raises(WorkerError, match="silent for 2 s and was ended"):
            worker.wait(worker.client.close_volume("v"))
        assert worker.process.poll() is not None


def test_a_worker_without_a_client_ends_by_itself():
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "SAM2AnnotateLib.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    first = json.loads(process.stdout.readline())
    assert first["type"] == "Ready" and first["process_id"] == process.pid
    process.stdin.close()
    assert process.wait(20) == 0
    process.stdout.close()


def test_nonsense_on_its_input_is_answered_and_does_not_end_the_worker():
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "SAM2AnnotateLib.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    stop = threading.Timer(30, process.kill)
    stop.start()
    process.stdin.write(b"hello\n" + m.to_line(m.CloseVolume(5, "v")))
    process.stdin.flush()
    replies = [m.from_line(process.stdout.readline()) for _ in range(3)]
    stop.cancel()
    assert [type(reply) for reply in replies] == [m.Ready, m.Failed, m.Finished]
    process.stdin.write(m.to_line(m.Shutdown(6)))
    process.stdin.close()
    assert process.wait(20) == 0
    process.stdout.close()


def test_a_python_that_does_not_exist_is_told():
    with pytest.raises(WorkerError, match="cannot be started with 'no-such-python'"):
        SubprocessWorker(python=("no-such-python",))


# -- handing volumes over ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def a_client(tmp_path):
    client = WorkerClient(lambda _: None, tmp_path)
    yield client
    client.close()


def _laid(tmp_path):
    return list(tmp_path.rglob("*.npy"))


def test_a_volume_is_laid_down_in_pieces_and_once_for_all_axes(a_client, tmp_path):
    voxels = np.random.default_rng(0).integers(-1000, 2000, (40, 700, 600)).astype(np.int16)  # 34 MB
    volume = Volume(VolumeGrid(voxels.shape, np.eye(4)), voxels[::-1][::-1])
    pieces = list(a_client.lay_down("ct", volume))
    assert len(pieces) > 3 and [piece.done for piece in pieces] == sorted({piece.done for piece in pieces}) and pieces[-1].done == 40
    a_client.open_volume("axial", volume, "axial", MAPPING, "ct")
    a_client.open_volume("coronal", volume, "coronal", MAPPING, "ct")
    (file,) = _laid(tmp_path)
    assert np.array_equal(np.load(file, mmap_mode="r"), voxels)
    a_client.forget_voxels("ct")
    assert _laid(tmp_path) == []


def test_a_volume_that_is_given_up_or_finds_no_room_leaves_no_file(a_client, a_volume, tmp_path, monkeypatch):
    big = Volume(VolumeGrid((30, 600, 600), np.eye(4)), np.zeros((30, 600, 600), np.int16))
    laying = a_client.lay_down("ct", big)
    next(laying)
    assert len(_laid(tmp_path)) == 1
    laying.close()
    assert _laid(tmp_path) == []

    def full(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "open_memmap", full)
    with pytest.raises(OutputError, match="No space left on device"):
        list(a_client.lay_down("ct", a_volume))
    assert _laid(tmp_path) == []


def test_a_failure_travels_with_its_remedy_apart():
    sent = m.Failed(3, "MissingPackageError", "Running SAM 2 needs 'torch'.", "Install it with: pip install torch")
    error = m.from_line(m.to_line(sent)).error()
    assert isinstance(error, MissingPackageError) and (error.problem, error.remedy) == (sent.problem, sent.remedy)
    assert str(error) == f"{sent.problem} {sent.remedy}"


# -- what a client should never send ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_of",
    [
        lambda prompt: m.PredictSlice(9, "v", 5, prompt, "auto", [1, 2]),
        lambda prompt: m.PredictSlice(9, "v", 5, prompt, "auto", ["a", "b", "c", "d"]),
        lambda prompt: m.Propagate(9, "v", {"five": prompt}, [2, 9], "auto", [], [], None, [3], []),
        lambda prompt: m.Propagate(9, "v", {"5": prompt}, [2, 9, 4], "auto", [], [], None, [3], []),
        lambda prompt: m.Propagate(9, "v", {"5": prompt}, [2, 9], "auto", [], [], None, [3], [{"position": 4}]),
        lambda prompt: m.Propagate(9, "v", {"5": prompt}, [2, 9], "auto", [], [], None, [3], [{"position": 4, "mask": 3, "crop": 1}]),
        lambda _prompt: m.Prefetch(9, "v", 5, [2, 9], [1]),
        lambda _prompt: m.OpenVolume(9, "v", "", [[1, 2]], "axial", 0, 1),
    ],
)
def test_a_request_with_wrong_content_fails_as_an_error_of_the_sender_and_not_of_the_program(a_volume, caplog, request_of, tmp_path):
    local, prompt = _InProcess(), SlicePrompt(box=Box2D(10, 30, 10, 30)).to_json()
    local.open(a_volume)
    message = request_of(prompt)
    if isinstance(message, m.OpenVolume):
        np.save(tmp_path / "a.npy", a_volume.array_kji)
        message = dataclasses.replace(message, array_file=str(tmp_path / "a.npy"))
    local.worker.handle(message, CancelToken())
    assert isinstance(local.replies[-1], m.Failed) and local.replies[-1].kind in ("WorkerError", "PromptError", "VolumeError")
    assert not caplog.records
    local.client.close()


def test_the_log_of_a_fault_holds_nothing_of_the_request(a_volume, caplog):
    def fail(_position):
        raise ZeroDivisionError("a bug")

    local = _InProcess(ScriptedEngine(fail_at=fail))
    local.open(a_volume)
    local.client.propagate("v", _session(a_volume).due_work(), POLICY)
    assert "ZeroDivisionError" in caplog.text and "Propagate" in caplog.text
    assert "runs" not in caplog.text and "box" not in caplog.records[0].message
    local.client.close()
