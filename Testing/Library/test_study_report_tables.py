"""The tables of a made-up study, whose values can be worked out by hand: see `study_results`."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from study_results import EVIL, a_study, finish_scenarios, write_log

from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.simulation.acceptance import Acceptance
from SAM2AnnotateLib.statistics import Summary
from SAM2AnnotateLib.study import comparison_tables, model_tables, prompt_tables, provenance, takeaways, workload_tables
from SAM2AnnotateLib.study.folder import Study
from SAM2AnnotateLib.study.result_reader import read_results
from SAM2AnnotateLib.study.tables import KINDS, MOST_SHOWN_ROWS, NOTHING, Column, Table

pytest.importorskip("scipy")
pytest.importorskip("SimpleITK")
pytest.importorskip("yaml")


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    return a_study(tmp_path_factory.mktemp("made_up") / "study", "prompts", "calibration", "scenarios", "comparison", "models")


@pytest.fixture(scope="module")
def results(study):
    return read_results(study)


def rows_of(table: Table) -> list[dict]:
    return [dict(zip((column.name for column in table.columns), row, strict=True)) for row in table.rows]


# --- prompts


def test_a_prompt_is_tested_against_the_box_object_by_object(results):
    box, dot, clicks = rows_of(prompt_tables.prompt_table(results.prompts))
    assert (box["prompt"], box["objects"], box["holm_p"], box["mark"]) == ("box", 8, None, None)
    assert box["center_dsc"].median == pytest.approx(0.935)  # 0.90, 0.91 ... 0.97
    assert (box["center_dsc"].lower_quartile, box["center_dsc"].upper_quartile) == pytest.approx((0.9175, 0.9525))
    assert box["volume_dsc"].median == pytest.approx(0.735)
    assert dot["center_dsc_difference"] == pytest.approx(-0.45)  # between -0.4 and -0.5
    assert dot["holm_p"] == pytest.approx(2 * 2 / 2**8)  # all eight to one side, exact; the smaller of two p-values
    assert dot["mark"] == "*"
    assert clicks["center_dsc_difference"] == pytest.approx(-0.0005)  # between -0.002 and 0.001
    assert clicks["mark"] == "ns"


def test_what_cannot_be_said_is_not_shown_as_a_number(results):
    table = prompt_tables.prompt_table(results.prompts)
    shown = dict(zip((column.name for column in table.columns), table.cells()[0], strict=True))
    assert shown["volume_nsd"] == shown["salient_dsc"] == NOTHING
    assert shown["salient_objects"] == "0"


def test_an_object_that_needs_fewer_clicks_keeps_its_score(results):
    by_click = prompt_tables.click_scores(results.prompts, "clicks")
    assert by_click[7].tolist() == [0.962] * 3  # 0.97 - 0.008, at the first click
    assert by_click[0].tolist() == [0.5, 0.7, 0.901]
    first, second, third = rows_of(prompt_tables.click_table(results.prompts))
    assert [first["clicks"], second["clicks"], third["clicks"]] == [1, 2, 3]
    assert first["median_gain"] is None
    # 0.2, 0.19 ... 0.14 for objects 0..6, 0 for object 7: the middle two are 0.17 and 0.16.
    assert second["median_gain"] == pytest.approx(0.165)


def test_a_box_before_the_clicks_is_no_click(results):
    with_box = [replace(one, prompt="box+clicks") for one in results.prompts if one.prompt == "clicks"]
    assert prompt_tables.click_table(with_box).column("clicks") == [0, 1, 2]


def test_a_fall_by_a_click_is_said(results):
    columns = prompt_tables.click_table(results.prompts).columns
    rows = tuple(("clicks", n, 3, Summary(3, 0, median, median, median, median), None) for n, median in ((1, 0.5), (2, 0.7), (3, 0.6)))
    (sentence,) = takeaways.of_clicks(Table("clicks", "", columns, rows))
    assert sentence == "With 'clicks' the median DSC goes from 0.500 at 1 to 0.600 at 3; it falls at click 3."


# --- calibration and scenarios


def test_the_calibration_table_says_what_thresholds_do_alone_and_together(results):
    low, high = rows_of(workload_tables.calibration_table(results.calibration, results.scenarios))
    assert (low["target"], low["dsc_threshold"], low["nsd_threshold"]) == (0.2, 0.85, 0.6)
    assert (low["share_by_dsc"], low["share_by_nsd"]) == pytest.approx((0.2, 0.15))  # between 0 and 40 %, and 0 and 30 %
    assert low["share_reached"] == pytest.approx(16 / 80)
    assert (high["share_by_nsd"], high["share_reached"], high["off_target"]) == pytest.approx((0.6, 0.6, 0.0))


def test_a_scenario_sums_up_over_objects_and_by_label(results):
    rows = {(row["scenario"], row["label"]): row for row in rows_of(workload_tables.scenario_table(results.scenarios))}
    assert list(rows)[:3] == [("none", "all"), ("low", "all"), ("high", "all")]
    low = rows["low", "all"]
    assert (low["cases"], low["objects"], low["slices"]) == (4, 8, 80)
    assert (low["accepted_share"], low["corrected_share"]) == pytest.approx((0.8, 0.2))
    assert (low["prompts"], low["corrections"], low["corrected_pixels"], low["slices_viewed"]) == (8, 16, 160, 80)
    assert (low["minutes"], low["minutes_by_hand"], low["saved_share"]) == pytest.approx((8.0, 32.0, 0.75))  # 8 * 30 s + 16 * 15 s
    assert low["dsc"].median == pytest.approx(0.935)
    tail = rows["low", EVIL]
    assert (tail["objects"], tail["corrected_share"], tail["minutes"]) == pytest.approx((4, 0.3, 5.0))
    assert tail["dsc"].median == pytest.approx(0.94)  # 0.91, 0.93, 0.95, 0.97


def test_work_is_set_against_the_quality_of_labels_and_models(results):
    none, low, high, by_hand = rows_of(workload_tables.quality_table(results.scenarios, results.models))
    assert [row["minutes"] for row in (none, low, high, by_hand)] == pytest.approx([4, 8, 16, 32])
    assert [row["share_of_manual"] for row in (none, low, high, by_hand)] == pytest.approx([0.125, 0.25, 0.5, 1])
    assert [row["label_dsc"] for row in (none, low, high, by_hand)] == pytest.approx([0.835, 0.935, 0.955, 1])
    assert low["model_dsc"] == pytest.approx(0.85 - 0.002 * 3.5)
    assert by_hand["model_dsc"] == pytest.approx(0.9)


# --- models


def test_models_are_tested_against_the_reference_with_holms_correction(results):
    comparisons = model_tables.model_comparisons(results.models)
    rows = {(row["model"], row["label"]): row for row in rows_of(model_tables.model_table(results.models, comparisons))}
    assert len(rows) == 4 * 3  # the mean and two labels
    assert rows["reference", "mean"]["dsc_holm_p"] is None
    assert rows["none", "mean"]["dsc_holm_p"] == pytest.approx(3 * 2 / 2**8)
    assert rows["none", "mean"]["dsc_mark"] == "*"
    assert rows["high", "mean"]["dsc_mark"] == "ns"
    assert rows["low", "mean"]["nsd"].median == pytest.approx(0.793)
    (sentence,) = takeaways.of_models(model_tables.model_table(results.models, comparisons), comparisons)
    assert "median DSC of 0.900; significantly different: 'none' (0.696, p = 0.023) and 'low'" in sentence
    (sentence,) = takeaways.of_quality(workload_tables.quality_table(results.scenarios, results.models), comparisons)
    assert "is 'high': 50.0 % of the time by hand, with 60.0 % of the slices corrected" in sentence


def test_scores_of_a_model_that_must_be_trained_anew_do_not_count(tmp_path):
    study = a_study(tmp_path / "study", "calibration", "scenarios", "models")
    study.unit_file("models/low", "").unlink()
    found = read_results(Study.open(study.folder))
    assert [model.model for model in found.models] == ["reference", "none", "high"]


# --- workflows


def test_workflows_are_compared_by_object_and_the_worse_case_is_named(study, results):
    rules = study.config.comparison.rules
    paired = comparison_tables.paired_table(results.comparison, rules)
    first, second = rows_of(paired)
    assert (first["rule"], first["workflow"], first["against"], first["objects"]) == ("DSC > 0.8, NSD > 0.5", "ours", "paper", 24)
    assert first["accepted_share_difference"] == pytest.approx((22 * 0.2 - 2 * 0.1) / 24)
    assert (first["objects_more"], first["objects_fewer"]) == (22, 2)
    assert first["corrected_pixels_difference"] == 22 * -20 + 2 * 10
    assert first["holm_p"] < 0.001
    assert (second["rule"], second["accepted_share_difference"], second["holm_p"]) == ("DSC > 0.9", 0, 1)
    cases = comparison_tables.case_table(results.comparison, rules)
    verdicts = {(row["rule"], row["case"]): row["verdict"] for row in rows_of(cases)}
    assert verdicts.pop(("DSC > 0.8, NSD > 0.5", "case_05")) == "not better"
    assert {verdict for (rule, _), verdict in verdicts.items() if rule == "DSC > 0.9"} == {"equal"}
    assert list(verdicts.values()).count("better") == 11
    worse = next(row for row in rows_of(cases) if row["case"] == "case_05")
    assert (worse["accepted_share_first"], worse["accepted_share_second"]) == pytest.approx((0.5, 0.6))
    assert (worse["corrected_pixels_first"], worse["corrected_pixels_second"]) == (100, 80)
    sentences = takeaways.of_comparison(paired, cases, comparison_tables.head_to_head(results.comparison))
    assert sentences[-1] == "Case by case 'ours' is better in 11 of 24, equal in 12, not better in case_05 (DSC > 0.8, NSD > 0.5)."


def test_fewer_pixels_are_better_only_for_the_same_final_dsc(results):
    ours, paper = (list(results.comparison[name, 1]) for name in ("ours", "paper"))
    key, effort = ours[0].key, ours[0].effort

    def verdict(dsc: float) -> str:
        own = replace(ours[0], effort=replace(effort, corrected_pixels=39), dsc=dsc)  # of 40
        table = comparison_tables.case_table({("ours", 0): [own], ("paper", 0): [paper[0]]}, [Acceptance(0.9, 0)])
        assert table.rows[0][1] == key.case
        return table.column("verdict")[0]

    assert verdict(0.946) == "better"  # the paper's is 0.95
    assert verdict(0.944) == "not better"


def test_without_ours_and_paper_the_first_two_workflows_are_compared(results):
    renamed = {("a" if name == "paper" else "b", rule): objects for (name, rule), objects in results.comparison.items()}
    assert comparison_tables.head_to_head(renamed) == ("b", "a")
    assert comparison_tables.head_to_head({key: rows for key, rows in renamed.items() if key[0] == "a"}) is None
    assert comparison_tables.case_table({("a", 0): renamed["a", 0]}, [Acceptance(0.8, 0.5)]) is None


def test_a_table_of_very_many_cases_is_for_the_csv_and_the_sentence_stays_short(results):
    ours, paper = (results.comparison[name, 0][0] for name in ("ours", "paper"))
    count = MOST_SHOWN_ROWS + 1
    keys = [ours.key._replace(case=f"case_{number:03d}") for number in range(count)]
    found = {("ours", 0): [replace(paper, key=key, corrected=5) for key in keys], ("paper", 0): [replace(paper, key=key) for key in keys]}
    rules = [Acceptance(0.8, 0.5)]
    cases = comparison_tables.case_table(found, rules)
    assert len(cases.rows) == count and not cases.shown
    *_, sentence = takeaways.of_comparison(comparison_tables.paired_table(found, rules), cases, ("ours", "paper"))
    assert sentence.startswith("Case by case 'ours' is better in 0 of 121, equal in 0, not better in case_000 (DSC > 0.8, NSD > 0.5), ")
    assert sentence.endswith(f"case_011 (DSC > 0.8, NSD > 0.5) and {count - 12} more.")


# --- what was read


def test_a_stage_that_is_half_done_counts_what_there_is(tmp_path):
    study = a_study(tmp_path / "study", "calibration")
    finish_scenarios(study, ("none",), most_cases=1)
    found = read_results(Study.open(study.folder))
    assert {one.unit: (one.finished, one.total) for one in found.progress_of("scenarios")} == {
        "scenarios/none": (1, 4), "scenarios/low": (0, 4), "scenarios/high": (0, 4),
    }  # fmt: skip
    assert list(found.scenarios) == ["none"]
    assert rows_of(workload_tables.calibration_table(found.calibration, found.scenarios))[0]["share_reached"] is None


def test_a_unit_that_holds_something_else_is_named(tmp_path):
    study = a_study(tmp_path / "study", "prompts")
    study.write("prompts", "case_01", {"objects": [{"label": 1}]}, 1.0)
    with pytest.raises(InputError, match=r"case_01.json' does not hold a result of 'prompts': KeyError 'instance'. Remove it"):
        read_results(Study.open(study.folder))


def test_null_is_not_a_number(results):
    assert np.isnan(results.prompts[0].volume_nsd)
    assert np.isnan(results.scenarios["none"][0].hd95_mm)


# --- runs


def event(minute: int, name: str, **values) -> dict:
    return {"time": f"2026-11-21T16:{minute:02d}:00+00:00", "event": name, **values}


def test_a_run_without_an_end_was_killed_unless_it_is_the_last(tmp_path):
    study = a_study(tmp_path / "study")
    log = [
        event(0, "run started"), event(2, "unit finished", unit="sweep", case="case_00", seconds=90.0), event(3, "unit failed"),
        event(5, "run started"), event(6, "unit finished", unit="sweep", case="case_01", seconds=30.0), event(7, "run stopped"),
        event(8, "run started"), event(9, "unit finished", unit="sweep", case="case_01", seconds=30.0),
    ]  # fmt: skip
    write_log(study, *log)
    found = read_results(study)
    rows = rows_of(provenance.run_table(found.events))
    assert [(row["ended"], row["minutes"], row["units"], row["failed"], row["unit_minutes"]) for row in rows] == [
        ("killed", 3.0, 1, 1, 1.5), ("stopped", 2.0, 1, 0, 0.5), ("not finished", 1.0, 1, 0, 0.5),
    ]  # fmt: skip
    assert provenance.units_done_twice(found.events) == 1
    assert found.damaged_log_lines == 0


def test_a_log_line_that_a_power_failure_cut_off_is_counted(tmp_path):
    study = a_study(tmp_path / "study")
    whole = json.dumps(event(0, "run started"))
    (study.folder / "log.jsonl").write_text(f'{whole}\n{{"time": "2026\n{whole}\n', encoding="utf-8")
    found = read_results(study)
    assert (len(found.events), found.damaged_log_lines) == (2, 1)
    assert provenance.runs_of(()) == []


def test_weights_and_files_are_told_by_their_digest(study):
    settings = dict(zip(*(provenance.setting_table(study).column(name) for name in ("what", "value")), strict=True))
    assert settings["weights, SHA-256"] == "701c81597d07b8e88c3ac0688b04fa3d83706c9dee9be7a5af191b1104b77f16"
    assert settings["seed of the nnU-Nets"] == 3
    cases = rows_of(provenance.case_table(study))
    assert [row["part"] for row in cases] == ["train"] * 4 + ["test"] * 8
    assert len({row["image_sha256"] for row in cases}) == 12
    assert cases[0]["image"] == "case_00_image.nii.gz"


# --- the table itself


def test_people_and_csv_see_the_same_values():
    columns = (Column("what", "What"), Column("share", "Share", "share"), Column("dsc", "DSC", "summary"), Column("p", "p", "p"))
    rows = (("a,b", 0.123456, Summary(3, 0, 0.5, 0.25, 0.75, 0.5), 0.0004), ("c", float("nan"), Summary(0, 1, *[float("nan")] * 4), None))
    table = Table("name", "", columns, rows)
    assert table.cells() == [["a,b", "12.3 %", "0.500 [0.250, 0.750]", "< 0.001"], ["c", NOTHING, NOTHING, NOTHING]]
    assert list(csv.reader(io.StringIO(table.csv_text()))) == [
        ["what", "share", "dsc_median", "dsc_lower_quartile", "dsc_upper_quartile", "p"],
        ["a,b", "0.123456", "0.5", "0.25", "0.75", "0.0004"],
        ["c", "nan", "nan", "nan", "nan", ""],
    ]


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("count", 1234567, "1,234,567"),
        ("points", -0.0123, "-1.2"),
        ("signed_score", 0.01, "+0.010"),
        ("p", 0.001, "0.001"),
        ("p", 1.0, "1.000"),
    ],
)
def test_a_value_is_shown_by_the_kind_of_its_column(kind, value, text):
    assert KINDS[kind](value) == text
