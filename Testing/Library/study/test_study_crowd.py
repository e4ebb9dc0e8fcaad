"""A study's simulated crowd, from study.yaml to the page, with a model whose answers can be worked out."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from SAM2AnnotateLib.crowd.simulated import PEOPLE
from SAM2AnnotateLib.engine import ScriptedEngine
from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.geometry import Volume, VolumeGrid
from SAM2AnnotateLib.study.configuration.config import StudyConfig
from SAM2AnnotateLib.study.configuration.config_crowd import NONE_MISSING, CrowdConfig, CrowdSetting
from SAM2AnnotateLib.study.records.folder import Study
from SAM2AnnotateLib.study.records.result_reader import read_results
from SAM2AnnotateLib.study.records.results import CrowdScore, ObjectKey
from SAM2AnnotateLib.study.report.report import write_report
from SAM2AnnotateLib.study.tables import crowd_tables
from SAM2AnnotateLib.study.work import case_work, crowd_work
from SAM2AnnotateLib.study.work.tasks import Task, execute
from SAM2AnnotateLib.volume_io import write_volume
from SAM2AnnotateLib.yaml_config.yaml_file import parse_yaml

for package in ("scipy", "SimpleITK", "yaml", "matplotlib", "jinja2", "sqlalchemy", "alembic"):
    pytest.importorskip(package)

BASE = """\
name: crowd
data: {images: images, labels: labels, values: {1: bar}}
axis: axial
window: 0,255
"""
BLOCK = "crowd: {people: [1, 3], every: [1, 3], sparse_people: [1], skills: [faultless], beyond: 2, crowds: 3, answers: [40]}\n"
CASES = 2


def make(folder) -> Study:
    """Bars of 14 slices, whose index runs against the position, that move by a pixel a slice."""
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True)
    for number in range(CASES):
        truth = np.zeros((20, 40, 44), dtype=np.uint8)
        for k in range(3, 17):
            truth[k, 8 + k // 2 : 20 + k // 2, 10 + number : 24 + number] = 1
        grid = VolumeGrid(truth.shape, np.diag([1.0, 1.0, -2.0, 1.0]))
        write_volume(Volume(grid, np.where(truth > 0, 180, 40).astype(np.int16)), folder / "images" / f"p{number}.nii.gz")
        write_volume(Volume(grid, truth), folder / "labels" / f"p{number}.nii.gz")
    return Study.create(folder, BASE + BLOCK)


def run(study: Study) -> list[tuple[str, str]]:
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


def config_of(text: str) -> StudyConfig:
    return StudyConfig.from_mapping(parse_yaml(BASE + text, "study.yaml"))


def test_an_empty_block_asks_for_the_issue_s_tables():
    crowd = config_of("crowd: {}\n").crowd
    assert crowd is not None
    assert crowd.people == (1, 2, 3, 5, 7) and crowd.every == (1, 2, 4, 8) and crowd.missing == 0.3
    assert len(crowd.settings) == 5 * 4 + 2 * 5 == len(set(crowd.settings))


def test_fewer_combinations_where_people_are_few():
    crowd = CrowdConfig(people=(1, 3), every=(2, 4), sparse_people=(3,))
    assert set(crowd.settings) == {
        CrowdSetting(1, 2), CrowdSetting(3, 2), CrowdSetting(3, 4), CrowdSetting(3, 2, "scattered"), CrowdSetting(3, 2, "run"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("people: [3, 1]", "'people' lists rising numbers from 1 to 15"),
        ("every: [0]", "'every' lists rising"),
        ("skills: [psychic]", "faultless, careful, typical"),
        ("sparse_people: [4]", "some of 'people'"),
        ("missing: 1.5", "'missing' is a share"),
        ("crowds: -1", "'crowds' is 0 to"),
        ("peopel: [1]", "Did you mean 'people'"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(text, message):
    with pytest.raises(InputError, match=f"crowd: .*{message}"):
        config_of(f"crowd: {{{text}}}\n")


def test_all_is_done_once_and_then_known(finished):
    study, done = finished
    assert done == [(f"crowd/{people}", f"p{n}") for people in (1, 3) for n in range(CASES)] + [("crowd_people", "p0")]
    assert run(study) == []


def test_faultless_boxes_give_the_object_and_only_memory_fills_what_nobody_was_asked(finished):
    scores = read_results(finished[0]).crowd.scores
    found = {(one.key.case, one.people, one.every, one.missing, one.way): one for one in scores}
    for way in ("best_scored", "by_slice", "memory"):
        assert found["p0", 1, 1, NONE_MISSING, way].volume_dsc == 1
    assert found["p0", 1, 1, NONE_MISSING, "memory"].boxes == 14 and found["p0", 3, 1, NONE_MISSING, "memory"].boxes == 42
    sparse = {way: found["p0", 1, 3, NONE_MISSING, way] for way in ("by_slice", "interpolated", "memory")}
    assert len({one.boxes for one in sparse.values()}) == 1
    assert sparse["by_slice"].volume_dsc < 0.6 < 0.9 < sparse["memory"].volume_dsc
    assert sparse["by_slice"].slice_dsc == pytest.approx(sparse["by_slice"].boxes / 14)
    assert sparse["interpolated"].volume_dsc > 0.8
    scattered = {way: found["p0", 1, 1, "scattered", way] for way in ("best_scored", "memory")}
    assert scattered["memory"].boxes == 10  # 30 % of 14 are 4
    assert scattered["best_scored"].volume_dsc < scattered["memory"].volume_dsc


def test_people_who_answer_at_random_are_counted_over_all_cases(finished):
    rows = read_results(finished[0]).crowd.found_out
    assert [(one.gold, one.per_slice) for one in rows] == [(True, 3), (False, 3)]
    assert all(one.bad == 3 and one.good == 6 and one.answers >= 10 for one in rows)


def test_what_decides_a_result_makes_it_outdated(finished, monkeypatch):
    study, _ = finished
    yaml = (study.folder / "study.yaml").read_text()
    before = {unit: study.inputs(unit, study.case_ids_of(unit)[0]) for unit in study.units_of_stage("first")}

    def changed(old: str, new: str) -> set[str]:
        assert old in yaml
        config = StudyConfig.from_mapping(parse_yaml(yaml.replace(old, new), "study.yaml")).resolved(study.folder)
        other = Study(study.folder, config)
        return {unit for unit in before if other.inputs(unit, other.case_ids_of(unit)[0]) != before[unit]}

    assert changed("crowds: 3", "crowds: 4") == {"crowd_people"}
    assert changed("every: [1, 3]", "every: [1, 2]") == {"crowd/1"}
    assert changed("beyond: 2", "beyond: 1") == set(before)
    assert changed("[faultless]", "[typical]") == set(before)
    monkeypatch.setitem(PEOPLE, "faultless", PEOPLE["careful"])  # another number behind the same name
    assert changed("crowds: 3", "crowds: 3") == set(before)


def test_the_report_has_the_chapter_and_its_tables(finished):
    study, _ = finished
    page = write_report(study).read_text(encoding="utf-8")
    assert "Boxes from a crowd" in page and "loses" in page
    with open(study.folder / "report" / "crowd.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(study.config.crowd.settings)
    assert {row["best_other"] for row in rows} <= set(crowd_tables.WAY_NAMES.values())
    for name in ("crowd_loss", "crowd_people"):
        assert (study.folder / "report" / f"{name}.csv").is_file()
    for path in (study.folder / "units").rglob("*.json"):
        json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)


def test_tables_compare_by_case_and_tell_what_each_way_loses():
    def score(case: int, way: str, missing: str, dsc: float) -> CrowdScore:
        return CrowdScore(ObjectKey(f"c{case}", 1, 1, "bar"), 1, 1, missing, way, 10, dsc, dsc)

    def gap(case: int, way: str) -> float:
        return 0.01 * case + (0.001 * case if way == "memory" else 0)  # no two cases differ by the same

    full, thinned = {"best_scored": 0.8, "by_slice": 0.8, "interpolated": 0.85, "memory": 0.9}, {"memory": 0.88}
    cases = [(case, way, dsc) for case in range(6) for way, dsc in full.items()]
    scores = [score(case, way, NONE_MISSING, dsc + gap(case, way)) for case, way, dsc in cases]
    scores += [score(case, way, "run", thinned.get(way, dsc - 0.2) + gap(case, way)) for case, way, dsc in cases]
    table, loss = crowd_tables.crowd_table(scores), crowd_tables.crowd_loss_table(scores)
    assert table.column("difference")[0].estimate == pytest.approx(0.1025)
    assert table.column("p")[0] == pytest.approx(2 / 2**6)  # six of six
    assert table.column("best_other")[0] == "consensus box, shapes between"
    assert loss.column("lost_memory") == [pytest.approx(0.02)] and loss.column("lost_best_scored") == [pytest.approx(0.2)]
    assert loss.column("less_lost")[0].estimate == pytest.approx(0.18)


def test_a_crowd_answers_once_for_all_units_of_a_case(tmp_path, monkeypatch):
    monkeypatch.setattr(case_work, "study_engine", lambda *_: ScriptedEngine())
    study = make(tmp_path / "study")
    calls = []
    real = crowd_work.made_up_project
    monkeypatch.setattr(crowd_work, "made_up_project", lambda *args, **options: calls.append(1) or real(*args, **options))
    execute(Task(str(study.folder), "p0", ("crowd/1", "crowd/3")), None, lambda *_: None)
    assert len(calls) == 1
