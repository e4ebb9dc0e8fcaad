"""Scores of predictions, comparison of models, tables and box plots."""

from __future__ import annotations

import argparse
import csv
import json
import math

import numpy as np
import pytest
from patients import names_in

from SAM2AnnotateLib.cli.nnunet import evaluation as evaluation_command
from SAM2AnnotateLib.errors import GridMismatchError, InputError, OutputError
from SAM2AnnotateLib.geometry import Volume, VolumeGrid
from SAM2AnnotateLib.metrics import Scores
from SAM2AnnotateLib.nnunet.scores.box_plots import write_box_plots
from SAM2AnnotateLib.nnunet.scores.comparison import compare
from SAM2AnnotateLib.nnunet.scores.evaluation import MEAN, CaseScore, EvaluatedLabel, Evaluation, LabelTable, evaluate_case, read_labels
from SAM2AnnotateLib.nnunet.scores.evaluation_tables import read_scores_csv, summary_markdown, write_scores_csv, write_summary_csv
from SAM2AnnotateLib.statistics import holm_adjusted, wilcoxon_signed_rank
from SAM2AnnotateLib.volume_io import write_volume

GRID = VolumeGrid((6, 8, 10), np.array([[-1.0, 0, 0, 10], [0, -2, 0, 20], [0, 0, 3, 30], [0, 0, 0, 1]]))
TABLE = LabelTable((EvaluatedLabel("front", (1,)), EvaluatedLabel("back", (2,))), None, ".nii.gz")


def labels(**boxes):
    """A label map with value N in the (k, j, i) box of ``vN``."""
    array = np.zeros(GRID.shape_kji, np.uint8)
    for name, box in boxes.items():
        array[box] = int(name[1:])
    return Volume(GRID, array)


def scores_by_label(prediction, truth, table=TABLE, **options):
    return {row.label: row for row in evaluate_case("x", prediction, truth, table, **options)}


FRONT, BACK = np.s_[1:4, 2:6, 1:5], np.s_[1:4, 2:6, 6:9]


def made_up(model, seed, shift=0.0, cases=12, tolerance=1.0):
    """An evaluation of random scores; a shift makes it better."""
    rng = np.random.default_rng(seed)
    rows = []
    for case in range(cases):
        for label in ("front", MEAN):
            dsc, nsd = np.clip(rng.uniform(0.5, 0.8, 2) + shift, 0, 1)
            rows.append(CaseScore(f"case{case}", label, float(dsc), float(nsd), float(rng.uniform(1, 5) - shift)))
    return Evaluation(model, tuple(rows), tolerance)


def test_every_label_has_the_scores_of_its_mask_with_the_grids_spacing():
    prediction, truth = labels(v1=np.s_[1:4, 2:6, 2:5], v2=BACK), labels(v1=FRONT, v2=BACK)
    found = scores_by_label(prediction, truth)
    expected = Scores.of(prediction.array_kji == 1, truth.array_kji == 1, (3.0, 2.0, 1.0), 1.0)
    assert (found["front"].dsc, found["front"].nsd, found["front"].hd95_mm) == (expected.dsc, expected.nsd, expected.hd95_mm)
    assert found["front"].dsc == pytest.approx(2 * 36 / (36 + 48))
    assert (found["back"].dsc, found["back"].nsd, found["back"].hd95_mm) == (1.0, 1.0, 0.0)
    assert found[MEAN].dsc == pytest.approx((found["front"].dsc + 1.0) / 2)


def test_a_label_that_is_nowhere_is_left_out_of_the_mean():
    found = scores_by_label(labels(v1=FRONT), labels(v1=FRONT))
    assert math.isnan(found["back"].dsc)
    assert (found[MEAN].dsc, found[MEAN].hd95_mm) == (1.0, 0.0)


def test_a_missed_label_counts_as_zero_and_infinitely_far():
    found = scores_by_label(labels(v1=FRONT), labels(v1=FRONT, v2=BACK))
    assert (found["back"].dsc, found["back"].nsd, found["back"].hd95_mm) == (0.0, 0.0, math.inf)
    assert (found[MEAN].dsc, found[MEAN].hd95_mm) == (0.5, math.inf)


def test_a_region_is_scored_as_one():
    whole = LabelTable((EvaluatedLabel("both", (1, 2)),), None, ".nii.gz")
    assert scores_by_label(labels(v2=FRONT, v1=BACK), labels(v1=FRONT, v2=BACK), whole)["both"].dsc == 1.0


def test_voxels_that_nobody_labeled_count_neither_for_nor_against():
    table = LabelTable((EvaluatedLabel("front", (1,)),), 2, ".nii.gz")
    truth = labels(v1=FRONT, v2=BACK)
    assert scores_by_label(labels(v1=np.s_[1:4, 2:6, 1:9]), truth, table)["front"].dsc < 1.0  # the column between the two is background
    mixed = labels(v1=FRONT).array_kji.copy()
    mixed[BACK] = 1
    assert scores_by_label(Volume(GRID, mixed), truth, table)["front"].dsc == 1.0


def test_a_prediction_on_another_grid_is_refused():
    other = Volume(VolumeGrid(GRID.shape_kji, np.eye(4)), np.zeros(GRID.shape_kji, np.uint8))
    with pytest.raises(GridMismatchError, match="The prediction of case 'x' and its truth"):
        evaluate_case("x", other, labels(v1=FRONT), TABLE)


def test_labels_regions_and_the_ignore_label_are_read_from_nnunets_description(tmp_path):
    content = {"labels": {"background": 0, "whole": [1, 2], "core": 2, "ignore": 3}, "file_ending": ".nrrd"}
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    table = read_labels(tmp_path / "dataset.json")
    assert table.labels == (EvaluatedLabel("whole", (1, 2)), EvaluatedLabel("core", (2,)))
    assert (table.ignore, table.ending) == (3, ".nrrd")
    (tmp_path / "dataset.json").write_text('{"labels": [1, 2]}')
    with pytest.raises(InputError, match="'labels' should be an object, it is a list"):
        read_labels(tmp_path / "dataset.json")


def test_models_are_compared_with_the_reference_and_corrected_over_the_models():
    models = [made_up("reference", 0), made_up("alike", 1), made_up("better", 2, 0.2), made_up("a little better", 3, 0.08)]
    found = [one for one in compare(models, "reference") if (one.metric, one.label) == ("dsc", "front")]
    assert [one.model for one in found] == ["alike", "better", "a little better"]
    raw = [wilcoxon_signed_rank(model.values("dsc", "front"), models[0].values("dsc", "front")).p_value for model in models[1:]]
    assert [one.adjusted_p for one in found] == pytest.approx(holm_adjusted(raw).tolist())
    assert found[1].mark in ("**", "***")
    assert found[0].mark == "ns"
    assert found[1].difference.lower > 0


@pytest.mark.parametrize(
    ("p", "mark"), [(0.0009, "***"), (0.001, "**"), (0.0099, "**"), (0.01, "*"), (0.049, "*"), (0.05, "ns"), (math.nan, "ns")]
)
def test_marks_stand_for_adjusted_p_values(p, mark):
    (one, *_) = compare([made_up("a", 0), made_up("b", 1)], "a")
    assert type(one)(one.model, one.reference, one.label, one.metric, one.test, p, one.difference).mark == mark


@pytest.mark.parametrize(
    ("other", "reference", "complaint"),
    [
        (made_up("b", 1, cases=11), "a", "different cases or labels"),
        (made_up("b", 1, tolerance=2.0), "a", "tolerance of 2 mm"),
        (made_up("a", 1), "a", "one name"),
        (made_up("b", 1), "c", "no model 'c'"),
    ],
)
def test_models_that_cannot_be_compared_are_refused(other, reference, complaint):
    with pytest.raises(InputError, match=complaint):
        compare([made_up("a", 0), other], reference)


def test_scores_survive_their_table(tmp_path):
    rows = (CaseScore("x", "front", 0.5, 0.25, math.inf), CaseScore("x", MEAN, math.nan, math.nan, math.nan))
    write_scores_csv(tmp_path / "scores.csv", [Evaluation("a, with a comma", rows, 2.0)])
    (back,) = read_scores_csv(tmp_path / "scores.csv")
    assert (back.model, back.tolerance_mm, back.scores[0]) == ("a, with a comma", 2.0, rows[0])
    assert math.isnan(back.scores[1].dsc)
    (tmp_path / "scores.csv").write_text("model,case\na,x\n")
    with pytest.raises(InputError, match="no table of scores"):
        read_scores_csv(tmp_path / "scores.csv")


def test_the_summary_has_a_row_for_every_model_label_and_metric(tmp_path):
    models = [made_up("reference", 0), made_up("better", 2, 0.2)]
    write_summary_csv(tmp_path / "summary.csv", models, compare(models, "reference"))
    with open(tmp_path / "summary.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 2 * 3
    row = next(row for row in rows if (row["model"], row["label"], row["metric"]) == ("better", MEAN, "dsc"))
    assert float(row["median"]) == pytest.approx(np.median(models[1].values("dsc")), abs=1e-5)
    assert float(row["holm_p"]) < 0.01
    assert float(row["median_ci95_lower"]) < float(row["median"]) < float(row["median_ci95_upper"])
    assert next(row for row in rows if row["model"] == "reference")["holm_p"] == ""


def test_the_markdown_table_has_as_many_cells_in_every_row():
    models = [made_up("reference", 0), made_up("better|best", 2, 0.2)]
    lines = summary_markdown(models, compare(models, "reference")).splitlines()
    table = [line.replace("\\|", "") for line in lines if line.startswith("|")]
    assert {line.count("|") for line in table} == {7}
    assert "p = " in table[-1] or "p < 0.001" in table[-1]
    assert "Wilcoxon" in lines[-1]


def test_box_plots_are_drawn_with_a_bracket_for_every_comparison(tmp_path):
    pytest.importorskip("matplotlib")
    models = [made_up("reference", 0), made_up("better", 2, 0.2), made_up("alike", 1)]
    comparisons = compare(models, "reference")
    write_box_plots(tmp_path / "boxes.svg", models, comparisons)
    write_box_plots(tmp_path / "bare.svg", models, [])
    drawn, bare = ((tmp_path / name).read_text() for name in ("boxes.svg", "bare.svg"))
    shown = [one.mark for one in comparisons if one.label == MEAN and one.metric in ("dsc", "nsd")]
    assert len(shown) == 4
    for mark in set(shown):
        assert drawn.count(f"<!-- {mark} -->") == shown.count(mark)
        assert f"<!-- {mark} -->" not in bare


def test_box_plots_say_what_they_do_not_show(tmp_path):
    pytest.importorskip("matplotlib")
    missed = Evaluation("missed", (CaseScore("x", MEAN, 0.0, 0.0, math.inf), CaseScore("y", MEAN, 0.9, 0.9, 1.0)), 1.0)
    write_box_plots(tmp_path / "boxes.svg", [missed], [], metrics=("hd95_mm",))
    assert "(1 not shown)" in (tmp_path / "boxes.svg").read_text()
    with pytest.raises(OutputError, match="ends in .png, .svg, .pdf"):
        write_box_plots(tmp_path / "boxes.bmp", [missed], [])


@pytest.fixture
def a_study(tmp_path):
    """A data set with three test cases, and the predictions of two models: one perfect, one that lacks a column."""
    for folder in ("Dataset012_X/labelsTs", "good", "poor"):
        (tmp_path / folder).mkdir(parents=True)
    content = {"labels": {"background": 0, "front": 1, "back": 2}, "file_ending": ".nii.gz"}
    (tmp_path / "Dataset012_X" / "dataset.json").write_text(json.dumps(content))
    for number in range(3):
        truth = labels(v1=np.s_[1:4, 2:6, 1 : 4 + number], v2=BACK)
        for folder in ("Dataset012_X/labelsTs", "good"):
            write_volume(truth, tmp_path / folder / f"case{number}.nii.gz")
        write_volume(labels(v1=np.s_[1:4, 2:6, 2 : 4 + number], v2=BACK), tmp_path / "poor" / f"case{number}.nii.gz")
    return tmp_path


def evaluate(*arguments):
    parser = argparse.ArgumentParser()
    evaluation_command.add_parser(parser.add_subparsers())
    options = parser.parse_args(["evaluate", *map(str, arguments)])
    return options.run(options)


def test_the_command_scores_compares_and_writes_everything(a_study, capsys):
    pytest.importorskip("matplotlib")
    models = f"good={a_study / 'good'}", f"poor={a_study / 'poor'}"
    assert evaluate(a_study / "Dataset012_X", *models, "--output", a_study / "out") == 0
    assert names_in(a_study / "out") == ["boxes.png", "scores.csv", "summary.csv", "summary.md"]
    printed = capsys.readouterr().out
    assert printed == (a_study / "out" / "summary.md").read_text()
    assert "| good | mean | 3 | 1.000 [1.000, 1.000] |" in printed
    assert "p = 0.250 ns" in printed  # the smallest that three pairs can give


def test_earlier_scores_can_stand_in_for_a_model(a_study, capsys):
    data_set = a_study / "Dataset012_X"
    evaluate(data_set, f"good={a_study / 'good'}", f"poor={a_study / 'poor'}", "--no-plots")
    both = capsys.readouterr().out
    evaluate(data_set, f"poor={a_study / 'poor'}", "--no-plots", "--output", a_study / "out")
    capsys.readouterr()
    evaluate(data_set, f"good={a_study / 'good'}", "--scores", a_study / "out" / "scores.csv", "--no-plots")
    assert capsys.readouterr().out == both


def test_a_prediction_that_is_missing_is_never_left_out(a_study):
    (a_study / "poor" / "case1.nii.gz").unlink()
    with pytest.raises(InputError, match="has no prediction of: case1"):
        evaluate(a_study / "Dataset012_X", f"poor={a_study / 'poor'}")


@pytest.mark.parametrize("model", ["poor", "=folder", "name="])
def test_a_model_without_name_or_folder_is_refused(a_study, model):
    with pytest.raises(InputError, match="NAME=FOLDER"):
        evaluate(a_study / "Dataset012_X", model)
