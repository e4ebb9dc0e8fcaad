"""DicomSegExport: the segments of a volume as DICOM SEG, written in a process of its own. Opens no dialog, knows no widget.

The main thread hands over masks and the names of files; reading the series, coding and writing are the command's. A file that was there
changes whole or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from SAM2AnnotateLib.nnunet.sources.dicom_job import DicomSegJob, TermedSegment, write_dicom_job

from ..Model.JobCommand import Done, JobCommand
from ..Nnunet.NnunetCase import imageOf, segmentsOf
from ..Review.ObjectKeeper import ObjectKeeper
from .SeriesFiles import seriesFiles


class DicomSegExport:
    """Does the work; one file at a time.

    Args:
        python: the interpreter and its options; Slicer's own by default.
    """

    def __init__(self, python: Sequence[str] | None = None):
        self._command = JobCommand(python)

    @property
    def busy(self) -> bool:
        """Whether a file is being written."""
        return self._command.busy

    def start(self, volumeNode, segmentationNode, keeper: ObjectKeeper, output: str, done: Done) -> None:
        """Write all segments that have voxels; `done` gets None and the answer of ``dicom-seg-job``, or the error.

        Raises:
            SAM2AnnotateError: if the volume comes from no DICOM series, or its segments cannot be handed over.
        """
        files = seriesFiles(volumeNode)
        segmentation = segmentationNode.GetSegmentation()
        masks = segmentsOf(segmentationNode, volumeNode, keeper)
        segments = []
        for segmentId, one in zip(segmentation.GetSegmentIDs(), masks, strict=True):
            reviewed = keeper.find(segmentationNode, segmentId) is not None
            entry = segmentation.GetSegment(segmentId).GetTerminology() or ""
            segments.append(TermedSegment(one.name, one.mask, entry, "SEMIAUTOMATIC" if reviewed else "MANUAL"))
        job = DicomSegJob(files, imageOf(volumeNode, volumeNode, withVoxels=False).grid, tuple(segments), Path(output))
        self._command.startIn("dicom-seg", lambda folder: ["dicom-seg-job", str(write_dicom_job(job, folder))], done)

    def cancel(self) -> None:
        """End the command; its receiver gets `Cancelled`."""
        self._command.cancel()

    def cleanup(self) -> None:
        """End what runs without telling anyone."""
        self._command.cleanup()
