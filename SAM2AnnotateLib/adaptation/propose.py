"""Propose the open slices between and beyond locked ones, with what was learned. Imports propagation and `held_out`.

README.md in this folder has the table that says why it is done this way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from ..geometry import Box2D, Extent
from ..progress import CancelToken, ProgressCallback
from ..prompts import SlicePrompt
from ..propagation import RegionPolicy, SliceEncoder, SliceResult, propagate
from ..propagation.propagate import predict_slice
from ..propagation.signed_distance import mixed
from .held_out import dice

# Two masks that overlap less speak of different things: then the memory, which knows the locked slices, is believed.
_LEAST_AGREEMENT = 0.5


def propose_slices(
    encoder: SliceEncoder,
    policy: RegionPolicy,
    locked: Mapping[int, np.ndarray],
    extent: Extent,
    *,
    cancel: CancelToken | None = None,
    progress: ProgressCallback | None = None,
) -> Iterator[SliceResult]:
    """The slices of the extent that are not locked, each once: what the memory carries from the locked ones, and what was learned of it.

    Args:
        encoder: the volume and the model, with the adapter if there is one.
        policy: which part of a slice the model sees.
        locked: final masks (rows, cols) bool by position, at least one; they are never given back.
        extent: positions of the object's first and last slice.
        cancel: asked before each step of the model.
        progress: told after each slice.

    Raises:
        PromptError: if masks and extent do not fit the volume or each other.
        EngineError: if the model fails.
        Cancelled: if `cancel` was set.
    """
    prompts = {position: SlicePrompt(mask=mask) for position, mask in locked.items()}
    for result in propagate(encoder, prompts, extent, policy, locked=tuple(locked), cancel=cancel, progress=progress):
        yield as_learned(encoder, policy, result)


def as_learned(encoder: SliceEncoder, policy: RegionPolicy, carried: SliceResult) -> SliceResult:
    """What the memory carried to a slice, halfway to what the adapter makes of a box around it; `carried` itself without an adapter that
    answers boxes, on an empty slice, and where the two speak of different things."""
    adapter = encoder.engine.adapter
    if adapter is None or not adapter.serves("box") or carried.prompted or not carried.mask.any():
        return carried
    refined = predict_slice(encoder, carried.position, SlicePrompt(box=Box2D.around(carried.mask)), policy)
    agreement = dice(refined.mask, carried.mask)
    if agreement < _LEAST_AGREEMENT:
        return carried
    return replace(
        carried,
        mask=mixed([(0.5, carried.mask), (0.5, refined.mask)], encoder.stack.frame_spacing_rc_mm),
        predicted_iou=(carried.predicted_iou + refined.predicted_iou) / 2,
        seconds=carried.seconds + refined.seconds,
        disagreement=max(carried.disagreement or 0.0, 1 - agreement),
    )
