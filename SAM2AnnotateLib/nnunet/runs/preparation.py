"""Preparation: clip images to a window and crop them to an organ's box, and put predictions back. Imports volume_io, geometry, errors.

nnU-Net has no such steps. They are done to a copy of the raw data set before it, and to images before prediction.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...atomic_files import write_text_atomically
from ...errors import InputError, OutputError
from ...geometry import Volume, VolumeGrid
from ...json_input import Fields, is_number
from ...volume_io import read_volume, write_volume
from .folders import DataSetDescription, NnunetFolders, read_json_file

_RECORD = "sam2annotate_preparation.json"


@dataclass(frozen=True)
class Preparation:
    """What is done to every image. Nothing, as it comes.

    Args:
        window: lowest and highest intensity kept, in the image's own units (HU for CT); what lies beyond becomes the bound. None keeps all.
        crop: cut to the box of an organ's mask.
        margin_mm: how far the box reaches beyond the organ on each side.

    Raises:
        InputError: if the window is empty, or the margin negative or without cropping.
    """

    window: tuple[float, float] | None = None
    crop: bool = False
    margin_mm: float = 0.0

    def __post_init__(self) -> None:
        if self.window is not None and not self.window[0] < self.window[1]:
            raise InputError(f"Window: expected a lower and a higher bound, got {self.window[0]:g},{self.window[1]:g}.")
        if not self.margin_mm >= 0:
            raise InputError(f"Margin: expected 0 mm or more, got {self.margin_mm:g}.")
        if self.margin_mm and not self.crop:
            raise InputError(f"A margin of {self.margin_mm:g} mm was given, but nothing to crop to. Give organ masks too.")

    @property
    def changes_nothing(self) -> bool:
        """Whether images go to nnU-Net as they are."""
        return self.window is None and not self.crop

    def as_json_object(self) -> dict:
        """Readable by `from_json_object`."""
        return {"window": list(self.window) if self.window else None, "crop": self.crop, "margin_mm": self.margin_mm}

    @classmethod
    def from_json_object(cls, content: dict) -> Preparation:
        """Raises InputError if a field is missing or of the wrong kind."""
        try:
            fields = Fields(content, "the model's preparation")
            window = fields.items("window") if content.get("window") is not None else None
            if window is not None and (len(window) != 2 or not all(map(is_number, window))):
                raise InputError("'window' should be two numbers.")
            return cls(None if window is None else (window[0], window[1]), fields.flag("crop"), fields.number("margin_mm"))
        except InputError as exc:
            raise InputError(f"The model's preparation cannot be read: {exc}") from exc

    def box_of(self, organ_kji: np.ndarray, grid: VolumeGrid, name: str) -> tuple[slice, slice, slice]:
        """The box of an organ with the margin, within the grid, as slices in (k, j, i); the whole grid if nothing is cropped.

        Raises:
            InputError: if the mask is empty.
        """
        if not self.crop:
            return slice(0, grid.shape_kji[0]), slice(0, grid.shape_kji[1]), slice(0, grid.shape_kji[2])
        occupied = [np.flatnonzero(organ_kji.any(axis=tuple(other for other in range(3) if other != axis))) for axis in range(3)]
        if not occupied[0].size:
            raise InputError(f"The organ mask of '{name}' is empty: there is nothing to crop to. Draw it, or leave out the cropping.")
        sides = []
        for found, mm, size in zip(occupied, grid.spacing_kji_mm, grid.shape_kji, strict=True):
            margin = int(np.ceil(self.margin_mm / mm - 1e-9))
            sides.append(slice(max(0, int(found[0]) - margin), min(size, int(found[-1]) + 1 + margin)))
        return sides[0], sides[1], sides[2]

    def image(self, volume: Volume, box: tuple[slice, slice, slice]) -> Volume:
        """The image clipped and cropped, at the same place in space."""
        voxels = volume.array_kji[box]
        if self.window is not None:
            voxels = np.clip(voxels.astype(np.float32), *self.window)
        return Volume(cropped_grid(volume.grid, box), np.ascontiguousarray(voxels), volume.modality)


def cropped_grid(grid: VolumeGrid, box: tuple[slice, slice, slice]) -> VolumeGrid:
    """The grid of the voxels in a box (slices in k, j, i)."""
    matrix = grid.ijk_to_ras.copy()
    matrix[:3, 3] = grid.ras_from_ijk(np.array([box[2].start, box[1].start, box[0].start]))
    return VolumeGrid(tuple(side.stop - side.start for side in box), matrix)


def uncropped(labels: Volume, box: tuple[slice, slice, slice], grid: VolumeGrid) -> Volume:
    """Labels of a box put back into the whole grid, 0 outside."""
    whole = np.zeros(grid.shape_kji, dtype=labels.array_kji.dtype)
    whole[box] = labels.array_kji
    return Volume(grid, whole)


def organ_mask(folder: Path | None, case: str, ending: str, grid: VolumeGrid) -> np.ndarray:
    """(k, j, i) bool mask of a case's organ: the nonzero voxels of `folder`/CASE.ending.

    Raises:
        InputError: if no folder was given or the case has no file in it.
        GridMismatchError: if the mask is not on the image's grid.
    """
    path = None if folder is None else Path(folder) / f"{case}{ending}"
    if path is None or not path.is_file():
        where = "no folder of organ masks was given" if path is None else f"'{path}' does not exist"
        raise InputError(f"The images are cropped to an organ, but for case '{case}' {where}. Give one mask a case, named like the case.")
    mask = read_volume(path)
    mask.grid.require_same(grid, f"The organ mask '{path}'", f"the image of case '{case}'")
    return mask.array_kji != 0


def prepare_data_set(source: NnunetFolders, preparation: Preparation, organ_masks: Path | None, target_raw: Path) -> NnunetFolders:
    """Write the prepared copy of a raw data set's training part, and return the folders with it in place of the source.

    An existing copy made in the same way from the same files is used again. The new one appears whole or not at all.

    Args:
        organ_masks: a mask a case (`CASE` with the data set's file ending), if the preparation crops.
        target_raw: the folder to hold the copy, `target_raw`/DatasetNNN_Name.

    Raises:
        InputError: if a mask is missing or empty, or a file cannot be read.
        OutputError: if the copy cannot be written.
    """
    prepared = NnunetFolders(target_raw, source.preprocessed, source.results, source.data_set)
    files = [path for sub in ("imagesTr", "labelsTr") for path in sorted((source.raw_data_set / sub).iterdir()) if path.is_file()]
    masks = sorted(organ_masks.iterdir()) if preparation.crop and organ_masks is not None and organ_masks.is_dir() else []
    record = {**preparation.as_json_object(), "source": _stamps([source.raw_data_set / "dataset.json", *files, *masks])}
    target = prepared.raw_data_set
    if (target / _RECORD).is_file() and read_json_file(target / _RECORD, "the record of a preparation") == record:
        return prepared
    data_set = DataSetDescription(source.raw_data_set / "dataset.json")
    ending = data_set.ending
    partial = target.with_name(f".{target.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        for sub in ("imagesTr", "labelsTr"):
            (partial / sub).mkdir(parents=True)
        for label_path in sorted((source.raw_data_set / "labelsTr").glob(f"*{ending}")):
            case = label_path.name.removesuffix(ending)
            labels = read_volume(label_path)
            organ = organ_mask(organ_masks, case, ending, labels.grid) if preparation.crop else labels.array_kji
            box = preparation.box_of(organ, labels.grid, case)
            cut = Volume(cropped_grid(labels.grid, box), np.ascontiguousarray(labels.array_kji[box]))
            write_volume(cut, partial / "labelsTr" / label_path.name)
            for image_path in channel_files(source.raw_data_set / "imagesTr", case, ending, data_set.channels):
                image = read_volume(image_path)
                image.grid.require_same(labels.grid, f"The image '{image_path}'", "its label")
                write_volume(preparation.image(image, box), partial / "imagesTr" / image_path.name)
        for name in ("dataset.json", "splits_final.json"):
            if (source.raw_data_set / name).is_file():
                shutil.copyfile(source.raw_data_set / name, partial / name)
        write_text_atomically(partial / _RECORD, json.dumps(record, indent=1))
        if target.exists():
            (target / _RECORD).unlink(missing_ok=True)  # half removed, it must not pass for whole
            shutil.rmtree(target)
        partial.replace(target)
    except OSError as exc:
        raise OutputError(f"Cannot write the prepared data set '{target}': {exc.strerror or exc}.") from exc
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return prepared


def channel_files(folder: Path, case: str, ending: str, channels: int) -> list[Path]:
    """The images of a case, one a channel. Raises InputError if one is missing."""
    paths = [folder / f"{case}_{channel:04d}{ending}" for channel in range(channels)]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise InputError(f"Case '{case}' in '{folder}' lacks {', '.join(missing)}: expected one file for each of {channels} channels.")
    return paths


def _stamps(paths: Sequence[Path]) -> list[list]:
    """Name, size and time of change of files, to notice a change without reading them."""
    return [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in paths]
