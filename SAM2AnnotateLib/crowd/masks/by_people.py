"""Each person's boxes to a mask of theirs, and those of all to one. Imports the rest of this room, answers and propagation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import numpy as np

from ...geometry import Box2D
from ...progress import CancelToken, Progress, ProgressCallback
from ...propagation import RegionPolicy, SliceEncoder
from ..answers import Answer
from .by_slice import mask_of_boxes
from .masked_slice import MaskedSlice
from .several import joined_mask, pairwise_dice


def masks_by_people(
    encoder: SliceEncoder,
    policy: RegionPolicy,
    run: Mapping[int, Sequence[Answer]],
    join: Literal["majority", "staple"] = "majority",
    weights: Mapping[str, float] | None = None,
    *,
    cancel: CancelToken | None = None,
    progress: ProgressCallback | None = None,
) -> Iterator[MaskedSlice]:
    """A mask for each slice from those of its people, each by themselves.

    Args:
        encoder: the volume and the model.
        policy: which part of a slice the model sees.
        run: people's answers on one object, by position; "not here" is an empty mask, "not sure" is none.
        join: voxels that most people marked, or those that STAPLE believes; where it says nothing (fewer than three people, or no mask at
            all) the majority's.
        weights: of the people; they decide where as many marked a voxel as did not.
        cancel, progress: see `masks_by_slice`.

    Yields:
        One for each slice that was asked, by rising position, with a word where both ways differ.

    Raises:
        PromptError: if a box does not fit the volume.
        EngineError: if the model fails.
        Cancelled: if `cancel` was set.
        MissingPackageError: if SimpleITK is not installed.
    """
    shape_rc = encoder.stack.frame_shape_rc
    for done, position in enumerate(sorted(run), start=1):
        sure = sorted((one for one in run[position] if one.kind != "unsure"), key=lambda one: one.person)
        drawn = {one.person: mask_of_boxes(encoder, policy, position, one.boxes_rc, cancel) for one in sure if one.kind == "box"}
        masks = {one.person: drawn[one.person].mask if one.person in drawn else np.zeros(shape_rc, dtype=bool) for one in sure}
        crop = next(iter(drawn.values())).crop if drawn else Box2D(0, shape_rc[0], 0, shape_rc[1])
        mask, words = np.zeros(shape_rc, dtype=bool), ""
        if masks:
            joined = joined_mask(masks, weights)
            mask, words = joined.majority, joined.words
            if join == "staple" and joined.staple is not None:
                mask = joined.staple
        yield MaskedSlice(
            position, mask, len(drawn) / len(sure) if sure else 0.0,
            float(np.mean([one.predicted_iou for one in drawn.values()])) if drawn else 1.0,
            float(np.mean([one.object_score for one in drawn.values()])) if drawn else 0.0,
            crop, tuple(box for one in sure for box in one.boxes_rc), 1.0,
            seconds=sum(one.seconds for one in drawn.values()), words=words, people_dice=pairwise_dice(masks) if len(masks) > 1 else None,
        )  # fmt: skip
        if progress is not None:
            progress(Progress(done, len(run), "slices"))
