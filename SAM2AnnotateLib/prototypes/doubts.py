"""How far each slice of a proposal is to be doubted. Imports numpy and the prototype beside it.

A proposal of one case can be wrong while all ways of asking agree: they know the same slices. What tells then is how well the prototypes
find each other's slices (or one prototype its own), whether the mask is as large as theirs at that place, and whether the slice lies in the
likely extent.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .prototype import Prototype

# Prototypes that find one another's slices with this DSC are as reliable as can be told; checks count by how near their place is.
_RELIABLE, _NEAR = 0.85, 0.07
# An area that differs from the prototypes' at that place by less than this factor is as usual.
_USUAL_FACTOR = 1.5
# Above this a slice is doubted. Where that is half of the slices or more, all of them are: it is something else, and a part looks alike.
DOUBTED = 0.5
_LEAST_OF_ALL = 0.52
# What is told of a slice beyond the likely ends is trusted by so much at most.
_BEYOND = 0.45


def doubts_of(
    trusts: Sequence[float],
    areas_mm2: Sequence[float],
    along: Sequence[float],
    prototypes: Sequence[Prototype],
    checks: Sequence[tuple[float, float]] = (),
) -> list[float]:
    """Doubt of each slice, 0 (nothing speaks against it) to 1.

    Args:
        trusts: 0..1, what the answer to each slice is worth by itself.
        areas_mm2: of the masks.
        along: where each slice lies in the likely extent: 0 on the first slice, 1 on the last; below and above beyond it.
        prototypes: of the object.
        checks: (place in the extent, DSC) of slices that the prototypes found of one another; empty if that was not asked.
    """
    usual = usual_areas_mm2(prototypes, along)
    found = []
    for trust, area, expected, place in zip(trusts, areas_mm2, usual, along, strict=True):
        alike = min(area, expected) / max(area, expected, 1e-9)
        sized = min(1.0, _USUAL_FACTOR * alike)
        known = min(1.0, reliability_at(place, checks) / _RELIABLE)
        inside = 1.0 if 0 <= place <= 1 else _BEYOND
        found.append(float(np.clip(1 - trust * known * sized * inside, 0, 1)))
    if np.mean([doubt > DOUBTED for doubt in found]) >= 0.5:
        return [_LEAST_OF_ALL + (1 - _LEAST_OF_ALL) * doubt for doubt in found]
    return found


def reliability_at(place: float, checks: Sequence[tuple[float, float]]) -> float:
    """DSC to be expected at a place of the extent by the checks near it; 1 where there are none, beyond the ends that of the end."""
    if not checks:
        return 1.0
    places, scores = np.array(checks, dtype=float).T
    distance = np.abs(places - min(max(place, 0.0), 1.0))
    weights = np.exp(-0.5 * ((distance - distance.min()) / _NEAR) ** 2)
    return float(weights @ scores / weights.sum())


def usual_areas_mm2(prototypes: Sequence[Prototype], along: Sequence[float]) -> np.ndarray:
    """(slices,) the object's area at each place of the extent, mean over the prototypes; beyond the ends that of the end."""
    ways = []
    for one in prototypes:
        pixel_mm2 = one.spacing_src_mm[1] * one.spacing_src_mm[2]
        shown = [(one.place(each.position), float(each.mask.sum()) * pixel_mm2) for each in one.with_object]
        places, areas = zip(*[(place, area) for place, area in shown if place is not None], strict=True)
        ways.append(np.interp(np.asarray(along, dtype=float), places, areas))
    return np.mean(ways, axis=0)
