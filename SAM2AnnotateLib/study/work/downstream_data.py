"""The nnU-Net data set of one model of a study: the truth or a scenario's labels to train on, always the truth to test on.

Imports nnunet, volume_io, study.downstream_cases, errors. The data sets of a study differ in the labels of the training cases alone:
images, test cases and folds are the same, so that what differs between two models comes from the labels.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import InputError, OutputError
from ...nnunet import CaseImage, DataSet, DataSetPlan, ExportCase, LabelRule, SplitRule
from ...nnunet.cases.plan import PLAN_FILE, read_plan
from ...nnunet.cases.splits import TEST, TRAIN, make_folds
from ...nnunet.data_sets.data_set import SPLITS_FILE, CaseRecord
from ...nnunet.data_sets.transaction import recover
from ...nnunet.sources import segments_of_labelmap
from ...volume_io import read_volume
from ...yaml_config.names import first_few
from ..records.folder import Study
from ..records.plain_json import sha256_of
from .downstream_cases import LabeledCase, labeled_cases

RAW, PREPROCESSED, RESULTS = "nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"
ENDING = ".nii.gz"
_FOLDS = 5
_CASES_AT_ONCE = 8  # written in one transaction: what a kill loses at most


@dataclass(frozen=True)
class WrittenDataSet:
    """A data set that is complete.

    Args:
        folder: ``DatasetNNN_Name``.
        training_inputs: SHA-256 of all that decides what is trained on.
        training_cases: their ids, sorted.
        test_cases: their ids, sorted.
    """

    folder: Path
    training_inputs: str
    training_cases: tuple[str, ...]
    test_cases: tuple[str, ...]


def data_set_plan(study: Study, name: str) -> DataSetPlan:
    """What the data set of a model holds. Values are numbered anew from 1 without a gap, in the order of the study's values.

    Raises:
        InputError: if the study has no such model, a case has a value without a name, or nnU-Net does not take it.
    """
    config, downstream = study.config, study.config.downstream
    if downstream is None:
        raise InputError("The study's configuration has no section 'downstream', so there are no models to train. Add one.")
    if name not in config.models:
        raise InputError(f"The study has no model '{name}'. It has {', '.join(config.models)}.")
    names = config.data.values
    for case in study.cases:
        if unnamed := sorted(set(case.values) - set(names)):
            raise InputError(
                f"The label value {unnamed[0]} of case '{case.case_id}' is to be learned, but data.values does not name it. Name it there."
            )
    highest = max((fold for fold in downstream.training_options().folds if isinstance(fold, int)), default=0)
    return DataSetPlan(
        number=downstream.data_set_number + config.models.index(name),
        name=_camel_case(f"{config.name}-{name}"),
        channels=(downstream.channel,),
        labels=tuple(LabelRule(n, names[value], (str(value),)) for n, value in enumerate(sorted(names), start=1)),
        file_ending=ENDING,
        split=SplitRule(folds=max(_FOLDS, highest + 1), seed=config.data.split_seed),
    )


def write_data_set(study: Study, name: str, tell: Callable[[str], None] = lambda line: None) -> WrittenDataSet:  # noqa: ARG005
    """Bring a model's data set to what the study says: nothing to do if it is so; after a kill, only what lacks.

    Args:
        name: of the model, see `StudyConfig.models`.
        tell: told of every case that is written.

    Raises:
        InputError: see `labeled_cases`; or if the number is taken by a data set of another name.
        GridMismatchError: if a label map lies beside its image.
        VolumeError: if a file cannot be read.
        OutputError: if it cannot be written.
    """
    plan = data_set_plan(study, name)
    wanted = {one.case.case_id: one for one in labeled_cases(study, name)}
    data_set = _begun(study.folder / "downstream", plan, tell)
    known = data_set.cases()
    kept = {case_id for case_id, record in known.items() if case_id in wanted and _is_as_wanted(data_set, wanted[case_id], record)}
    if len(kept) < len(known):
        tell(f"{plan.folder_name}: {len(known) - len(kept)} cases have changed")
        data_set.remove([case_id for case_id in known if case_id not in kept])
    lacking = [one for case_id, one in wanted.items() if case_id not in kept]
    for start in range(0, len(lacking), _CASES_AT_ONCE):
        data_set.export(_export_cases(lacking[start : start + _CASES_AT_ONCE], tell, plan.folder_name))
    _settle_folds(data_set)
    parts = {part: tuple(case_id for case_id, one in wanted.items() if one.case.part == part) for part in (TRAIN, TEST)}
    trained_on = {case_id: {"patient": wanted[case_id].case.patient, **wanted[case_id].record()} for case_id in parts[TRAIN]}
    inputs = sha256_of({"plan": plan.to_json(), "cases": trained_on})
    return WrittenDataSet(data_set.folder, inputs, parts[TRAIN], parts[TEST])


def remove_folder(folder: Path) -> None:
    """Remove a folder with all that is in it; nothing to do if there is none. Raises OutputError."""
    try:
        if folder.exists():
            shutil.rmtree(folder)
    except OSError as exc:
        raise OutputError(f"Cannot remove '{folder}': {exc.strerror or exc}. Close programs that use it, then try again.") from exc


# -- within -------------------------------------------------------------------------------------------------------------------


def _begun(downstream: Path, plan: DataSetPlan, tell: Callable[[str], None]) -> DataSet:
    """The data set as it is on the disk; empty if it was made with another plan."""
    others = [
        f"{sub}/{path.name}"
        for sub in (RAW, PREPROCESSED, RESULTS)
        for path in sorted((downstream / sub).glob(f"Dataset{plan.number:03d}_*"))
        if path.name != plan.folder_name
    ]
    if others:
        raise InputError(
            f"nnU-Net finds data sets by number, and in '{downstream}' the number {plan.number} of '{plan.folder_name}' is taken by "
            f"{first_few(others)}, from an earlier configuration. Remove it, or change downstream.data_set_number."
        )
    folder = downstream / RAW / plan.folder_name
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise OutputError(f"Cannot make '{folder.parent}': {exc.strerror}.") from exc
    recover(folder)
    # Without a plan it is the rest of a removal that was interrupted.
    if folder.exists() and not ((folder / PLAN_FILE).is_file() and read_plan(folder / PLAN_FILE) == plan):
        tell(f"{plan.folder_name}: labels, channel or folds are others now; made anew")
        remove_folder(folder)
    return DataSet.create(folder.parent, plan)


def _is_as_wanted(data_set: DataSet, wanted: LabeledCase, record: CaseRecord) -> bool:
    """Whether a case in the data set was made from the very files that it is to be made from, for the same patient and part."""
    case = wanted.case
    return (record.patient, record.part) == (case.patient, case.part) and data_set.provenance(case.case_id).get("study") == wanted.record()


def _export_cases(cases: Sequence[LabeledCase], tell: Callable[[str], None], folder_name: str) -> Iterator[ExportCase]:
    for one in cases:
        case = one.case
        tell(f"{folder_name}: writing {case.case_id}")
        image, labels = read_volume(case.image), read_volume(one.labels)
        segments = segments_of_labelmap(labels, {}, str(one.labels))
        yield ExportCase(
            case_id=case.case_id,
            images=(CaseImage(image, str(case.image)),),
            segments=tuple(segment for segment in segments if int(segment.name) in case.values),
            patient_id=case.patient,
            segments_source=str(one.labels),
            provenance={"study": one.record()},
            part=case.part,
        )


def _settle_folds(data_set: DataSet) -> None:
    """Give a data set the folds that its training cases have when they are shared out at once.

    A data set keeps the folds of cases that were there before, so they tell of the order in which cases came; here all data sets must
    have the same.
    """
    training = {case_id: record.patient for case_id, record in data_set.cases().items() if record.part == TRAIN}
    split = data_set.plan.split
    if data_set.splits() != make_folds(training, (), split.folds, split.seed):
        try:
            (data_set.folder / SPLITS_FILE).unlink(missing_ok=True)
        except OSError as exc:
            raise OutputError(f"Cannot replace '{data_set.folder / SPLITS_FILE}': {exc.strerror}.") from exc
        data_set.remove(())  # takes out nothing, and writes the folds anew


def _camel_case(text: str) -> str:
    """``mini-hippocampus-low`` as ``MiniHippocampusLow``: a name that nnU-Net takes."""
    return "".join(word[0].upper() + word[1:] for word in re.findall(r"[A-Za-z0-9]+", text))
