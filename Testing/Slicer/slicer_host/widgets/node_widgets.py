"""Stand-ins for the widgets that choose MRML nodes. Imports PySide6, VTK and slicer-core.

They keep node IDs, never nodes, so nothing dangles when a node or the scene goes.
"""

from __future__ import annotations

import slicer
import vtk
from PySide6.QtCore import QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QInputDialog, QMenu, QToolButton, QWidget
from shiboken6 import isValid

from ..registry import stand_in
from .scene_widgets import SceneObserver, add_flags

_NO_NODE = ""


@stand_in("qMRMLNodeComboBox", {"currentNodeChanged(bool)": "currentNodeChangedBool"})
class NodeComboBox(QWidget):
    """Chooses a node of the scene. Follows additions, removals, new names; in a batch (import, close) only at its end, as Slicer's does."""

    currentNodeChanged = Signal(object)
    currentNodeChangedBool = Signal(bool)
    currentNodeIDChanged = Signal(str)
    currentNodeRenamed = Signal(str)
    nodeActivated = Signal(object)
    nodeAdded = Signal(object)
    nodeAddedByUser = Signal(object)
    nodeAddedByUserAction = Signal(object)
    nodeAboutToBeRemoved = Signal(object)
    nodeAboutToBeEdited = Signal(object)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene = None
        self._observer = SceneObserver(self)
        self._node_types: list[str] = []
        self._type_labels: dict[str, str] = {}
        self._attributes: dict[tuple[str, str], str | None] = {}
        self._hidden_types: list[str] = []
        self._none_display = ""
        self._base_name = ""
        self._flags = {
            "none": False,
            "add": True,
            "remove": True,
            "edit": False,
            "rename": False,
            "hidden": False,
            "child types": True,
            "select new": True,
        }
        self._singleton_tag = ""
        self._current_id = _NO_NODE
        self._name_observation: tuple[object, int] | None = None
        self._combo_box = QComboBox()
        self._combo_box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._combo_box.currentIndexChanged.connect(self._on_index_changed)
        self._combo_box.activated.connect(self._on_activated)
        self._menu_button = QToolButton()
        self._menu_button.setText("+")
        self._menu_button.setToolTip("Create, rename or delete")
        self._menu_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._menu = QMenu(self._menu_button)
        self._menu.aboutToShow.connect(self._fill_menu)
        self._menu_button.setMenu(self._menu)
        self._user_actions: list[QAction] = []
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self._combo_box, 1)
        layout.addWidget(self._menu_button)
        self._update_menu_button()

    # Scene.

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene):
        if scene is self._scene:
            return
        self._scene = scene
        self._observer.observe(
            scene,
            {
                slicer.vtkMRMLScene.NodeAddedEvent: self._rebuild,
                slicer.vtkMRMLScene.NodeRemovedEvent: self._rebuild,
                slicer.vtkMRMLScene.EndBatchProcessEvent: self._rebuild,
                slicer.vtkMRMLScene.EndCloseEvent: self._rebuild,
            },
            {
                slicer.vtkMRMLScene.NodeAddedEvent: lambda node: self._tell(self.nodeAdded, node),
                slicer.vtkMRMLScene.NodeAboutToBeRemovedEvent: lambda node: self._tell(self.nodeAboutToBeRemoved, node),
            },
        )
        self._rebuild()
        self.setEnabled(scene is not None)

    def _tell(self, signal, node) -> None:
        if self._is_listed(node):
            signal.emit(node)

    def _apply_flag(self, _flag: str) -> None:
        self._update_menu_button()
        self._rebuild()

    # Which nodes are listed.

    def nodeTypes(self):
        return self._node_types

    def setNodeTypes(self, node_types):
        self._node_types = list(node_types)
        self._rebuild()

    def hideChildNodeTypes(self):
        return self._hidden_types

    def setHideChildNodeTypes(self, node_types):
        self._hidden_types = list(node_types)
        self._rebuild()

    def addAttribute(self, node_type, name, value=None):
        self._attributes[node_type, name] = None if value is None else str(value)
        self._rebuild()

    def removeAttribute(self, node_type, name):
        self._attributes.pop((node_type, name), None)
        self._rebuild()

    def setNodeTypeLabel(self, label, node_type):
        self._type_labels[node_type] = label

    def nodeTypeLabel(self, node_type):
        return self._type_labels.get(node_type) or node_type.removeprefix("vtkMRML").removesuffix("Node")

    def _is_listed(self, node) -> bool:
        type_ = next((type_ for type_ in self._node_types if node.IsA(type_)), None)
        if type_ is None or (node.GetHideFromEditors() and not self._flags["hidden"]):
            return False
        if not self._flags["child types"] and node.GetClassName() not in self._node_types:
            return False
        if any(node.IsA(hidden) for hidden in self._hidden_types):
            return False
        for (attribute_type, name), value in self._attributes.items():
            if node.IsA(attribute_type) and (node.GetAttribute(name) is None or (value is not None and node.GetAttribute(name) != value)):
                return False
        return True

    def _listed(self) -> list:
        if self._scene is None:
            return []
        nodes = [self._scene.GetNthNode(index) for index in range(self._scene.GetNumberOfNodes())]
        return [node for node in nodes if self._is_listed(node)]

    def _rebuild(self) -> None:
        """Bring the rows up to date. Rows come and go one by one, so the combo box chooses a neighbor as Qt does."""
        if self._scene is not None and (self._scene.IsBatchProcessing() or self._scene.IsClosing()):
            return
        wanted = [(_NO_NODE, self._none_text())] if self._flags["none"] and self._scene is not None else []
        wanted += [(node.GetID(), node.GetName() or "") for node in self._listed()]
        wanted_ids = [node_id for node_id, _ in wanted]
        box = self._combo_box
        box.setPlaceholderText("")  # with one, a combo box does not choose the first row that comes
        for row in reversed(range(box.count())):
            if box.itemData(row) not in wanted_ids:
                box.removeItem(row)
        for row, (node_id, text) in enumerate(wanted):
            if row >= box.count() or box.itemData(row) != node_id:
                box.insertItem(row, text, node_id)
            elif box.itemText(row) != text:
                box.setItemText(row, text)
        if not box.count():
            box.setPlaceholderText(self._none_text())
        self._on_index_changed(box.currentIndex())

    def _none_text(self) -> str:
        if self._none_display:
            return self._none_display
        return "None" if self._flags["none"] else f"Select a {self.nodeTypeLabel(self._node_types[0]) if self._node_types else 'node'}"

    # The current node.

    def currentNode(self):
        return self._scene.GetNodeByID(self._current_id) if self._scene is not None and self._current_id else None

    def currentNodeID(self):
        return self._current_id if self.currentNode() is not None else ""

    def currentNodeId(self):
        return self.currentNodeID()

    def setCurrentNode(self, node):
        if isinstance(node, str):
            self.setCurrentNodeID(node)
        else:
            self.setCurrentNodeID("" if node is None else node.GetID() or "")

    def setCurrentNodeID(self, node_id):
        row = self._combo_box.findData(node_id or _NO_NODE)
        self._combo_box.setCurrentIndex(row)

    def setCurrentNodeId(self, node_id):
        self.setCurrentNodeID(node_id)

    def setCurrentNodeIndex(self, index):
        self._combo_box.setCurrentIndex(index + int(self._flags["none"]))

    def nodeCount(self):
        return len(self._listed())

    def nodeFromIndex(self, index):
        nodes = self._listed()
        return nodes[index] if 0 <= index < len(nodes) else None

    def _on_index_changed(self, index: int) -> None:
        node_id = self._combo_box.itemData(index) if index >= 0 else _NO_NODE
        node_id = node_id or _NO_NODE
        if node_id == self._current_id:
            return
        self._current_id = node_id
        node = self.currentNode()
        if self._name_observation is not None:
            observed, tag = self._name_observation
            observed.RemoveObserver(tag)
            self._name_observation = None
        if node is not None:
            self._name_observation = (node, node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._on_node_modified))
        self.currentNodeChanged.emit(node)
        self.currentNodeChangedBool.emit(node is not None)
        self.currentNodeIDChanged.emit(node_id)

    def _on_node_modified(self, node, _event) -> None:
        if not isValid(self):
            return
        row = self._combo_box.findData(node.GetID())
        if row >= 0 and self._combo_box.itemText(row) != node.GetName():
            with QSignalBlocker(self._combo_box):
                self._combo_box.setItemText(row, node.GetName())
            self.currentNodeRenamed.emit(node.GetName())

    def _on_activated(self, _index: int) -> None:
        self.nodeActivated.emit(self.currentNode())

    # What the user does by the menu.

    def addNode(self, node_type=None):
        if self._scene is None:
            return None
        node_type = node_type or (self._node_types[0] if self._node_types else "")
        if self._base_name:
            name = self._scene.GenerateUniqueName(self._base_name)
            node = self._scene.AddNewNodeByClass(node_type, name)
        else:
            node = self._scene.AddNewNodeByClass(node_type)
        for (attribute_type, name), value in self._attributes.items():
            if node.IsA(attribute_type):
                node.SetAttribute(name, value or "")
        self._rebuild()
        if self._flags["select new"]:
            self.setCurrentNode(node)
        self.nodeAddedByUser.emit(node)
        return node

    def removeCurrentNode(self):
        node = self.currentNode()
        if node is not None:
            self._scene.RemoveNode(node)

    def renameCurrentNode(self):
        node = self.currentNode()
        if node is not None:
            name, accepted = QInputDialog.getText(self, f"Rename {node.GetName()}", "New name:", text=node.GetName())
            if accepted:
                node.SetName(name)

    def editCurrentNode(self):
        self.nodeAboutToBeEdited.emit(self.currentNode())

    def addMenuAction(self, action):
        self._user_actions.append(action)
        self._update_menu_button()

    def _fill_menu(self) -> None:
        self._menu.clear()
        if self._flags["add"]:
            for node_type in self._node_types:
                self._menu.addAction(f"Create new {self.nodeTypeLabel(node_type)}", lambda t=node_type: self.addNode(t))
        if self._flags["rename"]:
            self._menu.addAction("Rename current node", self.renameCurrentNode)
        if self._flags["remove"]:
            self._menu.addAction("Delete current node", self.removeCurrentNode)
        self._menu.addActions(self._user_actions)

    def _update_menu_button(self) -> None:
        self._menu_button.setVisible(bool(self._user_actions) or any(self._flags[flag] for flag in ("add", "remove", "rename")))

    # Settings.

    def baseName(self):
        return self._base_name

    def setBaseName(self, name):
        self._base_name = name

    def noneDisplay(self):
        return self._none_display

    def setNoneDisplay(self, text):
        self._none_display = text
        row = self._combo_box.findData(_NO_NODE)
        if row >= 0:
            self._combo_box.setItemText(row, self._none_text())

    def interactionNodeSingletonTag(self):
        return self._singleton_tag

    def setInteractionNodeSingletonTag(self, tag):
        self._singleton_tag = tag

    def sizeAdjustPolicy(self):
        return self._combo_box.sizeAdjustPolicy()

    def setSizeAdjustPolicy(self, policy):
        self._combo_box.setSizeAdjustPolicy(policy)

    def sizeHint(self):
        """Wide enough for the longest name, as the real one's is: a panel grows with it."""
        texts = [self._combo_box.itemText(row) for row in range(self._combo_box.count())]
        return QSize(max([136, *(self.fontMetrics().horizontalAdvance(text) + 52 for text in texts)]), 25)

    def minimumSizeHint(self):
        return self.sizeHint()


add_flags(
    NodeComboBox,
    {
        "noneEnabled": "none",
        "addEnabled": "add",
        "removeEnabled": "remove",
        "editEnabled": "edit",
        "renameEnabled": "rename",
        "showHidden": "hidden",
        "showChildNodeTypes": "child types",
        "selectNodeUponCreation": "select new",
    },
)


@stand_in("qMRMLCheckableNodeComboBox")
class CheckableNodeComboBox(NodeComboBox):
    """Lists nodes, each with a check mark."""

    checkedNodesChanged = Signal()

    def __init__(self, parent=None):
        super().__init__(parent)
        self._checked: set[str] = set()

    def checkedNodes(self):
        return [node for node in self._listed() if node.GetID() in self._checked]

    def uncheckedNodes(self):
        return [node for node in self._listed() if node.GetID() not in self._checked]

    def allChecked(self):
        return not self.uncheckedNodes()

    def noneChecked(self):
        return not self.checkedNodes()

    def checkState(self, node):
        return Qt.CheckState.Checked if node.GetID() in self._checked else Qt.CheckState.Unchecked

    def setCheckState(self, node, state):
        before = set(self._checked)
        if state == Qt.CheckState.Checked:
            self._checked.add(node.GetID())
        else:
            self._checked.discard(node.GetID())
        if before != self._checked:
            self.checkedNodesChanged.emit()

    def check(self, node):
        self.setCheckState(node, Qt.CheckState.Checked)

    def uncheck(self, node):
        self.setCheckState(node, Qt.CheckState.Unchecked)
