"""Stand-in for the effects of the segment editor: names and parameters, without their mouse work. Imports PySide6 and slicer-core."""

from __future__ import annotations

from typing import TYPE_CHECKING

import slicer
from PySide6.QtCore import QObject

from ..registry import stand_in

if TYPE_CHECKING:
    from .segment_editor_widget import SegmentEditorWidget

EFFECT_NAMES = (
    "Paint",
    "Draw",
    "Erase",
    "Level tracing",
    "Grow from seeds",
    "Fill between slices",
    "Threshold",
    "Margin",
    "Hollow",
    "Smoothing",
    "Scissors",
    "Islands",
    "Logical operators",
    "Mask volume",
)


@stand_in("qSlicerSegmentEditorAbstractEffect")
class SegmentEditorEffect(QObject):
    """One effect: its parameters live in the editor node under `Effect.name`, common ones under their bare name."""

    def __init__(self, name: str, editor: SegmentEditorWidget):
        super().__init__(editor)
        self._name = name
        self._editor = editor

    def name(self):
        return self._name

    def title(self):
        return self._name

    def perSegment(self):
        return self._name not in ("Grow from seeds", "Fill between slices")

    def active(self):
        return self._editor.activeEffect() is self

    def scene(self):
        return self._editor.mrmlScene()

    def parameterSetNode(self):
        return self._editor.mrmlSegmentEditorNode()

    def parameter(self, name):
        node = self._editor.required_node()
        return node.GetAttribute(f"{self._name}.{name}") or node.GetAttribute(name) or ""

    def integerParameter(self, name):
        return int(float(self.parameter(name) or 0))

    def doubleParameter(self, name):
        return float(self.parameter(name) or 0)

    def parameterDefined(self, name):
        return self._editor.required_node().GetAttribute(f"{self._name}.{name}") is not None

    def commonParameterDefined(self, name):
        return self._editor.required_node().GetAttribute(name) is not None

    def setParameter(self, name, value):
        self._set(f"{self._name}.{name}", value)

    def setParameterDefault(self, name, value):
        if not self.parameterDefined(name):
            self.setParameter(name, value)

    def setCommonParameter(self, name, value):
        self._set(name, value)

    def _set(self, attribute: str, value) -> None:
        """Change the node without its general event, and tell by the event of parameters, as Slicer does."""
        node = self._editor.required_node()
        disabled = node.GetDisableModifiedEvent()
        node.SetDisableModifiedEvent(1)
        node.SetAttribute(attribute, str(value))
        node.SetDisableModifiedEvent(disabled)
        node.InvokeCustomModifiedEvent(slicer.vtkMRMLSegmentEditorNode.EffectParameterModified)

    def setCommonParameterDefault(self, name, value):
        if not self.commonParameterDefined(name):
            self.setCommonParameter(name, value)

    def selectEffect(self, name):
        self._editor.setActiveEffectByName(name)

    def saveStateForUndo(self):
        self._editor.saveStateForUndo()

    def modifierLabelmap(self):
        return self._editor.logic().GetModifierLabelmap()

    def defaultModifierLabelmap(self):
        self._editor.logic().ResetModifierLabelmapToDefault()
        return self._editor.logic().GetModifierLabelmap()

    def selectedSegmentLabelmap(self):
        self._editor.logic().UpdateSelectedSegmentLabelmap()
        return self._editor.logic().GetSelectedSegmentLabelmap()

    def modifySelectedSegmentByLabelmap(self, labelmap, mode, *extent_or_bypass):
        bypass = bool(extent_or_bypass[-1]) if extent_or_bypass and isinstance(extent_or_bypass[-1], bool) else False
        extent = [tuple(argument) for argument in extent_or_bypass if isinstance(argument, (list, tuple))]
        logic, node = self._editor.logic(), self._editor.required_node()
        arguments = (node.GetSegmentationNode(), node.GetSelectedSegmentID(), labelmap, int(mode), *extent, self.perSegment(), bypass)
        logic.ModifySegmentByLabelmap(*arguments)

    def updateGUIFromMRML(self):
        """There is no options widget to update."""

    def updateMRMLFromGUI(self):
        """There is no options widget to read."""
