"""``sam2annotate nnunet export`` and ``verify`` from files to a data set."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest
from nnunet_cases import a_plan
from patients import an_anisotropic_volume, names_in

from SAM2AnnotateLib.cli.nnunet import nnunet
from SAM2AnnotateLib.errors import InputError, SAM2AnnotateError, VolumeError
from SAM2AnnotateLib.geometry import Volume, VolumeGrid
from SAM2AnnotateLib.nnunet import DataSet, SplitRule
from SAM2AnnotateLib.nnunet.cases.plan import write_plan
from SAM2AnnotateLib.volume_io import read_volume, write_volume

pytest.importorskip("SimpleITK")


def run_command(*arguments: object) -> int:
    """As `sam2annotate nnunet ...`, with the library's errors let through."""
    parser = argparse.ArgumentParser()
    nnunet.add_parser(parser.add_subparsers(required=True))
    options = parser.parse_args(["nnunet", *map(str, arguments)])
    return options.run(options)


@pytest.fixture
def files(tmp_path) -> Path:
    """image.nii.gz, second.nii.gz on its grid, labels.nii.gz with 1 and 2, and an empty folder `raw`."""
    image = an_anisotropic_volume()
    labels = np.zeros(image.grid.shape_kji, np.uint8)
    labels[1, 1:4, 1:5], labels[2, 2, 2] = 1, 2
    write_volume(image, tmp_path / "image.nii.gz")
    write_volume(Volume(image.grid, image.array_kji // 2), tmp_path / "second.nii.gz")
    write_volume(Volume(image.grid, labels), tmp_path / "labels.nii.gz")
    (tmp_path / "raw").mkdir()
    return tmp_path


def one_case(files: Path, case_id: str, *more: object) -> tuple[object, ...]:
    return (
        "export", files / "raw" / "Dataset007_Test", "--case", case_id, "--image", files / "image.nii.gz",
        "--segmentation", files / "labels.nii.gz", "--name", "1=organ", "--name", "2=tumor left", *more,
    )  # fmt: skip


NEW = ("--channel", "CT", "--label", "organ", "--label", "tumor=tumor*;lesion")


def test_the_first_case_makes_the_data_set_and_the_next_follow_its_plan(files, capsys):
    assert run_command(*one_case(files, "p1", *NEW, "--folds", 2, "--annotator", "Dr. A")) == 0
    assert run_command(*one_case(files, "p2", "--patient", "P2")) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[:4] == [
        "p1: added (train, patient p1)",
        "  1 <- organ: 12 voxels",
        "  2 <- tumor left: 1 voxels",
        "1 training case (no folds yet: cross-validation needs two patients), 0 test cases",
    ]
    assert said[-1] == "2 training cases (2 folds), 0 test cases"
    data_set = DataSet.open(files / "raw" / "Dataset007_Test")
    assert data_set.plan.split.folds == 2
    assert data_set.provenance("p1")["annotator"] == "Dr. A"
    assert data_set.cases()["p2"].patient == "P2"
    assert (read_volume(data_set.folder / "labelsTr/p2.nii.gz").array_kji == read_volume(files / "labels.nii.gz").array_kji).all()


def test_what_is_left_out_is_said(files, capsys):
    run_command(*one_case(files, "p1", "--channel", "CT", "--label", "organ"))
    assert "  left out: tumor left: the plan has no label for it" in capsys.readouterr().out


def test_a_plan_can_be_given_as_a_file(files):
    write_plan(a_plan(channels=("T1", "T2")), files / "plan.json")
    run_command(*one_case(files, "p1", "--image", files / "second.nii.gz", "--plan", files / "plan.json"))
    assert names_in(files / "raw" / "Dataset007_Test" / "imagesTr") == ["p1_0000.nii.gz", "p1_0001.nii.gz"]


def test_a_table_brings_many_cases_at_once(files, capsys):
    lines = ["case,patient,images,segmentation,part", *(f"c{n},P{n // 2},image.nii.gz;second.nii.gz,labels.nii.gz," for n in range(6))]
    (files / "cases.csv").write_text("\n".join([*lines, "x,X,image.nii.gz;second.nii.gz,labels.nii.gz,test"]) + "\n")
    write_plan(a_plan(channels=("T1", "T2"), split=SplitRule(2, 0.4)), files / "plan.json")
    folder = files / "raw" / "Dataset007_Test"
    run_command("export", folder, "--cases", files / "cases.csv", "--plan", files / "plan.json", "--name", "1=organ", "--name", "2=tumor")
    assert capsys.readouterr().err.splitlines() == [f"writing {case_id}" for case_id in ("c0", "c1", "c2", "c3", "c4", "c5", "x")]
    records = DataSet.open(folder).cases()
    assert records["x"].part == "test"
    assert {len({record.part for record in records.values() if record.patient == patient}) for patient in ("P0", "P1", "P2")} == {1}
    assert len(records) == 7


def test_a_damaged_case_in_a_table_leaves_all_of_it_out(files):
    (files / "cases.csv").write_text("case,images,segmentation\na,image.nii.gz,labels.nii.gz\nb,image.nii.gz,missing.nii.gz\n")
    with pytest.raises(VolumeError, match="missing.nii.gz"):
        run_command("export", files / "raw" / "Dataset007_Test", "--cases", files / "cases.csv", *NEW)
    assert not (files / "raw" / "Dataset007_Test").exists()


def test_cases_are_replaced_and_removed_on_demand(files, capsys):
    run_command(*one_case(files, "p1", *NEW))
    run_command(*one_case(files, "p2"))
    with pytest.raises(InputError, match="There is a case 'p1'"):
        run_command(*one_case(files, "p1"))
    run_command(*one_case(files, "p1", "--replace"))
    assert "p1: replaced" in capsys.readouterr().out
    run_command("export", files / "raw" / "Dataset007_Test", "--remove", "p2")
    assert DataSet.open(files / "raw" / "Dataset007_Test").cases().keys() == {"p1"}


def test_a_data_set_with_the_ignore_label_turns_unreviewed_slices_into_it(files):
    run_command(*one_case(files, "p1", *NEW, "--ignore-label"))
    plan = DataSet.open(files / "raw" / "Dataset007_Test").plan
    assert (plan.ignore_value, plan.unreviewed) == (3, "ignore")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "Nothing to do"),
        (("--case", "p1"), "A case needs --case ID, --image IMAGE"),
        (("--cases", "x.csv", "--case", "p1"), "not both"),
        (("--cases", "x.csv"), "x.csv' cannot be read"),
        (("--remove", "p1"), "does not exist"),
        (("--case", "p1", "--image", "i.nii", "--segmentation", "s.nii", "--name", "organ"), "--name takes VALUE=NAME"),
        (("--case", "p1", "--image", "i.nii", "--segmentation", "s.nii", "--plan", "p.json", "--channel", "CT"), "not both"),
        (("--case", "p1", "--image", "i.nii", "--segmentation", "s.nii", "--channel", "CT"), "without a gap"),
        (("--case", "p1", "--image", "i.nii", "--segmentation", "s.nii", *NEW), "i.nii"),
        (("--case", "p1", "--image", "i.nii", "--image", "j.nii", "--segmentation", "s.nii", *NEW), "has 2 images"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_written(files, arguments, complaint):
    with pytest.raises(SAM2AnnotateError, match=complaint):
        run_command("export", files / "raw" / "Dataset007_Test", *arguments)
    assert names_in(files / "raw") in ([], [".Dataset007_Test.lock"])


def test_a_folder_that_nnunet_would_not_find_is_refused(files):
    with pytest.raises(InputError, match="DatasetNNN_Name"):
        run_command("export", files / "raw" / "Liver", *one_case(files, "p1", *NEW)[2:])
    write_plan(a_plan(), files / "plan.json")
    with pytest.raises(InputError, match="is of 'Dataset007_Test', the folder is called 'Dataset008_Test'"):
        run_command("export", files / "raw" / "Dataset008_Test", *one_case(files, "p1", "--plan", files / "plan.json")[2:])


def test_a_table_without_its_columns_is_refused(files):
    (files / "cases.csv").write_text("name,image\n")
    with pytest.raises(InputError, match="needs the columns case, images, segmentation"):
        run_command("export", files / "raw" / "Dataset007_Test", "--cases", files / "cases.csv", *NEW)


def test_verify_says_what_is_wrong_by_its_exit_code(files, capsys):
    run_command(*one_case(files, "p1", *NEW))
    folder = files / "raw" / "Dataset007_Test"
    assert run_command("verify", folder, "--without-nnunet") == 0
    assert "1 training and 0 test cases; our checks: no problems" in capsys.readouterr().out
    (folder / "labelsTr" / "p1.nii.gz").unlink()
    assert run_command("verify", folder, "--without-nnunet") == 1
    assert "problem: 'labelsTr/p1.nii.gz' is missing" in capsys.readouterr().out


def test_verify_runs_nnunets_own_check(files, capsys):
    pytest.importorskip("nnunetv2")
    run_command(*one_case(files, "p1", *NEW))
    assert run_command("verify", files / "raw" / "Dataset007_Test", "--verbose", "--processes", "1") == 0
    said = capsys.readouterr()
    assert "our checks and nnU-Net's: no problems" in said.out
    assert "verify_dataset_integrity Done" in said.err


def _labels_moved(files: Path, name: str, move: np.ndarray, spacing: float = 1.0) -> str:
    """A label map whose voxels are moved by a fraction of a voxel, or larger; returns its name."""
    labels = read_volume(files / "labels.nii.gz")
    matrix = np.array(labels.grid.ijk_to_ras)
    matrix[:3, :3] *= spacing
    matrix[:3, 3] += matrix[:3, :3] @ move
    write_volume(Volume(VolumeGrid(labels.grid.shape_kji, matrix), labels.array_kji), files / name)
    return name


def test_segments_on_another_grid_than_the_image_are_written_with_a_note_in_output_and_provenance(files, capsys):
    larger = _labels_moved(files, "larger.nii.gz", np.zeros(3), 1.2)
    between = _labels_moved(files, "between.nii.gz", np.array([0.3, 0, 0]))
    cut = read_volume(files / "labels.nii.gz")
    write_volume(Volume(VolumeGrid((3, *cut.grid.shape_kji[1:]), cut.grid.ijk_to_ras), cut.array_kji[:3]), files / "cut.nii.gz")
    for number, (name, reason) in enumerate(
        [(larger, "its voxels are"), (between, "its voxels lie between those of the image"), ("cut.nii.gz", "it has")], start=1
    ):
        more = NEW if number == 1 else ()
        assert run_command(*one_case(files, f"p{number}", *more, "--segmentation", files / name)) == 0
        said = capsys.readouterr().out
        assert "note: the segments' grid is not the image's" in said and reason in said and "make sure that both are of one scan" in said
        (note,) = DataSet.open(files / "raw" / "Dataset007_Test").provenance(f"p{number}")["notes"]
        assert note in said


def test_segments_on_the_image_s_own_voxels_bring_no_note_in_whatever_order_these_are_stored(files, capsys):
    labels = read_volume(files / "labels.nii.gz")
    matrix = np.array(labels.grid.ijk_to_ras)
    matrix[:3, 3] += matrix[:3, 0] * (labels.grid.shape_kji[2] - 1)
    matrix[:3, 0] *= -1
    write_volume(Volume(VolumeGrid(labels.grid.shape_kji, matrix), labels.array_kji[:, :, ::-1]), files / "flipped.nii.gz")
    for number, name in enumerate(("labels.nii.gz", "flipped.nii.gz"), start=1):
        assert run_command(*one_case(files, f"p{number}", *(NEW if number == 1 else ()), "--segmentation", files / name)) == 0
        assert "note" not in capsys.readouterr().out
    one, two = (read_volume(files / "raw/Dataset007_Test/labelsTr" / f"p{number}.nii.gz").array_kji for number in (1, 2))
    assert np.array_equal(one, two) and one.any()
