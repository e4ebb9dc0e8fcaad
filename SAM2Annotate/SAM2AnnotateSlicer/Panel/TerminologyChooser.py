"""TerminologyChooser: a dialog around Slicer's terminology navigator, for name, code and color of a new segment. Imports qt and slicer.

A terminology entry travels as the text that segments keep it as (`vtkSegment.GetTerminology`).
"""

from __future__ import annotations

import qt
import slicer
from slicer.i18n import tr as _

from ..PageDialog import enable, fit, leaveEnterAlone

_SIZE = (900, 600)  # all columns of the navigator, on a small screen too
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
        self.okButton, cancelButton = qt.QPushButton(_("OK")), qt.QPushButton(_("Cancel"))
        layout = qt.QVBoxLayout(self.dialog)
        layout.addWidget(self.navigator)
        buttons = qt.QHBoxLayout()
        layout.addLayout(buttons)
        buttons.addStretch(1)
        buttons.addWidget(self.okButton)
        buttons.addWidget(cancelButton)
        fit(self.dialog, _SIZE)
        leaveEnterAlone(self.dialog)  # it would take the type of before while another one is searched for
        self.okButton.connect("clicked()", self.dialog.accept)
        cancelButton.connect("clicked()", self.dialog.reject)
        self.navigator.connect("selectionValidityChanged(bool)", self._refresh)
        self.navigator.connect("typeDoubleClicked()", self._onDoubleClick)
        # Without an entry, be it an empty one, the navigator lists nothing and can be asked for nothing.
        entry = slicer.vtkSlicerTerminologyEntry()
        if not entryText or not _logic().DeserializeTerminologyEntry(entryText, entry):
            entry = slicer.vtkSlicerTerminologyEntry()
        self.navigator.setTerminologyEntry(entry)
        self._refresh()

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
        if not self.navigator.terminologyEntry(entry) or not entry.GetTypeObject().GetCodeValue():  # '[ None ]' is selected at first
            return None
        color = self.navigator.recommendedColorFromTerminology(entry)
        name = self.navigator.nameFromTerminology(entry)
        return _logic().SerializeTerminologyEntry(entry), name, (color.redF(), color.greenF(), color.blueF())

    def _refresh(self) -> None:
        enable(self.okButton, _("Use this entry for the new segment."), "" if self.chosen() else _("Select a type in the list first."))

    def _onDoubleClick(self) -> None:
        if self.chosen() is not None:
            self.dialog.accept()


def choose(parent, entryText: str = "") -> Choice | None:
    """Ask the user for a terminology entry, in a modal dialog over `parent`; None if none was chosen."""
    return TerminologyChooser(parent, entryText).choose()


def _logic():
    return slicer.modules.terminologies.logic()
