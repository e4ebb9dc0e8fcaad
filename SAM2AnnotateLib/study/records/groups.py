"""Cases that one unit looks at together: series, and prototypes with what they are tried on. Imports the configuration and cases."""

from __future__ import annotations

from collections.abc import Sequence

from ...nnunet.cases.splits import shuffled
from ..configuration.config import StudyConfig
from .cases import StudyCase


def series_of(config: StudyConfig, cases: Sequence[StudyCase]) -> dict[str, tuple[str, ...]]:
    """Ids of the cases of each series in the order in which they are annotated, by the id of the first, which stands for the series.

    Patients are drawn by the study's seed, each into one series with its first case; what is left over at the end makes none.
    """
    assert config.corrections_saved is not None
    length, ids = config.corrections_saved.volumes, _one_a_patient(config, cases)
    groups = [ids[start : start + length] for start in range(0, len(ids) - length + 1, length)] if length else []
    return {group[0]: tuple(group) for group in groups}


def prototype_cases(config: StudyConfig, cases: Sequence[StudyCase]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Ids of the cases that become prototypes, drawn by the study's seed, and of those that they are tried on: of other patients."""
    assert config.prototypes is not None
    chosen = _one_a_patient(config, cases)[: config.prototypes.volumes]
    patients = {case.patient for case in cases if case.case_id in chosen}
    return tuple(chosen), tuple(case.case_id for case in cases if case.patient not in patients)


def _one_a_patient(config: StudyConfig, cases: Sequence[StudyCase]) -> list[str]:
    first: dict[str, str] = {}
    for case in cases:
        first.setdefault(case.patient, case.case_id)
    return [first[patient] for patient in shuffled(first, config.seed)]
