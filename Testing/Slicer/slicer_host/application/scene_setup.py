"""The MRML scene as Slicer has it after its start: application logic, module logics, the nodes that always exist. Imports slicer-core."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import slicer

SHARE_DIRECTORY = "share/Slicer-5.13"
"""Relative to Slicer's home, as the application logic wants it."""

FOUR_UP_LAYOUT = 3
"""vtkMRMLLayoutNode's number of the layout that Slicer starts with."""

# Name of the module (as slicer.modules has it, in its C++ spelling) -> class of its logic in slicer-core.
MODULE_LOGIC_CLASSES = {
    "Colors": "vtkSlicerColorLogic",
    "Units": "vtkSlicerUnitsLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Terminologies": "vtkSlicerTerminologiesModuleLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Models": "vtkSlicerModelsLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Texts": "vtkSlicerTextsLogic",
    "Cameras": "vtkSlicerCamerasModuleLogic",
    "ViewControllers": "vtkSlicerViewControllersLogic",
    "Data": "vtkSlicerDataModuleLogic",
}

# The wheel has no terminology files. These few entries, with codes from SNOMED CT as DICOM uses them, are enough to give segments a
# terminology and to read it back.
_TYPES = {
    "Tissue": ("85756007", "Tissue", (128, 174, 128), [("85756007", "Tissue", (128, 174, 128)), ("80891009", "Heart", (206, 110, 84))]),
    "Anatomical Structure": (
        "123037004",
        "Anatomical Structure",
        (111, 184, 210),
        [("10200004", "Liver", (221, 130, 101)), ("64033007", "Kidney", (185, 102, 83))],
    ),
    "Morphologically Altered Structure": (
        "49755003",
        "Morphologically Altered Structure",
        (144, 238, 144),
        [("4147007", "Mass", (144, 238, 144)), ("108369006", "Neoplasm", (144, 238, 144))],
    ),
}


@dataclass(frozen=True)
class SceneSetup:
    """What Slicer's core makes at its start and keeps until its end."""

    scene: slicer.vtkMRMLScene
    application_logic: slicer.vtkSlicerApplicationLogic
    layout_logic: slicer.vtkMRMLLayoutLogic
    remote_io_logic: slicer.vtkMRMLRemoteIOLogic
    module_logics: dict[str, slicer.vtkMRMLAbstractLogic] = field(default_factory=dict)


def build_scene(home: Path, temporary_directory: Path) -> SceneSetup:
    """Make the scene and every logic that a module may ask for.

    Args:
        home: Slicer's home; a `share` folder with color and terminology files is written there.
        temporary_directory: where Slicer puts what it needs for a moment.
    """
    _write_share(home / SHARE_DIRECTORY)
    scene = slicer.vtkMRMLScene()
    scene.SetDataIOManager(slicer.vtkDataIOManager())
    application_logic = slicer.vtkSlicerApplicationLogic()
    application_logic.SetHomeDirectory(str(home))
    application_logic.SetShareDirectory(SHARE_DIRECTORY)
    application_logic.SetTemporaryPath(str(temporary_directory))
    application_logic.SetMRMLScene(scene)
    scene.SetUndoOff()

    remote_io_logic = slicer.vtkMRMLRemoteIOLogic()
    remote_io_logic.SetMRMLApplicationLogic(application_logic)
    remote_io_logic.SetMRMLScene(scene)
    cache_directory = temporary_directory / "RemoteIO"
    cache_directory.mkdir(parents=True, exist_ok=True)
    remote_io_logic.GetCacheManager().SetRemoteCacheDirectory(str(cache_directory))
    remote_io_logic.AddDataIOToScene()

    module_logics = {}
    for name, class_name in MODULE_LOGIC_CLASSES.items():
        logic = getattr(slicer, class_name)()
        if hasattr(logic, "SetModuleShareDirectory"):
            logic.SetModuleShareDirectory(str(home / SHARE_DIRECTORY / "qt-loadable-modules" / name))
        logic.SetMRMLApplicationLogic(application_logic)
        application_logic.SetModuleLogic(name, logic)
        logic.SetMRMLScene(scene)
        if name == "Colors":
            application_logic.SetColorLogic(logic)
        module_logics[name] = logic

    crosshair = slicer.vtkMRMLCrosshairNode()
    crosshair.SetCrosshairName("default")
    scene.AddNode(crosshair)
    layout_logic = slicer.vtkMRMLLayoutLogic()
    layout_logic.SetMRMLApplicationLogic(application_logic)
    layout_logic.SetMRMLScene(scene)
    layout_logic.GetLayoutNode().SetViewArrangement(FOUR_UP_LAYOUT)
    return SceneSetup(scene, application_logic, layout_logic, remote_io_logic, module_logics)


def _write_share(share: Path) -> None:
    """Write the small part of Slicer's `share` folder that the logics read at their start."""
    colors = share / "ColorFiles"
    colors.mkdir(parents=True, exist_ok=True)
    rows = [f"{i} color{i} {(i * 67) % 256} {(i * 131) % 256} {(i * 197) % 256} 255" for i in range(1, 32)]
    (colors / "GenericColors.txt").write_text("\n".join(["# Color table file", "0 background 0 0 0 0", *rows, ""]))
    terminologies = share / "qt-loadable-modules" / "Terminologies"
    terminologies.mkdir(parents=True, exist_ok=True)
    for name in ("SlicerGeneralAnatomy", "DICOM-Master"):
        context = f"Segmentation category and type - {'3D Slicer General Anatomy' if name.startswith('Slicer') else 'DICOM master'} list"
        path = terminologies / f"SegmentationCategoryTypeModifier-{name}.term.json"
        path.write_text(json.dumps(_category_context(context), indent=1))
    region = {
        "SegmentationCategoryTypeContextName": "Anatomic codes - DICOM master list",
        "@schema": "https://raw.githubusercontent.com/qiicr/dcmqi/master/doc/schemas/anatomic-context-schema.json#",
        "AnatomicContextName": "Anatomic codes - DICOM master list",
        "AnatomicCodes": {"AnatomicRegion": [_code("80891009", "Heart"), _code("10200004", "Liver")]},
    }
    (terminologies / "AnatomicRegionAndModifier-DICOM-Master.term.json").write_text(json.dumps(region, indent=1))


def _code(value: str, meaning: str) -> dict[str, object]:
    return {"CodingSchemeDesignator": "SCT", "CodeValue": value, "CodeMeaning": meaning}


def _category_context(name: str) -> dict[str, object]:
    categories = [
        {
            **_code(value, meaning),
            "showAnatomy": True,
            "recommendedDisplayRGBValue": list(color),
            "Type": [{**_code(v, m), "recommendedDisplayRGBValue": list(c), "3dSlicerLabel": m.lower()} for v, m, c in types],
        }
        for value, meaning, color, types in _TYPES.values()
    ]
    return {
        "SegmentationCategoryTypeContextName": name,
        "@schema": "https://raw.githubusercontent.com/qiicr/dcmqi/master/doc/schemas/segment-context-schema.json#",
        "SegmentationCodes": {"Category": categories},
    }
