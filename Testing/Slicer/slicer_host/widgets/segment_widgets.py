"""Stand-ins for the widgets that choose segments. Imports PySide6, VTK and slicer-core."""

from __future__ import annotations

import slicer
from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtGui import QColor, QIcon, QPixmap
from PySide6.QtWidgets import QAbstractItemView, QComboBox, QHeaderView, QTableWidget, QTableWidgetItem, QVBoxLayout

from ..registry import stand_in
from .node_widgets import NodeComboBox
from .scene_widgets import MRMLWidget, SceneObserver

_SEGMENTATION_EVENTS = (
    slicer.vtkSegmentation.SegmentAdded,
    slicer.vtkSegmentation.SegmentRemoved,
    slicer.vtkSegmentation.SegmentModified,
    slicer.vtkSegmentation.SegmentsOrderModified,
)


def color_icon(segment) -> QIcon:
    """A small square of the segment's color."""
    pixmap = QPixmap(14, 14)
    pixmap.fill(QColor.fromRgbF(*segment.GetColor()))
    return QIcon(pixmap)


class _SegmentFollower(MRMLWidget):
    """Follows the segments of a segmentation node; keeps no reference to a removed one."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self._segmentation_node = None
        self._segments_observer = SceneObserver(self)
        self._removal_observer = SceneObserver(self)

    def _follow(self, node) -> None:
        self._segmentation_node = node
        segmentation = node.GetSegmentation() if node is not None else None
        self._segments_observer.observe(segmentation, dict.fromkeys(_SEGMENTATION_EVENTS, self._update_segments))
        scene = node.GetScene() if node is not None else None
        self._removal_observer.observe(scene, {slicer.vtkMRMLScene.NodeRemovedEvent: self._forget_if_removed})
        self._update_segments()

    def _forget_if_removed(self) -> None:
        if self._segmentation_node is not None and self._segmentation_node.GetScene() is None:
            self._follow(None)

    def _segments(self) -> list[tuple[str, object]]:
        if self._segmentation_node is None or self._segmentation_node.GetSegmentation() is None:
            return []
        segmentation = self._segmentation_node.GetSegmentation()
        return [(segment_id, segmentation.GetSegment(segment_id)) for segment_id in segmentation.GetSegmentIDs()]

    def _update_segments(self) -> None:
        raise NotImplementedError


@stand_in("qMRMLSegmentSelectorWidget", {"currentNodeChanged(bool)": "currentNodeChangedBool"})
class SegmentSelectorWidget(_SegmentFollower):
    """Chooses a segmentation and one of its segments. `multiSelection` is not there: setting it raises."""

    currentNodeChanged = Signal(object)
    currentNodeChangedBool = Signal(bool)
    currentSegmentChanged = Signal(str)
    segmentSelectionChanged = Signal(object)
    nodeAboutToBeEdited = Signal(object)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._none_enabled = False
        self._current_id = ""
        self._node_selector = NodeComboBox()
        self._node_selector.setObjectName("MRMLNodeComboBox_Segmentation")
        self._node_selector.setNodeTypes(["vtkMRMLSegmentationNode"])
        self._node_selector.currentNodeChanged.connect(self._on_node_changed)
        self._segment_box = QComboBox()
        self._segment_box.currentIndexChanged.connect(self._on_segment_index)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._node_selector)
        layout.addWidget(self._segment_box)

    def setMRMLScene(self, scene):
        super().setMRMLScene(scene)
        self._node_selector.setMRMLScene(scene)

    def currentNode(self):
        return self._node_selector.currentNode()

    def currentNodeID(self):
        return self._node_selector.currentNodeID()

    def setCurrentNode(self, node):
        self._node_selector.setCurrentNode(node)

    def setCurrentNodeID(self, node_id):
        self._node_selector.setCurrentNodeID(node_id)

    def currentSegmentID(self):
        return self._current_id

    def setCurrentSegmentID(self, segment_id):
        self._segment_box.setCurrentIndex(self._segment_box.findData(segment_id))

    def segmentIDs(self):
        return [segment_id for segment_id, _ in self._segments()]

    def selectedSegmentIDs(self):
        return [self._current_id] if self._current_id else []

    def setSelectedSegmentIDs(self, segment_ids):
        self.setCurrentSegmentID(segment_ids[0] if segment_ids else "")

    def noneEnabled(self):
        return self._none_enabled

    def setNoneEnabled(self, enabled):
        self._none_enabled = enabled
        self._node_selector.setNoneEnabled(enabled)
        self._update_segments()

    def segmentationNodeSelectorVisible(self):
        return not self._node_selector.isHidden()

    def setSegmentationNodeSelectorVisible(self, visible):
        self._node_selector.setVisible(visible)

    def editEnabled(self):
        return self._node_selector.editEnabled()

    def setEditEnabled(self, enabled):
        self._node_selector.setEditEnabled(enabled)

    def multiSelection(self):
        return False

    def setMultiSelection(self, multi):
        if multi:
            raise NotImplementedError("the test host's qMRMLSegmentSelectorWidget selects one segment only")

    def _on_node_changed(self, node) -> None:
        self._follow(node)
        self.currentNodeChanged.emit(node)
        self.currentNodeChangedBool.emit(node is not None)

    def _update_segments(self) -> None:
        wanted = ([("", None)] if self._none_enabled else []) + self._segments()
        ids = [segment_id for segment_id, _ in wanted]
        box = self._segment_box
        for row in reversed(range(box.count())):
            if box.itemData(row) not in ids:
                box.removeItem(row)
        for row, (segment_id, segment) in enumerate(wanted):
            name = segment.GetName() if segment is not None else "None"
            icon = color_icon(segment) if segment is not None else QIcon()
            if row >= box.count() or box.itemData(row) != segment_id:
                box.insertItem(row, icon, name, segment_id)
            else:
                box.setItemText(row, name)
                box.setItemIcon(row, icon)
        self._on_segment_index(box.currentIndex())

    def _on_segment_index(self, index: int) -> None:
        segment_id = (self._segment_box.itemData(index) if index >= 0 else "") or ""
        if segment_id != self._current_id:
            self._current_id = segment_id
            self.currentSegmentChanged.emit(segment_id)
            self.segmentSelectionChanged.emit(self.selectedSegmentIDs())


@stand_in("qMRMLSegmentsTableView")
class SegmentsTableView(_SegmentFollower):
    """Lists the segments of a segmentation."""

    selectionChanged = Signal(object, object)
    segmentAboutToBeModified = Signal(str)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._read_only = False
        self._hidden: list[str] = []
        self._table = QTableWidget(0, 1)
        self._table.setHorizontalHeaderLabels(["Name"])
        self._table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self._table.verticalHeader().hide()
        self._table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self._table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self._table.setMaximumHeight(110)
        self._table.selectionModel().selectionChanged.connect(self.selectionChanged.emit)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._table)

    def segmentationNode(self):
        return self._segmentation_node

    def setSegmentationNode(self, node):
        if node is not self._segmentation_node:
            self._follow(node)

    def segmentCount(self):
        return self._table.rowCount()

    def displayedSegmentIDs(self):
        return [self.segmentIDForRow(row) for row in range(self._table.rowCount())]

    def segmentIDForRow(self, row):
        return self._table.item(row, 0).data(256)

    def rowForSegmentID(self, segment_id):
        ids = self.displayedSegmentIDs()
        return ids.index(segment_id) if segment_id in ids else -1

    def selectedSegmentIDs(self):
        return [self.segmentIDForRow(index.row()) for index in self._table.selectionModel().selectedRows()]

    def setSelectedSegmentIDs(self, segment_ids):
        if list(segment_ids) != self.selectedSegmentIDs():
            self._table.clearSelection()
            for segment_id in segment_ids:
                row = self.rowForSegmentID(segment_id)
                if row >= 0:
                    self._table.selectRow(row)

    def clearSelection(self):
        self._table.clearSelection()

    def hideSegments(self):
        return self._hidden

    def setHideSegments(self, segment_ids):
        self._hidden = list(segment_ids)
        self._update_segments()

    def readOnly(self):
        return self._read_only

    def setReadOnly(self, read_only):
        self._read_only = read_only

    def selectionMode(self):
        return self._table.selectionMode().value

    def setSelectionMode(self, mode):
        self._table.setSelectionMode(QAbstractItemView.SelectionMode(mode))

    def headerVisible(self):
        return not self._table.horizontalHeader().isHidden()

    def setHeaderVisible(self, visible):
        self._table.horizontalHeader().setVisible(visible)

    def _update_segments(self) -> None:
        selected = self.selectedSegmentIDs()
        with QSignalBlocker(self._table.selectionModel()):
            self._table.setRowCount(0)
            for segment_id, segment in self._segments():
                if segment_id not in self._hidden:
                    item = QTableWidgetItem(color_icon(segment), segment.GetName() or "")
                    item.setData(256, segment_id)
                    self._table.insertRow(self._table.rowCount())
                    self._table.setItem(self._table.rowCount() - 1, 0, item)
            self.setSelectedSegmentIDs(selected)
