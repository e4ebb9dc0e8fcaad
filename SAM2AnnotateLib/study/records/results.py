"""StudyResults: all that a study has found so far, as plain values. Made by `result_reader`. Imports simulation and nnunet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ...nnunet.scores.evaluation import Evaluation
from ...simulation.effort import Effort
from .calibration import Calibration


class ObjectKey(NamedTuple):
    """Which object; keys sort by case, label value and size.

    Args:
        case: name.
        label: value in the label map.
        instance: 1 for the largest object of this value.
        name: of the label value.
    """

    case: str
    label: int
    instance: int
    name: str


@dataclass(frozen=True)
class PromptScore:
    """What one kind of prompt gave for one object; NaN where nothing can be scored.

    Args:
        key: the object.
        prompt: kind.
        center_dsc, center_nsd: on the prompted slice, 0..1.
        volume_dsc, volume_nsd: of the whole object, 0..1.
        salient_slices: how many slices are salient (study D).
        salient_dsc, salient_nsd: mean over these slices, 0..1.
        rounds: DSC on the prompted slice after click 1, 2, ... (a box before the clicks is the first round); else empty.
    """

    key: ObjectKey
    prompt: str
    center_dsc: float
    center_nsd: float
    volume_dsc: float
    volume_nsd: float
    salient_slices: int
    salient_dsc: float
    salient_nsd: float
    rounds: tuple[float, ...]


class ForeseenSlice(NamedTuple):
    """A slice of which a DSC was expected when it was looked at.

    Args:
        expected, low, high: as of `review.expected_dsc.Expectation`.
        dsc: of the mask, 0..1.
        corrected: whether the annotator corrected it.
        seen: whether it was looked at; else it was accepted together with others.
    """

    expected: float
    low: float
    high: float
    dsc: float
    corrected: bool
    seen: bool


@dataclass(frozen=True)
class Annotation:
    """One object, annotated by a workflow with an acceptance rule.

    Args:
        key: the object.
        slices: slices that the workflow labeled.
        corrected: how many of them the annotator changed or drew.
        truth_pixels: of the object on these slices.
        effort: what it cost.
        manual: what drawing every slice of the object by hand would cost.
        dsc, nsd: of the finished object in 3-D, 0..1.
        foreseen: slices of which a DSC was expected.
    """

    key: ObjectKey
    slices: int
    corrected: int
    truth_pixels: int
    effort: Effort
    manual: Effort
    dsc: float
    nsd: float
    foreseen: tuple[ForeseenSlice, ...] = ()


@dataclass(frozen=True)
class WorstFirst:
    """One object whose worst slice was drawn again and again, by a workflow.

    Args:
        key: the object.
        voxels: of the truth.
        steps: the beginning and what each drawn slice led to: (slices drawn so far, pixels changed for it, 3-D DSC).
    """

    key: ObjectKey
    voxels: int
    steps: tuple[tuple[int, int, float], ...]


@dataclass(frozen=True)
class PromptGain:
    """What prompts gave on the slices of one object that were not annotated, after learning in one way.

    Args:
        key: the object.
        setting: name of the way; `AS_IT_CAME` for the model without learning.
        taught: slices that were learned from.
        slices: that were asked about.
        points: mean DSC with up to 1, 2, ... points.
        box, both: with a box, and with a box and points; the best round counts.
        kept: whether what was learned was kept.
    """

    key: ObjectKey
    setting: str
    taught: int
    slices: int
    points: tuple[float, ...]
    box: float
    both: float
    kept: bool


@dataclass(frozen=True)
class AutoScore:
    """What a method gave for the slices of one object that nobody annotated; see `simulated_learning.unprompted.UnpromptedScores`."""

    key: ObjectKey
    method: str
    taught: int
    slices: int
    dsc: float
    found: float
    absent: int
    absent_told: float


@dataclass(frozen=True)
class PrototypeScore:
    """How one object was found in one way; see `simulated_learning.one_prompt.VolumeProposal`. Ends are NaN where they were given."""

    key: ObjectKey
    way: str
    found: bool
    dsc: float
    jaccard: float
    first_error: float
    last_error: float
    prompts: int


@dataclass(frozen=True)
class OpenSlices:
    """The open slices of an object when something was learned; see `simulated_learning.one_volume.LearningMoment`."""

    corrections: int
    open_slices: int
    memory_dsc: float
    learned_dsc: float
    memory_accepted: float
    learned_accepted: float
    kept: bool


@dataclass(frozen=True)
class LearningVolume:
    """One object by an annotator who never learns, and by one who does.

    Args:
        key: the object.
        series: case that its series begins with; empty for a volume of its own.
        number: of the volume in its series, from 1; 0 for a volume of its own.
        slices: of the object.
        never, learning: slices corrected by either.
        never_seconds, learning_seconds: that it cost, by the study's seconds for gestures.
        moments: when something was learned inside this volume.
        adapter: SHA-256 of what had been learned before a volume of a series; empty if nothing.
    """

    key: ObjectKey
    series: str
    number: int
    slices: int
    never: int
    learning: int
    never_seconds: float
    learning_seconds: float
    moments: tuple[OpenSlices, ...] = ()
    adapter: str = ""


@dataclass(frozen=True)
class LearningResults:
    """What was found by the units in which the model learns, each part empty if the study has none of it."""

    gains: tuple[PromptGain, ...] = ()
    auto: tuple[AutoScore, ...] = ()
    prototypes: tuple[PrototypeScore, ...] = ()
    one_volume: tuple[LearningVolume, ...] = ()
    series: tuple[LearningVolume, ...] = ()


@dataclass(frozen=True)
class CrowdScore:
    """What one way made of a crowd's boxes of one object.

    Args:
        key: the object.
        people: answers for each slice.
        every: each n-th slice was asked.
        missing: `config_crowd.NONE_MISSING`, or how boxes were missing.
        way: one of `config_crowd.CROWD_WAYS`.
        boxes: that were drawn; the same for all ways.
        slice_dsc: mean over the slices that show the object.
        volume_dsc: of the volume, over all slices from the first to the last that was asked.
    """

    key: ObjectKey
    people: int
    every: int
    missing: str
    way: str
    boxes: int
    slice_dsc: float
    volume_dsc: float


@dataclass(frozen=True)
class CrowdFoundOut:
    """Who was told of in many crowds; see `crowd.simulated.finding.FoundOut`.

    Args:
        wanted: answers of each person, about.
        gold: whether there were known answers.
        per_slice: answers for each slice.
    """

    wanted: int
    gold: bool
    per_slice: int
    answers: int
    bad: int
    found: int
    good: int
    accused: int


@dataclass(frozen=True)
class CrowdResults:
    """What was found with simulated crowds; each part empty if the study has none of it."""

    scores: tuple[CrowdScore, ...] = ()
    found_out: tuple[CrowdFoundOut, ...] = ()


@dataclass(frozen=True)
class UnitProgress:
    """How far a unit of work is, over all its cases."""

    unit: str
    finished: int
    total: int


@dataclass(frozen=True)
class ModelUnit:
    """A trained model of the study.

    Args:
        name: ``reference`` or that of a scenario.
        cases_train: cases that it was trained on.
        cases_test: cases that it was tested on.
        train_seconds: of all attempts together.
        predict_seconds: for all test cases.
    """

    name: str
    cases_train: int
    cases_test: int
    train_seconds: float
    predict_seconds: float


@dataclass(frozen=True)
class StudyResults:
    """All results there are; a stage that has not begun is empty.

    Args:
        prompts: object by object.
        scenarios: annotations by scenario, in the order of effort; only scenarios with a finished case.
        comparison: annotations by workflow and index of the acceptance rule, likewise.
        worst_first: objects whose worst slice was drawn again and again, by workflow.
        calibration: thresholds and curves, or None.
        models: test scores of the models that were trained, in the order of `model_units`.
        model_units: the models that were trained.
        progress: of every unit of the study.
        versions: of this library, by which units were made.
        events: lines of the log, in their order.
        damaged_log_lines: lines that cannot be read.
        learning: of the units in which the model learns.
        crowd: of the units in which a crowd draws boxes.
    """

    prompts: tuple[PromptScore, ...]
    scenarios: Mapping[str, tuple[Annotation, ...]]
    comparison: Mapping[tuple[str, int], tuple[Annotation, ...]]
    worst_first: Mapping[str, tuple[WorstFirst, ...]]
    calibration: Calibration | None
    models: tuple[Evaluation, ...]
    model_units: tuple[ModelUnit, ...]
    progress: tuple[UnitProgress, ...]
    versions: tuple[str, ...]
    events: tuple[Mapping[str, Any], ...]
    damaged_log_lines: int
    learning: LearningResults = LearningResults()
    crowd: CrowdResults = CrowdResults()

    def progress_of(self, stage: str) -> tuple[UnitProgress, ...]:
        """The units of a stage: ``scenarios`` gives those of all scenarios."""
        return tuple(one for one in self.progress if one.unit.split("/")[0] == stage)
