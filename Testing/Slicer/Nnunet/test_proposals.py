"""A trained model's prediction comes back as objects to review, at the right place, and nnU-Net's data sets and the panel agree on it."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from data_set_worlds import aSegmentation, drawn
from orientations import directions, linearTransform, volumeNode
from panel_bench import makeBench
from worlds import makeLogic

from SAM2AnnotateLib.errors import GridMismatchError, InputError, VolumeError
from SAM2AnnotateLib.geometry import Volume
from SAM2AnnotateLib.nnunet import DataSetPlan, LabelRule
from SAM2AnnotateLib.nnunet.cases.plan import PLAN_FILE, write_plan
from SAM2AnnotateLib.review import SliceStatus
from SAM2AnnotateLib.volume_io import write_volume
from SAM2AnnotateSlicer.Nnunet.Proposals import loadProposals, thickestAxis
from SAM2AnnotateSlicer.Scene.SceneBridge import volumeFromNode

SHAPE_KJI = (9, 10, 11)


@pytest.fixture
def logic(tmp_path):
    made = makeLogic(tmp_path)
    yield made
    made.service.close()


@pytest.fixture
def dataSet(tmp_path):
    folder = tmp_path / "Dataset007_Test"
    folder.mkdir()
    write_plan(DataSetPlan(7, "Test", ("MR",), (LabelRule(1, "organ"), LabelRule(2, "tumor"))), folder / PLAN_FILE)
    return folder


def predicted(rng):
    """Labels 1 and 2, both with holes, the organ on slices 2..6."""
    labels = np.zeros(SHAPE_KJI, np.uint8)
    labels[2:7, 2:8, 2:9] = rng.random((5, 6, 7)) > 0.3
    labels[3:6, 3:6, 3:6] = 2
    return labels


def aScan(rng, direction=None):
    return volumeNode(rng.integers(0, 99, SHAPE_KJI).astype(np.int16), np.diag([-1, -1, 1]) if direction is None else direction, "Scan")


def write(scan, labels, path):
    write_volume(Volume(volumeFromNode(scan).grid, labels), path)
    return path


@pytest.mark.parametrize("transformed", [False, True], ids=["plain", "under a transform"])
@pytest.mark.parametrize("name", directions())
def test_each_label_becomes_an_object_at_the_right_place(name, transformed, logic, dataSet, tmp_path):
    rng = np.random.default_rng(3)
    scan, labels = aScan(rng, directions()[name]), predicted(rng)
    if transformed:
        scan.SetAndObserveTransformNodeID(linearTransform().GetID())
    logic.parameters.volume = scan
    objects = loadProposals(logic, write(scan, labels, tmp_path / "p1.nii.gz"), dataSet)
    assert [one.name for one in objects] == ["organ", "tumor"] and logic.current is objects[0]
    for value, one in enumerate(objects, start=1):
        found = slicer.util.arrayFromSegmentBinaryLabelmap(one.segmentationNode, one.segmentId, scan) > 0
        assert np.array_equal(found, labels == value)
        assert one.counts()[SliceStatus.PROPOSED] == len(one.session.extent) and not one.session.locked
        areas = {position: int(one.session.mask(position).sum()) for position in one.session.extent.indices}
        assert areas[one.center] == max(areas.values()) and areas[one.session.extent.first] and areas[one.session.extent.last]


def test_slices_are_those_of_the_thickest_axis():
    for axis, direction in (("k", np.eye(3)), ("i", np.eye(3)), ("j", np.eye(3))):
        spacing = {"i": 1.0, "j": 1.0, "k": 1.0, axis: 3.0}
        scan = volumeNode(np.zeros(SHAPE_KJI, np.int16), direction)
        scan.SetSpacing(spacing["i"], spacing["j"], spacing["k"])
        assert thickestAxis(volumeFromNode(scan).grid) == axis
    scan.SetSpacing(1, 1, 1)
    assert thickestAxis(volumeFromNode(scan).grid) == "k"


def test_a_prediction_that_does_not_belong_here_is_refused_and_the_scene_is_as_it_was(logic, dataSet, tmp_path):
    rng = np.random.default_rng(3)
    scan, labels = aScan(rng), predicted(rng)
    logic.parameters.volume = scan
    elsewhere = aScan(rng, np.eye(3))
    cases = (
        (write(elsewhere, labels, tmp_path / "elsewhere.nii.gz"), GridMismatchError, "elsewhere"),
        (write(scan, labels * 3, tmp_path / "foreign.nii.gz"), VolumeError, "holds the value 3"),
        (write(scan, labels * 0, tmp_path / "empty.nii.gz"), InputError, "no voxel of any label"),
        (tmp_path / "missing.nii.gz", VolumeError, "missing"),
    )
    for path, kind, text in cases:
        with pytest.raises(kind, match=text):
            loadProposals(logic, path, dataSet)
    with pytest.raises(InputError, match="Cannot read the plan"):
        loadProposals(logic, write(scan, labels, tmp_path / "good.nii.gz"), tmp_path)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0 and logic.current is None


def test_other_segments_stay_and_proposals_are_kept_with_the_scene(logic, dataSet, tmp_path):
    rng = np.random.default_rng(3)
    scan, labels = aScan(rng), predicted(rng)
    node = aSegmentation(scan)
    other = rng.random(SHAPE_KJI) > 0.5
    otherId = drawn(node, scan, "Other", other)
    logic.parameters.volume, logic.parameters.segmentation = scan, node
    objects = loadProposals(logic, write(scan, labels, tmp_path / "p1.nii.gz"), dataSet)
    assert all(one.segmentationNode is node for one in objects)
    assert np.array_equal(slicer.util.arrayFromSegmentBinaryLabelmap(node, otherId, scan) > 0, other)
    restored = logic.restoreObjects()
    assert [one.name for one in restored] == ["organ", "tumor"]
    assert restored[1].session.to_json() == objects[1].session.to_json()
    assert restored[1].about["proposed_by"] == {"prediction": "p1.nii.gz", "data_set": "Dataset007_Test", "label": "tumor"}


def test_proposals_are_reviewed_in_the_panel_as_any_other(tmp_path, dataSet, monkeypatch):
    rng = np.random.default_rng(3)
    bench = makeBench(tmp_path, monkeypatch)
    scan, labels = aScan(rng), predicted(rng)
    slicer.util.setSliceViewerLayers(background=scan, fit=True)
    bench.ui.volumeSelector.setCurrentNode(scan)
    path = write(scan, labels, tmp_path / "p1.nii.gz")
    tools = bench.panel.dataSets
    tools.askPrediction, tools.askDataSet = lambda: "", lambda: pytest.fail("not asked for without a prediction")
    bench.click("loadProposals")
    assert bench.annotated is None
    tools.askPrediction, tools.askDataSet = lambda: str(path), lambda: str(dataSet)
    bench.click("loadProposals")
    annotated = bench.annotated
    assert annotated.name == "organ" and bench.position() == annotated.center and "Proposed: organ, tumor" in bench.message
    bench.key("A")
    assert bench.status(annotated.center) is SliceStatus.ACCEPTED
    bench.key("N")
    assert bench.position() != annotated.center
    bench.key("X")
    assert annotated.isEmptied(bench.position())
    assert bench.service.asked, "slices beside the correction are computed anew, as for any other object"
