"""Slices with what is seen of them and how good they are, in many states of a review, to fit the doubt on. Imports the library.

States: from one box on the center slice; then with the worst slice corrected, three times; with a random slice corrected, three times;
with the good slices of one side accepted. Cases come from a folder that is given by path.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ..annotator import AnnotatedObject, Annotator
from ..engine import EmbeddingStore, SegmentationEngine
from ..geometry import Box2D
from ..metrics import dice
from ..prompts import SlicePrompt
from ..propagation.region_of_interest import cut, paste
from ..review.signals import SliceSignals, session_signals
from ..simulation import gestures_from_truth
from ..volume_io import read_volume, resample_nearest
from .doubt_cases import DoubtCase

_FEWEST_SLICES, _FEWEST_PIXELS = 5, 40
_GOOD_DSC = 0.8


@dataclass(frozen=True)
class SliceSample:
    """One slice in one state.

    Args:
        case, patient, family: see `DoubtCase`.
        label: value of the object.
        state: ``box``, ``worst 1`` to ``worst 3``, ``random 1`` to ``random 3``, or ``accepted``.
        draw: of the box's jitter.
        position: of the slice in the stack.
        dsc: of its mask with the truth, 0..1; 1 if both are empty.
        back: DSC that one step from this slice's mask straight to the nearest known slice reaches with the mask known there; None if it
            was not tried.
        back_seconds: what that took.
        signals: what is seen of it.
    """

    case: str
    patient: str
    family: str
    label: int
    state: str
    draw: int
    position: int
    dsc: float
    back: float | None
    back_seconds: float
    signals: SliceSignals

    def to_json(self) -> dict:
        """A plain dict that `from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict) -> SliceSample:
        """Read back what `to_json` wrote."""
        return cls(**{**stored, "signals": SliceSignals(**stored["signals"])})


def read_samples(path: Path) -> list[SliceSample]:
    """The samples of a file, one JSON object a line."""
    return [SliceSample.from_json(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def samples_of_case(engine: SegmentationEngine, folder: Path, case: DoubtCase, finding_back: bool) -> Iterator[SliceSample]:
    """The samples of all objects of a case.

    Args:
        folder: holds one folder a case, see `DoubtCase.files`.
        finding_back: whether to try the step back from each slice; takes about as long as the propagation.
    """
    image_path, label_path = case.files(folder)
    image = read_volume(image_path)
    labels = resample_nearest(read_volume(label_path), image.grid).array_kji
    for label in case.labels or [int(value) for value in np.unique(labels) if value > 0]:
        truth = labels == label
        areas = truth.sum(axis=(1, 2))
        if (areas > 0).sum() >= _FEWEST_SLICES and areas.max() >= _FEWEST_PIXELS:
            annotator = Annotator(image, engine, store=EmbeddingStore(limit_bytes=400 * 1024**2))
            for state, draw, item, frames in _states(annotator, truth, label):
                yield from _samples(case, label, state, draw, item, frames, finding_back)


def _states(annotator: Annotator, truth_kji: np.ndarray, label: int) -> Iterator[tuple[str, int, AnnotatedObject, dict[int, np.ndarray]]]:
    stack = annotator.stack
    upright = stack.view(truth_kji)
    for draw, choice in enumerate(("worst", "random")):
        gestures = gestures_from_truth(truth_kji, stack, np.random.default_rng(draw))
        rng = np.random.default_rng((draw, label))
        frames = {position: np.ascontiguousarray(upright[position]) for position in gestures.extent.indices}
        extent = (stack.index_of(gestures.extent.first), stack.index_of(gestures.extent.last))
        item = annotator.new_object(stack.index_of(gestures.center), stack.box_to_indices(gestures.box), extent=extent)
        for _ in item.propagate():
            pass
        yield "box", draw, item, frames
        before = item.review.snapshot()
        for number in (1, 2, 3):
            free = [p for p in frames if p not in item.review.locked and p not in item.review.prompts]
            if len(free) < 3:
                break
            known = {p: _slice_dsc(item, p, frames) for p in free}
            position = min(free, key=known.__getitem__) if choice == "worst" else int(rng.choice(free))
            for _ in item.correct(stack.index_of(position), stack.slice_from_frame(frames[position])):
                pass
            yield f"{choice} {number}", draw, item, frames
        if choice == "random":
            item.review.restore(before)
            for position in range(gestures.center, gestures.extent.last):
                if _slice_dsc(item, position, frames) < _GOOD_DSC:
                    break
                item.accept(stack.index_of(position))
            yield "accepted", draw, item, frames


def _samples(
    case: DoubtCase, label: int, state: str, draw: int, item: AnnotatedObject, frames: dict[int, np.ndarray], finding_back: bool
) -> Iterator[SliceSample]:
    for position, signals in session_signals(item.review, item.annotator.stack).items():
        started = time.perf_counter()
        back = found_back(item, position) if finding_back else None
        seconds = time.perf_counter() - started
        dsc = _slice_dsc(item, position, frames)
        yield SliceSample(case.name, case.patient, case.family, label, state, draw, position, dsc, back, seconds, signals)


def found_back(item: AnnotatedObject, position: int) -> float | None:
    """Run in one step from a slice's mask, conditioned on it alone, to the nearest known slice; the DSC reached there.

    None on a known slice; 0 if there is nothing to run from.
    """
    session, encoder, policy = item.review, item.encoder, item.annotator.policy
    known = {*session.prompts, *session.locked}
    nearest = min(known, key=lambda other: (abs(other - position), other))
    if nearest == position:
        return None
    mask, there = session.mask(position), session.mask(nearest)
    if mask is None or there is None or not mask.any() or not there.any():
        return 0.0
    stack = encoder.stack
    both = Box2D.around(mask).union(Box2D.around(there))
    crop = policy.grown(session.results[position].crop, both, stack.frame_shape_rc, stack.frame_spacing_rc_mm)
    track = encoder.engine.start_track(crop.shape_rc, encoder.slice_count, nearest < position)
    track.condition(position, encoder.embedding(position, crop), SlicePrompt(mask=cut(mask, crop)))
    found = paste(track.step(nearest, encoder.embedding(nearest, crop)).mask, crop, stack.frame_shape_rc)
    return dice(found, there)


def _slice_dsc(item: AnnotatedObject, position: int, frames: dict[int, np.ndarray]) -> float:
    mask, truth = item.review.mask(position), frames[position]
    if mask is None:
        raise RuntimeError(f"Slice {position} has no mask after propagation.")
    return dice(mask, truth) if mask.any() or truth.any() else 1.0


def by_object(samples: Sequence[SliceSample]) -> dict[tuple[str, int, str, int], list[int]]:
    """Indices of the samples of each object in each state and draw."""
    found: dict[tuple[str, int, str, int], list[int]] = {}
    for index, sample in enumerate(samples):
        found.setdefault((sample.case, sample.label, sample.state, sample.draw), []).append(index)
    return found
