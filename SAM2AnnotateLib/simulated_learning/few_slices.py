"""Study B, "assist": what prompts give on slices that nobody annotated, after learning from a few. Imports simulation, adaptation.

On every other slice of the volume a person gives up to five points, or a box and up to five points, each well inside the largest error of
the mask before; the best round counts (the validation of study B).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..adaptation import AnnotatedSlice, LearningOptions, LearningOutcome, learn, learned
from ..errors import InputError
from ..geometry import Box2D
from ..metrics import dice
from ..progress import CancelToken
from ..prompts import Point, SlicePrompt
from ..propagation import RegionPolicy
from ..simulation.clicks import next_click
from ..simulation.gestures import jittered_box
from .annotated import SeriesCase

# So many slices of an object are asked about, spread over it: more tell little more.
MOST_ASKED = 40


@dataclass(frozen=True)
class PromptGains:
    """Mean DSC over the slices that were asked about.

    Args:
        slices: how many that are.
        points: best of the rounds up to 1, 2, ... points.
        box: a box alone.
        both: best of a box alone and of that box with up to as many points.
        nothing: without any prompt; None where the model has not learned that.
    """

    slices: int
    points: tuple[float, ...]
    box: float
    both: float
    nothing: float | None = None


def spread_slices(case: SeriesCase, counts: Sequence[int]) -> tuple[dict[int, list[int]], list[int]]:
    """For each count, so many slices that show the object, spread evenly over it; and up to `MOST_ASKED` that are among none of these.

    An object of few slices gives fewer to learn from, so that at least half of them are left to ask about; two at least.

    Raises:
        InputError: if it shows on fewer than four slices.
    """
    truth = case.memory.truth
    shown = [position for position in truth.extent.indices if truth.frame(position).any()]
    if len(shown) < 4:
        raise InputError(f"The object of '{case.name}' shows on {len(shown)} slices: learning from some and asking about others takes 4.")
    taught = {count: _spread(shown, max(2, min(count, len(shown) // 4 if len(counts) > 1 else len(shown) // 2))) for count in counts}
    used = {position for some in taught.values() for position in some}
    asked = [position for position in shown if position not in used]
    return taught, _spread(asked, MOST_ASKED) if len(asked) > MOST_ASKED else asked


def _spread(positions: Sequence[int], count: int) -> list[int]:
    """So many of them, evenly, from the middle of each share."""
    return [positions[int((number + 0.5) * len(positions) / count)] for number in range(count)]


def learned_from_few(
    case: SeriesCase, positions: Sequence[int], roi: str, options: LearningOptions, cancel: CancelToken | None = None
) -> LearningOutcome:
    """Learn from slices as the truth has them."""
    truth = case.memory.truth
    encoder = case.bench.encoder(truth, roi)
    slices = [AnnotatedSlice(encoder, position, truth.frame(position), truth.extent) for position in positions]
    return learned(learn(slices, policy=RegionPolicy.parse(roi), options=options, cancel=cancel))


def prompt_gains(case: SeriesCase, outcome: LearningOutcome | None, positions: Sequence[int], roi: str, clicks: int) -> PromptGains:
    """Ask about slices, one prompt after the other.

    Args:
        case: the object on its volume.
        outcome: what was learned; None asks the model as it came.
        positions: of the slices, which show the object.
        roi: what the model sees.
        clicks: most points.
    """
    truth, rng = case.memory.truth, case.new_rng()
    bench = case.bench if outcome is None or outcome.adapter is None else case.bench.with_adapter(outcome.adapter)
    stack = bench.stack
    points, boxes, both = [], [], []
    for position in positions:
        frame = truth.frame(position)

        def ask(box: Box2D | None, spots: tuple[Point, ...], position: int = position) -> np.ndarray:
            return bench.predict(truth, position, SlicePrompt(box=box, points=spots), roi).mask

        box = jittered_box(truth.tight_box(position), stack.frame_spacing_rc_mm, stack.frame_shape_rc, rng)
        with_points = _rounds(ask, None, frame, stack.frame_spacing_rc_mm, clicks)
        with_both = _rounds(ask, box, frame, stack.frame_spacing_rc_mm, clicks)
        points.append(np.maximum.accumulate(with_points))
        boxes.append(with_both[0])
        both.append(max(with_both))
    by_count = np.mean(points, axis=0)
    return PromptGains(len(positions), tuple(float(one) for one in by_count), float(np.mean(boxes)), float(np.mean(both)))


def _rounds(ask, box: Box2D | None, frame: np.ndarray, spacing_rc_mm: tuple[float, float], clicks: int) -> list[float]:
    """DSC of each round; once there is no error left, the last one again. With a box, that of the box alone comes first."""
    mask = np.zeros_like(frame) if box is None else ask(box, ())
    found = [] if box is None else [dice(mask, frame)]
    spots: tuple[Point, ...] = ()
    for _ in range(clicks):
        spot = next_click(mask, frame, spacing_rc_mm)
        if spot is not None:
            spots = (*spots, spot)
            mask = ask(box, spots)
        found.append(dice(mask, frame))
    return found
