"""PanelState: what the panel's controls depend on, read off the logic in one go. Imports the logic and the library's review."""

from __future__ import annotations

from dataclasses import dataclass

from SAM2AnnotateLib.errors import SAM2AnnotateError
from SAM2AnnotateLib.review import SliceStatus

from ..Dicom.SeriesFiles import comesFromDicom, isShifted, slicersOwnExporter
from ..Learning.LearningSection import LearningSection
from ..Review.Logic import AnnotationLogic
from ..Told import told


@dataclass(frozen=True)
class PanelState:
    """How things stand.

    Args:
        hasScene: False while the scene is being closed.
        hasVolume, hasSegmentation: whether one is chosen.
        fromDicom: whether the volume was loaded from a DICOM series.
        shifted: whether its slices were shifted back, as the gantry was tilted.
        ownExporter: where Slicer's own exporter of DICOM segmentations is; empty if it is not installed.
        newSegment: whether the next object gets a new segment.
        recoverable: whether work from before a crash waits for a decision.
        hasObject: whether an object is marked, with volume and segment in the scene.
        lockedCount: number of accepted and corrected slices.
        running: whether slices are being computed.
        stopping: whether that was cancelled, and the model has not stopped yet.
        correcting: whether a slice is open in the editor.
        onSlice: whether a view shows a slice of the volume along the object's axis.
        status: of the slice shown; None outside of first and last slice.
        acceptable: number of proposed slices from the center to the slice shown.
        together: number of slices that are expected to be good, and may be accepted together.
        due: number of slices that a propagation would compute.
        open: number of slices that are proposed or out of date.
        undoLabel, redoLabel: what would be taken back, or done again.
        failure: why the latest preview brought no mask; empty if it did, or is still to come.
        windowDiffers: whether the views show another gray window than the model is fed with.
        otherVolume: whether there is a volume without a reviewed object.
        lessons: number of slices to learn from; 0 if they are too few.
        learning: whether an object is being learned.
        learned: whether what was learned of the object is in use.
        endsOffered: whether first and last slice are proposed.
        searching: whether an object is being looked for by its prototypes.
    """

    hasScene: bool = True
    hasVolume: bool = False
    hasSegmentation: bool = False
    fromDicom: bool = False
    shifted: bool = False
    ownExporter: str = ""
    newSegment: bool = False
    recoverable: bool = False
    hasObject: bool = False
    lockedCount: int = 0
    running: bool = False
    stopping: bool = False
    correcting: bool = False
    onSlice: bool = False
    status: SliceStatus | None = None
    acceptable: int = 0
    together: int = 0
    due: int = 0
    open: int = 0
    undoLabel: str = ""
    redoLabel: str = ""
    failure: str = ""
    windowDiffers: bool = False
    otherVolume: bool = False
    lessons: int = 0
    learning: bool = False
    learned: bool = False
    endsOffered: bool = False
    searching: bool = False


def readState(
    logic: AnnotationLogic, position: int | None, recoverable: bool, otherVolume: bool, learning: LearningSection | None = None
) -> PanelState:
    """The state now.

    Args:
        position: of the slice shown; None if there is none.
        recoverable: whether a journal is being offered.
        otherVolume: whether there is a volume to go on with.
        learning: what can be learned, and is proposed.
    """
    if not logic.hasParameters:
        return PanelState(hasScene=False)
    parameters, annotated = logic.parameters, logic.current
    hasVolume = parameters.volume is not None and parameters.volume.GetImageData() is not None
    common = {
        "hasVolume": hasVolume,
        "hasSegmentation": parameters.segmentation is not None,
        "fromDicom": hasVolume and comesFromDicom(parameters.volume),
        "shifted": hasVolume and isShifted(parameters.volume),
        "ownExporter": slicersOwnExporter(),
        "recoverable": recoverable,
        "otherVolume": otherVolume,
        "running": logic.running,
        "stopping": logic.stopping,
        "correcting": logic.editor.active,
        "learning": learning is not None and learning.learner.running,
        "searching": learning is not None and learning.prototypes.running,
    }
    if annotated is None or not annotated.exists:
        return PanelState(newSegment=not parameters.segmentId, **common)
    session = annotated.session
    status = session.status(position) if position is not None and position in session.extent else None
    low, high = sorted((annotated.center, annotated.center if position is None else position))
    between = [p for p in range(low, high + 1) if p in session.extent]
    counts = annotated.counts()
    return PanelState(
        hasObject=True,
        lockedCount=len(session.locked),
        onSlice=position is not None,
        status=status,
        acceptable=0 if status is None else sum(session.status(p) is SliceStatus.PROPOSED for p in between),
        together=len(logic.expectedGood()),
        due=logic.dueSlices(),
        open=counts[SliceStatus.PROPOSED] + counts[SliceStatus.STALE],
        undoLabel=annotated.undoLabel,
        redoLabel=annotated.redoLabel,
        failure="" if logic.failure is None else told(logic.failure),
        windowDiffers=_windowDiffers(logic),
        lessons=0 if learning is None else learning.learner.lessonCount(annotated),
        learned=annotated.learned is not None,
        endsOffered=learning is not None and learning.offer.ends is not None,
        **common,
    )


def _windowDiffers(logic: AnnotationLogic) -> bool:
    try:
        return logic.windowDiffers()
    except SAM2AnnotateError:  # there is no window at all; the panel tells why beside the gray window
        return False
