"""Read NIfTI, NRRD, MHA/MHD files and DICOM series into a `Volume`. Imports geometry, errors and (inside functions) SimpleITK."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import VolumeError
from ..geometry import Volume, VolumeGrid
from ..geometry.conventions import flip_lps_ras
from ..optional_imports import import_for

VOLUME_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")


def read_volume(path: str | Path) -> Volume:
    """Read a 3-D scalar volume.

    Args:
        path: a file of one of `VOLUME_SUFFIXES`, or a folder that holds one DICOM series.

    Returns:
        The volume; voxels keep their stored type, rescaled as the file says (HU for CT).

    Raises:
        VolumeError: if the path is missing, unreadable, not a 3-D scalar image, holds NaN or infinite voxels, or, for a folder,
            holds no DICOM series or more than one.
        MissingPackageError: if SimpleITK is not installed.
    """
    sitk = import_for("Reading volumes", "SimpleITK", "pip install SimpleITK")
    path = Path(path)
    if not path.exists():
        raise VolumeError(f"There is no file or folder '{path}'.")
    if path.is_dir():
        image, modality = _read_dicom_series(sitk, path)
    elif path.name.lower().endswith(VOLUME_SUFFIXES):
        image, modality = _execute(sitk, _file_reader(sitk, path), path), None
    else:
        raise VolumeError(f"'{path.name}' is of no known type. Expected {', '.join(VOLUME_SUFFIXES)} or a folder with a DICOM series.")
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise VolumeError(f"'{path}' has {image.GetNumberOfComponentsPerPixel()} values per voxel (color or vectors). Expected one.")
    size = image.GetSize()
    if image.GetDimension() != 3:
        raise VolumeError(
            f"'{path}' has {image.GetDimension()} dimensions {size}. Expected a 3-D volume: give one time point or channel, or a stack of slices."
        )
    try:
        return Volume(_grid_of(image), sitk.GetArrayFromImage(image), modality)
    except VolumeError as exc:
        raise VolumeError(f"'{path}': {exc}") from exc


def _file_reader(sitk, path: Path):
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    return reader


def _read_dicom_series(sitk, folder: Path):
    series_ids = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if len(series_ids) != 1:
        found = "none" if not series_ids else f"{len(series_ids)}: {', '.join(series_ids)}"
        raise VolumeError(f"Expected one DICOM series in the folder '{folder}', found {found}. Give a folder that holds a single series.")
    files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series_ids[0])
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(files)
    image = _execute(sitk, reader, folder)
    header = _file_reader(sitk, Path(files[0]))
    header.ReadImageInformation()
    modality = header.GetMetaData("0008|0060").strip() if header.HasMetaDataKey("0008|0060") else None
    return image, modality


def _execute(sitk, reader, path: Path):
    warnings_before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        return reader.Execute()
    except RuntimeError as exc:
        reason = str(exc).strip().splitlines()[-1] if str(exc).strip() else "unknown reason"
        raise VolumeError(f"'{path}' could not be read; it may be damaged or incomplete. The reader says: {reason}") from exc
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(warnings_before)


def _grid_of(image) -> VolumeGrid:
    index_to_lps = np.eye(4)
    index_to_lps[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    index_to_lps[:3, 3] = image.GetOrigin()
    return VolumeGrid(image.GetSize()[::-1], flip_lps_ras(index_to_lps))
