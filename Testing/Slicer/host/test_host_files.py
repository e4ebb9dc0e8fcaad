"""What is saved comes back: scenes, volumes, segmentations with their tags, markups, parameter nodes."""

from __future__ import annotations

import base64

import numpy as np
import pytest
import slicer
import vtk

SHAPE_KJI = (6, 12, 14)
LONG_TEXT = base64.b64encode(np.random.default_rng(3).bytes(75_000)).decode()
TAGS = {
    "plain": "value",
    "with spaces": "a b c",
    "json": '{"a": [1, 2.5, "x"], "b": {"c": null}}',
    "long": LONG_TEXT,
    "unicode": "Läsion µ",
}


def a_scene():
    """Volume, segmentation with tags on its segment, ROI and parameter node."""
    rng = np.random.default_rng(5)
    array = rng.integers(-1000, 1000, SHAPE_KJI).astype(np.int16)
    ijk_to_ras = np.array([[0.7, 0.1, 0, -20], [-0.1, 0.7, 0, 10], [0, 0, 2.5, 5], [0, 0, 0, 1.0]])
    volume = slicer.util.addVolumeFromArray(array, ijk_to_ras, "volume")
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "segmentation")
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    mask = (rng.random(SHAPE_KJI) > 0.5).astype(np.uint8)
    for segment_id in ("a", "b"):
        segmentation.GetSegmentation().AddEmptySegment(segment_id, f"name {segment_id}")
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, segmentation, "a", volume)
    for name, value in TAGS.items():
        segmentation.GetSegmentation().GetSegment("a").SetTag(f"SAM2Annotate.{name}", value)
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "roi")
    roi.SetCenterWorld(1, 2, 3)
    roi.SetSize(10, 20, 30)
    parameters = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode", "parameters")
    parameters.SetParameter("text", 'a "b" <c>\n& d')
    parameters.SetNodeReferenceID("volume", volume.GetID())
    return array, mask


def check_scene(array, mask):
    volume = slicer.util.getNode("volume")
    assert np.array_equal(slicer.util.arrayFromVolume(volume), array)
    assert volume.GetSpacing()[2] == pytest.approx(2.5)
    segmentation = slicer.util.getNode("segmentation")
    assert np.array_equal(slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, "a", volume), mask)
    assert list(segmentation.GetSegmentation().GetSegmentIDs()) == ["a", "b"]
    roi = slicer.util.getNode("roi")
    assert list(roi.GetCenterWorld()) == pytest.approx([1, 2, 3]) and list(roi.GetSize()) == pytest.approx([10, 20, 30])
    parameters = slicer.util.getNode("parameters")
    assert parameters.GetParameter("text") == 'a "b" <c>\n& d' and parameters.GetNodeReference("volume") is volume
    return segmentation


def tag_of(segmentation, name, segment_id="a"):
    value = vtk.reference("")
    found = segmentation.GetSegmentation().GetSegment(segment_id).GetTag(f"SAM2Annotate.{name}", value)
    return str(value) if found else None


def test_a_bundle_brings_everything_back(tmp_path):
    array, mask = a_scene()
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(False)
    assert not slicer.util.getNodes("volume")
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    segmentation = check_scene(array, mask)
    assert {name: tag_of(segmentation, name) for name in TAGS} == TAGS


def test_a_scene_file_with_its_data_brings_everything_back(tmp_path):
    array, mask = a_scene()
    for name, suffix in (("volume", ".nrrd"), ("segmentation", ".seg.nrrd"), ("roi", ".mrk.json")):
        assert slicer.util.saveNode(slicer.util.getNode(name), str(tmp_path / f"{name}{suffix}"))
    assert slicer.util.saveScene(str(tmp_path / "scene.mrml"))
    slicer.mrmlScene.Clear(False)
    slicer.util.loadScene(str(tmp_path / "scene.mrml"))
    segmentation = check_scene(array, mask)
    assert {name: tag_of(segmentation, name) for name in TAGS} == TAGS


@pytest.mark.parametrize("value", ["a:b", "a\nb", "a\\nb", ":", "a:b\n\nc", "trailing ", "", "=", '"', ":=", "\\", "a\tb"])
def test_awkward_values_of_tags_come_back(tmp_path, value):
    a_scene()
    segmentation = slicer.util.getNode("segmentation")
    segmentation.GetSegmentation().GetSegment("a").SetTag("SAM2Annotate.awkward", value)
    assert slicer.util.saveNode(segmentation, str(tmp_path / "s.seg.nrrd"))
    slicer.mrmlScene.Clear(False)
    loaded = slicer.util.loadSegmentation(str(tmp_path / "s.seg.nrrd"))
    assert tag_of(loaded, "awkward") == value


def test_a_bar_cuts_the_value_of_a_tag_in_a_segmentation_file(tmp_path):
    """A fact of slicer-core 5.13 that a module has to live with: tags are joined by bars, and nothing is escaped."""
    a_scene()
    segmentation = slicer.util.getNode("segmentation")
    segmentation.GetSegmentation().GetSegment("a").SetTag("SAM2Annotate.bar", "a|b")
    assert slicer.util.saveNode(segmentation, str(tmp_path / "s.seg.nrrd"))
    slicer.mrmlScene.Clear(False)
    assert tag_of(slicer.util.loadSegmentation(str(tmp_path / "s.seg.nrrd")), "bar") == "a"


def test_a_volume_is_saved_and_loaded_in_every_format_and_shown(tmp_path):
    array, _ = a_scene()
    volume = slicer.util.getNode("volume")
    for suffix in (".nrrd", ".nii.gz", ".mha"):
        path = tmp_path / f"image{suffix}"
        assert slicer.util.saveNode(volume, str(path))
        loaded = slicer.util.loadVolume(str(path))
        assert loaded.GetName().startswith("image") and np.array_equal(slicer.util.arrayFromVolume(loaded), array)
        assert slicer.util.getNode("vtkMRMLSliceCompositeNodeRed").GetBackgroundVolumeID() == loaded.GetID()


def test_a_missing_or_broken_file_raises_and_leaves_no_node(tmp_path):
    (tmp_path / "broken.seg.nrrd").write_text("no nrrd")
    before = slicer.mrmlScene.GetNumberOfNodes()
    with pytest.raises(RuntimeError, match="Failed to load node from file"):
        slicer.util.loadVolume(str(tmp_path / "missing.nrrd"))
    with pytest.raises(RuntimeError, match="Failed to load node from file"):
        slicer.util.loadSegmentation(str(tmp_path / "broken.seg.nrrd"))
    assert slicer.mrmlScene.GetNumberOfNodes() == before


def test_nodes_that_the_host_cannot_save_say_so(tmp_path):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")
    with pytest.raises(NotImplementedError, match="vtkMRMLScriptedModuleNode"):
        slicer.util.saveNode(node, str(tmp_path / "x.json"))


def test_a_scene_that_is_closed_and_imported_tells_its_events_in_order(tmp_path):
    scene = slicer.mrmlScene
    a_scene()
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    names = ("StartBatchProcess", "EndBatchProcess", "StartClose", "EndClose", "StartImport", "EndImport")
    seen = []
    tags = [scene.AddObserver(getattr(scene, f"{name}Event"), lambda *_, name=name: seen.append(name)) for name in names]
    scene.Clear(False)
    assert seen == ["StartBatchProcess", "StartClose", "EndClose", "EndBatchProcess"]
    seen.clear()
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    assert seen.index("StartBatchProcess") < seen.index("StartImport") < seen.index("EndImport") < len(seen) - 1
    assert seen[-1] == "EndBatchProcess"
    for tag in tags:
        scene.RemoveObserver(tag)
