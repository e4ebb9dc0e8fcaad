"""Cases from the scene into an nnU-Net data set: every voxel at its place, the rules of the plan kept, and nothing half-written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import slicer
from data_set_worlds import aForm, aSegmentation, drawn, exported, outcome, reviewed, written
from orientations import directions, linearTransform, volumeNode
from worlds import makeLogic

from SAM2AnnotateLib.errors import Cancelled, InputError, OutputError
from SAM2AnnotateLib.geometry import Volume, VolumeGrid
from SAM2AnnotateLib.nnunet import DataSet
from SAM2AnnotateLib.volume_io import resample_nearest
from SAM2AnnotateSlicer.Nnunet.NnunetCase import codesOf, defaultCaseId, patientIdOf
from SAM2AnnotateSlicer.Nnunet.NnunetExport import NnunetExport
from SAM2AnnotateSlicer.Nnunet.NnunetPlan import LabelRow, defaultRows, labelRules
from SAM2AnnotateSlicer.Scene.SceneBridge import ijkToLocal

SHAPE_KJI = (9, 10, 11)


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.fixture
def logic(tmp_path):
    made = makeLogic(tmp_path)
    yield made
    made.service.close()


@pytest.fixture
def exporter(logic):
    made = NnunetExport(logic)
    yield made
    made.cleanup()


@pytest.fixture
def raw(tmp_path):
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


def aScan(rng, direction=None, name="Scan"):
    direction = np.diag([-1, -1, 1]) if direction is None else direction
    return volumeNode(rng.integers(-99, 999, SHAPE_KJI).astype(np.int16), direction, name)


def block(start, stop):
    mask = np.zeros(SHAPE_KJI, dtype=bool)
    mask[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = True
    return mask


def blob(rng, start=(2, 2, 2), stop=(7, 8, 9)):
    return block(start, stop) & (rng.random(SHAPE_KJI) > 0.4)


@pytest.mark.parametrize("name", ["LPS", "RAS", "ASL", "IPR", "oblique flipped"])
@pytest.mark.parametrize("transformed", [False, True], ids=["plain", "under a transform"])
def test_every_reviewed_voxel_is_written_where_it_is(name, transformed, logic, exporter, raw, rng):
    scan = aScan(rng, directions()[name])
    if transformed:
        scan.SetAndObserveTransformNodeID(linearTransform().GetID())
    node = aSegmentation(scan)
    organ, lesion = blob(rng), block((3, 3, 3), (5, 5, 6))
    reviewed(logic, node, scan, "Organ", organ, axis="j")
    drawn(node, scan, "Lesion", lesion)
    exported(exporter, aForm(raw, [("MR", scan)], node))
    (image,), labels = written(raw / "Dataset007_Test")
    for volume, expected in ((image, slicer.util.arrayFromVolume(scan)), (labels, np.where(lesion, 2, organ.astype(int)))):
        assert np.array_equal(volume.array_kji, expected)
        assert np.allclose(volume.grid.ijk_to_ras, ijkToLocal(scan), atol=1e-4)
    assert image.grid.is_close(labels.grid)


def test_a_segmentation_under_another_transform_is_resampled_into_the_frame_of_the_image(logic, exporter, raw, rng):
    scan = aScan(rng)
    node = aSegmentation(scan)
    drawn(node, scan, "Organ", block((2, 2, 2), (6, 7, 8)))
    shift = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.eye(4)
    matrix[:3, 3] = ijkToLocal(scan)[:3, :3] @ [1, 0, 2]
    shift.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    node.SetAndObserveTransformNodeID(shift.GetID())
    exported(exporter, aForm(raw, [("MR", scan)], node))
    _images, labels = written(raw / "Dataset007_Test")
    assert np.array_equal(labels.array_kji > 0, block((4, 2, 3), (8, 7, 9)))


def test_two_channels_lie_on_the_voxels_of_the_first(logic, exporter, raw, rng):
    first, second = aScan(rng, name="T1"), aScan(rng, name="T2")
    node = aSegmentation(first)
    reviewed(logic, node, first, "Organ", blob(rng))
    exported(exporter, aForm(raw, [("T1", first), ("T2", second)], node))
    images, _labels = written(raw / "Dataset007_Test", channels=2)
    for image, scan in zip(images, (first, second), strict=True):
        assert np.array_equal(image.array_kji, slicer.util.arrayFromVolume(scan))


def test_a_channel_on_other_voxels_is_refused_unless_it_may_be_interpolated(logic, exporter, raw, rng):
    first, second = aScan(rng, name="T1"), aScan(rng, name="T2")
    matrix = ijkToLocal(second)
    matrix[:3, 3] += matrix[:3, :3] @ [0.5, 0, 0]
    second.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
    node = aSegmentation(first)
    reviewed(logic, node, first, "Organ", blob(rng))
    form = aForm(raw, [("T1", first), ("T2", second)], node)
    error, _answer = outcome(exporter, lambda done: exporter.export(form, False, done))
    assert "'T2'" in str(error) and not list(raw.glob("Dataset*"))
    answer = exported(exporter, aForm(raw, [("T1", first), ("T2", second)], node, resample=True))
    assert any("was interpolated" in line for line in answer["lines"])


def test_a_preview_lists_what_is_written_and_what_is_left_out_and_writes_nothing(logic, exporter, raw, rng):
    scan = aScan(rng)
    node = aSegmentation(scan)
    organ = reviewed(logic, node, scan, "Organ", blob(rng))
    reviewed(logic, node, scan, "Tumor", block((3, 3, 3), (6, 6, 6)), undecided=1)
    node.GetSegmentation().AddEmptySegment("", "Nothing")
    drawn(node, scan, "Body", block((0, 0, 0), SHAPE_KJI))
    rows = (LabelRow("Organ", "organ"), LabelRow("Tumor", "tumor"), LabelRow("Nothing", "nothing"), LabelRow("Body", ""))
    form = aForm(raw, [("CT", scan)], node, rows=rows)
    error, answer = outcome(exporter, lambda done: exporter.preview(form, done))
    assert error is None
    voxels = int(sum(organ.session.mask(position).sum() for position in organ.session.extent.indices))
    slices = len(organ.session.extent)
    review = {"accepted": slices // 2, "corrected": slices - slices // 2, "unreviewed": 0}
    assert answer["written"] == [{"name": "Organ", "value": 1, "label": "organ", "voxels": voxels, "review": review}]
    assert {one["name"]: one["reason"] for one in answer["left_out"]} == {
        "Tumor": "1 of 3 slices are neither accepted nor corrected",
        "Nothing": "it is empty",
        "Body": "the plan has no label for it",
    }
    assert answer["missing"] == ["tumor", "nothing"] and not answer["replaces"]
    assert not list(raw.glob("Dataset*"))


def test_unreviewed_slices_become_the_ignore_label_or_refuse_the_case(logic, exporter, raw, rng):
    scan = aScan(rng)
    node = aSegmentation(scan)
    tumor = block((3, 3, 3), (6, 6, 6))
    annotated = reviewed(logic, node, scan, "Tumor", tumor, undecided=1)
    refusing = aForm(raw, [("CT", scan)], node, unreviewed="refuse")
    error, _answer = outcome(exporter, lambda done: exporter.export(refusing, False, done))
    assert "Finish the review first" in str(error) and not list(raw.glob("Dataset*"))
    exported(exporter, aForm(raw, [("CT", scan)], node, unreviewed="ignore"))
    _images, labels = written(raw / "Dataset007_Test")
    waiting = annotated.stack.index_of(annotated.session.extent.last)
    assert np.all(labels.array_kji[waiting] == 2)
    assert np.array_equal(np.delete(labels.array_kji, waiting, axis=0), np.delete(tumor, waiting, axis=0).astype(int))


def test_a_data_set_without_an_ignore_label_cannot_get_one_for_a_later_case(logic, exporter, raw, rng):
    scan = aScan(rng)
    node = aSegmentation(scan)
    reviewed(logic, node, scan, "Organ", blob(rng))
    exported(exporter, aForm(raw, [("CT", scan)], node))
    later = aForm(raw, [("CT", scan)], node, "p2", dataSet="Dataset007_Test", unreviewed="ignore")
    with pytest.raises(InputError, match="no ignore label"):
        exporter.preview(later, lambda *_: None)


def test_the_plan_of_the_first_case_holds_for_the_second_whatever_the_order_of_its_segments(logic, exporter, raw, rng):
    organ, tumor = blob(rng), block((3, 3, 3), (6, 6, 6))
    for caseId, order in (("p1", ("Organ", "Tumor 1")), ("p2", ("tumor 3", "ORGAN"))):
        scan = aScan(rng, name=caseId)
        node = aSegmentation(scan)
        for name in order:
            reviewed(logic, node, scan, name, organ if name.lower() == "organ" else tumor)
        rows = (LabelRow("Organ", "organ"), LabelRow("Tumor 1", "tumor", merge=True))
        existing = "" if caseId == "p1" else "Dataset007_Test"
        exported(exporter, aForm(raw, [("CT", scan)], node, caseId, rows=rows, dataSet=existing))
    for caseId in ("p1", "p2"):
        _images, labels = written(raw / "Dataset007_Test", caseId)
        assert np.array_equal(labels.array_kji, np.where(tumor, 2, organ.astype(int)))


def test_a_case_is_replaced_only_if_asked_and_a_failed_export_leaves_the_data_set_as_it_was(logic, exporter, raw, rng, monkeypatch):
    scan = aScan(rng)
    node = aSegmentation(scan)
    annotated = reviewed(logic, node, scan, "Organ", blob(rng))
    heard = []
    exporter.exported.connect(lambda volume, folder: heard.append((volume, folder)))
    exported(exporter, aForm(raw, [("CT", scan)], node))
    folder = raw / "Dataset007_Test"
    assert heard == [(scan, str(folder))]
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    annotated.session.correct(annotated.center, np.zeros(annotated.stack.frame_shape_rc, bool))
    annotated.show([annotated.center])
    form = aForm(raw, [("CT", scan)], node, dataSet="Dataset007_Test")
    error, _answer = outcome(exporter, lambda done: exporter.export(form, False, done))
    assert "already" in str(error)

    def full(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", full)
        with pytest.raises(OutputError, match="No space left on device.*Make room there; no data set was changed"):
            exporter.export(form, True, lambda *_: None)
    assert not list(Path(slicer.app.temporaryPath).glob("sam2annotate-export-*"))
    exporter.export(form, True, lambda *ended: heard.append(ended))
    exporter.cancel()
    assert isinstance(heard[-1][0], Cancelled)
    DataSet.open(folder)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    exported(exporter, form, replace=True)
    _images, labels = written(folder)
    assert not labels.array_kji[annotated.stack.index_of(annotated.center)].any()


def test_an_edit_in_the_segment_editor_is_exported_as_a_correction(logic, exporter, raw, rng):
    scan = aScan(rng)
    node = aSegmentation(scan)
    annotated = reviewed(logic, node, scan, "Organ", block((2, 2, 2), (7, 8, 9)))
    edited = block((2, 2, 2), (7, 8, 9)) & ~block((4, 4, 4), (5, 6, 6))
    slicer.util.updateSegmentBinaryLabelmapFromArray(edited.astype(np.uint8), node, annotated.segmentId, scan)
    exported(exporter, aForm(raw, [("CT", scan)], node))
    _images, labels = written(raw / "Dataset007_Test")
    assert np.array_equal(labels.array_kji > 0, edited)


def test_segments_in_one_shared_layer_are_told_apart(logic, exporter, raw, rng):
    scan = aScan(rng)
    node = aSegmentation(scan)
    one, two = block((1, 1, 1), (3, 3, 3)), block((4, 4, 4), (6, 7, 8))
    drawn(node, scan, "One", one)
    drawn(node, scan, "Two", two)
    node.GetSegmentation().CollapseBinaryLabelmaps(False)
    assert node.GetSegmentation().GetNumberOfLayers() == 1
    exported(exporter, aForm(raw, [("CT", scan)], node))
    _images, labels = written(raw / "Dataset007_Test")
    assert np.array_equal(labels.array_kji, one + 2 * two)


def test_the_check_says_whether_nnunet_took_part(logic, exporter, raw, rng, tmp_path):
    scan = aScan(rng)
    node = aSegmentation(scan)
    reviewed(logic, node, scan, "Organ", blob(rng))
    exported(exporter, aForm(raw, [("CT", scan)], node))
    folder = raw / "Dataset007_Test"
    without = tmp_path / "python"
    without.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'nnunetv2'\" >&2\nexit 1\n")
    without.chmod(0o755)
    error, answer = outcome(exporter, lambda done: exporter.verify(folder, str(without), done))
    assert error is None and not answer["nnunet"] and "not installed" in answer["missing"] and answer["problems"] == []
    (folder / "labelsTr" / "p1.nii.gz").unlink()
    error, answer = outcome(exporter, lambda done: exporter.verify(folder, str(without), done))
    assert answer["problems"] == ["'labelsTr/p1.nii.gz' is missing"]


def test_nnunets_own_check_takes_the_data_set(logic, exporter, raw, rng):
    pytest.importorskip("nnunetv2")
    scan = aScan(rng)
    node = aSegmentation(scan)
    reviewed(logic, node, scan, "Organ", blob(rng))
    exported(exporter, aForm(raw, [("CT", scan)], node))
    error, answer = outcome(exporter, lambda done: exporter.verify(raw / "Dataset007_Test", "", done))
    assert error is None and answer["nnunet"] and answer["problems"] == []


def test_the_reviews_of_an_image_that_is_not_the_first_channel_are_brought_along(logic, exporter, raw, rng):
    fine, coarse = aScan(rng, name="Fine"), aScan(rng, name="Coarse")
    matrix = ijkToLocal(coarse)
    matrix[:3, :3] *= 1.5
    coarse.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
    node = aSegmentation(coarse)
    mask = block((2, 2, 2), (5, 6, 6))
    reviewed(logic, node, coarse, "Organ", mask)
    exported(exporter, aForm(raw, [("T1", fine)], node))
    _images, labels = written(raw / "Dataset007_Test")
    expected = resample_nearest(Volume(VolumeGrid(SHAPE_KJI, ijkToLocal(coarse)), mask), labels.grid)
    assert labels.array_kji.any() and np.array_equal(labels.array_kji > 0, expected.array_kji > 0)


# -- the form ------------------------------------------------------------------------------------------------------------------------


def test_numbered_segments_share_a_label_and_later_ones_of_the_name_too():
    rows = defaultRows(["Liver", "Tumor 1", "Tumor 2", "Segment_3"])
    assert rows == [
        LabelRow("Liver", "Liver"),
        LabelRow("Tumor 1", "Tumor", merge=True),
        LabelRow("Tumor 2", "Tumor", merge=True),
        LabelRow("Segment_3", "Segment_3"),
    ]
    rules = labelRules([*rows[:3], LabelRow("Vessel", " ")])
    assert [(rule.value, rule.name, rule.segments, rule.merge) for rule in rules] == [
        (1, "Liver", ("Liver",), False),
        (2, "Tumor", ("Tumor 1", "Tumor 2", "Tumor *", "Tumor"), True),
    ]


def test_ids_come_from_the_volume_and_its_patient(rng):
    scan = aScan(rng, name=" 3: CT abdomen (5 mm)")
    assert defaultCaseId(scan) == "3_CT_abdomen_5_mm" and patientIdOf(scan) == ""
    putUnderPatient(scan, "P-17")
    assert patientIdOf(scan) == "P-17"


def putUnderPatient(node, patientId):
    """As DICOM loads it: a study of a patient holds the node."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "Doe^Jane")
    hierarchy.SetItemAttribute(patient, "DICOM.PatientID", patientId)
    study = hierarchy.CreateStudyItem(patient, "Study")
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(node) or hierarchy.CreateItem(study, node), study)


def test_image_and_segmentation_of_two_patients_are_refused(logic, exporter, raw, rng):
    scan, other = aScan(rng, name="CT"), aScan(rng, name="PET")
    node = aSegmentation(scan)
    drawn(node, scan, "Organ", blob(rng))
    putUnderPatient(scan, "P-17")
    putUnderPatient(other, "P-17")
    form = aForm(raw, [("CT", scan), ("PET", other)], node)
    assert exporter.whyNot(form) == ""
    putUnderPatient(node, "P-18")
    said = exporter.whyNot(form)
    assert said == f"'CT' is of patient 'P-17', '{node.GetName()}' of 'P-18'. Choose images and segmentation of one patient."


def test_the_codes_of_a_segment_are_type_and_region_with_their_modifiers(rng):
    node = aSegmentation(aScan(rng))
    segment = node.GetSegmentation().GetSegment(node.GetSegmentation().AddEmptySegment("", "Kidney"))
    segment.SetTerminology("")
    assert codesOf(segment) == ()
    segment.SetTerminology(
        "Context~SCT^123037004^Anatomical Structure~SCT^64033007^Kidney~SCT^24028007^Right~Anatomy~SCT^818983003^Abdomen~^^"
    )
    assert codesOf(segment) == ("SCT:64033007+SCT:24028007", "SCT:818983003")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"rawFolder": ""}, "folder of raw data"),
        ({"rawFolder": "/no/such/folder"}, "folder of raw data"),
        ({"caseId": "a/b"}, "cannot be a case's id"),
        ({"patientId": " "}, "patient's id"),
        ({"channels": (("CT", ""),)}, "volume for each channel"),
        ({"segmentationId": ""}, "Choose a segmentation"),
        ({"name": "my set"}, "letters, digits"),
        ({"rows": ()}, "No segment has a label"),
        ({"dataSet": "Dataset009_Foreign"}, "was not written by SAM2Annotate"),
        ({"dataSet": "Dataset010_Empty"}, "is empty"),
        ({"number": 9}, "taken by 'Dataset009_Foreign'"),
    ],
)
def test_a_form_that_cannot_be_exported_says_why(changes, reason, logic, exporter, raw, rng):
    (raw / "Dataset009_Foreign").mkdir()
    (raw / "Dataset009_Foreign" / "dataset.json").write_text("{}", encoding="utf-8")
    (raw / "Dataset010_Empty").mkdir()
    scan = aScan(rng)
    node = aSegmentation(scan)
    drawn(node, scan, "Organ", blob(rng))
    assert exporter.whyNot(aForm(raw, [("CT", scan)], node)) == ""
    assert reason in exporter.whyNot(replace(aForm(raw, [("CT", scan)], node), **changes))
