"""The chapters of a study's report, from its results. Imports the tables, figures, takeaways and example slices beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ...nnunet.scores.comparison import Comparison
from ..records.folder import CONFIG_FILE, Study
from ..records.results import Annotation, StudyResults
from ..records.status import is_running
from ..tables import model_tables, prompt_tables, provenance, workload_tables
from ..tables.workload_tables import seconds_text
from . import figures, takeaways
from .comparison_section import comparison_section
from .crowd_section import crowd_section
from .doubt_section import doubt_section
from .example_slices import draw_examples
from .learning_section import learning_sections
from .report_page import Picture, Section
from .summary import summary_section

_MARKS = "Holm-corrected: *** < 0.001, ** < 0.01, * < 0.05, ns otherwise."


def report_sections(study: Study, results: StudyResults) -> list[Section]:
    """All chapters of the stages that the study has, the summary first. Raises what its parts raise."""
    comparisons = model_tables.model_comparisons(results.models)
    results = replace(results, scenarios=_alike(results.scenarios))
    found = [
        _prompts(study, results),
        _calibration(study, results),
        _scenarios(study, results),
        _examples(study, results),
        _models(study, results, comparisons),
        _quality(results, comparisons),
        doubt_section(study, results),
        comparison_section(study, results, unfinished(results, "comparison")),
        *learning_sections(study, results, unfinished),
        crowd_section(study, results, unfinished),
        _provenance(study, results),
        _configuration(study),
    ]
    sections = [section for section in found if section is not None]
    return [summary_section(study, results, sections), *sections]


def _prompts(study: Study, results: StudyResults) -> Section | None:
    if not study.config.prompts:
        return None
    scores, title, notes = results.prompts, "Prompts", unfinished(results, "prompts")
    if not scores:
        return Section(title, notes=notes)
    table, volume, clicks = prompt_tables.prompt_table(scores), prompt_tables.volume_table(scores), prompt_tables.click_table(scores)
    keys = {score.key for score in scores}
    counted = f"n = {_counted(len(keys), 'object')} of {_counted(len({key.case for key in keys}), 'case')}"
    pictures = [
        Picture(
            figures.prompt_figure(scores),
            f"DSC on the prompted slice by prompt; a dot is an object, {counted}. Marks: Wilcoxon signed-rank test against the box, over "
            f"cases, {_MARKS} What is known beforehand is not tested, see the table.",
        )
    ]
    if clicks.rows:
        caption = f"DSC on the prompted slice by number of clicks: median, and quartiles as a band; {counted}."
        pictures.append(Picture(figures.click_figure(scores), caption))
    sentences = (*takeaways.of_prompts(table, volume), *takeaways.of_clicks(clicks))
    tables = (table, volume, clicks) if clicks.rows else (table, volume)
    return Section(title, takeaways.of_box_and_dot(table), sentences, notes, pictures=tuple(pictures), tables=tables)


def _calibration(study: Study, results: StudyResults) -> Section | None:
    if study.config.calibration is None:
        return None
    title, calibration = "Calibration", results.calibration
    notes = (*unfinished(results, "sweep"), *unfinished(results, "joint"))
    if calibration is None:
        return Section(title, notes=notes or ("Not finished: the thresholds are not calibrated yet.",))
    table = workload_tables.calibration_table(calibration, results.scenarios)
    caption = (
        f"Share of slices that the annotator corrects at each threshold, the other metric's at 0; n = {calibration.slices:,} slices of "
        f"{_counted(len(study.training_cases), 'training case')}."
    )
    if calibration.thresholds:
        caption += " Dashed: targets; markers: thresholds of the scenarios, which apply together and correct more than either alone."
    pictures = (Picture(figures.calibration_figure(calibration), caption),)
    tables = (table, workload_tables.curve_table(calibration)) if table.rows else (workload_tables.curve_table(calibration),)
    sentences = takeaways.of_calibration(table)
    return Section(title, (), sentences, (*notes, *calibration.problems), pictures=pictures, tables=tables)


def _scenarios(study: Study, results: StudyResults) -> Section | None:
    if not study.config.scenarios:
        return None
    title, notes = "Workload of the scenarios", unfinished(results, "scenarios")
    if not results.scenarios:
        return Section(title, notes=notes)
    table = workload_tables.scenario_table(results.scenarios)
    one = next(iter(results.scenarios.values()))
    caption = (
        f"Slices accepted unchanged and corrected, by scenario; n = {sum(each.slices for each in one):,} slices of "
        f"{_counted(len(one), 'object')} of {_counted(len({each.key.case for each in one}), 'training case')}."
    )
    picture = Picture(figures.scenario_figure(results.scenarios), caption)
    sentences, remarks = takeaways.of_scenarios(table), (seconds_text(study.config.effort),)
    return Section(title, sentences, sentences, notes, remarks, (picture,), (table,))


def _examples(study: Study, results: StudyResults) -> Section | None:
    examples = draw_examples(study, results.scenarios)
    return Section("Example slices", pictures=tuple(examples)) if examples else None


def _models(study: Study, results: StudyResults, comparisons: Sequence[Comparison]) -> Section | None:
    options = study.config.downstream
    if options is None:
        return None
    title, notes = "Models trained on the labels", unfinished(results, "models", "model")
    if not results.models:
        return Section(title, notes=notes or ("Not finished: no model is scored yet.",))
    table = model_tables.model_table(results.models, comparisons)
    caption = (
        f"Test scores of the nnU-Nets, mean over labels; a dot is a case, n = {_counted(len(results.models[0].cases), 'test case')}. "
        f"Marks: Wilcoxon signed-rank test against the model trained on the truth, {_MARKS}"
    )
    pictures = (Picture(figures.model_figure(results.models, comparisons), caption),)
    tables = (table, model_tables.training_table(results.model_units))
    folds = "all training cases at once" if options.folds == ("all",) else f"{len(options.folds)} of the folds"
    remarks = (
        f"Each nnU-Net ({options.configuration}) was trained for {options.epochs} epochs of {options.iterations_per_epoch} iterations on "
        f"{folds}; study A trained 150 epochs on five folds. Every model was trained once: the tests ask whether these models differ on "
        "other cases like these, not whether another training on the same labels would.",
    )
    sentences = takeaways.of_models(table, comparisons)
    return Section(title, sentences, sentences, notes, remarks, pictures, tables)


def _quality(results: StudyResults, comparisons: Sequence[Comparison]) -> Section | None:
    if not results.scenarios:
        return None
    table = workload_tables.quality_table(results.scenarios, results.models)
    sentences = takeaways.of_quality(table, comparisons)
    objects = max(len(found) for found in results.scenarios.values())
    tested = results.models and _counted(len(results.models[0].cases), "test case")
    models = f" and of the models ({tested}) trained on them" if tested else ""
    caption = (
        f"Median DSC of labels ({_counted(objects, 'object')}){models}, by the time that the labels took, reckoned from stated seconds for "
        "each gesture, not measured."
    )
    picture = Picture(figures.quality_figure(table), caption)
    notes = unfinished(results, "scenarios")
    return Section("Workload against quality", sentences, sentences, notes, pictures=(picture,), tables=(table,))


def _provenance(study: Study, results: StudyResults) -> Section:
    runs = provenance.runs_of(results.events, is_running(study))
    killed, twice = sum(run.ended == provenance.KILLED for run in runs), provenance.units_done_twice(results.events)
    sentences = []
    if runs:
        done = sum(run.units for run in runs)
        sentences.append(
            f"{_counted(len(runs), 'run')}, {killed} of them killed; {_counted(done, 'unit')} finished in "
            f"{sum(run.minutes for run in runs) / 60:.2f} hours, {twice} of them more than once."
        )
    damaged = results.damaged_log_lines
    notes = (f"{_counted(damaged, 'line')} of log.jsonl cannot be read and are not counted.",) if damaged else ()
    tables = (
        provenance.setting_table(study),
        provenance.version_table(study, results),
        provenance.run_table(runs),
        provenance.progress_table(results),
        provenance.case_table(study),
    )
    return Section("How it was made", (), tuple(sentences), notes, tables=tables)


def _configuration(study: Study) -> Section:
    return Section("The configuration: study.yaml", text=(study.folder / CONFIG_FILE).read_text(encoding="utf-8"))


def unfinished(results: StudyResults, stage: str, what: str = "case") -> tuple[str, ...]:
    """How much of a stage is finished, in one sentence; nothing if all is."""
    units = results.progress_of(stage)
    finished, total = sum(one.finished for one in units), sum(one.total for one in units)
    if finished == total:
        return ()
    if len(units) == 1 or stage == "models":
        return (f"Not finished: '{stage}' with {finished:,} of {_counted(total, what)}.",)
    fewest = min(one.finished for one in units)
    behind = f"the one furthest behind has {fewest} of {_counted(units[0].total, what)}"
    return (f"Not finished: '{stage}' with {finished:,} of {total:,} units; {behind}.",)


def _alike(scenarios: Mapping[str, Sequence[Annotation]]) -> dict[str, tuple[Annotation, ...]]:
    """Scenarios on the same objects; none if they have none in common yet."""
    kept = workload_tables.common_objects(scenarios)
    return kept if all(kept.values()) else {}


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
