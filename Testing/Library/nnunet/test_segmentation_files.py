"""Segmentations from elsewhere: frames lie where they say, what Slicer reads is read, damage is one line."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from dicom_files import SERIES, a_slice, a_stack, item, read_back, write
from patients import all_48_orientations

from SAM2AnnotateLib.errors import SAM2AnnotateError, VolumeError
from SAM2AnnotateLib.geometry import Volume, VolumeGrid
from SAM2AnnotateLib.nnunet.cases.masks import laid_onto
from SAM2AnnotateLib.nnunet.sources import read_image, read_segments
from SAM2AnnotateLib.volume_io import write_volume

pydicom = pytest.importorskip("pydicom")
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
SHAPE = (20, 12, 14)


def a_dicom_seg(path: Path, masks: dict[str, np.ndarray], z_mm, change=None, **measures) -> Path:
    """A DICOM SEG of (slices, rows, columns) masks, written by hand: every part can be left out. Empty slices have no frame."""
    frames = [(number, k) for number, mask in enumerate(masks.values(), start=1) for k in range(len(z_mm)) if mask[k].any()]
    planes = np.array([list(masks.values())[number - 1][k] for number, k in frames], dtype=np.uint8)
    image = a_slice(planes[0], 1, sop_class=SEGMENTATION, modality="SEG", series="1.2.66")
    image.FrameOfReferenceUID = f"{SERIES}.9"  # the image's
    for keyword in (
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "SliceThickness",
        "RescaleSlope",
        "RescaleIntercept",
    ):
        delattr(image, keyword)
    image.NumberOfFrames, image.SegmentationType = len(planes), "BINARY"
    image.BitsAllocated = image.BitsStored = 1
    image.HighBit = 0
    bits = np.packbits(planes.ravel(), bitorder="little")
    image.PixelData = bits.tobytes() + b"\0" * (len(bits) % 2)
    code = item(CodeValue="10200004", CodingSchemeDesignator="SCT", CodeMeaning="Liver")
    image.SegmentSequence = [
        item(SegmentNumber=n, SegmentLabel=name, SegmentedPropertyTypeCodeSequence=[code]) for n, name in enumerate(masks, start=1)
    ]
    image.SharedFunctionalGroupsSequence = [
        item(
            PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
            PixelMeasuresSequence=[item(PixelSpacing=[2, 1], **measures)],
        )
    ]
    image.PerFrameFunctionalGroupsSequence = [
        item(
            PlanePositionSequence=[item(ImagePositionPatient=[-5, 7, z_mm[k]])],
            SegmentIdentificationSequence=[item(ReferencedSegmentNumber=number)],
        )
        for number, k in frames
    ]
    if change is not None:
        change(image)
    return write(image, path)


@pytest.fixture(scope="module")
def an_image(tmp_path_factory):
    return read_image(a_stack(tmp_path_factory.mktemp("ct") / "ct", np.zeros(SHAPE, np.int16)))


def sparse() -> np.ndarray:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[3, 4:7, 5:9] = mask[10, 4:7, 5:9] = True
    mask[17, 1, 1] = True
    return mask


Z_MM = [3.0 * k for k in range(SHAPE[0])]


def on_image(segment, grid: VolumeGrid) -> np.ndarray:
    out = np.zeros(grid.shape_kji, dtype=bool)
    block, part = laid_onto(segment.mask, grid)
    out[block] = part != 0
    return out


@pytest.mark.parametrize(
    "measures", [{}, {"SliceThickness": 0}, {"SliceThickness": 3}, {"SliceThickness": 21}, {"SpacingBetweenSlices": 3}]
)
def test_frames_on_every_seventh_slice_stay_on_them_whatever_is_said_of_thickness(measures, an_image, tmp_path):
    path = a_dicom_seg(tmp_path / "s.dcm", {"a": sparse(), "b": sparse()[::-1]}, Z_MM, **measures)
    grid = an_image.volume.grid
    found = read_segments(path, annotated_grid=grid, image_slices=an_image.slices)
    for segment, expected in zip(found.segments, (sparse(), sparse()[::-1]), strict=True):
        assert np.array_equal(on_image(segment, grid), expected)
    assert found.patient_id == "P1"
    assert found.segments[0].codes == ("SCT:10200004",)


def test_without_its_image_a_segmentation_is_as_deep_as_it_says_or_refused(tmp_path):
    for measures in ({"SliceThickness": 3}, {"SpacingBetweenSlices": 3, "SliceThickness": 5}):
        segment = read_segments(a_dicom_seg(tmp_path / "s.dcm", {"a": sparse()}, Z_MM, **measures)).segments[0]
        assert segment.mask.grid.spacing_ijk_mm == pytest.approx([1, 2, 3])
        assert segment.mask.array_kji.sum() == sparse().sum()
    for measures in ({}, {"SliceThickness": 0}, {"SliceThickness": 4}):
        with pytest.raises(VolumeError, match="does not say how deep its voxels are.*Give the image"):
            read_segments(a_dicom_seg(tmp_path / "s.dcm", {"a": sparse()}, Z_MM, **measures))


def test_frames_lie_on_an_image_stored_in_any_of_the_48_ways(an_image, tmp_path):
    path = a_dicom_seg(tmp_path / "s.dcm", {"a": sparse()}, Z_MM)
    stored = Volume(an_image.volume.grid, sparse().astype(np.uint8))
    for orientation in all_48_orientations():
        image = orientation.volume(stored)
        segment = read_segments(path, annotated_grid=image.grid).segments[0]
        assert np.array_equal(on_image(segment, image.grid), image.array_kji != 0), orientation


def test_frames_that_name_their_slices_need_no_position(an_image, tmp_path):
    def change(image):
        for n, frame in enumerate(image.PerFrameFunctionalGroupsSequence):
            del frame.PlanePositionSequence
            source = item(ReferencedSOPInstanceUID=an_image.slices[(3, 10, 17)[n]].sop_uid)
            frame.DerivationImageSequence = [item(SourceImageSequence=[source])]

    path = a_dicom_seg(tmp_path / "s.dcm", {"a": sparse()}, Z_MM, change)
    segment = read_segments(path, annotated_grid=an_image.volume.grid, image_slices=an_image.slices).segments[0]
    assert np.array_equal(on_image(segment, an_image.volume.grid), sparse())
    with pytest.raises(VolumeError, match="does not say where its frame 1 lies"):
        read_segments(path, annotated_grid=an_image.volume.grid)


def test_a_frame_that_names_one_slice_and_lies_on_another_is_refused(an_image, tmp_path):
    def change(image):
        source = item(ReferencedSOPInstanceUID=an_image.slices[9].sop_uid)
        image.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence = [item(SourceImageSequence=[source])]

    path = a_dicom_seg(tmp_path / "s.dcm", {"a": sparse()}, Z_MM, change)
    with pytest.raises(VolumeError, match="its frame 1 names slice 9 of the image and lies on slice 3"):
        read_segments(path, annotated_grid=an_image.volume.grid, image_slices=an_image.slices)


def test_a_label_map_segmentation_is_read(an_image, tmp_path):
    labels = sparse().astype(np.uint8) * 2
    labels[5, 1:3, 1:3] = 1

    def change(image):
        kept = [k for k in range(SHAPE[0]) if labels[k].any()]
        image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.66.7"
        image.SegmentationType, image.NumberOfFrames = "LABELMAP", len(kept)
        image.BitsAllocated = image.BitsStored = 8
        image.HighBit = 7
        image.PixelData = labels[kept].tobytes()
        image.PerFrameFunctionalGroupsSequence = [
            item(PlanePositionSequence=[item(ImagePositionPatient=[-5, 7, Z_MM[k]])]) for k in kept
        ]  # fmt: skip

    path = a_dicom_seg(tmp_path / "s.dcm", {"a": sparse(), "b": sparse()}, Z_MM, change)
    for n, segment in enumerate(read_segments(path, annotated_grid=an_image.volume.grid).segments, start=1):
        assert np.array_equal(on_image(segment, an_image.volume.grid), labels == n)


def changed(**values):
    def change(image):
        for keyword, value in values.items():
            if value is None:
                delattr(image, keyword)
            else:
                setattr(image, keyword, value)

    return change


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (changed(SegmentationType="FRACTIONAL"), "is a fractional segmentation"),
        (changed(NumberOfFrames=9), "states 9 frames and describes 3|is incomplete"),
        (changed(PixelData=b"\0\0"), "is incomplete"),
        (changed(PixelData=None), "holds no pixel data"),
        (changed(SegmentSequence=None), "it is none"),
        (changed(TotalPixelMatrixRows=100), "slide of a microscope"),
        (
            lambda image: image.PerFrameFunctionalGroupsSequence[1].pop("SegmentIdentificationSequence"),
            "does not say which segment its frame 2",
        ),
        (lambda image: image.SegmentSequence[0].pop("SegmentNumber"), "could not be read"),
    ],
)
def test_a_damaged_segmentation_is_one_line(change, complaint, tmp_path):
    path = a_dicom_seg(tmp_path / "s.dcm", {"a": sparse()}, Z_MM, change, SliceThickness=3)
    with pytest.raises(VolumeError, match=complaint) as told:
        read_segments(path)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("code", "read_as"),
    [
        ({"CodeValue": "1", "CodingSchemeDesignator": "SCT"}, ("SCT:1",)),
        ({"LongCodeValue": "12345678901234567", "CodingSchemeDesignator": "SCT"}, ("SCT:12345678901234567",)),
        ({"URNCodeValue": "urn:oid:1.2"}, ("urn:oid:1.2",)),
        ({"CodeMeaning": "nothing else"}, ()),
    ],
)
def test_every_form_of_a_code_is_read(code, read_as, tmp_path):
    path = a_dicom_seg(tmp_path / "s.dcm", {"a": sparse()}, Z_MM, SliceThickness=3)
    image = read_back(path)
    image.SegmentSequence[0].SegmentedPropertyTypeCodeSequence = [item(**code)]
    assert read_segments(write(image, path)).segments[0].codes == read_as


def of_kind(folder: Path, kind: str, array: np.ndarray, names=("a", "b"), **further):
    """A segmentation by highdicom of a series of as many slices as the array has; its path, and the image."""
    highdicom, codes = pytest.importorskip("highdicom"), pytest.importorskip("pydicom.sr.codedict").codes
    series = a_stack(folder / "ct", np.zeros(array.shape[:3], np.int16))
    seg = highdicom.seg
    described = [
        seg.SegmentDescription(n, name, codes.SCT.Tissue, codes.SCT.Liver, seg.SegmentAlgorithmTypeValues.MANUAL)
        for n, name in enumerate(names, start=1)
    ]
    files = [read_back(path) for path in sorted(series.iterdir())]
    made = seg.Segmentation(
        files, array, seg.SegmentationTypeValues[kind], described, highdicom.UID(), 2, highdicom.UID(), 1, "M", "M", "1", "1", **further
    )
    made.save_as(folder / "s.dcm")
    return folder / "s.dcm", read_image(series)


A, B = (np.random.default_rng(seed).random((4, 9, 8)) > 0.6 for seed in (1, 2))


@pytest.mark.parametrize(
    ("kind", "array", "expected"),
    [
        ("LABELMAP", np.where(A, 1, np.where(B, 2, 0)).astype(np.uint8), (A, B & ~A)),
        ("BINARY", np.stack([A, B], axis=-1).astype(np.uint8), (A, B)),  # they overlap
        ("FRACTIONAL", np.stack([A, B], axis=-1).astype(float), (A, B)),  # all or nothing
    ],
)
@pytest.mark.parametrize("with_image", [True, False])
def test_every_kind_of_segmentation_is_read_as_it_was_made(kind, array, expected, with_image, tmp_path):
    path, image = of_kind(tmp_path, kind, array)
    found = read_segments(path, None, *((image.volume.grid, image.slices) if with_image else ()))
    assert [one.name for one in found.segments] == ["a", "b"]
    for segment, mask in zip(found.segments, expected, strict=True):
        assert np.array_equal(on_image(segment, image.volume.grid), mask)


@pytest.mark.parametrize(("fraction", "kind"), [(0.5, "PROBABILITY"), (0.25, "OCCUPANCY")])
def test_a_pixel_that_belongs_in_part_is_refused_with_what_it_is(fraction, kind, tmp_path):
    seg = pytest.importorskip("highdicom").seg
    path, _ = of_kind(tmp_path, "FRACTIONAL", A * fraction, ("a",), fractional_type=seg.SegmentationFractionalTypeValues[kind])
    with pytest.raises(VolumeError, match=rf"holds the {kind.lower()} 0\.{str(fraction)[2:]}\d*: a label has no fractions"):
        read_segments(path)


def test_another_frame_of_reference_counts_only_where_the_images_slices_are_named(tmp_path):
    path, image = of_kind(tmp_path, "BINARY", A.astype(np.uint8), ("a",))
    content = read_back(path)
    content.FrameOfReferenceUID = "1.2.3.4"
    write(content, path)
    (found,) = read_segments(path, None, image.volume.grid, image.slices).segments
    assert np.array_equal(on_image(found, image.volume.grid), A)
    for frame in content.PerFrameFunctionalGroupsSequence:
        del frame.DerivationImageSequence
    write(content, path)
    with pytest.raises(VolumeError, match="in another frame of reference than the image .1.2.3.4., and its frame 1 names no slice"):
        read_segments(path, None, image.volume.grid, image.slices)
    assert read_segments(path).segments[0].mask.array_kji.sum() == A.sum()  # without the image nothing contradicts


def test_what_is_drawn_and_not_described_is_not_dropped(tmp_path):
    for kind, array in (("BINARY", A.astype(np.uint8)), ("LABELMAP", A.astype(np.uint8))):
        path, _ = of_kind(tmp_path / kind, kind, array, ("a",))
        content = read_back(path)
        content.SegmentSequence[-1].SegmentNumber = 3
        with pytest.raises(VolumeError, match="draws segment 1 and does not describe it"):
            read_segments(write(content, path))


def test_memory_does_not_grow_with_the_number_of_segments(tmp_path):
    peaks = []
    for count in (2, 40):
        masks = {}
        for n in range(count):
            mask = np.zeros((30, 128, 128), dtype=bool)
            mask[n % 28 : n % 28 + 2, 10:20, 10:20] = True
            masks[f"organ {n}"] = mask
        path = a_dicom_seg(tmp_path / f"{count}.dcm", masks, [3.0 * k for k in range(30)], SliceThickness=3)
        tracemalloc.start()
        assert len(read_segments(path).segments) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 40 * 30 * 128 * 128 / 8  # all segments unpacked would be 20 MB


# --- .seg.nrrd


def seg_nrrd(path: Path, voxels: np.ndarray, pairs: dict[str, str], encoding: str = "raw") -> Path:
    """Of (k, j, i) or (k, j, i, layer) voxels."""
    layered = voxels.ndim == 4
    directions = ("none " if layered else "") + "(1,0,0) (0,1,0) (0,0,2)"
    sizes = " ".join(map(str, voxels.shape[::-1]))
    header = (
        f"NRRD0004\ntype: uchar\ndimension: {voxels.ndim}\nspace: left-posterior-superior\nsizes: {sizes}\nspace directions: {directions}\n"
        f"kinds: {'list ' if layered else ''}domain domain domain\nencoding: {encoding}\nspace origin: (0,0,0)\n"
    )
    path.write_bytes((header + "".join(f"{key}:={value}\n" for key, value in pairs.items()) + "\n").encode() + voxels.tobytes())
    return path


LAYERS = np.zeros((6, 8, 8, 2), dtype=np.uint8)
LAYERS[1:3, 2:5, 2:5, 0] = 1
LAYERS[4, 1, 1, 1] = 1


def test_a_file_of_slicer_4_10_is_read_by_the_number_of_its_segments(tmp_path):
    pairs = {f"Segment{n}_{key}": value for n, name in enumerate(("liver", "tumor")) for key, value in (("ID", f"S{n}"), ("Name", name))}
    found = read_segments(seg_nrrd(tmp_path / "old.seg.nrrd", LAYERS, pairs)).segments
    assert [(one.name, int(one.mask.array_kji.sum())) for one in found] == [("liver", 18), ("tumor", 1)]
    alone = seg_nrrd(tmp_path / "one.seg.nrrd", LAYERS[..., 0], {"Segment0_ID": "S0", "Segment0_Name": "liver"})
    assert [(one.name, int(one.mask.array_kji.sum())) for one in read_segments(alone).segments] == [("liver", 18)]


@pytest.mark.parametrize("kind", ["named by --name", "by numbers"])
def test_a_label_map_called_as_slicers_segmentations_is_a_label_map(kind, tmp_path):
    labels = np.where(LAYERS[..., 1] == 1, 2, LAYERS[..., 0]).astype(np.uint8)
    write_volume(Volume(VolumeGrid(labels.shape, np.eye(4)), labels), tmp_path / "pred.seg.nrrd")
    names = {1: "liver", 2: "tumor"} if kind == "named by --name" else {}
    found = read_segments(tmp_path / "pred.seg.nrrd", names).segments
    assert [(one.name, int(one.mask.array_kji.sum())) for one in found] == [(names.get(1, "1"), 18), (names.get(2, "2"), 1)]


@pytest.mark.parametrize(
    ("pairs", "complaint"),
    [
        ({"Segment0_LabelValue": "x"}, "names no value"),
        ({"Segment0_LabelValue": "1", "Segment0_Layer": "2"}, "a layer that is not there"),
        ({"Segment0_LabelValue": "1", "Segment0_Layer": "-1"}, "a layer that is not there"),
    ],
)
def test_segments_that_are_not_there_are_refused(pairs, complaint, tmp_path):
    with pytest.raises(VolumeError, match=complaint):
        read_segments(seg_nrrd(tmp_path / "a.seg.nrrd", LAYERS, pairs))


@pytest.mark.parametrize("content", [b"", b"NRRD", b"NRRD0004\n", b"NRRD0004\n\n", b"x" * 300, bytes(300)])
@pytest.mark.parametrize("name", ["a.seg.nrrd", "a.nrrd", "a.dcm", "a.nii.gz", "a.mha"])
def test_a_file_that_is_none_is_one_line(content, name, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SAM2AnnotateError, match=name) as told:
        read_segments(tmp_path / name)
    assert "\n" not in str(told.value)
