"""DicomSegExport: the segments of a volume as DICOM SEG, written in a process of its own. Opens no dialog, knows no widget.

The main thread hands over masks and the names of files; reading the series, coding and writing are the command's. A file that was there
changes whole or not at all.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import slicer

from SAM2AnnotateLib.errors import OutputError, SAM2AnnotateError
from SAM2AnnotateLib.leftovers import temporary_folder
from SAM2AnnotateLib.nnunet.sources.dicom_job import DicomSegJob, TermedSegment, write_dicom_job

from ..Model.CommandProcess import CommandProcess
from ..Nnunet.NnunetCase import imageOf, segmentsOf
from ..Review.ObjectKeeper import ObjectKeeper
from .SeriesFiles import seriesFiles

Done = Callable[[SAM2AnnotateError | None, dict], None]


class DicomSegExport:
    """Does the work; one file at a time.

    Args:
        python: the interpreter and its options; Slicer's own by default.
    """

    def __init__(self, python: list[str] | None = None):
        self._command = CommandProcess(self._onReport, self._onEnd, python)
        self._done: Done | None = None
        self._result: dict = {}
        self._folder: tempfile.TemporaryDirectory | None = None

    @property
    def busy(self) -> bool:
        """Whether a file is being written."""
        return self._command.running

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
        try:
            self._folder = temporary_folder("dicom-seg", slicer.app.temporaryPath)
        except OSError as exc:
            raise OutputError(f"Slicer's temporary folder '{slicer.app.temporaryPath}' cannot be written to: {exc.strerror}.") from exc
        try:
            path = write_dicom_job(job, Path(self._folder.name))
            self._result = {}
            self._command.start(["dicom-seg-job", str(path)])
        except SAM2AnnotateError:
            self._removeFolder()
            raise
        self._done = done

    def cancel(self) -> None:
        """End the command; its receiver gets `Cancelled`."""
        self._command.cancel()

    def cleanup(self) -> None:
        """End what runs without telling anyone."""
        self._done = None
        self._command.kill()
        self._removeFolder()

    def _onReport(self, report: dict) -> None:
        if report.get("type") != "progress":
            self._result = report

    def _onEnd(self, error: SAM2AnnotateError | None) -> None:
        self._removeFolder()
        done, self._done = self._done, None
        if error is None and self._result.get("type") != "written":
            error = SAM2AnnotateError("The command ended without an answer. The log has the details.")
        if done is not None:
            done(error, self._result)

    def _removeFolder(self) -> None:
        folder, self._folder = self._folder, None
        if folder is not None:
            folder.cleanup()
