"""From segments to one label array on the image's own grid. Imports volume_io.resample, geometry, and the files beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import GridMismatchError, InputError
from ...geometry import Volume, VolumeGrid
from ...volume_io import resample_nearest
from ..cases.case import SourceSegment
from ..cases.masks import count_outside, laid_onto
from ..cases.matching import rule_for
from ..cases.plan import DataSetPlan, LabelRule


@dataclass(frozen=True)
class LabeledSegment:
    """A segment that became part of a label.

    Args:
        name: the segment's.
        value: the label's.
        voxels: of the segment on the image's grid, before overlaps were resolved.
        voxels_outside: of the segment's own voxels, those whose centers lie outside the image.
        review: as in the provenance; None where no review is kept.
    """

    name: str
    value: int
    voxels: int
    voxels_outside: int
    review: dict | None


@dataclass(frozen=True)
class LeftOut:
    """A segment that is not in the labels, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class LabelSummary:
    """What became of a case's segments.

    Args:
        segments: what went in.
        left_out: what did not.
        missing: names of the plan's labels without a voxel in this case.
        overlapping_voxels: that more than one label claimed.
        ignored_voxels: with the ignore label.
    """

    segments: tuple[LabeledSegment, ...]
    left_out: tuple[LeftOut, ...]
    missing: tuple[str, ...]
    overlapping_voxels: int
    ignored_voxels: int


def label_case(case_id: str, segments: Sequence[SourceSegment], grid: VolumeGrid, plan: DataSetPlan) -> tuple[Volume, LabelSummary]:
    """Write segments into one label array, nearest neighbor, overlaps resolved as the plan says.

    A slice that nobody reviewed becomes the ignore label as a whole if the plan says so, but for voxels that another object's reviewed
    slice claims: where the unreviewed object is on that slice, nobody knows, and so neither what the background is.

    Args:
        case_id: for messages.
        segments: in any order.
        grid: the image's.
        plan: the data set's.

    Returns:
        The labels, uint8, on exactly the image's grid; what went in, and what did not.

    Raises:
        GridMismatchError: if a segment lies beside the image.
        InputError: if a segment fits two labels, a label that is no merged one has several segments, a required one none, or if overlap
            or an unreviewed slice is to be refused and there is one.
    """
    left_out: list[LeftOut] = []
    chosen: list[tuple[SourceSegment, LabelRule]] = []
    for segment in segments:
        rule = rule_for(segment, plan)
        reason = "the plan has no label for it" if rule is None else _reason_to_leave_out(case_id, segment, plan)
        if rule is None or reason is not None:
            left_out.append(LeftOut(segment.name, str(reason)))
            continue
        same = next((other for other, its in chosen if its is rule), None)
        if same is not None and not rule.merge:
            raise InputError(
                f"Case '{case_id}': '{same.name}' and '{segment.name}' both fit the label '{rule.name}', which is not to be merged. "
                "Set its 'merge' to true, or rename one of them."
            )
        chosen.append((segment, rule))
    labels, unknown, overlapping = (np.zeros(grid.shape_kji, dtype=dtype) for dtype in (np.uint8, bool, bool))
    taken: dict[int, LabeledSegment] = {}
    # Painted one over the other, so the winner comes last.
    in_order = sorted(range(len(chosen)), key=lambda n: plan.labels.index(chosen[n][1]), reverse=plan.overlap == "earlier")
    for number in in_order:
        segment, rule = chosen[number]
        block, mask = laid_onto(segment.mask, grid)
        outside = _outside(case_id, segment, grid)
        if plan.unreviewed == "ignore" and segment.review is not None and segment.review.waiting:
            waiting = resample_nearest(segment.review.unreviewed, grid).array_kji
            unknown |= waiting
            mask = mask & ~waiting[block]
        overlapping[block] |= mask & (labels[block] != 0) & (labels[block] != rule.value)
        labels[block][mask] = rule.value
        review = None if segment.review is None else segment.review.to_json()
        taken[number] = LabeledSegment(segment.name, rule.value, int(mask.sum()), outside, review)
    if overlapping.any() and plan.overlap == "refuse":
        raise InputError(
            f"Case '{case_id}': segments of several labels overlap in {int(overlapping.sum())} voxels, which the plan refuses."
        )
    if plan.ignore_value is not None:
        labels[unknown & (labels == 0)] = plan.ignore_value
    found = {int(value) for value in np.unique(labels)}
    missing = tuple(rule.name for rule in plan.labels if rule.value not in found)
    for rule in plan.labels:
        if rule.required and rule.name in missing:
            raise InputError(f"Case '{case_id}' has no '{rule.name}', which the plan requires. {_listed(segments, left_out)}")
    ignored = 0 if plan.ignore_value is None else int((labels == plan.ignore_value).sum())
    summary = LabelSummary(tuple(taken[number] for number in sorted(taken)), tuple(left_out), missing, int(overlapping.sum()), ignored)
    return Volume(grid, labels), summary


def _reason_to_leave_out(case_id: str, segment: SourceSegment, plan: DataSetPlan) -> str | None:
    if not segment.mask.array_kji.any() and (segment.review is None or not segment.review.waiting):
        return "it is empty"
    if segment.review is None or not segment.review.waiting:
        return None
    slices = f"{segment.review.waiting} of {segment.review.accepted + segment.review.corrected + segment.review.waiting} slices"
    if plan.unreviewed == "refuse":
        raise InputError(f"Case '{case_id}': {slices} of '{segment.name}' are neither accepted nor corrected. Finish the review first.")
    return f"{slices} are neither accepted nor corrected" if plan.unreviewed == "leave_out" else None


def _outside(case_id: str, segment: SourceSegment, grid: VolumeGrid) -> int:
    """Number of the segment's own voxels that lie outside the image; all of them must not."""
    if segment.mask.grid.is_close(grid):
        return 0
    outside = count_outside(segment.mask, grid)
    if outside and outside == np.count_nonzero(segment.mask.array_kji):
        raise GridMismatchError(
            f"Case '{case_id}': no voxel of the segment '{segment.name}' lies in the image. Image and segments do not belong together: "
            "give those of one patient and one examination."
        )
    return outside


def _listed(segments: Sequence[SourceSegment], left_out: Sequence[LeftOut]) -> str:
    names = ", ".join(f"'{segment.name}'" for segment in segments) or "none"
    return f"Its segments are {names}" + "".join(f"; '{one.name}' is left out: {one.reason}" for one in left_out) + "."
