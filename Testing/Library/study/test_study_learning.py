"""The units in which the model learns, from study.yaml to the page, with a model whose answers are known."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from learning_cases import a_bar

from SAM2AnnotateLib.engine import ScriptedEngine
from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.geometry import Volume, VolumeGrid
from SAM2AnnotateLib.study.configuration.config import StudyConfig
from SAM2AnnotateLib.study.configuration.config_learning import AS_IT_CAME, DEFAULT_STEPS
from SAM2AnnotateLib.study.records.folder import Study
from SAM2AnnotateLib.study.records.groups import prototype_cases, series_of
from SAM2AnnotateLib.study.records.result_reader import read_results
from SAM2AnnotateLib.study.report.report import write_report
from SAM2AnnotateLib.study.tables import learning_tables, unprompted_tables
from SAM2AnnotateLib.study.work import case_work, learning_work
from SAM2AnnotateLib.study.work.tasks import Task, execute
from SAM2AnnotateLib.volume_io import write_volume
from SAM2AnnotateLib.yaml_config.yaml_file import parse_yaml

for package in ("scipy", "SimpleITK", "yaml", "matplotlib", "jinja2"):
    pytest.importorskip(package)

BASE = """\
name: learning
data: {images: images, labels: labels, values: {1: bar}}
axis: axial
window: 0,255
"""
BLOCKS = """\
prompt_learning: {slices: [2, 4], trained: [decoder], steps: [4], clicks: 2}
auto_prompts: {methods: [threshold], slices: 4}
prototypes: {volumes: 1, ways: [prompt_each, prototype], steps: 4}
corrections_saved: {volumes: 3, learn_after: [2], steps: 4, rule: {dsc: 0.8}}
"""
CASES = 6


def make(folder, yaml: str = BASE + BLOCKS, cases: int = CASES) -> Study:
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True)
    for number in range(cases):
        voxels, truth = a_bar(number)
        grid = VolumeGrid(voxels.shape, np.diag([1.0, 1.0, 2.0, 1.0]))
        write_volume(Volume(grid, voxels), folder / "images" / f"p{number}.nii.gz")
        write_volume(Volume(grid, truth), folder / "labels" / f"p{number}.nii.gz")
    return Study.create(folder, yaml)


@pytest.fixture(autouse=True)
def scripted(monkeypatch):
    monkeypatch.setattr(case_work, "study_engine", lambda *_: ScriptedEngine())
    learning_work._KEPT.clear()


def run(study: Study) -> list[tuple[str, str]]:
    """Every unit of every case; what was done."""
    done = []
    for unit in study.units_of_stage("first"):
        for case in study.case_ids_of(unit):
            execute(Task(str(study.folder), case, (unit,)), None, lambda unit, case, _: done.append((unit, case)))
    return done


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(case_work, "study_engine", lambda *_: ScriptedEngine())
        study = make(tmp_path_factory.mktemp("studies") / "study")
        done = run(study)
    return Study.open(study.folder), done


# --- the configuration


def config_of(text: str) -> StudyConfig:
    return StudyConfig.from_mapping(parse_yaml(BASE + text, "study.yaml"))


def test_empty_blocks_ask_for_the_tables_of_the_studies():
    config = config_of("prompt_learning: {}\nauto_prompts: {}\nprototypes: {}\ncorrections_saved: {}\n")
    assert config.prompt_learning is not None and config.corrections_saved is not None
    assert [one.name for one in config.prompt_learning.settings] == [
        f"{part}-{slices}-{DEFAULT_STEPS}steps" for part in ("decoder", "prompt_encoder") for slices in (2, 5)
    ]
    assert config.corrections_saved.options.steps == DEFAULT_STEPS
    assert config.corrections_saved.rule.dsc == 0.8
    assert config_of("prompt_learning: {seconds: [5, 15], slices: [5], trained: [decoder]}\n").prompt_learning.settings[1].name == (
        "decoder-5-15s"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prompt_learning: {slices: [1]}", r"prompt_learning: 'slices' lists numbers of annotated slices, each 2 or more"),
        ("prompt_learning: {slices: [5, 5]}", "each 2 or more and once"),
        ("prompt_learning: {trained: [everything]}", "decoder, prompt_encoder"),
        ("prompt_learning: {clicks: 0}", "1 to 100 'clicks'"),
        ("prompt_learning: {steps: [0]}", "1 to"),
        ("auto_prompts: {methods: [guessing]}", "threshold, sap_net, learned"),
        ("auto_prompts: {slices: 1}", "2 or more annotated 'slices'"),
        ("prototypes: {ways: [magic]}", "prompt_each, prototype, prototype_learned"),
        ("prototypes: {volumes: 0}", "1 to 100 'volumes'"),
        ("prototypes: {steps: 5, seconds: 5}", "'steps' or 'seconds' of learning, not both"),
        ("corrections_saved: {volumes: 2}", "3 'volumes' or more"),
        ("corrections_saved: {learn_after: [5, 3]}", "rising numbers of corrections"),
        ("corrections_saved: {volumes: 0, learn_after: []}", "'volumes' for series, 'learn_after'"),
        ("corrections_saved: {trained: all}", "decoder, prompt_encoder"),
        ("corrections_saved: {learnafter: [3]}", "Did you mean 'learn_after'"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(text, message):
    with pytest.raises(InputError, match=message):
        config_of(text + "\n")


# --- units


def test_every_patient_is_in_one_series_and_what_is_left_over_in_none(tmp_path):
    study = make(tmp_path / "study")
    groups = series_of(study.config, study.cases)
    used = [case for group in groups.values() for case in group]
    assert len(groups) == 2
    assert all(len(group) == 3 and group[0] == first for first, group in groups.items())
    assert len(set(used)) == 6
    assert study.case_ids_of("series") == tuple(groups)
    other = replace(study.config, seed=1)
    assert series_of(other, study.cases) != groups


def test_two_cases_of_a_patient_are_not_proposed_from_each_other(tmp_path):
    study = make(tmp_path / "study", cases=4)
    cases = [replace(case, patient="one") if case.case_id in ("p0", "p1") else case for case in study.cases]
    chosen, tried = prototype_cases(study.config, cases)
    assert len(chosen) == 1
    assert not set(chosen) & set(tried)
    if chosen[0] in ("p0", "p1"):
        assert set(tried) == {"p2", "p3"}


def test_all_is_done_once_and_then_known(finished):
    study, done = finished
    units = ("prompt_learning/as_it_came", "prompt_learning/decoder-2-4steps", "prompt_learning/decoder-4-4steps", "auto_prompts/threshold")
    expected = [(unit, case.case_id) for unit in units for case in study.cases]
    tried = prototype_cases(study.config, study.cases)[1]
    expected += [(f"prototypes/{way}", case) for way in ("prompt_each", "prototype") for case in tried]
    expected += [("one_volume", case.case_id) for case in study.cases]
    expected += [("series", case) for case in series_of(study.config, study.cases)]
    assert done == expected
    assert run(study) == []


def test_what_decides_a_result_makes_it_outdated(finished, tmp_path):
    study, _ = finished
    yaml = (study.folder / "study.yaml").read_text()
    first = next(iter(series_of(study.config, study.cases)))
    before = {unit: study.inputs(unit, study.case_ids_of(unit)[0]) for unit in study.units_of_stage("first")}

    def changed(old: str, new: str) -> set[str]:
        assert old in yaml
        config = StudyConfig.from_mapping(parse_yaml(yaml.replace(old, new), "study.yaml")).resolved(study.folder)
        other = Study(study.folder, config)
        return {
            unit
            for unit in before
            if unit in other.units_of_stage("first") and other.inputs(unit, other.case_ids_of(unit)[0]) != before[unit]
        }

    assert changed("learn_after: [2]", "learn_after: [3]") == {"one_volume"}
    assert changed("learn_after: [2], steps: 4", "learn_after: [2], steps: 5") == {"one_volume", "series"}
    assert changed("rule: {dsc: 0.8}", "rule: {dsc: 0.9}") == {"one_volume", "series"}
    assert changed("clicks: 2}", "clicks: 1}") == {unit for unit in before if unit.startswith("prompt_learning")}
    assert changed("methods: [threshold], slices: 4", "methods: [threshold], slices: 3") == {"auto_prompts/threshold"}
    assert first in study.case_ids_of("series")


def test_a_series_depends_on_all_of_its_volumes(finished):
    study, _ = finished
    first, *others = next(iter(series_of(study.config, study.cases).values()))
    before = study.inputs("series", first)
    moved = tuple(replace(case, window="0,200") if case.case_id == others[-1] else case for case in study.cases)
    other = Study(study.folder, study.config)
    other.__dict__["cases"] = moved
    assert other.inputs("series", first) != before
    assert other.inputs("one_volume", first) == study.inputs("one_volume", first)


def test_results_hold_no_number_that_json_lacks(finished):
    study, _ = finished
    for path in (study.folder / "units").rglob("*.json"):
        json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)


def test_the_hash_of_an_adapter_in_the_configuration_decides_too(tmp_path):
    study = make(tmp_path / "study", BASE + "model: {adapter: bar.safetensors}\nauto_prompts: {methods: [threshold]}\n", cases=1)
    study = Study.open(study.folder)
    (study.folder / "bar.safetensors").write_bytes(b"one")
    before = study.inputs("auto_prompts/threshold", "p0")
    (study.folder / "bar.safetensors").write_bytes(b"other")
    assert Study.open(study.folder).inputs("auto_prompts/threshold", "p0") != before


# --- tables and page


def test_learning_saves_corrections_and_the_table_counts_them(finished):
    study, _ = finished
    series = read_results(study).learning.series
    assert len(series) == 6
    table = learning_tables.series_table(series)
    assert table.column("volume") == ["1", "2", "3", "3 and later"]
    assert table.column("cases") == [2, 2, 2, 2]
    learning, never = table.column("corrected_learning"), table.column("corrected_never")
    assert learning[0] == never[0]  # nothing is known yet
    assert learning[1:] == [0, 0, 0]  # once the gray is known the box alone gives the bar
    assert all(count >= 1 for count in never)
    assert table.column("saved")[1:] == [1.0, 1.0, 1.0]
    slices = 9
    assert table.column("accepted_never")[-1] == pytest.approx(1 - never[-1] / slices)
    assert table.column("accepted_learning")[-1] == 1.0
    assert [one.adapter != "" for one in series if one.number == 1] == [False, False]
    assert all(len(one.adapter) == 64 for one in series if one.number > 1)


def test_prompts_are_set_against_the_model_as_it_came(finished):
    study, _ = finished
    table = learning_tables.gain_table(read_results(study).learning.gains, study.config.prompt_learning)
    assert table.column("setting") == [AS_IT_CAME, "decoder-2-4steps", "decoder-4-4steps"]
    assert table.column("objects") == [CASES] * 3
    assert table.column("box")[1] > table.column("box")[0] + 0.3
    assert table.column("box_difference")[0] is None
    assert table.column("box_p")[1] < 0.05
    assert all(both >= box for both, box in zip(table.column("both"), table.column("box"), strict=True))


def test_one_prompt_for_the_data_set_saves_the_others(finished):
    study, _ = finished
    table = unprompted_tables.prototype_table(read_results(study).learning.prototypes)
    assert table.column("cases") == [CASES - 1] * 2
    assert table.column("prompts") == [3 * (CASES - 1), 0]  # a box and two marked ends a volume
    assert table.column("prompts_saved") == [None, 1.0]


def test_the_page_has_a_chapter_for_each_part(finished):
    study, _ = finished
    page = write_report(study).read_text(encoding="utf-8")
    for title in ("Corrections saved by learning", "Prompts after learning from a few slices", "Slices that nobody prompted",
                  "One prompt for the data set"):  # fmt: skip
        assert f"<h2>{title}</h2>" in page
    assert "From the third volume on" in page
    for name in ("corrections_saved", "one_volume", "one_volume_total", "prompt_learning", "auto_prompts", "prototypes"):
        assert (study.folder / "report" / f"{name}.csv").is_file()


def test_a_page_before_anything_is_finished_says_so(tmp_path):
    page = write_report(make(tmp_path / "study", cases=3)).read_text(encoding="utf-8")
    assert "Not finished" in page
