"""The nnU-Nets of a study: trained on the truth or on a scenario's labels, tested on the truth. Imports nnunet and the study's files.

Called again after a kill, every step goes on where it was: the data set is completed, training continues from its last checkpoint.
A model whose data or options have changed since it was begun is thrown away and trained anew.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ...atomic_files import write_text_atomically
from ...errors import InputError, OutputError
from ...nnunet.runs.folders import NnunetFolders, read_json_file
from ...nnunet.runs.prediction import predict
from ...nnunet.runs.process import NnunetRunner
from ...nnunet.runs.training import TrainingEvent, train
from ...nnunet.runs.training_options import TrainingOptions
from ...nnunet.scores.evaluation import Evaluation, evaluate_folder, read_labels
from ...nnunet.scores.evaluation_tables import read_scores_csv, write_scores_csv
from ...progress import CancelToken
from ...yaml_config.names import first_few
from ..records.folder import Study
from ..records.plain_json import sha256_of
from .downstream_data import ENDING, data_set_plan, remove_folder, write_data_set

SCORES_FILE = "downstream/scores.csv"
_RECORD = "sam2annotate_study.json"  # beside the model: what it is trained on, and for how long so far


def run_model(
    study: Study,
    name: str,
    *,
    device: str | None = None,
    tell: Callable[[str], None] | None = None,
    runner: NnunetRunner | None = None,
    cancel: CancelToken | None = None,
) -> dict:
    """Write the data set of a model, train it, and predict the test cases.

    Args:
        name: ``reference``, or a scenario.
        device: one of nnU-Net's; None takes the configuration's.
        tell: told what is done, a line each.
        runner: how nnU-Net is run.

    Returns:
        The result of the unit ``models/NAME``: folders relative to the study's with ``/``, numbers of cases, options, seconds. The
        seconds of training count all attempts, as far as their last finished epoch.

    Raises:
        InputError: if a scenario is not finished, its labels are not those that were written, or an organ mask is missing.
        Cancelled, MissingPackageError, EngineError, WorkerError, OutputError: see `NnunetRunner.run`.
    """
    tell = tell or (lambda line: None)  # noqa: ARG005
    plan = data_set_plan(study, name)
    downstream = study.config.downstream
    assert downstream is not None  # else there would be no plan
    options = downstream.training_options()
    if device is not None:
        options = replace(options, device=device)
    organ_masks = downstream.crop_to if options.preparation.crop else None
    # Asked for before the training, which may take days, though the test cases need theirs only after it.
    masks = {case_id: study.file_digest(path) for case_id, path in sorted(require_organ_masks(study).items())}
    runner = replace(runner or NnunetRunner(), processes=options.processes)

    data_set = write_data_set(study, name, tell)
    inputs = sha256_of(
        {
            "data_set": data_set.training_inputs,
            "options": options.as_json_object(),
            "organ_masks": [masks.get(case_id) for case_id in data_set.training_cases],
        }
    )
    folders = NnunetFolders.of_data_set(data_set.folder)
    clock = _TrainingClock(folders, inputs)
    if not clock.goes_on:
        model = folders.model_folder(options.trainer, options.configuration)
        if model.exists():
            tell(f"{plan.folder_name}: data or options have changed since the model was begun; it is trained anew")
            remove_folder(model)
    clock.start()

    def on_event(event: TrainingEvent) -> None:
        if event.progress is not None:
            clock.keep()
        tell(f"{name}: {event.what}")

    model = train(folders, options, organ_masks=organ_masks, runner=runner, on_event=on_event, cancel=cancel)
    train_seconds = clock.keep()

    tell(f"{name}: predicting {len(data_set.test_cases)} test cases")
    predictions = study.folder / "downstream" / "predictions" / name
    remove_folder(predictions)  # a prediction of an earlier model must not stand among the new ones
    begun = time.monotonic()
    predict(
        model,
        data_set.folder / "imagesTs",
        predictions,
        folds=options.folds,
        device=options.device,
        organ_masks=organ_masks,
        runner=runner,
        cancel=cancel,
    )
    predict_seconds = time.monotonic() - begun
    return {
        **{what: _relative(path, study) for what, path in (("model", model), ("predictions", predictions), ("data_set", data_set.folder))},
        "cases_train": len(data_set.training_cases),
        "cases_test": len(data_set.test_cases),
        "options": _as_json(options),
        "train_seconds": round(train_seconds, 1),
        "predict_seconds": round(predict_seconds, 1),
    }


def evaluate_models(study: Study, *, cancel: CancelToken | None = None) -> Path:
    """Score the test cases of every model that is finished, and write the table of all scores; return its file.

    Models stand in the order of `StudyConfig.models`; one that is not finished is left out.

    Raises:
        InputError: if no model is finished, or a prediction is missing.
        VolumeError, GridMismatchError, MissingPackageError, OutputError, Cancelled: see `evaluate_folder`.
    """
    evaluations: list[Evaluation] = []
    for name in study.config.models:
        result = study.result(f"models/{name}", "")
        if result is None:
            continue
        data_set = study.folder / result["data_set"]
        evaluations.append(
            evaluate_folder(
                name,
                study.folder / result["predictions"],
                data_set / "labelsTs",
                read_labels(data_set / "dataset.json"),
                cases=sorted(case.case_id for case in study.test_cases),
                tolerance_mm=study.config.tolerance_mm,
                cancel=cancel,
            )
        )
    if not evaluations:
        raise InputError(f"No model of the study '{study.folder}' is finished, so there is nothing to score. Run it first.")
    path = study.folder / SCORES_FILE
    write_scores_csv(path, evaluations)
    return path


def drop_outdated_scores(study: Study) -> None:
    """Take models that must be trained anew out of the table of scores.

    Raises:
        InputError: if the table cannot be read.
        OutputError: if it cannot be written.
    """
    path = study.folder / SCORES_FILE
    if not path.is_file():
        return
    evaluations = read_scores_csv(path)
    known = [f"models/{name}" for name in study.config.models]
    kept = [one for one in evaluations if (unit := f"models/{one.model}") in known and study.is_finished(unit, "")]
    if len(kept) < len(evaluations):
        write_scores_csv(path, kept)


# -- within -------------------------------------------------------------------------------------------------------------------


class _TrainingClock:
    """How long a model has been trained, over kills, and what it is trained on.

    Args:
        folders: the record lies in the data set's folder of results.
        inputs: SHA-256 of all that decides the model.
    """

    def __init__(self, folders: NnunetFolders, inputs: str):
        self._file, self._inputs = folders.results / folders.data_set / _RECORD, inputs
        before = read_json_file(self._file, "the record of a model") if self._file.is_file() else {}
        self.goes_on = before.get("inputs") == inputs
        self._seconds_before = float(before.get("train_seconds", 0.0)) if self.goes_on else 0.0
        self._begun = time.monotonic()

    def start(self) -> None:
        """Let the training begin now."""
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise OutputError(f"Cannot make '{self._file.parent}': {exc.strerror}.") from exc
        self._begun = time.monotonic()
        self.keep()

    def keep(self) -> float:
        """Write down and return the seconds so far."""
        seconds = self._seconds_before + time.monotonic() - self._begun
        write_text_atomically(self._file, json.dumps({"inputs": self._inputs, "train_seconds": seconds}) + "\n")
        return seconds


def require_organ_masks(study: Study) -> dict[str, Path]:
    """The organ mask of each case, none if images are not cropped. Raises InputError, naming the cases, if some are missing."""
    downstream = study.config.downstream
    if downstream is None or not downstream.training_options().preparation.crop or downstream.crop_to is None:
        return {}
    paths = {case.case_id: downstream.crop_to / f"{case.case_id}{ENDING}" for case in (*study.training_cases, *study.test_cases)}
    missing = sorted(case_id for case_id, path in paths.items() if not path.is_file())
    if missing:
        raise InputError(
            f"downstream.crop_to: '{downstream.crop_to}' has no organ mask of {first_few(missing)}. "
            f"Training and test cases need one each, named CASE{ENDING}."
        )
    return paths


def _relative(path: Path, study: Study) -> str:
    return path.resolve().relative_to(study.folder.resolve()).as_posix()


def _as_json(options: TrainingOptions) -> dict[str, Any]:
    """All options, as JSON has them."""
    return json.loads(json.dumps({**asdict(options), "preparation": options.preparation.as_json_object()}))
