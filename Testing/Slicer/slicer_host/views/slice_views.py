"""Slice views with Slicer's real slice logic and displayable managers, drawn off screen on demand. Imports PySide6, VTK, slicer-core.

Segments, ROIs, points and the crosshair are drawn by slicer-core itself. What is ours: the actor that puts the blended image behind them
(the application has a light box of CTK there), the Qt widgets around, and the moment of drawing, which is when a test asks for it.
Mouse events go into the VTK interactor, so markups and the cursor position answer as in Slicer.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import slicer
import vtk
from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QImage, QPainter
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QSlider, QVBoxLayout, QWidget
from vtk.util.numpy_support import vtk_to_numpy

from ..application.scene_setup import SceneSetup
from ..registry import stand_in
from . import view_costs

DISPLAYABLE_MANAGERS = (
    "vtkMRMLVolumeGlyphSliceDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLScalarBarDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLMarkupsDisplayableManager",
)
_DEFAULT_SIZE = (400, 400)
_FRAME_SECONDS = 1 / 60  # CTK's default update rate


def register_displayable_managers(setup: SceneSetup) -> None:
    """Tell the factory what each slice view shows. Once per process."""
    factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
    factory.SetMRMLApplicationLogic(setup.application_logic)
    for name in DISPLAYABLE_MANAGERS:
        if not factory.RegisterDisplayableManager(name):
            raise RuntimeError(f"slicer-core did not register {name}")


@stand_in("qMRMLSliceView")
class SliceView(QWidget):
    """The picture of a slice view."""

    resized = Signal(object)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._pauses = 0
        self._requested: float | None = None  # when a rendering was asked for that has not come yet
        self._request_timer = QTimer(self)
        self._request_timer.setSingleShot(True)
        self._request_timer.setInterval(round(1000 * _FRAME_SECONDS))
        self._request_timer.timeout.connect(self.requestRender)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(60, 60)
        self._slice_node = None
        self._slice_logic = None
        self._corner_text = ""
        self._picture: QImage | None = None
        self._renderer = vtk.vtkRenderer()
        self._render_window = vtk.vtkRenderWindow()
        self._render_window.SetOffScreenRendering(1)
        self._render_window.SetShowWindow(False)
        self._render_window.SetMultiSamples(0)
        self._render_window.SetSize(*_DEFAULT_SIZE)
        self._render_window.AddRenderer(self._renderer)
        self._interactor = vtk.vtkGenericRenderWindowInteractor()
        self._interactor.SetRenderWindow(self._render_window)
        self._interactor.Initialize()
        self._interactor.SetInteractorStyle(vtk.vtkInteractorStyleUser())
        self._mapper = vtk.vtkImageMapper()
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        self._image_actor = vtk.vtkActor2D()
        self._image_actor.SetMapper(self._mapper)
        self._image_actor.GetProperty().SetDisplayLocationToBackground()
        self._image_actor.VisibilityOff()
        self._renderer.AddViewProp(self._image_actor)  # before the managers add theirs, which then lie over it
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        self._group = factory.InstantiateDisplayableManagers(self._renderer)
        self._style = slicer.vtkMRMLSliceViewInteractorStyle()
        self._group.AddObserver("UpdateEvent", lambda *_: self.scheduleRender())
        self._style.SetDisplayableManagers(self._group)
        self._style.SetInteractor(self._interactor)

    def connect_logic(self, logic, scene) -> None:
        """Host only: show what the slice logic blends, for its slice node."""
        self._slice_logic = logic
        self._style.SetSliceLogic(logic)
        logic.SetDisplayableManagerGroup(self._group)
        logic.AddObserver("ModifiedEvent", lambda *_: self.scheduleRender())
        self.setMRMLSliceNode(logic.GetSliceNode())
        logic.ResizeSliceNode(*_DEFAULT_SIZE)
        self._scene = scene

    def release(self) -> None:
        """Host only: let go of the scene and the graphics context before Python ends."""
        self._group.SetMRMLDisplayableNode(None)
        self._style.SetSliceLogic(None)
        self._style.SetInteractor(None)
        self._render_window.Finalize()

    # As Slicer lists them.

    def setMRMLScene(self, scene):
        if scene is None:
            self.setMRMLSliceNode(None)

    def setMRMLSliceNode(self, node):
        self._slice_node = node
        self._group.SetMRMLDisplayableNode(node)
        if node is not None:
            self._plane = _plane_of(node)
            node.AddObserver("ModifiedEvent", self._node_modified, 1.0)

    def _node_modified(self, node, _event):
        plane = _plane_of(node)
        if plane != self._plane:
            self._plane = plane
            view_costs.jumped(node.GetLayoutName())

    def mrmlSliceNode(self):
        return self._slice_node

    def interactor(self):
        return self._interactor

    def interactorStyle(self):
        return self._style

    def interactorObserver(self):
        return self._style

    def renderWindow(self):
        return self._render_window

    def displayableManagerByClassName(self, name):
        return self._group.GetDisplayableManagerByClassName(name)

    def getDisplayableManagers(self, collection):
        for index in range(self._group.GetDisplayableManagerCount()):
            collection.AddItem(self._group.GetNthDisplayableManager(index))

    def convertDeviceToXYZ(self, xy):
        return [float(xy[0]), float(xy[1]), 0.0]

    def convertXYZToRAS(self, xyz):
        return list(self._slice_node.GetXYToRAS().MultiplyPoint((*xyz, 1.0))[:3])

    def convertRASToXYZ(self, ras):
        ras_to_xy = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self._slice_node.GetXYToRAS(), ras_to_xy)
        return list(ras_to_xy.MultiplyPoint((*ras, 1.0))[:3])

    # When Slicer renders, as CTK's views decide it: soon after the first wish; at once, in the midst of whatever asks, if that wish has
    # waited for longer than a frame; and never while rendering is paused. What is rendered is only counted: pictures are drawn on demand.

    def scheduleRender(self):
        if self._requested is None:
            self._requested = time.monotonic()
            self._request_timer.start()
        elif time.monotonic() - self._requested > _FRAME_SECONDS:
            self.requestRender()

    def requestRender(self):
        if self._pauses == 0 and self._requested is not None:
            self._rendered()

    def _rendered(self):
        self._request_timer.stop()
        self._requested = None
        if self._slice_node is not None and self.isVisible():
            view_costs.rendered(self._slice_node.GetLayoutName())

    def pauseRender(self):
        self._pauses += 1
        return self._pauses

    def resumeRender(self):
        if self._pauses == 0:
            raise RuntimeError("Cannot resume rendering, pause render count is already 0!")  # CTK prints this
        self._pauses -= 1
        if self._pauses == 0 and self._requested is not None:
            self._request_timer.start()
            self.scheduleRender()
        return self._pauses

    def setRenderPaused(self, pause):
        return self.pauseRender() if pause else self.resumeRender()

    def isRenderPaused(self):
        return self._pauses > 0

    def forceRender(self):
        self._rendered()
        self._draw()
        self.update()

    def cornerAnnotationText(self):
        return self._corner_text

    def setCornerAnnotationText(self, text):
        self._corner_text = text

    def setViewCursor(self, cursor):
        self.setCursor(cursor)

    def unsetViewCursor(self):
        self.unsetCursor()

    # Drawing.

    def draw(self, size: tuple[int, int] | None = None) -> np.ndarray:
        """Host only: draw the view anew.

        Args:
            size: (width, height) in pixels; the field of view stays, so the same anatomy is seen. None: as the view is.

        Returns:
            (rows, columns, 3) uint8, row 0 on top.
        """
        node = self._slice_node
        before_dimensions, before_field = tuple(node.GetDimensions()), tuple(node.GetFieldOfView())
        if size is None:
            return self._draw()
        millimeters_per_pixel = max(before_field[0] / size[0], before_field[1] / size[1])
        field = (size[0] * millimeters_per_pixel, size[1] * millimeters_per_pixel, before_field[2])
        try:
            self._set_geometry((*size, before_dimensions[2]), field)
            return self._draw()
        finally:
            self._set_geometry(before_dimensions, before_field)

    def picture(self) -> QImage | None:
        """Host only: what was drawn last."""
        return self._picture

    def _set_geometry(self, dimensions, field) -> None:
        self._slice_node.SetDimensions(*dimensions)
        self._slice_node.SetFieldOfView(*field)
        self._slice_node.UpdateMatrices()

    def _draw(self) -> np.ndarray:
        width, height = self._slice_node.GetDimensions()[:2]
        self._render_window.SetSize(width, height)
        connection = self._slice_logic.GetImageDataConnection()
        self._image_actor.SetVisibility(connection is not None)
        if connection is not None:
            self._mapper.SetInputConnection(connection)
        self._render_window.Render()
        grabber = vtk.vtkWindowToImageFilter()
        grabber.SetInput(self._render_window)
        grabber.ReadFrontBufferOff()
        grabber.SetInputBufferTypeToRGB()
        grabber.Update()
        image = grabber.GetOutput()
        columns, rows, _ = image.GetDimensions()
        pixels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(rows, columns, 3)[::-1].copy()
        self._picture = QImage(pixels.tobytes(), columns, rows, columns * 3, QImage.Format.Format_RGB888).copy()
        return pixels

    def resizeEvent(self, event):
        super().resizeEvent(event)
        if self._slice_logic is not None and self._slice_node is not None and self.isVisible():
            self._slice_logic.ResizeSliceNode(max(self.width(), 1), max(self.height(), 1))
        self._picture = None
        self.resized.emit(self.size())

    def showEvent(self, event):
        super().showEvent(event)
        if self._slice_logic is not None and self._slice_node is not None:
            self._slice_logic.ResizeSliceNode(max(self.width(), 1), max(self.height(), 1))

    def paintEvent(self, event):
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(0, 0, 0))
        if self._picture is not None:
            painter.drawImage(self.rect(), self._picture)
        painter.end()

    def sizeHint(self):
        return QSize(*_DEFAULT_SIZE)


def _plane_of(node) -> tuple[float, ...]:
    """The plane that a slice node shows, as its normal and its distance from the origin."""
    matrix = node.GetSliceToRAS()
    normal = [matrix.GetElement(row, 2) for row in range(3)]
    distance = sum(matrix.GetElement(row, 3) * normal[row] for row in range(3))
    return tuple(round(number, 4) for number in (*normal, distance))


@stand_in("qMRMLSliceControllerWidget")
class SliceController(QWidget):
    """The bar above a slice view: its letter, a slider for the offset, the offset in mm, and a selector of segments that nobody sees here.

    The selector does what Slicer's does (`qMRMLSliceControllerWidget::onSegmentVisibilitySelectionChanged`): when it goes over to another
    segmentation after it had listed segments of an earlier one, nothing is checked in it, and so it hides all segments of the new one.
    """

    def __init__(self, parent=None):
        super().__init__(parent)
        self._logic = None
        self._segmentation = None  # that the selector lists
        self._listed = False  # whether it has ever listed a segment
        self._label = QLabel()
        self._label.setMinimumWidth(22)
        self._label.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._slider = QSlider(Qt.Orientation.Horizontal)
        self._slider.setRange(0, 1000)
        self._value = QLabel()
        self._value.setMinimumWidth(70)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 4, 0)
        for widget in (self._label, self._slider, self._value):
            layout.addWidget(widget)

    def connect_logic(self, logic) -> None:
        """Host only: control the view of this logic."""
        self._logic = logic
        node = logic.GetSliceNode()
        color = QColor.fromRgbF(*node.GetLayoutColor())
        self._label.setText(node.GetLayoutLabel())
        self._label.setStyleSheet(f"background: {color.name()}; color: black; font-weight: bold;")
        self.update_from_logic()
        scene = logic.GetMRMLScene()
        for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndBatchProcessEvent):
            scene.AddObserver(event, lambda *_: QTimer.singleShot(0, self._select_segmentation))

    def _select_segmentation(self) -> None:
        scene = self._logic.GetMRMLScene()
        if scene is None or scene.IsBatchProcessing():
            return
        nodes = [
            scene.GetNthNodeByClass(n, "vtkMRMLSegmentationNode") for n in range(scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode"))
        ]
        if self._segmentation not in nodes:
            self._segmentation = nodes[0] if nodes else None
            display = self._segmentation.GetDisplayNode() if nodes else None
            if display is not None and self._listed:
                for segment in self._segmentation.GetSegmentation().GetSegmentIDs():
                    display.SetSegmentVisibility(segment, False)
        if self._segmentation is not None:
            self._listed = self._listed or self._segmentation.GetSegmentation().GetNumberOfSegments() > 0

    def update_from_logic(self) -> None:
        """Host only: show the offset as it is."""
        offset = self._logic.GetSliceOffset()
        minimum, maximum = self._offset_range()
        if maximum > minimum:
            self._slider.setValue(round(1000 * (offset - minimum) / (maximum - minimum)))
        self._value.setText(f"{offset:.1f} mm")

    def forget_segments(self) -> None:
        """Host only: as if no segmentation had been there yet."""
        self._segmentation, self._listed = None, False

    def _offset_range(self) -> tuple[float, float]:
        bounds_mm, resolution = [0.0] * 2, vtk.reference(0.0)
        self._logic.GetSliceOffsetRangeResolution(bounds_mm, resolution)
        return bounds_mm[0], bounds_mm[1]

    def mrmlSliceNode(self):
        return self._logic.GetSliceNode()

    def mrmlSliceCompositeNode(self):
        return self._logic.GetSliceCompositeNode()

    def sliceLogic(self):
        return self._logic

    def fitSliceToBackground(self):
        self._logic.FitSliceToBackground()

    def setSliceOffsetValue(self, offset):
        self._logic.SetSliceOffset(offset)

    def rotateSliceToLowestVolumeAxes(self):
        self._logic.RotateSliceToLowestVolumeAxes(True)


@stand_in("qMRMLSliceWidget")
class SliceWidget(QWidget):
    """A slice view with its bar and its logic."""

    def __init__(self, setup: SceneSetup, name: str, parent=None):
        super().__init__(parent)
        self._logic = slicer.vtkMRMLSliceLogic()
        self._logic.SetMRMLApplicationLogic(setup.application_logic)
        self._logic.SetMRMLScene(setup.scene)
        node = setup.scene.GetNodeByID(f"vtkMRMLSliceNode{name}")
        self._logic.SetSliceNode(node)
        self._controller = SliceController(self)
        self._controller.connect_logic(self._logic)
        self._controller.setObjectName("SliceController")
        self._view = SliceView(self)
        self._view.connect_logic(self._logic, setup.scene)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._controller)
        layout.addWidget(self._view, 1)

    def sliceLogic(self):
        return self._logic

    def logic(self):
        return self._logic

    def mrmlSliceNode(self):
        return self._logic.GetSliceNode()

    def mrmlAbstractViewNode(self):
        return self._logic.GetSliceNode()

    def mrmlSliceCompositeNode(self):
        return self._logic.GetSliceCompositeNode()

    def sliceView(self):
        return self._view

    def viewWidget(self):
        return self._view

    def sliceController(self):
        return self._controller

    def controllerWidget(self):
        return self._controller

    def interactorStyle(self):
        return self._view.interactorStyle()

    def sliceOrientation(self):
        return self.mrmlSliceNode().GetOrientation()

    def setSliceOrientation(self, orientation):
        self.mrmlSliceNode().SetOrientation(orientation)

    def sliceViewName(self):
        return self.mrmlSliceNode().GetLayoutName()

    def fitSliceToBackground(self):
        self._logic.FitSliceToBackground()


def save_png(pixels: np.ndarray, path: Path) -> None:
    """Write (rows, columns, 3) uint8 to a PNG file."""
    rows, columns, _ = pixels.shape
    image = QImage(pixels.tobytes(), columns, rows, columns * 3, QImage.Format.Format_RGB888)
    if not image.save(str(path)):
        raise OSError(f"could not write the picture {path}")
