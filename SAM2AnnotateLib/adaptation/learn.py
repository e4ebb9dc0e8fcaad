"""Learn from annotated slices within a budget, and keep it only if it is better. Imports the rest of this room, engine, propagation.

Slices are held out in turn: some short runs learn from the others and are asked about them, through the same path as a person's prompts.
What is not better there than the model as it came is not kept. Then one run learns from all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence

import numpy as np

from ..engine import Adapter, AdapterCard, LearningSettings, Lesson, SegmentationEngine
from ..engine.adapter import today
from ..errors import InputError
from ..progress import CancelToken, Progress, ProgressCallback
from ..propagation import RegionPolicy
from .annotated_slice import AnnotatedSlice
from .held_out import PROMPTED_KINDS, folds_of, mean_by_kind, scores_of
from .lessons import lessons_of, object_size_mm
from .options import LearningOptions, LearningOutcome

_MOST_FOLDS = 3
_FEWEST_STEPS = 2
# Without a prompt there is no model as it came to compare with; it is offered if it finds at least this much.
_LEAST_WITHOUT_PROMPT = 0.5


def learn(
    slices: Sequence[AnnotatedSlice],
    *,
    object_name: str = "",
    terminology: str | None = None,
    policy: RegionPolicy | None = None,
    options: LearningOptions | None = None,
    cancel: CancelToken | None = None,
) -> Generator[Progress, None, LearningOutcome]:
    """Learn an object from slices that a person is done with. Stop by not going on, or by `cancel`; nothing is changed then.

    Args:
        slices: of one or several volumes, all with the same engine; at least two that hold the object, or one without holding out.
        object_name: for the card.
        terminology: the object's code, for the card.
        policy: which part of a slice the model sees; as it will be when the adapter is used.
        options: how long, and what.
        cancel: asked before each step.

    Yields:
        Progress after each step, in thousandths of the budget.

    Returns:
        The outcome; its adapter is None if the model as it came was better.

    Raises:
        InputError: if there is too little to learn from.
        EngineError: if the model fails.
        Cancelled: if `cancel` was set.
    """
    policy, options = policy or RegionPolicy(), options or LearningOptions()
    engine = _engine_of(slices)
    present = [one for one in slices if one.holds_object]
    needed = 2 if options.hold_out else 1
    if len(present) < needed:
        raise InputError(
            f"Learning takes at least {needed} annotated slices that hold the object, there are {len(present)}. Annotate more."
        )
    clock = _Budget(options, cancel)
    before: dict[str, float] = {}
    after: dict[str, float] = {}
    if options.hold_out:
        folds = folds_of(present, _MOST_FOLDS)
        found_before, found_after = [], []
        for number, held in enumerate(folds):
            others = [one for one in slices if all(one is not aside for aside in held)]
            found_before.append(scores_of(held, engine, policy, others))
            share = options.held_out_share / len(folds)
            run = yield from _run(engine, others, policy, options, clock.until(share * (number + 1)))
            found_after.append(scores_of(held, engine.with_adapter(_adapter(engine, run, others, "", None, options)), policy, others))
        before, after = mean_by_kind(found_before), mean_by_kind(found_after)
    serves = _served(before, after) if options.hold_out else (*PROMPTED_KINDS, "none")
    volumes = len({id(one.encoder.volume) for one in present})
    if not serves:
        return LearningOutcome(
            None, before, after, 0, clock.seconds, len(present), volumes, _text(object_name, before, after, serves, present)
        )
    run = yield from _run(engine, slices, policy, options, clock.until(1.0))
    adapter = _adapter(engine, run, slices, object_name, terminology, options, serves, before, after)
    text = _text(object_name, before, after, serves, present)
    return LearningOutcome(adapter, before, after, run.steps, clock.seconds, len(present), volumes, text)


def learned(learning: Generator[Progress, None, LearningOutcome], progress: ProgressCallback | None = None) -> LearningOutcome:
    """Learn to the end; `progress` is told on the way."""
    while True:
        try:
            where = next(learning)
        except StopIteration as end:
            return end.value
        if progress is not None:
            progress(where)


class _Run:
    """What one run gave."""

    def __init__(self, tensors: dict[str, np.ndarray], steps: int):
        self.tensors, self.steps = tensors, steps


class _Budget:
    """How much of the time or steps is used, in all runs together."""

    def __init__(self, options: LearningOptions, cancel: CancelToken | None):
        self._options, self._cancel, self._started = options, cancel, time.perf_counter()
        self._steps = 0

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.perf_counter() - self._started

    @property
    def used(self) -> float:
        """Share of the budget."""
        if self._options.steps is not None:
            return self._steps / self._options.steps
        return self.seconds / self._options.seconds

    def until(self, share: float) -> Callable[[], float]:
        """A gauge for a run that begins when it is first read: its own share that is used; 1 when the budget's `share` is."""
        begun: list[float] = []

        def gauge() -> float:
            if self._cancel is not None:
                self._cancel.raise_if_cancelled()
            used = self.used
            if not begun:
                begun.append(used)
            self._steps += 1
            room = share - begun[0]
            return 1.0 if room <= 0 else (used - begun[0]) / room

        return gauge


def _run(
    engine: SegmentationEngine, slices: Sequence[AnnotatedSlice], policy: RegionPolicy, options: LearningOptions, gauge: Callable[[], float]
) -> Generator[Progress, None, _Run]:
    lessons: list[Lesson] = []
    for lesson in lessons_of(slices, policy, np.random.default_rng(options.seed)):
        lessons.append(lesson)
        yield Progress(0, None, "Learning: slices encoded")
    run = engine.start_learning(lessons, LearningSettings(trained=options.trained, seed=options.seed))
    steps = 0
    while (done := gauge()) < 1 or steps < _FEWEST_STEPS:
        run.step(done)
        steps += 1
        yield Progress(min(999, int(1000 * done)), 1000, "Learning")
    return _Run(run.tensors(), steps)


def _adapter(
    engine: SegmentationEngine,
    run: _Run,
    slices: Sequence[AnnotatedSlice],
    object_name: str,
    terminology: str | None,
    options: LearningOptions,
    serves: tuple[str, ...] = (*PROMPTED_KINDS, "none"),
    before: dict[str, float] | None = None,
    after: dict[str, float] | None = None,
) -> Adapter:
    present = [one for one in slices if one.holds_object]
    first = present[0].encoder
    card = AdapterCard(
        object_name=object_name,
        base_sha256=engine.weights_sha256,
        architecture=engine.architecture,
        trained=options.trained,
        serves=serves,
        terminology=terminology,
        modality=first.volume.modality,
        window=(float(first.mapping.lower), float(first.mapping.upper)),
        plane=first.stack.plane,
        spacing_rc_mm=tuple(float(mm) for mm in first.stack.frame_spacing_rc_mm),
        object_size_mm=round(object_size_mm(present), 3),
        slice_count=len(slices),
        volume_count=len({id(one.encoder.volume) for one in slices}),
        scores_before={kind: round(value, 4) for kind, value in (before or {}).items()},
        scores_after={kind: round(value, 4) for kind, value in (after or {}).items()},
        created=today(),
        image_size=engine.image_size,
    )
    return Adapter(run.tensors, card)


def _served(before: dict[str, float], after: dict[str, float]) -> tuple[str, ...]:
    """The kinds of prompt that are answered better than before; without a prompt: well enough to be shown."""
    better = [kind for kind in PROMPTED_KINDS if after[kind] > before[kind]]
    return (*better, *(["none"] if after["none"] >= _LEAST_WITHOUT_PROMPT else []))


def _text(
    object_name: str, before: dict[str, float], after: dict[str, float], serves: tuple[str, ...], present: Sequence[AnnotatedSlice]
) -> str:
    named = f"'{object_name}'" if object_name else "the object"
    if not before:
        return f"Learned {named} from {len(present)} slices; none was held out, so how good it is has not been measured."
    figures = (
        f"one click {before['point']:.2f} before, {after['point']:.2f} after; a box {before['box']:.2f} before, {after['box']:.2f} after"
    )
    if not serves:
        return (
            f"Nothing was kept: on slices held out, what was learned of {named} is not better than the model as it came (DSC: {figures})."
        )
    return f"Learned {named} from {len(present)} slices; DSC on slices held out: {figures}; without a prompt {after['none']:.2f}."


def _engine_of(slices: Sequence[AnnotatedSlice]) -> SegmentationEngine:
    """The one engine of all slices, as it came."""
    if not slices:
        raise InputError("There is nothing to learn from: no slice was given.")
    engines = [one.encoder.engine for one in slices]
    if any(engine.fingerprint != engines[0].fingerprint for engine in engines):
        raise InputError("All slices to learn from must be encoded by the same model with the same settings.")
    return engines[0].with_adapter(None)
