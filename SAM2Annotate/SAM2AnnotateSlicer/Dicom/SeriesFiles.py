"""SeriesFiles: the DICOM files that a volume was loaded from, and whether Slicer has an exporter of its own. Imports slicer.

Slicer's DICOM module writes the SOP instance UIDs of a volume's images to an attribute of its node; its database knows their files. What
the worklist loads carries the folder of its series.
"""

from __future__ import annotations

from pathlib import Path

import slicer
from slicer.i18n import tr as _

from SAM2AnnotateLib.errors import InputError

INSTANCES = "DICOM.instanceUIDs"  # Slicer's own attribute
FOLDER = "SAM2Annotate.DicomFolder"  # ours: of a series that the worklist has read
SHIFTED = "SAM2Annotate.SlicesShifted"  # ours: of a series of a tilted gantry whose slices the worklist has shifted back
_EXPORTER = "DICOMSegmentationPlugin"  # the module of the extension QuantitativeReporting that reads and writes DICOM SEG


def comesFromDicom(volumeNode) -> bool:
    """Whether a volume says which DICOM images it was loaded from. Cheap."""
    return volumeNode is not None and bool(volumeNode.GetAttribute(FOLDER) or volumeNode.GetAttribute(INSTANCES))


def isShifted(volumeNode) -> bool:
    """Whether a volume's voxels are not its DICOM images' any more, because slices of a tilted gantry were shifted back. Cheap."""
    return volumeNode is not None and bool(volumeNode.GetAttribute(SHIFTED))


def seriesFiles(volumeNode) -> tuple[Path, ...]:
    """The files of the volume's images, or the one folder that holds its series and nothing else to choose from. Nothing is read.

    Raises:
        InputError: if it was loaded from none, or they are gone.
    """
    name = volumeNode.GetName()
    folder = volumeNode.GetAttribute(FOLDER)
    if folder:
        if not Path(folder).is_dir():
            raise InputError(f"The folder '{folder}', from which '{name}' was loaded, is gone.")
        return (Path(folder),)
    uids = (volumeNode.GetAttribute(INSTANCES) or "").split()
    if isShifted(volumeNode):
        raise InputError(
            f"The slices of '{name}' were shifted back, and a DICOM segmentation refers to the images as they are. "
            "Press 'Save segmentation...' instead."
        )
    if not uids:
        raise InputError(
            f"'{name}' was loaded from no DICOM series, to which a DICOM segmentation refers. Press 'Save segmentation...' instead."
        )
    database = getattr(slicer, "dicomDatabase", None)
    files = [""] * len(uids) if database is None else [database.fileForInstance(uid) for uid in uids]
    lost = sum(not file or not Path(file).is_file() for file in files)
    if lost:
        raise InputError(
            f"Slicer's DICOM database does not know {lost} of the {len(uids)} images of '{name}', or their files are gone. Import the "
            "series in the DICOM module again."
        )
    return tuple(Path(file) for file in files)


def slicersOwnExporter() -> str:
    """Where Slicer's own exporter of DICOM segmentations is, in words; empty if it is not installed."""
    if slicer.app.moduleManager().module(_EXPORTER) is None:
        return ""
    return _(
        "Slicer's own exporter (QuantitativeReporting) is installed: right-click the segmentation in the Data module, Export to DICOM."
    )
