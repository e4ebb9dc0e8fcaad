"""What correcting the worst slice does, again and again: DSC against slices and pixels drawn. Imports this room, prompts, numpy.

The person knows the truth and takes the slice whose mask fits it least; it is drawn as the truth has it. That asks of a way of working what
a review by rules of acceptance does not: whether each correction makes the object better.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..metrics import dice
from ..propagation.results import SliceResult
from .bench import Bench
from .effort import EffortCount
from .first_prompt import first_prompt
from .interpolation import interpolate_slices
from .reader import MaskMemory
from .simulate import known_mask
from .workflow import Workflow


@dataclass(frozen=True)
class WorstFirstStep:
    """An object after some slices were drawn.

    Args:
        drawn: slices that a person drew or corrected so far.
        pixels: that were changed for it; of a slice drawn where there was no mask, all of the object's.
        dsc: of the object in 3-D, 0..1.
    """

    drawn: int
    pixels: int
    dsc: float


def has_worst_first(workflow: Workflow) -> bool:
    """Whether a workflow can be corrected so: it says of each slice what it is before a person comes to it."""
    return workflow.method == "interpolation" or (workflow.method == "propagation" and workflow.order == "outward")


def worst_first(bench: Bench, memory: MaskMemory, workflow: Workflow, times: int, rng: np.random.Generator) -> tuple[WorstFirstStep, ...]:
    """Correct the worst slice of an object up to `times` times.

    Propagation begins with its prompt and no slice drawn. Interpolation begins with the center slice and both ends drawn.

    Args:
        bench: the volume and the model.
        memory: of the object.
        workflow: one that `has_worst_first`.
        times: most slices that are drawn in all.
        rng: draws the jitter of the prompt.

    Returns:
        The beginning and what each slice led to; shorter if no slice is left.
    """
    truth = memory.truth
    frames = {position: truth.frame(position) for position in truth.extent.indices}
    if workflow.method == "interpolation":
        return _by_interpolation(bench, memory, frames, times)

    def predict(prompt) -> np.ndarray:
        return bench.predict(truth, truth.center, prompt, workflow.roi).mask

    first = first_prompt(workflow, truth, bench.stack, predict, rng, EffortCount(memory.rules.costs))
    item = bench.new_object(truth, first.prompt, workflow.roi, workflow.corrections)
    _run_through(item.propagate())

    def draw(position: int) -> None:
        _run_through(item.correct(bench.stack.index_of(position), bench.stack.slice_from_frame(frames[position])))

    return _drawn_worst_first(frames, set(), times, lambda: {position: known_mask(item, position) for position in frames}, draw)


def _by_interpolation(bench: Bench, memory: MaskMemory, frames: dict[int, np.ndarray], times: int) -> tuple[WorstFirstStep, ...]:
    truth = memory.truth
    known = {position: frames[position] for position in (truth.extent.first, truth.center, truth.extent.last)}

    def masks() -> dict[int, np.ndarray]:
        return interpolate_slices(dict(sorted(known.items())), truth.extent, bench.stack.frame_spacing_rc_mm)

    def draw(position: int) -> None:
        known[position] = frames[position]

    return _drawn_worst_first(frames, set(known), times, masks, draw)


def _drawn_worst_first(
    frames: dict[int, np.ndarray], drawn: set[int], times: int, masks_now: Callable[[], dict[int, np.ndarray]], draw: Callable[[int], None]
) -> tuple[WorstFirstStep, ...]:
    """Draw the worst slice again and again, after those that are `drawn` already."""
    pixels, steps = sum(int(np.count_nonzero(frames[position])) for position in drawn), []
    while True:
        masks = masks_now()
        steps.append(WorstFirstStep(len(drawn), pixels, _volume_dice(masks, frames)))
        worst = _worst(masks, frames, drawn)
        if worst is None or len(drawn) >= times:
            return tuple(steps)
        drawn.add(worst)
        pixels += int(np.count_nonzero(masks[worst] ^ frames[worst]))
        draw(worst)


def _worst(masks: dict[int, np.ndarray], frames: dict[int, np.ndarray], drawn: set[int]) -> int | None:
    """The slice that fits the truth least among those that were not drawn; the first of equals; None if all were."""
    left = [position for position in frames if position not in drawn]
    return min(left, key=lambda position: dice(masks[position], frames[position])) if left else None


def _volume_dice(masks: dict[int, np.ndarray], frames: dict[int, np.ndarray]) -> float:
    return dice(np.stack([masks[position] for position in frames]), np.stack(list(frames.values())))


def _run_through(results) -> None:
    for result in results:
        assert isinstance(result, SliceResult)
