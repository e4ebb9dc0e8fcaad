"""NnunetTables: the tables of channels and labels of the export page, filled and read. Imports qt, slicer and NnunetPlan."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import qt
import slicer
from slicer.i18n import tr as _

from SAM2AnnotateLib.nnunet import DataSetPlan

from .NnunetPlan import LabelRow, labelRules

_LABEL_PIXELS = 160  # room to type a label
_FIXED = qt.Qt.ItemIsSelectable | qt.Qt.ItemIsEnabled


class ChannelsTable:
    """Name and volume of each channel; every row has a box to choose a volume in.

    Args:
        table: the QTableWidget.
        scene: whose volumes are on offer.
        changed: told when a volume is chosen.
    """

    def __init__(self, table, scene, changed):
        self._table, self._scene, self._changed = table, scene, changed

    def fill(self, channels: Iterable[tuple[str, str]], fixedNames: bool) -> None:
        """Show (name, volume ID) of each channel.

        Args:
            fixedNames: whether the names are the data set's own.
        """
        channels = list(channels)
        blocked = self._table.blockSignals(True)
        self._table.setRowCount(len(channels))
        for row, (name, nodeId) in enumerate(channels):
            item = qt.QTableWidgetItem(name)
            if fixedNames:
                item.setFlags(_FIXED)
            self._table.setItem(row, 0, item)
            self._table.setCellWidget(row, 1, self._chooser(nodeId))
        self._table.resizeColumnToContents(0)
        self._table.blockSignals(blocked)

    def channels(self) -> tuple[tuple[str, str], ...]:
        """(name, volume ID) of each channel; the ID is empty if no volume is chosen."""
        rows = range(self._table.rowCount)
        return tuple((self._table.item(row, 0).text().strip(), self._table.cellWidget(row, 1).currentData or "") for row in rows)

    def _chooser(self, nodeId: str):
        box = qt.QComboBox()
        box.setToolTip(_("The image of this channel. The first channel's voxels are those of the case."))
        box.addItem(_("(choose)"), "")
        for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode", self._scene):
            if node.GetClassName() == "vtkMRMLScalarVolumeNode" and node.GetImageData() is not None:
                box.addItem(node.GetName(), node.GetID())
        box.setCurrentIndex(max(0, box.findData(nodeId)))
        box.connect("currentIndexChanged(int)", self._onChosen)
        return box

    def _onChosen(self, _index: int) -> None:
        self._changed()


class LabelsTable:
    """The plan of labels: made in the table for a new data set, only shown for one that is there.

    Args:
        table: the QTableWidget.
    """

    def __init__(self, table):
        self._table = table

    def fillRows(self, rows: Sequence[LabelRow]) -> None:
        """Show the segments of a new data set, to be given labels."""
        blocked = self._table.blockSignals(True)
        self._table.setRowCount(len(rows))
        for row, one in enumerate(rows):
            self._set(row, 0, one.segment)
            self._set(row, 1, "")
            self._table.setItem(row, 2, qt.QTableWidgetItem(one.label))
            self._check(row, one.merge, editable=True)
        self._table.blockSignals(blocked)
        self.refreshValues()
        self._table.resizeColumnsToContents()
        self._table.setColumnWidth(2, max(_LABEL_PIXELS, self._table.columnWidth(2)))

    def fillPlan(self, plan: DataSetPlan) -> None:
        """Show the labels of a data set."""
        blocked = self._table.blockSignals(True)
        rules = sorted(plan.labels, key=lambda rule: rule.value)
        self._table.setRowCount(len(rules))
        for row, rule in enumerate(rules):
            self._set(row, 0, "; ".join((*rule.segments, *rule.codes)))
            self._set(row, 1, str(rule.value))
            self._set(row, 2, rule.name)
            self._check(row, rule.merge, editable=False)
        self._table.resizeColumnsToContents()
        self._table.blockSignals(blocked)

    def rows(self) -> tuple[LabelRow, ...]:
        """What the table says for a new data set."""
        table = self._table
        return tuple(
            LabelRow(table.item(row, 0).text(), table.item(row, 2).text().strip(), table.item(row, 3).checkState() == qt.Qt.Checked)
            for row in range(table.rowCount)
        )

    def refreshValues(self) -> None:
        """Show the value that each label of a new data set gets."""
        blocked = self._table.blockSignals(True)
        rows = self.rows()
        values = {rule.name.casefold(): str(rule.value) for rule in labelRules(rows)}
        for row, one in enumerate(rows):
            self._set(row, 1, values.get(one.label.casefold(), _("left out")))
        self._table.blockSignals(blocked)

    def _set(self, row: int, column: int, text: str) -> None:
        item = qt.QTableWidgetItem(text)
        item.setFlags(_FIXED)
        item.setToolTip(text)
        self._table.setItem(row, column, item)

    def _check(self, row: int, checked: bool, editable: bool) -> None:
        item = qt.QTableWidgetItem("")
        item.setFlags(_FIXED | qt.Qt.ItemIsUserCheckable if editable else _FIXED)
        item.setCheckState(qt.Qt.Checked if checked else qt.Qt.Unchecked)
        item.setToolTip(_("Whether numbered segments of this name, in this case and in later ones, become this one value."))
        self._table.setItem(row, 3, item)
