"""Read NIfTI, NRRD, MHA/MHD files and DICOM series into a `Volume`. Imports geometry, errors and (inside functions) SimpleITK."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ..errors import VolumeError
from ..geometry import Volume
from ..optional_imports import import_for
from .itk_grid import grid_of_image
from .whole_files import require_whole

VOLUME_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
# Formats of one file, which may be read under another name.
_SINGLE_FILES = (".nii.gz", ".nii", ".nrrd", ".mha")
# A slice of a DICOM series may lie this share of the slice spacing away from where even spacing puts it.
_UNEVEN_SHARE = 0.1


def read_volume(path: str | Path) -> Volume:
    """Read a 3-D scalar volume.

    Args:
        path: a file of one of `VOLUME_SUFFIXES`, or a folder that holds one DICOM series.

    Returns:
        The volume; voxels keep their stored type, rescaled as the file says (HU for CT).

    Raises:
        VolumeError: if the path is missing, unreadable, not a 3-D scalar image, holds NaN or infinite voxels, or, for a folder,
            holds no DICOM series or more than one, or one whose slices are not evenly spaced.
        MissingPackageError: if SimpleITK is not installed.
    """
    sitk = import_for("Reading volumes", "SimpleITK", "pip install SimpleITK")
    path = Path(path)
    try:
        path.stat()
    except OSError as exc:
        raise VolumeError(f"There is no file or folder '{path}' that can be read ({exc.strerror or exc}).") from exc
    if path.is_dir():
        image, modality = _read_dicom_series(sitk, path)
    elif path.name.lower().endswith(VOLUME_SUFFIXES):
        require_whole(path)
        with _name_for_itk(path) as name:
            image, modality = _execute(sitk, _file_reader(sitk, name), path), None
    else:
        raise VolumeError(f"'{path.name}' is of no known type. Expected {', '.join(VOLUME_SUFFIXES)} or a folder with a DICOM series.")
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise VolumeError(f"'{path}' has {image.GetNumberOfComponentsPerPixel()} values per voxel (color or vectors). Expected one.")
    size = image.GetSize()
    if image.GetDimension() != 3:
        raise VolumeError(
            f"'{path}' has {image.GetDimension()} dimensions {size}. Expected a 3-D volume: "
            "give one time point or channel, or a stack of slices."
        )
    try:
        return Volume(grid_of_image(image), sitk.GetArrayFromImage(image), modality)
    except VolumeError as exc:
        raise VolumeError(f"'{path}': {exc}") from exc


@contextmanager
def _name_for_itk(path: Path) -> Iterator[Path]:
    """`path`, or a copy of it where ITK would misread it by its name.

    ITK knows some suffixes in lower case only, and where ``a.nii.gz`` lies beside ``a.nii`` it takes the voxels of the wrong one.
    """
    suffix = next((suffix for suffix in _SINGLE_FILES if path.name.lower().endswith(suffix)), None)
    if suffix is None or (path.name.endswith(suffix) and not (suffix == ".nii.gz" and path.with_suffix("").exists())):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="sam2annotate-") as folder:
        try:
            copy = Path(shutil.copyfile(path, Path(folder) / f"volume{suffix}"))
        except OSError as exc:
            raise VolumeError(f"'{path}' could not be copied to '{folder}', under a name that the reader knows: {exc.strerror}.") from exc
        yield copy


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
    reader.MetaDataDictionaryArrayUpdateOn()
    image = _execute(sitk, reader, folder)
    _require_even_slices(image, reader, folder)
    header = _file_reader(sitk, Path(files[0]))
    header.ReadImageInformation()
    modality = header.GetMetaData("0008|0060").strip() if header.HasMetaDataKey("0008|0060") else None
    return image, modality


def _require_even_slices(image, reader, folder: Path) -> None:
    """ITK spreads slices evenly along their normal and only warns where they do not lie so."""
    position_key = "0020|0032"
    if image.GetSize()[2] < 2 or not all(reader.HasMetaDataKey(k, position_key) for k in range(image.GetSize()[2])):
        return
    stored_lps = [[float(mm) for mm in reader.GetMetaData(k, position_key).split("\\")] for k in range(image.GetSize()[2])]
    even_lps = [image.TransformIndexToPhysicalPoint((0, 0, k)) for k in range(image.GetSize()[2])]
    off_mm = np.linalg.norm(np.array(stored_lps) - np.array(even_lps), axis=1).max()
    if off_mm > _UNEVEN_SHARE * image.GetSpacing()[2]:
        raise VolumeError(
            f"The slices of the DICOM series in '{folder}' are not evenly spaced along their normal: they lie up to {off_mm:.3g} mm off. "
            "A slice may be missing or damaged, or the gantry was tilted. Complete the series, or resample it to a regular grid first."
        )


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
