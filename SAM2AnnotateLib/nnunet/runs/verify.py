"""Check a data set: by nnU-Net's own integrity check in its process, and what that does not look at. Imports the room, volume_io."""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import InputError, SAM2AnnotateError
from ...leftovers import temporary_folder
from ...optional_imports import import_for
from ...progress import CancelToken
from ..cases.splits import TRAIN
from ..data_sets.data_set import DATASET_FILE, CaseRecord, DataSet
from ..data_sets.records import dataset_json
from .folders import NnunetFolders, read_json_file
from .process import NnunetCall, NnunetRunner

_LIBRARY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Verification:
    """What the checks found.

    Args:
        problems: one sentence each; empty if all is well.
        training: number of training cases.
        test: number of test cases.
        nnunet_says: what nnU-Net's check printed; empty if it was not run.
    """

    problems: tuple[str, ...]
    training: int
    test: int
    nnunet_says: str = ""


def verify(data_set: DataSet, processes: int = 2, runner: NnunetRunner | None = None, cancel: CancelToken | None = None) -> Verification:
    """Run our own checks and then nnU-Net's `verify_dataset_integrity`.

    Args:
        data_set: opened.
        processes: of nnU-Net's check.
        runner: how nnU-Net is run; by default in this interpreter.

    Raises:
        MissingPackageError: if nnunetv2 is not installed.
        InputError: if there is no training case.
        WorkerError, Cancelled: see `NnunetRunner.run`.
    """
    found = verify_files(data_set)
    if not found.training:
        raise InputError(f"'{data_set.folder}' has no training case yet, so there is nothing for nnU-Net to check.")
    runner = runner or NnunetRunner((sys.executable,))
    # nnU-Net's process finds this library however it is installed; Slicer keeps it beside the module.
    path = os.pathsep.join(filter(None, (str(_LIBRARY.parent), os.environ.get("PYTHONPATH"))))
    runner = NnunetRunner(runner.python, runner.processes, {**runner.environment, "PYTHONPATH": path})
    arguments = (str(data_set.folder), str(processes))
    call = NnunetCall("SAM2AnnotateLib.nnunet.runs.verify_entry", "main", arguments, "nnU-Net's integrity check")
    lines: list[str] = []
    with temporary_folder("verify") as folder:
        here = Path(folder)
        folders = NnunetFolders(data_set.folder.parent, here / "preprocessed", here / "results", data_set.folder.name)
        runner.run(call, folders, here / "verify.log", lines.append, cancel)
    verdict = next((json.loads(line[len("verdict ") :]) for line in lines if line.startswith("verdict ")), None)
    says = "\n".join(line for line in lines if not line.startswith("verdict "))
    refused = () if verdict == "" else (f"nnU-Net's check: {' '.join(str(verdict).split())}",)
    warned = tuple(f"nnU-Net warns: {line.strip()}" for line in lines if re.match(r"\s*Warning: (Affine|Origin|Direction)", line))
    return Verification((*found.problems, *refused, *warned), found.training, found.test, says)


def verify_files(data_set: DataSet) -> Verification:
    """Our own checks, without nnU-Net: every file is there and no other; image and label share their geometry to the last digit; labels
    hold values of the plan only; dataset.json, folds and provenance say what is there."""
    records = data_set.cases()
    problems = _file_problems(data_set, records)
    for record in records.values():
        try:
            problems += _case_problems(data_set, record)
        except (SAM2AnnotateError, RuntimeError) as exc:
            problems.append(f"{record.case_id}: {exc}")
    problems += _split_problems(data_set, records)
    training = sum(record.part == TRAIN for record in records.values())
    return Verification(tuple(problems), training, len(records) - training)


def _file_problems(data_set: DataSet, records: dict[str, CaseRecord]) -> list[str]:
    expected = {name for record in records.values() for names, label in [data_set.files_of(record)] for name in (*names, label)}
    folders = ("imagesTr", "labelsTr", "imagesTs", "labelsTs")
    found = {f"{folder}/{path.name}" for folder in folders for path in (data_set.folder / folder).glob("*")}
    problems = [f"'{name}' is missing" for name in sorted(expected - found)]
    problems += [f"'{name}' belongs to no case" for name in sorted(found - expected)]
    training = sum(record.part == TRAIN for record in records.values())
    try:
        stated = read_json_file(data_set.folder / DATASET_FILE, "the data set's description")
    except InputError as exc:
        return [*problems, str(exc)]
    for key, value in dataset_json(data_set.plan, training).items():
        if key != "converted_by" and stated.get(key) != value:
            problems.append(f"'{DATASET_FILE}' says {stated.get(key)} for '{key}', it should be {value}")
    return problems


def _case_problems(data_set: DataSet, record: CaseRecord) -> list[str]:
    sitk = import_for("Reading volumes", "SimpleITK", "pip install SimpleITK")
    names, label_name = data_set.files_of(record)
    if not all((data_set.folder / name).is_file() for name in (*names, label_name)):
        return []  # told already
    labels = sitk.ReadImage(str(data_set.folder / label_name))
    problems = []
    for name in names:
        image = sitk.ImageFileReader()
        image.SetFileName(str(data_set.folder / name))
        image.ReadImageInformation()
        for what in ("Size", "Spacing", "Origin", "Direction"):
            if getattr(image, f"Get{what}")() != getattr(labels, f"Get{what}")():
                problems.append(f"{record.case_id}: '{name}' and its labels differ in {what.lower()}")
    plan = data_set.plan
    known = {0, *(rule.value for rule in plan.labels)} | ({plan.ignore_value} if plan.ignore else set())
    foreign = [int(value) for value in np.unique(sitk.GetArrayFromImage(labels)) if int(value) not in known]
    return problems + [f"{record.case_id}: the labels hold {foreign}, which the plan does not know"] * bool(foreign)


def _split_problems(data_set: DataSet, records: dict[str, CaseRecord]) -> list[str]:
    training = {record.case_id for record in records.values() if record.part == TRAIN}
    problems = []
    seen: list[str] = []
    for number, fold in enumerate(data_set.splits()):
        train, val = set(fold["train"]), set(fold["val"])
        seen += fold["val"]
        if train | val != training or train & val:
            problems.append(f"fold {number} does not hold each training case once")
        shared = {records[case].patient for case in train & records.keys()} & {records[case].patient for case in val & records.keys()}
        problems += [f"fold {number} has cases of patient '{patient}' in training and in validation" for patient in sorted(shared)]
    if seen and sorted(seen) != sorted(training):
        problems.append("the folds together do not validate each training case once")
    parts = {(record.patient, record.part) for record in records.values()}
    problems += [
        f"patient '{patient}' has training and test cases"
        for patient, part in sorted(parts)
        if part == TRAIN and (patient, "test") in parts
    ]
    return problems
