"""nnU-Net's own layout is taken as it is, by export and by a study."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from nnunet_cases import a_case, a_plan

pytest.importorskip("SimpleITK")

from SAM2AnnotateLib.cli.main import main
from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.nnunet import DataSet
from SAM2AnnotateLib.nnunet.cases.layout import paired_files
from SAM2AnnotateLib.volume_io import read_volume


@pytest.fixture
def foreign(tmp_path):
    """A data set as anybody's nnU-Net has it: no plan, no provenance."""
    raw = tmp_path / "theirs"
    raw.mkdir()
    made = DataSet.create(raw, a_plan())
    made.export([a_case(f"p{number}") for number in range(1, 5)])
    shutil.rmtree(made.folder / "provenance")
    (made.folder / "sam2annotate_plan.json").unlink()
    return made.folder


def test_export_takes_a_foreign_data_sets_folders(tmp_path, foreign, capsys):
    (tmp_path / "raw").mkdir()
    target = tmp_path / "raw" / "Dataset009_Ours"
    options = [
        "--images",
        str(foreign / "imagesTr"),
        "--labels",
        str(foreign / "labelsTr"),
        "--channel",
        "CT",
        "--label",
        "organ",
        "--label",
        "tumor",
    ]
    assert main(["nnunet", "export", str(target), *options]) == 0
    assert sorted(DataSet.open(target).cases()) == ["p1", "p2", "p3", "p4"]
    for case in ("p1", "p2"):
        theirs, ours = (read_volume(folder / "labelsTr" / f"{case}.nii.gz") for folder in (foreign, target))
        assert np.array_equal(theirs.array_kji, ours.array_kji)


def test_a_study_takes_them_too(tmp_path, foreign, capsys):
    pytest.importorskip("yaml")
    assert main(["study", "init", str(tmp_path / "s"), "--images", str(foreign / "imagesTr"), "--labels", str(foreign / "labelsTr")]) == 0
    assert "4 cases" in capsys.readouterr().err


def test_exporting_with_a_plan_into_a_foreign_data_set_says_what_is_wrong(foreign):
    with pytest.raises(InputError, match="was not written by SAM2Annotate.*with a plan or without.*another number.*--images"):
        DataSet.create(foreign.parent, a_plan())
    with pytest.raises(InputError, match="was not written by SAM2Annotate"):
        DataSet.open(foreign)


def test_an_empty_folder_of_the_right_name_is_a_new_data_set(tmp_path):
    (tmp_path / "Dataset007_Test").mkdir()
    DataSet.create(tmp_path, a_plan()).export([a_case("p1")])
    assert sorted(DataSet.open(tmp_path / "Dataset007_Test").cases()) == ["p1"]


def test_channels_and_partners_must_be_complete(tmp_path):
    for folder, names in (("images", ("a_0000.nii", "a_0001.nii", "b.nii")), ("labels", ("a.nii", "b.nii"))):
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / name).touch()
    images, labels = tmp_path / "images", tmp_path / "labels"
    assert [(one.case_id, [path.name for path in one.images]) for one in paired_files(images, labels)] == [
        ("a", ["a_0000.nii", "a_0001.nii"]), ("b", ["b.nii"]),
    ]  # fmt: skip
    (images / "a_0000.nii").unlink()
    with pytest.raises(InputError, match="The case 'a' .* lacks a channel: it has _0001"):
        paired_files(images, labels)
    (images / "c_0000.nii").touch()
    with pytest.raises(InputError, match="c_0000.nii: no file of the same name in '.*labels'"):
        paired_files(images, labels)
