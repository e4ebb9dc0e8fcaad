"""Stand-in for qSlicerTerminologyNavigatorWidget: a flat list of the entries of the loaded terminology. Imports PySide6 and slicer-core.

The entries and their codes come from the real terminologies logic. As in Slicer, the list is empty and the search dead until an entry was
set, which may be an empty one: then `[ None ]` is selected. Regions and modifiers are not there.
"""

from __future__ import annotations

import slicer
from PySide6.QtCore import Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QLineEdit, QListWidget, QListWidgetItem, QVBoxLayout

from ..registry import stand_in
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
        self._entries: list = []
        self._search = QLineEdit()
        self._search.setObjectName("SearchBox_Type")
        self._search.setEnabled(False)
        self._search.textChanged.connect(self._filter)
        self._list = QListWidget()
        self._list.setObjectName("tableWidget_Type")
        self._list.itemDoubleClicked.connect(lambda _item: self.typeDoubleClicked.emit())
        self._list.currentRowChanged.connect(lambda row: self.selectionValidityChanged.emit(row >= 0))
        layout = QVBoxLayout(self)
        layout.addWidget(self._search)
        layout.addWidget(self._list)

    def select(self, meaning: str) -> None:
        """Host only: choose the type with this meaning, as the user does; ValueError if there is none."""
        meanings = [entry.GetTypeObject().GetCodeMeaning() for entry in self._entries]
        if meaning not in meanings:
            raise ValueError(f"the terminology has no type {meaning!r}; there are {', '.join(map(str, meanings))}")
        self._list.setCurrentRow(meanings.index(meaning))

    def terminologyEntry(self, entry):
        row = self._list.currentRow()
        if row < 0:
            return False
        entry.Copy(self._entries[row])
        return True

    def setTerminologyEntry(self, entry):
        self._fill()
        if entry.GetTerminologyContextName() is None and entry.GetCategoryObject().GetCodeValue() is None:
            self._list.setCurrentRow(0)
            return True
        logic = slicer.modules.terminologies.logic()
        for row, known in enumerate(self._entries[1:], 1):
            if logic.AreTerminologyEntriesEqual(known, entry):
                self._list.setCurrentRow(row)
                return True
        return False

    def _fill(self) -> None:
        """List the types, once."""
        if self._entries:
            return
        none = slicer.vtkSlicerTerminologyEntry()
        none.SetTerminologyContextName(_TERMINOLOGY)
        self._entries = [none, *_all_entries()]
        self._list.addItem(QListWidgetItem("[ None ]"))
        for entry in self._entries[1:]:
            text = f"{entry.GetCategoryObject().GetCodeMeaning()}: {entry.GetTypeObject().GetCodeMeaning()}"
            self._list.addItem(QListWidgetItem(text))
        self._search.setEnabled(True)

    def _filter(self, text: str) -> None:
        for row in range(1, self._list.count()):
            self._list.item(row).setHidden(text.lower() not in self._list.item(row).text().lower())

    @staticmethod
    def nameFromTerminology(entry):
        return entry.GetTypeObject().GetSlicerLabel() or entry.GetTypeObject().GetCodeMeaning() or ""

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
