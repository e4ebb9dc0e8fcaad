"""First and last slice of an object from its prompt on one slice. Imports propagation, engine, geometry, prompts.

SAM 2's memory is carried outward from the prompted slice, beyond any end, until the object is gone. Where it went is told by what the model
says of each slice (object score, its own estimate of the outline) and by the mask's area beside that of its neighbors.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass

import numpy as np

from ..geometry import Extent
from ..progress import CancelToken, Progress
from ..prompts import SlicePrompt
from ..propagation import RegionPolicy, SliceEncoder, SliceResult
from ..propagation.growing_view import GrowingView, Seen
from ..propagation.propagate import predict_slice
from ..propagation.signed_distance import overlap
from .joining import AREA_BOUND
from .presence import WaySignals, end_of

# A way ends after so many slices in a row on which the object is most likely not.
_GONE_IN_A_ROW = 3


@dataclass(frozen=True, eq=False)
class ExtentProposal:
    """Where an object begins and ends, as the model sees it.

    Args:
        extent: positions of the first and last slice.
        certainty_first, certainty_last: 0..1, how sure each end is.
        results: by position, the slices of the extent as they were computed on the way: a propagation from that prompt within this extent.
    """

    extent: Extent
    certainty_first: float
    certainty_last: float
    results: Mapping[int, SliceResult]


def propose_extent(
    encoder: SliceEncoder, position: int, prompt: SlicePrompt, policy: RegionPolicy, cancel: CancelToken | None = None
) -> Generator[Progress, None, ExtentProposal]:
    """Propose the first and the last slice of an object that is marked on one slice.

    Args:
        encoder: the volume and the model.
        position: of the marked slice.
        prompt: on it.
        policy: which part of a slice the model sees.
        cancel: asked before each step of the model.

    Yields:
        Progress after each slice; how many there will be is not known.

    Returns:
        The proposal; the marks stay the user's.

    Raises:
        PromptError: if the prompt does not fit the slice.
        EngineError: if the model fails.
        Cancelled: if `cancel` was set.
    """
    done = 0
    first = predict_slice(encoder, position, prompt, policy)
    results = {position: first}
    yield Progress(1, None, "slices looked at")
    ends, certainties = [], []
    for step in (-1, 1):
        view = GrowingView(encoder, policy, [prompt, SlicePrompt(mask=first.mask)], first.crop, step < 0)
        view.condition(position, prompt, first.mask)
        way: list[tuple[Seen, float]] = []
        beside, gone = position + step, 0
        signals = _signals(encoder, first)
        last, largest = first.mask, int(first.mask.sum())
        while first.mask.any() and 0 <= beside < encoder.slice_count and gone < _GONE_IN_A_ROW:
            if cancel is not None:
                cancel.raise_if_cancelled()
            seen = view.step(beside)
            area = int(seen.mask.sum())
            present = signals.presence(area, seen.predicted_iou, seen.object_score, overlap(seen.mask, last)) if area else 0.0
            if area > AREA_BOUND * largest or not area:
                present = 0.0
            way.append((seen, present))
            last, largest = (seen.mask if area else last), max(largest, min(area, int(AREA_BOUND * largest)))
            gone = gone + 1 if present < 0.5 else 0
            beside += step
            done += 1
            yield Progress(done + 1, None, "slices looked at")
        count, certainty = end_of([present for _, present in way])
        ends.append(position + step * count)
        certainties.append(certainty)
        for number, (seen, _) in enumerate(way[:count], start=1):
            at = position + step * number
            results[at] = SliceResult(at, seen.mask, seen.predicted_iou, seen.object_score, seen.seconds, seen.crop, prompted=False)
    return ExtentProposal(Extent(*ends), certainties[0], certainties[1], results)


def _signals(encoder: SliceEncoder, first: SliceResult) -> WaySignals:
    spacing_mm, rows_mm, cols_mm = encoder.stack.spacing_src_mm
    area = int(first.mask.sum())
    return WaySignals(area, float(np.sqrt(area * rows_mm * cols_mm)), spacing_mm)
