"""Agreement between slices that were each looked at alone: neighbors, SAM 2's memory of those that are sure. Imports propagation, numpy.

Everything here is in one crop: maps are (rows, cols) floats, 0..1, of how likely each of its pixels is the object.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ..engine import SegmentationEngine
from ..geometry import Box2D
from ..progress import CancelToken
from ..prompts import SlicePrompt
from ..propagation import SliceEncoder

# Neighbors farther than this many spreads of the Gaussian say nothing.
_FAR = 2.5


def smoothed(maps: Mapping[int, np.ndarray], sigma_slices: float) -> dict[int, np.ndarray]:
    """Each map as the Gaussian mean of itself and of its neighbors that are there."""
    if sigma_slices <= 0:
        return dict(maps)
    reach = int(np.ceil(_FAR * sigma_slices))
    found = {}
    for position in maps:
        near = [other for other in range(position - reach, position + reach + 1) if other in maps]
        weights = np.exp(-0.5 * ((np.array(near) - position) / sigma_slices) ** 2)
        found[position] = np.tensordot(weights / weights.sum(), np.stack([maps[other] for other in near]), axes=1).astype(
            maps[position].dtype
        )
    return found


def anchors_of(sureness: Mapping[int, float], count: int, least: float) -> list[int]:
    """The surest slices, spread over the object: the surest of each of `count` equal stretches of those above `least`."""
    sure = sorted(position for position, value in sureness.items() if value >= least)
    if len(sure) <= count:
        return sure
    stretches = np.array_split(np.arange(sure[0], sure[-1] + 1), count)
    best = [max((p for p in stretch.tolist() if p in sureness), key=sureness.__getitem__, default=None) for stretch in stretches]
    return [position for position in best if position is not None and sureness[position] >= least]


def carried(
    encoder: SliceEncoder,
    engine: SegmentationEngine,
    crop: Box2D,
    masks: Mapping[int, np.ndarray],
    wanted: Sequence[int],
    cancel: CancelToken | None = None,
) -> Iterator[tuple[int, np.ndarray]]:
    """What the memory of some slices says of others.

    Each stretch between two of the slices is passed from both sides, beyond the outermost ones from one; a pass is told the slices at both
    of its ends. Where two passes come by, both count, the nearer slice's more.

    Args:
        encoder: the volume.
        engine: the model as it came.
        crop: what it is shown.
        masks: (rows, cols) bool in the crop, by position: the slices that are remembered, at least one.
        wanted: positions to be told of; those remembered are left out.
        cancel: asked between slices.

    Yields:
        (position, map).
    """
    known = sorted(masks)
    for low, high in zip([None, *known], [*known, None], strict=True):
        inside = [p for p in wanted if (low is None or p > low) and (high is None or p < high)]
        if not inside:
            continue
        ends = [end for end in (low, high) if end is not None]
        runs: list[dict[int, np.ndarray]] = []
        for start in ends:
            reverse = start == high
            reach = range(start - 1, min(inside) - 1, -1) if reverse else range(start + 1, max(inside) + 1)
            track = engine.start_track(crop.shape_rc, encoder.slice_count, reverse)
            for end in ends:
                track.condition(end, encoder.embedding(end, crop), SlicePrompt(mask=masks[end]))
            run = {}
            for position in reach:
                if cancel is not None:
                    cancel.raise_if_cancelled()
                prediction = track.step(position, encoder.embedding(position, crop))
                run[position] = likely(prediction.logits) * np.float32(prediction.object_score)
            runs.append(run)
        for position in inside:
            if len(runs) == 1:
                yield position, runs[0][position]
            else:
                assert low is not None and high is not None
                share = (position - low) / (high - low)
                yield position, (1 - share) * runs[0][position] + share * runs[1][position]


def likely(logits: np.ndarray) -> np.ndarray:
    """Logits as likelihoods, float32."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -30, 30))), dtype=np.float32)
