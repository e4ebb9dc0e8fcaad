"""The host's slice views show what Slicer's show, and its segment editor edits as Slicer's does."""

from __future__ import annotations

import numpy as np
import pytest
import qt
import slicer
import vtk

from slicer_host import errors
from slicer_host.views import views_and_mouse as views
from slicer_host.widgets.segment_editing import erase, paint, threshold

SHAPE_KJI = (10, 40, 50)


@pytest.fixture
def volume():
    """Intensity 100, with a block of 200 at k 4-6, j 10-19, i 20-29; 1 x 1 x 2 mm, index (0, 0, 0) at the world's origin."""
    array = np.full(SHAPE_KJI, 100, np.int16)
    array[4:7, 10:20, 20:30] = 200
    node = slicer.util.addVolumeFromArray(array, np.diag([1.0, 1.0, 2.0, 1.0]), "v")
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetAutoWindowLevel(0)
    node.GetDisplayNode().SetWindowLevelMinMax(0, 255)
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    for name in ("Red", "Green", "Yellow"):
        slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode().JumpSliceByOffsetting(25.0, 15.0, 10.0)
    return node


@pytest.fixture
def segmentation(volume):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "s")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    for segment_id in ("a", "b"):
        node.GetSegmentation().AddEmptySegment(segment_id)
    return node


@pytest.fixture
def editor(volume, segmentation):
    widget = slicer.qMRMLSegmentEditorWidget()
    widget.setMRMLScene(slicer.mrmlScene)
    widget.setMRMLSegmentEditorNode(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentEditorNode"))
    widget.setSegmentationNode(segmentation)
    widget.setSourceVolumeNode(volume)
    widget.setCurrentSegmentID("a")
    return widget


def block(k, j, i):
    mask = np.zeros(SHAPE_KJI, bool)
    mask[k, j, i] = True
    return mask


def labels(segmentation, segment_id, volume):
    return slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume)


def test_the_image_is_drawn_through_window_and_level(volume):
    picture = views.pixels("Red")
    assert picture.dtype == np.uint8 and picture.ndim == 3
    assert np.allclose(picture[views.pixel_of("Red", (25, 15, 10))], 200, atol=2)
    assert np.allclose(picture[views.pixel_of("Red", (10, 30, 10))], 100, atol=2)


def test_a_picture_of_another_size_shows_the_same_and_changes_nothing(volume, tmp_path):
    node = slicer.app.layoutManager().sliceWidget("Green").mrmlSliceNode()
    before = tuple(node.GetFieldOfView()), tuple(node.GetDimensions())
    picture = views.pixels("Green", (300, 200))
    assert picture.shape == (200, 300, 3) and abs(int(picture[100, 150].max()) - 200) <= 2
    assert (tuple(node.GetFieldOfView()), tuple(node.GetDimensions())) == before
    views.render_to_png("Green", tmp_path / "green.png", (120, 80))
    assert (qt.QImage(str(tmp_path / "green.png")).width(), qt.QImage(str(tmp_path / "green.png")).height()) == (120, 80)


def test_segments_rois_and_points_are_drawn_and_hidden_ones_are_not(volume, segmentation):
    plain = views.pixels("Red").astype(int)
    segmentation.GetSegmentation().GetSegment("a").SetColor(1, 0, 0)
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        block(slice(4, 7), slice(10, 20), slice(20, 30)).astype(np.uint8), segmentation, "a", volume
    )
    center = views.pixel_of("Red", (25, 15, 10))
    with_segment = views.pixels("Red").astype(int)
    assert np.allclose(with_segment[center], [228, 100, 100], atol=4)  # half red, half the image
    segmentation.GetDisplayNode().SetVisibility(False)
    assert np.array_equal(views.pixels("Red"), plain)
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    roi.CreateDefaultDisplayNodes()
    roi.SetCenterWorld(25, 15, 10)
    roi.SetSize(20, 16, 8)
    assert np.any(views.pixels("Red") != plain)
    roi.SetSize(1, 1, 1)
    roi.SetCenterWorld(25, 15, 40)
    assert np.array_equal(views.pixels("Red"), plain)


def test_the_cursor_says_in_which_view_and_where_the_mouse_is(volume):
    crosshair = slicer.util.getNode("Crosshair")
    ras, xyz = [0.0] * 3, [0.0] * 3
    views.move_mouse("Green", (20, 15, 8))
    assert crosshair.GetCursorPositionXYZ(xyz).GetName() == "Green"
    assert crosshair.GetCursorPositionRAS(ras) and ras == pytest.approx([20, 15, 8], abs=0.6)
    views.move_mouse("Yellow", (20, 12, 6))
    assert crosshair.GetCursorPositionXYZ(xyz).GetName() == "Yellow"
    assert crosshair.GetCursorPositionRAS(ras) and ras == pytest.approx([25, 12, 6], abs=0.6)
    views.leave_views()
    assert not crosshair.GetCursorPositionRAS(ras)


def test_a_point_outside_the_view_and_an_unknown_view_are_refused(volume):
    with pytest.raises(ValueError, match="outside what Red shows"):
        views.move_mouse("Red", (5000, 0, 0))
    with pytest.raises(ValueError, match="no slice view is called 'Blue'"):
        views.pixels("Blue")


def test_dragging_a_handle_moves_the_roi(volume):
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    roi.CreateDefaultDisplayNodes()
    roi.SetCenterWorld(25, 15, 10)
    roi.SetSize(20, 16, 8)
    roi.GetDisplayNode().SetHandlesInteractive(True)
    views.pixels("Red")
    views.drag("Red", (35, 15, 10), (40, 15, 10))
    size = roi.GetSize()
    assert size[0] == pytest.approx(25, abs=1) and size[1] == pytest.approx(16, abs=0.5)


def test_slice_widgets_answer_by_their_listed_names(volume):
    widget = slicer.app.layoutManager().sliceWidget("Red")
    assert widget.mrmlSliceNode().GetID() == "vtkMRMLSliceNodeRed"
    assert widget.mrmlSliceCompositeNode().GetBackgroundVolumeID() == volume.GetID()
    assert widget.sliceLogic().GetSliceNode() is widget.mrmlSliceNode()
    assert widget.sliceView().interactorStyle().GetInteractor() is widget.sliceView().interactor()
    assert widget.sliceView().mrmlSliceNode() is widget.mrmlSliceNode()
    assert widget.sliceOrientation == "Axial"
    with pytest.raises(AttributeError):
        widget.sliceView().pixels()
    with pytest.raises(AttributeError):
        widget.offset  # noqa: B018


def test_layouts_show_their_views():
    manager = slicer.app.layoutManager()
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    assert [manager.sliceWidget(name).isVisible() for name in ("Red", "Green", "Yellow")] == [True, False, False]
    manager.layout = slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView
    assert all(manager.sliceWidget(name).isVisible() for name in ("Red", "Green", "Yellow"))


def test_a_screenshot_shows_the_window_with_its_views(volume, tmp_path):
    views.screenshot(None, tmp_path / "window.png")
    image = qt.QImage(str(tmp_path / "window.png"))
    assert image.width() >= 1000
    view = slicer.app.layoutManager().sliceWidget("Red").sliceView()
    corner = view.mapTo(slicer.util.mainWindow(), qt.QPoint(0, 0))
    row, column = views.pixel_of("Red", (25, 15, 10))
    assert abs(image.pixelColor(corner.x() + column, corner.y() + row).red() - 200) <= 3


# The segment editor.


def test_paint_and_erase_change_the_current_segment_only(editor, segmentation, volume):
    paint(editor, block(5, slice(0, 10), slice(0, 10)))
    erase(editor, block(5, slice(0, 5), slice(0, 10)))
    assert labels(segmentation, "a", volume).sum() == 50 and labels(segmentation, "b", volume).sum() == 0


def test_undo_and_redo_go_back_and_forth(editor, segmentation, volume):
    paint(editor, block(5, slice(0, 10), slice(0, 10)))
    editor.undo()
    assert labels(segmentation, "a", volume).sum() == 0
    editor.redo()
    assert labels(segmentation, "a", volume).sum() == 100


def test_threshold_takes_the_source_volumes_range(editor, segmentation, volume):
    threshold(editor, 150, 250)
    assert np.array_equal(labels(segmentation, "a", volume) > 0, slicer.util.arrayFromVolume(volume) == 200)


def test_masking_inside_a_segment_and_outside_all_segments_is_honored(editor, segmentation, volume):
    node = editor.mrmlSegmentEditorNode()
    editor.setCurrentSegmentID("b")
    paint(editor, block(5, slice(0, 10), slice(0, 10)))
    editor.setCurrentSegmentID("a")
    node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedInsideSingleSegment)
    node.SetMaskSegmentID("b")
    node.SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteNone)
    paint(editor, block(slice(4, 7), slice(5, 15), slice(5, 15)))
    inside = labels(segmentation, "a", volume)
    assert inside.sum() == 25 and inside[5, 5:10, 5:10].all()
    node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedOutsideAllSegments)
    paint(editor, block(5, slice(0, 12), slice(0, 12)))
    assert not labels(segmentation, "a", volume)[5, 0:5, 0:5].any() and labels(segmentation, "a", volume)[5, 10:12, 0:12].all()


def test_overwriting_other_segments_follows_the_mode(editor, segmentation, volume):
    node = editor.mrmlSegmentEditorNode()
    editor.setCurrentSegmentID("b")
    paint(editor, block(5, slice(0, 10), slice(0, 10)))
    editor.setCurrentSegmentID("a")
    node.SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteNone)
    paint(editor, block(5, slice(0, 5), slice(0, 10)))
    assert labels(segmentation, "b", volume).sum() == 100
    node.SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteAllSegments)
    paint(editor, block(5, slice(5, 10), slice(0, 10)))
    assert labels(segmentation, "b", volume).sum() == 50


def test_the_intensity_mask_is_honored(editor, segmentation, volume):
    node = editor.mrmlSegmentEditorNode()
    node.SourceVolumeIntensityMaskOn()
    node.SetSourceVolumeIntensityMaskRange(150, 250)
    paint(editor, np.ones(SHAPE_KJI, bool))
    assert np.array_equal(labels(segmentation, "a", volume) > 0, slicer.util.arrayFromVolume(volume) == 200)


def test_the_editor_refuses_what_it_is_not_ready_for(editor, segmentation):
    with pytest.raises(ValueError, match="expected a mask of shape"):
        paint(editor, np.ones((2, 2, 2), bool))
    with pytest.raises(Exception, match="Fly"):
        editor.setActiveEffectByName("Fly")
    editor.setSegmentationNode(None)
    with pytest.raises(RuntimeError, match="needs a segmentation"):
        paint(editor, np.ones(SHAPE_KJI, bool))
    with pytest.raises(AttributeError):
        editor.paint  # noqa: B018


def test_effects_keep_their_parameters_in_the_editor_node(editor):
    editor.setActiveEffectByName("Paint")
    effect = editor.activeEffect()
    effect.setParameter("BrushSphere", 1)
    effect.setCommonParameter("BrushRelativeDiameter", 5.5)
    assert effect.integerParameter("BrushSphere") == 1 and effect.doubleParameter("BrushRelativeDiameter") == 5.5
    assert editor.mrmlSegmentEditorNode().GetAttribute("Paint.BrushSphere") == "1"
    editor.setActiveEffectByName("")
    assert editor.activeEffect() is None


def test_the_editor_survives_a_closed_scene_and_removed_nodes(editor, segmentation):
    seen = []
    editor.connect("segmentationNodeChanged(vtkMRMLSegmentationNode*)", seen.append)
    slicer.mrmlScene.RemoveNode(segmentation)
    assert editor.segmentationNode() is None and editor.currentSegmentID() in ("", "a")
    editor.setMRMLSegmentEditorNode(None)
    assert errors.complaints == ["[CRITICAL] qMRMLSegmentEditorWidget: Invalid segment editor parameter set node"]
    errors.reset()
    slicer.mrmlScene.Clear(False)
    assert seen[-1] is None and editor.sourceVolumeNode() is None


def test_the_editors_keys_are_live_only_when_installed(editor, segmentation, volume):
    from slicer_host.pythonqt import press_key

    paint(editor, block(5, slice(0, 10), slice(0, 10)))
    window = slicer.util.mainWindow()
    press_key(window, "Ctrl+Z")
    assert labels(segmentation, "a", volume).sum() == 100
    editor.installKeyboardShortcuts(window)
    press_key(window, "Ctrl+Z")
    assert labels(segmentation, "a", volume).sum() == 0
    editor.uninstallKeyboardShortcuts()
    editor.redo()
    press_key(window, "Ctrl+Z")
    assert labels(segmentation, "a", volume).sum() == 100


def test_world_geometry_of_a_view_is_the_slice_nodes(volume):
    view = slicer.app.layoutManager().sliceWidget("Red").sliceView()
    ras = view.convertXYZToRAS((10.0, 20.0, 0.0))
    assert view.convertRASToXYZ(ras) == pytest.approx((10.0, 20.0, 0.0))
    matrix = vtk.vtkMatrix4x4()
    volume.GetRASToIJKMatrix(matrix)
    assert matrix.MultiplyPoint((25, 15, 10, 1))[:3] == (25.0, 15.0, 5.0)
