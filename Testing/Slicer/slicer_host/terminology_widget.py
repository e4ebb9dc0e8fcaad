"""Stand-in for qSlicerTerminologyNavigatorWidget: a flat list of the entries of the loaded terminology. Imports PySide6 and slicer-core.

The entries and their codes come from the real terminologies logic. Regions, modifiers and the search field are not there.
"""

from __future__ import annotations

import slicer
from PySide6.QtCore import Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QListWidget, QListWidgetItem, QVBoxLayout

from .registry import stand_in
from .scene_widgets import MRMLWidget

_TERMINOLOGY = "Segmentation category and type - 3D Slicer General Anatomy list"


@stand_in("qSlicerTerminologyNavigatorWidget")
class TerminologyNavigatorWidget(MRMLWidget):
    """Chooses a type of a terminology."""

    selectionValidityChanged = Signal(bool)
    typeDoubleClicked = Signal()
    colorDoubleClicked = Signal()

    def __init__(self, parent=None):
        super().__init__(parent)
        self._override_visible = True
        self._region_visible = True
        self._list = QListWidget()
        self._list.setObjectName("tableWidget_Type")
        self._list.itemDoubleClicked.connect(lambda _item: self.typeDoubleClicked.emit())
        self._list.currentRowChanged.connect(lambda row: self.selectionValidityChanged.emit(row >= 0))
        QVBoxLayout(self).addWidget(self._list)
        self._entries = _all_entries()
        for entry in self._entries:
            text = f"{entry.GetCategoryObject().GetCodeMeaning()}: {entry.GetTypeObject().GetCodeMeaning()}"
            self._list.addItem(QListWidgetItem(text))

    def select(self, meaning: str) -> None:
        """Host only: choose the type with this meaning, as the user does; ValueError if there is none."""
        meanings = [entry.GetTypeObject().GetCodeMeaning() for entry in self._entries]
        if meaning not in meanings:
            raise ValueError(f"the terminology has no type {meaning!r}; there are {', '.join(meanings)}")
        self._list.setCurrentRow(meanings.index(meaning))

    def terminologyEntry(self, entry):
        row = self._list.currentRow()
        if row < 0:
            return False
        entry.Copy(self._entries[row])
        return True

    def setTerminologyEntry(self, entry):
        logic = slicer.modules.terminologies.logic()
        for row, known in enumerate(self._entries):
            if logic.AreTerminologyEntriesEqual(known, entry):
                self._list.setCurrentRow(row)
                return True
        return False

    @staticmethod
    def nameFromTerminology(entry):
        return entry.GetTypeObject().GetCodeMeaning() or ""

    @staticmethod
    def recommendedColorFromTerminology(entry):
        return QColor(*entry.GetTypeObject().GetRecommendedDisplayRGBValue())

    def overrideSectionVisible(self):
        return self._override_visible

    def setOverrideSectionVisible(self, visible):
        self._override_visible = visible

    def regionSectionVisible(self):
        return self._region_visible

    def setRegionSectionVisible(self, visible):
        self._region_visible = visible


def _all_entries() -> list:
    logic = slicer.modules.terminologies.logic()
    entries = []
    for category_index in range(logic.GetNumberOfCategoriesInTerminology(_TERMINOLOGY)):
        category = slicer.vtkSlicerTerminologyCategory()
        logic.GetNthCategoryInTerminology(_TERMINOLOGY, category_index, category)
        for type_index in range(logic.GetNumberOfTypesInTerminologyCategory(_TERMINOLOGY, category)):
            entry = slicer.vtkSlicerTerminologyEntry()
            entry.SetTerminologyContextName(_TERMINOLOGY)
            entry.GetCategoryObject().Copy(category)
            logic.GetNthTypeInTerminologyCategory(_TERMINOLOGY, category, type_index, entry.GetTypeObject())
            entries.append(entry)
    return entries
