"""The labels that a model of a study is given for each case. Imports study.cases, study.folder and errors."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ...errors import InputError
from ...yaml_config.names import first_few
from ..configuration.config_calibration import REFERENCE
from ..records.cases import StudyCase
from ..records.folder import Study

TRUTH = "truth"


@dataclass(frozen=True)
class LabeledCase:
    """A case with the labels that a model is given for it.

    Args:
        case: of the study.
        labels: the label map; its values are the study's.
        origin: `TRUTH`, or the unit that made the label map.
        image_sha256: of the image's file.
        labels_sha256: of the label map's file.
    """

    case: StudyCase
    labels: Path
    origin: str
    image_sha256: str
    labels_sha256: str

    def record(self) -> dict:
        """What decides the files of this case in the data set; kept in its provenance."""
        return {
            "labels": self.origin,
            "image_sha256": self.image_sha256,
            "labels_sha256": self.labels_sha256,
            "values": sorted(self.case.values),
        }


def labeled_cases(study: Study, name: str) -> tuple[LabeledCase, ...]:
    """The cases of a model's data set, training and test, by id.

    Raises:
        InputError: if the study has no such model, a training case of the scenario is not finished, or its label map is not the one that
            was written when it was.
    """
    unit = f"scenarios/{name}"
    unfinished = [] if name == REFERENCE else [case.case_id for case in study.training_cases if study.result(unit, case.case_id) is None]
    if unfinished:
        raise InputError(
            f"The labels of the scenario '{name}' are not there for {first_few(unfinished)} of {len(study.training_cases)} training cases. "
            "Run the study's stage 'scenarios' first: sam2annotate study run."
        )
    found = [_with_truth(study, case) for case in study.test_cases]
    if name == REFERENCE:
        found += [_with_truth(study, case) for case in study.training_cases]
    else:
        found += [_with_scenario(study, unit, case) for case in study.training_cases]
    return tuple(sorted(found, key=lambda one: one.case.case_id))


def _with_truth(study: Study, case: StudyCase) -> LabeledCase:
    return LabeledCase(case, case.labels, TRUTH, study.file_digest(case.image), study.file_digest(case.labels))


def _with_scenario(study: Study, unit: str, case: StudyCase) -> LabeledCase:
    """The label map of a finished unit, found to be the one that the unit wrote."""
    written = (study.result(unit, case.case_id) or {})["labels"]
    path = study.unit_file(unit, case.case_id).with_name(written["file"])
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as exc:
        raise InputError(f"Cannot read the label map '{path}': {exc.strerror}. {_do_again(study, unit, case)}") from exc
    if found != written["sha256"]:
        raise InputError(
            f"The label map '{path}' is not the one that was written with the result: expected SHA-256 {written['sha256'][:12]}..., got "
            f"{found[:12]}.... {_do_again(study, unit, case)}"
        )
    return LabeledCase(case, path, unit, study.file_digest(case.image), found)


def _do_again(study: Study, unit: str, case: StudyCase) -> str:
    return f"Remove '{study.unit_file(unit, case.case_id).name}' beside it and run the study again: both are then made anew."
