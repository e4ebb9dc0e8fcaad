"""Propose the open slices between and beyond locked ones, with what was learned. Imports propagation.

The rule is `GrowingView`'s, so that a correction or a prompt follows it too; README.md in this folder has the table behind it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from ..geometry import Extent
from ..progress import CancelToken, ProgressCallback
from ..prompts import SlicePrompt
from ..propagation import RegionPolicy, SliceEncoder, SliceResult, propagate


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
    yield from propagate(encoder, prompts, extent, policy, locked=tuple(locked), cancel=cancel, progress=progress)
