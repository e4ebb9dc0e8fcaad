"""Boxes of one object by several people: which are of the same part, and the one box that they mean. Imports geometry and numpy.

Edges are (row start, row stop, column start, column stop) in pixels of the upright slice, half-open like `Box2D`, but not whole numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...geometry import Box2D

Edges = tuple[float, float, float, float]

# Boxes are of one part if they overlap by this IoU at least: people draw tighter and wider ones, but seldom beside the part.
_SAME_PART = 0.15
# One box holds another if so much of that lies in it; who drew one box around parts that others drew apart holds two of theirs.
_HELD = 0.8
# An edge further than this many of its expected deviations from the others' counts less, the less the further (Huber's function).
_FAR_DEVIATIONS = 1.5
_ROUNDS = 12
# A part counts if those who saw it weigh more than this share of those who drew anything; on the edge of it, if nothing contradicts.
_MAJORITY, _ON_THE_EDGE = 0.5, 0.1
# The least deviation of an edge, in pixels: nobody can draw between pixels.
_LEAST_DEVIATION_PX = 0.5


@dataclass(frozen=True)
class Drawn:
    """One box that one person drew.

    Args:
        person: who.
        edges: in pixels, corrected for the person's bias.
        deviation: of an edge, as a share of the box's side along it.
        trust: how much the person's word weighs on whether there is a part here.
    """

    person: str
    edges: Edges
    deviation: float
    trust: float


@dataclass(frozen=True)
class ConsensusBox:
    """The box around one part of an object that several people mean.

    Args:
        edges_rc_px: (row start, row stop, column start, column stop), not whole numbers.
        spread_px: how far people's edges lie from it, root of the mean square; 0 where one person drew it or it is certain.
        error_px: how far its edges are expected to lie from the right ones, by how exact the people are; 0 where it is certain.
        people: pseudonyms of those who drew this part, in alphabetical order; none for a decision and for what was known.
        weight: share of the word of those who drew anything on this slice that speaks for this part, 0..1.
        expected_iou: IoU with the box that the slices beside let expect; None where they let expect none.
    """

    edges_rc_px: Edges
    spread_px: float = 0.0
    people: tuple[str, ...] = ()
    weight: float = 1.0
    expected_iou: float | None = None
    error_px: float = 0.0

    def box_in(self, shape_rc: tuple[int, int]) -> Box2D:
        """The box in whole pixels of a slice of so many rows and columns; at least one pixel of it."""
        bounds = []
        for low, high, size in (
            (self.edges_rc_px[0], self.edges_rc_px[1], shape_rc[0]),
            (self.edges_rc_px[2], self.edges_rc_px[3], shape_rc[1]),
        ):
            start = min(max(0, _half_up(low)), size - 1)
            bounds.append((start, min(max(start + 1, _half_up(high)), size)))
        return Box2D(*bounds[0], *bounds[1])


def _half_up(value: float) -> int:
    return int(np.floor(value + 0.5))


def edges_of(box: Box2D) -> Edges:
    """A box's edges as numbers."""
    return (float(box.row_start), float(box.row_stop), float(box.col_start), float(box.col_stop))


def sides_of(edges: Edges) -> Edges:
    """The side that each of the four edges moves: (rows, rows, columns, columns), at least a pixel."""
    rows, cols = max(1.0, edges[1] - edges[0]), max(1.0, edges[3] - edges[2])
    return (rows, rows, cols, cols)


def edges_iou(one: Edges, other: Edges) -> float:
    """Intersection over union of two boxes."""
    shared = _shared(one, other)
    return shared / (_area(one) + _area(other) - shared)


def _area(edges: Edges) -> float:
    return (edges[1] - edges[0]) * (edges[3] - edges[2])


def _shared(one: Edges, other: Edges) -> float:
    rows, cols = min(one[1], other[1]) - max(one[0], other[0]), min(one[3], other[3]) - max(one[2], other[2])
    return rows * cols if rows > 0 and cols > 0 else 0.0


def match_edges(ones: Sequence[Edges], others: Sequence[Edges], least_iou: float = _SAME_PART) -> list[tuple[int, int, float]]:
    """Pairs of boxes that overlap, each box in one pair at most, the closest first.

    Returns:
        (index in `ones`, index in `others`, IoU), by falling IoU, equal ones by index.
    """
    pairs = [(edges_iou(one, other), i, j) for i, one in enumerate(ones) for j, other in enumerate(others)]
    taken_one: set[int] = set()
    taken_other: set[int] = set()
    found = []
    for iou, i, j in sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2])):
        if iou >= least_iou and i not in taken_one and j not in taken_other:
            taken_one.add(i)
            taken_other.add(j)
            found.append((i, j, iou))
    return found


def consensus_boxes(
    drawn: Mapping[str, Sequence[Drawn]], expected: Sequence[Edges] = ()
) -> tuple[tuple[ConsensusBox, ...], tuple[ConsensusBox, ...]]:
    """The parts that people mean.

    Args:
        drawn: by person, the boxes of all who drew any on this slice.
        expected: boxes that the slices beside let expect, to decide between places that equally many people drew.

    Returns:
        The parts that count, by row and column of their start, and those that were drawn and do not count.
    """
    if not drawn:
        return (), ()
    total = sum(boxes[0].trust for boxes in drawn.values())
    groups = _grouped(_settled(drawn))
    found = []
    for group in groups:
        edges, spread, error = _meant(group)
        weight = sum(one.trust for one in group) / total
        people = tuple(sorted(one.person for one in group))
        found.append(ConsensusBox(edges, spread, people, min(1.0, weight), _best_iou(edges, expected), error))
    # Of places that weigh about the same the one that the slices beside let expect.
    found.sort(key=lambda one: (-round(one.weight, 1), -(one.expected_iou or 0.0), -round(one.weight, 9), one.edges_rc_px))
    kept: list[ConsensusBox] = []
    for one in found:
        clear, possible = one.weight > _MAJORITY + _ON_THE_EDGE, one.weight >= _MAJORITY - _ON_THE_EDGE
        by_the_same = any(set(one.people) & set(other.people) for other in kept)
        if not kept or clear or (possible and by_the_same):
            kept.append(one)
    rest = [one for one in found if one not in kept]
    return _in_order(kept), _in_order(rest)


def _in_order(boxes: Sequence[ConsensusBox]) -> tuple[ConsensusBox, ...]:
    return tuple(sorted(boxes, key=lambda one: one.edges_rc_px))


def _best_iou(edges: Edges, expected: Sequence[Edges]) -> float | None:
    return max((edges_iou(edges, one) for one in expected), default=None)


def _settled(drawn: Mapping[str, Sequence[Drawn]]) -> dict[str, list[Drawn]]:
    """Where some drew one box around parts that others drew apart, the heavier word counts: boxes are joined, or the large one left out."""
    settled = {person: list(boxes) for person, boxes in drawn.items()}
    people = sorted(settled)
    for person in people:
        for large in list(settled[person]):
            apart = {other: [b for b in settled[other] if _holds(large.edges, b.edges)] for other in people if other != person}
            apart = {other: boxes for other, boxes in apart.items() if len(boxes) >= 2}
            if not apart:
                continue
            joined = [o for o in people if o not in apart and any(edges_iou(large.edges, b.edges) >= 0.5 for b in settled[o])]
            if sum(settled[o][0].trust for o in joined if settled[o]) >= sum(boxes[0].trust for boxes in apart.values()):
                for other, boxes in apart.items():
                    settled[other] = [b for b in settled[other] if b not in boxes] + [replace(boxes[0], edges=_union(boxes))]
            else:
                settled[person].remove(large)
                settled[person] += [replace(large, edges=b.edges, deviation=4 * large.deviation) for b in next(iter(apart.values()))]
    return settled


def _holds(large: Edges, small: Edges) -> bool:
    return _shared(large, small) >= _HELD * _area(small) and _area(small) < 0.7 * _area(large)


def _union(boxes: Sequence[Drawn]) -> Edges:
    starts, stops = np.array([b.edges for b in boxes]).min(axis=0), np.array([b.edges for b in boxes]).max(axis=0)
    return (float(starts[0]), float(stops[1]), float(starts[2]), float(stops[3]))


def _grouped(drawn: Mapping[str, Sequence[Drawn]]) -> list[list[Drawn]]:
    """Boxes of the same part, one of a person at most in each group; beginning with those whose word weighs most."""
    groups: list[list[Drawn]] = []
    people = sorted((person for person in drawn if drawn[person]), key=lambda person: (-drawn[person][0].trust, person))
    for person in people:
        boxes = sorted(drawn[person], key=lambda one: one.edges)
        middles = [_weighted_mean(group) for group in groups]
        pairs = {i: j for i, j, _ in match_edges([one.edges for one in boxes], middles)}
        for i, one in enumerate(boxes):
            if i in pairs:
                groups[pairs[i]].append(one)
            else:
                groups.append([one])
    return groups


def _weighted_mean(group: Sequence[Drawn]) -> Edges:
    weights = np.array([1 / one.deviation**2 for one in group])
    mean = np.average(np.array([one.edges for one in group]), axis=0, weights=weights)
    return (float(mean[0]), float(mean[1]), float(mean[2]), float(mean[3]))


def _meant(group: Sequence[Drawn]) -> tuple[Edges, float, float]:
    """The box that a group of boxes means, edge by edge, how far they lie from it, and how far it is expected to lie from the right one.

    From the weighted median on, the mean by precision in which an edge far from the others counts little: with many people as exact as a
    mean, and one who slipped moves it by little. Of two people whose edges lie far apart it is nearer to the more exact one's.
    """
    edges = np.array([one.edges for one in group])
    sides = np.median(np.array([sides_of(one.edges) for one in group]), axis=0)
    deviations = np.maximum(np.array([one.deviation for one in group])[:, None] * sides, _LEAST_DEVIATION_PX)
    weights = 1 / deviations**2
    error = float(np.sqrt(np.mean(1 / weights.sum(axis=0))))
    if len(group) == 1:
        return group[0].edges, 0.0, error
    meant = np.array([_weighted_median(edges[:, edge], weights[:, edge]) for edge in range(4)])
    if len(group) > 2:
        for _ in range(_ROUNDS):
            off = np.abs(edges - meant) / deviations
            counted = weights * np.minimum(1.0, _FAR_DEVIATIONS / np.maximum(off, 1e-9))
            meant = (counted * edges).sum(axis=0) / counted.sum(axis=0)
    else:
        meant = (weights * edges).sum(axis=0) / weights.sum(axis=0)
    spread = float(np.sqrt(np.mean((edges - meant) ** 2)))
    return (float(meant[0]), float(meant[1]), float(meant[2]), float(meant[3])), spread, error


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    order = np.argsort(values, kind="stable")
    values, weights = values[order], weights[order]
    reached = np.cumsum(weights) / weights.sum()
    at = int(np.searchsorted(reached, 0.5 - 1e-12))
    if abs(reached[at] - 0.5) < 1e-9 and at + 1 < len(values):
        return float((values[at] + values[at + 1]) / 2)
    return float(values[at])


def expected_boxes(
    position: int, below: tuple[int, Sequence[Edges]] | None, above: tuple[int, Sequence[Edges]] | None
) -> tuple[Edges, ...]:
    """The boxes that lie between those of two slices.

    Args:
        position: of the slice between.
        below, above: (position, boxes) of the slices on both sides; None where there is none.

    Returns:
        For each pair of boxes of one part the one between them. Where only one side is known, its boxes. Where nothing matches, none.
    """
    if below is None or above is None:
        one = below or above
        return tuple(one[1]) if one is not None else ()
    share = (position - below[0]) / (above[0] - below[0])
    found = []
    for i, j, _ in match_edges(below[1], above[1], least_iou=1e-6):
        a, b = below[1][i], above[1][j]
        mixed = [(1 - share) * x + share * y for x, y in zip(a, b, strict=True)]
        found.append((mixed[0], mixed[1], mixed[2], mixed[3]))
    return tuple(found)
