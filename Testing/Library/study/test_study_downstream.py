"""The nnU-Nets of a study, with a stand-in for nnU-Net: whose labels they are given, what is done once, what goes on after a kill."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace

import nnunet_stand_in
import numpy as np
import pytest
from patients import names_in

from SAM2AnnotateLib.errors import GridMismatchError, InputError, WorkerError
from SAM2AnnotateLib.geometry import Volume, VolumeGrid
from SAM2AnnotateLib.nnunet.cases.splits import make_folds
from SAM2AnnotateLib.nnunet.runs.process import NnunetRunner
from SAM2AnnotateLib.nnunet.scores.evaluation_tables import read_scores_csv
from SAM2AnnotateLib.study.records.calibration import Calibration, Thresholds
from SAM2AnnotateLib.study.records.calibration_curve import CurvePoint
from SAM2AnnotateLib.study.records.folder import Study
from SAM2AnnotateLib.study.work import downstream_data
from SAM2AnnotateLib.study.work.downstream import evaluate_models, run_model
from SAM2AnnotateLib.study.work.downstream_data import write_data_set
from SAM2AnnotateLib.volume_io import read_volume, write_volume

SHAPE_KJI = (4, 6, 8)
GRID = VolumeGrid(SHAPE_KJI, np.array([[-0.5, 0, 0, 10], [0, -2, 0, 20], [0, 0, 3, 30], [0, 0, 0, 1]]))
PATIENTS = {"a1": "anna", "a2": "anna", "b": "bert", "c": "cleo", "e": "emil", "f": "fred"}
TRAINING, TEST = ("a1", "a2", "b", "c"), ("e", "f")
TUMOR, VESSEL, BED = 2, 5, 1  # the bed is labeled, and not studied

YAML = """
name: mini-study
data:
  table: cases.csv
  values: {5: vessel, 2: tumor}
  split_seed: 3
calibration:
  dsc: [0.5, 0.9]
  nsd: [0.5, 0.9]
  targets: {low: 0.2}
downstream: {channel: CT, folds: [0], epochs: 2, device: cpu, processes: 1, checkpoint_every: 1}
"""


def truth_kji() -> np.ndarray:
    """A tumor of 2 x 2 x 2 voxels, a vessel of four, and a row of the bed."""
    labels = np.zeros(SHAPE_KJI, np.uint8)
    labels[1:3, 2:4, 2:4], labels[:, 1, 6], labels[:, 5, :] = TUMOR, VESSEL, BED
    return labels


def scenario_kji() -> np.ndarray:
    """As a simulated annotator left it: the tumor one column to the right, no bed."""
    labels = np.zeros(SHAPE_KJI, np.uint8)
    labels[1:3, 2:4, 3:5], labels[:, 1, 6] = TUMOR, VESSEL
    return labels


def write_cases(folder, parts=None):
    """Images, in which the tumor is bright (of `f` its first slice only), truths, and the table."""
    rows = ["case,image,label,patient,part"]
    for case, patient in PATIENTS.items():
        bright = truth_kji() == TUMOR
        bright[2] &= case != "f"
        if not (folder / f"{case}.nii.gz").exists():
            write_volume(Volume(GRID, np.where(bright, 300, 0).astype(np.int16)), folder / f"{case}.nii.gz")
            write_volume(Volume(GRID, truth_kji()), folder / f"{case}_truth.nii.gz")
        part = (parts or {}).get(case, "train" if case in TRAINING else "test")
        rows.append(f"{case},{case}.nii.gz,{case}_truth.nii.gz,{patient},{part}")
    (folder / "cases.csv").write_text("\n".join(rows) + "\n")


@pytest.fixture
def folder(tmp_path):
    """The folder of a calibrated study of four training and two test cases; no scenario is simulated yet."""
    path = tmp_path / "study"
    path.mkdir()
    write_cases(path)
    curve = (CurvePoint(0.5, 0.1), CurvePoint(0.9, 0.9))
    Study.create(path, YAML).write_calibration(Calibration(8, curve, curve, thresholds={"low": Thresholds(0.2, 0.55, 0.55)}))
    return path


@pytest.fixture
def runner(tmp_path):
    return NnunetRunner(environment=nnunet_stand_in.install(tmp_path / "stand_in"))


def opened(folder, yaml_text=None):
    """The study anew, as a later run sees it."""
    if yaml_text is not None:
        (folder / "study.yaml").write_text(yaml_text)
    return Study.open(folder)


def simulate(study, scenario, cases=TRAINING, labels_kji=None):
    """Finish the scenario's unit of each case."""
    for case in cases:
        path = study.unit_file(f"scenarios/{scenario}", case).with_name(f"{case}.nii.gz")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_volume(Volume(GRID, scenario_kji() if labels_kji is None else labels_kji), path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        study.write(f"scenarios/{scenario}", case, {"objects": [], "labels": {"file": path.name, "sha256": digest}}, 1.0)


def run(study, name, runner, **options):
    """Do the unit of a model as a run of the study does."""
    result = run_model(study, name, runner=runner, **options)
    study.write(f"models/{name}", "", result, 1.0)
    return result


def with_trouble(runner, **variables):
    return replace(runner, environment={**runner.environment, **variables})


def labels_of(data_set, name):
    return read_volume(data_set / name).array_kji


def renumbered(labels_kji):
    """The studied values, numbered from 1."""
    return np.where(labels_kji == TUMOR, 1, np.where(labels_kji == VESSEL, 2, 0))


def splits(data_set):
    return json.loads((data_set / "splits_final.json").read_text())


def stamps(data_set):
    return {path.relative_to(data_set).as_posix(): path.stat().st_mtime_ns for path in data_set.rglob("*") if path.is_file()}


def fold_file(study, result, name):
    return (study.folder / result["model"] / "fold_0" / name).read_text()


# -- data sets


def test_every_model_has_a_data_set_of_its_own_with_the_same_cases_and_folds(folder):
    study = opened(folder)
    simulate(study, "none")
    simulate(study, "low")
    written = [write_data_set(study, name).folder for name in ("reference", "none", "low")]
    raw = folder / "downstream" / "nnUNet_raw"
    assert [path.relative_to(raw).as_posix() for path in written] == [
        "Dataset501_MiniStudyReference", "Dataset502_MiniStudyNone", "Dataset503_MiniStudyLow",
    ]  # fmt: skip
    for data_set in written:
        assert names_in(data_set / "imagesTr") == [f"{case}_0000.nii.gz" for case in TRAINING]
        assert names_in(data_set / "labelsTr") == [f"{case}.nii.gz" for case in TRAINING]
        assert names_in(data_set / "imagesTs") == [f"{case}_0000.nii.gz" for case in TEST]
        description = json.loads((data_set / "dataset.json").read_text())
        assert description["labels"] == {"background": 0, "tumor": 1, "vessel": 2}
        assert description["channel_names"] == {"0": "CT"}
    assert splits(written[0]) == splits(written[1]) == splits(written[2])
    # Three patients make three folds, and both cases of anna lie in one.
    assert sorted(fold["val"] for fold in splits(written[0])) == [["a1", "a2"], ["b"], ["c"]]


def test_a_scenario_is_trained_on_its_labels_and_every_model_tested_on_the_truth(folder):
    study = opened(folder)
    simulate(study, "low")
    reference, low = (write_data_set(study, name).folder for name in ("reference", "low"))
    for case in TRAINING:
        np.testing.assert_array_equal(labels_of(reference, f"labelsTr/{case}.nii.gz"), renumbered(truth_kji()))
        np.testing.assert_array_equal(labels_of(low, f"labelsTr/{case}.nii.gz"), renumbered(scenario_kji()))
    for case in TEST:
        for data_set in (reference, low):
            np.testing.assert_array_equal(labels_of(data_set, f"labelsTs/{case}.nii.gz"), renumbered(truth_kji()))
            np.testing.assert_array_equal(
                read_volume(data_set / f"imagesTs/{case}_0000.nii.gz").array_kji, read_volume(folder / f"{case}.nii.gz").array_kji
            )


def test_patients_and_the_origin_of_labels_are_kept(folder):
    study = opened(folder)
    simulate(study, "low")
    low = write_data_set(study, "low").folder
    kept = json.loads((low / "provenance" / "a2.json").read_text())
    digest = hashlib.sha256((folder / "units" / "scenarios" / "low" / "a2.nii.gz").read_bytes()).hexdigest()
    assert (kept["patient"], kept["part"], kept["study"]["labels"], kept["study"]["labels_sha256"]) == (
        "anna", "train", "scenarios/low", digest,
    )  # fmt: skip
    assert json.loads((low / "provenance" / "e.json").read_text())["study"]["labels"] == "truth"


def test_a_value_that_a_case_does_not_study_is_left_out_of_it(folder):
    table = (folder / "cases.csv").read_text().splitlines()
    (folder / "cases.csv").write_text("\n".join(f"{row},{'values' if n == 0 else 2 if n == 1 else ''}" for n, row in enumerate(table)))
    reference = write_data_set(opened(folder), "reference").folder
    np.testing.assert_array_equal(labels_of(reference, "labelsTr/a1.nii.gz"), truth_kji() == TUMOR)
    np.testing.assert_array_equal(labels_of(reference, "labelsTr/a2.nii.gz"), renumbered(truth_kji()))


def test_a_value_without_a_common_name_is_refused(folder):
    table = (folder / "cases.csv").read_text().splitlines()
    rows = [f"{row},{'values' if n == 0 else '2;1=bed' if n == 3 else ''}" for n, row in enumerate(table)]
    (folder / "cases.csv").write_text("\n".join(rows))
    with pytest.raises(InputError, match="The label value 1 of case 'b' is to be learned, but data.values does not name it"):
        write_data_set(opened(folder), "reference")


def test_a_scenario_that_is_not_finished_names_the_cases_that_lack(folder):
    study = opened(folder)
    simulate(study, "low", ("a1", "c"))
    with pytest.raises(InputError, match="labels of the scenario 'low' are not there for a2, b of 4 training cases. Run the study's stage"):
        run_model(study, "low")
    assert not (folder / "downstream").exists()


def test_a_label_map_that_was_changed_behind_the_units_back_is_refused(folder):
    study = opened(folder)
    simulate(study, "low")
    path = folder / "units" / "scenarios" / "low" / "b.nii.gz"
    write_volume(Volume(GRID, truth_kji()), path)
    with pytest.raises(InputError, match=r"b.nii.gz' is not the one that was written with the result: expected SHA-256 .* Remove 'b.json'"):
        write_data_set(study, "low")
    assert not (folder / "downstream" / "nnUNet_raw").exists()


def test_a_model_that_the_study_does_not_have_is_refused(folder):
    with pytest.raises(InputError, match="has no model 'high'. It has reference, none, low"):
        run_model(opened(folder), "high")


def test_a_study_without_downstream_has_no_model(folder):
    with pytest.raises(InputError, match="configuration has no section 'downstream'"):
        run_model(opened(folder, YAML.partition("downstream:")[0]), "reference")


def test_a_label_map_that_lies_beside_its_image_is_refused(folder):
    far = np.array(GRID.ijk_to_ras)
    far[0, 3] += 500
    write_volume(Volume(VolumeGrid(SHAPE_KJI, far), truth_kji()), folder / "e_truth.nii.gz")
    with pytest.raises(GridMismatchError, match="Case 'e': no voxel of the segment '2' lies in the image"):
        write_data_set(opened(folder), "reference")


def test_a_complete_data_set_is_not_written_again(folder):
    first = write_data_set(opened(folder), "reference")
    before = stamps(first.folder)
    told: list[str] = []
    assert write_data_set(opened(folder), "reference", told.append) == first
    assert stamps(first.folder) == before
    assert told == []


def test_a_data_set_interrupted_half_way_is_completed_with_the_same_folds(folder, monkeypatch):
    monkeypatch.setattr(downstream_data, "_CASES_AT_ONCE", 1)
    more = {"d": "dora", "g": "gina", "h": "hugo", "i": "ines"}  # more patients than folds
    with open(folder / "cases.csv", "a") as table:
        table.writelines(f"{case},b.nii.gz,b_truth.nii.gz,{patient},train\n" for case, patient in more.items())

    class Killed(BaseException):
        pass

    def killed_at_c(line):
        if line.endswith("writing c"):
            raise Killed

    with pytest.raises(Killed):
        write_data_set(opened(folder), "reference", killed_at_c)
    data_set = folder / "downstream" / "nnUNet_raw" / "Dataset501_MiniStudyReference"
    before = stamps(data_set / "labelsTr")
    told: list[str] = []
    assert sorted(before) == ["a1.nii.gz", "a2.nii.gz", "b.nii.gz"]
    write_data_set(opened(folder), "reference", told.append)
    assert told == [f"Dataset501_MiniStudyReference: writing {case}" for case in ("c", "d", "e", "f", "g", "h", "i")]
    assert {name: stamp for name, stamp in stamps(data_set / "labelsTr").items() if name in before} == before
    # One after the other the cases would have come into other folds than those shared out at once.
    assert splits(data_set) == make_folds({**{case: PATIENTS[case] for case in TRAINING}, **more}, (), 5, 3)


def test_only_a_case_whose_labels_have_changed_is_written_again(folder):
    study = opened(folder)
    simulate(study, "low")
    first = write_data_set(study, "low")
    before, folds = stamps(first.folder), splits(first.folder)
    told: list[str] = []
    simulate(study, "low", ("b",), labels_kji=truth_kji())
    second = write_data_set(opened(folder), "low", told.append)
    assert told == ["Dataset503_MiniStudyLow: 1 cases have changed", "Dataset503_MiniStudyLow: writing b"]
    np.testing.assert_array_equal(labels_of(second.folder, "labelsTr/b.nii.gz"), renumbered(truth_kji()))
    after = stamps(second.folder)
    assert {name for name in before if name.startswith(("labels", "images")) and after[name] != before[name]} == {
        "labelsTr/b.nii.gz", "imagesTr/b_0000.nii.gz",
    }  # fmt: skip
    assert splits(second.folder) == folds
    assert second.training_inputs != first.training_inputs


def test_a_case_that_moves_to_the_test_part_is_moved_in_the_data_set(folder):
    write_data_set(opened(folder), "reference")
    write_cases(folder, {"c": "test"})
    data_set = write_data_set(opened(folder), "reference")
    assert (data_set.training_cases, data_set.test_cases) == (("a1", "a2", "b"), ("c", "e", "f"))
    assert names_in(data_set.folder / "labelsTr") == ["a1.nii.gz", "a2.nii.gz", "b.nii.gz"]
    assert names_in(data_set.folder / "labelsTs") == ["c.nii.gz", "e.nii.gz", "f.nii.gz"]
    assert splits(data_set.folder) == make_folds({case: PATIENTS[case] for case in ("a1", "a2", "b")}, (), 5, 3)


def test_a_data_set_of_other_labels_is_made_anew(folder):
    write_data_set(opened(folder), "reference")
    told: list[str] = []
    data_set = write_data_set(opened(folder, YAML.replace("{5: vessel, 2: tumor}", "{5: vessel}")), "reference", told.append).folder
    assert told[0] == "Dataset501_MiniStudyReference: labels, channel or folds are others now; made anew"
    np.testing.assert_array_equal(labels_of(data_set, "labelsTr/b.nii.gz"), truth_kji() == VESSEL)


def test_what_is_left_of_an_interrupted_removal_does_not_stop_a_data_set(folder):
    data_set = write_data_set(opened(folder), "reference").folder
    (data_set / "sam2annotate_plan.json").unlink()
    (data_set / "labelsTr" / "b.nii.gz").unlink()
    write_data_set(opened(folder), "reference")
    assert names_in(data_set / "labelsTr") == [f"{case}.nii.gz" for case in TRAINING]


@pytest.mark.parametrize("place", ["nnUNet_raw", "nnUNet_results"])
def test_a_number_taken_by_an_earlier_configuration_is_told(folder, place):
    (folder / "downstream" / place / "Dataset501_OldReference").mkdir(parents=True)
    with pytest.raises(InputError, match=f"the number 501 of 'Dataset501_MiniStudyReference' is taken by {place}/Dataset501_OldReference"):
        write_data_set(opened(folder), "reference")


# -- models


def test_a_model_is_trained_and_predicts_the_test_cases(folder, runner):
    study = opened(folder)
    told: list[str] = []
    result = run(study, "reference", runner, tell=told.append)
    model = "downstream/nnUNet_results/Dataset501_MiniStudyReference/SAM2AnnotateTrainer__nnUNetPlans__3d_fullres"
    assert result["model"] == model
    assert result["predictions"] == "downstream/predictions/reference"
    assert result["data_set"] == "downstream/nnUNet_raw/Dataset501_MiniStudyReference"
    assert (result["cases_train"], result["cases_test"]) == (4, 2)
    assert (result["options"]["epochs"], result["options"]["folds"], result["options"]["device"]) == (2, [0], "cpu")
    assert result["train_seconds"] > 0
    assert result["predict_seconds"] > 0
    assert fold_file(study, result, "epochs_done").split() == ["0", "1"]
    assert names_in(folder / "downstream" / "predictions" / "reference") == ["e.nii.gz", "f.nii.gz"]
    assert "reference: Preprocessing" in told
    assert told[-1] == "reference: predicting 2 test cases"
    assert study.result("models/reference", "") == result


def test_another_device_than_the_configured_one_can_be_taken(folder, runner):
    result = run_model(opened(folder), "reference", device="mps", runner=runner)
    assert result["options"]["device"] == "mps"


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_training_that_was_killed_goes_on_and_its_seconds_add_up(folder, runner):
    study = opened(folder)
    with pytest.raises(WorkerError, match="killed"):
        run_model(study, "reference", runner=with_trouble(runner, STAND_IN_FAILS="epoch 1"))
    record = folder / "downstream" / "nnUNet_results" / "Dataset501_MiniStudyReference" / "sam2annotate_study.json"
    content = json.loads(record.read_text())
    record.write_text(json.dumps({**content, "train_seconds": 1000.0}))
    result = run_model(opened(folder), "reference", runner=runner)
    assert fold_file(study, result, "epochs_done").split() == ["0", "1"]
    assert fold_file(study, result, "calls").splitlines() == ["", "--c"]
    assert 1000 < result["train_seconds"] < 1100


def test_a_model_whose_prediction_failed_is_not_trained_again(folder, runner):
    study = opened(folder)
    with pytest.raises(GridMismatchError, match="The prediction of case 'e'"):
        run_model(study, "reference", runner=with_trouble(runner, STAND_IN_FAILS="grid"))
    result = run_model(opened(folder), "reference", runner=runner)
    assert fold_file(study, result, "calls").splitlines() == [""]
    assert names_in(folder / "downstream" / "predictions" / "reference") == ["e.nii.gz", "f.nii.gz"]


def test_a_model_whose_labels_have_changed_is_trained_anew(folder, runner):
    study = opened(folder)
    simulate(study, "low")
    run(study, "low", runner)
    simulate(study, "low", ("b",), labels_kji=truth_kji())
    told: list[str] = []
    later = opened(folder)
    result = run_model(later, "low", runner=runner, tell=told.append)
    assert "Dataset503_MiniStudyLow: data or options have changed since the model was begun; it is trained anew" in told
    assert fold_file(later, result, "calls").splitlines() == [""]
    assert fold_file(later, result, "epochs_done").split() == ["0", "1"]


def test_a_model_of_other_options_is_trained_anew(folder, runner):
    run(opened(folder), "reference", runner)
    later = opened(folder, YAML.replace("epochs: 2", "epochs: 3"))
    assert later.result("models/reference", "") is None
    result = run(later, "reference", runner)
    assert fold_file(later, result, "epochs_done").split() == ["0", "1", "2"]


def test_a_changed_truth_of_a_test_case_is_tested_on_without_another_training(folder, runner):
    run(opened(folder), "reference", runner)
    write_volume(Volume(GRID, scenario_kji()), folder / "e_truth.nii.gz")
    predictions = folder / "downstream" / "predictions" / "reference"
    (predictions / "gone.nii.gz").touch()  # of a case that was there before
    later = opened(folder)
    assert later.result("models/reference", "") is None
    result = run(later, "reference", runner)
    assert fold_file(later, result, "calls").splitlines() == [""]
    assert names_in(predictions) == ["e.nii.gz", "f.nii.gz"]
    np.testing.assert_array_equal(labels_of(folder / result["data_set"], "labelsTs/e.nii.gz"), renumbered(scenario_kji()))


def cropping(masks_folder):
    return YAML.replace("checkpoint_every: 1", f"checkpoint_every: 1, crop_to: {masks_folder}, margin_mm: 3, window: [0, 200]")


def write_masks(folder, cases):
    folder.mkdir(exist_ok=True)
    for case in cases:
        write_volume(Volume(GRID, (truth_kji() == TUMOR).astype(np.uint8)), folder / f"{case}.nii.gz")


def test_images_are_cropped_to_organ_masks_that_lie_relative_to_the_configuration(folder, runner):
    write_masks(folder / "masks", PATIENTS)
    run_model(opened(folder, cropping("masks")), "reference", runner=runner)
    prepared = folder / "downstream" / "nnUNet_preprocessed" / "sam2annotate_prepared" / "Dataset501_MiniStudyReference"
    # The tumor is k 1..2, j 2..3, i 2..3; 3 mm are a slice, two rows (2 mm, rounded up), six columns (0.5 mm), as far as there are any.
    np.testing.assert_array_equal(labels_of(prepared, "labelsTr/b.nii.gz"), renumbered(truth_kji())[:, 0:6, :])
    image = read_volume(prepared / "imagesTr" / "b_0000.nii.gz").array_kji
    assert image.max() == 200


def test_a_missing_organ_mask_of_a_test_case_is_told_before_anything_is_trained(folder, runner):
    write_masks(folder / "masks", (*TRAINING, "f"))
    with pytest.raises(InputError, match="downstream.crop_to: .*masks' has no organ mask of e. Training and test cases need one each"):
        run_model(opened(folder, cropping("masks")), "reference", runner=runner)
    assert not (folder / "downstream").exists()


# -- scores


def test_finished_models_are_scored_on_the_truth_in_their_order(folder, runner):
    study = opened(folder)
    simulate(study, "low")
    run(study, "low", runner)
    run(study, "reference", runner)
    path = evaluate_models(study)
    assert path == folder / "downstream" / "scores.csv"
    reference, low = read_scores_csv(path)
    assert (reference.model, low.model) == ("reference", "low")
    assert reference.scores == low.scores  # the stand-in does not learn
    assert reference.cases == ["e", "f"]
    # The stand-in finds what is bright: the whole tumor of e, one of the two slices of f, no vessel.
    np.testing.assert_allclose(reference.values("dsc", "tumor"), [1, 2 * 4 / (4 + 8)], rtol=1e-5)
    np.testing.assert_allclose(reference.values("dsc", "vessel"), [0, 0])
    assert reference.tolerance_mm == 1.0


def test_scores_have_the_tolerance_of_the_study(folder, runner):
    study = opened(folder, YAML + "tolerance_mm: 3.5\n")
    run(study, "reference", runner)
    (reference,) = read_scores_csv(evaluate_models(study))
    assert reference.tolerance_mm == 3.5
    # The face of f's tumor that lies one slice (3 mm) off counts as found.
    np.testing.assert_allclose(reference.values("nsd", "tumor"), [1, 1])


def test_without_a_finished_model_there_is_nothing_to_score(folder):
    with pytest.raises(InputError, match="No model of the study .* is finished"):
        evaluate_models(opened(folder))
