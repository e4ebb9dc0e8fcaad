"""Boxes of neighboring slices made one smooth object: what the slices beside say of an edge. Imports the rest of this room and numpy.

An object's edges run smoothly from slice to slice, people's errors do not. So each box moves towards the curve through its neighbors'
boxes, by as much as people's errors there are larger than the curve's; how far the curve is off is told by the run itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .consensus import ConsensusSlice
from .consensus_boxes import ConsensusBox, Edges, edges_iou

# Marked slices on either side that a curve goes through; after this many without the part, its run has ended.
_REACH, _SKIPPED = 3, 1
_SAME_PART = 0.15
# With fewer boxes than this nothing can be told of how far curves are off.
_FEWEST = 5
# Of what boxes and curves differ, at most this share is people's errors: curves are never exact.
_MOST_ERROR_SHARE = 0.8
_LEAST_CURVE_ERROR_PX = 0.25


@dataclass(frozen=True)
class _Part:
    """One box of the run, with the curve through its neighbors."""

    position: int
    index: int
    box: ConsensusBox
    curve: np.ndarray | None


def smoothed_run(run: Mapping[int, ConsensusSlice]) -> dict[int, ConsensusSlice]:
    """The same slices with boxes that fit their neighbors better.

    Args:
        run: one object on one volume, by position. What is final stays as it is; so do parts with neighbors on one side alone, and
            what lies far from its neighbors' curve: that is for others to judge.
    """
    marked = {position: one.boxes for position, one in sorted(run.items()) if one.present and one.boxes}
    parts = [
        _Part(position, index, box, _curve(marked, position, box)) for position, boxes in marked.items() for index, box in enumerate(boxes)
    ]
    judged = [part for part in parts if part.curve is not None and not run[part.position].final and _overlaps(part)]
    if len(judged) < _FEWEST:
        return dict(run)
    off = np.array([np.array(part.box.edges_rc_px) - part.curve for part in judged])
    apart = float(np.mean((1.4826 * np.median(np.abs(off), axis=0)) ** 2))
    usual_error = float(np.median([part.box.error_px for part in judged])) ** 2
    curve_error = max(apart - min(usual_error, _MOST_ERROR_SHARE * apart), _LEAST_CURVE_ERROR_PX**2)
    moved: dict[int, list[ConsensusBox]] = {position: list(boxes) for position, boxes in marked.items()}
    for part in judged:
        assert part.curve is not None
        error = min(part.box.error_px**2, _MOST_ERROR_SHARE / (1 - _MOST_ERROR_SHARE) * curve_error)
        share = error / (error + curve_error)
        a, b, c, d = (1 - share) * np.array(part.box.edges_rc_px) + share * part.curve
        if b - a >= 1 and d - c >= 1:
            edges = (float(a), float(b), float(c), float(d))
            moved[part.position][part.index] = replace(part.box, edges_rc_px=edges, error_px=float(np.sqrt(error * (1 - share))))
    return {position: replace(one, boxes=tuple(moved[position])) if position in moved else one for position, one in run.items()}


def _overlaps(part: _Part) -> bool:
    a, b, c, d = part.curve if part.curve is not None else (0.0, 1.0, 0.0, 1.0)
    return b > a and d > c and edges_iou(part.box.edges_rc_px, (float(a), float(b), float(c), float(d))) >= 0.3


def _curve(marked: Mapping[int, Sequence[ConsensusBox]], position: int, box: ConsensusBox) -> np.ndarray | None:
    """(4,) edges at a position on the curves through the same part's boxes on the slices beside; None without any on one of the sides."""
    below = _beside(marked, [p for p in reversed(list(marked)) if p < position], box.edges_rc_px)
    above = _beside(marked, [p for p in marked if p > position], box.edges_rc_px)
    if not below or not above:
        return None
    near = below + above
    away = np.array([p - position for p, _ in near], dtype=float)
    ranks = np.array([*range(1, len(below) + 1), *range(1, len(above) + 1)], dtype=float)
    errors = np.array([one.error_px for _, one in near])
    weights = np.exp(-0.5 * (ranks / (_REACH / 2)) ** 2) / (1 + errors / max(float(np.median(errors)), 0.5)) ** 2
    degree = 2 if len(below) >= 2 and len(above) >= 2 else 1
    powers = np.stack([away**power for power in range(degree + 1)], axis=1)
    roots = np.sqrt(weights)[:, None]
    fitted = np.linalg.lstsq(powers * roots, np.array([one.edges_rc_px for _, one in near]) * roots, rcond=None)[0]
    return fitted[0]


def _beside(marked: Mapping[int, Sequence[ConsensusBox]], positions: Sequence[int], edges: Edges) -> list[tuple[int, ConsensusBox]]:
    """The same part on the next slices in one direction, each found from the last."""
    found: list[tuple[int, ConsensusBox]] = []
    skipped = 0
    for position in positions:
        best = max(marked[position], key=lambda one: edges_iou(edges, one.edges_rc_px))
        if edges_iou(edges, best.edges_rc_px) >= _SAME_PART:
            found.append((position, best))
            edges = best.edges_rc_px
        else:
            skipped += 1
        if len(found) == _REACH or skipped > _SKIPPED:
            break
    return found
