"""What the panel shows and the scene keeps, typed. Imports slicer's parameter node wrapper only.

Objects themselves (prompts, extent, statuses) are kept with their segments, see `AnnotatedSegment.store`; here stands which one is chosen.
"""

import enum

from slicer import vtkMRMLMarkupsFiducialNode, vtkMRMLMarkupsROINode, vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.parameterNodeWrapper import parameterNodeWrapper


class Overlap(enum.Enum):
    """What becomes of a mask where another segment has voxels."""

    ALLOW = "allow"  # segments may overlap; the other one stays as it is
    KEEP_OFF = "keepOff"  # the mask leaves the other segment's voxels out


class AfterAccept(enum.Enum):
    """What the views show when a slice was accepted."""

    NEXT_OPEN = "nextOpen"  # the next slice that is not reviewed, the way that the person goes
    MOST_DOUBTFUL = "mostDoubtful"
    STAY = "stay"


@parameterNodeWrapper
class SAM2AnnotateParameterNode:
    """The module's state in the scene.

    volume: the image to annotate.
    segmentation: where segments are kept; made with the first object if None.
    segmentId: the segment being worked on; empty for one that is made with the next box.
    newSegmentName: what that new segment will be called.
    newSegmentTerminology: its serialized terminology entry; empty for none.
    newSegmentColor: the color that goes with it, three numbers 0..1 with commas; empty for none.
    roi: box and extent of the current object.
    positivePoints, negativePoints: clicks that refine the box.
    window: gray window, as `choose_mapping` knows it, or ``shown`` for the window that the views show.
    model: name of the model's checkpoint.
    device: where it runs: ``auto``, ``cpu``, ``cuda`` or ``mps``.
    overlap: whether masks keep off other segments.
    afterAccept: where Accept goes on to.
    """

    volume: vtkMRMLScalarVolumeNode
    segmentation: vtkMRMLSegmentationNode
    segmentId: str
    newSegmentName: str
    newSegmentTerminology: str
    newSegmentColor: str
    roi: vtkMRMLMarkupsROINode
    positivePoints: vtkMRMLMarkupsFiducialNode
    negativePoints: vtkMRMLMarkupsFiducialNode
    window: str = "auto"
    model: str = "bundled"
    device: str = "auto"
    overlap: Overlap = Overlap.ALLOW
    afterAccept: AfterAccept = AfterAccept.NEXT_OPEN
