"""Read NIfTI, NRRD, MHA/MHD files and DICOM series into a `Volume`. Imports geometry, errors and (inside functions) SimpleITK."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import VolumeError
from ..geometry import Volume
from ..optional_imports import import_for
from .dicom_files import begins_as_dicom
from .dicom_series import read_dicom
from .itk_grid import grid_of_image
from .whole_files import require_whole

VOLUME_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
# Formats of one file, which may be read under another name.
_SINGLE_FILES = (".nii.gz", ".nii", ".nrrd", ".mha")


def read_volume(path: str | Path, series: str | None = None, number: int | None = None) -> Volume:
    """Read a 3-D scalar volume.

    Args:
        path: a file of one of `VOLUME_SUFFIXES`, a folder with a DICOM series, or a multi-frame DICOM file.
        series: of a folder with several DICOM series: UID, number or description of the one to read.
        number: of a DICOM series with several volumes (time points, echoes), or a file with a fourth axis: which one, from 1.

    Returns:
        The volume; voxels keep their stored type, rescaled as the file says (HU for CT). Its notes say what had to be settled.

    Raises:
        VolumeError: if the path is missing, unreadable, not a 3-D scalar image, holds NaN or infinite voxels, or states a geometry that
            contradicts itself; for DICOM, see `read_dicom`.
        MissingPackageError: if SimpleITK, or pydicom for DICOM, is not installed.
    """
    path = Path(path)
    if is_dicom_path(path):
        return read_dicom(path, series, number).volume
    if series is not None:
        raise VolumeError(f"'{path}' is no DICOM folder, so it holds no series '{series}'.")
    return _read_file(path, number)


def is_dicom_path(path: Path) -> bool:
    """Whether a path is a folder, or a file that begins as DICOM under a name of no other kind. Raises VolumeError if it is missing."""
    try:
        path.stat()
        return path.is_dir() or (not path.name.lower().endswith(VOLUME_SUFFIXES) and begins_as_dicom(path))
    except OSError as exc:
        raise VolumeError(f"There is no file or folder '{path}' that can be read ({exc.strerror or exc}).") from exc


def _read_file(path: Path, number: int | None) -> Volume:
    sitk = import_for("Reading volumes", "SimpleITK", "pip install SimpleITK")
    if path.name.lower().endswith(VOLUME_SUFFIXES):
        require_whole(path)
        with _name_for_itk(path) as name:
            image, modality = _execute(sitk, _file_reader(sitk, name), path), None
    else:
        raise VolumeError(f"'{path.name}' is of no known type. Expected {', '.join(VOLUME_SUFFIXES)} or a folder with a DICOM series.")
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise VolumeError(f"'{path}' has {image.GetNumberOfComponentsPerPixel()} values per voxel (color or vectors). Expected one.")
    size = image.GetSize()
    if image.GetDimension() == 4 and number is not None and 1 <= number <= size[3]:
        image = image[:, :, :, number - 1]
    elif image.GetDimension() != 3 or number not in (None, 1):
        raise VolumeError(
            f"'{path}' has {image.GetDimension()} dimensions {size}. Expected a 3-D volume: "
            "give one time point or channel (--volume N picks one of a fourth axis), or a stack of slices."
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
