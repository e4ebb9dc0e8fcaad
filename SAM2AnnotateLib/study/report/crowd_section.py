"""The chapter on simulated crowds (study C). Imports tables and figures."""

from __future__ import annotations

from collections.abc import Callable

from ...crowd.simulated import PEOPLE
from ..configuration.config_crowd import NONE_MISSING, CrowdConfig
from ..records.folder import Study
from ..records.results import StudyResults
from ..tables import crowd_tables
from ..tables.tables import Table, p_text, score_text, share_text
from .crowd_figures import crowd_figure
from .report_page import Picture, Section


def crowd_section(study: Study, results: StudyResults, unfinished: Callable[[StudyResults, str], tuple[str, ...]]) -> Section | None:
    """None if the study has no crowd.

    Args:
        unfinished: what of a kind of unit is not finished, in sentences.
    """
    config = study.config.crowd
    if config is None:
        return None
    title, notes = "Boxes from a crowd", (*unfinished(results, "crowd"), *unfinished(results, "crowd_people"))
    scores, found_out = results.crowd.scores, results.crowd.found_out
    sentences: list[str] = []
    tables: list[Table] = []
    pictures: list[Picture] = []
    if scores:
        table = crowd_tables.crowd_table(scores)
        loss = crowd_tables.crowd_loss_table(scores)
        tables += [table, *([loss] if loss.rows else [])]
        sentences += _of_ways(table, config)
        sentences += _of_losses(loss)
        people = (config.sparse_people or config.people)[len(config.sparse_people or config.people) // 2]
        caption = f"Volume DSC by way, from the same boxes; n = {len({one.key.case for one in scores})} cases."
        pictures.append(Picture(crowd_figure(table, config.every[0], people), caption))
    if found_out:
        table = crowd_tables.crowd_people_table(found_out)
        tables.append(table)
        most = max(found_out, key=lambda one: (one.gold, one.wanted, one.per_slice))
        sentences.append(
            f"A person of whose answers {share_text(config.random_share)} are random is told of in {most.found} of {most.bad} crowds after "
            f"about {most.answers} answers of each; of the others {most.accused} of {most.good} are."
        )
    skills = "; ".join(f"'{name}': {PEOPLE[name].described}" for name in dict.fromkeys(config.skills))
    remarks = (
        f"People: {skills}. They go through the real project, assignment and records; each way gets the same answers, and what was "
        f"learned of the people on one slice in {config.gold_every} of a copy whose answers are known. {config.beyond} slices are asked "
        "beyond each end of an object, too. The tests of this chapter are not corrected for the number of rows.",
    )
    return Section(title, tuple(sentences), tuple(sentences), notes, remarks, tuple(pictures), tuple(tables))


def _of_ways(table: Table, config: CrowdConfig) -> list[str]:
    names = [column.name for column in table.columns]
    found = []
    for row in (dict(zip(names, values, strict=True)) for values in table.rows):
        if row["missing"] == NONE_MISSING and row["every"] == config.every[0] and row["people"] in (config.people[0], config.people[-1]):
            found.append(
                f"{_people(row['people'])} for each slice, {row['boxes']:,} boxes: volume DSC "
                f"{score_text(row['volume_dsc_best_scored'])} in study C's way and {score_text(row['volume_dsc_memory'])} in ours "
                f"({row['cases']} cases, p {_p(row['p'])}); slice DSC {score_text(row['slice_dsc_best_scored'])} and "
                f"{score_text(row['slice_dsc_memory'])}."
            )
    return found


def _of_losses(table: Table) -> list[str]:
    names = [column.name for column in table.columns]
    return [
        f"With boxes missing {row['missing']}, {_people(row['people'])} for each slice, study C's way loses "
        f"{score_text(row['lost_best_scored'])} of the volume DSC, shapes between {score_text(row['lost_interpolated'])}, ours "
        f"{score_text(row['lost_memory'])} (against study C's: p {_p(row['p'])})."
        for row in (dict(zip(names, values, strict=True)) for values in table.rows)
    ]


def _people(number: int) -> str:
    return "1 person" if number == 1 else f"{number} people"


def _p(value: float) -> str:
    text = p_text(value)
    return text if text.startswith("<") else f"= {text}"
