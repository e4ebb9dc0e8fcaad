"""Share patients out: training and test, and folds. Never parts the cases of one patient. Imports file_names, json_input, errors.

A patient who has a part or a fold keeps it when others come, so a test set is never trained on. Newcomers are ordered by a hash of seed
and id, which is a shuffle that does not depend on who else is there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ...errors import InputError
from ...file_names import is_plain_name
from ...json_input import Fields, read_json

AUTO, TRAIN, TEST = "auto", "train", "test"


def share_out(newcomers: Iterable[str], known: Mapping[str, str], test_share: float, seed: int) -> dict[str, str]:
    """Part of each newcomer: to test as long as less than the share of all patients is there.

    Args:
        newcomers: patients without a part.
        known: part by patient.
        test_share: wanted share of patients in the test set; half a patient is rounded down.
        seed: of the shuffle.
    """
    newcomers = [patient for patient in shuffled(newcomers, seed) if patient not in known]
    wanted = int((len(known) + len(newcomers)) * test_share + 1e-9) - sum(part == TEST for part in known.values())
    wanted = min(max(wanted, 0), len(newcomers))
    return {patient: TEST if n < wanted else TRAIN for n, patient in enumerate(newcomers)}


def make_folds(
    cases: Mapping[str, str], previous: Sequence[Mapping[str, Sequence[str]]], folds: int, seed: int
) -> list[dict[str, list[str]]]:
    """nnU-Net's ``splits_final.json``: for each fold the training and the validation cases.

    Args:
        cases: patient by case, training cases only.
        previous: the splits so far; kept for patients who are in them, if there are as many folds.
        folds: wanted number; fewer if there are fewer patients.
        seed: of the shuffle.

    Returns:
        The folds; empty if there are fewer than two patients.
    """
    patients = sorted(set(cases.values()))
    count = min(folds, len(patients))
    if count < 2:
        return []
    by_patient = {patient: [case for case in cases if cases[case] == patient] for patient in patients}
    fold_of: dict[str, int] = {}
    if len(previous) == count:
        fold_of = {cases[case]: n for n, fold in enumerate(previous) for case in fold["val"] if case in cases}
    sizes = [sum(len(by_patient[patient]) for patient, fold in fold_of.items() if fold == n) for n in range(count)]
    for patient in shuffled((patient for patient in patients if patient not in fold_of), seed):
        smallest = sizes.index(min(sizes))
        fold_of[patient] = smallest
        sizes[smallest] += len(by_patient[patient])
    if 0 in sizes:  # patients were removed, and a fold without a case can be trained for nothing
        return make_folds(cases, (), folds, seed)
    return [
        {
            "train": sorted(case for case, patient in cases.items() if fold_of[patient] != n),
            "val": sorted(case for case, patient in cases.items() if fold_of[patient] == n),
        }
        for n in range(count)
    ]


def read_folds(path: Path) -> list[dict[str, list[str]]]:
    """The folds of a ``splits_final.json``. nnU-Net makes names of files of the cases, so each must be a plain one.

    Raises:
        InputError: if it is missing or no such file.
    """
    content = read_json(path, "the folds")
    if not isinstance(content, list):
        raise InputError(f"The folds '{path}' should be a list with a train and a val list for each fold.")
    folds = [Fields(fold, f"the folds '{path}', fold {number}") for number, fold in enumerate(content)]
    found = [{part: fold.texts(part) for part in ("train", "val")} for fold in folds]
    strange = next((case for fold in found for cases in fold.values() for case in cases if not is_plain_name(case)), None)
    if strange is not None:
        raise InputError(f"The folds '{path}' name the case {strange[:80]!r}, which cannot name a file.")
    return found


def shuffled(patients: Iterable[str], seed: int) -> list[str]:
    """The patients, each once, in an order that seed and ids alone decide."""
    return sorted(set(patients), key=lambda patient: hashlib.sha256(f"{seed}|{patient}".encode()).digest())
