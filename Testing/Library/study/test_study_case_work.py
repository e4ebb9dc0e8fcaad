"""CaseWork: every unit of a case, with a model whose answers are known, against what the study's files promise."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from patients import an_oblique_rotation

from SAM2AnnotateLib.engine import ScriptedEngine
from SAM2AnnotateLib.errors import InputError, OutputError
from SAM2AnnotateLib.geometry import Volume, VolumeGrid
from SAM2AnnotateLib.study.records.calibration import Calibration, CurvePoint, JointPoint, Thresholds
from SAM2AnnotateLib.study.records.folder import Study
from SAM2AnnotateLib.study.work import case_work
from SAM2AnnotateLib.study.work.case_work import CaseWork
from SAM2AnnotateLib.study.work.tasks import Task, execute
from SAM2AnnotateLib.volume_io import read_volume, write_volume

SHAPE_KJI, SPACING_IJK_MM = (9, 30, 34), (0.8, 1.1, 3.0)
BRIGHT, DARK = 180, 40
LEAKING = 5
YAML = """\
name: tiny
data: {images: images, labels: labels, values: {1: bar, 2: rod}}
axis: axial
window: 0,255
objects: {separate: true, smallest_voxels: 3, salient_pixels: 50}
prompts: [box, dot, clicks, mask, box+clicks, contours]
clicks: 3
correction_mm: 0
calibration: {dsc: [0.5, 0.8, 1.0], nsd: [0.5, 1.0], targets: {low: 0.2, high: 0.6}, joint: to_target}
comparison:
  workflows: [{name: ours}, {name: slices, method: slice_boxes}]
  rules: [{dsc: 0.9}, {dsc: 0.9, nsd: 0.95}]
"""
CURVE = (CurvePoint(0.5, 0.0), CurvePoint(1.0, 1.0))
# The scenario "high" accepts nothing, as no score lies above 1.
CALIBRATION = Calibration(
    8,
    CURVE,
    CURVE,
    (JointPoint(0.1, 0.5, 0.5), JointPoint(0.9, 1.0, 1.0)),
    {"low": Thresholds(0.2, 0.9, 0.0), "high": Thresholds(0.6, 1, 1)},
)
KEY = {"label", "name", "instance", "voxels"}
SCORES = {"dsc", "nsd", "hd95_mm"}
EFFORT = {
    "boxes", "points", "outlines", "corrections", "corrected_pixels", "outline_mm", "slices_viewed", "accepted", "seconds",
}  # fmt: skip


def the_truth() -> np.ndarray:
    """A bar of 8 x 10 voxels on slices 2..6, a rod of 5 x 4 on slices 4..6, and of the bar's label a speck of 2 voxels far from it."""
    labels = np.zeros(SHAPE_KJI, dtype=np.uint8)
    labels[2:7, 6:14, 5:15] = 1
    labels[4:7, 20:25, 24:28] = 2
    labels[7, 27, 2:4] = 1
    return labels


def the_picture() -> np.ndarray:
    """Bar and rod are bright, the speck is not; on slice 5 what lies below the bar is as bright, too. No two slices are alike."""
    labels = the_truth()
    labels[7] = 0
    voxels = np.where(labels > 0, BRIGHT, DARK).astype(np.int16)
    voxels[LEAKING, 14:20, 5:15] = BRIGHT
    return voxels + np.arange(SHAPE_KJI[0], dtype=np.int16)[:, None, None]


def make(folder, yaml: str = YAML, labels: np.ndarray | None = None) -> Study:
    matrix = np.eye(4)
    matrix[:3, :3] = an_oblique_rotation() * SPACING_IJK_MM
    grid = VolumeGrid(SHAPE_KJI, matrix)
    for name, array in (("images", the_picture()), ("labels", the_truth() if labels is None else labels)):
        (folder / name).mkdir(parents=True)
        write_volume(Volume(grid, array), folder / name / "a.nii.gz")
    study = Study.create(folder, yaml)
    if study.config.calibration is not None:
        study.write_calibration(CALIBRATION)
    return study


def units_of(study: Study) -> list[str]:
    return [unit for stage in ("first", "joint", "scenarios") for unit in study.units_of_stage(stage)]


def work_on(study: Study) -> CaseWork:
    return CaseWork(study, study.case("a"), None)


def without_counts(result: dict) -> dict:
    return {key: value for key, value in result.items() if key != "encoded"}


@pytest.fixture(autouse=True)
def engines(monkeypatch) -> list[ScriptedEngine]:
    """The engines that were loaded: one for each CaseWork, as if each had a process of its own."""
    made: list[ScriptedEngine] = []

    def load(*_):
        made.append(ScriptedEngine(reach=2))
        return made[-1]

    monkeypatch.setattr(case_work, "study_engine", load)
    return made


@pytest.fixture
def study(tmp_path) -> Study:
    return make(tmp_path / "study")


# --- what the files hold


def test_every_unit_of_a_case_is_written_as_it_is_promised(study):
    told = []
    execute(Task(str(study.folder), "a", tuple(units_of(study))), None, lambda unit, case, _: told.append((unit, case)))
    assert told == [(unit, "a") for unit in units_of(study)]
    for unit in units_of(study):
        path = study.unit_file(unit, "a")
        envelope = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
        assert set(envelope) == {"unit", "case", "inputs", "seconds", "finished", "version", "result"}
        assert (envelope["unit"], envelope["case"], envelope["inputs"]) == (unit, "a", study.inputs(unit, "a"))
        result = envelope["result"]
        assert set(result) == {"objects", "encoded"} | ({"labels"} if unit.startswith("scenarios/") else set())
        assert [(one["label"], one["name"], one["instance"], one["voxels"]) for one in result["objects"]] == [
            (1, "bar", 1, 5 * 80), (2, "rod", 1, 3 * 20),
        ]  # fmt: skip
        assert path.with_suffix(".nii.gz").exists() == unit.startswith("scenarios/")
        for one in result["objects"]:
            check = {"prompts": check_prompts, "sweep": check_sweep, "joint": check_joint}.get(unit, check_annotated)
            check(one)
    before = {unit: study.unit_file(unit, "a").stat().st_mtime_ns for unit in units_of(study)}
    execute(Task(str(study.folder), "a", tuple(units_of(study))), None, lambda *_: pytest.fail("a finished unit was done again"))
    assert {unit: study.unit_file(unit, "a").stat().st_mtime_ns for unit in units_of(study)} == before


def check_prompts(one: dict) -> None:
    assert set(one) == KEY | {"center", "prompts"}
    assert one["center"] == (4 if one["label"] == 1 else 5)
    assert list(one["prompts"]) == ["box", "dot", "clicks", "mask", "box+clicks", "contours"]
    for kind, entry in one["prompts"].items():
        assert set(entry) == {"center", "volume", "salient"} | ({"rounds"} if "clicks" in kind else set())
        assert set(entry["center"]) == {"dsc", "nsd"} and set(entry["volume"]) == SCORES
        # 80 pixels of the bar on each of its 5 slices are more than 50, 20 of the rod are not.
        assert entry["salient"]["slices"] == (5 if one["label"] == 1 else 0)
        assert (entry["salient"]["dsc"] is None) == (entry["salient"]["nsd"] is None) == (one["label"] == 2)
    assert one["prompts"]["mask"]["center"] == {"dsc": 1.0, "nsd": 1.0}
    assert 1 <= len(one["prompts"]["clicks"]["rounds"]) <= 3
    assert 1 <= len(one["prompts"]["box+clicks"]["rounds"]) <= 4


def check_sweep(one: dict) -> None:
    assert set(one) == KEY | {"slices", "dsc", "nsd"}
    slices = 5 if one["label"] == 1 else 3
    assert one["slices"] == slices
    assert (len(one["dsc"]), len(one["nsd"])) == (3, 2)
    assert one["dsc"][-1] == one["nsd"][-1] == slices, "no score lies above 1"
    if one["label"] == 1:  # the leak reaches 2 rows beyond 8: DSC 2 * 8 / (8 + 10) = 0.89, and what follows of it has gone on slice 6
        assert one["dsc"][:2] == [0, 0]


def check_joint(one: dict) -> None:
    assert set(one) == KEY | {"slices", "corrected"}
    assert len(one["corrected"]) == 2
    assert one["corrected"][1] == one["slices"]


def check_annotated(one: dict) -> None:
    assert set(one) == KEY | {"center", "extent", "slices", "effort", "manual", "final"}
    assert one["extent"] == ([2, 6] if one["label"] == 1 else [4, 6])
    assert [row["slice"] for row in one["slices"]] == list(range(one["extent"][0], one["extent"][1] + 1))
    assert all(set(row) == {"slice", "dsc", "nsd", "corrected", "pixels", "truth_pixels", "seen", "expected"} for row in one["slices"])
    assert set(one["effort"]) == set(one["manual"]) == EFFORT
    assert set(one["final"]) == SCORES | {"salient_dsc"}
    assert one["effort"]["corrections"] == sum(row["corrected"] for row in one["slices"])
    assert one["effort"]["corrected_pixels"] == sum(row["pixels"] for row in one["slices"])
    assert one["effort"]["slices_viewed"] == one["manual"]["outlines"] == len(one["slices"])
    assert one["manual"]["corrected_pixels"] == one["voxels"]
    assert (one["final"]["salient_dsc"] is None) == (one["label"] == 2)


def test_the_leak_is_what_a_threshold_has_corrected(study):
    found = work_on(study).run("comparison/ours/0")
    bar = found["objects"][0]
    assert [row["slice"] for row in bar["slices"] if row["corrected"]] == [LEAKING]
    row = bar["slices"][LEAKING - 2]
    assert (row["dsc"], row["pixels"], row["truth_pixels"]) == (pytest.approx(2 * 8 / (8 + 10), abs=1e-6), 2 * 10, 80)


def test_a_slice_between_two_parts_has_no_score_and_is_accepted(tmp_path):
    """A bar whose slice 4 is missing: neither truth nor mask has a pixel there."""
    labels = the_truth()
    labels[labels == 2] = 0
    labels[4] = 0
    gap = make(tmp_path, YAML.replace("separate: true", "separate: false"), labels)
    voxels = the_picture()
    voxels[4] = DARK
    image = read_volume(gap.case("a").image)
    write_volume(Volume(image.grid, voxels), gap.case("a").image)
    (one,) = work_on(Study.open(gap.folder)).run("scenarios/none")["objects"]
    assert one["extent"] == [2, 7], "with separate: false the speck is part of the object"
    gone = {"slice": 4, "dsc": None, "nsd": None, "corrected": False, "pixels": 0, "truth_pixels": 0, "seen": True}
    assert {name: value for name, value in one["slices"][2].items() if name != "expected"} == gone


# --- label maps


def test_where_nothing_is_accepted_and_every_error_is_mended_the_labels_are_the_truth(study):
    found = work_on(study).run("scenarios/high")
    path = study.unit_file("scenarios/high", "a").parent / found["labels"]["file"]
    assert found["labels"] == {"file": "a.nii.gz", "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    written = read_volume(path)
    assert written.grid.is_close(read_volume(study.case("a").image).grid)
    np.testing.assert_array_equal(written.array_kji, the_truth())
    assert [one["final"] for one in found["objects"]] == [
        {"dsc": 1.0, "nsd": 1.0, "hd95_mm": 0.0, "salient_dsc": 1.0},
        {"dsc": 1.0, "nsd": 1.0, "hd95_mm": 0.0, "salient_dsc": None},
    ]


@pytest.mark.parametrize("axis", ["axial", "coronal", "sagittal"])
def test_the_labels_are_the_final_masks_of_all_objects_and_the_specks(tmp_path, monkeypatch, axis):
    study = make(tmp_path, YAML.replace("axis: axial", f"axis: {axis}"))
    final = []

    def spy(bench, memory, *rest):
        final.append((bench.stack, done := case_work_simulate(bench, memory, *rest)))
        return done

    case_work_simulate = case_work.simulate
    monkeypatch.setattr(case_work, "simulate", spy)
    work_on(study).run("scenarios/none")
    expected = np.zeros(SHAPE_KJI, dtype=np.uint8)
    for label, (stack, done) in enumerate(final, start=1):
        assert any(mask.any() for mask in done.masks.values())
        for position, mask in done.masks.items():
            stack.view(expected)[position][mask] = label
    expected[7, 27, 2:4] = 1
    np.testing.assert_array_equal(read_volume(study.unit_file("scenarios/none", "a").with_suffix(".nii.gz")).array_kji, expected)


def test_an_older_result_does_not_stand_beside_newer_labels(study, monkeypatch):
    """Stopped between the two files, the unit is not finished, even if the configuration goes back to what it was."""
    work = work_on(study)
    study.write("scenarios/low", "a", work.run("scenarios/low"), 1.0)
    assert study.is_finished("scenarios/low", "a")

    def stopped(*_):
        raise OutputError("The power went.")

    monkeypatch.setattr(case_work, "write_volume", stopped)
    with pytest.raises(OutputError, match="The power went"):
        work.run("scenarios/low")
    assert not study.is_finished("scenarios/low", "a")


# --- what results depend on


def test_a_slice_is_encoded_once_over_all_units_whoever_does_them(study, engines):
    first = work_on(study)
    counts = [first.run(unit)["encoded"] for unit in units_of(study)]
    assert counts[0] > 0
    assert sum(counts) == engines[0].encoded_frames
    again = work_on(study)
    assert [again.run(unit)["encoded"] for unit in units_of(study)] == [0] * len(counts)
    assert engines[1].encoded_frames == 0
    assert len(list((study.folder / "embeddings" / "a").glob("*.npz"))) == sum(counts)


def test_without_a_cache_each_case_work_encodes_for_itself(tmp_path, engines):
    study = make(tmp_path, YAML + "compute: {embedding_cache_gb: 0}\n")
    results = [work_on(study).run("sweep") for _ in range(2)]
    assert results[0] == results[1]
    assert results[0]["encoded"] == engines[0].encoded_frames == engines[1].encoded_frames > 0


def test_results_do_not_depend_on_the_units_before_or_on_the_process(study, tmp_path):
    together = work_on(study)
    expected = {unit: without_counts(together.run(unit)) for unit in units_of(study)}
    other = make(tmp_path / "other")
    backwards = work_on(other)
    assert {unit: without_counts(backwards.run(unit)) for unit in reversed(units_of(other))} == expected
    for unit in units_of(study):
        assert without_counts(work_on(study).run(unit)) == expected[unit], unit


def test_answers_that_were_forgotten_change_nothing(study, monkeypatch):
    expected = {unit: work_on(study).run(unit) for unit in ("sweep", "joint", "scenarios/low")}
    monkeypatch.setattr(case_work, "_MOST_ANSWERS", 0)
    monkeypatch.setattr("SAM2AnnotateLib.simulation.replay._LIVE_TRACKS", 1)
    forgetful = work_on(study)
    assert {unit: without_counts(forgetful.run(unit)) for unit in expected} == {
        unit: without_counts(result) for unit, result in expected.items()
    }


def test_the_order_in_which_values_are_listed_changes_neither_inputs_nor_results(study, tmp_path):
    turned = make(tmp_path / "turned", YAML.replace("{1: bar, 2: rod}", "{2: rod, 1: bar}"))
    assert turned.inputs("scenarios/low", "a") == study.inputs("scenarios/low", "a")
    assert work_on(turned).run("scenarios/low") == work_on(study).run("scenarios/low")


def test_another_seed_draws_other_boxes(study, tmp_path):
    """A box on every slice: of 12 seeds not all leave the same pixels out."""
    others = [make(tmp_path / str(seed), YAML + f"seed: {seed}\n") for seed in range(1, 12)]
    assert len({other.inputs("comparison/slices/0", "a") for other in (study, *others)}) == 12
    assert len({json.dumps(work_on(other).run("comparison/slices/0")) for other in (study, *others)}) > 1


# --- what goes wrong


def test_a_case_without_the_values_is_named(tmp_path):
    study = make(tmp_path, labels=np.full(SHAPE_KJI, 3, dtype=np.uint8))
    with pytest.raises(InputError, match=r"The case 'a' holds none of the label values \[1, 2\]. Leave it out of the study."):
        work_on(study)


def test_an_unknown_unit_is_named(study):
    with pytest.raises(InputError, match="Unknown unit 'lunch' of a study"):
        work_on(study).run("lunch")
