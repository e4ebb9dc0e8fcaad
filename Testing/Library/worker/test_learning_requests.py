"""What the worker does beyond masks from prompts: learning, adapters in use, objects and ends; also cancelled, killed, out of memory."""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import replace

import numpy as np
import pytest

from SAM2AnnotateLib.adaptation import AnnotatedSlice, LearningOptions, learn, learned
from SAM2AnnotateLib.engine import Adapter, AdapterCard, ScriptedEngine, load_engine
from SAM2AnnotateLib.errors import Cancelled, CheckpointError, EngineError, WorkerError
from SAM2AnnotateLib.geometry import Box2D, Extent, SliceStack, Volume, VolumeGrid
from SAM2AnnotateLib.intensity import IntensityMapping
from SAM2AnnotateLib.progress import CancelToken
from SAM2AnnotateLib.prompts import Point, SlicePrompt
from SAM2AnnotateLib.propagation import RegionPolicy, SliceEncoder, propagate
from SAM2AnnotateLib.prototypes import prototype_from, prototype_to_bytes
from SAM2AnnotateLib.review import ReviewSession
from SAM2AnnotateLib.volume_io import write_volume
from SAM2AnnotateLib.worker import SubprocessWorker, WorkerClient
from SAM2AnnotateLib.worker import messages as m
from SAM2AnnotateLib.worker.lay_down import main as lay_down
from SAM2AnnotateLib.worker.serve import Worker

POLICY, MAPPING = RegionPolicy(), IntensityMapping(0, 255, "explicit", "test")
posix = pytest.mark.skipif(sys.platform == "win32", reason="stops and kills processes by POSIX signals")


def a_mask() -> np.ndarray:
    k, row, col = np.indices((16, 40, 48))
    return ((k - 8) / 6) ** 2 + ((row - 20) / 10) ** 2 + ((col - 24) / 12) ** 2 < 1


@pytest.fixture
def a_volume():
    """A bright ellipsoid in gray tissue, stored flipped: positions differ from indices."""
    voxels = np.where(a_mask(), 180, 60).astype(np.int16)
    return Volume(VolumeGrid(voxels.shape, np.diag([1.0, 1.2, -2.5, 1.0])), voxels)


def masks_of(volume) -> np.ndarray:
    return SliceStack.along(volume.grid, "axial").view(a_mask())


def lessons_of(volume, key="v"):
    masks = masks_of(volume)
    return [(key, position, masks[position], Extent(3, 12), position == 7) for position in (5, 7, 9, 0)]


class InProcess:
    """A worker without a process: what the client sends is handled at once."""

    def __init__(self, volume, engine=None):
        self.replies: list[m.Message] = []
        self.token = CancelToken()
        self.engine = engine or ScriptedEngine()
        self.worker = Worker(self._take, load=lambda *_args, **_options: self.engine)
        self.client = WorkerClient(lambda data: self.worker.handle(m.from_line(data), self.token))
        self.when_progressed = lambda _message: None
        self.client.load_model("scripted")
        self.client.open_volume("v", volume, "axial", MAPPING)
        self.replies.clear()

    def _take(self, message: m.Message) -> None:
        self.replies.append(m.from_line(m.to_line(message)))
        if isinstance(message, m.Progressed):
            self.when_progressed(message)

    def one(self, kind):
        (found,) = [reply for reply in self.replies if isinstance(reply, kind)]
        return found


@pytest.fixture
def local(a_volume):
    made = InProcess(a_volume)
    yield made
    made.client.close()


def an_adapter(local, a_volume) -> bytes:
    local.client.learn(lessons_of(a_volume), POLICY, object_name="Liver", steps=6)
    data = m.unpack([local.one(m.Learned).data])[0]
    local.replies.clear()
    return data


def one_of_hand(local) -> bytes:
    """An adapter that answers all kinds of prompts: the object's gray, and a size that a click then reaches."""
    card = AdapterCard("Liver", local.engine.weights_sha256, "scripted")
    return Adapter({"gray": np.array([180], np.float32), "size": np.array([40], np.float32)}, card).to_bytes()


def due_work(volume, locked=()):
    masks = masks_of(volume)
    session = ReviewSession({8: SlicePrompt(box=Box2D.around(masks[8]))}, Extent(3, 12), masks.shape[1:])
    for position in locked:
        session.correct(position, masks[position])
    return session.due_work()


# -- learning -----------------------------------------------------------------------------------------------------------------------


def test_learning_gives_what_the_library_learns_and_tells_how_far_it_is(local, a_volume):
    local.client.learn(lessons_of(a_volume), POLICY, object_name="Liver", terminology="SCT:10200004:Liver", steps=9, seed=3)
    encoder = SliceEncoder(ScriptedEngine(), a_volume, SliceStack.along(a_volume.grid, "axial"), MAPPING)
    slices = [AnnotatedSlice(encoder, *lesson) for _key, *lesson in lessons_of(a_volume)]
    expected = learned(learn(slices, object_name="Liver", policy=POLICY, options=LearningOptions(steps=9, seed=3)))
    reply = local.one(m.Learned)
    adapter = Adapter.from_bytes(m.unpack([reply.data])[0])
    assert {name: array.tolist() for name, array in adapter.tensors.items()} == {n: a.tolist() for n, a in expected.adapter.tensors.items()}
    assert adapter.card.object_name == "Liver" and adapter.card.terminology == "SCT:10200004:Liver"
    assert (reply.before, reply.after, reply.text, reply.volumes) == (dict(expected.before), dict(expected.after), expected.text, 1)
    progress = [(one.done, one.total) for one in local.replies if isinstance(one, m.Progressed) and one.total]
    assert progress == sorted(progress) and len(progress) >= 5 and isinstance(local.replies[-1], m.Finished)


def whole_lessons(volume, keys=("v", "w")):
    """Every slice that shows the object, of several volumes one after another."""
    masks = masks_of(volume)
    shown = np.flatnonzero(masks.any(axis=(1, 2)))
    return [(key, int(position), masks[position], Extent(int(shown[0]), int(shown[-1])), True) for key in keys for position in shown]


def of_two_volumes(local, volume) -> bytes:
    """What was learned of two volumes."""
    for key in ("w", "x"):
        local.client.open_volume(key, volume, "axial", MAPPING)
    local.client.learn(whole_lessons(volume), POLICY, object_name="Liver", steps=10)
    data = m.unpack([local.one(m.Learned).data])[0]
    local.replies.clear()
    return data


def test_learning_goes_on_from_what_was_learned_of_the_earlier_volumes(local, a_volume):
    start = of_two_volumes(local, a_volume)
    lessons = whole_lessons(a_volume, ("v", "w", "x"))
    local.client.learn(lessons, POLICY, object_name="Liver", steps=10)
    anew = local.one(m.Learned)
    local.replies.clear()
    local.client.learn(lessons, POLICY, object_name="Liver", steps=10, start=start)
    further = local.one(m.Learned)
    assert further.steps > anew.steps, "the newest volume is held out from what was learned before for nothing"
    assert further.volumes == 3 and Adapter.from_bytes(m.unpack([further.data])[0]).card.object_name == "Liver"
    encoder = SliceEncoder(ScriptedEngine(), a_volume, SliceStack.along(a_volume.grid, "axial"), MAPPING)
    encoders = {key: replace_volume(encoder, a_volume) for key in ("v", "w", "x")}
    slices = [AnnotatedSlice(encoders[key], *lesson) for key, *lesson in lessons]
    options = LearningOptions(steps=10)
    expected = learned(learn(slices, object_name="Liver", policy=POLICY, options=options, start=Adapter.from_bytes(start)))
    assert m.unpack([further.data])[0] == expected.adapter.to_bytes() and further.steps == expected.steps


def replace_volume(encoder, volume):
    """An encoder of another volume with the same voxels."""
    other = Volume(volume.grid, volume.array_kji.copy())
    return SliceEncoder(encoder.engine, other, encoder.stack, encoder.mapping)


@pytest.mark.parametrize("harm", ["cut", "other tensors", "another base", "no base64", "too large"])
def test_what_learning_cannot_go_on_from_is_one_clear_line_and_the_worker_goes_on(local, a_volume, harm, monkeypatch):
    start = of_two_volumes(local, a_volume)
    card = Adapter.from_bytes(start).card
    lessons = learn_message(a_volume).lessons
    bad = {
        "cut": m.pack([start[:-5]])[0],
        "other tensors": m.pack([Adapter({"w": np.zeros(3, np.float16)}, card).to_bytes()])[0],
        "another base": m.pack([Adapter(Adapter.from_bytes(start).tensors, replace(card, base_sha256="0" * 64)).to_bytes()])[0],
        "no base64": "%%%",
        "too large": "A" * 2000,
    }[harm]
    if harm == "too large":
        monkeypatch.setattr(m, "MOST_BYTES", 1000)
        with pytest.raises(WorkerError, match="a message holds"):
            local.client.learn(whole_lessons(a_volume), POLICY, steps=5, start=b"x" * 1001)
    local.replies.clear()
    local.worker.handle(m.Learn(9, lessons, "Liver", "", "auto", steps=5, start=bad), CancelToken())
    failed = local.one(m.Failed)
    assert failed.kind == ("CheckpointError" if harm in ("cut", "other tensors", "another base") else "WorkerError"), failed
    assert "\n" not in failed.text and "Unexpected" not in failed.text
    monkeypatch.undo()
    local.replies.clear()
    local.worker.handle(m.Learn(10, lessons, "Liver", "", "auto", steps=5, start=m.pack([start])[0]), CancelToken())
    assert local.one(m.Learned).data


def learn_message(volume) -> m.Learn:
    """As the client makes it."""
    sent: list[bytes] = []
    client = WorkerClient(sent.append)
    client.learn(whole_lessons(volume), POLICY, object_name="Liver", steps=5)
    client.close()
    return m.from_line(sent[0])


def test_nothing_better_is_told_and_no_adapter_comes(local, a_volume, monkeypatch):
    monkeypatch.setattr(sys.modules[learn.__module__], "_served", lambda *_: ())
    local.client.learn(lessons_of(a_volume), POLICY, object_name="Liver", steps=6)
    reply = local.one(m.Learned)
    assert reply.data == "" and "not better" in reply.text and "\n" not in reply.text


def test_too_little_to_learn_from_is_one_clear_line(local, a_volume):
    local.client.learn(lessons_of(a_volume)[-2:], POLICY, steps=3)
    failed = local.one(m.Failed)
    assert failed.kind == "InputError" and "at least 2" in failed.text


def test_a_lesson_that_is_none_is_refused(local, a_volume):
    for lessons in ([{"volume": "v"}], [{"volume": "v", "position": 3, "mask": 4, "extent": [1, 2]}], ["x"], [{}]):
        local.replies.clear()
        local.worker.handle(m.Learn(9, lessons, "", "", "auto", steps=3), CancelToken())
        (failed,) = local.replies
        assert failed.kind in ("WorkerError", "PromptError") and "\n" not in failed.text and "Unexpected" not in failed.text
    local.replies.clear()
    local.client.learn(lessons_of(a_volume, "gone"), POLICY, steps=3)
    assert "not open" in local.one(m.Failed).text


def test_learning_stops_when_it_is_cancelled(local, a_volume):
    local.when_progressed = lambda message: local.token.cancel() if message.total else None
    local.client.learn(lessons_of(a_volume), POLICY, steps=1000)
    assert local.replies[-1].kind == "Cancelled" and len(local.replies) < 40


def test_out_of_memory_while_learning_is_told_and_the_worker_goes_on(a_volume):
    def full(step):
        if step == 2:
            raise EngineError("Out of memory on cuda with model x at 512 pixels.", "Choose a smaller model.")

    local = InProcess(a_volume, ScriptedEngine(fail_learning_at=full))
    local.client.learn(lessons_of(a_volume), POLICY, steps=30)
    assert local.one(m.Failed).kind == "EngineError" and "Out of memory" in local.one(m.Failed).text
    local.replies.clear()
    local.client.propagate("v", due_work(a_volume), POLICY)
    assert isinstance(local.replies[-1], m.Finished)
    local.client.close()


# -- what was learned in use ----------------------------------------------------------------------------------------------------------


def test_an_adapter_holds_until_it_is_forgotten_and_costs_no_new_encoding(local, a_volume):
    masks = masks_of(a_volume)
    ask = lambda: local.client.predict_slice("v", 8, SlicePrompt(points=(Point(20, 14),)), POLICY)  # noqa: E731
    ask()
    before = local.one(m.SliceDone).result().mask
    data = one_of_hand(local)
    local.replies.clear()
    encoded = local.engine.encoded_frames
    local.client.use_adapter(data)
    assert local.one(m.ModelLoaded).engine["adapter_sha256"] == Adapter.from_bytes(data).sha256
    local.replies.clear()
    ask()
    after = local.one(m.SliceDone).result().mask
    assert (after & masks[8]).sum() > (before & masks[8]).sum()
    local.replies.clear()
    local.client.use_adapter(None)
    assert "adapter_sha256" not in local.one(m.ModelLoaded).engine
    local.replies.clear()
    ask()
    assert np.array_equal(local.one(m.SliceDone).result().mask, before) and local.engine.encoded_frames - encoded <= 1


def test_proposed_slices_are_the_librarys_with_the_same_adapter(local, a_volume):
    data = an_adapter(local, a_volume)
    local.client.use_adapter(data)
    local.replies.clear()
    work = due_work(a_volume, locked=(5, 10))
    local.client.propose_slices("v", work, POLICY)
    engine = ScriptedEngine().with_adapter(Adapter.from_bytes(data))
    encoder = SliceEncoder(engine, a_volume, SliceStack.along(a_volume.grid, "axial"), MAPPING)
    expected = {
        one.position: one.mask.tobytes()
        for one in propagate(encoder, work.prompts, work.extent, POLICY, locked=work.locked, corrected=work.corrected, due=work.due)
    }
    found = {one.result().position: one.result().mask.tobytes() for one in local.replies[:-1]}
    assert found == expected and not set(found) & {5, 10}


@pytest.mark.parametrize("harm", ["cut", "bent", "empty", "other tensors", "no base64", "another base"])
def test_an_adapter_that_cannot_be_used_is_one_clear_line_and_the_last_one_stays(local, a_volume, harm):
    data = an_adapter(local, a_volume)
    local.client.use_adapter(data)
    bad = {
        "cut": data[:-5],
        "bent": data[:40] + b"\xff" * 8 + data[48:],
        "empty": b"",
        "other tensors": Adapter({"w": np.zeros(3, np.float16)}, Adapter.from_bytes(data).card).to_bytes(),
        "no base64": None,
        "another base": data.replace(Adapter.from_bytes(data).card.base_sha256.encode(), b"0" * 64),
    }[harm]
    local.replies.clear()
    packed = "%%%" if bad is None else m.pack([bad])[0] or "AA=="
    local.worker.handle(m.UseAdapter(7, packed), CancelToken())
    failed = local.one(m.Failed)
    assert failed.kind == ("WorkerError" if bad is None else "CheckpointError") and "\n" not in failed.text
    local.replies.clear()
    local.client.predict_slice("v", 8, SlicePrompt(points=(Point(20, 24),)), POLICY)
    assert np.array_equal(local.one(m.SliceDone).result().mask, masks_of(a_volume)[8])


def test_what_is_too_large_for_a_message_is_refused_on_both_sides(local, monkeypatch):
    monkeypatch.setattr(m, "MOST_BYTES", 1000)
    with pytest.raises(WorkerError, match="a message holds"):
        local.client.use_adapter(b"x" * 1001)
    with pytest.raises(WorkerError, match="at most"):
        m.unpack(["A" * 2000])
    with pytest.raises(WorkerError, match="at most"):
        m.unpack([3])


# -- objects and ends -----------------------------------------------------------------------------------------------------------------


def test_ends_are_proposed_from_one_box(local, a_volume):
    masks = masks_of(a_volume)
    local.client.propose_extent("v", 8, SlicePrompt(box=Box2D.around(masks[8])), POLICY)
    found = local.one(m.ExtentProposed)
    shown = np.flatnonzero(masks.any(axis=(1, 2)))
    assert (found.first, found.last) == (shown[0], shown[-1]) and 0 <= found.first_certainty <= 1
    assert any(isinstance(one, m.Progressed) for one in local.replies)


def test_an_object_is_found_by_its_prototype_or_it_is_told_that_it_is_not_there(local, a_volume):
    prototype = prototype_from(a_volume, a_mask(), "Ball", "axial", "0,255")
    local.client.propose_object("v", [prototype_to_bytes(prototype)], b"", POLICY)
    found = local.one(m.ObjectProposed)
    results = {one.result().position: one.result() for one in local.replies if isinstance(one, m.SliceDone)}
    assert set(results) == set(range(found.extent[0], found.extent[1] + 1)) and found.center in results and found.prototypes == [1]
    assert set(map(int, found.doubts)) == set(results) and all(0 <= doubt <= 1 for doubt in found.doubts.values())
    empty = Volume(a_volume.grid, np.full((16, 40, 48), 60, dtype=np.int16))
    local.client.open_volume("empty", empty, "axial", MAPPING)
    local.replies.clear()
    local.client.propose_object("empty", [prototype_to_bytes(prototype)], b"", POLICY)
    assert local.one(m.ObjectNotFound).reason and not any(isinstance(one, m.SliceDone) for one in local.replies)


# -- a volume's file for a worker -------------------------------------------------------------------------------------------------------


def test_a_volume_is_laid_down_by_a_process_of_its_own(tmp_path, a_volume, capsys):
    path, voxels = tmp_path / "ä b.nii.gz", tmp_path / "v.npy"
    write_volume(a_volume, path)
    like = json.dumps(IntensityMapping(-10, 200, "explicit", "x").to_json())
    assert lay_down([str(path), str(voxels), "--like", like, "--json-lines"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert np.array_equal(np.load(voxels), a_volume.array_kji) and np.allclose(told["ijk_to_ras"], a_volume.grid.ijk_to_ras)
    assert (told["type"], told["shape_kji"], told["lower"], told["upper"]) == ("volume", [16, 40, 48], -10, 200)
    assert lay_down([str(tmp_path / "gone.nii"), str(voxels)]) == 2
    told = json.loads(capsys.readouterr().out)
    assert told["type"] == "failed" and told["error"] == "VolumeError" and "gone.nii" in told["problem"]
    assert lay_down([str(path), str(voxels), "--untilt"]) == 0  # which concerns DICOM alone


# -- the real process -------------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_real_process_learns_with_the_bundled_model_and_gives_the_librarys_masks(a_volume):
    noisy = a_volume.array_kji + np.random.default_rng(0).integers(-30, 30, a_volume.array_kji.shape)
    volume = Volume(a_volume.grid, noisy.astype(np.int16))
    with SubprocessWorker() as worker:
        worker.wait(worker.client.load_model("bundled", device="cpu", precision="fp32"))
        worker.wait(worker.client.open_volume("v", volume, "axial", MAPPING))
        replies = worker.wait(worker.client.learn(lessons_of(volume), POLICY, object_name="Ball", steps=12))
        message = next(one for one in replies if isinstance(one, m.Learned))
        engine = load_engine("bundled", device="cpu", precision="fp32")
        encoder = SliceEncoder(engine, volume, SliceStack.along(volume.grid, "axial"), MAPPING)
        slices = [AnnotatedSlice(encoder, *lesson) for _key, *lesson in lessons_of(volume)]
        expected = learned(learn(slices, object_name="Ball", policy=POLICY, options=LearningOptions(steps=12)))
        assert (message.data == "") == (expected.adapter is None) and message.steps == expected.steps
        if expected.adapter is None:
            pytest.skip("the bundled model is better here as it came")
        adapter = Adapter.from_bytes(m.unpack([message.data])[0])
        assert adapter.tensors.keys() == expected.adapter.tensors.keys()
        worker.wait(worker.client.use_adapter(adapter.to_bytes()))
        (answer,) = worker.wait(worker.client.predict_slice("v", 8, SlicePrompt(points=(Point(20, 24),)), POLICY))
        from SAM2AnnotateLib.propagation.propagate import predict_slice

        own = predict_slice(encoder.with_engine(engine.with_adapter(adapter)), 8, SlicePrompt(points=(Point(20, 24),)), POLICY)
        assert np.array_equal(answer.result().mask, own.mask)


@posix
@pytest.mark.slow
def test_a_process_that_is_killed_while_it_learns_is_told_and_another_one_learns(a_volume):
    worker = SubprocessWorker()
    worker.wait(worker.client.load_model("bundled", device="cpu"))
    worker.wait(worker.client.open_volume("v", a_volume, "axial", MAPPING))
    request = worker.client.learn(lessons_of(a_volume), POLICY, seconds=60)
    with pytest.raises(WorkerError, match="ended unexpectedly"):
        for reply in worker.replies(request):
            if isinstance(reply, m.Progressed) and reply.total:
                os.kill(worker.process.pid, signal.SIGKILL)
    worker.kill()
    with SubprocessWorker() as another:
        another.wait(another.client.load_model("bundled", device="cpu"))
        another.wait(another.client.open_volume("v", a_volume, "axial", MAPPING))
        token = CancelToken()
        with pytest.raises(Cancelled):
            for reply in another.replies(another.client.learn(lessons_of(a_volume), POLICY, seconds=60), token):
                if isinstance(reply, m.Progressed) and reply.total:
                    token.cancel()
        with pytest.raises(CheckpointError):
            another.wait(another.client.use_adapter(b"no adapter"))
        assert another.wait(another.client.predict_slice("v", 8, SlicePrompt(points=(Point(20, 24),)), POLICY))
