"""Learn from annotated slices within a budget, and keep it only if it is better. Imports the rest of this room, engine, propagation.

Slices are held out in turn: some short runs learn from the others and are asked about them, through the same path as a person's prompts.
What is not better there than the model as it came is not kept. Then one run learns from all.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import replace

import numpy as np

from ..engine import Adapter, AdapterCard, LearningSettings, Lesson, SegmentationEngine
from ..engine.adapter import today
from ..errors import InputError
from ..progress import CancelToken, Progress, ProgressCallback
from ..propagation import RegionPolicy
from .annotated_slice import AnnotatedSlice
from .held_out import MANY, asked_about, mean_by_kind, parts_to_hold_out, scores_of
from .held_out_runs import run_scores
from .lessons import lessons_of, object_size_mm, thinned, thinned_volumes
from .options import MOST_SLICES_OF_SEVERAL, LearningOptions, LearningOutcome
from .shares import ALL, HALF, NOTHING, PROMPTED_KINDS, PairedScore, mean_of, paired_scores, share_for
from .volume_lessons import lessons_of_runs
from .volumes import same_volume

_MOST_FOLDS = 3
# Where passes were right, a box must give this DSC on slices held out with what was learned; else it would spoil what goes well.
_RIGHT = 0.8
# Without a prompt, what was learned of the same object finds at least this much on the volume held out.
_FOUND_NOTHING = 0.1
_ANOTHER_OBJECT = "Without a prompt next to nothing of it was found on the volume held out: check that all volumes show the same object."
_OPEN_SLICES_STAY = "That is too little to propose open slices anew by: they stay as they are; new boxes and clicks are answered better."
_NOTHING_CARRIED = (
    "How to carry masks from slice to slice was not learned: for that, annotate slices that lie beside each other, in the last volume too."
)
_FEWEST_STEPS = 2
# Of many slices, some are held out once, until so much of the budget is used; then the same learning goes on with all.
_ONE_TURN_SHARE = 0.6
# Many slices are learned from at a higher rate than few, which would be learned by heart.
_RATE_OF_MANY = 1e-3
# Of more slices of one volume some are learned from, spread evenly.
_MOST_SLICES = 96
# Asking about slices held out takes this share of the seconds on top; what it takes beyond that is taken off the last run, up to another.
_ASKING_ON_TOP, _MOST_TAKEN_OFF = 0.2, 0.25
# Without a prompt there is no model as it came to compare with; it is offered if it finds at least this much.
_LEAST_WITHOUT_PROMPT = 0.5
# Boxes and clicks on a held-out slice: where there are few slices, one draw of each would tell little.
_DRAWS_OF_FEW, _DRAWS_OF_MANY = 3, 1
# How often each kind is asked where there are several volumes: what comes of them is runs through the next one.
_SHARES_OF_SEVERAL = {"box": 0.3, "point": 0.25, "both": 0.1, "none": 0.6, "memory": 1.0}


def learn(
    slices: Sequence[AnnotatedSlice],
    *,
    object_name: str = "",
    terminology: str | None = None,
    policy: RegionPolicy | None = None,
    options: LearningOptions | None = None,
    start: Adapter | None = None,
    cancel: CancelToken | None = None,
) -> Generator[Progress, None, LearningOutcome]:
    """Learn an object from slices that a person is done with. Stop by not going on, or by `cancel`; nothing is changed then.

    Args:
        slices: of one or several volumes, all with the same engine; at least two that hold the object, or one without holding out.
        object_name: for the card.
        terminology: the object's code, for the card.
        policy: which part of a slice the model sees; as it will be when the adapter is used.
        options: how long, and what.
        start: what was learned of these volumes but the last one, of two at least. The last one is held out from it, and learning goes on
            with it: all of the budget is for what is new.
        cancel: asked before each step.

    Yields:
        Progress after each slice that is encoded and after each step, in thousandths of all.

    Returns:
        The outcome; its adapter is None if the model as it came was better.

    Raises:
        InputError: if there is too little to learn from.
        EngineError: if the model fails.
        Cancelled: if `cancel` was set.
    """
    policy, options = policy or RegionPolicy(), options or LearningOptions()
    engine = _engine_of(slices)
    present = decided = [one for one in slices if one.holds_object]
    require_enough(len(present), options.hold_out)
    several = any(not same_volume(one, present[0]) for one in present)
    is_whole = several or not _has_open_slices(slices)
    folds = parts_to_hold_out(present, _MOST_FOLDS) if several else []  # of several volumes one as a whole, before any is thinned
    rng = np.random.default_rng([options.seed, len(slices)])
    if several and len(slices) > MOST_SLICES_OF_SEVERAL:
        slices = thinned_volumes(slices, MOST_SLICES_OF_SEVERAL, rng)
    elif not several and len(slices) > _MOST_SLICES:
        slices = thinned(slices, _MOST_SLICES)
    present = [one for one in slices if one.holds_object]
    folds = folds or parts_to_hold_out(present, _MOST_FOLDS)
    lessons: list[tuple[AnnotatedSlice, Lesson]] = []
    size_mm = object_size_mm(present)  # of all: the scale that slices are shown at while learning and after
    school = _School(engine, lessons, options, cancel)
    showings = lessons_of(slices, policy, np.random.default_rng(options.seed))
    for number, showing in enumerate(showings, start=1):
        _ask(cancel)
        lessons += showing()
        yield school.encoded(number, len(showings))
    before: dict[str, float] = {}
    after: dict[str, float] = {}
    serves: tuple[str, ...] = (*PROMPTED_KINDS, "none")
    blend: dict[str, float] = {}
    went_on = False
    if any(lesson.memory for _, lesson in lessons):
        serves = (*serves, "memory")
    if options.hold_out:
        one_turn = len(folds) == 1
        rows_after: list[tuple[str, float]] = []
        pairs: list[PairedScore] = []
        rng = np.random.default_rng(options.seed)
        draws = _DRAWS_OF_MANY if len(present) >= MANY else _DRAWS_OF_FEW
        for number, held in enumerate(folds):
            others = [one for one in slices if all(one is not aside for aside in held)]
            whole = _is_volume(held, decided)
            until = _ONE_TURN_SHARE if one_turn else options.held_out_share * (number + 1) / len(folds)
            if one_turn and start is not None and start.card.volume_count > 1 and whole and same_volume(held[0], decided[-1]):
                tensors, went_on = start.tensors, True
            else:
                tensors, _ = yield from school.run(others, until)
            adapter = Adapter(tensors, _card(engine, others, size_mm, "", None, options, serves))
            taught = engine.with_adapter(adapter)
            asked = asked_about(held)
            if "memory" in serves and (whole or not one_turn):  # one step from a slice beside, of many, decides nothing
                begun = time.perf_counter()
                for score in run_scores(held, others, engine, adapter, policy, lambda: _ask(cancel)):
                    pairs.append(score)
                    yield school.progress("Learning: asking slices held out")
                school.asking_seconds += time.perf_counter() - begun
            for one in asked:
                _ask(cancel)
                begun = time.perf_counter()
                pairs += paired_scores(one, engine, adapter, policy, rng, draws, len(pairs))
                rows_after += scores_of([one], taught, policy, others, ("none",))
                school.asking_seconds += time.perf_counter() - begun
                yield school.progress("Learning: asking slices held out")
        if one_turn:  # what was learned without the slices held out goes on with them
            school.engine = taught
            if "memory" in serves:
                for pair in lessons_of_runs(slices, taught, policy, rng, lambda: _ask(cancel)):
                    lessons.append(pair)
                    yield school.progress("Learning: runs through what was learned from")
        after = mean_by_kind(rows_after)
        shares = {kind: share_for([one for one in pairs if one.kind == kind]) for kind in sorted({one.kind for one in pairs})}
        for kind, share in shares.items():
            asked_for = [one for one in pairs if one.kind == kind]
            before[kind], after[kind] = mean_of(asked_for, NOTHING), mean_of(asked_for, share or HALF)
        serves = _served(after, shares)
        blend = {kind: share for kind, share in shares.items() if kind in serves and share < ALL}
    volumes = len({id(one.encoder.volume) for one in present})
    text = _text(object_name, before, after, serves, blend, len(present))
    if several and "memory" not in (before if options.hold_out else serves):
        text = f"{text} {_NOTHING_CARRIED}"
    if several and len(folds) == 1 and after.get("none", 1.0) < _FOUND_NOTHING:
        text = f"{text} {_ANOTHER_OBJECT}"
    if not serves:
        return LearningOutcome(None, before, after, 0, school.seconds, len(present), volumes, text, went_on)
    tensors, steps = yield from school.run(slices, school.last_until)
    card = _card(engine, slices, size_mm, object_name, terminology, options, serves, before, after, blend)
    in_passes = is_whole or not before or (card.is_clearly_better and (after["box"] >= _RIGHT or not _passes_were_right(decided)))
    adapter = Adapter(tensors, card if in_passes else replace(card, in_passes=False))
    if not in_passes:
        text = f"{text} {_OPEN_SLICES_STAY}"
    return LearningOutcome(adapter, before, after, steps, school.seconds, len(present), volumes, text, went_on)


def _is_volume(held: Sequence[AnnotatedSlice], present: Sequence[AnnotatedSlice]) -> bool:
    """Whether slices are one volume's, all that it has."""
    return {id(one) for one in held} >= {id(one) for one in present if same_volume(one, held[0])} and all(
        same_volume(one, held[0]) for one in held
    )


def _passes_were_right(present: Sequence[AnnotatedSlice]) -> bool:
    """Whether a person accepted most of the slices as they were proposed."""
    return 2 * sum(not one.drawn for one in present) > len(present)


def _has_open_slices(slices: Sequence[AnnotatedSlice]) -> bool:
    """Whether a volume's extent is known, and slices of it are not among these."""
    known = {one.position for one in slices}
    extents = [one.extent for one in slices if one.extent is not None]
    return any(position not in known for extent in extents for position in extent.indices)


def require_enough(count: int, hold_out: bool = True) -> None:
    """Raise InputError unless so many slices that hold the object are enough to learn from."""
    needed = 2 if hold_out else 1
    if count < needed:
        raise InputError(f"Learning takes at least {needed} annotated slices that hold the object, there are {count}. Annotate more.")


def learned(learning: Generator[Progress, None, LearningOutcome], progress: ProgressCallback | None = None) -> LearningOutcome:
    """Learn to the end; `progress` is told on the way."""
    while True:
        try:
            where = next(learning)
        except StopIteration as end:
            return end.value
        if progress is not None:
            progress(where)


class _School:
    """Runs of learning that share one budget, and how far all of it is, encoding before them included.

    Args:
        engine: as it came, or with what the runs to come begin with.
        lessons: of all slices, each with its slice; those that are there when a run begins.
        options: how long, and what.
        cancel: asked before each step.
    """

    def __init__(
        self,
        engine: SegmentationEngine,
        lessons: Sequence[tuple[AnnotatedSlice, Lesson]],
        options: LearningOptions,
        cancel: CancelToken | None,
    ):
        self.engine, self._lessons, self._options, self._cancel = engine, lessons, options, cancel
        self._started, self._trained_seconds, self._steps = time.perf_counter(), 0.0, 0
        self._encoding_share, self._told = 0.0, 0
        self.asking_seconds = 0.0

    @property
    def seconds(self) -> float:
        """Of the clock since it opened."""
        return time.perf_counter() - self._started

    def encoded(self, number: int, count: int) -> Progress:
        """So many slices of all are encoded: where that is, if the others take as long."""
        expected = self.seconds * count / number
        whole = expected + self._options.seconds if self._options.steps is None else count + self._options.steps
        self._encoding_share = (expected if self._options.steps is None else count) / whole
        return self._at(self._encoding_share * number / count, f"Learning: slice {number} of {count} encoded")

    def progress(self, what: str) -> Progress:
        """Where it is, by what is used of the budget."""
        return self._at(self._encoding_share + (1 - self._encoding_share) * self.used, what)

    def _at(self, share: float, what: str) -> Progress:
        """In thousandths of all; never less than was told before."""
        self._told = max(self._told, min(1000, int(1000 * share)))
        return Progress(self._told, 1000, what)

    @property
    def used(self) -> float:
        """Share of the budget."""
        return self._trained_seconds / self._options.seconds if self._options.steps is None else self._steps / self._options.steps

    @property
    def last_until(self) -> float:
        """Share of the budget at which the last run ends: 1, or less where asking took long and seconds are what counts."""
        if self._options.steps is not None:
            return 1.0
        beyond = self.asking_seconds / self._options.seconds - _ASKING_ON_TOP
        return 1.0 - min(_MOST_TAKEN_OFF, max(0.0, beyond))

    def run(self, slices: Sequence[AnnotatedSlice], until: float) -> Generator[Progress, None, tuple[dict[str, np.ndarray], int]]:
        """Learn from these slices until so much of the budget is used; what changed, and the number of steps."""
        wanted = {id(one) for one in slices}
        chosen = [lesson for one, lesson in self._lessons if id(one) in wanted and _remembers_only(one, lesson, slices)]
        several = any(lesson.memory for lesson in chosen)
        rate = _RATE_OF_MANY if len({id(one) for one, _ in self._lessons}) >= MANY else LearningSettings().learning_rate
        shares = _SHARES_OF_SEVERAL if several else LearningSettings().shares
        settings = LearningSettings(self._options.trained, rate, seed=self._options.seed, shares=shares)
        run = self.engine.start_learning(chosen, settings)
        begun, steps = self.used, 0
        while self.used < until - 1e-9 or steps < _FEWEST_STEPS:
            _ask(self._cancel)
            started = time.perf_counter()
            run.step((self.used - begun) / max(until - begun, 1e-9))
            self._trained_seconds += time.perf_counter() - started
            self._steps += 1
            steps += 1
            yield self.progress("Learning")
        return run.tensors(), steps


def _remembers_only(one: AnnotatedSlice, lesson: Lesson, slices: Sequence[AnnotatedSlice]) -> bool:
    """Whether a lesson remembers no slice but these: none that is held out."""
    if not lesson.memory:
        return True
    known = {other.position for other in slices if same_volume(other, one)}
    return all(one.position + memory.position in known for memory in lesson.memory)


def _ask(cancel: CancelToken | None) -> None:
    if cancel is not None:
        cancel.raise_if_cancelled()


def _card(
    engine: SegmentationEngine,
    slices: Sequence[AnnotatedSlice],
    size_mm: float,
    object_name: str,
    terminology: str | None,
    options: LearningOptions,
    serves: tuple[str, ...] = (*PROMPTED_KINDS, "none"),
    before: dict[str, float] | None = None,
    after: dict[str, float] | None = None,
    blend: dict[str, float] | None = None,
) -> AdapterCard:
    present = [one for one in slices if one.holds_object]
    first = present[0].encoder
    return AdapterCard(
        object_name=object_name,
        base_sha256=engine.weights_sha256,
        architecture=engine.architecture,
        trained=options.trained,
        serves=serves,
        blend=blend or {},
        terminology=terminology,
        modality=first.volume.modality,
        window=(float(first.mapping.lower), float(first.mapping.upper)),
        window_name=first.mapping.name,
        plane=first.stack.plane,
        spacing_rc_mm=first.stack.frame_spacing_rc_mm,
        object_size_mm=round(size_mm, 3),
        slice_count=len(slices),
        volume_count=len({id(one.encoder.volume) for one in slices}),
        scores_before={kind: round(value, 4) for kind, value in (before or {}).items()},
        scores_after={kind: round(value, 4) for kind, value in (after or {}).items()},
        created=today(),
        image_size=engine.image_size,
    )


def _served(after: dict[str, float], shares: dict[str, float]) -> tuple[str, ...]:
    """Prompts, and the memory, whose answers take a share of what was learned; without a prompt: where it is found well enough to be
    shown."""
    better = [kind for kind in (*PROMPTED_KINDS, "memory") if shares.get(kind, NOTHING) > NOTHING]
    return (*better, *(["none"] if after["none"] >= _LEAST_WITHOUT_PROMPT else []))


def _text(
    object_name: str, before: dict[str, float], after: dict[str, float], serves: tuple[str, ...], blend: dict[str, float], count: int
) -> str:
    named = f"'{object_name}'" if object_name else "the object"
    if not before:
        return f"Learned {named} from {count} slices; none was held out, so how good it is has not been measured."
    words = {"point": "one click", "box": "a box", "memory": "slice after slice"}
    asked = [(kind, what) for kind, what in words.items() if kind in before]
    figures = "; ".join(f"{what} {before[kind]:.2f} before, {after[kind]:.2f} after{_left(kind, serves, blend)}" for kind, what in asked)
    if not serves:
        return (
            f"Nothing was kept: on slices held out, what was learned of {named} is not better than the model as it came (DSC: {figures})."
        )
    return f"Learned {named} from {count} slices; DSC on slices held out: {figures}; without a prompt {after['none']:.2f}."


def _left(kind: str, serves: tuple[str, ...], blend: dict[str, float]) -> str:
    """What is added where this kind of prompt is left to the model as it came, or half of it."""
    if kind in blend:
        return " (half of each answer is the model's as it came)"
    return "" if kind in serves or not serves else " (left to the model as it came)"


def _engine_of(slices: Sequence[AnnotatedSlice]) -> SegmentationEngine:
    """The one engine of all slices, as it came."""
    if not slices:
        raise InputError("There is nothing to learn from: no slice was given.")
    engines = [one.encoder.engine for one in slices]
    if any(engine.fingerprint != engines[0].fingerprint for engine in engines):
        raise InputError("All slices to learn from must be encoded by the same model with the same settings.")
    return engines[0].with_adapter(None)
