"""Data sets on disk: adding, replacing, removing, patients, folds, and what happens when a write fails."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from nnunet_cases import a_case, a_plan, a_review, a_segment, contents, label_at, reviewed
from patients import an_anisotropic_volume, names_in

from SAM2AnnotateLib.errors import InputError, OutputError
from SAM2AnnotateLib.file_locks import locked
from SAM2AnnotateLib.geometry import Volume
from SAM2AnnotateLib.nnunet import CaseImage, DataSet, ExportCase, LabelRule, Region, SourceSegment, SplitRule
from SAM2AnnotateLib.nnunet.cases.splits import make_folds, share_out
from SAM2AnnotateLib.nnunet.runs.verify import verify_files
from SAM2AnnotateLib.volume_io import read_volume

sitk = pytest.importorskip("SimpleITK")


@pytest.fixture
def data_set(tmp_path) -> DataSet:
    return DataSet.create(tmp_path, a_plan())


def json_of(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_case_lies_where_nnunet_looks_for_it(data_set):
    report = data_set.export([a_case("p1")])
    folder = data_set.folder
    assert folder.name == "Dataset007_Test"
    assert sorted(contents(folder)) == [
        "dataset.json", "imagesTr/p1_0000.nii.gz", "labelsTr/p1.nii.gz", "provenance/p1.json", "sam2annotate_plan.json",
    ]  # fmt: skip
    stated = json_of(folder / "dataset.json")
    assert stated["channel_names"] == {"0": "CT"}
    assert stated["labels"] == {"background": 0, "organ": 1, "tumor": 2}
    assert (stated["numTraining"], stated["file_ending"]) == (1, ".nii.gz")
    assert "overwrite_image_reader_writer" not in stated
    assert (report.training, report.test, report.folds) == (1, 0, 0)
    assert [(one.name, one.value) for one in report.written[0].segments] == [("Organ", 1), ("tumor 1", 2)]
    assert names_in(folder.parent) == [".Dataset007_Test.lock", "Dataset007_Test"]


def test_nothing_appears_before_the_first_case(tmp_path):
    DataSet.create(tmp_path, a_plan())
    assert names_in(tmp_path) == []


def require_one_geometry(data_set: DataSet, image: Volume) -> None:
    ending = data_set.plan.file_ending
    written, labels = (sitk.ReadImage(str(data_set.folder / name)) for name in (f"imagesTr/p1_0000{ending}", f"labelsTr/p1{ending}"))
    for what in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
        assert getattr(written, what)() == getattr(labels, what)()
    back = read_volume(data_set.folder / f"imagesTr/p1_0000{ending}")
    assert back.grid.is_close(image.grid)
    assert (back.array_kji == image.array_kji).all()


def test_image_and_labels_share_their_geometry_to_the_last_digit_in_all_orientations(data_set, a_patient, orientation):
    image = orientation.volume(a_patient)
    segments = tuple(SourceSegment(one.name, orientation.volume(one.mask)) for one in a_case("p1", a_patient).segments)
    data_set.export([a_case("p1", image, segments)])
    require_one_geometry(data_set, image)
    # The file as nnU-Net reads it, voxel by voxel at its place in space, against the segments as they were drawn.
    labels = read_volume(data_set.folder / "labelsTr/p1.nii.gz")
    organ, tumor = (one.mask for one in a_case("p1", a_patient).segments)
    for k, j, i in np.ndindex(*labels.grid.shape_kji):
        there = labels.grid.ras_from_ijk([i, j, k])
        assert labels.array_kji[k, j, i] == (2 if label_at(tumor, there) else label_at(organ, there))
    assert np.bincount(labels.array_kji.ravel()).tolist() == [120 - 36, 34, 2]


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
def test_other_file_endings_hold_the_geometry_too(tmp_path, ending):
    data_set = DataSet.create(tmp_path, a_plan(file_ending=ending))
    image = an_anisotropic_volume(oblique=True)
    data_set.export([a_case("p1", image)])
    require_one_geometry(data_set, image)


def test_regions_and_the_ignore_label_are_stated_as_nnunet_reads_them(tmp_path):
    plan = a_plan(regions=(Region("whole", (1, 2)), Region("core", (2,))), ignore=True)
    data_set = DataSet.create(tmp_path, plan)
    data_set.export([a_case("p1")])
    stated = json_of(data_set.folder / "dataset.json")
    assert stated["labels"] == {"background": 0, "whole": [1, 2], "core": 2, "ignore": 3}
    assert stated["regions_class_order"] == [1, 2]


def test_several_channels_are_numbered_in_the_plans_order(tmp_path):
    data_set = DataSet.create(tmp_path, a_plan(channels=("T1", "T2")))
    first = an_anisotropic_volume()
    second = Volume(first.grid, first.array_kji // 2)
    images = (CaseImage(first, "t1"), CaseImage(second, "t2"))
    data_set.export([ExportCase("p1", images, a_case("p1").segments)])
    assert (read_volume(data_set.folder / "imagesTr/p1_0001.nii.gz").array_kji == second.array_kji).all()
    assert json_of(data_set.folder / "dataset.json")["channel_names"] == {"0": "T1", "1": "T2"}


def test_provenance_says_who_and_how(data_set):
    image = an_anisotropic_volume()
    tumor = reviewed(a_segment("tumor", image.grid, (0, 1, 1), (2, 3, 3)), a_review(image.grid, (0, 1), {0: "accepted", 1: "corrected"}))
    half = reviewed(a_segment("tumor 2", image.grid, (0, 1, 1), (2, 3, 3)), a_review(image.grid, (0, 1), {0: "accepted"}))
    data_set.export([a_case("p1", image, (tumor, half), provenance={"annotator": "Dr. A"}, patient_id="P", segments_source="a.seg.nrrd")])
    kept = data_set.provenance("p1")
    assert (kept["case"], kept["patient"], kept["part"], kept["annotator"]) == ("p1", "P", "train", "Dr. A")
    assert kept["segments_source"] == "a.seg.nrrd"
    assert kept["images"] == [{"channel": "CT", "source": "p1.nii.gz"}]
    review = kept["segments"][0]["review"]
    assert (review["accepted"], review["corrected"], review["unreviewed"]) == (1, 1, 0)
    assert review["engine"] == {"name": "sam2.1_hiera_tiny", "sha256": "abc"}
    assert kept["left_out"] == [{"name": "tumor 2", "reason": "1 of 2 slices are neither accepted nor corrected"}]


def test_the_report_lists_what_was_left_out(data_set):
    image = an_anisotropic_volume()
    lines = data_set.export([a_case("p1", image, (a_segment("vessel", image.grid, (0, 0, 0), (1, 1, 1)),))]).lines()
    assert lines == [
        "p1: added (train, patient p1)",
        "  left out: vessel: the plan has no label for it",
        "  without a voxel: organ, tumor",
        "1 training case (no folds yet: cross-validation needs two patients), 0 test cases",
    ]


def test_a_preview_says_the_same_and_writes_nothing(data_set):
    summary, notes = data_set.preview(a_case("p1"))
    assert [one.name for one in summary.segments] == ["Organ", "tumor 1"]
    assert notes == ["2 voxels belong to several labels; the later label of the plan got them"]
    assert names_in(data_set.folder.parent) == []


# -- cases come, go and are replaced --------------------------------------------------------------------------------------------------


def test_a_case_that_is_there_is_refused_unless_it_is_to_be_replaced(data_set):
    data_set.export([a_case("p1"), a_case("p2")])
    before = contents(data_set.folder)
    with pytest.raises(InputError, match="There is a case 'p1' in .* already"):
        data_set.export([a_case("p3"), a_case("p1")])
    assert contents(data_set.folder) == before
    image = an_anisotropic_volume()
    report = data_set.export([a_case("p1", image, (a_segment("organ", image.grid, (0, 0, 0), (1, 1, 1)),))], replace_cases=True)
    assert report.written[0].replaced
    after = contents(data_set.folder)
    assert {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} == {
        "labelsTr/p1.nii.gz",
        "provenance/p1.json",
    }
    assert read_volume(data_set.folder / "labelsTr/p1.nii.gz").array_kji.sum() == 1


@pytest.mark.parametrize("second", ["p1", "P1"])
def test_a_case_given_twice_is_refused_in_any_case_of_letters(data_set, second):
    with pytest.raises(InputError, match="given twice"):
        data_set.export([a_case("p1"), a_case(second)])
    data_set.export([a_case("p1")])
    with pytest.raises(InputError, match="already"):
        data_set.export([a_case("P1")], replace_cases=True)


def test_removing_and_adding_leaves_all_other_cases_as_they_are(data_set):
    data_set.export([a_case(f"p{n}") for n in range(5)])
    before = contents(data_set.folder)
    report = data_set.remove(["p2"])
    after = contents(data_set.folder)
    assert {name for name in before if before[name] != after.get(name)} == {
        "dataset.json", "splits_final.json", "imagesTr/p2_0000.nii.gz", "labelsTr/p2.nii.gz", "provenance/p2.json",
    }  # fmt: skip
    assert json_of(data_set.folder / "dataset.json")["numTraining"] == report.training == 4
    assert verify_files(data_set).problems == ()
    data_set.export([a_case("p2")])
    assert contents(data_set.folder) == before
    with pytest.raises(InputError, match="There is no case 'x'.*It has p0, p1, p2, p3, p4"):
        data_set.remove(["x"])


def test_a_data_set_opens_again_with_its_plan(data_set):
    data_set.export([a_case("p1")])
    assert DataSet.open(data_set.folder).plan == data_set.plan
    assert DataSet.create(data_set.folder.parent, a_plan()).cases().keys() == {"p1"}


def test_another_plan_or_a_taken_number_is_refused(data_set):
    data_set.export([a_case("p1")])
    with pytest.raises(InputError, match="has another plan"):
        DataSet.create(data_set.folder.parent, a_plan(ignore=True))
    with pytest.raises(InputError, match="7 is taken by 'Dataset007_Test'"):
        DataSet.create(data_set.folder.parent, a_plan(name="Other"))


def test_what_is_no_data_set_of_ours_is_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        DataSet.open(tmp_path / "Dataset001_X")
    (tmp_path / "Dataset007_Test" / "imagesTr").mkdir(parents=True)
    with pytest.raises(InputError, match="was not written by SAM2Annotate"):
        DataSet.open(tmp_path / "Dataset007_Test")
    with pytest.raises(InputError, match="was not written by SAM2Annotate"):
        DataSet.create(tmp_path, a_plan())
    with pytest.raises(InputError, match="There is no folder"):
        DataSet.create(tmp_path / "missing", a_plan())


@pytest.mark.parametrize("case_id", ["", "a/b", "..", ".a", "a b", "a.", "ä", "x" * 121])
def test_an_id_that_cannot_name_files_everywhere_is_refused(case_id):
    with pytest.raises(InputError, match="cannot be a case's id"):
        a_case(case_id)


# -- patients -------------------------------------------------------------------------------------------------------------------------


def test_image_and_segments_of_different_patients_are_refused():
    image = CaseImage(an_anisotropic_volume(), "dicom", patient_id="A")
    with pytest.raises(InputError, match="the image 'dicom' is of 'A', the segments 'seg.dcm' of 'B'"):
        ExportCase("p1", (image,), (), segments_source="seg.dcm", segments_patient_id="B")
    with pytest.raises(InputError, match="the case of 'C'"):
        ExportCase("p1", (image,), (), patient_id="C")
    assert ExportCase("p1", (image,), (), segments_patient_id="A").patient == "A"
    assert a_case("p1").patient == "p1"


def test_sixty_patients_are_shared_out_sixty_to_forty_and_stay_where_they_are():
    patients = [f"P{n:02d}" for n in range(60)]
    parts = share_out(patients, {}, 0.4, 12345)
    assert sum(part == "test" for part in parts.values()) == 24
    assert share_out(reversed(patients), {}, 0.4, 12345) == parts
    assert share_out(patients, {}, 0.4, 1) != parts
    later = share_out([*patients, *(f"Q{n}" for n in range(10))], parts, 0.4, 12345)
    assert later.keys() == {f"Q{n}" for n in range(10)}
    assert sum(part == "test" for part in later.values()) == 4


@pytest.mark.parametrize(("count", "tests"), [(1, 0), (2, 0), (3, 1), (5, 2)])
def test_few_patients_are_shared_out_with_halves_for_training(count, tests):
    parts = share_out([str(n) for n in range(count)], {}, 0.4, 0)
    assert sum(part == "test" for part in parts.values()) == tests


def test_folds_never_part_a_patient_and_are_even():
    cases = {f"c{n}": f"P{n // 2}" for n in range(20)}
    folds = make_folds(cases, (), 5, 3)
    assert [len(fold["val"]) for fold in folds] == [4] * 5
    assert sorted(case for fold in folds for case in fold["val"]) == sorted(cases)
    for fold in folds:
        assert sorted(fold["train"] + fold["val"]) == sorted(cases)
        assert {cases[case] for case in fold["train"]}.isdisjoint({cases[case] for case in fold["val"]})
    assert make_folds(dict(reversed(cases.items())), (), 5, 3) == folds
    assert make_folds(cases, (), 5, 4) != folds


def test_newcomers_leave_the_folds_of_others_as_they_are():
    cases = {f"c{n}": f"P{n}" for n in range(10)}
    before = make_folds(cases, (), 5, 3)
    after = make_folds({**cases, "d": "Q"}, before, 5, 3)
    assert [sorted(set(fold["val"]) - {"d"}) for fold in after] == [fold["val"] for fold in before]


def test_folds_are_made_anew_when_their_number_changes_or_one_is_empty():
    cases = {f"c{n}": f"P{n}" for n in range(6)}
    before = make_folds(cases, (), 3, 3)
    fewer = {case: patient for case, patient in cases.items() if case not in before[0]["val"]}
    assert all(fold["val"] and fold["train"] for fold in make_folds(fewer, before, 3, 3))
    assert len(make_folds({"c0": "P0", "c1": "P1"}, before, 3, 3)) == 2
    assert make_folds({"c0": "P0", "c1": "P0"}, before, 3, 3) == []


def test_a_patients_cases_go_to_one_part(tmp_path):
    data_set = DataSet.create(tmp_path, a_plan(split=SplitRule(2, 0.4)))
    cases = [a_case(f"c{n}", patient_id=f"P{n // 2}") for n in range(10)]
    report = data_set.export(cases)
    assert (report.training, report.test) == (6, 4)
    assert sorted(names_in(data_set.folder / "labelsTr") + names_in(data_set.folder / "labelsTs")) == [f"c{n}.nii.gz" for n in range(10)]
    parts = {record.patient: record.part for record in data_set.cases().values()}
    added = data_set.export([a_case("more", patient_id=patient) for patient in ["P0"]]).written[0]
    assert added.part == parts["P0"]
    assert verify_files(data_set).problems == ()
    other = "train" if parts["P0"] == "test" else "test"
    with pytest.raises(InputError, match=f"cannot be a {other} case: its patient 'P0' has a {parts['P0']} case"):
        data_set.export([a_case("c0", patient_id="P0", part=other)], replace_cases=True)
    with pytest.raises(InputError, match="cannot be a test case: its patient 'N' has a train case"):
        data_set.export([a_case("n1", patient_id="N", part="train"), a_case("n2", patient_id="N", part="test")])


def test_a_case_moves_to_the_other_part_when_it_is_replaced(data_set):
    data_set.export([a_case("p1", part="test"), a_case("p2")])
    assert names_in(data_set.folder / "imagesTs") == ["p1_0000.nii.gz"]
    data_set.export([a_case("p1", part="train")], replace_cases=True)
    assert names_in(data_set.folder / "imagesTs") == names_in(data_set.folder / "labelsTs") == []
    assert names_in(data_set.folder / "imagesTr") == ["p1_0000.nii.gz", "p2_0000.nii.gz"]
    assert verify_files(data_set).problems == ()


def test_an_unknown_part_is_refused():
    with pytest.raises(InputError, match="Unknown part 'val'"):
        a_case("p1", part="val")


# -- what goes wrong ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nth", range(1, 9))
def test_a_full_disk_leaves_the_data_set_as_it_was(data_set, monkeypatch, nth):
    data_set.export([a_case("p1"), a_case("p2")])
    before = contents(data_set.folder)
    writes = []

    def full(path, *arguments, **more):
        writes.append(path)
        if len(writes) == nth:
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(path, *arguments, **more)

    # Both writers of whole files end with a rename within the staging folder; before it the disk may fill up.
    original = Path.replace
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputError, match="No space left on device"):
        data_set.export([a_case("p3"), a_case("p1")], replace_cases=True)
    monkeypatch.undo()
    assert contents(data_set.folder) == before
    assert names_in(data_set.folder.parent) == [".Dataset007_Test.lock", "Dataset007_Test"]
    assert verify_files(DataSet.open(data_set.folder)).problems == ()


def test_a_change_that_cannot_be_carried_out_goes_on_when_the_data_set_is_opened(data_set, monkeypatch):
    data_set.export([a_case("p1")])
    original = Path.replace

    def refused(path, target):
        if ".staging" in str(path) and ".staging" not in str(target):
            raise PermissionError(errno.EACCES, "Permission denied")
        return original(path, target)

    monkeypatch.setattr(Path, "replace", refused)
    with pytest.raises(OutputError, match="decided but could not be carried out .* open the data set again"):
        data_set.export([a_case("p2")])
    monkeypatch.undo()
    assert DataSet.open(data_set.folder).cases().keys() == {"p1", "p2"}
    assert verify_files(data_set).problems == ()
    assert names_in(data_set.folder.parent) == [".Dataset007_Test.lock", "Dataset007_Test"]


def test_two_writers_do_not_meet(data_set):
    data_set.export([a_case("p1")])
    with locked(data_set.folder.with_name(".Dataset007_Test.lock")), pytest.raises(InputError, match="Another program writes"):
        data_set.export([a_case("p2")])
    data_set.export([a_case("p2")])


def test_a_case_that_fails_in_the_middle_takes_those_before_it_along(data_set):
    def cases():
        yield a_case("p1")
        raise InputError("the second image is damaged")

    with pytest.raises(InputError, match="damaged"):
        data_set.export(cases())
    assert not data_set.folder.exists()


def test_our_checks_notice_what_was_changed_by_hand(data_set):
    data_set.export([a_case("p1"), a_case("p2")])
    folder = data_set.folder
    shutil.copy(folder / "labelsTr/p1.nii.gz", folder / "labelsTr/stray.nii.gz")
    (folder / "imagesTr/p2_0000.nii.gz").unlink()
    stated = json_of(folder / "dataset.json")
    (folder / "dataset.json").write_text(json.dumps({**stated, "numTraining": 3}))
    (folder / "splits_final.json").write_text(json.dumps([{"train": ["p1", "p2"], "val": ["p2"]}]))
    moved = sitk.ReadImage(str(folder / "labelsTr/p1.nii.gz"))
    moved.SetOrigin((0.0, 0.0, 0.0))
    sitk.WriteImage(moved + 1, str(folder / "labelsTr/p1.nii.gz"))
    problems = verify_files(data_set).problems
    assert "'labelsTr/stray.nii.gz' belongs to no case" in problems
    assert "'imagesTr/p2_0000.nii.gz' is missing" in problems
    assert "'dataset.json' says 3 for 'numTraining', it should be 2" in problems
    assert "p1: 'imagesTr/p1_0000.nii.gz' and its labels differ in origin" in problems
    assert "p1: the labels hold [3], which the plan does not know" in problems
    assert "fold 0 does not hold each training case once" in problems
    assert "fold 0 has cases of patient 'p2' in training and in validation" in problems


def test_damaged_files_are_named(data_set):
    data_set.export([a_case("p1"), a_case("p2")])
    (data_set.folder / "splits_final.json").write_text("{")
    with pytest.raises(InputError, match="splits_final.json' is damaged"):
        data_set.splits()
    (data_set.folder / "provenance/p1.json").write_text("{}")
    with pytest.raises(InputError, match="p1.json' is damaged.*Export the case 'p1' again"):
        data_set.cases()


@pytest.mark.parametrize("patient", ["\ud800", "M\udcfcller", "a\nb", "a\0"])
def test_a_patients_id_that_cannot_be_written_is_refused_before_anything_is(data_set, patient):
    with pytest.raises(InputError, match="cannot be a patient's id"):
        a_case("p1", patient_id=patient)
    with pytest.raises(InputError, match="cannot be written as JSON in UTF-8"):
        a_case("p1", provenance={"annotator": "M\udcfcller"})


def test_reserved_words_are_no_names_of_data_sets_or_labels():
    with pytest.raises(InputError, match="none that Windows keeps"):
        a_plan(name="CON")
    for name in ("ignore ", " Background", " "):
        with pytest.raises(InputError, match="nnU-Net has another use for it"):
            a_plan(labels=(LabelRule(1, name),))
