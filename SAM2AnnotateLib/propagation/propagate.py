"""Carry masks from the prompted slices through the extent. Imports the rest of this room, engine and prompts.

Method: study A (Misera et al.): propagation slice by slice from the center to both ends, never beyond the extent, SAM 2's state reset
before each direction and each prompt. Ours: crops that grow, locked slices as barriers that inform both sides, embeddings that are kept.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

import numpy as np

from ..engine import SlicePrediction, Track
from ..errors import PromptError
from ..geometry import Box2D, Extent
from ..progress import CancelToken, Progress, ProgressCallback
from ..prompts import Point, SlicePrompt
from .passes import Pass, plan_passes
from .region_of_interest import RegionPolicy, cut, paste
from .results import SliceResult
from .slice_encoder import SliceEncoder

# A grown crop may show more of the object, which may reach the new border. After this many, the whole slice is shown.
_MOST_GROWTHS_A_SLICE = 3
# Clicks do not tell how large the object is. It is looked for on the whole slice first, and again in a crop of at most this share of that.
_WORTH_A_CLOSER_LOOK = 0.7


def predict_slice(
    encoder: SliceEncoder, position: int, prompt: SlicePrompt, policy: RegionPolicy, crop: Box2D | None = None
) -> SliceResult:
    """The mask of one slice from its prompt alone, without memory: what a preview shows.

    Args:
        encoder: the volume and the model.
        position: of the slice.
        prompt: on that slice, in rows and columns of the upright slice.
        policy: which part of the slice the model sees.
        crop: a crop that was used before, taken again if it serves, so that its embedding is found in the store.

    Raises:
        PromptError: if the prompt does not fit the slice.
    """
    started = time.perf_counter()
    prompt.require_inside(encoder.stack.frame_shape_rc)
    sized = prompt.box is not None or prompt.mask is not None
    crop = _crop_for([prompt], encoder, policy, crop if sized else None)
    mask, prediction = _predict_in(encoder, position, prompt, crop)
    if not sized and mask.any():
        closer = policy.crop_around(Box2D.around(mask), encoder.stack.frame_shape_rc, encoder.stack.frame_spacing_rc_mm)
        closer = _crop_for([prompt, SlicePrompt(mask=mask)], encoder, policy, closer)
        if max(closer.shape_rc) <= _WORTH_A_CLOSER_LOOK * max(crop.shape_rc):
            crop = closer
            mask, prediction = _predict_in(encoder, position, prompt, crop)
    if prompt.final_mask is None:
        for growth in range(_MOST_GROWTHS_A_SLICE):
            grown = _grown(encoder, policy, crop, mask, growth)
            if grown == crop:
                break
            crop = grown
            mask, prediction = _predict_in(encoder, position, prompt, crop)
    return _result(position, mask, prediction, started, crop, prompted=True)


def propagate(
    encoder: SliceEncoder,
    prompts: Mapping[int, SlicePrompt],
    extent: Extent,
    policy: RegionPolicy,
    *,
    locked: Collection[int] = (),
    changed: int | None = None,
    crops: Mapping[int, Box2D] | None = None,
    cancel: CancelToken | None = None,
    progress: ProgressCallback | None = None,
) -> Iterator[SliceResult]:
    """Compute the slices that are due, see `plan_passes`; first those with a prompt of their own, then outward.

    Stop by not going on, or by `cancel`; results already given stand.

    Args:
        encoder: the volume and the model.
        prompts: by position. Those of locked slices are final masks.
        extent: positions of the object's first and last slice.
        policy: which part of a slice the model sees.
        locked: positions whose mask is final; they are never given back.
        changed: a locked position whose stretches are due; None for all slices.
        crops: crops used before by position, taken again where they serve.
        cancel: asked before each slice.
        progress: told after each slice.

    Yields:
        One result for each slice that is due, each slice once.

    Raises:
        PromptError: if prompts and extent do not fit the volume or each other.
        EngineError: if the model fails.
        Cancelled: if `cancel` was set.
    """
    shape_rc = encoder.stack.frame_shape_rc
    for position, prompt in prompts.items():
        prompt.require_inside(shape_rc)
        if position in locked and prompt.final_mask is None:
            raise PromptError(f"Slice {position} is locked, so its prompt must be its final mask.")
    for position in locked:
        if position not in prompts:
            raise PromptError(f"Slice {position} is locked, but its final mask is not among the prompts.")
    if extent.first < 0 or extent.last >= encoder.slice_count:
        ends = f"{extent.first}..{extent.last}"
        raise PromptError(f"The extent {ends} reaches beyond the volume, which has slices 0..{encoder.slice_count - 1}.")
    if changed is not None and changed not in locked:
        raise PromptError(f"Slice {changed} was named as corrected but is not locked.")
    passes = plan_passes(extent, prompts.keys(), locked, changed)
    known_crops = dict(crops or {})
    passed = {position for one in passes for position in one.positions}
    seeds = [position for position in sorted(prompts) if position not in locked and (changed is None or position in passed)]
    total, done = len({*seeds, *passed}), 0

    def told(result: SliceResult) -> SliceResult:
        nonlocal done
        done += 1
        known_crops[result.position] = result.crop
        if progress is not None:
            progress(Progress(done, total, "slices"))
        return result

    final = {position: prompts[position].final_mask for position in locked if position in prompts}
    found = {position: mask for position, mask in final.items() if mask is not None}
    for position in seeds:
        _ask(cancel)
        result = told(predict_slice(encoder, position, prompts[position], policy, known_crops.get(position)))
        found[position] = result.mask
        yield result
    for one in passes:
        for result in _run_pass(encoder, one, prompts, found, policy, known_crops.get(one.start), cancel):
            yield told(result)


def _run_pass(
    encoder: SliceEncoder,
    one: Pass,
    prompts: Mapping[int, SlicePrompt],
    found: Mapping[int, np.ndarray],
    policy: RegionPolicy,
    crop: Box2D | None,
    cancel: CancelToken | None,
) -> Iterator[SliceResult]:
    shape_rc = encoder.stack.frame_shape_rc
    conditioning = {position: prompts[position] for position in one.conditioning}
    masks = {position: found[position] for position in one.conditioning}
    final = {position: SlicePrompt(mask=mask) for position, mask in masks.items()}
    crop = _crop_for([*conditioning.values(), *final.values()], encoder, policy, crop)
    if all(prompt.final_mask is not None and not prompt.final_mask.any() for prompt in conditioning.values()):
        # A person said that the object is not on the slices that this run departs from: it has nothing to follow.
        for position in one.positions:
            yield SliceResult(position, np.zeros(shape_rc, dtype=bool), 1.0, 0.0, 0.0, crop, prompted=False)
        return
    track = _track(encoder, one, conditioning, crop)
    recent: deque[tuple[int, np.ndarray]] = deque(maxlen=encoder.engine.memory_reach)
    for position in one.positions:
        _ask(cancel)
        if position in conditioning:  # a prompted slice on the way keeps its mask, which was given back already
            continue
        started = time.perf_counter()
        prediction = track.step(position, encoder.embedding(position, crop))
        mask = paste(prediction.mask, crop, shape_rc)
        for growth in range(_MOST_GROWTHS_A_SLICE):
            grown = _grown(encoder, policy, crop, mask, growth)
            if grown == crop:
                break
            crop = _crop_for([SlicePrompt(mask=mask), *final.values()], encoder, policy, grown)
            track = _track(encoder, one, final, crop)
            for earlier, earlier_mask in recent:
                track.remember(earlier, encoder.embedding(earlier, crop), cut(earlier_mask, crop))
            prediction = track.step(position, encoder.embedding(position, crop))
            mask = paste(prediction.mask, crop, shape_rc)
        recent.append((position, mask))
        yield _result(position, mask, prediction, started, crop, prompted=False)


def _track(encoder: SliceEncoder, one: Pass, conditioning: Mapping[int, SlicePrompt], crop: Box2D) -> Track:
    track = encoder.engine.start_track(crop.shape_rc, encoder.slice_count, one.reverse)
    for position, prompt in conditioning.items():
        track.condition(position, encoder.embedding(position, crop), _inside_crop(prompt, crop))
    return track


def _crop_for(prompts: list[SlicePrompt], encoder: SliceEncoder, policy: RegionPolicy, crop: Box2D | None) -> Box2D:
    """`crop` if it holds all that the prompts mark, with room around; else one around all of that."""
    shape_rc, spacing_rc_mm = encoder.stack.frame_shape_rc, encoder.stack.frame_spacing_rc_mm
    boxes = [box for box in (prompt.bounding_box() for prompt in prompts) if box is not None]
    if crop is None and all(prompt.box is None and prompt.mask is None for prompt in prompts):
        return policy.whole_slice(shape_rc, spacing_rc_mm)
    if not boxes:
        return crop if crop is not None else Box2D(0, shape_rc[0], 0, shape_rc[1])
    whole = boxes[0]
    for box in boxes[1:]:
        whole = whole.union(box)
    if crop is None:
        return policy.crop_around(whole, shape_rc, spacing_rc_mm)
    return policy.grown(crop, whole, shape_rc, spacing_rc_mm)


def _grown(encoder: SliceEncoder, policy: RegionPolicy, crop: Box2D, mask: np.ndarray, growth: int) -> Box2D:
    """`crop`, or a larger one if the mask reaches its border; the last growth shows the whole slice."""
    if not mask.any():
        return crop
    shape_rc, spacing_rc_mm = encoder.stack.frame_shape_rc, encoder.stack.frame_spacing_rc_mm
    grown = policy.grown(crop, Box2D.around(mask), shape_rc, spacing_rc_mm)
    if grown == crop or growth < _MOST_GROWTHS_A_SLICE - 1:
        return grown
    return policy.whole_slice(shape_rc, spacing_rc_mm)


def _predict_in(encoder: SliceEncoder, position: int, prompt: SlicePrompt, crop: Box2D) -> tuple[np.ndarray, SlicePrediction]:
    """The mask (rows, cols) of the whole slice from the prompt alone, in one crop, and what the model said."""
    track = encoder.engine.start_track(crop.shape_rc, encoder.slice_count, reverse=False)
    prediction = track.condition(position, encoder.embedding(position, crop), _inside_crop(prompt, crop))
    return paste(prediction.mask, crop, encoder.stack.frame_shape_rc), prediction


def _inside_crop(prompt: SlicePrompt, crop: Box2D) -> SlicePrompt:
    """The prompt in rows and columns of the crop; a click beside the object that lies outside says nothing about the crop."""
    seen = [p for p in prompt.points if crop.contains(Box2D(p.row, p.row + 1, p.col, p.col + 1))]
    return replace(
        prompt,
        box=None if prompt.box is None else prompt.box.shifted(-crop.row_start, -crop.col_start),
        points=tuple(Point(p.row - crop.row_start, p.col - crop.col_start, p.positive) for p in seen),
        mask=None if prompt.mask is None else cut(prompt.mask, crop),
    )


def _result(position: int, mask: np.ndarray, prediction: SlicePrediction, started: float, crop: Box2D, prompted: bool) -> SliceResult:
    seconds = time.perf_counter() - started
    return SliceResult(position, mask, prediction.predicted_iou, prediction.object_score, seconds, crop, prompted)


def _ask(cancel: CancelToken | None) -> None:
    if cancel is not None:
        cancel.raise_if_cancelled()
