"""The prompt that a simulated annotator gives on the center slice. Imports simulation's gestures, metrics, prompts and geometry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..geometry import SliceStack
from ..metrics import dice
from ..prompts import SlicePrompt
from .clicks import click_rounds
from .contours import contours_prompt
from .dot import jittered_dot
from .effort import EffortCount
from .gestures import jittered_box
from .objects import StackedTruth
from .workflow import Workflow


@dataclass(frozen=True, eq=False)
class FirstPrompt:
    """What was given, and what came of it on the way.

    Args:
        prompt: the one that is propagated.
        rounds: for clicks: the mask (rows, cols) on the center slice after each round.
    """

    prompt: SlicePrompt
    rounds: tuple[np.ndarray, ...] = ()


def first_prompt(
    workflow: Workflow,
    truth: StackedTruth,
    stack: SliceStack,
    predict: Callable[[SlicePrompt], np.ndarray],
    rng: np.random.Generator,
    effort: EffortCount,
) -> FirstPrompt:
    """The workflow's prompt for an object.

    Clicks are given one a round, each where the model's last mask is most wrong. The mask that they led to is what is propagated, as in
    study D; after a box that of the best round, as study B counts them.

    Args:
        workflow: names the prompt.
        truth: the object.
        stack: how the volume is sliced.
        predict: the model's mask (rows, cols) of the center slice from a prompt.
        rng: draws the jitter.
        effort: is told of every gesture.
    """
    effort.find_object()
    frame, spacing = truth.frame(truth.center), stack.frame_spacing_rc_mm
    if workflow.prompt == "mask":
        effort.outline(frame, spacing)
        return FirstPrompt(SlicePrompt(mask=frame))
    if workflow.prompt == "dot":
        effort.point()
        return FirstPrompt(SlicePrompt(points=(jittered_dot(frame, spacing, rng),)))
    if workflow.prompt == "contours":
        prompt = contours_prompt(frame, spacing)
        effort.box()
        for _ in prompt.points:
            effort.point()
        return FirstPrompt(prompt)
    box = None
    if workflow.prompt in ("box", "box+clicks"):
        box = jittered_box(truth.tight_box(truth.center), spacing, stack.frame_shape_rc, rng)
        effort.box()
        if workflow.prompt == "box":
            return FirstPrompt(SlicePrompt(box=box))
    rounds = click_rounds(predict, frame, spacing, workflow.clicks, box)
    for _ in rounds[-1].prompt.points:
        effort.point()
    taken = rounds[-1] if box is None else max(rounds, key=lambda one: dice(one.mask, frame))
    # Where they led to nothing there is no mask to go on with; the prompt itself is.
    prompt = SlicePrompt(mask=taken.mask) if taken.mask.any() else taken.prompt
    return FirstPrompt(prompt, tuple(one.mask for one in rounds))
