"""From segments to one label array: the right voxels whatever the file's order, overlaps, instances, slices nobody reviewed."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from nnunet_cases import ORGAN, TUMOR, a_case, a_plan, a_review, a_segment, label_at, reviewed
from patients import an_anisotropic_volume

from SAM2AnnotateLib.errors import GridMismatchError, InputError
from SAM2AnnotateLib.geometry import Volume, VolumeGrid
from SAM2AnnotateLib.nnunet import CaseImage, ExportCase, LabelRule, SourceSegment
from SAM2AnnotateLib.nnunet.cases.masks import count_outside, cut_to_content, laid_onto
from SAM2AnnotateLib.nnunet.data_sets.images import channel_volumes, resample_linear
from SAM2AnnotateLib.nnunet.data_sets.labels import label_case
from SAM2AnnotateLib.nnunet.data_sets.proposals import proposals_of, read_proposals
from SAM2AnnotateLib.volume_io import write_volume

GRID = an_anisotropic_volume().grid  # 6 x 5 x 4 voxels (i, j, k)


def labels_of(*segments: SourceSegment, grid: VolumeGrid = GRID, **plan):
    return label_case("p1", segments, grid, a_plan(**plan))


def test_every_voxel_has_the_label_of_its_place_in_space_in_all_orientations(a_patient, orientation):
    image = a_patient
    organ = a_segment("organ", image.grid, (0, 1, 1), (3, 4, 5))
    tumor = a_segment("tumor", image.grid, (1, 2, 2), (2, 3, 4))
    expected, _ = labels_of(organ, tumor, grid=image.grid)
    stored = orientation.volume(image)
    for on_grid, segments in (
        (stored.grid, (organ, tumor)),
        (stored.grid, tuple(SourceSegment(one.name, orientation.volume(one.mask)) for one in (organ, tumor))),
        (image.grid, tuple(SourceSegment(one.name, orientation.volume(one.mask)) for one in (organ, tumor))),
    ):
        labels, _ = labels_of(*segments, grid=on_grid)
        assert labels.grid is on_grid
        for k, j, i in product(*map(range, on_grid.shape_kji)):
            assert labels.array_kji[k, j, i] == label_at(expected, on_grid.ras_from_ijk([i, j, k]))
        assert np.bincount(labels.array_kji.ravel()).tolist() == np.bincount(expected.array_kji.ravel()).tolist()


def test_a_mask_on_a_finer_and_smaller_grid_lies_where_it_was_drawn():
    fine = np.array(GRID.ijk_to_ras)
    fine[:3, :3] /= 2
    fine[:3, 3] = GRID.ras_from_ijk([1.75, 0.75, 0.75])
    organ = a_segment("organ", VolumeGrid((4, 4, 4), fine), (0, 0, 0), (4, 4, 4))  # i 1.625..3.625 and so on, edges
    labels, summary = labels_of(organ)
    assert sorted(map(tuple, np.argwhere(labels.array_kji)[:, ::-1].tolist())) == sorted(product((2, 3), (1, 2), (1, 2)))
    assert summary.segments[0].voxels == 8
    assert summary.segments[0].voxels_outside == 0


@pytest.mark.parametrize("first", [1, 2])
def test_masks_side_by_side_neither_overlap_nor_part_where_centers_lie_between_voxels(first, orientation):
    organ = an_anisotropic_volume(oblique=True).grid
    left, right = (np.zeros(organ.shape_kji, dtype=bool) for _ in range(2))
    left[:, :, 1 : first + 1], right[:, :, first + 1 : 5] = True, True
    turned = [orientation.volume(Volume(organ, mask)) for mask in (left, right)]
    segments = [SourceSegment(name, cut_to_content(one.grid, one.array_kji)) for name, one in zip(("organ", "tumor"), turned, strict=True)]
    between = np.array(organ.ijk_to_ras)
    between[:3, 3] = organ.ras_from_ijk([0.5, 0.5, 0.5])  # every center lies where eight voxels meet
    labels, _ = labels_of(*segments, grid=VolumeGrid((3, 4, 5), between), overlap="refuse")
    inner = labels.array_kji[1, 1]
    # Columns 1 to 4 are full, without a gap; whether 0 or 5 is the one too many goes by the orientation.
    assert 0 not in inner[1:4]
    assert (inner[1:4] == np.sort(inner[1:4])).all()


@pytest.mark.parametrize(("overlap", "expected"), [("later", [1, 2, 2]), ("earlier", [1, 1, 2])])
@pytest.mark.parametrize("turned", [False, True], ids=["organ first", "tumor first"])
def test_overlaps_go_by_the_plans_order_not_by_the_files(overlap, expected, turned):
    segments = [a_segment("organ", GRID, (0, 0, 0), (1, 1, 2)), a_segment("tumor", GRID, (0, 0, 1), (1, 1, 3))]
    labels, summary = labels_of(*segments[:: -1 if turned else 1], overlap=overlap)
    assert labels.array_kji[0, 0, :3].tolist() == expected
    assert summary.overlapping_voxels == 1


def test_the_order_of_the_rules_decides_not_their_values():
    segments = (a_segment("organ", GRID, (0, 0, 0), (1, 1, 2)), a_segment("tumor", GRID, (0, 0, 1), (1, 1, 3)))
    labels, _ = labels_of(*segments, labels=(TUMOR, ORGAN))
    assert labels.array_kji[0, 0, :3].tolist() == [1, 1, 2]


def test_overlaps_can_be_refused():
    with pytest.raises(InputError, match="Case 'p1': .* overlap in 1 voxels"):
        labels_of(a_segment("organ", GRID, (0, 0, 0), (1, 1, 2)), a_segment("tumor", GRID, (0, 0, 1), (1, 1, 3)), overlap="refuse")


def test_segments_side_by_side_do_not_overlap():
    _, summary = labels_of(a_segment("organ", GRID, (0, 0, 0), (1, 1, 2)), a_segment("tumor", GRID, (0, 0, 2), (1, 1, 3)), overlap="refuse")
    assert summary.overlapping_voxels == 0


def test_instances_merge_into_one_value_and_their_own_overlap_is_none():
    one, two = a_segment("Tumor 1", GRID, (0, 0, 0), (1, 1, 2)), a_segment("tumor 2", GRID, (0, 0, 1), (1, 1, 3))
    labels, summary = labels_of(one, two, overlap="refuse")
    assert labels.array_kji[0, 0].tolist() == [2, 2, 2, 0, 0, 0]
    assert [(one.name, one.value) for one in summary.segments] == [("Tumor 1", 2), ("tumor 2", 2)]
    assert summary.missing == ("organ",)


def test_instances_of_a_label_that_is_not_to_be_merged_are_refused():
    single = LabelRule(1, "tumor", ("tumor*",), merge=False)
    one, two = a_segment("tumor 1", GRID, (0, 0, 0), (1, 1, 2)), a_segment("tumor 2", GRID, (0, 0, 2), (1, 1, 3))
    with pytest.raises(InputError, match="'tumor 1' and 'tumor 2' both fit the label 'tumor'"):
        labels_of(one, two, labels=(single,))
    assert labels_of(one, labels=(single,))[0].array_kji.sum() == 2


def test_what_the_plan_does_not_name_and_what_is_empty_is_left_out_and_listed():
    labels, summary = labels_of(a_segment("vessel", GRID, (0, 0, 0), (1, 1, 1)), a_segment("organ", GRID, (0, 0, 0), (0, 0, 0)))
    assert not labels.array_kji.any()
    assert [(one.name, one.reason) for one in summary.left_out] == [("vessel", "the plan has no label for it"), ("organ", "it is empty")]
    assert summary.missing == ("organ", "tumor")


def test_a_case_without_a_required_label_is_refused():
    with pytest.raises(InputError, match="Case 'p1' has no 'organ', which the plan requires. Its segments are 'liver'"):
        labels_of(a_segment("liver", GRID, (0, 0, 0), (1, 1, 1)), labels=(LabelRule(1, "organ", required=True),))


def test_a_required_label_that_another_one_covers_is_missing_too():
    plan = {"labels": (LabelRule(1, "organ", required=True), TUMOR)}
    with pytest.raises(InputError, match="has no 'organ'"):
        labels_of(a_segment("organ", GRID, (1, 1, 1), (2, 2, 2)), a_segment("tumor", GRID, (0, 0, 0), (3, 3, 3)), **plan)


def test_segments_beside_the_image_are_refused():
    far = np.array(GRID.ijk_to_ras)
    far[:3, 3] += 500
    with pytest.raises(GridMismatchError, match="no voxel of the segment 'organ' lies in the image"):
        labels_of(a_segment("organ", VolumeGrid(GRID.shape_kji, far), (0, 0, 0), (2, 2, 2)))


def test_voxels_outside_the_image_are_counted():
    shifted = np.array(GRID.ijk_to_ras)
    shifted[:3, 3] = GRID.ras_from_ijk([-2, 0, 0])
    labels, summary = labels_of(a_segment("organ", VolumeGrid(GRID.shape_kji, shifted), (0, 0, 0), (1, 1, 5)))
    assert labels.array_kji[0, 0].tolist() == [1, 1, 1, 0, 0, 0]
    assert (summary.segments[0].voxels, summary.segments[0].voxels_outside) == (3, 2)


def test_a_mask_cut_to_its_voxels_is_laid_where_the_whole_one_is(orientation):
    whole = orientation.volume(a_segment("organ", GRID, (1, 1, 2), (3, 4, 4)).mask)
    small = cut_to_content(whole.grid, whole.array_kji)
    assert small.array_kji.size == 12
    for mask in (whole, small):
        block, part = laid_onto(mask, GRID)
        laid = np.zeros(GRID.shape_kji, dtype=bool)
        laid[block] = part
        assert np.argwhere(laid).min(axis=0).tolist() == [1, 1, 2]
        assert np.argwhere(laid).max(axis=0).tolist() == [2, 3, 3]
        assert laid.sum() == 12
        assert count_outside(mask, GRID) == 0


def test_an_empty_mask_is_cut_to_one_empty_voxel():
    small = cut_to_content(GRID, np.zeros(GRID.shape_kji, dtype=bool))
    assert small.array_kji.tolist() == [[[False]]]


# -- reviews -------------------------------------------------------------------------------------------------------------------------


def half_reviewed(name: str = "tumor") -> SourceSegment:
    """On slices 0..2, of which 0 is accepted and 1 corrected."""
    return reviewed(a_segment(name, GRID, (0, 1, 1), (3, 3, 3)), a_review(GRID, (0, 2), {0: "accepted", 1: "corrected"}))


def test_an_object_with_a_slice_nobody_reviewed_is_left_out_unless_asked():
    labels, summary = labels_of(half_reviewed())
    assert not labels.array_kji.any()
    assert [(one.name, one.reason) for one in summary.left_out] == [("tumor", "1 of 3 slices are neither accepted nor corrected")]
    kept, summary = labels_of(half_reviewed(), unreviewed="keep")
    assert (kept.array_kji == 2).sum() == 12
    assert not summary.left_out


def test_a_slice_nobody_reviewed_refuses_the_case_on_demand():
    with pytest.raises(InputError, match="Case 'p1': 1 of 3 slices of 'tumor' are neither accepted nor corrected"):
        labels_of(half_reviewed(), unreviewed="refuse")


def test_a_slice_nobody_reviewed_becomes_the_ignore_label_but_for_what_others_know():
    organ = a_segment("organ", GRID, (0, 0, 0), (4, 1, 6))
    labels, summary = labels_of(organ, half_reviewed(), ignore=True, unreviewed="ignore")
    expected = np.zeros(GRID.shape_kji, dtype=int)
    expected[:, 0] = 1
    expected[:2, 1:3, 1:3] = 2
    expected[2, 1:] = 3
    assert labels.array_kji.tolist() == expected.tolist()
    assert summary.ignored_voxels == 24
    assert not summary.left_out


def test_an_object_nobody_looked_at_turns_its_whole_extent_into_the_ignore_label():
    nothing = reviewed(a_segment("tumor", GRID, (0, 0, 0), (0, 0, 0)), a_review(GRID, (1, 2), {}))
    labels, _ = labels_of(nothing, ignore=True, unreviewed="ignore")
    assert np.unique(labels.array_kji[1:3]).tolist() == [3]
    assert not labels.array_kji[[0, 3]].any()


@pytest.mark.parametrize("axis", ["i", "j", "k"])
def test_slices_to_ignore_lie_where_they_were_annotated_in_all_orientations(orientation, axis):
    stored = orientation.volume(an_anisotropic_volume())
    journaled = a_review(stored.grid, (1, 2), {1: "corrected"}, axis)
    tumor = reviewed(a_segment("tumor", stored.grid, (0, 0, 0), (0, 0, 0)), journaled)
    labels, _ = labels_of(tumor, grid=GRID, ignore=True, unreviewed="ignore")
    from SAM2AnnotateLib.geometry import SliceStack

    stack = SliceStack.along(stored.grid, axis)
    expected = np.zeros(stored.grid.shape_kji, dtype=int)
    index = [slice(None)] * 3
    index["kji".index(axis)] = stack.index_of(2)
    expected[tuple(index)] = 3
    there = Volume(stored.grid, expected)
    for k, j, i in product(*map(range, GRID.shape_kji)):
        assert labels.array_kji[k, j, i] == label_at(there, GRID.ras_from_ijk([i, j, k]))


def test_a_finished_review_is_exported_and_kept_in_the_summary():
    done = reviewed(a_segment("tumor", GRID, (0, 1, 1), (2, 3, 3)), a_review(GRID, (0, 1), {0: "accepted", 1: "corrected"}))
    labels, summary = labels_of(done)
    assert (labels.array_kji == 2).sum() == 8
    review = summary.segments[0].review
    assert (review["accepted"], review["corrected"], review["unreviewed"]) == (1, 1, 0)
    assert review["engine"]["sha256"] == "abc"
    assert list(review["prompts"]) == ["0"]


def test_a_review_of_another_image_is_refused():
    with pytest.raises(InputError, match="The review of 'tumor' was made on slices of"):
        reviewed(a_segment("tumor", GRID, (0, 0, 0), (1, 1, 1)), a_review(VolumeGrid((4, 9, 9), np.eye(4)), (0, 1), {}))


# -- images --------------------------------------------------------------------------------------------------------------------------


def two_images(other: Volume) -> ExportCase:
    return ExportCase("p1", (CaseImage(an_anisotropic_volume(), "t1.nii.gz"), CaseImage(other, "t2.nii.gz")), ())


def test_channels_on_one_grid_are_taken_as_they_are():
    other = an_anisotropic_volume(dtype=np.float32)
    volumes, notes = channel_volumes(two_images(other), a_plan(channels=("T1", "T2")))
    assert (volumes[1].array_kji == other.array_kji).all()
    assert not notes


def test_a_channel_on_another_grid_is_refused_or_interpolated_on_demand():
    matrix = np.array(GRID.ijk_to_ras)
    matrix[:3, 3] = GRID.ras_from_ijk([3, 0, 0])
    other = Volume(VolumeGrid(GRID.shape_kji, matrix), an_anisotropic_volume().array_kji)
    plan = a_plan(channels=("T1", "T2"))
    with pytest.raises(GridMismatchError, match="'t1.nii.gz' and 't2.nii.gz' must lie on one grid"):
        channel_volumes(two_images(other), plan)
    volumes, notes = channel_volumes(two_images(other), plan, resample=True)
    assert (volumes[1].array_kji[..., 3:] == other.array_kji[..., :3]).all()
    assert (volumes[1].array_kji[..., :3] == other.array_kji.min()).all()
    assert notes == ["'T2' was interpolated onto the grid of 'T1' and covers 50 % of it"]
    matrix[:3, 3] += 1000
    with pytest.raises(GridMismatchError, match="share no voxel"):
        channel_volumes(two_images(Volume(VolumeGrid(GRID.shape_kji, matrix), other.array_kji)), plan, resample=True)


def test_linear_interpolation_reproduces_a_linear_image_in_all_orientations(orientation):
    k, j, i = np.indices(GRID.shape_kji)
    ramp = Volume(GRID, 3.0 * i - 2.0 * j + 5.0 * k)
    matrix = np.array(GRID.ijk_to_ras)
    matrix[:3, 3] = GRID.ras_from_ijk([0.25, 0.5, 0.75])
    between = VolumeGrid((3, 4, 5), matrix)
    out, share = resample_linear(orientation.volume(ramp), between)
    k, j, i = np.indices(between.shape_kji)
    np.testing.assert_allclose(out.array_kji, 3 * (i + 0.25) - 2 * (j + 0.5) + 5 * (k + 0.75), atol=1e-4)
    assert share == 1


@pytest.mark.parametrize(("modality", "channel"), [("MR", "CT"), ("CT", "T1")])
def test_an_image_of_another_modality_than_its_channel_is_refused(modality, channel):
    image = Volume(GRID, an_anisotropic_volume().array_kji, modality)
    with pytest.raises(InputError, match=f"of modality {modality} and would be the channel '{channel}'"):
        channel_volumes(a_case("p1", image), a_plan(channels=(channel,)))


@pytest.mark.parametrize(("modality", "channel"), [("CT", "ct"), ("CT", "zscore"), ("MR", "T1"), (None, "CT")])
def test_an_image_of_its_channels_modality_or_of_none_is_taken(modality, channel):
    image = Volume(GRID, an_anisotropic_volume().array_kji, modality)
    assert channel_volumes(a_case("p1", image), a_plan(channels=(channel,)))[0][0] is image


def test_a_number_of_images_other_than_the_channels_is_refused():
    with pytest.raises(InputError, match="has 1 images, the plan has the channels T1, T2"):
        channel_volumes(a_case("p1"), a_plan(channels=("T1", "T2")))


# -- and back ------------------------------------------------------------------------------------------------------------------------


def test_predictions_come_back_as_the_segments_they_were_made_of():
    organ, tumor = a_segment("organ", GRID, (0, 0, 0), (1, 1, 2)), a_segment("tumor", GRID, (2, 0, 1), (3, 1, 3))
    prediction, _ = labels_of(organ, tumor)
    back = proposals_of(prediction, a_plan())
    assert [(one.name, one.value, one.codes) for one in back] == [("organ", 1, ()), ("tumor", 2, ("SCT:4147007",))]
    for one, source in zip(back, (organ, tumor), strict=True):
        assert (one.mask.array_kji == source.mask.array_kji).all()


def test_a_prediction_of_another_data_set_or_place_is_refused(tmp_path):
    from SAM2AnnotateLib.errors import VolumeError

    with pytest.raises(VolumeError, match="holds the value 9; the plan 'Test' has 1..2"):
        proposals_of(Volume(GRID, np.full(GRID.shape_kji, 9, np.uint8)), a_plan())
    write_volume(labels_of(a_segment("organ", GRID, (0, 0, 0), (1, 1, 2)))[0], tmp_path / "p.nii.gz")
    assert [one.name for one in read_proposals(tmp_path / "p.nii.gz", a_plan(), GRID)] == ["organ"]
    with pytest.raises(GridMismatchError, match="p.nii.gz"):
        read_proposals(tmp_path / "p.nii.gz", a_plan(), VolumeGrid(GRID.shape_kji, np.eye(4)))
