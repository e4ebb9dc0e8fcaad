"""Learning, prototypes and ends from the console, beside the panel or without one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fake_service import FakeService
from worlds import aVolume, ballArray

from SAM2AnnotateLib.engine import Adapter
from SAM2AnnotateLib.errors import CheckpointError, EngineError, InputError, PromptError
from SAM2AnnotateLib.prototypes import PrototypeLibrary
from SAM2AnnotateLib.review import SliceStatus
from SAM2AnnotateSlicer.Console import Console
from SAM2AnnotateSlicer.Model.LearnedModels import LearnedModels


@pytest.fixture
def service(tmp_path):
    return FakeService(tmp_path)


@pytest.fixture
def console(tmp_path, service):
    return Console(tmp_path, lambda: service, LearnedModels(tmp_path / "learned"))


def annotated(console):
    """The ball, with three slices accepted."""
    inside = ballArray() > 100
    rows, cols = np.flatnonzero(inside.any(axis=(0, 2))), np.flatnonzero(inside.any(axis=(0, 1)))
    box = ((cols[0], rows[0]), (cols[-1] + 1, rows[-1] + 1))
    review = console.annotate(aVolume(), box, 4, 20, window="0,255", name="Ball")
    review.accept(8, 12, 16)
    return review


def masks(review):
    return {index: review.mask(index).tobytes() for index in review.slices}


def test_learning_and_forgetting_leave_the_locked_slices(console, service):
    review = annotated(console)
    before, told = masks(review), []
    text = review.learn(steps=12, progress=lambda progress: told.append(progress.done))
    assert "DSC" in text and len(told) > 3 and review.learned["name"] == "Ball"
    assert all(masks(review)[index] == before[index] for index in (8, 12, 16))
    assert all(review.status(index) is SliceStatus.PROPOSED for index in review.slices if index not in (8, 12, 16))
    assert service.learnedAskedFor[-1].sha256 == review.learned["sha256"]
    assert review.undo().startswith("learning from") and review.learned is None and masks(review) == before
    with pytest.raises(PromptError, match="nothing to forget"):
        review.forget()
    review.learn(steps=12)
    review.forget()
    assert review.learned is None and all(masks(review)[index] == before[index] for index in (8, 12, 16))


def test_too_few_slices_and_a_failing_model_change_nothing(console, service):
    review = annotated(console)
    before = masks(review)
    service.fault = EngineError("Out of memory on cuda.", "Choose a smaller model.")
    with pytest.raises(EngineError, match="Out of memory"):
        review.learn(steps=6)
    assert review.learned is None and masks(review) == before
    review.unlock(8)
    review.unlock(12)
    with pytest.raises(PromptError, match="at least 2 slices"):
        review.learn(steps=6)


def test_an_adapters_file_is_used_and_a_foreign_one_refused(console, service, tmp_path):
    review = annotated(console)
    review.learn(steps=12)
    learned = console.learnedModels.find(review.learned)
    review.forget()
    review.useLearned(learned.path)
    assert review.learned["sha256"] == learned.sha256
    review.useLearned(None)
    assert review.learned is None
    before = masks(review)
    foreign = tmp_path / "foreign.safetensors"
    own = Adapter.from_bytes(learned.data())
    Adapter(own.tensors, replace(own.card, base_sha256="0" * 64)).save(foreign)
    with pytest.raises(CheckpointError, match="another model"):
        review.useLearned(foreign)
    assert review.learned is None and masks(review) == before
    with pytest.raises(CheckpointError, match="Cannot use the adapter: its content is not what its checksum tells"):
        foreign.write_bytes(learned.data().replace(own.card.base_sha256.encode(), b"0" * 64))
        review.useLearned(foreign)
    with pytest.raises(CheckpointError):
        foreign.write_bytes(b"x")
        review.useLearned(foreign)
    with pytest.raises(InputError, match="cannot be read"):
        review.useLearned(tmp_path / "gone.safetensors")


def test_learning_goes_on_from_what_was_learned_of_earlier_volumes(console, service, tmp_path):
    reviews = [annotated(console) for _ in range(3)]
    for review in reviews:
        review.accept()
    first, second, third = reviews
    second.learn(steps=6, also=[first])
    earlier = console.learnedModels.find(second.learned)
    assert Adapter.from_bytes(earlier.data()).card.volume_count == 2 and service.starts == [None]
    third.learn(steps=6, also=[first, second], start=earlier.path)
    assert service.starts[-1].sha256 == earlier.sha256 and len(service.learnedFrom) == 3
    assert third.segmentationNode is not None and third._annotated.volumeNode.GetID() in service.learnedFrom[-1], "the newest comes last"
    assert third.learned["sha256"] != earlier.sha256 and first.learned is None
    with pytest.raises(PromptError, match="also"):
        third.learn(steps=6, start=earlier.path)
    own = Adapter.from_bytes(earlier.data())
    Adapter(own.tensors, replace(own.card, base_sha256="0" * 64)).save(tmp_path / "foreign.safetensors")
    before = masks(third), third.learned
    with pytest.raises(CheckpointError, match="another model"):
        third.learn(steps=6, also=[first, second], start=tmp_path / "foreign.safetensors")
    with pytest.raises(InputError, match="cannot be read"):
        third.learn(steps=6, also=[first, second], start=tmp_path / "gone.safetensors")
    assert (masks(third), third.learned) == before


def test_a_prototype_is_kept_and_found_on_another_volume(console, tmp_path):
    library = tmp_path / "prototypes"
    review = annotated(console)
    review.accept()
    assert review.keepPrototype(library) == "Ball" and PrototypeLibrary(library).names() == ["Ball"]
    told = []
    found = console.propose(aVolume(name="Second"), "Ball", library, progress=lambda progress: told.append(progress))
    assert told and all(found.status(index) is SliceStatus.PROPOSED for index in found.slices)
    truth = ballArray() > 100
    mask = np.stack([found.mask(k) if k in found.slices else np.zeros((40, 44), bool) for k in range(24)])
    assert 2 * (truth & mask).sum() / (truth.sum() + mask.sum()) > 0.8
    empty = aVolume(name="Empty")
    import slicer

    slicer.util.updateVolumeFromArray(empty, np.full((24, 40, 44), 10, np.int16))
    assert console.propose(empty, "Ball", library) is None
    with pytest.raises(InputError):
        console.propose(empty, "Cube", library)


def test_ends_are_proposed_and_taken(console, service):
    service.findsEnds = True
    review = annotated(console)
    review.setExtent(7, 17)
    first, last = review.proposedExtent()
    shown = np.flatnonzero((ballArray() > 100).any(axis=(1, 2)))
    assert (first, last) == (shown[0], shown[-1])
    review.setExtent(first, last)
    assert review.slices == list(range(first, last + 1))
