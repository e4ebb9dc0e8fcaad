"""Small DICOM files for tests: every value can be set, left out, or differ by slice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

CT, MR, PT, ENHANCED_CT, ENHANCED_MR = (
    f"1.2.840.10008.5.1.4.1.1.{rest}" for rest in ("2", "4", "128", "2.1", "4.1")
)  # fmt: skip
RT_DOSE, NUCLEAR, STRUCTURED_REPORT = (f"1.2.840.10008.5.1.4.1.1.{rest}" for rest in ("481.2", "20", "88.11"))
SERIES = "1.2.826.0.1.3680043.8.498.11"
Change = Callable[[int, Dataset], None]


def an_image(stored: np.ndarray, number: int = 1, sop_class: str = CT, modality: str = "CT", series: str = SERIES) -> Dataset:
    """An image without a place: (rows, columns) or (frames, rows, columns) integers of 8 or 16 bits."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, f"{series}.{number}"
    image = Dataset()
    image.file_meta = meta
    image.SOPClassUID, image.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    image.PatientID, image.PatientName = "P1", "Test^A"
    image.PatientBirthDate = image.PatientSex = image.StudyDate = image.StudyTime = ""
    image.AccessionNumber = image.ReferringPhysicianName = ""
    image.StudyID = "1"
    image.StudyInstanceUID, image.SeriesInstanceUID, image.FrameOfReferenceUID = "1.2.826.0.1.3680043.8.498.1", series, series + ".9"
    image.Modality, image.SeriesNumber, image.InstanceNumber = modality, 1, number
    image.Rows, image.Columns = stored.shape[-2:]
    if stored.ndim == 3:
        image.NumberOfFrames = len(stored)
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    bits = stored.dtype.itemsize * 8
    image.BitsAllocated, image.BitsStored, image.HighBit = bits, bits, bits - 1
    image.PixelRepresentation = int(stored.dtype.kind == "i")
    image.PixelData = stored.tobytes()
    return image


def a_slice(stored: np.ndarray, number: int, position=(0.0, 0.0, 0.0), orientation=(1, 0, 0, 0, 1, 0), **further) -> Dataset:
    """One slice of a series; pixels of 2 (between rows) x 1 (between columns) mm, 3 mm thick."""
    image = an_image(stored, number, **further)
    image.ImagePositionPatient, image.ImageOrientationPatient = list(position), list(orientation)
    image.PixelSpacing, image.SliceThickness = [2, 1], 3
    image.RescaleSlope, image.RescaleIntercept = "1", "0"
    return image


def write(image: Dataset, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save_as(path, enforce_file_format=True)
    return path


def a_stack(folder: Path, stored: np.ndarray, change: Change | None = None, z_mm: Sequence[float] | None = None, **further) -> Path:
    """A series of (slices, rows, columns), 3 mm apart unless told otherwise, each slice changed as the caller likes."""
    for k, plane in enumerate(stored):
        image = a_slice(plane, k + 1, (-5, 7, 3.0 * k if z_mm is None else z_mm[k]), **further)
        if change is not None:
            change(k, image)
        write(image, folder / f"i{k}.dcm")
    return folder


def item(**values) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def an_enhanced(stored: np.ndarray, z_mm: Sequence[float], frame: Callable[[int], dict] | None = None, **further) -> Dataset:
    """An enhanced image of (frames, rows, columns); `frame` gives further functional groups of each."""
    image = an_image(stored, sop_class=further.pop("sop_class", ENHANCED_CT), **further)
    image.SharedFunctionalGroupsSequence = [
        item(
            PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
            PixelMeasuresSequence=[item(PixelSpacing=[2, 1], SliceThickness=3)],
        )
    ]
    image.PerFrameFunctionalGroupsSequence = [
        item(PlanePositionSequence=[item(ImagePositionPatient=[-5, 7, z])], **({} if frame is None else frame(n)))
        for n, z in enumerate(z_mm)
    ]
    return image


def read_back(path: Path) -> Dataset:
    return pydicom.dcmread(path)
