"""SampleRun: the sample case loaded and marked, so that a newcomer sees the whole flow. Imports slicer and the library's simulation."""

from __future__ import annotations

import numpy as np
import slicer

from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.geometry import SliceStack
from SAM2AnnotateLib.simulation.gestures import gestures_from_truth
from SAM2AnnotateLib.volume_io import read_volume

from ..Review.AnnotatedSegment import boundsOf, stackOf
from .SampleData import SAMPLE_NODE_NAME, sampleFolder

_ATTRIBUTE = "SAM2Annotate.Sample"
_SEED = 3  # of the small error of a hand that draws a box


def loadSample(scene):
    """The sample's volume node: the one that was loaded before, or a new one.

    Raises:
        InputError: if the case is not installed or cannot be read.
    """
    for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode", scene):
        if node.GetAttribute(_ATTRIBUTE):
            return node
    image = sampleFolder() / "image.nii.gz"
    if not image.is_file():
        raise InputError(f"The sample case is not installed: expected '{image}'. Install the extension again.")
    node = slicer.util.loadVolume(str(image), {"name": SAMPLE_NODE_NAME})
    if not node:
        raise InputError(f"Slicer could not read the sample case '{image}'. Its error log says why.")
    node.SetAttribute(_ATTRIBUTE, "ct_sarcoma_003")
    return node


def sampleMarking(volumeNode) -> tuple[str, int, np.ndarray]:
    """What a person would mark on the sample: axis, voxel index of the center slice, (3, 2) half-open bounds of i, j, k.

    They follow from the experts' mask that ships with the case, with the small error of a hand.
    """
    truth = read_volume(sampleFolder() / "label.nii.gz")
    axis = SliceStack.along(truth.grid, "axial").index_axis
    stack = stackOf(volumeNode, axis)
    gestures = gestures_from_truth(truth.array_kji != 0, stack, np.random.default_rng(_SEED))
    return axis, stack.index_of(gestures.center), boundsOf(stack, gestures.box, gestures.extent)
