"""PanelControls: every control of the panel: its keys, what it is for, and why it cannot be used now. Imports PanelState; no Qt.

Here, and nowhere else, it is decided what is enabled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from slicer.i18n import tr as _

from SAM2AnnotateLib.review import SliceStatus

from .PanelState import PanelState

_LOCKED = (SliceStatus.ACCEPTED, SliceStatus.CORRECTED)
_EXPLAINED = {
    "image": ("volume",),
    "box": ("drawBox", "firstSlice"),
    "propagate": ("propagate",),
    "review": ("accept", "nextDoubtful"),
    "save": ("save", "exportNnunet", "nextVolume"),
    "settings": ("window",),
}
_EDITING_KEYS = frozenset({"A", "Shift+A", "C", "X", "B", "E", "F", "L", "U", "N"})
_DRAW_KEYS = frozenset({"Return", "Enter"})

# What is done to the slice shown, so that the user must have seen it; and what shows another one.
DECISIONS = frozenset({"accept", "acceptUpTo", "correct", "noObject", "unlock", "firstSlice", "lastSlice"})
# What may open a dialog, while which the views go on being drawn.
ASKING = frozenset(
    {
        "discard",
        "exportNnunet",
        "keepPrototype",
        "loadProposals",
        "nextVolume",
        "save",
        "saveDicom",
        "setUp",
        "terminology",
        "worklist",
    }
)
MOVES = frozenset({"goToCenter", "nextDoubtful", "sliceUp", "sliceDown"})


@dataclass(frozen=True)
class Control:
    """One control.

    Args:
        name: what it does.
        needs: conditions of `_unmet`, the first that is not met is the reason why it is disabled.
        toolTip: what it is for.
        keys: that do the same, as QKeySequence reads them.
        widgets: object names; by default the name with ``Button``.
    """

    name: str
    needs: tuple[str, ...]
    toolTip: str
    keys: tuple[str, ...] = ()
    widgets: tuple[str, ...] = ()

    @property
    def objectNames(self) -> tuple[str, ...]:
        """Object names of its widgets."""
        return self.widgets or (f"{self.name}Button",)


def controls() -> tuple[Control, ...]:
    """All controls, in the order of the panel."""
    change = ("object", "decided", "notCorrecting")
    decide = (*change, "onSlice", "inExtent")
    drawn = ("object", "notCorrecting")
    return (
        Control("recover", ("recoverable",), _("Bring the scene up to what the journal holds; what the scene lacks gets new segments.")),
        Control("discard", ("recoverable",), _("Remove the journal. What it holds is lost.")),
        Control("volume", ("scene", "decided", "notCorrecting"), _("The image to annotate."), widgets=("volumeSelector",)),
        Control("worklist", (), _("A folder of volumes to annotate one after another, and how far each one is.")),
        Control(
            "segmentation",
            ("volume", "decided", "notCorrecting"),
            _("Where segments are kept; a new segmentation is made with the first object."),
            widgets=("segmentationSelector",),
        ),
        Control(
            "segment",
            ("volume", "decided", "notCorrecting"),
            _("The segment to work on: a new one, or one to go on with. Slices that are drawn already count as corrected."),
            widgets=("segmentComboBox",),
        ),
        Control("segmentName", ("newSegment",), _("Name of the next new segment."), widgets=("segmentNameEdit",)),
        Control("terminology", ("newSegment",), _("Choose name, code and color of the new segment from a terminology.")),
        Control(
            "window",
            ("volume", "notCorrecting"),
            _("Which gray values the model sees. The views show the same ones."),
            widgets=("windowComboBox",),
        ),
        Control("showFed", ("volume",), _("Give the views the gray window that the model is fed with.")),
        Control(
            "model",
            ("scene", "notCorrecting"),
            _("Draws the masks. 'bundled' is small and always there; the others are downloaded once, in the set-up, or run on a server."),
            widgets=("modelComboBox",),
        ),
        Control("setUp", (), _("What is installed, what is missing, and the models.")),
        Control(
            "keepOff",
            ("scene",),
            _("Leave out pixels that other segments own. Otherwise segments may overlap; other segments are never changed."),
            widgets=("keepOffCheckBox",),
        ),
        Control(
            "trySample",
            ("scene", "decided", "notCorrecting"),
            _("Load the CT of a sarcoma that ships with the extension, mark it and propagate."),
        ),
        Control(
            "drawBox",
            ("volume", "decided", "notCorrecting", "notLocked"),
            _("Drag a box around the object on its center slice, in any slice view; a click draws a small one."),
            ("B",),
        ),
        Control("addPositive", change, _("Click on what belongs to the object but was left out. Press again, or Escape, to end.")),
        Control("addNegative", change, _("Click on what does not belong to the object. Press again, or Escape, to end.")),
        Control(
            "firstSlice",
            (*change, "onSlice"),
            _("The object begins, or ends, on the slice shown: it is the end on this side of the center slice."),
            ("F",),
        ),
        Control(
            "lastSlice",
            (*change, "onSlice"),
            _("The object ends, or begins, on the slice shown: it is the end on this side of the center slice."),
            ("L",),
        ),
        Control("extent", change, _("First and last slice of the object, as voxel indices of the volume."), widgets=("extentRange",)),
        Control(
            "takeExtent",
            (*change, "endsOffered"),
            _("Make the proposed first and last slice yours. An end that you marked stays. Or set your own: F and L."),
            ("E",),
        ),
        Control(
            "prototype",
            ("volume", "decided", "notCorrecting", "notSearching"),
            _("An object that was kept as a prototype."),
            widgets=("prototypeComboBox",),
        ),
        Control(
            "proposeObject",
            ("volume", "decided", "notCorrecting", "notSearching"),
            _("Look for that object in this volume. What is found is proposed slice by slice, nothing is locked."),
        ),
        Control("stopProposing", ("searching",), _("Stop looking. Nothing is changed.")),
        Control("goToCenter", ("object",), _("Show the slice that the box was drawn on.")),
        Control(
            "nextObject",
            change,
            _("Keep this object and make ready for a box around another one, in a new segment."),
            widgets=("nextObjectButton", "nextObjectAfterSaveButton"),
        ),
        Control(
            "propagate",
            (*change, "notRunning", "due"),
            _("Carry the mask through all slices that are neither accepted nor corrected."),
            ("Return", "Enter"),
        ),
        Control("cancel", ("running", "notStopping"), _("Stop computing. Finished slices are kept.")),
        Control("follow", (), _("Let the views follow the slices as they are computed."), widgets=("followCheckBox",)),
        Control(
            "accept",
            (*decide, "computed", "upToDate", "sliceNotLocked"),
            _("The mask of this slice is right: lock it, and go on to the next open slice."),
            ("A",),
        ),
        Control("afterAccept", ("scene",), _("Which slice is shown when one was accepted."), widgets=("afterAcceptComboBox",)),
        Control("acceptUpTo", (*decide, "acceptable"), _("Accept every proposed slice from the center slice to this one."), ("Shift+A",)),
        Control(
            "acceptTogether",
            (*change, "notRunning", "together"),
            _("Lock these slices as they are, unseen. What is expected may be wrong: one step of undo takes it back."),
        ),
        Control("correct", decide, _("Paint, erase, draw or threshold on this slice, and on no other."), ("C",)),
        Control("noObject", decide, _("The object is not on this slice: empty it and lock it."), ("X",)),
        Control("unlock", (*decide, "sliceLocked"), _("Make this accepted or corrected slice a proposal again."), ("U",)),
        Control("nextDoubtful", ("object", "open"), _("Show the slice that is most in doubt."), ("N",)),
        Control(
            "sliceUp", ("object",), _("One slice on, as the arrow key does in Slicer: towards the head, the front, or the right."), ("Up",)
        ),
        Control("sliceDown", ("object",), _("One slice back: towards the feet, the back, or the left."), ("Down",)),
        Control(
            "undo", ("object", "decided", "undoable"), _("Take the last step back. Not Ctrl+Z: Slicer's main window owns that key."), ("Z",)
        ),
        Control(
            "redo",
            ("object", "decided", "redoable"),
            _("Do the step again that was taken back. Not Ctrl+Y: Slicer's main window owns that key."),
            ("Y",),
        ),
        Control(
            "finish",
            ("correcting",),
            _(
                "Take the drawing as this slice's mask, lock it, and compute the slices beside it again. "
                "While Draw is active Enter belongs to it and closes its contour: then this button or Ctrl+Enter finishes."
            ),
            ("Return", "Enter", "Ctrl+Return", "Ctrl+Enter"),
        ),
        Control(
            "leave", ("correcting",), _("Forget the drawing. The first Escape puts the effect away, the next one forgets."), ("Escape",)
        ),
        Control("paintTool", ("correcting",), _("Paint on this slice; Shift and the mouse wheel change the brush. Press again to end it.")),
        Control("eraseTool", ("correcting",), _("Erase on this slice; Shift and the mouse wheel change the brush. Press again to end it.")),
        Control(
            "drawTool",
            ("correcting",),
            _("Draw an outline on this slice; a right click or Enter closes it. Press again to end it."),
        ),
        Control(
            "thresholdTool",
            ("correcting",),
            _("Choose a range of gray values; what 'Fill' would mark is shown meanwhile, on this slice. Press again to end it."),
        ),
        Control("brush", ("correcting",), _("Diameter of the brush, as a share of the view."), widgets=("brushSlider",)),
        Control("range", ("correcting",), _("The gray values that are marked."), widgets=("grayRange",)),
        Control(
            "nearBox",
            ("correcting",),
            _("Mark only inside the object's box and a margin around it; else on the whole slice."),
            widgets=("nearBoxCheckBox",),
        ),
        Control("fill", ("correcting",), _("Make what is shown this slice's drawing. Undo brings the drawing before back.")),
        Control(
            "learn",
            (*change, "notLearning", "lessons"),
            _(
                "Let the model learn this object from the accepted and corrected slices, in about 15 s. Then the open slices are proposed "
                "anew, if that is better on slices held out; locked ones stay. One step of undo takes it back."
            ),
        ),
        Control("stopLearning", ("learning",), _("Stop learning. Nothing is changed.")),
        Control("forget", (*change, "learned"), _("Go back to the model as it came: the open slices are proposed anew. The file is kept.")),
        Control(
            "learned",
            ("scene", "decided", "notCorrecting", "notLearning"),
            _("What the model knows of the object: nothing, or what was learned before. It holds for this object, or for the next one."),
            widgets=("learnedComboBox",),
        ),
        Control("showMask", drawn, _("Draw the masks in the slice views, or hide them to see what lies beneath."), ("G",)),
        Control("outlineOnly", drawn, _("Draw masks as outlines only, or filled."), ("O",)),
        Control("fainter", drawn, _("Fill masks more faintly."), (",",)),
        Control("stronger", drawn, _("Fill masks more strongly."), (".",)),
        Control("show3D", drawn, _("Show this object, and no other, in the 3-D views. Its surface is made anew after each step.")),
        Control("save", ("segmentation",), _("Write the segmentation, with the state of its review, to a file.")),
        Control(
            "exportNnunet",
            ("volume", "segmentation", "decided", "notCorrecting"),
            _("Write image and segments as a case of an nnU-Net data set, and check the data set."),
        ),
        Control(
            "saveDicom",
            ("volume", "segmentation", "notShifted", "fromDicom", "noOwnExporter", "decided", "notCorrecting"),
            _("Write the segments as DICOM SEG of the series that the volume was loaded from, coded as their terminology says."),
        ),
        Control(
            "keepPrototype",
            (*change, "locked"),
            _("Keep the locked slices as a prototype, to find this object on other volumes. It holds pictures of the patient."),
        ),
        Control(
            "loadProposals",
            ("volume", "decided", "notCorrecting"),
            _("Bring what a trained nnU-Net predicted on this volume as segments to review, slice by slice."),
        ),
        Control(
            "nextVolume",
            ("otherVolume", "decided", "notCorrecting"),
            _("Go on with the next volume of the scene that has no reviewed object."),
        ),
    )


def whyNot(control: Control, state: PanelState) -> str:
    """Why a control cannot be used; empty if it can."""
    unmet = _unmet(state)
    return next((unmet[need] for need in control.needs if need in unmet), "")


def hints(reasons: Mapping[str, str], state: PanelState) -> dict[str, str]:
    """What stands beside the buttons of a section while they cannot be used: a tooltip alone would have to be looked for.

    Args:
        reasons: why each control cannot be used, by its name; empty for those that can.

    Returns:
        The reason by section; empty where there is nothing to explain.
    """
    said = {name: next((reasons[one] for one in of if reasons.get(one)), "") for name, of in _EXPLAINED.items()}
    if state.running:
        said["propagate"] = ""  # the progress is seen
    if state.status in _LOCKED:
        said["review"] = ""  # the line of the slice says that it is accepted or corrected
    if state.correcting:
        said = dict.fromkeys(said, "") | {"image": said["image"]}  # the panel is about one slice now; the first hint says how it ends
    return said


def toolTipOf(control: Control, reason: str = "") -> str:
    """What the user reads over a control: what it is for, its keys, why it is disabled."""
    keys = " (" + ", ".join(_keyName(key) for key in control.keys if not key.endswith("Enter")) + ")" if control.keys else ""
    return control.toolTip + keys + (f"\n{_('Not now:')} {reason}" if reason else "")


def keysOfEffect(correcting: bool, effectName: str) -> frozenset[str]:
    """Keys that the panel leaves to the Segment Editor's effects while a slice is corrected: Draw, for one, takes A, X and Enter.

    Args:
        correcting: whether a slice is being corrected.
        effectName: of the active effect; "" if none is.
    """
    if not correcting:
        return frozenset()
    return _EDITING_KEYS | _DRAW_KEYS if effectName == "Draw" else _EDITING_KEYS


def _keyName(key: str) -> str:
    return {"Return": _("Enter"), "Ctrl+Return": _("Ctrl+Enter"), "Up": _("up arrow"), "Down": _("down arrow")}.get(key, key)


@lru_cache(maxsize=2)
def _unmet(state: PanelState) -> dict[str, str]:
    """The conditions that are not met, and why."""
    conditions = {
        "scene": (state.hasScene, _("The scene is being closed.")),
        "volume": (state.hasVolume, _("Choose a volume first, or press 'Try it on a sample'.")),
        "segmentation": (state.hasSegmentation, _("There is no segmentation yet.")),
        "notShifted": (
            not state.shifted,
            _("The slices were shifted back, as the gantry was tilted: a DICOM segmentation refers to the images as they are."),
        ),
        "fromDicom": (state.fromDicom, _("The volume was loaded from no DICOM series, to which a DICOM segmentation refers.")),
        "noOwnExporter": (not state.ownExporter, state.ownExporter),
        "newSegment": (state.newSegment, _("A segment is chosen. Press 'Next object' for a new one.")),
        "recoverable": (state.recoverable, _("There is nothing to recover.")),
        "decided": (not state.recoverable, _("Press 'Recover' or 'Discard' at the top first: new work would replace that journal.")),
        "object": (state.hasObject, _("Mark an object first: press 'Draw box' (B).")),
        "notLocked": (state.lockedCount == 0, _("Slices of this object are accepted or corrected. Drag its box, or press 'Next object'.")),
        "correcting": (state.correcting, _("No slice is being corrected.")),
        "notCorrecting": (not state.correcting, _("A slice is being corrected. Finish it (Enter) or leave it (Escape).")),
        "running": (state.running, _("Nothing is being computed.")),
        "notStopping": (not state.stopping, _("It is being stopped. Finished slices are kept.")),
        "notRunning": (not state.running, _("Slices are being computed.")),
        "due": (state.due > 0, _("All slices are up to date.")),
        "onSlice": (state.onSlice, _("No view shows a slice of this volume in the object's direction.")),
        "inExtent": (state.status is not None, _("The slice shown is outside the object's first and last slice.")),
        "computed": (state.status is not SliceStatus.EMPTY, _("This slice has no mask yet. Press 'Propagate' (Enter).")),
        "upToDate": (state.status is not SliceStatus.STALE, _("This slice is out of date. Press 'Propagate' (Enter), or correct it (C).")),
        "sliceNotLocked": (state.status not in _LOCKED, _("This slice is accepted or corrected already.")),
        "sliceLocked": (state.status in _LOCKED, _("This slice is neither accepted nor corrected.")),
        "acceptable": (state.acceptable > 0, _("From the center slice to this one no slice is proposed.")),
        "together": (state.together > 0, _("No slice is expected to be that good.")),
        "open": (state.open > 0, _("No slice is left to look at.")),
        "undoable": (bool(state.undoLabel) or state.correcting, _("There is nothing to take back.")),
        "redoable": (bool(state.redoLabel) or state.correcting, _("Nothing was taken back.")),
        "lessons": (state.lessons > 0, _("Accept or correct two slices that show the object first: the model learns from them.")),
        "learning": (state.learning, _("Nothing is being learned.")),
        "notLearning": (not state.learning, _("An object is being learned. Wait for it, or cancel it.")),
        "learned": (state.learned, _("The model answers as it came: there is nothing to forget.")),
        "locked": (state.lockedCount > 0, _("Accept or correct slices of the object first.")),
        "endsOffered": (state.endsOffered, _("No first and last slice are proposed now.")),
        "searching": (state.searching, _("Nothing is being looked for.")),
        "notSearching": (not state.searching, _("An object is being looked for already.")),
        "otherVolume": (state.otherVolume, _("This is the only volume, or all others are reviewed.")),
    }
    return {need: reason for need, (met, reason) in conditions.items() if not met}
