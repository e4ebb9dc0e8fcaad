"""LearningWork: the units of a study in which the model learns. Imports simulated_learning, adaptation, simulation, records, geometry.

It works on the objects of a case as `CaseWork` has read them; a series reads its other cases by `CaseWork` too.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from ...adaptation import LearningOutcome
from ...prototypes import Prototype
from ...simulated_learning import SeriesCase, annotate_series, annotate_with_learning
from ...simulated_learning.few_slices import PromptGains, learned_from_few, prompt_gains, spread_slices
from ...simulated_learning.one_prompt import VolumeProposal, learned_from_volumes, prompted, proposed, prototypes_of
from ...simulated_learning.unprompted import prompter_of, unprompted_scores
from ...simulation.effort import Effort
from ...simulation.simulate import SimulatedObject
from ..configuration.config import StudyConfig
from ..configuration.config_learning import AS_IT_CAME
from ..records.plain_json import plain, sha256_of
from ..records.results import OpenSlices


@dataclass(frozen=True, eq=False)
class WorkObject:
    """An object of a case, ready for the annotator.

    Args:
        key: label, name, instance and voxels, as results tell them.
        case: the object on its volume.
        axis, window: of the case.
    """

    key: dict[str, Any]
    case: SeriesCase
    axis: str
    window: str


class LearningWork:
    """The units of `config_learning` on one case.

    Args:
        config: of the study.
        objects: of the case.
        objects_of: the objects of another case, by its id.
        place: the study's folder; what was learned in it once is learned for all cases of a process.
    """

    def __init__(self, config: StudyConfig, objects: Sequence[WorkObject], objects_of: Callable[[str], Sequence[WorkObject]], place: str):
        self._config, self._objects, self._objects_of, self._place = config, objects, objects_of, place

    def prompt_learning(self, name: str) -> dict[str, Any]:
        """What prompts give after learning in the way of this name."""
        return {"objects": [{**one.key, **self._prompt_learning(one.case, name)} for one in self._objects]}

    def one_volume(self) -> dict[str, Any]:
        """The annotator who learns after some corrections, and the one who never does."""
        return {"objects": [{**one.key, **self._one_volume(one.case)} for one in self._objects]}

    def series(self, case_ids: Sequence[str]) -> dict[str, Any]:
        """The annotator who learns after each volume, and the one who never does; a series for each label value.

        Of several objects of one value the largest of each case is taken, and a case without the value is passed over.
        """
        objects = [one for case_id in case_ids for one in _largest(self._objects_of(case_id))]
        found = []
        for label in sorted({one.key["label"] for one in objects}):
            taken = [one for one in objects if one.key["label"] == label]
            found.append({**taken[0].key, "volumes": self._series([one.case for one in taken], taken[0].key["name"])})
        return {"objects": found}

    def auto_prompts(self, method: str) -> dict[str, Any]:
        """Slices that nobody annotated, by a method of this name."""
        return {"objects": [{**one.key, **self._auto_prompts(one.case, method)} for one in self._objects]}

    def prototypes(self, way: str, prototype_ids: Sequence[str]) -> dict[str, Any]:
        """The objects of the case by a prompt of their own, or by prototypes of other cases; of each label value the largest.

        A label value that none of those cases has is passed over.
        """
        found = []
        for one in _largest(self._objects):
            outcome = self._by_prototypes(one, way, prototype_ids)
            if outcome is not None:
                found.append({**one.key, **plain(outcome)})
        return {"objects": found}

    # -- one object --------------------------------------------------------------------------------------------------------------

    def _prompt_learning(self, case: SeriesCase, name: str) -> dict[str, Any]:
        config, roi = self._config.prompt_learning, self._config.workflow.roi
        assert config is not None
        taught, asked = spread_slices(case, config.slices)
        if name == AS_IT_CAME:
            return {"gains": _gains_json(prompt_gains(case, None, asked, roi, config.clicks))}
        setting = config.setting(name)
        outcome = learned_from_few(case, taught[setting.slices], roi, setting.options)
        return {
            "gains": _gains_json(prompt_gains(case, outcome, asked, roi, config.clicks)),
            "taught": len(taught[setting.slices]),
            "learning": _outcome_json(outcome),
        }

    def _auto_prompts(self, case: SeriesCase, method: str) -> dict[str, Any]:
        config, roi = self._config.auto_prompts, self._config.workflow.roi
        assert config is not None
        taught, asked = spread_slices(case, (config.slices,))
        scores = unprompted_scores(case, prompter_of(method, roi), taught[config.slices], asked, roi)
        return {"taught": len(taught[config.slices]), "scores": plain(scores)}

    def _by_prototypes(self, one: WorkObject, way: str, prototype_ids: Sequence[str]) -> VolumeProposal | None:
        config, workflow = self._config.prototypes, self._config.workflow
        assert config is not None
        if way == "prompt_each":
            return prompted(one.case, workflow)
        label, name = one.key["label"], one.key["name"]

        def made() -> list[Prototype]:
            others = [other for case_id in prototype_ids for other in _largest(self._objects_of(case_id)) if other.key["label"] == label]
            cases = [other.case for other in others]
            adapter = None
            if way == "prototype_learned" and cases:
                adapter = learned_from_volumes(cases, name, workflow.roi, config.options)
            return [
                prototype
                for other in others
                for prototype in prototypes_of([other.case], _plain_name(name), other.axis, other.window, adapter)
            ]

        key = sha256_of([self._place, way, label, list(prototype_ids), config, self._config.model])
        prototypes = made_once(key, made)
        return proposed(one.case, prototypes, workflow.roi) if prototypes else None

    def _one_volume(self, case: SeriesCase) -> dict[str, Any]:
        config = self._config.corrections_saved
        assert config is not None
        found: dict[str, Any] = {"slices": len(case.memory.truth.extent)}
        for arm, options in (("never", None), ("learning", config.options)):
            done = annotate_with_learning(case, self._config.workflow, config.rule, options, config.learn_after)
            case.bench.engine.forget()
            found[arm] = {"corrected": done.corrected, "effort": _effort_json(done.reader.effort.total)}
            if options is not None:
                found["moments"] = [{one.name: getattr(moment, one.name) for one in fields(OpenSlices)} for moment in done.moments]
        return found

    def _series(self, cases: Sequence[SeriesCase], object_name: str) -> list[dict[str, Any]]:
        config = self._config.corrections_saved
        assert config is not None
        rows: list[dict[str, Any]] = [{"case": case.name, "slices": len(case.memory.truth.extent)} for case in cases]
        for arm, options in (("never", None), ("learning", config.options)):
            for row, volume in zip(
                rows, annotate_series(cases, self._config.workflow, config.rule, options, object_name=object_name), strict=True
            ):
                row[arm] = _annotated_json(volume.done)
                if options is not None:
                    row["adapter_sha256"] = None if volume.adapter is None else volume.adapter.sha256
                    row["lesson"] = None if volume.lesson is None else _outcome_json(volume.lesson)
        return rows


_Made = TypeVar("_Made")
_KEPT: OrderedDict[str, Any] = OrderedDict()
_MOST_KEPT = 8


def made_once(key: str, make: Callable[[], _Made]) -> _Made:
    """What `make` gives, made once a process: prototypes serve all cases that they are tried on. The last few are kept."""
    if key not in _KEPT:
        _KEPT[key] = make()
        while len(_KEPT) > _MOST_KEPT:
            _KEPT.popitem(last=False)
    return _KEPT[key]


def _largest(objects: Sequence[WorkObject]) -> list[WorkObject]:
    """Of each label value the first, which is the largest."""
    found: dict[int, WorkObject] = {}
    for one in objects:
        found.setdefault(one.key["label"], one)
    return list(found.values())


def _plain_name(name: str) -> str:
    """The name of a label value as a prototype may have it, which names a folder."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_-") or "object"


def _annotated_json(done: SimulatedObject) -> dict[str, Any]:
    scores = [one.score.dsc for one in done.slices if one.score.dsc == one.score.dsc]  # NaN: neither mask nor truth has a pixel
    mean = round(sum(scores) / len(scores), 6) if scores else None
    return {"corrected": done.corrected, "dsc": mean, "effort": _effort_json(done.effort)}


def _gains_json(gains: PromptGains) -> dict[str, Any]:
    return plain(asdict(gains))


def _outcome_json(outcome: LearningOutcome) -> dict[str, Any]:
    """What came of learning; without the clock, which is no result."""
    return {
        "kept": outcome.adapter is not None,
        "serves": [] if outcome.adapter is None else list(outcome.adapter.card.serves),
        "before": {kind: round(value, 6) for kind, value in outcome.before.items()},
        "after": {kind: round(value, 6) for kind, value in outcome.after.items()},
        "steps": outcome.steps,
        "slices": outcome.slices,
        "seconds": round(outcome.seconds, 3),
    }


def _effort_json(effort: Effort) -> dict[str, float]:
    return {name: round(value, 3) for name, value in asdict(effort).items()}
