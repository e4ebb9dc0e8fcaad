"""The chapter of the workflows compared. Imports the tables, their sentences and figures, study.folder."""

from __future__ import annotations

from ..records.folder import Study
from ..records.results import StudyResults
from ..tables import comparison_tables, verdict_tables, worst_first_tables
from ..tables.workload_tables import seconds_text
from . import comparison_takeaways, figures
from .report_page import Picture, Section


def comparison_section(study: Study, results: StudyResults, notes: tuple[str, ...]) -> Section | None:
    """None if the study compares no workflows.

    Args:
        notes: what is not finished.
    """
    if study.config.comparison is None:
        return None
    title, found, rules = "Workflows compared", comparison_tables.alike(results.comparison), study.config.comparison.rules
    workflows = comparison_tables.workflow_table(study.config.comparison.workflows)
    objects = max((len(annotated) for annotated in found.values()), default=0)
    if not objects:
        return Section(title, notes=notes, tables=(workflows,))
    table, paired = comparison_tables.comparison_table(found, rules), comparison_tables.paired_table(found, rules)
    pair, cases = comparison_tables.head_to_head(found), verdict_tables.case_table(found, rules)
    stock = [workflow.name for workflow in study.config.comparison.workflows if comparison_tables.is_stock(workflow)]
    summary: tuple[str, ...] = ()
    takeaways: tuple[str, ...] = ()
    tables = [workflows, table]
    if pair is not None and cases is not None:
        verdicts = verdict_tables.verdict_table(cases, pair)
        counted = comparison_takeaways.of_verdicts(verdicts, pair)
        others = comparison_takeaways.others_in_short(table, pair[0])
        summary = (
            *comparison_takeaways.in_short(table, paired, pair, ", stock SAM 2 in study A's way" if pair[1] in stock else ""),
            *counted,
            *others,
        )
        takeaways = (*comparison_takeaways.of_pair(table, paired, pair), *counted, *comparison_takeaways.of_others(table, pair[0]))
        tables += [paired, verdicts, verdict_tables.label_table(found, rules, pair), cases]
    tables.append(comparison_tables.all_cases_table(found, rules))
    pictures: list[Picture] = []
    drawn = worst_first_tables.alike(results.worst_first)
    if any(drawn.values()):
        curve = worst_first_tables.worst_first_table(drawn)
        tables.insert(2, curve)
        sentences = comparison_takeaways.of_worst_first(curve)
        summary, takeaways = (*summary, *sentences), (*takeaways, *sentences)
        pictures.append(Picture(figures.worst_first_figure(drawn), curve.caption))
    number = max(table.column("cases"))
    remarks = (
        f"Compared on {number} cases with {objects} objects and {max(table.column('slices')):,} slices, those that every workflow of a "
        "rule has finished. All workflows see the same cases, weights, prompts' jitter and rules; only the way of working differs.",
        seconds_text(study.config.effort),
    )
    caption = (
        f"Means of {number} cases ({objects} objects), each case counting alike, by workflow and rule of acceptance. Dashed: drawing "
        "every slice by hand."
    )
    picture = Picture(figures.comparison_figure(found, rules), caption)
    return Section(title, summary, takeaways, notes, remarks, (picture, *pictures), tuple(tables))
