"""SaveSection: summary, saving, the next volume, and what can be recovered after a crash. Imports qt, slicer and the logic."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from SAM2AnnotateLib.errors import OutputError

from ..Notice import showText
from ..Review.Logic import AnnotationLogic
from ..Review.ObjectKeeper import taggedSegments
from ..Scene.SegmentationFile import SUFFIX, storedPath, withSuffix, writeSegmentation
from ..Views.ViewNavigator import ViewNavigator
from ..Words import sentence
from .PanelState import PanelState


class SaveSection:
    """The end of the work on an object or a volume, and its beginning after a crash.

    Args:
        ui: the panel's widgets by name.
        logic: the steps.
        views: the slice views.
        say: shows a message.

    Attributes:
        askFile: asks for the file to save to, given one to begin with; "" if the user thought better of it.
        confirm: asks whether to go on.
    """

    def __init__(self, ui, logic: AnnotationLogic, views: ViewNavigator, say: Callable[[str], None]):
        self._ui, self._logic, self._views, self._say = ui, logic, views, say
        self.askFile: Callable[[str], str] = _askFile
        self.confirm: Callable[[str], bool] = slicer.util.confirmOkCancelDisplay
        self._journal: Path | None = None
        self._lookedFor = ""  # ID of the volume whose journal was looked for last
        self._lookedAt: list = []  # annotated segments of the scene at that time

    @property
    def recoverable(self) -> bool:
        """Whether a journal is being offered."""
        return self._journal is not None

    def lookForJournal(self) -> None:
        """Look whether a journal of the chosen volume holds what the scene lacks, or holds older."""
        self._lookedFor, self._lookedAt = self._volumeId(), self._taggedSegments()
        self._journal = None
        self._journal = self._logic.recoverable()

    def followVolume(self) -> None:
        """Look for a journal if another volume is chosen now, or if the one that is offered may have nothing to offer any more."""
        journal = self._journal
        gone = journal is not None and (not journal.is_file() or self._taggedSegments() != self._lookedAt)
        if gone or self._volumeId() != self._lookedFor:
            self.lookForJournal()

    def refresh(self, state: PanelState) -> None:
        """Show how things stand."""
        ui = self._ui
        ui.recoveryFrame.visible = self.recoverable
        if self.recoverable:
            name = self._logic.parameters.volume.GetName()
            text = _("Work on '{volume}' was not saved: its journal holds what this scene lacks.").format(volume=name)
            showText(ui.recoveryLabel, text)
        showText(ui.summaryLabel, self._logic.summary() if state.hasObject else _("No object is marked yet."))

    def nextVolumeNode(self):
        """The volume to go on with: the next one in the scene that has no object with a reviewed slice; None if there is none."""
        if not self._logic.hasParameters:
            return None
        chosen = self._logic.parameters.volume
        volumes = [node for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if _isPlain(node)]
        at = volumes.index(chosen) + 1 if chosen in volumes else 0
        waiting = [node for node in volumes[at:] + volumes[:at] if node is not chosen and not self._isReviewed(node)]
        return waiting[0] if waiting else None

    # -- what the user does ---------------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write the segmentation to its file; ask for one if it has none yet.

        Raises:
            OutputError: if it cannot be written.
        """
        if not self.recoverable:
            self._logic.storeNow()
        node = self._logic.parameters.segmentation
        stored = storedPath(node)
        failure = writeSegmentation(node, stored) if stored else ""
        path = stored
        if failure or not stored:
            if failure:
                self._say(_("{failure} Choose another file.").format(failure=sentence(failure)))
            path = self._askPath(stored or node.GetName())
            if not path:
                return
            failure = writeSegmentation(node, path)
            if failure:
                raise OutputError(failure)
        self._logic.keeper.noticeSaved()
        self._say(_("Saved '{name}' to {path}.").format(name=node.GetName(), path=path))

    def nextVolume(self) -> None:
        """Go on with the next volume."""
        node = self.nextVolumeNode()
        self._logic.chooseVolume(node)
        self._views.showVolume(node)

    def recover(self) -> None:
        """Bring the journal's objects into the scene."""
        objects = self._logic.recover(self._journal)
        self.lookForJournal()
        names = ", ".join(one.name for one in objects)
        self._say(_("Recovered: {names}.").format(names=names) if names else _("The scene already had all that the journal holds."))

    def discard(self) -> None:
        """Remove the journal, if the user is sure."""
        if self.confirm(_("The journal of this volume will be removed. What it holds beyond the scene is lost. Go on?")):
            self._logic.keeper.journals.discard(self._logic.volumeNode)
            self._logic.storeNow()
            self.lookForJournal()

    def _askPath(self, suggested: str) -> str:
        """The file that the user wants, with its suffix; "" if they thought better of it."""
        asked = self.askFile(withSuffix(suggested))
        path = withSuffix(asked) if asked else ""
        if path != asked and Path(path).exists():  # the dialog asked about another name
            question = _("The file '{path}' exists already. Replace it?").format(path=path)
            return path if self.confirm(question) else ""
        return path

    def _volumeId(self) -> str:
        volumeNode = self._logic.parameters.volume if self._logic.hasParameters else None
        return "" if volumeNode is None or volumeNode.GetImageData() is None else volumeNode.GetID()

    def _taggedSegments(self) -> list:
        return [(node.GetID(), segmentId) for node, segmentId in taggedSegments(self._logic.scene)]

    def _isReviewed(self, volumeNode) -> bool:
        return any(one.session.locked for one in self._logic.keeper.on(volumeNode))


def _isPlain(node) -> bool:
    """Whether it is an image, and no label map or vector volume."""
    return node.GetClassName() == "vtkMRMLScalarVolumeNode" and node.GetImageData() is not None


def _askFile(suggested: str) -> str:
    return qt.QFileDialog.getSaveFileName(slicer.util.mainWindow(), _("Save segmentation"), suggested, f"(*{SUFFIX})")
