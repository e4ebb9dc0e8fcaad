"""What a test does in place of the mouse work of segment editor effects. Imports the widget's stand-in, VTK and slicer-core.

The strokes go through slicer-core's editor, so masking, overwriting and undo are the real ones.
"""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from .. import pythonqt

_ADD = slicer.vtkSlicerSegmentEditorLogic.ModificationModeAdd
_REMOVE = slicer.vtkSlicerSegmentEditorLogic.ModificationModeRemove
_SET = slicer.vtkSlicerSegmentEditorLogic.ModificationModeSet


def paint(editor_widget, mask_kji: np.ndarray) -> None:
    """One stroke of Paint: add a mask to the current segment, as far as masking lets it.

    Args:
        editor_widget: the slicer.qMRMLSegmentEditorWidget, with segmentation, source volume and segment set.
        mask_kji: (k, j, i) bool or 0/1 in the segmentation's reference geometry, that is, the source volume's if that was set as such.

    Raises:
        RuntimeError: the editor is not ready. ValueError: the mask has another shape than the reference geometry.
    """
    _modify(editor_widget, mask_kji, _ADD)


def erase(editor_widget, mask_kji: np.ndarray) -> None:
    """One stroke of Erase: take a mask from the current segment, as far as masking lets it. Arguments as in `paint`."""
    _modify(editor_widget, mask_kji, _REMOVE)


def threshold(editor_widget, low: float, high: float) -> None:
    """Threshold's Apply: the current segment becomes what lies within [low, high] in the source volume, as far as masking lets it."""
    logic = _ready_logic(editor_widget)
    logic.UpdateAlignedSourceVolume()
    source = logic.GetAlignedSourceVolume()
    intensities = vtk_to_numpy(source.GetPointData().GetScalars()).reshape(source.GetDimensions()[::-1])
    _modify(editor_widget, (intensities >= low) & (intensities <= high), _SET)


def _ready_logic(editor_widget):
    editor = pythonqt.unwrap(editor_widget)
    if editor.segmentationNode() is None or editor.sourceVolumeNode() is None or not editor.currentSegmentID():
        raise RuntimeError("to edit, the segment editor widget needs a segmentation node, a source volume node and a current segment")
    logic = editor.logic()
    if not logic.UpdateReferenceGeometryImage() or not logic.ResetModifierLabelmapToDefault():
        raise RuntimeError("the segment editor could not find the reference geometry of the segmentation")
    return logic


def _modify(editor_widget, mask_kji: np.ndarray, mode: int) -> None:
    editor = pythonqt.unwrap(editor_widget)
    logic = _ready_logic(editor_widget)
    modifier = logic.GetModifierLabelmap()
    shape_kji = modifier.GetDimensions()[::-1]
    if mask_kji.shape != shape_kji:
        raise ValueError(f"expected a mask of shape {shape_kji} (k, j, i), the segmentation's reference geometry, got {mask_kji.shape}")
    stroke = slicer.vtkOrientedImageData()
    stroke.DeepCopy(modifier)
    scalars = numpy_to_vtk(np.ascontiguousarray(mask_kji, dtype=np.uint8).ravel(), deep=True, array_type=vtk.VTK_UNSIGNED_CHAR)
    stroke.GetPointData().SetScalars(scalars)
    editor.saveStateForUndo()
    logic.UpdateAlignedSourceVolume()
    logic.UpdateMaskLabelmap()
    logic.ModifySegmentByLabelmap(editor.segmentationNode(), editor.currentSegmentID(), stroke, mode, True, False)
    editor.updateWidgetFromMRML()
