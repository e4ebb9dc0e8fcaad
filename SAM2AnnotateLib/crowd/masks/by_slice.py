"""Study C's own way: each box by itself to a mask, slice by slice. Imports the rest of this room, answers, consensus and propagation."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from ...geometry import Box2D
from ...progress import CancelToken, Progress, ProgressCallback
from ...prompts import SlicePrompt
from ...propagation import RegionPolicy, SliceEncoder, SliceResult
from ...propagation.propagate import predict_slice
from ..answers import Answer
from ..consensus import ConsensusSlice
from .masked_slice import MaskedSlice


def masks_by_slice(
    encoder: SliceEncoder,
    policy: RegionPolicy,
    run: Mapping[int, ConsensusSlice | Sequence[Answer]],
    *,
    cancel: CancelToken | None = None,
    progress: ProgressCallback | None = None,
) -> Iterator[MaskedSlice]:
    """A mask for each slice from its own boxes alone.

    Args:
        encoder: the volume and the model.
        policy: which part of a slice the model sees.
        run: one object by position: the consensus of each slice, or people's answers as they stand. Of several people's boxes that counts
            which the model expects most of (predicted IoU); the object is there if not more people say that it is not.
        cancel: asked before each box.
        progress: told after each slice.

    Yields:
        One for each slice that was asked, by rising position; empty where nobody drew a box. Slices that nobody was asked about are left
        out: this way knows nothing of them.

    Raises:
        PromptError: if a box does not fit the volume.
        EngineError: if the model fails.
        Cancelled: if `cancel` was set.
    """
    for done, position in enumerate(sorted(run), start=1):
        presence, choices = _choices(run[position], encoder.stack.frame_shape_rc)
        found = [mask_of_boxes(encoder, policy, position, boxes, cancel) for boxes in choices]
        if found:
            best = max(found, key=lambda one: one.predicted_iou)
            yield MaskedSlice(
                position, best.mask, presence, best.predicted_iou, best.object_score, best.crop,
                choices[found.index(best)], 1.0, seconds=sum(one.seconds for one in found),
            )  # fmt: skip
        else:
            yield empty_slice(encoder, position, presence)
        if progress is not None:
            progress(Progress(done, len(run), "slices"))


def _choices(said: ConsensusSlice | Sequence[Answer], shape_rc: tuple[int, int]) -> tuple[float, list[tuple[Box2D, ...]]]:
    """How likely the object is there, and sets of boxes to choose among."""
    if isinstance(said, ConsensusSlice):
        boxes = tuple(box.box_in(shape_rc) for box in said.counted_boxes)
        return said.presence, [boxes] if boxes else []
    sure = [one for one in said if one.kind != "unsure"]
    drawn = [one.boxes_rc for one in sorted(sure, key=lambda answer: answer.person) if one.kind == "box"]
    presence = len(drawn) / len(sure) if sure else 0.0
    return presence, drawn if presence >= 0.5 else []


def mask_of_boxes(
    encoder: SliceEncoder, policy: RegionPolicy, position: int, boxes_rc: Collection[Box2D], cancel: CancelToken | None = None
) -> SliceResult:
    """The mask of one slice from boxes of its parts, each by itself; all of them together.

    Args:
        encoder, policy, cancel: see `masks_by_slice`.
        position: of the slice.
        boxes_rc: at least one.

    Returns:
        The union of the parts' masks, with the mean of the model's scores.
    """
    found = []
    for box in boxes_rc:
        if cancel is not None:
            cancel.raise_if_cancelled()
        found.append(predict_slice(encoder, position, SlicePrompt(box=box), policy))
    if len(found) == 1:
        return found[0]
    crop = found[0].crop
    for one in found[1:]:
        crop = crop.union(one.crop)
    return SliceResult(
        position,
        np.logical_or.reduce([one.mask for one in found]),
        float(np.mean([one.predicted_iou for one in found])),
        float(np.mean([one.object_score for one in found])),
        sum(one.seconds for one in found),
        crop,
        prompted=True,
    )


def empty_slice(encoder: SliceEncoder, position: int, presence: float) -> MaskedSlice:
    """A slice on which the object is not, or is not known."""
    rows, cols = encoder.stack.frame_shape_rc
    return MaskedSlice(position, np.zeros((rows, cols), dtype=bool), presence, 1.0, 0.0, Box2D(0, rows, 0, cols))
