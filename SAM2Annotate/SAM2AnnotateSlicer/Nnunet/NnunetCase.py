"""NnunetCase: a volume and its segments as a case for nnU-Net, with what the reviews say. Imports slicer, the library and AnnotatedSegment.

Everything lies in the local frame of the case's first image, that of its own matrix: parent transforms of that image are not applied, so
that image and label are written on the very voxels that were annotated. Nodes under other transforms are brought into that frame.
"""

from __future__ import annotations

import re

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.geometry import VolumeGrid
from SAM2AnnotateLib.nnunet.cases.masks import cut_to_content
from SAM2AnnotateLib.nnunet.data_sets.job import JobImage, JobSegment
from SAM2AnnotateLib.review.stored_object import pack_object

from ..Review.AnnotatedSegment import AnnotatedSegment
from ..Review.ObjectKeeper import ObjectKeeper
from ..Scene.SceneBridge import localToWorld, volumeFromNode
from ..Scene.SegmentLabelmap import binaryLabelmapName


def imageOf(volumeNode, firstNode, withVoxels: bool) -> JobImage:
    """A volume as a channel of the case whose first image is `firstNode`.

    Raises:
        VolumeError: if it holds no scalar voxels.
        InputError: under a non-linear transform.
    """
    volume = volumeFromNode(volumeNode)
    grid = _moved(volume.grid, volumeNode, firstNode)
    return JobImage(grid, volumeNode.GetName(), volume.modality, volume.array_kji if withVoxels else None)


def segmentsOf(segmentationNode, firstNode, keeper: ObjectKeeper) -> tuple[JobSegment, ...]:
    """All segments, in their order: reviewed ones as their reviews have them, the others as their labelmaps.

    What a person changed in a reviewed segment since is taken over first, as everywhere.

    Raises:
        InputError: if a segment has no labelmap, a stored review cannot be used, or a transform is not linear.
    """
    found = []
    for segmentId in segmentationNode.GetSegmentation().GetSegmentIDs():
        annotated = keeper.find(segmentationNode, segmentId)
        if annotated is None:
            found.append(_fromLabelmap(segmentationNode, segmentId, firstNode))
            continue
        if annotated.noticeEdits():
            keeper.store(annotated)
        found.append(_fromReview(annotated, firstNode))
    return tuple(found)


def defaultCaseId(volumeNode) -> str:
    """The volume's name with what cannot stand in a case's id replaced."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", volumeNode.GetName()).strip("_.-")[:120]


def patientIdOf(volumeNode) -> str:
    """The patient's id as DICOM has it; empty if the subject hierarchy does not know it."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(volumeNode.GetScene())
    item = hierarchy.GetItemByDataNode(volumeNode) if hierarchy is not None else 0
    if not item:
        return ""
    patient = hierarchy.GetItemAncestorAtLevel(item, "Patient")
    if not patient:
        return ""
    return (hierarchy.GetItemAttribute(patient, "DICOM.PatientID") or hierarchy.GetItemUID(patient, "DICOM")).strip()


def codesOf(segment) -> tuple[str, ...]:
    """Terminology codes of type and region, each as ``SCHEME:VALUE`` or with its modifier."""
    entry = slicer.vtkSlicerTerminologyEntry()
    if not segment.GetTerminology() or not slicer.modules.terminologies.logic().DeserializeTerminologyEntry(
        segment.GetTerminology(), entry
    ):
        return ()
    codes = []
    for code, modifier in (
        (entry.GetTypeObject(), entry.GetTypeModifierObject()),
        (entry.GetRegionObject(), entry.GetRegionModifierObject()),
    ):
        if code is not None and code.GetCodingSchemeDesignator() and code.GetCodeValue():
            codes.append("+".join(_codeText(one) for one in (code, modifier) if one is not None and one.GetCodeValue()))
    return tuple(codes)


def _codeText(code) -> str:
    return f"{code.GetCodingSchemeDesignator()}:{code.GetCodeValue()}"


def _fromReview(annotated: AnnotatedSegment, firstNode) -> JobSegment:
    """Slices of the extent as decided; beyond the extent, what a person drew there."""
    grid = volumeFromNode(annotated.volumeNode).grid
    mask = np.zeros(grid.shape_kji, dtype=bool)
    upright = annotated.stack.view(mask)
    for position in annotated.session.extent.indices:
        decided = annotated.session.mask(position)
        if decided is not None:
            upright[position] = decided
    for index in annotated.labelmap.occupiedSlices():
        position = annotated.stack.position_of(index)
        if position not in annotated.session.extent:
            upright[position] = annotated.stack.frame_from_slice(annotated.labelmap.readSlice(index))
    moved = _moved(grid, annotated.volumeNode, firstNode)
    segment = annotated.labelmap.segment
    return JobSegment(annotated.name, cut_to_content(moved, mask), codesOf(segment), pack_object(annotated.journaled()), moved)


def _fromLabelmap(segmentationNode, segmentId: str, firstNode) -> JobSegment:
    segment = segmentationNode.GetSegmentation().GetSegment(segmentId)
    image = segment.GetRepresentation(binaryLabelmapName())
    if image is None and segment.GetRepresentation(slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()):
        raise InputError(
            f"The segment '{segment.GetName()}' is a surface without a labelmap. Create one: Segmentations module, Representations, "
            "Binary labelmap."
        )
    if image is None or image.IsEmpty() or image.GetPointData().GetScalars() is None:
        grid = volumeFromNode(firstNode).grid
        return JobSegment(segment.GetName(), cut_to_content(grid, np.zeros(grid.shape_kji, dtype=bool)), codesOf(segment))
    array = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1]) == segment.GetLabelValue()
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    imageToLocal = slicer.util.arrayFromVTKMatrix(matrix)
    imageToLocal[:3, 3] += imageToLocal[:3, :3] @ np.array(image.GetExtent()[::2])
    grid = _moved(VolumeGrid(array.shape, imageToLocal), segmentationNode, firstNode)
    return JobSegment(segment.GetName(), cut_to_content(grid, array), codesOf(segment))


def _moved(grid: VolumeGrid, node, firstNode) -> VolumeGrid:
    """A grid in a node's local frame, in the local frame of the first image."""
    here, there = localToWorld(node), localToWorld(firstNode)
    if np.array_equal(here, there):
        return grid
    matrix = np.linalg.inv(there) @ here @ grid.ijk_to_ras
    matrix[3] = 0, 0, 0, 1
    return VolumeGrid(grid.shape_kji, matrix)
