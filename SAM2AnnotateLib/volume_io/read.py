"""Read NIfTI, NRRD, MHA/MHD files and DICOM series into a `Volume`. Imports geometry, errors and the readers beside it."""

from __future__ import annotations

from pathlib import Path

from ..errors import VolumeError
from ..geometry import Volume
from .dicom_files import begins_as_dicom
from .dicom_series import read_dicom
from .meta_image import read_meta_image
from .nifti import read_nifti
from .nrrd import read_nrrd

_READERS = {
    ".nii": read_nifti,
    ".nii.gz": read_nifti,
    ".nrrd": read_nrrd,
    ".nhdr": read_nrrd,
    ".mha": read_meta_image,
    ".mhd": read_meta_image,
}
VOLUME_SUFFIXES = tuple(_READERS)


def read_volume(path: str | Path, series: str | None = None, number: int | None = None, untilt: bool = False) -> Volume:
    """Read a 3-D scalar volume.

    Args:
        path: a file of one of `VOLUME_SUFFIXES`, a folder with a DICOM series, or a multi-frame DICOM file.
        series: of a folder with several DICOM series: UID, number or description of the one to read.
        number: of a DICOM series with several volumes (time points, echoes), or a file with a fourth axis: which one, from 1.
        untilt: of a DICOM series of a tilted gantry: shift its slices back, see `read_dicom`.

    Returns:
        The volume; voxels keep their stored type, rescaled as the file says (HU for CT). Its notes say what had to be settled.

    Raises:
        VolumeError: if the path is missing, unreadable, damaged, not a 3-D scalar image, holds NaN or infinite voxels, or states a geometry
            that contradicts itself; see `nifti` and `read_dicom` for their rules.
        MissingPackageError: if pydicom is not installed, for DICOM.
    """
    path = Path(path)
    if is_dicom_path(path):
        return read_dicom(path, series, number, untilt).volume
    if series is not None:
        raise VolumeError(f"'{path}' is no DICOM folder, so it holds no series '{series}'.")
    if untilt:
        raise VolumeError(f"'{path}' is no DICOM series, whose slices could be shifted back (--untilt).")
    suffix = next((suffix for suffix in VOLUME_SUFFIXES if path.name.lower().endswith(suffix)), None)
    if suffix is None:
        raise VolumeError(f"'{path.name}' is of no known type. Expected {', '.join(VOLUME_SUFFIXES)} or a folder with a DICOM series.")
    return _READERS[suffix](path, number)


def is_dicom_path(path: Path) -> bool:
    """Whether a path is a folder, or a file that begins as DICOM under a name of no other kind. Raises VolumeError if it is missing."""
    try:
        path.stat()
        return path.is_dir() or (not path.name.lower().endswith(VOLUME_SUFFIXES) and begins_as_dicom(path))
    except OSError as exc:
        raise VolumeError(f"There is no file or folder '{path}' that can be read ({exc.strerror or exc}).") from exc
