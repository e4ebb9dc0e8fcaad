"""How far a study is: counts, times and thresholds, worked out by hand."""

from __future__ import annotations

import pytest
from study_stand_ins import STUDY_YAML, a_study, result_of

from SAM2AnnotateLib.study.records.calibration import calibrate, calibrate_jointly
from SAM2AnnotateLib.study.records.folder import Study
from SAM2AnnotateLib.study.records.status import StageStatus, UnitTimes, duration, kind_of, study_status


@pytest.fixture
def study(tmp_path):
    return a_study(tmp_path / "study")


def finish(study: Study, unit: str, seconds: float, number: int = 0) -> None:
    study.write(unit, study.case_ids_of(unit)[number], result_of(study, unit), seconds)


def stages_of(study: Study, workers: int = 1) -> dict[str, StageStatus]:
    return {stage.stage: stage for stage in study_status(Study.open(study.folder), workers).stages}


def calibrated(study: Study) -> Study:
    """Sweeps and pairs are finished, and the thresholds found."""
    for number in range(2):
        finish(study, "sweep", 10.0, number)
    sweeps = [result_of(study, "sweep")] * 2
    study.write_calibration(calibrate(sweeps, study.config.calibration))
    for number in range(2):
        finish(study, "joint", 5.0, number)
    joint = [result_of(study, "joint")] * 2
    study.write_calibration(calibrate_jointly(study.calibration(), joint, study.config.calibration.targets))
    return study


def test_nothing_is_finished_in_a_new_study(study):
    status = study_status(study)
    assert status.name == "trial"
    counts = [(stage.stage, stage.finished, stage.total) for stage in status.stages]
    assert counts == [("prompts", 0, 2), ("sweep", 0, 2), ("joint", 0, 2), ("scenarios", 0, 8), ("models", 0, 5)]
    assert {(stage.mean_seconds, stage.seconds_left, stage.outdated) for stage in status.stages} == {(None, None, 0)}
    assert (status.thresholds, status.problems, status.running, status.workers) == ({}, (), False, 1)


def test_time_left_is_the_mean_of_what_is_finished_shared_by_the_workers(study):
    finish(study, "prompts", 12.0)
    calibrated(study)
    finish(study, "scenarios/none", 30.0, 0)
    finish(study, "scenarios/none", 40.0, 1)
    finish(study, "scenarios/low", 50.0, 0)
    finish(study, "models/reference", 600.0)
    stages = stages_of(study, workers=2)
    assert stages["prompts"] == StageStatus("prompts", 1, 2, 0, 12.0, 6.0)
    assert stages["sweep"] == StageStatus("sweep", 2, 2, 0, 10.0, 0.0)
    assert stages["scenarios"] == StageStatus("scenarios", 3, 8, 0, 40.0, 100.0)  # five of 40 s, two at once
    assert stages["models"] == StageStatus("models", 1, 5, 0, 600.0, 2400.0)  # one at a time


def test_thresholds_are_told_as_soon_as_they_are_found(study):
    assert study_status(calibrated(study)).thresholds["low"].dsc == pytest.approx(0.58)


def test_units_of_an_earlier_configuration_are_outdated(study):
    finish(study, "prompts", 12.0, 0)
    finish(study, "prompts", 14.0, 1)
    (study.folder / "study.yaml").write_text(STUDY_YAML + "seed: 7\n")
    assert stages_of(study)["prompts"] == StageStatus("prompts", 0, 2, 2, None, None)


def test_workers_are_those_of_the_last_run(study):
    study.log("run started", workers=2)
    study.log("run finished")
    study.log("run started", workers=6)
    assert study_status(study).workers == 6


def test_a_run_that_goes_on_is_seen(study):
    with study.lock():
        assert study_status(study).running
    assert not study_status(study).running


def test_looking_changes_nothing_that_counts(study):
    finish(study, "prompts", 12.0)
    before = {path: path.read_bytes() for path in study.folder.rglob("*.json*")}
    study_status(Study.open(study.folder))
    assert {path: path.read_bytes() for path in before} == before


def test_a_kind_without_a_finished_unit_makes_the_rest_unknown():
    times = UnitTimes()
    times.note("comparison/ours/0", 10.0)
    times.note("comparison/paper/1", 20.0)
    assert times.mean("comparison/boxes/0") == 15.0
    assert times.left(["comparison/ours/1"] * 4, workers=3) == 20.0
    assert times.left(["comparison/ours/1", "prompts"], workers=3) is None
    assert times.left([], workers=3) == 0.0


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0.0 s"), (2.34, "2.3 s"), (9.6, "10 s"), (59.4, "59 s"), (59.6, "1 min"), (3569, "59 min"), (3571, "1 h 00 min"),
     (7500, "2 h 05 min"), (172_799, "2 d 0 h"), (190_000, "2 d 5 h")],
)  # fmt: skip
def test_durations_read_well(seconds, said):
    assert duration(seconds) == said


def test_kinds_are_what_stands_before_the_first_slash():
    assert [kind_of(unit) for unit in ("sweep", "scenarios/low", "comparison/ours/0")] == ["sweep", "scenarios", "comparison"]
