"""Predict with a trained model; label maps come out on the grid of the images that went in. Imports process, preparation, volume_io."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import InputError, OutputError
from ...file_locks import locked
from ...file_names import require_plain_name
from ...geometry import Volume
from ...leftovers import owned_token, remove_leftovers
from ...progress import CancelToken
from ...volume_io import read_volume, write_volume
from ..data_sets.transaction import FolderTransaction, lock_file, settle_around
from .folders import DataSetDescription, read_json_file
from .preparation import Preparation, channel_files, organ_mask, uncropped
from .process import NnunetCall, NnunetRunner
from .training import OPTIONS_FILE
from .training_options import DEVICES

CHECKPOINTS = ("final", "best", "latest")


@dataclass(frozen=True)
class PredictedCase:
    """A label map that was written.

    Args:
        case: name.
        path: the file, on the grid of the case's first image.
    """

    case: str
    path: Path


def predict(
    model_folder: Path,
    images: Path,
    output: Path,
    *,
    folds: Sequence[int | str] | None = None,
    device: str = "cuda",
    checkpoint: str = "final",
    organ_masks: Path | None = None,
    runner: NnunetRunner | None = None,
    log_file: Path | None = None,
    on_line: Callable[[str], None] | None = None,
    cancel: CancelToken | None = None,
) -> list[PredictedCase]:
    """Predict every case of a folder, prepared as the model's training data were.

    Args:
        model_folder: what `train` returned, or a model folder of anyone's nnU-Net.
        images: CASE_0000.ending, a file a channel, ending as in the model's data set.
        output: gets CASE.ending each; made if it is missing. Nothing is written before all cases are predicted.
        folds: whose mean is taken; None takes all that are trained.
        checkpoint: one of `CHECKPOINTS`; a training that is not finished has only the last two.
        organ_masks: a mask for each case, if the model's training data were cropped to an organ.
        log_file: nnU-Net's output; beside `output` by default.

    Returns:
        The cases by name.

    Raises:
        InputError: if there is no such model or image, or a channel or organ mask is missing.
        GridMismatchError: if channels of a case, or its mask, lie on different grids, or nnU-Net returned another grid.
        Cancelled, MissingPackageError, EngineError, WorkerError, OutputError: see `NnunetRunner.run`.
    """
    if device not in DEVICES or checkpoint not in CHECKPOINTS:
        raise InputError(
            f"Unknown device '{device}' or checkpoint '{checkpoint}': expected {', '.join(DEVICES)}; {', '.join(CHECKPOINTS)}."
        )
    settle_around(images)
    data_set = DataSetDescription(model_folder / "dataset.json")
    ending, channels = data_set.ending, data_set.channels
    chosen = _trained_folds(model_folder, checkpoint) if folds is None else list(folds)
    for fold in chosen:
        if not (model_folder / f"fold_{fold}" / f"checkpoint_{checkpoint}.pth").is_file():
            raise InputError(f"Fold {fold} of the model '{model_folder}' has no {checkpoint} checkpoint. Train it first, or leave it out.")
    cases = sorted({path.name[: -len(ending) - 5] for path in images.glob(f"*_[0-9][0-9][0-9][0-9]{ending}")})
    if not cases:
        raise InputError(f"There is no image in '{images}': expected names like CASE_0000{ending}, a file for each of {channels} channels.")
    preparation = _preparation_of(model_folder)
    for case in cases:
        require_plain_name(case, "the case")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise OutputError(f"Cannot write to '{output}': {exc.strerror}.") from exc
    with locked(lock_file(output), f"'{output}'"), FolderTransaction(output) as change:
        remove_leftovers(output)
        work = output / f".partial_{owned_token()}"  # beside the result: the same disk
        try:
            for folder in (work, work / "in"):
                folder.mkdir(0o700)
            for case in cases:
                _prepare_case(case, channel_files(images, case, ending, channels), work / "in", preparation, organ_masks, ending)
            arguments = ["-i", str(work / "in"), "-o", str(work / "out"), "-m", str(model_folder), "-f", *map(str, chosen)]
            arguments += ["-device", device, "-chk", f"checkpoint_{checkpoint}.pth", "-npp", "1", "-nps", "1", "--disable_progress_bar"]
            call = NnunetCall("nnunetv2.inference.predict_from_raw_data", "predict_entry_point_modelfolder", tuple(arguments), "Prediction")
            log = log_file or output.with_name(f"{output.name}_prediction.log")
            (runner or NnunetRunner()).run(call, None, log, on_line, cancel)
            for case in cases:
                image = channel_files(images, case, ending, channels)[0]
                labels = _on_original_grid(case, work / "out", image, preparation, organ_masks, ending)
                write_volume(labels, change.place(f"{case}{ending}"))
            change.commit()  # all of them or none: predictions of two models in one folder would be compared as one
        except OSError as exc:
            raise OutputError(f"Cannot write to '{output}': {exc.strerror or exc}.") from exc
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return [PredictedCase(case, output / f"{case}{ending}") for case in cases]


def _prepare_case(case: str, paths: list[Path], folder: Path, preparation: Preparation, organ_masks: Path | None, ending: str) -> None:
    """Put a case's images, prepared, where nnU-Net will look for them."""
    first = read_volume(paths[0])
    organ = organ_mask(organ_masks, case, ending, first.grid) if preparation.crop else first.array_kji
    box = preparation.box_of(organ, first.grid, case)
    for path in paths:
        image = first if path is paths[0] else read_volume(path)
        image.grid.require_same(first.grid, f"The image '{path}'", f"'{paths[0].name}'")
        if preparation.changes_nothing:
            shutil.copyfile(path, folder / path.name)
        else:
            write_volume(preparation.image(image, box), folder / path.name)


def _on_original_grid(case: str, folder: Path, image_path: Path, preparation: Preparation, organ_masks: Path | None, ending: str) -> Volume:
    """A case's prediction on the very grid of its image."""
    grid = read_volume(image_path).grid
    path = folder / f"{case}{ending}"
    if not path.is_file():
        raise InputError(f"nnU-Net wrote no prediction of case '{case}'. Its log says why.")
    labels = read_volume(path)
    if preparation.crop:
        box = preparation.box_of(organ_mask(organ_masks, case, ending, grid), grid, case)
        labels = uncropped(labels, box, grid)
    labels.grid.require_same(grid, f"The prediction of case '{case}'", "its image")
    voxels = labels.array_kji
    return Volume(grid, voxels.astype(np.uint8 if voxels.max(initial=0) < 256 else np.uint16))


def _trained_folds(model_folder: Path, checkpoint: str) -> list[int | str]:
    """The folds with that checkpoint; the one of all cases only if it is alone."""
    names = [path.parent.name.removeprefix("fold_") for path in sorted(model_folder.glob(f"fold_*/checkpoint_{checkpoint}.pth"))]
    numbers: list[int | str] = [int(name) for name in names if name.isdigit()]
    if not names:
        raise InputError(f"No fold of the model '{model_folder}' has a {checkpoint} checkpoint. Train it first.")
    return numbers or ["all"]


def _preparation_of(model_folder: Path) -> Preparation:
    """What the model's training images went through; nothing, if it was trained elsewhere."""
    record = model_folder / OPTIONS_FILE
    if not record.is_file():
        return Preparation()
    return Preparation.from_json_object(read_json_file(record, "the options of a training").get("preparation", {}))
