"""One mask from those of several people: by majority, and by STAPLE, which weighs people by how they agree. Imports numpy, SimpleITK.

STAPLE's result depends on how much background it sees, and on the prior; in one simulation it turned labels round in 10 to 20 of 100 runs
(PMC3262958; MELBA 2023:013). So it is shown what lies around the masks and a margin, nothing else; what turned round is told by
sensitivity and specificity below a half; and the majority's mask stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ...errors import InputError
from ...optional_imports import import_for
from ...propagation.signed_distance import overlap

# Voxels of background around the union of all masks that STAPLE is shown.
MARGIN_VOXELS = 4
# Below this DSC of both ways' masks they are said to disagree.
LEAST_DSC = 0.9
_MOST_ROUNDS = 50


@dataclass(frozen=True, eq=False)
class JoinedMask:
    """One mask from several.

    Args:
        majority: bool: voxels that more than half of the people marked; of an even half, those whose weight is more, see `joined_mask`.
        staple: bool: voxels whose probability is a half or more by STAPLE; None where it cannot be had: fewer than three people, or all
            masks are empty.
        sensitivities, specificities: of each person by STAPLE, within what it was shown.
        dsc: of both masks; 1 where there is only one.
        words: what is to be said of it; "" if both ways agree.
    """

    majority: np.ndarray
    staple: np.ndarray | None
    sensitivities: Mapping[str, float]
    specificities: Mapping[str, float]
    dsc: float
    words: str

    @property
    def agrees(self) -> bool:
        """Whether nothing is to be said."""
        return not self.words


def majority_mask(masks: Sequence[np.ndarray], weights: Sequence[float] | None = None) -> np.ndarray:
    """Voxels that more than half of the weight marks; an even half does not.

    Args:
        masks: bool, of one shape, at least one.
        weights: of the masks; by default all are equal.
    """
    _require(masks)
    shares = [1.0] * len(masks) if weights is None else list(weights)
    if len(shares) != len(masks) or not all(share >= 0 for share in shares) or not sum(shares) > 0:
        raise InputError(f"Expected a weight of 0 or more for each of {len(masks)} masks, and one above 0, got {shares}.")
    total = np.zeros(masks[0].shape, dtype=np.float64)
    for share, mask in zip(shares, masks, strict=True):
        total += share * mask
    return total > sum(shares) / 2 + 1e-9


def joined_mask(masks: Mapping[str, np.ndarray], weights: Mapping[str, float] | None = None) -> JoinedMask:
    """The masks of several people as one.

    Args:
        masks: bool arrays of one shape (slice or volume) by pseudonym, at least one.
        weights: of the people; they decide where as many marked a voxel as did not.

    Raises:
        InputError: if shapes differ, or there is none.
        MissingPackageError: if SimpleITK is not installed.
    """
    people = sorted(masks)
    listed = [np.asarray(masks[person], dtype=bool) for person in people]
    _require(listed)
    counts = np.sum(listed, axis=0, dtype=np.int32)
    majority: np.ndarray = np.asarray(2 * counts > len(listed))
    if weights is not None and len(listed) % 2 == 0:
        majority |= (2 * counts == len(listed)) & majority_mask(listed, [weights[person] for person in people])
    if len(listed) < 3 or not counts.any():
        return JoinedMask(majority, None, {}, {}, 1.0, "")
    where = np.nonzero(counts)
    box = tuple(
        slice(max(0, int(at.min()) - MARGIN_VOXELS), min(size, int(at.max()) + 1 + MARGIN_VOXELS))
        for at, size in zip(where, counts.shape, strict=True)
    )
    sitk = import_for("Joining masks by STAPLE", "SimpleITK", "pip install SimpleITK")
    images = [sitk.GetImageFromArray(np.ascontiguousarray(mask[box]).astype(np.uint8)) for mask in listed]
    estimate = sitk.STAPLEImageFilter()
    estimate.SetForegroundValue(1.0)
    estimate.SetMaximumIterations(_MOST_ROUNDS)
    chances = sitk.GetArrayFromImage(estimate.Execute(images))
    staple = np.zeros_like(majority)
    staple[box] = chances >= 0.5
    sensitivities = dict(zip(people, (float(v) for v in estimate.GetSensitivity()), strict=True))
    specificities = dict(zip(people, (float(v) for v in estimate.GetSpecificity()), strict=True))
    dsc = overlap(majority, staple)
    return JoinedMask(majority, staple, sensitivities, specificities, dsc, _words(dsc, sensitivities, specificities))


def _words(dsc: float, sensitivities: Mapping[str, float], specificities: Mapping[str, float]) -> str:
    turned = [person for person in sensitivities if sensitivities[person] + specificities[person] < 1]
    if 2 * len(turned) > len(sensitivities):
        few = f"it trusts {len(turned)} of {len(sensitivities)} people less than chance"
        return f"STAPLE took background for object ({few}): use the majority"
    if dsc < LEAST_DSC:
        return f"majority and STAPLE differ (DSC {dsc:.2f}, below {LEAST_DSC:g}): look at this one"
    return ""


def _require(masks: Sequence[np.ndarray]) -> None:
    shapes = sorted({mask.shape for mask in masks})
    if len(shapes) != 1:
        raise InputError(f"Expected masks of one shape to join, got {', '.join(map(str, shapes)) or 'none'}.")


def pairwise_dice(masks: Mapping[str, np.ndarray]) -> float:
    """Mean DSC over pairs of people's masks of one slice or volume; pairs of empty ones count as 1; NaN for fewer than two people.

    Args:
        masks: bool arrays of one shape by pseudonym.
    """
    found = []
    for a, b in combinations([masks[person] for person in sorted(masks)], 2):
        total = int(a.sum()) + int(b.sum())
        found.append(1.0 if total == 0 else 2 * int((a & b).sum()) / total)
    return float(np.mean(found)) if found else float("nan")
