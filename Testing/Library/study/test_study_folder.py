"""A study's folder: which units there are, and when one of them is finished."""

from __future__ import annotations

import json
import math
import os
import re

import numpy as np
import pytest

import SAM2AnnotateLib
from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.simulation.acceptance import Acceptance
from SAM2AnnotateLib.study import Study
from SAM2AnnotateLib.study.records.calibration import Calibration, CurvePoint, JointPoint, Thresholds

YAML = """\
name: knee
data:
  images: images
  labels: labels
  values: {1: femur}
  test_share: 0.34
prompts: [box]
calibration: {dsc: [0.5, 0.9], nsd: [0.4, 0.8], targets: {low: 0.2, high: 0.5}, joint: to_target}
comparison:
  workflows: [{name: ours}, {name: paper, roi: full}]
  rules: [{dsc: 0.8}, {dsc: 0.9}]
downstream: {channel: MR, folds: all, epochs: 3, device: cpu}
"""
BEGUN = Calibration(
    10, (CurvePoint(0.5, 0.1), CurvePoint(0.9, 0.6)), (CurvePoint(0.4, 0.1), CurvePoint(0.8, 0.7)), (JointPoint(0.2, 0.58, 0.47),)
)
DONE = Calibration(10, BEGUN.dsc, BEGUN.nsd, BEGUN.joint, {"low": Thresholds(0.2, 0.6, 0.5), "high": Thresholds(0.5, 0.8, 0.7)})


@pytest.fixture
def study(tmp_path):
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
        for case in ("a", "b", "c"):
            (tmp_path / folder / f"{case}.nii.gz").write_bytes(f"{folder} {case}".encode())
    return Study.create(tmp_path, YAML)


def _with(study, old, new):
    """The study opened anew after an edit of its configuration."""
    path = study.folder / "study.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    return Study.open(study.folder)


def _all_units(study):
    return [unit for stage in ("first", "joint", "scenarios", "models") for unit in study.units_of_stage(stage)]


def _write_all(study):
    study.write_calibration(DONE)
    for unit in _all_units(study):
        for case_id in study.case_ids_of(unit):
            study.write(unit, case_id, {}, 1.0)


def _unfinished(study):
    return [unit for unit in _all_units(study) if not all(study.is_finished(unit, case_id) for case_id in study.case_ids_of(unit))]


def test_a_new_study_keeps_its_text_and_an_existing_one_is_left_alone(study):
    assert (study.folder / "study.yaml").read_text(encoding="utf-8") == YAML
    assert Study.open(study.folder).config == study.config
    with pytest.raises(InputError, match="holds a study already"):
        Study.create(study.folder, YAML)


def test_a_text_that_is_no_configuration_makes_no_study(tmp_path):
    with pytest.raises(InputError, match="The configuration lacks 'data'"):
        Study.create(tmp_path / "new", "name: knee\n")
    assert not (tmp_path / "new").exists()
    with pytest.raises(InputError, match="holds no study: there is no study.yaml. Make one: sam2annotate study init"):
        Study.open(tmp_path)


def test_an_error_in_the_configuration_names_the_file(study):
    with pytest.raises(InputError, match=r"unknown key 'promts'. Did you mean 'prompts'\? .*study.yaml"):
        _with(study, "prompts:", "promts:")


def test_cases_are_parted_once_for_all(study):
    assert [case.case_id for case in study.cases] == ["a", "b", "c"]
    assert len(study.test_cases) == 1 and len(study.training_cases) == 2
    assert study.case("b").labels.name == "b.nii.gz"
    with pytest.raises(InputError, match="The study has no case 'x'"):
        study.case("x")


def test_the_stages_have_these_units(study):
    assert study.units_of_stage("first") == (
        "prompts", "sweep", "comparison/ours/0", "comparison/ours/1", "comparison/paper/0", "comparison/paper/1",
    )  # fmt: skip
    assert study.units_of_stage("joint") == ("joint",)
    assert study.units_of_stage("scenarios") == ("scenarios/none", "scenarios/low", "scenarios/high")
    assert study.units_of_stage("models") == ("models/reference", "models/none", "models/low", "models/high")
    with pytest.raises(InputError, match="Unknown stage 'last': expected one of first, joint, scenarios, models"):
        study.units_of_stage("last")


def test_a_study_without_calibration_has_only_what_it_asks_for(study):
    text = re.sub(r"(?m)^(calibration|downstream|prompts).*\n", "", YAML)
    (study.folder / "study.yaml").write_text(text, encoding="utf-8")
    assert _all_units(Study.open(study.folder)) == ["comparison/ours/0", "comparison/ours/1", "comparison/paper/0", "comparison/paper/1"]


def test_test_cases_are_compared_on_but_never_annotated(study):
    training = tuple(case.case_id for case in study.training_cases)
    assert study.case_ids_of("comparison/ours/0") == ("a", "b", "c") and study.case_ids_of("models/low") == ("",)
    assert study.case_ids_of("sweep") == study.case_ids_of("scenarios/low") == training
    with pytest.raises(InputError, match="The unit 'sweep' is not done for"):
        study.is_finished("sweep", study.test_cases[0].case_id)
    with pytest.raises(InputError, match="The study has no unit 'scenarios/much'. It has: prompts, sweep"):
        study.is_finished("scenarios/much", "a")


def test_each_unit_has_its_file(study):
    files = [study.unit_file(unit, case).relative_to(study.folder).as_posix() for unit, case in (
        ("sweep", "a"), ("scenarios/low", "a"), ("comparison/paper/1", "a"), ("models/reference", ""),
    )]  # fmt: skip
    assert files == [
        "units/sweep/a.json", "units/scenarios/low/a.json", "units/comparison/paper/1/a.json", "downstream/units/reference.json",
    ]  # fmt: skip


def test_a_result_is_kept_with_what_decided_it(study):
    case_id = study.training_cases[0].case_id
    assert study.result("sweep", case_id) is None
    study.write("sweep", case_id, {"objects": [{"dsc": math.nan, "voxels": np.int64(3)}]}, 1.23456)
    stored = json.loads(study.unit_file("sweep", case_id).read_text(encoding="utf-8"))
    assert stored["result"] == study.result("sweep", case_id) == {"objects": [{"dsc": None, "voxels": 3}]}
    assert (stored["unit"], stored["case"], stored["seconds"], stored["version"]) == ("sweep", case_id, 1.235, SAM2AnnotateLib.__version__)
    assert stored["inputs"] == study.inputs("sweep", case_id) and re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\+00:00", stored["finished"])
    assert Study.open(study.folder).is_finished("sweep", case_id)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"inputs": 1}', '{"result": {}}'])
def test_a_damaged_unit_is_not_finished(study, content):
    case_id = study.training_cases[0].case_id
    study.write("sweep", case_id, {}, 1)
    assert study.is_finished("sweep", case_id)
    study.unit_file("sweep", case_id).write_text(content, encoding="utf-8")
    assert study.envelope("sweep", case_id) is None


def test_a_scenario_without_its_label_map_is_not_finished(study):
    case_id = study.training_cases[0].case_id
    study.write("scenarios/none", case_id, {"objects": [], "labels": {"file": f"{case_id}.nii.gz", "sha256": "x"}}, 1)
    assert not study.is_finished("scenarios/none", case_id)
    study.unit_file("scenarios/none", case_id).with_name(f"{case_id}.nii.gz").write_bytes(b"")
    assert study.is_finished("scenarios/none", case_id)


CALIBRATED = ["joint", "scenarios/low", "scenarios/high", "models/low", "models/high"]
SIMULATED = ["prompts", "sweep", "comparison/ours/0", "comparison/ours/1", "comparison/paper/0", "comparison/paper/1", "joint"]
SCENARIOS = ["scenarios/none", "scenarios/low", "scenarios/high"]
MODELS = ["models/reference", "models/none", "models/low", "models/high"]


@pytest.mark.parametrize(
    ("old", "new", "again"),
    [
        ("name: knee", "name: hip", []),
        ("prompts: [box]", "prompts: [box]\ncompute: {workers: 3}\nmodel: {device: cpu}", []),
        ("device: cpu}", "device: cuda, threads: 4, processes: 2, checkpoint_every: 1}", []),
        ("prompts: [box]", "prompts: [box, dot]", ["prompts"]),
        ("epochs: 3", "epochs: 4", MODELS),
        ("{name: ours}", "{name: ours, order: doubtful}", ["comparison/ours/0", "comparison/ours/1"]),
        ("rules: [{dsc: 0.8}", "rules: [{dsc: 0.7}", ["comparison/ours/0", "comparison/paper/0"]),
        ("targets: {low: 0.2", "targets: {low: 0.3", CALIBRATED),
        ("dsc: [0.5, 0.9]", "dsc: [0.5, 0.8]", ["sweep", *CALIBRATED]),
        ("prompts: [box]", "prompts: [box]\neffort: {box: 4}", [*SIMULATED[2:6], *SCENARIOS, "models/none", "models/low", "models/high"]),
        ("prompts: [box]", "prompts: [box]\nworkflow: {order: doubtful}", ["sweep", "joint", *SCENARIOS, *MODELS[1:]]),
        ("prompts: [box]", "prompts: [box]\nclicks: 3", ["prompts"]),
        ("prompts: [box]", "prompts: [box]\nworkflow: {clicks: 3, every: 4, margin_mm: 2}", []),
        ("prompts: [box]", "prompts: [box]\nworkflow: {prompt: clicks, clicks: 3}", ["sweep", "joint", *SCENARIOS, *MODELS[1:]]),
        ("prompts: [box]", "prompts: [box]\ncorrection_mm: 2", [*SIMULATED[1:], *SCENARIOS, *MODELS[1:]]),
        ("prompts: [box]", "prompts: [box]\nobjects: {salient_pixels: 9}", ["prompts", *SIMULATED[2:6], *SCENARIOS, *MODELS[1:]]),
        ("prompts: [box]", "prompts: [box]\nobjects: {separate: false}", [*SIMULATED, *SCENARIOS, *MODELS[1:]]),
        ("prompts: [box]", "prompts: [box]\nseed: 1", [*SIMULATED, *SCENARIOS, *MODELS[1:]]),
        ("prompts: [box]", "prompts: [box]\nmodel: {image_size: 512}", [*SIMULATED, *SCENARIOS, *MODELS[1:]]),
        ("prompts: [box]", "prompts: [box]\naxis: sagittal", [*SIMULATED, *SCENARIOS, *MODELS]),
        ("{1: femur}", "{1: tibia}", [*SIMULATED, *SCENARIOS, *MODELS]),
    ],
)  # fmt: skip
def test_an_edit_undoes_what_it_decides_and_nothing_else(study, old, new, again):
    _write_all(study)
    assert _unfinished(study) == []
    assert sorted(_unfinished(_with(study, old, new))) == sorted(again)


def test_a_changed_file_undoes_its_case_only(study):
    _write_all(study)
    changed, other = study.training_cases
    changed.labels.write_bytes(b"redrawn")
    opened = Study.open(study.folder)
    assert not opened.is_finished("sweep", changed.case_id) and opened.is_finished("sweep", other.case_id)
    assert not opened.is_finished("models/reference", "") and opened.calibration() is None


def test_files_may_move_and_be_touched(study):
    _write_all(study)
    os.utime(study.cases[0].image, ns=(5, 5))
    moved = study.folder.with_name(study.folder.name + "_moved")
    study.folder.rename(moved)
    assert _unfinished(Study.open(moved)) == []


def test_a_calibration_without_thresholds_is_enough_for_the_pairs_but_not_for_scenarios(study):
    case_id = study.training_cases[0].case_id
    for unit in ("joint", "scenarios/low", "models/low"):
        with pytest.raises(InputError, match="is not calibrated yet"):
            study.inputs(unit, study.case_ids_of(unit)[0])
        assert not study.is_finished(unit, study.case_ids_of(unit)[0])
    with pytest.raises(InputError, match="The study is not calibrated yet"):
        study.joint_thresholds()
    study.write_calibration(BEGUN)
    study.write("joint", case_id, {}, 1)
    assert study.joint_thresholds() == ((0.58, 0.47),)
    with pytest.raises(InputError, match="The scenario 'low' is not calibrated yet"):
        study.write("scenarios/low", case_id, {}, 1)
    study.write_calibration(DONE)
    assert study.is_finished("joint", case_id)
    assert study.acceptance_of("low") == Acceptance(0.6, 0.5) and study.acceptance_of("none") == Acceptance()


def test_a_calibration_counts_as_long_as_its_sweeps_would_be_the_same(study):
    kept = study.write_calibration(DONE)
    assert Study.open(study.folder).calibration() == kept and len(kept.inputs) == 64
    assert _with(study, "prompts: [box]", "prompts: [box]\nseed: 1").calibration() is None
    assert _with(study, "seed: 1", "seed: 0").calibration() == kept


def test_new_thresholds_undo_the_scenarios_whose_they_are(study):
    _write_all(study)
    study.write_calibration(Calibration(10, DONE.dsc, DONE.nsd, DONE.joint, {**DONE.thresholds, "low": Thresholds(0.2, 0.61, 0.5)}))
    assert _unfinished(study) == ["scenarios/low", "models/low"]


def test_own_weights_count_by_their_content(study):
    weights = study.folder / "mine.pt"
    weights.write_bytes(b"one")
    opened = _with(study, "prompts: [box]", "prompts: [box]\nmodel: {checkpoint: mine.pt, architecture: compact}")
    before = opened.inputs("sweep", opened.training_cases[0].case_id)
    weights.rename(study.folder / "renamed.pt")
    opened = _with(study, "mine.pt", "renamed.pt")
    assert opened.inputs("sweep", opened.training_cases[0].case_id) == before
    (study.folder / "renamed.pt").write_bytes(b"two")
    opened = Study.open(study.folder)
    assert opened.inputs("sweep", opened.training_cases[0].case_id) != before


def test_organ_masks_count_by_their_content(study):
    (study.folder / "livers").mkdir()
    opened = _with(study, "epochs: 3", "epochs: 3, crop_to: livers")
    before = opened.inputs("models/reference", "")
    (study.folder / "livers" / "a.nii.gz").write_bytes(b"liver")
    assert Study.open(study.folder).inputs("models/reference", "") != before


def test_the_log_grows_by_a_line_an_event(study):
    study.log("run started")
    study.log("unit finished", unit="sweep", case="a", seconds=math.inf)
    first, second = (json.loads(line) for line in (study.folder / "log.jsonl").read_text(encoding="utf-8").splitlines())
    assert first["event"] == "run started" and first["time"].endswith("+00:00")
    assert (second["unit"], second["case"], second["seconds"]) == ("sweep", "a", None)


def test_only_one_run_holds_the_study(study):
    with study.lock(), pytest.raises(InputError, match="Another program writes to"), Study.open(study.folder).lock():
        pass
    with study.lock():
        assert (study.folder / ".lock").is_file()
