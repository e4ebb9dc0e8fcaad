"""The host's node and segment widgets follow the scene as Slicer's do."""

from __future__ import annotations

import pytest
import qt
import slicer

from slicer_host.pythonqt import unwrap


def add(class_name, name):
    return slicer.mrmlScene.AddNewNodeByClass(class_name, name)


@pytest.fixture
def selector():
    widget = slicer.qMRMLNodeComboBox()
    widget.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    widget.setMRMLScene(slicer.mrmlScene)
    return widget


def test_the_first_node_is_chosen_unless_none_is_allowed(selector):
    optional = slicer.qMRMLNodeComboBox()
    optional.nodeTypes = ("vtkMRMLScalarVolumeNode",)
    optional.noneEnabled = True
    optional.setMRMLScene(slicer.mrmlScene)
    add("vtkMRMLTextNode", "other class")
    volume = add("vtkMRMLScalarVolumeNode", "v")
    assert selector.currentNode() is volume and selector.currentNodeID == volume.GetID()
    assert optional.currentNode() is None and optional.currentNodeID == ""
    assert selector.nodeCount() == 1


def test_a_loaded_volume_is_chosen_before_the_load_call_returns(selector, tmp_path):
    path = tmp_path / "volume.nrrd"
    path.write_bytes(b"NRRD0004\ntype: uint8\ndimension: 3\nsizes: 2 2 2\nencoding: raw\nspace: left-posterior-superior\n\n" + bytes(8))
    told = []
    selector.connect("currentNodeChanged(vtkMRMLNode*)", lambda node: told.append((node, len(returned))))
    returned = []
    returned.append(slicer.util.loadVolume(str(path)))
    assert told[-1] == (returned[0], 0) and selector.currentNode() is returned[0]


def test_signals_bring_the_node_and_its_removal(selector):
    seen, flags = [], []
    selector.connect("currentNodeChanged(vtkMRMLNode*)", seen.append)
    selector.connect("currentNodeChanged(bool)", flags.append)
    a, b = add("vtkMRMLScalarVolumeNode", "a"), add("vtkMRMLScalarVolumeNode", "b")
    selector.setCurrentNode(b)
    slicer.mrmlScene.RemoveNode(b)
    assert seen == [a, b, a] and selector.currentNode() is a
    slicer.mrmlScene.Clear(False)
    assert seen[-1] is None and flags[-1] is False and selector.currentNode() is None


def test_label_maps_are_volumes_unless_child_types_are_hidden(selector):
    add("vtkMRMLLabelMapVolumeNode", "labels")
    assert selector.nodeCount() == 1
    selector.showChildNodeTypes = False
    assert selector.nodeCount() == 0 and selector.currentNode() is None


def test_nodes_with_an_attribute_can_be_asked_for(selector):
    node = add("vtkMRMLScalarVolumeNode", "a")
    selector.addAttribute("vtkMRMLScalarVolumeNode", "ours", "yes")
    assert selector.nodeCount() == 0
    node.SetAttribute("ours", "yes")
    selector.addAttribute("vtkMRMLScalarVolumeNode", "ours")
    assert selector.nodeCount() == 1


def test_a_node_made_by_the_user_is_chosen_and_told(selector):
    told = []
    selector.baseName = "mine"
    selector.connect("nodeAddedByUser(vtkMRMLNode*)", told.append)
    node = selector.addNode()
    assert told == [node] and selector.currentNode() is node and node.GetName() == "mine"


def test_a_wrong_signal_signature_and_unlisted_names_are_refused(selector):
    with pytest.raises(Exception, match="currentNodeChanged"):
        selector.connect("currentNodeChanged(QString)", print)
    with pytest.raises(AttributeError):
        selector.selectedNode()
    with pytest.raises(AttributeError):
        selector.nosuch = 1


def test_a_destroyed_selector_leaves_the_scene_in_peace():
    widget = slicer.qMRMLNodeComboBox()
    widget.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    widget.setMRMLScene(slicer.mrmlScene)
    widget.deleteLater()
    slicer.app.processEvents()
    del widget
    slicer.mrmlScene.RemoveNode(add("vtkMRMLScalarVolumeNode", "a"))


def test_segment_selector_follows_segments():
    widget = slicer.qMRMLSegmentSelectorWidget()
    widget.setMRMLScene(slicer.mrmlScene)
    seen = []
    widget.connect("currentSegmentChanged(QString)", seen.append)
    node = add("vtkMRMLSegmentationNode", "s")
    assert widget.currentNode() is node and widget.currentSegmentID() == ""
    node.GetSegmentation().AddEmptySegment("a", "Alpha")
    node.GetSegmentation().AddEmptySegment("b", "Beta")
    widget.setCurrentSegmentID("b")
    node.GetSegmentation().RemoveSegment("b")
    assert seen == ["a", "b", "a"] and widget.segmentIDs() == ("a",)
    slicer.mrmlScene.RemoveNode(node)
    assert seen[-1] == "" and widget.currentNode() is None


def test_place_mode_places_a_point_where_the_mouse_clicks():
    from slicer_host.views.views_and_mouse import click

    points = add("vtkMRMLMarkupsFiducialNode", "p")
    points.CreateDefaultDisplayNodes()
    place = slicer.qSlicerMarkupsPlaceWidget()
    place.setMRMLScene(slicer.mrmlScene)
    place.setCurrentNode(points)
    told = []
    place.connect("activeMarkupsPlaceModeChanged(bool)", told.append)
    click("Red", (3, 4, 0))
    assert points.GetNumberOfDefinedControlPoints() == 0
    place.setPlaceModeEnabled(True)
    click("Red", (3, 4, 0))
    assert points.GetNumberOfDefinedControlPoints() == 1
    assert list(points.GetNthControlPointPositionWorld(0)) == pytest.approx([3, 4, 0], abs=0.6)
    assert told == [True, False]


def test_place_mode_without_a_node_stays_off():
    place = slicer.qSlicerMarkupsPlaceWidget()
    place.setMRMLScene(slicer.mrmlScene)
    place.setPlaceModeEnabled(True)
    assert not place.placeModeEnabled
    assert slicer.app.applicationLogic().GetInteractionNode().GetCurrentInteractionMode() == slicer.vtkMRMLInteractionNode.ViewTransform


def test_a_widget_with_units_takes_a_scene():
    slider = slicer.qMRMLSliderWidget()
    slider.setMRMLScene(slicer.mrmlScene)
    slider.maximum = 5
    slider.value = 3
    assert slider.value == 3 and slider.mrmlScene() is slicer.mrmlScene


def test_a_class_without_stand_in_says_so():
    with pytest.raises(NotImplementedError, match="qMRMLVolumeThresholdWidget"):
        slicer.qMRMLVolumeThresholdWidget()
    assert isinstance(slicer.qMRMLWidget(), qt.QWidget)


def test_the_terminology_navigator_gives_entries_that_the_logic_understands():
    navigator = slicer.qSlicerTerminologyNavigatorWidget()
    entry = slicer.vtkSlicerTerminologyEntry()
    valid = []
    navigator.connect("selectionValidityChanged(bool)", valid.append)
    assert navigator.terminologyEntry(entry) is False and valid == []
    with pytest.raises(ValueError, match="no type 'Neoplasm'"):
        unwrap(navigator).select("Neoplasm")
    assert navigator.setTerminologyEntry(slicer.vtkSlicerTerminologyEntry()) is True
    assert navigator.terminologyEntry(entry) is True and entry.GetTypeObject().GetCodeValue() is None
    unwrap(navigator).select("Neoplasm")
    assert valid == [True, True] and navigator.terminologyEntry(entry) is True
    logic = slicer.modules.terminologies.logic()
    again = slicer.vtkSlicerTerminologyEntry()
    assert logic.DeserializeTerminologyEntry(logic.SerializeTerminologyEntry(entry), again)
    assert navigator.nameFromTerminology(entry) == "neoplasm" and navigator.recommendedColorFromTerminology(entry).green() == 238
    other = slicer.qSlicerTerminologyNavigatorWidget()
    assert other.setTerminologyEntry(entry) is True
    with pytest.raises(ValueError, match="no type 'Gold'"):
        unwrap(navigator).select("Gold")


def test_a_case_is_registered_once_in_sample_data(tmp_path):
    import SampleData

    (tmp_path / "icon.png").write_bytes(b"png")
    for _ in range(2):
        SampleData.SampleDataLogic.registerCustomSampleDataSource(
            category="Ours",
            sampleName="case",
            uris="file:///a.nrrd",
            fileNames="a.nrrd",
            nodeNames="a",
            thumbnailFileName=str(tmp_path / "icon.png"),
        )
    assert [source.sampleName for source in slicer.modules.sampleDataSources["Ours"]] == ["case"]
    with pytest.raises(ValueError, match="does not exist"):
        SampleData.SampleDataLogic.registerCustomSampleDataSource(sampleName="other", thumbnailFileName="missing.png")
