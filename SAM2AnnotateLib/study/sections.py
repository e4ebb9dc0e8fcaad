"""The chapters of a study's report, from its results. Imports the tables, figures, takeaways and example slices beside it."""

from __future__ import annotations

from collections.abc import Sequence

from ..nnunet.comparison import Comparison
from . import comparison_tables, figures, model_tables, prompt_tables, provenance, takeaways, workload_tables
from .example_slices import draw_examples
from .folder import CONFIG_FILE, Study
from .report_page import Picture, Section
from .results import StudyResults

_MARKS = "Holm-corrected: *** < 0.001, ** < 0.01, * < 0.05, ns otherwise."


def report_sections(study: Study, results: StudyResults) -> list[Section]:
    """All chapters of the stages that the study has. Raises what its parts raise."""
    comparisons = model_tables.model_comparisons(results.models)
    sections = [
        _prompts(study, results),
        _calibration(study, results),
        _scenarios(study, results),
        _examples(study, results),
        _models(study, results, comparisons),
        _quality(results, comparisons),
        _comparison(study, results),
        _provenance(study, results),
        _configuration(study),
    ]
    return [section for section in sections if section is not None]


def _prompts(study: Study, results: StudyResults) -> Section | None:
    if not study.config.prompts:
        return None
    scores, title, notes = results.prompts, "Prompts", unfinished(results, "prompts")
    if not scores:
        return Section(title, notes=notes)
    table, clicks = prompt_tables.prompt_table(scores), prompt_tables.click_table(scores)
    objects = _counted(len({score.key for score in scores}), "object")
    pictures = [
        Picture(
            figures.prompt_figure(scores),
            f"DSC on the prompted slice by prompt; a dot is an object, n = {objects}. Marks: Wilcoxon signed-rank test against the box, "
            f"{_MARKS}",
        )
    ]
    if clicks.rows:
        caption = f"DSC on the prompted slice by number of clicks: median, and quartiles as a band; n = {objects}."
        pictures.append(Picture(figures.click_figure(scores), caption))
    sentences = (*takeaways.of_prompts(table), *takeaways.of_clicks(clicks))
    return Section(title, sentences, notes, tuple(pictures), (table, clicks) if clicks.rows else (table,))


def _calibration(study: Study, results: StudyResults) -> Section | None:
    if study.config.calibration is None:
        return None
    title, calibration = "Calibration", results.calibration
    notes = (*unfinished(results, "sweep"), *unfinished(results, "joint"))
    if calibration is None:
        return Section(title, notes=notes or ("not finished: the thresholds are not calibrated yet",))
    table = workload_tables.calibration_table(calibration, results.scenarios)
    caption = (
        f"Share of slices that the annotator corrects at each threshold, the other metric's at 0; n = {calibration.slices:,} slices. "
        "Dashed: targets; markers: thresholds of the scenarios, which apply together."
    )
    pictures = (Picture(figures.calibration_figure(calibration), caption),)
    tables = (table, workload_tables.curve_table(calibration))
    return Section(title, takeaways.of_calibration(table), (*notes, *calibration.problems), pictures, tables)


def _scenarios(study: Study, results: StudyResults) -> Section | None:
    if not study.config.scenarios:
        return None
    title, notes = "Workload of the scenarios", unfinished(results, "scenarios")
    if not results.scenarios:
        return Section(title, notes=notes)
    table = workload_tables.scenario_table(results.scenarios)
    slices = " and ".join(sorted({f"{sum(one.slices for one in objects):,}" for objects in results.scenarios.values()}))
    caption = f"Slices accepted unchanged and corrected, by scenario; n = {slices} slices."
    return Section(title, takeaways.of_scenarios(table), notes, (Picture(figures.scenario_figure(results.scenarios), caption),), (table,))


def _examples(study: Study, results: StudyResults) -> Section | None:
    examples = draw_examples(study, results.scenarios)
    return Section("Example slices", pictures=tuple(Picture(one.png, one.caption) for one in examples)) if examples else None


def _models(study: Study, results: StudyResults, comparisons: Sequence[Comparison]) -> Section | None:
    if study.config.downstream is None:
        return None
    title, notes = "Models trained on the labels", unfinished(results, "models", "model")
    if not results.models:
        return Section(title, notes=notes or ("not finished: no model is scored yet",))
    table = model_tables.model_table(results.models, comparisons)
    caption = (
        f"Test scores of the nnU-Nets, mean over labels; a dot is a case, n = {_counted(len(results.models[0].cases), 'test case')}. "
        f"Marks: Wilcoxon signed-rank test against the model trained on the truth, {_MARKS}"
    )
    pictures = (Picture(figures.model_figure(results.models, comparisons), caption),)
    tables = (table, model_tables.training_table(results.model_units))
    return Section(title, takeaways.of_models(table, comparisons), notes, pictures, tables)


def _quality(results: StudyResults, comparisons: Sequence[Comparison]) -> Section | None:
    if not results.scenarios:
        return None
    table = workload_tables.quality_table(results.scenarios, results.models)
    sentences = takeaways.of_quality(table, comparisons)
    objects = max(len(found) for found in results.scenarios.values())
    caption = (
        f"Median DSC of labels ({_counted(objects, 'object')}) and of the models trained on them, by the time that the labels took: by "
        "the stated seconds a gesture, not measured."
    )
    notes = unfinished(results, "scenarios")
    return Section("Workload against quality", sentences, notes, (Picture(figures.quality_figure(table), caption),), (table,))


def _comparison(study: Study, results: StudyResults) -> Section | None:
    if study.config.comparison is None:
        return None
    title, notes, found = "Workflows compared", unfinished(results, "comparison"), results.comparison
    if not found:
        return Section(title, notes=notes)
    rules = study.config.comparison.rules
    paired, cases = comparison_tables.paired_table(found, rules), comparison_tables.case_table(found, rules)
    objects = max(len(annotated) for annotated in found.values())
    caption = f"Slices accepted unchanged, and pixels corrected, by workflow and rule of acceptance; n = {_counted(objects, 'object')}."
    tables = [comparison_tables.comparison_table(found, rules), paired, *([] if cases is None else [cases])]
    tables.append(comparison_tables.all_cases_table(found, rules))
    sentences = takeaways.of_comparison(paired, cases, comparison_tables.head_to_head(found))
    return Section(title, sentences, notes, (Picture(figures.comparison_figure(found, rules), caption),), tuple(tables))


def _provenance(study: Study, results: StudyResults) -> Section:
    runs = provenance.runs_of(results.events)
    killed, twice = sum(run.ended == "killed" for run in runs), provenance.units_done_twice(results.events)
    sentences = []
    if runs:
        done = sum(run.units for run in runs)
        sentences.append(
            f"{_counted(len(runs), 'run')}, {killed} of them killed; {_counted(done, 'unit')} finished in "
            f"{sum(run.unit_seconds for run in runs) / 3600:.2f} hours of work, {twice} of them more than once."
        )
    damaged = results.damaged_log_lines
    notes = (f"{_counted(damaged, 'line')} of log.jsonl cannot be read and are not counted.",) if damaged else ()
    tables = (
        provenance.setting_table(study),
        provenance.version_table(results),
        provenance.run_table(results.events),
        provenance.progress_table(results),
        provenance.case_table(study),
    )
    return Section("How it was made", tuple(sentences), notes, tables=tables)


def _configuration(study: Study) -> Section:
    return Section("The configuration: study.yaml", text=(study.folder / CONFIG_FILE).read_text(encoding="utf-8"))


def unfinished(results: StudyResults, stage: str, what: str = "case") -> tuple[str, ...]:
    """``not finished: 12 of 36 cases``, for each unit of a stage of which that is true; models in one sentence."""
    units = results.progress_of(stage)
    if stage == "models":
        finished = sum(one.finished for one in units)
        return () if finished == len(units) else (f"not finished: {finished} of {_counted(len(units), what)}",)
    lacking = [one for one in units if one.finished < one.total]
    return tuple(
        f"{one.unit}: not finished: {one.finished} of {_counted(one.total, what)}"
        if "/" in one.unit
        else f"not finished: {one.finished} of {_counted(one.total, what)}"
        for one in lacking
    )


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
