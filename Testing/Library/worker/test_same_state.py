"""The same prompts, locks and old proposals give the same masks by whatever door: random states, one door beside the other.

The worker's door is the panel's and the console's: what they know of a review goes through its JSON and the protocol.
"""

from __future__ import annotations

import numpy as np
import pytest

from SAM2AnnotateLib.annotator import AnnotatedObject, Annotator
from SAM2AnnotateLib.engine import ScriptedEngine
from SAM2AnnotateLib.geometry import Box2D, Extent, Volume, VolumeGrid
from SAM2AnnotateLib.intensity import IntensityMapping
from SAM2AnnotateLib.progress import CancelToken
from SAM2AnnotateLib.prompts import SlicePrompt
from SAM2AnnotateLib.propagation import RegionPolicy
from SAM2AnnotateLib.review import ReviewSession, SliceStatus
from SAM2AnnotateLib.worker import messages as m
from SAM2AnnotateLib.worker.client import WorkerClient
from SAM2AnnotateLib.worker.serve import Worker

SHAPE = (24, 40, 44)  # slices, rows, columns
SLICES = range(3, 21)


def a_blob(rng: np.random.Generator) -> tuple[Volume, np.ndarray]:
    """A volume of noise with an object that wanders and changes its size, and the object's mask; index axes LPS, so slices are upright."""
    k, row, col = np.indices(SHAPE)
    middle = 20 + 4 * np.sin(k / 4), 22 + 3 * np.cos(k / 3)
    inside = ((row - middle[0]) / 9) ** 2 + ((col - middle[1]) / 11) ** 2 < 1 - ((k - 12) / 11) ** 2
    gray = rng.integers(60, 110, SHAPE) + np.where(inside, rng.integers(0, 60, SHAPE), 0)
    return Volume(VolumeGrid(SHAPE, np.diag([-1.0, -1.0, 2.0, 1.0])), gray.astype(np.int16)), inside


class WorkerDoor:
    """A review whose slices are computed as the panel's and the console's are, and that is read back from its JSON now and then."""

    def __init__(self, engine, volume: Volume, mapping: IntensityMapping, session: ReviewSession):
        self.session = session
        self._replies: list[m.Message] = []
        self._worker = Worker(self._replies.append, load=lambda *_args, **_options: engine)
        self._client = WorkerClient(lambda data: self._worker.handle(m.from_line(data), CancelToken()))
        self._client.load_model("any")
        self._client.open_volume("v", volume, "k", mapping)

    def compute(self, changed: int | None = None, most: int | None = None) -> None:
        self._replies.clear()
        self._client.propagate("v", self.session.due_work(changed), RegionPolicy.parse("auto"))
        assert isinstance(self._replies[-1], m.Finished), self._replies[-1]
        for message in self._replies[:-1][:most]:
            assert self.session.add_result(message.result())

    def store_and_read(self) -> None:
        self.session = ReviewSession.from_json(self.session.to_json())

    def close(self) -> None:
        self._client.close()


def masks_of(session: ReviewSession) -> dict[int, bytes | None]:
    return {p: None if session.mask(p) is None else session.mask(p).tobytes() for p in session.extent.indices}


def known_beside(session: ReviewSession, position: int) -> tuple[int, int]:
    known = {*session.prompts, *session.locked} - {position}
    low = max((p for p in known if p < position), default=session.extent.first - 1)
    return low, min((p for p in known if p > position), default=session.extent.last + 1)


def a_walk(engine, volume: Volume, truth: np.ndarray, rng: np.random.Generator, steps: int) -> dict[str, int]:
    """Decide at random; after each decision the doors must agree. Returns how often each kind of decision was taken."""
    mapping = IntensityMapping(0.0, 200.0, "explicit", "for the test")
    center = int(rng.integers(8, 16))
    prompt = SlicePrompt(box=Box2D.around(truth[center]))
    extent = Extent(SLICES[0], SLICES[-1])
    item = AnnotatedObject(Annotator(volume, engine, window="0,200"), center, prompt, extent)
    item.review = ReviewSession({center: prompt}, extent, SHAPE[1:])
    door = WorkerDoor(engine, volume, mapping, ReviewSession({center: prompt}, extent, SHAPE[1:]))
    snapshots, taken = [], dict.fromkeys(("accept", "correct", "unlock", "prompt", "undo", "take back"), 0)
    for _ in item.propagate():
        pass
    door.compute()
    for _ in range(steps):
        locked = {p: item.review.mask(p).tobytes() for p in item.review.locked}
        before, kind = masks_of(item.review), str(rng.choice(list(taken), p=(0.2, 0.35, 0.15, 0.1, 0.1, 0.1)))
        position = int(rng.choice(SLICES))
        lockable = position not in item.review.locked
        if kind == "undo" and snapshots:
            one, other = snapshots.pop()
            item.review.restore(one)
            door.session.restore(other)
            locked = {p: item.review.mask(p).tobytes() for p in item.review.locked}
        elif kind == "unlock" and item.review.locked:
            position = int(rng.choice(sorted(item.review.locked)))
            locked.pop(position)
            item.unlock(position)
            door.session.unlock(position)
        elif kind == "accept" and lockable:
            item.accept(position)
            door.session.accept(position)
            assert not item.review.due_work().due and masks_of(item.review) == before, "a look at a slice changes no other"
        elif kind == "prompt" and lockable and truth[position].any():
            box = Box2D.around(truth[position])
            item.review.set_prompt(position, SlicePrompt(box=box))
            door.session.set_prompt(position, SlicePrompt(box=box))
        elif kind in ("correct", "take back"):
            drawn = np.zeros(SHAPE[1:], dtype=bool) if rng.random() < 0.1 else np.roll(truth[position], int(rng.integers(-3, 4)), axis=0)
            low, high = known_beside(item.review, position)
            was_drawn = item.review.status(position) is SliceStatus.CORRECTED
            snapshots.append((item.review.snapshot(), door.session.snapshot()))
            locked.pop(position, None)
            for result in item.correct(position, drawn):
                assert low < result.position < high
            after = masks_of(item.review)
            assert all(after[p] == before[p] for p in before if not low < p < high), "what lies behind the next known slice is left alone"
            door.session.correct(position, drawn)
            door.compute(position if rng.random() < 0.5 else None, most=int(rng.integers(0, 9)))  # stopped on the way
            if kind == "take back" and lockable and not was_drawn:
                item.unlock(position)
                door.session.unlock(position)
                for _ in item.propagate():
                    pass
                ends = [end for end in (low, high) if end in item.review.extent]
                if not any(end in item.review.locked for end in ends) and position not in item.review.prompts:
                    now = masks_of(item.review)
                    assert now == before, "without the correction all is as before it"
        else:
            continue
        taken[kind] += 1
        if rng.random() < 0.3:
            door.store_and_read()
            snapshots.clear()
        for _ in item.propagate():
            pass
        door.compute()
        assert not item.review.due_work().due and not door.session.due_work().due
        assert masks_of(item.review) == masks_of(door.session), f"after {kind} on {position}"
        settled = masks_of(item.review)
        again = [result.position for result in item.propagate()]
        assert len(set(again)) == len(again) == len(extent) - len(item.review.locked)
        assert masks_of(item.review) == settled, "to propagate adds nothing to what is up to date"
        assert {p: item.review.mask(p).tobytes() for p in locked} == locked, "locked slices stay byte-identical"
    door.close()
    return taken


def test_random_states_are_the_same_by_every_door():
    taken: dict[str, int] = {}
    for seed in range(12):
        rng = np.random.default_rng(seed)
        volume, truth = a_blob(rng)
        for kind, count in a_walk(ScriptedEngine(tolerance=40), volume, truth, rng, steps=15).items():
            taken[kind] = taken.get(kind, 0) + count
    assert min(taken.values()) >= 3, f"too few of some decisions to prove much: {taken}"


@pytest.mark.slow
def test_random_states_are_the_same_by_every_door_with_the_bundled_model():
    pytest.importorskip("sam2")
    from SAM2AnnotateLib.engine import load_engine

    rng = np.random.default_rng(3)
    volume, truth = a_blob(rng)
    a_walk(load_engine("bundled", device="cpu", precision="fp32"), volume, truth, rng, steps=6)


def test_the_order_of_two_corrections_does_not_matter():
    volume, truth = a_blob(np.random.default_rng(0))
    found = []
    for order in ((6, 17), (17, 6)):
        item = Annotator(volume, ScriptedEngine(tolerance=40), window="0,200").new_object(12, mask=truth[12], extent=(3, 20))
        for _ in item.propagate():
            pass
        for position in order:
            for _ in item.correct(position, truth[position]):
                pass
        found.append(item.mask_kji())
    assert np.array_equal(*found)
