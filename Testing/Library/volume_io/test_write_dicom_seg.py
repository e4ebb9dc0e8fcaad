"""DICOM SEG out: each voxel at its place, patient and frame of reference of the series, valid by an independent program."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from dicom_files import a_slice, a_stack, an_enhanced, item, read_back, write
from patients import all_48_orientations, names_in

from SAM2AnnotateLib.cli.main import main
from SAM2AnnotateLib.errors import MissingPackageError, OutputError
from SAM2AnnotateLib.geometry import Volume, VolumeGrid
from SAM2AnnotateLib.nnunet.cases.masks import laid_onto
from SAM2AnnotateLib.nnunet.sources import read_segments
from SAM2AnnotateLib.volume_io import read_dicom, read_volume, write_volume
from SAM2AnnotateLib.volume_io.write_dicom_seg import DicomCode, DicomSegment, write_dicom_seg

highdicom = pytest.importorskip("highdicom")

SHAPE = (6, 16, 20)
RNG = np.random.default_rng(3)
LIVER, LEFT = DicomCode("SCT", "10200004", "Liver"), DicomCode("SCT", "7771000", "Left")


def a_mask(seed: int) -> np.ndarray:
    mask = np.random.default_rng(seed).random(SHAPE) < 0.3
    mask[2] = False  # a slice without a frame
    return mask


@pytest.fixture(scope="module")
def series(tmp_path_factory) -> Path:
    return a_stack(tmp_path_factory.mktemp("series") / "ct", RNG.integers(0, 1000, SHAPE).astype(np.int16))


def require_valid(path: Path) -> None:
    """By dciodvfy (Debian: dicom3tools), which checks every attribute against the standard's definition of the object."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("needs dciodvfy, an independent validator (Debian: apt install dicom3tools)")
    said = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True, errors="replace", timeout=60).stderr
    assert "Segmentation" in said
    assert [line for line in said.splitlines() if line.startswith("Error")] == []


def placed(path: Path, image) -> list[np.ndarray]:
    """The masks of a file on the image's grid."""
    masks = []
    for segment in read_segments(path, annotated_grid=image.volume.grid, image_slices=image.slices).segments:
        mask = np.zeros(image.volume.grid.shape_kji, dtype=bool)
        block, part = laid_onto(segment.mask, image.volume.grid)
        mask[block] = part != 0
        masks.append(mask)
    return masks


@pytest.mark.parametrize("overlapping", [False, True])
def test_masks_come_back_to_their_voxels_with_names_and_codes(overlapping, series, tmp_path):
    image = read_dicom(series)
    first, second = a_mask(1), a_mask(2) if overlapping else a_mask(2) & ~a_mask(1)
    segments = [
        DicomSegment("Läsion 肝臓", first, kind=LIVER, kind_modifier=LEFT, algorithm="MANUAL"),
        DicomSegment("two", second, region=DicomCode("SCT", "64033007", "Kidney"), region_modifier=LEFT),
    ]
    write_dicom_seg(segments, image.slices, tmp_path / "s.dcm")
    found = read_segments(tmp_path / "s.dcm", annotated_grid=image.volume.grid, image_slices=image.slices)
    assert [one.name for one in found.segments] == ["Läsion 肝臓", "two"]
    assert [one.codes for one in found.segments] == [("SCT:10200004+SCT:7771000",), ("SCT:85756007", "SCT:64033007+SCT:7771000")]
    assert found.patient_id == "P1"
    for mask, expected in zip(placed(tmp_path / "s.dcm", image), (first, second), strict=True):
        assert np.array_equal(mask, expected)
    require_valid(tmp_path / "s.dcm")


def test_patient_study_frame_of_reference_and_images_are_the_series(series, tmp_path):
    image = read_dicom(series)
    write_dicom_seg([DicomSegment("one", a_mask(1))], image.slices, tmp_path / "s.dcm")
    written, source = read_back(tmp_path / "s.dcm"), read_back(series / "i0.dcm")
    for keyword in ("PatientID", "StudyInstanceUID", "FrameOfReferenceUID", "Rows", "Columns"):
        assert written.get(keyword) == source.get(keyword)
    assert written.SeriesInstanceUID != source.SeriesInstanceUID
    positions = {str(read_back(path).SOPInstanceUID): read_back(path).ImagePositionPatient for path in series.iterdir()}
    assert len(written.PerFrameFunctionalGroupsSequence) == SHAPE[0] - 1
    for frame in written.PerFrameFunctionalGroupsSequence:
        uid = str(frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID)
        assert frame.PlanePositionSequence[0].ImagePositionPatient == positions[uid]


def a_series_in(orientation, folder: Path) -> Path:
    """A DICOM series whose rows, columns and slices run as the orientation's i, j and k."""
    volume = orientation.volume(Volume(VolumeGrid(SHAPE, np.diag([1.0, 2, 3, 1])), RNG.integers(0, 1000, SHAPE).astype(np.int16)))
    lps = np.diag([-1.0, -1, 1, 1]) @ volume.grid.ijk_to_ras
    spacing = volume.grid.spacing_ijk_mm
    for k, plane in enumerate(volume.array_kji):
        directions = [round(float(one), 10) for one in (lps[:3, :2] / spacing[:2]).T.ravel()]
        image = a_slice(np.ascontiguousarray(plane), k + 1, [round(float(mm), 6) for mm in lps[:3, 3] + k * lps[:3, 2]], directions)
        image.PixelSpacing = [float(spacing[1]), float(spacing[0])]
        write(image, folder / f"{k}.dcm")
    return folder


def test_the_round_trip_holds_in_all_48_orientations(tmp_path):
    for number, orientation in enumerate(all_48_orientations()):
        image = read_dicom(a_series_in(orientation, tmp_path / str(number)))
        mask = np.random.default_rng(number).random(image.volume.grid.shape_kji) < 0.2
        path = tmp_path / f"{number}.dcm"
        write_dicom_seg([DicomSegment("one", mask)], image.slices, path)
        assert np.array_equal(placed(path, image)[0], mask), orientation
        theirs = highdicom.seg.segread(path).get_volume(segment_numbers=[1], combine_segments=True)  # by another reader
        to_index = np.linalg.inv(np.diag([-1.0, -1, 1, 1]) @ image.volume.grid.ijk_to_ras)
        where = np.argwhere(theirs.array != 0)
        ijk = (np.c_[where, np.ones(len(where))] @ (to_index @ theirs.affine).T)[:, :3]
        found = np.zeros_like(mask)
        found[tuple(np.rint(ijk).astype(int)[:, ::-1].T)] = True
        assert np.abs(ijk - np.rint(ijk)).max() < 1e-3 and np.array_equal(found, mask), orientation


def test_an_enhanced_image_gets_a_segmentation_of_its_frames(tmp_path):
    def frame(n):
        return {"FrameContentSequence": [item(DimensionIndexValues=[n + 1])]}

    stored = RNG.integers(0, 1000, SHAPE).astype(np.int16)
    image = read_dicom(write(an_enhanced(stored, [9, 0, 6, 3, 12, 15], frame), tmp_path / "e.dcm"))
    write_dicom_seg([DicomSegment("one", a_mask(4))], image.slices, tmp_path / "s.dcm")
    assert np.array_equal(placed(tmp_path / "s.dcm", image)[0], a_mask(4))
    require_valid(tmp_path / "s.dcm")


def test_slicer_core_reads_its_frames(series, tmp_path):
    """The wheel has no reader of DICOM SEG (in Slicer that is QuantitativeReporting, which runs dcmqi, below). What it has is its reader of
    images, on GDCM: it gives the frames, one behind the other, and not where each lies."""
    slicer, support = pytest.importorskip("slicer"), pytest.importorskip("vtk.util.numpy_support")
    image = read_dicom(series)
    masks = [a_mask(1), a_mask(2)]
    write_dicom_seg([DicomSegment(str(n), mask) for n, mask in enumerate(masks)], image.slices, tmp_path / "s.dcm")
    storage, node = slicer.vtkMRMLVolumeArchetypeStorageNode(), slicer.vtkMRMLScalarVolumeNode()
    storage.SetFileName(str(tmp_path / "s.dcm"))
    assert storage.ReadData(node) == 1
    frames = support.vtk_to_numpy(node.GetImageData().GetPointData().GetScalars()).reshape(node.GetImageData().GetDimensions()[::-1])
    expected = [plane for mask in masks for plane in mask if plane.any()]
    assert sorted(frame.tobytes() for frame in (frames != 0)) == sorted(plane.tobytes() for plane in expected)


def dcmqi(program: str, *arguments: str) -> str:
    """Run one of dcmqi's programs, which Slicer's own plugin for DICOM SEG runs (PyPI: dcmqi)."""
    found = shutil.which(program) or shutil.which(program, path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip("needs dcmqi, an independent reader and writer of DICOM SEG (pip install dcmqi, 52 MB)")
    done = subprocess.run([found, *arguments], capture_output=True, text=True, errors="replace", timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def on_image(path: Path, image) -> np.ndarray:
    """A label map's voxels at the image's, by their centers."""
    labels = read_volume(path)
    ijk = image.volume.grid.ijk_from_ras(labels.grid.ras_from_ijk(np.argwhere(labels.array_kji)[:, ::-1]))
    assert np.abs(ijk - np.rint(ijk)).max() < 1e-2
    found = np.zeros(image.volume.grid.shape_kji, dtype=bool)
    found[tuple(np.rint(ijk).astype(int)[:, ::-1].T)] = True
    return found


@pytest.mark.parametrize("number", [0, 13, 29, 47])
def test_what_slicers_plugin_runs_reads_the_same_voxels_names_and_codes(number, tmp_path):
    image = read_dicom(a_series_in(all_48_orientations()[number], tmp_path / "ct"))
    masks = [np.random.default_rng(n).random(image.volume.grid.shape_kji) < 0.2 for n in (1, 2)]  # they overlap
    masks[0][2] = False
    write_dicom_seg(
        [DicomSegment("one", masks[0], kind=LIVER, kind_modifier=LEFT), DicomSegment("two", masks[1])], image.slices, tmp_path / "s.dcm"
    )
    dcmqi("segimage2itkimage", *("--inputDICOM", str(tmp_path / "s.dcm"), "--outputDirectory", str(tmp_path), "--outputType", "nrrd"))
    for n, mask in enumerate(masks, start=1):
        assert np.array_equal(on_image(tmp_path / f"{n}.nrrd", image), mask)
    about = json.loads((tmp_path / "meta.json").read_text())["segmentAttributes"]
    (one,), (two,) = about
    assert (one["SegmentLabel"], two["SegmentLabel"]) == ("one", "two")
    assert one["SegmentedPropertyTypeCodeSequence"]["CodeValue"] == "10200004"
    assert one["SegmentedPropertyTypeModifierCodeSequence"]["CodeValue"] == "7771000"


def test_what_slicers_plugin_runs_writes_is_read(series, tmp_path):
    image = read_dicom(series)
    masks = [a_mask(1), a_mask(2) & ~a_mask(1)]
    attributes = []
    for n, mask in enumerate(masks, start=1):
        write_volume(Volume(image.volume.grid, mask), tmp_path / f"{n}.nrrd")
        coded = {"CodeValue": "10200004", "CodingSchemeDesignator": "SCT", "CodeMeaning": "Liver"}
        kinds = {"SegmentedPropertyCategoryCodeSequence": coded, "SegmentedPropertyTypeCodeSequence": coded}
        attributes.append([{"labelID": 1, "SegmentLabel": f"s{n}", "SegmentAlgorithmType": "MANUAL", **kinds}])
    about = {"ContentCreatorName": "A", "SeriesDescription": "S", "SeriesNumber": "7", "InstanceNumber": "1", "BodyPartExamined": ""}
    (tmp_path / "meta.json").write_text(json.dumps({**about, "segmentAttributes": attributes}))
    lists = ("--inputImageList", ",".join(str(tmp_path / f"{n}.nrrd") for n in (1, 2)), "--inputDICOMDirectory", str(series))
    dcmqi("itkimage2segimage", *lists, "--inputMetadata", str(tmp_path / "meta.json"), "--outputDICOM", str(tmp_path / "theirs.dcm"))
    for found, mask in zip(placed(tmp_path / "theirs.dcm", image), masks, strict=True):
        assert np.array_equal(found, mask)


def test_nothing_segmented_another_size_and_a_failed_write_leave_the_older_file(series, tmp_path, monkeypatch):
    image = read_dicom(series)
    path = tmp_path / "s.dcm"
    path.write_bytes(b"older")
    with pytest.raises(OutputError, match="no segment has any"):
        write_dicom_seg([DicomSegment("one", np.zeros(SHAPE, bool))], image.slices, path)
    with pytest.raises(OutputError, match="its series has 6 slices"):
        write_dicom_seg([DicomSegment("one", a_mask(1)[1:])], image.slices, path)
    monkeypatch.setattr(highdicom.seg.Segmentation, "save_as", lambda _made, place: Path(place).write_bytes(b"half"))
    with pytest.raises(Exception, match="could not be read|reads back"):
        write_dicom_seg([DicomSegment("one", a_mask(1))], image.slices, path)
    assert path.read_bytes() == b"older" and names_in(tmp_path) == ["s.dcm"]


def test_a_series_that_lacks_what_must_be_stated_is_one_line(series, tmp_path):
    folder = tmp_path / "ct"
    shutil.copytree(series, folder)
    for path in folder.iterdir():
        image = read_back(path)
        del image.StudyInstanceUID
        write(image, path)
    with pytest.raises(OutputError, match="the series lacks what a DICOM segmentation must state"):
        write_dicom_seg([DicomSegment("one", a_mask(1))], read_dicom(folder).slices, tmp_path / "s.dcm")


# --- the commands


@pytest.mark.slow
def test_segment_writes_dicom_seg_for_a_dicom_series(tmp_path, capsys):
    stored = np.zeros((5, 40, 44), np.int16)
    stored[1:4, 10:25, 12:30] = 400
    a_stack(tmp_path / "ct", stored)
    arguments = ["--slice", "2", "--box", "12,10,30,25", "--extent", "1,3", "--device", "cpu"]
    out = tmp_path / "m.dcm"
    assert main(["segment", str(tmp_path / "ct"), "-o", str(out), *arguments, "--label", "liver", "--code", "SCT:10200004:Liver"]) == 0
    assert main(["segment", str(tmp_path / "ct"), "-o", str(tmp_path / "m.nii.gz"), *arguments]) == 0
    image = read_dicom(tmp_path / "ct")
    assert np.array_equal(placed(out, image)[0], read_volume(tmp_path / "m.nii.gz").array_kji != 0)
    assert read_segments(out).segments[0].codes == ("SCT:10200004",)
    require_valid(out)
    write_volume(image.volume, tmp_path / "ct.nii.gz")
    assert main(["segment", str(tmp_path / "ct.nii.gz"), "-o", str(tmp_path / "n.dcm"), *arguments]) == 2
    assert "a DICOM segmentation refers to a DICOM series, and the image is none" in capsys.readouterr().err


def test_slices_that_were_shifted_back_get_no_dicom_seg(tmp_path, capsys):
    def change(k, image):
        image.ImagePositionPatient = [-5, 7 + 0.8 * k, 3 * k]

    a_stack(tmp_path / "ct", np.zeros((5, 8, 9), np.int16), change)
    arguments = ["segment", str(tmp_path / "ct"), "-o", str(tmp_path / "m.dcm"), "--slice", "2", "--box", "2,2,6,6", "--extent", "1,3"]
    assert main(arguments) == 2
    assert "gantry was tilted (by 14.9 degrees). Read it with --untilt" in capsys.readouterr().err
    assert main([*arguments, "--untilt"]) == 2
    said = capsys.readouterr().err
    assert "the slices were shifted back (--untilt), and a DICOM segmentation refers to the images as they are" in said
    assert names_in(tmp_path) == ["ct"]


def test_a_prediction_goes_back_to_its_series(series, tmp_path, capsys):
    image = read_dicom(series)
    labels = np.zeros(SHAPE, np.uint8)
    labels[1:3, 2:6, 3:9], labels[4, 8:10, 2:5] = 1, 2
    write_volume(Volume(image.volume.grid, labels), tmp_path / "p.nii.gz")
    arguments = ["dicom-seg", str(tmp_path / "p.nii.gz"), "--image", str(series), "-o", str(tmp_path / "p.dcm")]
    named = ["--name", "1=liver", "--name", "2=tumor", "--code", "liver=SCT:10200004:Liver", "--algorithm", "automatic"]
    assert main([*arguments, *named]) == 0
    assert "liver: 48 voxels on 2 slices (SCT:10200004)" in capsys.readouterr().out
    for number, mask in enumerate(placed(tmp_path / "p.dcm", image), start=1):
        assert np.array_equal(mask, labels == number)
    require_valid(tmp_path / "p.dcm")
    assert main([*arguments, *named]) == 2
    assert "exists already" in capsys.readouterr().err
    for wrong, complaint in (
        (["--code", "liver=10200004"], "is no code"),
        (["-o", str(tmp_path / "p.nii.gz")], "no name of a DICOM file"),
        (["--image", str(tmp_path / "p.nii.gz")], "the image is none"),
    ):
        assert main([*arguments, "--overwrite", *wrong]) == 2
        assert complaint in capsys.readouterr().err


def test_without_highdicom_the_error_says_how_to_get_it(series, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "highdicom.seg", None)
    with pytest.raises(MissingPackageError, match="Writing DICOM segmentations.*pip install highdicom"):
        write_dicom_seg([DicomSegment("one", a_mask(1))], read_dicom(series).slices, tmp_path / "s.dcm")
