"""What tests of data sets begin with: reviewed objects of known voxels, an export form, and waiting for its commands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import slicer
from worlds import waitFor

from SAM2AnnotateLib.geometry import Extent
from SAM2AnnotateLib.prompts import SlicePrompt
from SAM2AnnotateLib.propagation import SliceResult
from SAM2AnnotateLib.review import ReviewSession
from SAM2AnnotateLib.volume_io import read_volume
from SAM2AnnotateSlicer.Nnunet.NnunetExport import ExportForm
from SAM2AnnotateSlicer.Nnunet.NnunetPlan import defaultRows
from SAM2AnnotateSlicer.Review.AnnotatedSegment import AnnotatedSegment, stackOf


def aSegmentation(volume, name="Segmentation"):
    """An empty segmentation on a volume, under its transform."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    return node


def drawn(node, volume, name: str, mask: np.ndarray) -> str:
    """A segment that nobody reviewed, with these voxels (k, j, i) of the volume; returns its id."""
    segmentId = node.GetSegmentation().AddEmptySegment("", name)
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), node, segmentId, volume)
    return segmentId


def reviewed(logic, node, volume, name: str, mask: np.ndarray, axis: str = "k", undecided: int = 0) -> AnnotatedSegment:
    """An object under review with these voxels (k, j, i) of the volume; all slices but the last `undecided` are locked."""
    stack = stackOf(volume, axis)
    upright = stack.view(mask)
    occupied = np.flatnonzero(upright.any(axis=(1, 2)))
    extent, center = Extent(int(occupied[0]), int(occupied[-1])), int(occupied[len(occupied) // 2])
    session = ReviewSession({center: SlicePrompt(mask=upright[center])}, extent, stack.frame_shape_rc)
    crop = logic.policy.crop_around(SlicePrompt(mask=upright[center]).bounding_box(), stack.frame_shape_rc, stack.frame_spacing_rc_mm)
    for n, position in enumerate(extent.indices):
        session.add_result(SliceResult(position, np.array(upright[position]), 0.9, 0.9, 0.1, crop, position == center))
        if position > extent.last - undecided:
            continue
        if n % 2:
            session.accept(position)
        else:
            session.correct(position, upright[position])
    segmentId = node.GetSegmentation().AddEmptySegment("", name)
    annotated = AnnotatedSegment(node, segmentId, volume, axis, session, {"center": center})
    annotated.show(extent.indices)
    logic.keeper.add(annotated)
    annotated.store()
    return annotated


def aForm(folder: Path, channels, node, caseId="p1", **changes) -> ExportForm:
    """A form for a new data set 7 "Test" in the folder, or one that is there by ``dataSet=``."""
    names = [node.GetSegmentation().GetNthSegment(n).GetName() for n in range(node.GetSegmentation().GetNumberOfSegments())]
    content = {
        "rawFolder": str(folder),
        "dataSet": "",
        "number": 7,
        "name": "Test",
        "caseId": caseId,
        "patientId": caseId,
        "channels": tuple((name, volume.GetID()) for name, volume in channels),
        "segmentationId": node.GetID(),
        "rows": tuple(defaultRows(names)),
    }
    return ExportForm(**{**content, **changes})


def outcome(exporter, start) -> tuple:
    """Call `start` with a receiver, wait for the command's end; (error, answer)."""
    heard = []
    start(lambda *ended: heard.append(ended))
    waitFor(lambda: heard, 60, "for a command")
    assert not exporter.busy
    return heard[0]


def exported(exporter, form, replace=False):
    """Export; returns the answer, fails with the error."""
    error, answer = outcome(exporter, lambda done: exporter.export(form, replace, done))
    assert error is None, error
    return answer


def written(folder: Path, caseId="p1", channels=1):
    """(volumes of the images, volume of the labels) of a training case."""
    images = [read_volume(folder / "imagesTr" / f"{caseId}_{n:04d}.nii.gz") for n in range(channels)]
    return images, read_volume(folder / "labelsTr" / f"{caseId}.nii.gz")
