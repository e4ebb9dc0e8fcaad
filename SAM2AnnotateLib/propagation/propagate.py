"""Carry masks from the prompted slices through the extent. Imports the rest of this room, engine and prompts.

Method: study A (Misera et al.): propagation slice by slice from the center to both ends, never beyond the extent, SAM 2's state reset
before each direction and each prompt. Ours: crops that grow, embeddings that are kept, and what a correction does to other slices.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from ..errors import PromptError
from ..geometry import Box2D, Extent
from ..progress import CancelToken, Progress, ProgressCallback
from ..prompts import SlicePrompt
from .carrying import Carrying, KnownSlice
from .growing_view import GrowingView
from .region_of_interest import RegionPolicy
from .results import SliceResult
from .slice_encoder import SliceEncoder
from .stretches import beside, plan_stretches


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
    prompt.require_inside(encoder.stack.frame_shape_rc)
    sized = prompt.box is not None or prompt.mask is not None
    seen = GrowingView(encoder, policy, [prompt], crop if sized else None).see(position, prompt)
    return SliceResult(position, seen.mask, seen.predicted_iou, seen.object_score, seen.seconds, seen.crop, prompted=True)


def propagate(
    encoder: SliceEncoder,
    prompts: Mapping[int, SlicePrompt],
    extent: Extent,
    policy: RegionPolicy,
    *,
    locked: Collection[int] = (),
    corrected: Collection[int] | None = None,
    changed: int | None = None,
    due: Collection[int] | None = None,
    proposals: Mapping[int, SliceResult] | None = None,
    cancel: CancelToken | None = None,
    progress: ProgressCallback | None = None,
) -> Iterator[SliceResult]:
    """Compute the slices that are due: first those with a prompt of their own, then stretch by stretch.

    What a slice becomes follows from the known slices beside its stretch and from the old proposals in it, see `Carrying`; it does not
    matter which other slices are due, nor what was computed before. Stop by not going on, or by `cancel`; results already given stand.

    Args:
        encoder: the volume and the model.
        prompts: by position. Those of locked slices are final masks.
        extent: positions of the object's first and last slice.
        policy: which part of a slice the model sees.
        locked: positions whose mask is final; they are never given back.
        corrected: those of them that a person drew; by default all. The others were accepted as they were.
        changed: a locked position: of what is due, only the stretches beside it are computed; None for all.
        due: positions that are due; None for all that are not locked.
        proposals: the old proposals by position, see `ReviewSession`.
        cancel: asked before each step of the model.
        progress: told after each slice.

    Yields:
        One result for each slice that is due, each slice once.

    Raises:
        PromptError: if prompts and extent do not fit the volume or each other.
        EngineError: if the model fails.
        Cancelled: if `cancel` was set.
    """
    require_fitting(encoder, prompts, extent, locked)
    if changed is not None and changed not in locked:
        raise PromptError(f"Slice {changed} was named as corrected but is not locked.")
    old = dict(proposals or {})
    stretches = plan_stretches(extent, prompts) if changed is None else beside(plan_stretches(extent, prompts), changed)
    seeds = [position for position in sorted(prompts) if position not in locked and changed is None]
    possible = {*seeds, *(position for one in stretches for position in one.positions)}
    wanted = possible if due is None else possible.intersection(due)
    done = 0

    def told(result: SliceResult) -> SliceResult:
        nonlocal done
        done += 1
        if progress is not None:
            progress(Progress(done, len(wanted), "slices"))
        return result

    def ask() -> None:
        if cancel is not None:
            cancel.raise_if_cancelled()

    drawn = set(locked if corrected is None else corrected)
    due_stretches = [one for one in stretches if wanted.intersection(one.positions)]
    known: dict[int, KnownSlice] = {}
    for position in sorted({*wanted.intersection(seeds), *(end for one in due_stretches for end in one.ends)}):
        prompt = prompts[position]
        mask = prompt.final_mask if position in locked else None
        if mask is None and position in old and position not in wanted:
            mask = old[position].mask
        if mask is None:
            ask()
            result = predict_slice(encoder, position, prompt, policy)
            mask = result.mask
            old[position] = result
            if position in wanted:
                yield told(result)
        known[position] = KnownSlice(prompt, mask, position in drawn)
    crops = {position: one.crop for position, one in old.items()}
    carrying = Carrying(encoder, policy, known, old, crops, ask, extent)
    for stretch in due_stretches:
        for result in carrying.through(stretch):
            if result.position in wanted:
                yield told(result)


def require_fitting(encoder: SliceEncoder, prompts: Mapping[int, SlicePrompt], extent: Extent, locked: Collection[int]) -> None:
    """Raise PromptError unless prompts, locks and extent fit the volume and each other; see `propagate`."""
    for position, prompt in prompts.items():
        prompt.require_inside(encoder.stack.frame_shape_rc)
        if position in locked and prompt.final_mask is None:
            raise PromptError(f"Slice {position} is locked, so its prompt must be its final mask.")
    for position in locked:
        if position not in prompts:
            raise PromptError(f"Slice {position} is locked, but its final mask is not among the prompts.")
    if extent.first < 0 or extent.last >= encoder.slice_count:
        ends = f"{extent.first}..{extent.last}"
        raise PromptError(f"The extent {ends} reaches beyond the volume, which has slices 0..{encoder.slice_count - 1}.")
