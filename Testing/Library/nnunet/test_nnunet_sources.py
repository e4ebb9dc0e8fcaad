"""Segments from files: Slicer's own, labelmaps, DICOM SEG; at the right place, with names, codes and reviews."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from nnunet_cases import SHARED, a_plan, a_review, a_segment, label_at
from patients import all_48_orientations, an_anisotropic_volume, run_python

from SAM2AnnotateLib.errors import GridMismatchError, InputError, VolumeError
from SAM2AnnotateLib.geometry import Volume, VolumeGrid
from SAM2AnnotateLib.geometry.conventions import flip_lps_ras
from SAM2AnnotateLib.nnunet import LabelRule
from SAM2AnnotateLib.nnunet.data_sets.labels import label_case
from SAM2AnnotateLib.nnunet.sources import read_image, read_segments
from SAM2AnnotateLib.review.stored_object import TAG, pack_object
from SAM2AnnotateLib.volume_io import read_volume, write_volume

pytest.importorskip("SimpleITK")
GRID = an_anisotropic_volume(oblique=True).grid
ORGAN = a_segment("Organ", GRID, (0, 1, 1), (3, 4, 5))
TUMOR = a_segment("Tumor 1", GRID, (1, 2, 2), (2, 3, 4))


def geometry_text(grid: VolumeGrid) -> str:
    """As Slicer states the reference geometry: the matrix to RAS by rows, then the extent."""
    ni, nj, nk = grid.shape_kji[::-1]
    return ";".join([*(f"{number:.17g}" for number in grid.ijk_to_ras.ravel()), *map(str, (0, ni - 1, 0, nj - 1, 0, nk - 1))]) + ";"


def write_seg_nrrd(path: Path, tags: dict[str, str] | None = None, part: tuple[slice, slice, slice] = (slice(None),) * 3) -> Path:
    """Organ and tumor as Slicer writes overlapping segments, in two layers; of the grid only a part (k, j, i)."""
    slicerio = pytest.importorskip("slicerio")
    layers = np.stack([one.mask.array_kji[part].transpose(2, 1, 0) for one in (ORGAN, TUMOR)]).astype(np.uint8)
    start_kji = [one.indices(size)[0] for one, size in zip(part, GRID.shape_kji, strict=True)]
    matrix = np.array(GRID.ijk_to_ras)
    matrix[:3, 3] = GRID.ras_from_ijk(start_kji[::-1])
    terminology = {
        "contextName": "list", "category": ["SCT", "49755003", "Altered"], "type": ["SCT", "4147007", "Mass"],
        "anatomicContextName": "regions", "anatomicRegion": ["SCT", "64033007", "Kidney"],
        "anatomicRegionModifier": ["SCT", "7771000", "Left"],
    }  # fmt: skip
    content = {
        "voxels": layers,
        "ijkToLPS": flip_lps_ras(matrix),
        "containedRepresentationNames": ["Binary labelmap"],
        "conversionParameters": [{"name": "Reference image geometry", "value": geometry_text(GRID), "description": "of the image"}],
        "segments": [
            {"id": "Segment_1", "labelValue": 1, "layer": 0, "name": "Organ"},
            {"id": "Segment_2", "labelValue": 1, "layer": 1, "name": "Tumor 1", "terminology": terminology, "tags": tags or {}},
        ],
    }
    slicerio.write_segmentation(str(path), content)
    return path


def require_places(segments, expected=(ORGAN, TUMOR)) -> None:
    """Each voxel of each segment has the value of its place in space."""
    for segment, source in zip(segments, expected, strict=True):
        assert segment.mask.array_kji.sum() == source.mask.array_kji.sum()
        for k, j, i in np.argwhere(segment.mask.array_kji):
            assert label_at(source.mask, segment.mask.grid.ras_from_ijk([i, j, k])) == 1


@pytest.mark.parametrize("part", [(slice(None),) * 3, (slice(0, 3), slice(1, 4), slice(1, 5))], ids=["whole", "cut to the segments"])
def test_a_slicer_segmentation_is_read_layer_by_layer_with_names_and_codes(tmp_path, part):
    found = read_segments(write_seg_nrrd(tmp_path / "a.seg.nrrd", part=part))
    require_places(found.segments)
    assert [one.name for one in found.segments] == ["Organ", "Tumor 1"]
    assert [one.codes for one in found.segments] == [(), ("SCT:4147007", "SCT:64033007+SCT:7771000")]
    assert [one.review for one in found.segments] == [None, None]
    assert found.patient_id is None


def test_a_slicer_segmentation_is_known_by_its_header_too(tmp_path):
    path = write_seg_nrrd(tmp_path / "a.seg.nrrd").rename(tmp_path / "renamed.nrrd")
    assert [one.name for one in read_segments(path).segments] == ["Organ", "Tumor 1"]


@pytest.mark.parametrize("name", ["Läsion, größte", "肝臓", "tumor: 1|2"])
def test_a_segments_name_may_hold_any_letters(tmp_path, name):
    path = write_seg_nrrd(tmp_path / "a.seg.nrrd")
    header, voxels = path.read_bytes().split(b"\n\n", 1)
    path.write_bytes(header.replace(b"_Name:=Organ", f"_Name:={name}".encode()) + b"\n\n" + voxels)
    assert [one.name for one in read_segments(path).segments] == [name, "Tumor 1"]


def test_a_segment_without_a_name_goes_by_its_id(tmp_path):
    path = write_seg_nrrd(tmp_path / "a.seg.nrrd")
    path.write_bytes(path.read_bytes().replace(b"Segment0_Name:=Organ\n", b""))
    assert [one.name for one in read_segments(path).segments] == ["Segment_1", "Tumor 1"]


def test_reviews_kept_in_a_slicer_segmentation_count_on_the_annotated_image(tmp_path):
    journaled = a_review(GRID, (1, 2), {1: "accepted"})
    part = (slice(0, 3), slice(1, 4), slice(1, 5))  # slices of the review are numbered on the whole image, not on this part
    path = write_seg_nrrd(tmp_path / "a.seg.nrrd", {TAG: pack_object(journaled)}, part)
    review = read_segments(path).segments[1].review
    assert (review.accepted, review.corrected, review.waiting) == (1, 0, 1)
    assert review.unreviewed.grid.is_close(GRID)
    assert np.unique(np.argwhere(review.unreviewed.array_kji)[:, 0]).tolist() == [2]


def test_a_damaged_review_is_told_with_its_file(tmp_path):
    path = write_seg_nrrd(tmp_path / "a.seg.nrrd", {TAG: "xyz"})
    with pytest.raises(InputError, match="a.seg.nrrd.*The stored review of the segment 'Tumor 1' is damaged"):
        read_segments(path)


@pytest.mark.parametrize("keep", [0.3, 0.97])
def test_a_cut_slicer_segmentation_is_refused(tmp_path, keep):
    path = write_seg_nrrd(tmp_path / "a.seg.nrrd")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    with pytest.raises(VolumeError, match="a.seg.nrrd"):
        read_segments(path)


def test_reading_a_slicer_segmentation_takes_no_further_package(tmp_path, monkeypatch):
    path = write_seg_nrrd(tmp_path / "a.seg.nrrd")
    for package in ("slicerio", "nrrd", "SimpleITK"):
        monkeypatch.setitem(sys.modules, package, None)
    assert len(read_segments(path).segments) == 2


_WRITE_WITH_SLICER = """
import sys
from pathlib import Path
import numpy as np
import slicer, vtk
from vtk.util.numpy_support import numpy_to_vtk

for arrays in Path(sys.argv[1]).glob("*.npz"):
    content = np.load(arrays)
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(content["ijk_to_ras"].ravel().tolist())
    scene = slicer.vtkMRMLScene()
    node = slicer.vtkMRMLSegmentationNode()
    scene.AddNode(node)
    for name in ("Organ", "Tumor 1"):
        mask = content[name]
        image = slicer.vtkOrientedImageData()
        image.SetDimensions(mask.shape[::-1])
        image.GetPointData().SetScalars(numpy_to_vtk(mask.ravel(), deep=True))
        image.SetGeometryFromImageToWorldMatrix(matrix)
        segment = slicer.vtkSegment()
        segment.SetName(name)
        segment.AddRepresentation("Binary labelmap", image)
        if name == "Tumor 1":
            segment.SetTag("SAM2Annotate.Object", str(content["packed"]))
        node.GetSegmentation().AddSegment(segment)
    geometry = slicer.vtkSegmentationConverter.SerializeImageGeometry(image)
    node.GetSegmentation().SetConversionParameter("Reference image geometry", geometry)
    storage = slicer.vtkMRMLSegmentationStorageNode()
    scene.AddNode(storage)
    storage.SetFileName(str(arrays.with_suffix(".seg.nrrd")))
    storage.SetCropToMinimumExtent(True)
    assert storage.WriteData(node)
"""


@pytest.fixture(scope="module")
def written_by_slicer(tmp_path_factory) -> Path:
    """A folder with organ and tumor in all orientations, as Slicer itself writes them."""
    if find_spec("slicer_core") is None or find_spec("slicerio") is None:
        pytest.skip("needs Slicer's own writer (slicer-core), and slicerio")
    folder = tmp_path_factory.mktemp("slicer")
    for orientation in all_48_orientations():
        turned = {one.name: orientation.volume(one.mask) for one in (ORGAN, TUMOR)}
        grid = turned["Organ"].grid
        packed = pack_object(a_review(grid, (0, 2), {1: "corrected"}))
        masks = {name: mask.array_kji.astype(np.uint8) for name, mask in turned.items()}
        np.savez(folder / f"{orientation}.npz", ijk_to_ras=grid.ijk_to_ras, packed=packed, **masks)
    run_python(_WRITE_WITH_SLICER, folder)
    return folder


def test_what_slicer_itself_writes_is_read(written_by_slicer, orientation):
    whole = orientation.volume(ORGAN.mask).grid
    found = read_segments(written_by_slicer / f"{orientation}.seg.nrrd").segments
    assert [one.name for one in found] == ["Organ", "Tumor 1"]
    require_places(found)
    assert found[1].mask.grid.shape_kji != whole.shape_kji  # Slicer cut it
    assert found[1].review.unreviewed.grid.is_close(whole)
    assert (found[1].review.corrected, found[1].review.waiting) == (1, 2)


# -- labelmaps ----------------------------------------------------------------------------------------------------------------------


def a_labelmap(tmp_path: Path, dtype: type = np.uint8) -> Path:
    labels = ORGAN.mask.array_kji.astype(dtype)
    labels[TUMOR.mask.array_kji] = 4
    write_volume(Volume(GRID, labels), tmp_path / "labels.nii.gz")
    return tmp_path / "labels.nii.gz"


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_a_labelmaps_values_become_segments_with_names_from_a_table(tmp_path, dtype):
    found = read_segments(a_labelmap(tmp_path, dtype), {1: "organ", 2: "vessel"})
    assert [(one.name, int(one.mask.array_kji.sum())) for one in found.segments] == [("organ", 34), ("vessel", 0), ("4", 2)]


def test_probabilities_and_negative_values_are_no_labels(tmp_path):
    for value in (0.5, -1):
        labels = np.zeros(GRID.shape_kji, np.float32)
        labels[0, 0, 0] = value
        write_volume(Volume(GRID, labels), tmp_path / "labels.nii.gz")
        with pytest.raises(VolumeError, match="is no label ?map"):
            read_segments(tmp_path / "labels.nii.gz")


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(VolumeError, match="There is no segmentation file"):
        read_segments(tmp_path / "none.seg.nrrd")


def test_a_file_of_another_modality_than_stated_is_refused(tmp_path):
    write_volume(an_anisotropic_volume(), tmp_path / "a.nii.gz")
    assert read_image(tmp_path / "a.nii.gz").volume.modality is None
    assert read_image(tmp_path / "a.nii.gz", "CT").volume.modality == "CT"


# -- DICOM --------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dicom_series() -> Path:
    folder = SHARED / "mr_gbm_001_dicom" / "dicom"
    if not folder.is_dir():
        pytest.skip("needs the shared data")
    return folder


@pytest.fixture(scope="module")
def a_dicom_seg(dicom_series, tmp_path_factory) -> Path:
    """The case's label, and one that overlaps it, as a DICOM SEG of the series; frames without a voxel are left out."""
    pytest.importorskip("highdicom")
    import highdicom
    from highdicom.sr.coding import CodedConcept
    from pydicom import dcmread

    files = [dcmread(path) for path in sorted(dicom_series.iterdir())]
    label = read_volume(SHARED / "mr_gbm_001_dicom" / "label.nii.gz")
    at_z = {
        round(float(np.dot(label.grid.ijk_to_ras[:3, 2], label.grid.ras_from_ijk([0, 0, k]))), 1): k for k in range(len(label.array_kji))
    }
    frames = []
    for one in files:
        lps = np.array([float(mm) for mm in one.ImagePositionPatient])
        k = at_z[round(float(np.dot(label.grid.ijk_to_ras[:3, 2], lps * [-1, -1, 1])), 1)]
        frames.append(label.array_kji[k] == 1)
    masks = np.stack(frames)
    both = np.stack([masks, np.roll(masks, 5, axis=2)], axis=-1).astype(np.uint8)

    def described(number: int, name: str, code: CodedConcept):
        return highdicom.seg.SegmentDescription(
            segment_number=number, segment_label=name, segmented_property_category=CodedConcept("49755003", "SCT", "Altered structure"),
            segmented_property_type=code, algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.MANUAL,
            anatomic_regions=[CodedConcept("12738006", "SCT", "Brain")],
        )  # fmt: skip

    files[0].PatientName = f"{files[0].PatientName}^"  # a name of one part, which highdicom warns of
    seg = highdicom.seg.Segmentation(
        source_images=files, pixel_array=both, segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[
            described(1, "tumor", CodedConcept("4147007", "SCT", "Mass")),
            described(2, "shifted", CodedConcept("79654002", "SCT", "Edema")),
        ],
        series_instance_uid=highdicom.UID(), series_number=100, sop_instance_uid=highdicom.UID(), instance_number=1,
        manufacturer="SAM2Annotate tests", manufacturer_model_name="none", software_versions="0", device_serial_number="0",
        omit_empty_frames=True,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("seg") / "seg.dcm"
    seg.save_as(path)
    return path


def test_a_dicom_seg_lies_on_its_series_with_names_codes_and_patient(dicom_series, a_dicom_seg):
    image = read_image(dicom_series)
    found = read_segments(a_dicom_seg)
    assert image.volume.modality == "MR"
    assert found.patient_id == image.patient_id == "PGBM-001"
    assert [one.name for one in found.segments] == ["tumor", "shifted"]
    assert [one.codes for one in found.segments] == [("SCT:4147007", "SCT:12738006"), ("SCT:79654002", "SCT:12738006")]
    plan = a_plan(channels=("T1",), labels=(LabelRule(1, "tumor"),))
    labels, summary = label_case("p1", found.segments, image.volume.grid, plan)
    expected = read_volume(SHARED / "mr_gbm_001_dicom" / "label.nii.gz")
    expected.grid.require_same(labels.grid, "label", "image")
    assert (labels.array_kji == expected.array_kji).all()
    assert summary.segments[0].voxels_outside == 0
    assert [one.name for one in summary.left_out] == ["shifted"]


def test_a_dicom_file_that_is_no_segmentation_is_refused(dicom_series):
    pytest.importorskip("highdicom")
    with pytest.raises(VolumeError, match="could not be read"):
        read_segments(sorted(dicom_series.iterdir())[0])


def test_a_cut_dicom_seg_is_refused(a_dicom_seg, tmp_path):
    path = tmp_path / "cut.dcm"
    path.write_bytes(a_dicom_seg.read_bytes()[: a_dicom_seg.stat().st_size // 2])
    with pytest.raises(VolumeError, match="cut.dcm"):
        read_segments(path)


def test_segments_of_another_examination_are_refused(a_dicom_seg):
    if not (SHARED / "ct_sarcoma_003").is_dir():
        pytest.skip("needs the shared data")
    image = read_volume(next((SHARED / "ct_sarcoma_003").glob("image.*")))
    found = read_segments(a_dicom_seg)
    plan = a_plan(channels=("T1",))
    with pytest.raises(GridMismatchError, match="do not belong together"):
        label_case("p1", found.segments, image.grid, plan)
