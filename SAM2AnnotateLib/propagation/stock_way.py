"""Stock SAM 2's way with a correction, as study A drives it: for comparing ours with it. Imports the rest of this room.

A correction resets SAM 2 and is its only prompt: it alone leads, up to the next locked slice or the end, whatever was proposed before.
Other prompts inside a stretch inform it. Between two locked slices each leads to the middle.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import numpy as np

from ..errors import PromptError
from ..geometry import Box2D, Extent
from ..progress import CancelToken
from ..prompts import SlicePrompt
from .growing_view import GrowingView
from .passes import Pass, plan_passes
from .propagate import predict_slice, require_fitting
from .region_of_interest import RegionPolicy
from .results import SliceResult
from .slice_encoder import SliceEncoder


def propagate_as_stock(
    encoder: SliceEncoder,
    prompts: Mapping[int, SlicePrompt],
    extent: Extent,
    policy: RegionPolicy,
    *,
    locked: Collection[int] = (),
    changed: int | None = None,
    crops: Mapping[int, Box2D] | None = None,
    cancel: CancelToken | None = None,
) -> Iterator[SliceResult]:
    """Compute the slices that are due, see `plan_passes`; arguments, results and errors as of `propagate`.

    Args:
        crops: crops used before by position, taken again where they serve.
    """
    require_fitting(encoder, prompts, extent, locked)
    if changed is not None and changed not in locked:
        raise PromptError(f"Slice {changed} was named as corrected but is not locked.")
    passes = plan_passes(extent, prompts.keys(), locked, changed)
    known_crops = dict(crops or {})
    passed = {position for one in passes for position in one.positions}
    final = {position: prompts[position].final_mask for position in locked}
    found = {position: mask for position, mask in final.items() if mask is not None}
    for position in [p for p in sorted(prompts) if p not in locked and (changed is None or p in passed)]:
        _ask(cancel)
        result = predict_slice(encoder, position, prompts[position], policy, known_crops.get(position))
        found[position], known_crops[position] = result.mask, result.crop
        yield result
    for one in passes:
        for result in _run_pass(encoder, one, prompts, found, policy, known_crops.get(one.start), cancel):
            known_crops[result.position] = result.crop
            yield result


def _run_pass(
    encoder: SliceEncoder,
    one: Pass,
    prompts: Mapping[int, SlicePrompt],
    found: Mapping[int, np.ndarray],
    policy: RegionPolicy,
    crop: Box2D | None,
    cancel: CancelToken | None,
) -> Iterator[SliceResult]:
    conditioning = {position: prompts[position] for position in one.conditioning}
    masks = [SlicePrompt(mask=found[position]) for position in one.conditioning]
    view = GrowingView(encoder, policy, [*conditioning.values(), *masks], crop, one.reverse)
    if all(prompt.final_mask is not None and not prompt.final_mask.any() for prompt in conditioning.values()):
        # A person said that the object is not on the slices that this run departs from: it has nothing to follow.
        for position in one.positions:
            nothing = np.zeros(encoder.stack.frame_shape_rc, dtype=bool)
            yield SliceResult(position, nothing, 1.0, 0.0, 0.0, view.crop, prompted=False)
        return
    for position, prompt in conditioning.items():
        view.condition(position, prompt, found[position])
    for position in one.positions:
        _ask(cancel)
        if position not in conditioning:  # a prompted slice on the way keeps its mask, which was given back already
            seen = view.step(position)
            yield SliceResult(position, seen.mask, seen.predicted_iou, seen.object_score, seen.seconds, seen.crop, prompted=False)


def _ask(cancel: CancelToken | None) -> None:
    if cancel is not None:
        cancel.raise_if_cancelled()
