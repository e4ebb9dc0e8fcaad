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
from SAM2AnnotateLib.simulation.effort import GestureSeconds
from SAM2AnnotateLib.statistics import Interval, Summary
from SAM2AnnotateLib.study.records.folder import Study
from SAM2AnnotateLib.study.records.result_reader import read_results
from SAM2AnnotateLib.study.records.results import ObjectKey, WorstFirst
from SAM2AnnotateLib.study.report import comparison_takeaways, takeaways  # fmt: skip
from SAM2AnnotateLib.study.tables import (
    comparison_tables,
    doubt_tables,
    model_tables,
    prompt_tables,
    provenance,
    verdict_tables,
    workload_tables,
    worst_first_tables,
)
from SAM2AnnotateLib.study.tables.tables import KINDS, MOST_SHOWN_ROWS, NOTHING, Column, Table

NAN = float("nan")
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


def test_a_prompt_is_tested_against_the_box_case_by_case(results):
    box, dot, clicks = rows_of(prompt_tables.prompt_table(results.prompts))
    assert (box["prompt"], box["cases"], box["objects"], box["center_dsc_holm_p"], box["center_dsc_mark"]) == ("box", 4, 8, None, None)
    assert box["center_dsc"].median == pytest.approx(0.935)  # 0.90, 0.91 ... 0.97
    assert (box["center_dsc"].lower_quartile, box["center_dsc"].upper_quartile) == pytest.approx((0.9175, 0.9525))
    assert dot["center_dsc_difference"].estimate == pytest.approx(-0.45)  # means of the cases: -0.15, -0.35, -0.55, -0.75
    assert dot["center_dsc_difference"].count == 4
    assert dot["center_dsc_holm_p"] == pytest.approx(2 / 2**4)  # four cases to one side, exact; the larger of two p-values
    assert dot["center_dsc_mark"] == "ns"
    assert clicks["center_dsc_difference"].estimate == pytest.approx(-0.0005)  # of 0.001 and -0.002, and so on
    box, dot, _ = rows_of(prompt_tables.volume_table(results.prompts))
    assert box["volume_dsc"].median == pytest.approx(0.735)
    assert dot["volume_dsc_difference"].estimate == pytest.approx(-0.45)


def test_what_is_known_beforehand_on_the_prompted_slice_is_not_tested_there(results):
    masks = [replace(one, prompt="mask", center_dsc=1.0) for one in results.prompts if one.prompt == "dot"]
    scores = [*results.prompts, *masks]
    assert list(prompt_tables.prompt_tests(scores, "center_dsc")) == ["dot", "clicks"]
    assert list(prompt_tables.prompt_tests(scores, "volume_dsc")) == ["dot", "clicks", "mask"]
    assert prompt_tables.prompt_table(scores).caption.endswith("'mask' is the truth on the prompted slice, and not tested there.")
    sentence, _ = takeaways.of_prompts(prompt_tables.prompt_table(scores), prompt_tables.volume_table(scores))
    assert sentence.endswith("and 1.000 with 'mask'.")


def test_what_cannot_be_said_is_not_shown_as_a_number(results):
    table = prompt_tables.volume_table(results.prompts)
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


# --- what was expected


def test_what_was_expected_is_set_against_what_came(results):
    groups = doubt_tables.foreseen_groups(results, ())
    assert list(groups) == ["none", "low", "high"] and len(groups["none"]) == 80
    rows = {(row["group"], round(row["expected"], 2)): row for row in rows_of(doubt_tables.calibration_of_doubt(groups))}
    sure, unsure = rows["none", 0.92], rows["none", 0.7]
    # Of ten slices, all of DSC 0.8, five were expected to reach 0.92; the interval of the first begins at 0.85, of the others at 0.7.
    assert (sure["slices"], sure["dsc"], sure["low"], sure["covered"]) == (40, pytest.approx(0.8), pytest.approx(0.73), pytest.approx(0.8))
    assert (unsure["slices"], unsure["covered"]) == (40, 1.0)


def test_accepting_together_is_told_by_what_it_saves_and_what_it_lets_pass(results):
    groups = doubt_tables.foreseen_groups(results, ())
    rows = {(row["group"], row["limit"]): row for row in rows_of(doubt_tables.together_table(groups, GestureSeconds(look=1.0, accept=0.5)))}
    low = rows["low", 0.9]
    # 40 of 80; the first slice of each head is corrected, the first three of each tail: 16.
    assert (low["slices"], low["share"], low["would_be_corrected"]) == (40, 0.5, pytest.approx(16 / 40))
    assert (low["not_above_09"], low["dsc"], low["minutes"]) == (1.0, pytest.approx(0.8), pytest.approx(1.0))
    assert rows["low", 0.95]["slices"] == 0 and rows["low", 0.95]["dsc"] is None


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
    assert "median DSC of 0.900; significantly lower: 'none' (0.696, p = 0.023) and 'low'" in sentence
    assert sentence.endswith("no significant difference: 'high' (0.901, p = 0.812).")
    assert rows["none", "mean"]["dsc_difference"].estimate == pytest.approx(-0.2 - 0.001 * 3.5)
    (sentence,) = takeaways.of_quality(workload_tables.quality_table(results.scenarios, results.models), comparisons)
    assert "is 'high': 50.0 % of the reckoned time by hand, with 60.0 % of the slices corrected" in sentence


def test_scores_of_a_model_that_must_be_trained_anew_do_not_count(tmp_path):
    study = a_study(tmp_path / "study", "calibration", "scenarios", "models")
    study.unit_file("models/low", "").unlink()
    found = read_results(Study.open(study.folder))
    assert [model.model for model in found.models] == ["reference", "none", "high"]


# --- workflows


def test_workflows_are_compared_by_case_and_the_worse_case_is_named(study, results):
    rules = study.config.comparison.rules
    paired = comparison_tables.paired_table(results.comparison, rules)
    first, second = rows_of(paired)
    assert (first["rule"], first["workflow"], first["against"], first["cases"]) == ("DSC > 0.8, NSD > 0.5", "ours", "paper", 12)
    assert first["accepted_share_difference"].estimate == pytest.approx((11 * 0.2 - 0.1) / 12)
    assert (first["cases_more"], first["cases_fewer"]) == (11, 1)
    assert first["corrected_of_truth_difference"].estimate == pytest.approx((11 * -20 + 10) / 500 / 12)
    assert first["saved_share_difference"].estimate == pytest.approx((11 * 30 - 15) / 240 / 12)
    assert 0.001 < first["accepted_share_holm_p"] < 0.01  # twelve cases, not twenty-four objects
    assert (second["rule"], second["accepted_share_difference"].estimate, second["accepted_share_holm_p"]) == ("DSC > 0.9", 0, 1)
    cases = verdict_tables.case_table(results.comparison, rules)
    found = {(row["rule"], row["case"]): row["verdict"] for row in rows_of(cases)}
    assert found.pop(("DSC > 0.8, NSD > 0.5", "case_05")) == "worse"
    assert {said for (rule, _), said in found.items() if rule == "DSC > 0.9"} == {"equal"}
    assert list(found.values()).count("better") == 11
    worse = next(row for row in rows_of(cases) if row["case"] == "case_05")
    assert (worse["accepted_share_first"], worse["accepted_share_second"]) == pytest.approx((0.5, 0.6))
    assert (worse["corrected_pixels_first"], worse["corrected_pixels_second"]) == (100, 80)
    verdicts = verdict_tables.verdict_table(cases, ("ours", "paper"))
    assert [(row["better"], row["equal"], row["worse"], row["worse_cases"]) for row in rows_of(verdicts)] == [
        (11, 0, 1, "case_05"), (0, 12, 0, None),
    ]  # fmt: skip
    (sentence,) = comparison_takeaways.of_verdicts(verdicts, ("ours", "paper"))
    assert "'ours' is better than 'paper' in 11 of 24, worse in 1, mixed in 0, equal in 12 and open in 0." in sentence


def test_the_same_rule_is_asked_from_either_side():
    ours = verdict_tables.CaseOutcome(0.8, 39, 0.95, 1.0)
    assert verdict_tables.verdict(ours, replace(ours, accepted=0.7)) == "better"
    assert verdict_tables.verdict(ours, replace(ours, accepted=0.7, pixels=30)) == "mixed"  # more slices accepted, more pixels corrected
    assert verdict_tables.verdict(ours, replace(ours, pixels=40, dsc=0.954)) == "better"  # fewer pixels for the same DSC
    assert verdict_tables.verdict(ours, replace(ours, pixels=40, dsc=0.956)) == "open"  # fewer pixels for a lower DSC
    assert verdict_tables.verdict(ours, replace(ours, pixels=38)) == "worse"
    assert verdict_tables.verdict(ours, ours) == "equal"


def test_only_cases_that_every_workflow_has_finished_are_compared(study, results):
    rules = study.config.comparison.rules
    found = {**results.comparison, ("paper", 0): results.comparison["paper", 0][:3]}  # the objects of case_00, one of case_01
    alike = comparison_tables.alike(found)
    assert {key: len(objects) for key, objects in alike.items()} == {("ours", 0): 3, ("ours", 1): 24, ("paper", 0): 3, ("paper", 1): 24}
    assert comparison_tables.comparison_table(alike, rules).column("cases") == [2, 2, 12, 12]


def test_a_sum_that_says_the_contrary_of_the_mean_of_cases_is_said(study, results):
    rules = study.config.comparison.rules[:1]
    first, second = results.comparison["ours", 0][0], results.comparison["ours", 0][2]

    def with_pixels(pixels: int, big: int) -> list:
        return [
            replace(first, effort=replace(first.effort, corrected_pixels=pixels)),
            replace(second, truth_pixels=100_000, effort=replace(second.effort, corrected_pixels=big)),
        ]

    # Of the truth's: 2 and 20 % against 8 and 19 %; in pixels 20,010 against 19,040.
    found = {("ours", 0): with_pixels(10, 20_000), ("paper", 0): with_pixels(40, 19_000)}
    table, paired = comparison_tables.comparison_table(found, rules), comparison_tables.paired_table(found, rules)
    (sentence,) = comparison_takeaways.of_pair(table, paired, ("ours", "paper"))
    assert "corrected are 11.0 % and 13.5 % of the truth's pixels" in sentence
    assert sentence.endswith("which large objects rule, are the other way round: 20,010 and 19,040.")
    _, short = comparison_takeaways.in_short(table, paired, ("ours", "paper"), "")
    assert short.endswith("20,010 and 19,040 if DSC > 0.8, NSD > 0.5.")


def test_a_workflow_that_is_ahead_of_the_first_is_named(study, results):
    rules = study.config.comparison.rules
    swapped = {("paper" if name == "ours" else "ours", rule): objects for (name, rule), objects in results.comparison.items()}
    table = comparison_tables.comparison_table(swapped, rules)
    (sentence,) = comparison_takeaways.others_in_short(table, "ours")
    assert sentence.startswith("Ahead of 'ours' at some rules: more slices accepted with 'paper' at 1 of 2; fewer of the truth's pixels")
    accepted, _, _ = comparison_takeaways.of_others(table, "ours")
    assert accepted == "More slices accepted than with 'ours': at DSC > 0.8, NSD > 0.5 (60.0 %) with 'paper' (77.5 %)."
    assert comparison_takeaways.of_others(table, "paper") == ()


def test_stock_sam_2_is_named_where_it_is(study):
    ours, paper = rows_of(comparison_tables.workflow_table(study.config.comparison.workflows))
    assert "repeats stock SAM 2 to the bit" in paper["what"]
    assert "a region around the object (auto), from the center to each end" in ours["what"]


def test_without_ours_and_paper_the_first_two_workflows_are_compared(results):
    renamed = {("a" if name == "paper" else "b", rule): objects for (name, rule), objects in results.comparison.items()}
    assert comparison_tables.head_to_head(renamed) == ("b", "a")
    assert comparison_tables.head_to_head({key: rows for key, rows in renamed.items() if key[0] == "a"}) is None
    assert verdict_tables.case_table({("a", 0): renamed["a", 0]}, [Acceptance(0.8, 0.5)]) is None


def test_what_drawing_the_worst_slice_does_is_told_slice_by_slice_and_a_fall_is_counted(study, results):
    found = worst_first_tables.alike(results.worst_first)
    rows = rows_of(worst_first_tables.worst_first_table(found))
    assert [(row["workflow"], row["drawn"], row["objects"], row["fell"]) for row in rows] == [
        ("ours", 0, 24, None), ("ours", 1, 24, 0), ("ours", 2, 24, 0), ("paper", 0, 24, None), ("paper", 1, 24, 2), ("paper", 2, 24, 0),
    ]  # fmt: skip
    assert [round(row["dsc"], 4) for row in rows] == [0.7, 0.8, 0.9, 0.6, round((11 * 0.7 + 0.55) / 12, 4), 0.8]
    assert [round(row["pixels_of_truth"], 3) for row in rows[:3]] == [0, 0.02, 0.04]
    (ours, paper) = comparison_takeaways.of_worst_first(worst_first_tables.worst_first_table(found))
    assert "'ours': 3-D DSC 0.700 with 0, 0.800 with 1 and 0.900 with 2 slices drawn; a slice made 0 and 0 of 24 objects worse" in ours
    assert "2 and 0 of 24 objects worse by more than 0.01" in paper


def test_an_object_with_few_slices_keeps_its_last_score_and_one_that_begins_with_more_is_not_there_before(results):
    one = WorstFirst(ObjectKey("a", 1, 1, "head"), 100, ((3, 30, 0.8), (4, 35, 0.9)))
    assert worst_first_tables.after(one, 2) is None
    assert worst_first_tables.after(one, 3) == (30, 0.8) and worst_first_tables.after(one, 9) == (35, 0.9)


def test_a_table_of_very_many_cases_is_for_the_csv(results):
    ours, paper = (results.comparison[name, 0][0] for name in ("ours", "paper"))
    keys = [ours.key._replace(case=f"case_{number:03d}") for number in range(MOST_SHOWN_ROWS + 1)]
    found = {("ours", 0): [replace(paper, key=key, corrected=5) for key in keys], ("paper", 0): [replace(paper, key=key) for key in keys]}
    cases = verdict_tables.case_table(found, [Acceptance(0.8, 0.5)])
    assert len(cases.rows) == len(keys) and not cases.shown


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
    assert np.isnan(results.prompts[0].salient_dsc)


# --- runs


def event(minute: int, name: str, **values) -> dict:
    return {"time": f"2026-11-21T16:{minute:02d}:00+00:00", "event": name, **values}


def test_a_run_without_an_end_was_killed_unless_it_goes_on(tmp_path):
    study = a_study(tmp_path / "study")
    log = [
        event(0, "run started"), event(2, "unit finished", unit="sweep", case="case_00", seconds=90.0), event(3, "unit failed"),
        event(5, "run started"), event(6, "unit finished", unit="sweep", case="case_01", seconds=30.0), event(7, "run stopped"),
        event(8, "run started"), event(9, "unit finished", unit="sweep", case="case_01", seconds=30.0),
    ]  # fmt: skip
    write_log(study, *log)
    found = read_results(study)
    rows = rows_of(provenance.run_table(provenance.runs_of(found.events, running=True)))
    assert [(row["ended"], row["minutes"], row["units"], row["failed"], row["unit_minutes"]) for row in rows] == [
        ("killed", 3.0, 1, 1, 1.5), ("stopped", 2.0, 1, 0, 0.5), ("goes on", 1.0, 1, 0, 0.5),
    ]  # fmt: skip
    assert [run.ended for run in provenance.runs_of(found.events)] == ["killed", "stopped", "killed"]
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
        ("points_interval", Interval(0.0123, -0.004, 0.02, 0.95, 9), "+1.2 [-0.4, +2.0]"),
        ("interval", Interval(-0.5, NAN, NAN, 0.95, 1), "-0.500"),
        ("digest", "0123456789abcdef0", "0123456789ab..."),
        ("signed_score", 0.01, "+0.010"),
        ("p", 0.001, "0.001"),
        ("p", 1.0, "1.000"),
    ],
)
def test_a_value_is_shown_by_the_kind_of_its_column(kind, value, text):
    assert KINDS[kind](value) == text
