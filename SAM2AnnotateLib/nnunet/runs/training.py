"""Train a model on a data set with the real nnU-Net: prepare, preprocess, train fold by fold, go on after an interruption.

Imports process, preparation, volume_io's callers in this room, progress and errors.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ...atomic_files import write_text_atomically
from ...errors import InputError
from ...file_locks import locked
from ...progress import CancelToken
from ..cases.splits import read_folds
from ..data_sets.transaction import settle_around
from .folders import NnunetFolders, read_json_file
from .preparation import prepare_data_set
from .process import NnunetCall, NnunetRunner
from .training_log import TrainingLog, TrainingProgress
from .training_options import TrainingOptions

OPTIONS_FILE = "sam2annotate_training.json"
_PREPROCESSED_RECORD = "sam2annotate_preprocessed.json"
_DATA_RECORD = "sam2annotate_data.txt"  # in a fold's folder: a digest of the data set that its training began with


@dataclass(frozen=True)
class TrainingEvent:
    """Something to tell the user.

    Args:
        what: one line.
        fold: the fold it is about, or None.
        progress: of an epoch that ended, else None.
    """

    what: str
    fold: int | str | None = None
    progress: TrainingProgress | None = None


def train(
    data_set: NnunetFolders,
    options: TrainingOptions,
    *,
    organ_masks: Path | None = None,
    runner: NnunetRunner | None = None,
    on_event: Callable[[TrainingEvent], None] | None = None,
    cancel: CancelToken | None = None,
    restart: bool = False,
) -> Path:
    """Train every fold of the options that is not trained yet; return the model's folder.

    What is finished is not done again: an unchanged data set is not preprocessed twice, and a fold that was interrupted, however that
    happened, goes on from its last checkpoint.

    Args:
        organ_masks: a mask for each training case, if the options crop.
        runner: how nnU-Net is run; its number of processes is the options'.
        on_event: told of every step and every epoch, in this thread.
        restart: throw away what these folds have been trained so far.

    Raises:
        InputError: if the model was begun with other options, or the data set does not fit.
        Cancelled, MissingPackageError, EngineError, WorkerError, OutputError: see `NnunetRunner.run`.
    """
    tell = on_event or (lambda event: None)  # noqa: ARG005
    runner = replace(runner or NnunetRunner(), processes=options.processes)
    folders = data_set
    settle_around(data_set.raw_data_set)  # never a mixture of two states
    if not options.preparation.changes_nothing:
        tell(TrainingEvent("Preparing the images"))
        # Under the results' neighbor, so that the data set itself stays as it is.
        folders = prepare_data_set(data_set, options.preparation, organ_masks, data_set.preprocessed / "sam2annotate_prepared")
    model = folders.model_folder(options.trainer, options.configuration)
    _agree_with_begun_model(model, options, restart)
    logs = folders.results / folders.data_set / "sam2annotate_logs"
    folders.preprocessed.mkdir(parents=True, exist_ok=True)
    with locked(folders.preprocessed / f".{folders.data_set}.lock", f"the preprocessed data of {folders.data_set}"):
        preprocess(folders, options, runner, logs, tell, cancel)
    for fold in options.folds:  # folds may be trained side by side, one fold by one program only
        fold_folder = model / f"fold_{fold}"
        with locked(model / f".fold_{fold}.lock", f"fold {fold} of '{model}'"):
            if restart and fold_folder.exists():
                shutil.rmtree(fold_folder)
            _train_fold(folders, options, fold, fold_folder, runner, logs, tell, cancel)
    return model


def preprocess(
    folders: NnunetFolders,
    options: TrainingOptions,
    runner: NnunetRunner,
    logs: Path,
    tell: Callable[[TrainingEvent], None],
    cancel: CancelToken | None,
) -> None:
    """Let nnU-Net check, plan and preprocess the raw data set, unless it did so for these very files. Errors as `train`."""
    record_file = folders.preprocessed_data_set / _PREPROCESSED_RECORD
    configurations, files = [options.configuration], _stamps_of(folders.raw_data_set)
    if record_file.is_file():
        before = read_json_file(record_file, "the record of a preprocessing")
        done = before.get("configurations")
        if before.get("files") == files and isinstance(done, list):
            if options.configuration in done:
                _copy_splits(folders)
                return
            configurations += done
    tell(TrainingEvent("Preprocessing"))
    folders.preprocessed.mkdir(parents=True, exist_ok=True)
    record_file.unlink(missing_ok=True)  # interrupted, it must not pass for done
    if runner.processes is not None:
        runner = replace(runner, processes=max(1, runner.processes))  # nnU-Net's planning fails with 0, which only augmentation takes
    count = str(runner.processes) if runner.processes is not None else None
    arguments = ["-d", str(folders.data_set_id), "-c", options.configuration, "--verify_dataset_integrity"]
    arguments += ["-np", count, "-npfp", count] if count else []
    arguments.append("--clean")  # a fingerprint of the data set as it was before would be used again
    call = NnunetCall(
        "nnunetv2.experiment_planning.plan_and_preprocess_entrypoints", "plan_and_preprocess_entry", tuple(arguments), "Preprocessing"
    )
    runner.run(call, folders, logs / "preprocess.log", cancel=cancel)
    if _stamps_of(folders.raw_data_set) != files:
        raise InputError(f"The data set '{folders.raw_data_set}' changed while it was preprocessed. Give the command again.")
    _copy_splits(folders)
    write_text_atomically(record_file, json.dumps({"configurations": configurations, "files": files}))


def _train_fold(
    folders: NnunetFolders,
    options: TrainingOptions,
    fold: int | str,
    fold_folder: Path,
    runner: NnunetRunner,
    logs: Path,
    tell: Callable[[TrainingEvent], None],
    cancel: CancelToken | None,
) -> None:
    _require_fold(folders, fold)
    trained = (fold_folder / "checkpoint_final.pth").is_file()
    begun = any((fold_folder / name).is_file() for name in ("checkpoint_latest.pth", "checkpoint_best.pth"))
    digest = hashlib.sha256(json.dumps(_stamps_of(folders.raw_data_set)).encode()).hexdigest()
    record = fold_folder / _DATA_RECORD
    if not (trained or begun):
        fold_folder.mkdir(parents=True, exist_ok=True)
        write_text_atomically(record, digest)
    elif record.is_file() and record.read_text(encoding="utf-8") != digest:
        tell(
            TrainingEvent(
                f"Fold {fold} was begun before the data set changed. To train it on the data as they are, ask for a restart", fold
            )
        )
    if trained and (fold_folder / "validation" / "summary.json").is_file():
        tell(TrainingEvent(f"Fold {fold} is trained", fold))
        return
    arguments = [folders.data_set, options.configuration, str(fold), "-tr", options.trainer, "-device", options.device]
    if trained:
        arguments.append("--val")
    elif begun:
        arguments.append("--c")
    tell(TrainingEvent(f"Fold {fold}: {'validating' if trained else 'going on' if begun else 'training'}", fold))
    log = TrainingLog(options.epochs)

    def on_line(line: str) -> None:
        progress = log.feed(line)
        if progress is not None:
            tell(TrainingEvent(_sentence(fold, progress), fold, progress))

    call = NnunetCall("nnunetv2.run.run_training", "run_training_entry", tuple(arguments), f"Training of fold {fold}")
    runner = replace(runner, environment={**runner.environment, **options.trainer_environment()})
    runner.run(call, folders, logs / f"{options.trainer}_{options.configuration}_fold_{fold}.log", on_line, cancel)


def _agree_with_begun_model(model: Path, options: TrainingOptions, restart: bool) -> None:
    """Write the options beside the model; folds that are trained or begun, and stay, must have been trained with the same."""
    path = model / OPTIONS_FILE
    now = json.loads(json.dumps(options.as_json_object()))
    staying = {checkpoint.parent.name for checkpoint in model.glob("fold_*/checkpoint_*.pth")}
    if restart:
        staying -= {f"fold_{fold}" for fold in options.folds}
    if path.is_file() and staying:
        before = read_json_file(path, "the options of a training")
        differing = [f"{name} {before.get(name)!r} instead of {value!r}" for name, value in now.items() if before.get(name) != value]
        if differing:
            raise InputError(
                f"In '{model}' {', '.join(sorted(staying))} was begun with {'; '.join(differing)}. Give the same options to go on, another "
                "results folder for a second model, or ask for a restart of all its folds."
            )
    model.mkdir(parents=True, exist_ok=True)
    write_text_atomically(path, json.dumps(now, indent=1) + "\n")


def _copy_splits(folders: NnunetFolders) -> None:
    """nnU-Net looks for the folds among the preprocessed data; the data set keeps its own beside its images."""
    source = folders.raw_data_set / "splits_final.json"
    if source.is_file():
        write_text_atomically(folders.preprocessed_data_set / "splits_final.json", json.dumps(read_folds(source), indent=1) + "\n")


def _require_fold(folders: NnunetFolders, fold: int | str) -> None:
    """nnU-Net would train on a random split, with patients on both sides, if the folds had no such number."""
    splits = folders.preprocessed_data_set / "splits_final.json"
    if fold == "all" or not splits.is_file():
        return
    count = len(read_folds(splits))
    if int(fold) >= count:
        raise InputError(f"There is no fold {fold}: the data set is split into {count}, numbered from 0.")


def _stamps_of(raw_data_set: Path) -> list[list]:
    """Name, size and time of change of what preprocessing reads, in the form it has after JSON."""
    paths = [raw_data_set / "dataset.json"]
    for sub in ("imagesTr", "labelsTr"):
        folder = raw_data_set / sub
        if not folder.is_dir():
            raise InputError(f"'{raw_data_set}' has no folder {sub}: there is nothing to train on.")
        paths += sorted(path for path in folder.iterdir() if path.is_file())
    return [[path.relative_to(raw_data_set).as_posix(), path.stat().st_size, path.stat().st_mtime_ns] for path in paths]


def _sentence(fold: int | str, progress: TrainingProgress) -> str:
    dice = " ".join(f"{value:.3f}" for value in progress.pseudo_dice)
    left = time.strftime("%H:%M:%S", time.gmtime(progress.seconds_left)) if progress.seconds_left < 86400 else "over a day"
    return (
        f"Fold {fold}, epoch {progress.epoch + 1} of {progress.epochs}: loss {progress.train_loss:.3f}, "
        f"validation {progress.val_loss:.3f}, Dice of patches {dice}, {progress.epoch_seconds:.0f} s, {left} left"
    )
