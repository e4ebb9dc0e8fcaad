"""Loading and saving as `slicer.app.ioManager()` does it: volumes, segmentations, markups, tables, texts, scenes. Imports slicer-core.

The reading and writing is slicer-core's own. What is ours: which reader takes which file, by its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from ..registry import stand_in
from .scene_setup import SceneSetup

SCENE_FILE = "SceneFile"


@dataclass(frozen=True)
class _FileType:
    """A kind of file: its name in Slicer, the suffixes it reads and writes (lower case, longest first), and its nodes."""

    name: str
    suffixes: tuple[str, ...]
    node_classes: tuple[str, ...] = ()


_FILE_TYPES = (
    _FileType(SCENE_FILE, (".mrml", ".mrb")),
    _FileType("SegmentationFile", (".seg.nrrd", ".seg.nhdr"), ("vtkMRMLSegmentationNode",)),
    _FileType("MarkupsFile", (".mrk.json", ".fcsv"), ("vtkMRMLMarkupsNode",)),
    _FileType("TableFile", (".csv", ".tsv"), ("vtkMRMLTableNode",)),
    _FileType("TextFile", (".txt", ".json", ".xml"), ("vtkMRMLTextNode",)),
    _FileType("TransformFile", (".h5", ".tfm"), ("vtkMRMLTransformNode",)),
    _FileType("VolumeFile", (".nii.gz", ".nrrd", ".nhdr", ".nii", ".mha", ".mhd"), ("vtkMRMLVolumeNode",)),
)


@stand_in("qSlicerIOManager")
class IOManager(QObject):
    """Loads and saves. Returns False and leaves a message where Slicer does so; a type that the host does not know raises."""

    newFileLoaded = Signal(object)
    fileSaved = Signal(object)

    def __init__(self, setup: SceneSetup, parent=None):
        super().__init__(parent)
        self._setup = setup
        self._scene = setup.scene

    def fileType(self, file):
        name = Path(file).name.lower()
        return next((type_.name for type_ in _FILE_TYPES if name.endswith(type_.suffixes)), "")

    def fileTypes(self, file):
        return [self.fileType(file)] if self.fileType(file) else []

    def fileWriterFileType(self, node, extension=""):
        return _type_of_node(node).name

    def fileWriterExtensions(self, node):
        type_ = _type_of_node(node)
        return [f"{type_.name.removesuffix('File')} (*{suffix})" for suffix in type_.suffixes]

    def registeredFileReaderCount(self, file_type):
        return sum(type_.name == file_type for type_ in _FILE_TYPES)

    def registeredFileWriterCount(self, file_type):
        return self.registeredFileReaderCount(file_type)

    def extractKnownExtension(self, file_name, node):
        type_ = _type_of_node(node)
        return next((suffix for suffix in type_.suffixes if file_name.lower().endswith(suffix)), "")

    def stripKnownExtension(self, file_name, node):
        extension = self.extractKnownExtension(file_name, node)
        return file_name[: -len(extension)] if extension else file_name

    def addDefaultStorageNodes(self):
        for index in range(self._scene.GetNumberOfNodesByClass("vtkMRMLStorableNode")):
            self._scene.GetNthNodeByClass(index, "vtkMRMLStorableNode").AddDefaultStorageNode()

    def loadFile(self, file_name, messages=None):
        return self.loadNodes(self.fileType(file_name), {"fileName": file_name}, None, messages)

    def loadScene(self, file_name, clear=True, messages=None):
        return self.loadNodes(SCENE_FILE, {"fileName": file_name, "clear": clear}, None, messages)

    def loadNodes(self, file_type, properties, loaded_nodes=None, messages=None):
        path = str(properties["fileName"])
        if not Path(path).is_file():
            return False
        if file_type == SCENE_FILE:
            success = self._load_scene(path, bool(properties.get("clear", False)), messages)
        else:
            node = self._load_node(file_type, path, properties)
            success = node is not None
            if success and loaded_nodes is not None:
                loaded_nodes.AddItem(node)
        if success:
            self.newFileLoaded.emit(dict(properties))
        return success

    def saveScene(self, file_name, screen_shot, messages=None):
        return self.saveNodes(SCENE_FILE, {"fileName": file_name, "screenShot": screen_shot}, messages)

    def saveNodes(self, file_type, properties, messages=None, scene=None):
        path = str(properties["fileName"])
        if file_type == SCENE_FILE:
            success = self._save_scene(path, messages)
        else:
            node = self._scene.GetNodeByID(properties["nodeID"])
            if node is None:
                raise ValueError(f"no node has the ID {properties['nodeID']!r}")
            node.AddDefaultStorageNode(path)
            storage = node.GetStorageNode()
            storage.SetFileName(path)
            if "useCompression" in properties:
                storage.SetUseCompression(int(properties["useCompression"]))
            success = bool(storage.WriteData(node))
            if not success and messages is not None:
                messages.AddMessages(storage.GetUserMessages())
        if success:
            self.fileSaved.emit(dict(properties))
        return success

    def _load_scene(self, path: str, clear: bool, messages) -> bool:
        if path.lower().endswith(".mrb"):
            return bool(self._scene.ReadFromMRB(path, clear, messages))
        self._scene.SetURL(path)
        return bool(self._scene.Connect(messages) if clear else self._scene.Import(messages))

    def _save_scene(self, path: str, messages) -> bool:
        if path.lower().endswith(".mrb"):
            return bool(self._scene.WriteToMRB(path, None, messages))
        if path.lower().endswith(".mrml"):
            self._scene.SetURL(path)
            self._scene.SetRootDirectory(str(Path(path).parent))
            return bool(self._scene.Commit(path, messages))
        return bool(self._setup.application_logic.SaveSceneToSlicerDataBundleDirectory(path, None, messages))

    def _load_node(self, file_type: str, path: str, properties: dict):
        name = properties.get("name") or self._scene.GenerateUniqueName(_base_name(path))
        logics = self._setup.module_logics
        if file_type == "VolumeFile":
            is_labels = bool(properties.get("labelmap", False))
            node = logics["Volumes"].AddArchetypeVolume(path, name, 1 if is_labels else 0)
            if node is not None and properties.get("show", True):
                selection = self._setup.application_logic.GetSelectionNode()
                if is_labels:
                    selection.SetActiveLabelVolumeID(node.GetID())
                else:
                    selection.SetActiveVolumeID(node.GetID())
                self._setup.application_logic.PropagateVolumeSelection(1)
            return node
        if file_type == "SegmentationFile":
            return self._load_storable("vtkMRMLSegmentationNode", path, name)
        if file_type == "MarkupsFile":
            node_id = logics["Markups"].LoadMarkups(path, name)
            return self._scene.GetNodeByID(node_id) if node_id else None
        if file_type == "TableFile":
            return logics["Tables"].AddTable(path, name)
        if file_type == "TextFile":
            return self._load_storable("vtkMRMLTextNode", path, name)
        raise NotImplementedError(f"the test host does not load files of type {file_type!r} ({path})")

    def _load_storable(self, class_name: str, path: str, name: str):
        node = self._scene.AddNewNodeByClass(class_name, name)
        node.AddDefaultStorageNode(path)
        storage = node.GetStorageNode()
        storage.SetFileName(path)
        if not storage.ReadData(node):
            self._scene.RemoveNode(storage)
            self._scene.RemoveNode(node)
            return None
        if hasattr(node, "CreateDefaultDisplayNodes"):
            node.CreateDefaultDisplayNodes()
        return node


def _base_name(path: str) -> str:
    name = Path(path).name
    for type_ in _FILE_TYPES:
        for suffix in type_.suffixes:
            if name.lower().endswith(suffix):
                return name[: -len(suffix)]
    return Path(path).stem


def _type_of_node(node) -> _FileType:
    for type_ in _FILE_TYPES:
        if any(node.IsA(class_name) for class_name in type_.node_classes):
            return type_
    raise NotImplementedError(f"the test host does not save nodes of class {node.GetClassName()}")


def delete_as_the_user_does(node) -> None:
    """Delete a node as the Data module's 'Delete' does: the segments of a segmentation go one by one, before the node itself."""
    if node.IsA("vtkMRMLSegmentationNode"):
        for segment_id in list(node.GetSegmentation().GetSegmentIDs()):
            node.GetSegmentation().RemoveSegment(segment_id)
    node.GetScene().RemoveNode(node)
