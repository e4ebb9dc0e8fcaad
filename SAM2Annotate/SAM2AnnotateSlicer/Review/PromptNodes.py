"""The nodes that a person prompts with, as prompts and back: the ROI and the two lists of points. Imports slicer, RoiBox, prompts."""

from __future__ import annotations

import numpy as np
import slicer

from SAM2AnnotateLib.errors import PromptError
from SAM2AnnotateLib.geometry import Box2D, Extent
from SAM2AnnotateLib.prompts import Point, SlicePrompt

from ..Scene.RoiBox import createRoi, readRoi, setRoi
from ..Scene.SceneBridge import worldToIjk
from .AnnotatedSegment import AnnotatedSegment, boxAndExtent


def roiBoxAndExtent(annotated: AnnotatedSegment, roiNode) -> tuple[Box2D, Extent]:
    """Box and extent that an ROI stands for; the extent always holds the center slice.

    Raises:
        PromptError: if it lies outside the volume.
    """
    box, extent = boxAndExtent(annotated.stack, readRoi(roiNode, annotated.volumeNode))
    return box, Extent(min(extent.first, annotated.center), max(extent.last, annotated.center))


def placeRoi(annotated: AnnotatedSegment, roiNode):
    """Put the ROI, a new one if it is None, around the object; returns it."""
    if roiNode is None:
        roiNode = createRoi(annotated.volumeNode, annotated.boundsIjk(), "SAM2Annotate box")
    else:
        setRoi(roiNode, annotated.volumeNode, annotated.boundsIjk())
    roiNode.SetDisplayVisibility(True)
    return roiNode


def pointPrompts(annotated: AnnotatedSegment, positiveNode, negativeNode) -> tuple[dict[int, SlicePrompt], list[str]]:
    """The prompts by position that the points stand for, with the object's box on its center slice.

    Returns:
        The prompts, and for the user what was left out and why.
    """
    byPosition: dict[int, list[Point]] = {}
    outside = 0
    for node, positive in ((positiveNode, True), (negativeNode, False)):
        for ijk in _definedPointsIjk(node, annotated.volumeNode):
            byAxis = dict(zip("ijk", ijk, strict=True))
            try:
                position = annotated.stack.position_of(byAxis[annotated.axis])
                row, col = annotated.stack.point_of([byAxis[axis] for axis in annotated.stack.in_plane_axes])
            except PromptError:
                outside += 1
                continue
            if position in annotated.session.extent:
                byPosition.setdefault(position, []).append(Point(row, col, positive))
            else:
                outside += 1
    leftOut = [f"{outside} points lie outside the object's first and last slice and are not used."] if outside else []
    center = annotated.session.prompts.get(annotated.center)
    boxes = {annotated.center: center.box} if center is not None and center.box is not None else {}
    prompts = {}
    for position in sorted({*byPosition, *boxes}):
        points, box = tuple(byPosition.get(position, ())), boxes.get(position)
        if box is None and not any(point.positive for point in points):
            shown = annotated.stack.index_of(position)
            leftOut.append(f"The - points on slice {shown} are not used before there is a + point on that slice.")
        else:
            prompts[position] = SlicePrompt(box=box, points=points)
    return prompts, leftOut


def showPoints(annotated: AnnotatedSegment | None, positiveNode, negativeNode) -> None:
    """Put the points of an object's prompts into the nodes; of None no points."""
    for node, positive in ((positiveNode, True), (negativeNode, False)):
        if node is None:
            continue
        node.RemoveAllControlPoints()
        if annotated is None:
            continue
        if node.GetTransformNodeID() != annotated.volumeNode.GetTransformNodeID():
            node.SetAndObserveTransformNodeID(annotated.volumeNode.GetTransformNodeID())
        for position, prompt in annotated.session.prompts.items():
            for point in prompt.points:
                if point.positive == positive:
                    node.AddControlPoint(annotated.pointLocal(position, point))


def _definedPointsIjk(node, volumeNode) -> list[list[int]]:
    """Voxel indices (i, j, k) of the points that are placed; a preview under the mouse does not count."""
    if node is None:
        return []
    defined = slicer.vtkMRMLMarkupsNode.PositionDefined
    placed = [n for n in range(node.GetNumberOfControlPoints()) if node.GetNthControlPointPositionStatus(n) == defined]
    world = [node.GetNthControlPointPositionWorld(n) for n in placed]
    return np.floor(worldToIjk(volumeNode, world) + 0.5).astype(int).tolist() if world else []
