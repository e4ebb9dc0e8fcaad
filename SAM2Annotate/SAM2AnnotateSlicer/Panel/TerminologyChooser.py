"""TerminologyChooser: a dialog around Slicer's terminology navigator, for name, code and color of a new segment. Imports qt and slicer.

A terminology entry travels as the text that segments keep it as (`vtkSegment.GetTerminology`).
"""

from __future__ import annotations

import qt
import slicer
from slicer.i18n import tr as _

Choice = tuple[str, str, tuple[float, float, float]]
"""(serialized entry, name, color as three numbers 0..1)"""


class TerminologyChooser:
    """The dialog. `choose` shows it and waits.

    Args:
        parent: widget that it lies over; None for none.
        entryText: serialized entry to begin with; empty, or one that cannot be read, for the navigator's own beginning.
    """

    def __init__(self, parent, entryText: str = ""):
        self.dialog = qt.QDialog(parent)
        self.dialog.setWindowTitle(_("Terminology of the new segment"))
        self.dialog.setModal(True)
        self.navigator = slicer.qSlicerTerminologyNavigatorWidget(self.dialog)
        self.navigator.setMRMLScene(slicer.mrmlScene)
        self.navigator.overrideSectionVisible = False  # name and color are edited in the panel and the Segment Editor
        self.buttons = qt.QDialogButtonBox(self.dialog)
        self.buttons.setStandardButtons(qt.QDialogButtonBox.Ok | qt.QDialogButtonBox.Cancel)
        self._okButton = self.buttons.button(qt.QDialogButtonBox.Ok)
        layout = qt.QVBoxLayout(self.dialog)
        layout.addWidget(self.navigator)
        layout.addWidget(self.buttons)
        self.buttons.connect("accepted()", self.dialog.accept)
        self.buttons.connect("rejected()", self.dialog.reject)
        self.navigator.connect("selectionValidityChanged(bool)", self._onValidity)
        self.navigator.connect("typeDoubleClicked()", self._onDoubleClick)
        entry = slicer.vtkSlicerTerminologyEntry()
        if entryText and _logic().DeserializeTerminologyEntry(entryText, entry):
            self.navigator.setTerminologyEntry(entry)
        self._onValidity(self.chosen() is not None)

    def choose(self) -> Choice | None:
        """Show the dialog until the user decides; None if the user thought better of it."""
        accepted = self.dialog.exec_()
        try:
            return self.chosen() if accepted else None
        finally:
            self.dialog.deleteLater()

    def chosen(self) -> Choice | None:
        """What is selected now; None if that is no complete entry."""
        entry = slicer.vtkSlicerTerminologyEntry()
        if not self.navigator.terminologyEntry(entry):
            return None
        color = self.navigator.recommendedColorFromTerminology(entry)
        name = self.navigator.nameFromTerminology(entry)
        return _logic().SerializeTerminologyEntry(entry), name, (color.redF(), color.greenF(), color.blueF())

    def _onValidity(self, valid: bool) -> None:
        self._okButton.enabled = valid
        self._okButton.toolTip = _("Use this entry for the new segment.") if valid else _("Select a type in the list first.")

    def _onDoubleClick(self) -> None:
        if self._okButton.enabled:
            self.dialog.accept()


def choose(parent, entryText: str = "") -> Choice | None:
    """Ask the user for a terminology entry, in a modal dialog over `parent`; None if none was chosen."""
    return TerminologyChooser(parent, entryText).choose()


def _logic():
    return slicer.modules.terminologies.logic()
