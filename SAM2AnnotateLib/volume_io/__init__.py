"""Volumes from and to files. File conventions end here. Imports geometry, errors and (inside functions) SimpleITK and pydicom."""

from .dicom_files import is_dicom_folder
from .dicom_series import DicomVolume, SliceSource, read_dicom, read_dicom_files
from .read import VOLUME_SUFFIXES, is_dicom_path, read_volume
from .resample import resample_nearest
from .write import write_volume

__all__ = [
    "VOLUME_SUFFIXES",
    "DicomVolume",
    "SliceSource",
    "is_dicom_folder",
    "is_dicom_path",
    "read_dicom",
    "read_dicom_files",
    "read_volume",
    "resample_nearest",
    "write_volume",
]
