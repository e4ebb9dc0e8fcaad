"""Learn an object from all of its prototypes, to find it without a prompt. Imports adaptation's outcome, engine and this room."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass

from ..engine import Adapter, AdapterCard, LearningSettings, SegmentationEngine
from ..engine.adapter import today
from ..errors import InputError
from ..progress import CancelToken, Progress
from ..propagation import RegionPolicy
from .lessons import lessons_of_prototypes
from .prototype import Prototype

# All is asked as a proposal asks: without a prompt.
_SHARES = {"none": 1.0}
# The step that the clock stops at is not cut short of this many.
_FEWEST_STEPS = 50


@dataclass(frozen=True)
class PrototypeLearning:
    """How to learn from prototypes.

    Args:
        steps: of four looks each.
        seconds: of the clock, after which it stops before that; None for no limit.
        seed: of every draw.
    """

    steps: int = 1000
    seconds: float | None = 600.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= 100_000 or (self.seconds is not None and not 0 < self.seconds <= 86_400):
            raise InputError(f"Learning takes 1 to 100000 steps and some seconds up to a day, got {self.steps} and {self.seconds}.")


def learn_from_prototypes(
    engine: SegmentationEngine,
    prototypes: Sequence[Prototype],
    policy: RegionPolicy | None = None,
    options: PrototypeLearning | None = None,
    cancel: CancelToken | None = None,
) -> Generator[Progress, None, Adapter]:
    """Learn an object from its prototypes, all slices of them; stop by not going on, or by `cancel`: nothing is changed then.

    Args:
        engine: the model.
        prototypes: of one object; those of another plane than the first are left out.
        policy: how much is shown around the object; by default ``auto``.
        options: how long.
        cancel: asked before each step.

    Yields:
        Progress, in steps.

    Returns:
        What was learned. It serves what is asked without a prompt.

    Raises:
        InputError: if there is no prototype.
        EngineError: if the model fails.
        Cancelled: if `cancel` was set.
    """
    if not prototypes:
        raise InputError("There is nothing to learn from: no prototype was given.")
    options, engine = options or PrototypeLearning(), engine.with_adapter(None)
    used = [one for one in prototypes if one.plane == prototypes[0].plane]
    lessons = yield from lessons_of_prototypes(engine, used, policy or RegionPolicy(), options.seed, cancel)
    run = engine.start_learning(lessons, LearningSettings(batch=4, seed=options.seed, shares=_SHARES))
    started = time.perf_counter()
    steps = 0
    while steps < options.steps:
        if cancel is not None:
            cancel.raise_if_cancelled()
        share = steps / options.steps
        if options.seconds is not None:
            share = max(share, (time.perf_counter() - started) / options.seconds)
            if share >= 1 and steps >= _FEWEST_STEPS:
                break
        run.step(min(share, 1.0))
        steps += 1
        yield Progress(steps, options.steps, "steps of learning")
    return Adapter(run.tensors(), _card(engine, used))


def _card(engine: SegmentationEngine, prototypes: Sequence[Prototype]) -> AdapterCard:
    first = prototypes[0]
    sizes = sorted(one.object_size_mm for one in prototypes)
    rows_mm, cols_mm = first.frame_spacing_rc_mm
    return AdapterCard(
        object_name=first.name,
        base_sha256=engine.weights_sha256,
        architecture=engine.architecture,
        trained="decoder",
        serves=("none",),
        terminology=first.terminology or None,
        modality=first.modality,
        window=(float(first.mapping.lower), float(first.mapping.upper)),
        plane=first.plane,
        spacing_rc_mm=(float(rows_mm), float(cols_mm)),
        object_size_mm=round(sizes[len(sizes) // 2], 3),
        slice_count=sum(len(one.slices) for one in prototypes),
        volume_count=len(prototypes),
        created=today(),
        image_size=engine.image_size,
    )
