"""`sam2annotate score` on files in a temporary folder, called in process: the parser and `run`, as `main` calls them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

from SAM2AnnotateLib.cli import score
from SAM2AnnotateLib.errors import GridMismatchError, InputError, OutputError, VolumeError
from SAM2AnnotateLib.geometry import Volume, VolumeGrid
from SAM2AnnotateLib.volume_io import write_volume

# Voxels (i, j, k) of 1 x 2 x 3 mm, left-posterior-superior, off the origin.
MATRIX = np.array([[-1.0, 0, 0, 10], [0, -2, 0, 20], [0, 0, 3, 30], [0, 0, 0, 1]])


def run(*arguments: str | Path) -> int:
    parser = argparse.ArgumentParser()
    score.add_parser(parser.add_subparsers())
    options = parser.parse_args(["score", *map(str, arguments)])
    return options.run(options)


def scored(capsys, *arguments: str | Path) -> dict:
    """The JSON that the command prints; fails on NaN or Infinity, which are not JSON."""
    assert run(*arguments, "--json") == 0

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(capsys.readouterr().out, parse_constant=refuse)


@pytest.fixture
def a_label_map(tmp_path):
    """Writes a file of 3 slices, 2 rows and 6 columns with the given labels at (k, j, i), and gives its path."""

    def write(name: str, labels: dict[tuple[int, int, int], float], dtype=np.uint8, matrix=MATRIX, shape=(3, 2, 6)) -> Path:
        array = np.zeros(shape, dtype=dtype)
        for index, label in labels.items():
            array[index] = label
        write_volume(Volume(VolumeGrid(shape, matrix), array), tmp_path / name)
        return tmp_path / name

    return write


@pytest.fixture
def organs(a_label_map) -> Path:
    """A truth with label 1 in two voxels, label 2 in one, label 7 in one."""
    return a_label_map("organs.nii.gz", {(0, 0, 0): 1, (0, 0, 1): 1, (1, 1, 3): 2, (2, 1, 5): 7})


# -- what counts ----------------------------------------------------------------------------------------------------------------


def test_without_a_label_every_nonzero_voxel_counts_in_both(a_label_map, organs, capsys):
    pred = a_label_map("pred.nii.gz", {(0, 0, 0): 5, (0, 0, 1): 9})
    result = scored(capsys, pred, organs)
    assert (result["volume"]["voxels_pred"], result["volume"]["voxels_truth"]) == (2, 4)
    assert result["volume"]["dsc"] == pytest.approx(2 * 2 / 6)
    assert result["label"] is None
    assert result["prediction_counted"] == result["truth_counted"] == "every nonzero voxel"


def test_a_label_is_compared_with_the_same_label(a_label_map, organs, capsys):
    pred = a_label_map("pred.nrrd", {(0, 0, 0): 1, (1, 1, 3): 2, (1, 1, 4): 2})
    result = scored(capsys, pred, organs, "--label", "2")
    assert (result["volume"]["voxels_pred"], result["volume"]["voxels_truth"]) == (2, 1)
    assert result["volume"]["dsc"] == pytest.approx(2 / 3)
    assert result["prediction_counted"] == result["truth_counted"] == "voxels of label 2"


def test_a_plain_mask_counts_as_the_label_asked_for_and_the_output_says_so(a_label_map, organs, capsys):
    mask = a_label_map("mask.nii.gz", {(1, 1, 3): 1})
    result = scored(capsys, mask, organs, "--label", "2")
    assert result["volume"]["dsc"] == 1
    assert result["prediction_counted"] == "voxels of value 1, as a mask of label 2 (the file holds 0 and 1 only)"


def test_a_boolean_mask_written_by_the_library_counts_too(a_label_map, organs, capsys):
    mask = a_label_map("mask.mha", {(2, 1, 5): True}, dtype=bool)
    assert scored(capsys, mask, organs, "--label", "7")["volume"]["dsc"] == 1


def test_label_maps_may_be_stored_as_floats(a_label_map, organs, capsys):
    pred = a_label_map("pred.nii.gz", {(1, 1, 3): 2.0, (0, 0, 0): 1.0}, dtype=np.float32)
    assert scored(capsys, pred, organs, "--label", "2")["volume"]["dsc"] == 1


def test_a_prediction_of_other_labels_has_missed_the_object(a_label_map, organs, capsys):
    pred = a_label_map("pred.nii.gz", {(0, 0, 0): 1, (1, 1, 3): 7})
    result = scored(capsys, pred, organs, "--label", "2")
    assert result["volume"] == {"dsc": 0, "jaccard": 0, "nsd": 0, "hd95_mm": None, "voxels_pred": 0, "voxels_truth": 1}
    assert result["prediction_counted"] == "no voxel, label 2 is not among its labels: 1, 7"


def test_an_empty_prediction_has_missed_the_object(a_label_map, organs, capsys):
    result = scored(capsys, a_label_map("pred.nii.gz", {}), organs, "--label", "2")
    assert (result["volume"]["dsc"], result["volume"]["hd95_mm"]) == (0, None)
    assert result["prediction_counted"] == "no voxel, the file is empty"


def test_two_empty_files_have_no_score(a_label_map, capsys):
    result = scored(capsys, a_label_map("pred.nii.gz", {}), a_label_map("truth.nii.gz", {}))
    assert result["volume"] == {"dsc": None, "jaccard": None, "nsd": None, "hd95_mm": None, "voxels_pred": 0, "voxels_truth": 0}


def test_a_prediction_with_one_other_label_is_refused_because_it_may_mean_two_things(a_label_map, organs):
    pred = a_label_map("pred.nii.gz", {(1, 1, 3): 255})
    with pytest.raises(InputError, match="holds the single label 255, neither 2 nor 1.*Store a mask with the value 1 or 2"):
        run(pred, organs, "--label", "2")


def test_a_label_that_the_truth_lacks_is_refused_with_those_it_has(organs):
    with pytest.raises(InputError, match="organs.nii.gz' has no voxel of label 3; its labels are: 1, 2, 7"):
        run(organs, organs, "--label", "3")


def test_an_empty_truth_lacks_every_label(a_label_map, organs):
    with pytest.raises(InputError, match="no voxel of label 1; its labels are: none, it is empty"):
        run(organs, a_label_map("truth.nii.gz", {}), "--label", "1")


def test_a_long_list_of_labels_is_cut(a_label_map, organs):
    many = a_label_map("many.nii.gz", {index: n for n, index in enumerate(np.ndindex(3, 2, 6))})
    with pytest.raises(InputError, match="labels are: 1, 2, .*, 20 and 15 more"):
        run(organs, many, "--label", "99")


def test_the_background_is_no_label(organs):
    with pytest.raises(InputError, match="Label 0 is the background"):
        run(organs, organs, "--label", "0")


@pytest.mark.parametrize("probability_is_pred", [True, False])
def test_a_probability_map_is_no_label_map(a_label_map, organs, probability_is_pred):
    probabilities = a_label_map("probabilities.nii.gz", {(0, 0, 0): 0.25, (0, 0, 1): 1.0}, dtype=np.float32)
    files = (probabilities, organs) if probability_is_pred else (organs, probabilities)
    with pytest.raises(InputError, match="probabilities.nii.gz' is no label map: it holds the value 0.25.*Threshold"):
        run(*files)


# -- grids and files ------------------------------------------------------------------------------------------------------------


def test_files_of_other_sizes_are_refused(a_label_map, organs):
    pred = a_label_map("pred.nii.gz", {}, shape=(3, 2, 5))
    with pytest.raises(GridMismatchError, match="The prediction '.*pred.nii.gz' and the truth '.*organs.nii.gz' must lie on one grid"):
        run(pred, organs)


def test_files_at_other_places_are_refused(a_label_map, organs):
    moved = MATRIX.copy()
    moved[0, 3] += 5
    with pytest.raises(GridMismatchError, match="differ in space.*5 mm apart"):
        run(a_label_map("pred.nii.gz", {(0, 0, 0): 1}, matrix=moved), organs)


def test_a_missing_file_is_named(organs, tmp_path):
    with pytest.raises(VolumeError, match="There is no file or folder '.*nowhere.nii.gz'"):
        run(tmp_path / "nowhere.nii.gz", organs)


def test_a_negative_tolerance_is_refused(organs):
    with pytest.raises(InputError, match="Expected a tolerance of at least 0 mm, got -1"):
        run(organs, organs, "--tolerance", "-1")


# -- output ---------------------------------------------------------------------------------------------------------------------


def test_the_table_shows_what_was_counted_and_the_volume(a_label_map, organs, capsys):
    # Two single voxels, 2 steps of 1 mm apart along i: half of each surface is 1 mm off, half 2 mm.
    pred = a_label_map("pred.nii.gz", {(1, 1, 1): 1})
    assert run(pred, organs, "--label", "2") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"prediction  {pred}: voxels of value 1, as a mask of label 2 (the file holds 0 and 1 only)"
    assert lines[1] == f"truth       {organs}: voxels of label 2"
    assert lines[2].split() == ["DSC", "Jaccard", "NSD@1mm", "HD95", "mm", "pred", "voxels", "truth", "voxels"]
    assert lines[3].split() == ["volume", "0.0000", "0.0000", "0.5000", "2.00", "1", "1"]
    assert len(lines) == 4
    assert len(lines[2]) == len(lines[3])


def test_the_tolerance_is_in_mm(a_label_map, organs, capsys):
    pred = a_label_map("pred.nii.gz", {(1, 1, 1): 1})
    assert scored(capsys, pred, organs, "--label", "2", "--tolerance", "0.9")["volume"]["nsd"] == 0
    assert scored(capsys, pred, organs, "--label", "2", "--tolerance", "2")["volume"]["nsd"] == 1


def test_slices_are_listed_on_request_with_misses_as_inf(a_label_map, organs, capsys):
    pred = a_label_map("pred.nii.gz", {(0, 0, 0): 1, (0, 0, 1): 1})
    assert run(pred, organs, "--per-slice") == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[3:]]
    assert [line[0] for line in lines] == ["volume", "k=0", "k=1", "k=2"]
    assert lines[1] == ["k=0", "1.0000", "1.0000", "1.0000", "0.00", "2", "2"]
    assert lines[2] == ["k=1", "0.0000", "0.0000", "0.0000", "inf", "0", "1"]


def test_slices_follow_the_axis_asked_for(organs, capsys):
    result = scored(capsys, organs, organs, "--per-slice", "--axis", "sagittal")
    assert result["slice_axis"] == "i"
    assert [entry["slice"] for entry in result["per_slice"]] == [0, 1, 3, 5]
    assert {entry["dsc"] for entry in result["per_slice"]} == {1.0}


def test_slices_are_left_out_of_the_json_unless_asked_for(organs, capsys):
    result = scored(capsys, organs, organs)
    assert "per_slice" not in result
    assert result["spacing_kji_mm"] == pytest.approx([3.0, 2.0, 1.0])
    assert result["tolerance_mm"] == 1.0


def test_the_output_file_holds_the_json_that_is_printed(a_label_map, organs, tmp_path, capsys):
    pred = a_label_map("pred.nii.gz", {})
    result = scored(capsys, pred, organs, "--per-slice", "--output", tmp_path / "scores.json")
    assert json.loads((tmp_path / "scores.json").read_text(encoding="utf-8")) == result
    assert result["per_slice"][0]["hd95_mm"] is None


def test_the_output_file_comes_with_a_table_too(organs, tmp_path, capsys):
    assert run(organs, organs, "--output", tmp_path / "scores.json") == 0
    assert "volume" in capsys.readouterr().out
    assert json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))["volume"]["dsc"] == 1


def test_an_output_that_is_no_json_file_is_refused_before_it_can_replace_a_volume(organs):
    before = organs.read_bytes()
    with pytest.raises(OutputError, match="expected a file name that ends in .json"):
        run(organs, organs, "--output", organs)
    assert organs.read_bytes() == before


def test_an_output_folder_that_is_missing_is_named(organs, tmp_path):
    with pytest.raises(OutputError, match="Cannot write '.*scores.json'"):
        run(organs, organs, "--output", tmp_path / "nowhere" / "scores.json")


def test_help_states_which_voxels_count_and_gives_examples(capsys):
    with pytest.raises(SystemExit) as exit_:
        run("--help")
    assert exit_.value.code == 0
    text = capsys.readouterr().out
    assert "every nonzero voxel, in both files" in text
    assert "sam2annotate score liver.nii.gz all_organs.nii.gz --label 5 --tolerance 2" in text
