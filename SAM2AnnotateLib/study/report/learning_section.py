"""The chapters on learning: corrections saved, prompts after learning, slices and volumes without a prompt. Imports tables and figures."""

from __future__ import annotations

from collections.abc import Callable

from ..configuration.config_learning import AS_IT_CAME
from ..records.folder import Study
from ..records.results import StudyResults
from ..tables import learning_tables, unprompted_tables
from ..tables.tables import Table, p_text, score_text, share_text
from ..tables.workload_tables import seconds_text
from . import learning_figures
from .report_page import Picture, Section

Notes = Callable[[StudyResults, str], tuple[str, ...]]


def learning_sections(study: Study, results: StudyResults, unfinished: Notes) -> list[Section | None]:
    """The chapters in the order of the question; None for each that the study does not have.

    Args:
        unfinished: what of a kind of unit is not finished, in sentences.
    """
    return [
        _corrections_saved(study, results, unfinished),
        _prompt_learning(study, results, unfinished),
        _auto_prompts(study, results, unfinished),
        _prototypes(study, results, unfinished),
    ]


def _corrections_saved(study: Study, results: StudyResults, unfinished: Notes) -> Section | None:
    config = study.config.corrections_saved
    if config is None:
        return None
    series, alone = results.learning.series, results.learning.one_volume
    notes = (*unfinished(results, "series"), *unfinished(results, "one_volume"))
    sentences: list[str] = []
    tables: list[Table] = []
    pictures: list[Picture] = []
    late = learning_tables.from_third(series)
    if series:
        tables.append(learning_tables.series_table(series))
        count = len({one.series for one in series})
        caption = (
            f"Slices accepted as proposed, by volume of the series: mean and 95 % interval of the cases; {count} series, "
            f"{len({one.key.case for one in series})} cases."
        )
        pictures.append(Picture(learning_figures.series_figure(series), caption))
    if late:
        pairs = learning_tables.accepted_pairs(late)
        never, learning = sum(one.never for one in late), sum(one.learning for one in late)
        sentences.append(
            f"From the third volume on, the annotator whose model learns after each volume accepts {100 * pairs.difference.estimate:+.1f} "
            f"points of the slices more than without learning ({_interval(pairs.difference.lower, pairs.difference.upper)}, "
            f"n = {pairs.cases} cases, p {_p(pairs.p_value)}): {learning:,} corrections in place of {never:,}."
        )
    if alone:
        moments = learning_tables.one_volume_table(alone, config)
        tables += [moments, learning_tables.one_volume_total_table(alone)]
        for row in moments.rows:
            cells = dict(zip([column.name for column in moments.columns], row, strict=True))
            sentences.append(
                f"Inside one volume, after {cells['corrections']} corrections, the open slices have a DSC of "
                f"{score_text(cells['memory_dsc'])} by SAM 2's memory between the locked ones and {score_text(cells['learned_dsc'])} after "
                f"learning (n = {cells['cases']} cases, p {_p(cells['dsc_p'])})."
            )
    options = config.options
    budget = f"{options.steps} steps" if options.steps is not None else f"{options.seconds:g} s"
    remarks = (
        f"A mask is accepted if its DSC lies above {config.rule.dsc:g}"
        + (f" and its NSD above {config.rule.nsd:g}" if config.rule.nsd else "")
        + f". Each learning took {budget}, holding out included, and begins anew from all slices that were accepted or corrected until "
        "then; what is not better on slices held out is not used. Both annotators see the same volumes, boxes and rules.",
        seconds_text(study.config.effort),
    )
    return Section("Corrections saved by learning", tuple(sentences), tuple(sentences), notes, remarks, tuple(pictures), tuple(tables))


def _prompt_learning(study: Study, results: StudyResults, unfinished: Notes) -> Section | None:
    config, gains = study.config.prompt_learning, results.learning.gains
    if config is None:
        return None
    title, notes = "Prompts after learning from a few slices", unfinished(results, "prompt_learning")
    table = learning_tables.gain_table(gains, config)
    if not table.rows:
        return Section(title, notes=notes)
    by_name = dict(zip(table.column("setting"), table.rows, strict=True))
    sentences = []
    names = [column.name for column in table.columns]
    for setting in config.settings:
        if setting.name in by_name and AS_IT_CAME in by_name:
            after, before = (dict(zip(names, by_name[name], strict=True)) for name in (setting.name, AS_IT_CAME))
            sentences.append(
                f"Learning from {setting.slices} slices ({setting.trained.replace('_', ' ')}): one point "
                f"{score_text(before['points_1'])} to {score_text(after['points_1'])} (p {_p(after['points_1_p'])}), a box "
                f"{score_text(before['box'])} to {score_text(after['box'])} (p {_p(after['box_p'])})."
            )
    caption = f"DSC by number of points, and with a box; n = {table.rows[0][1]} objects."
    picture = Picture(learning_figures.gain_figure(table, config.clicks), caption)
    return Section(title, tuple(sentences), tuple(sentences), notes, (), (picture,), (table,))


def _auto_prompts(study: Study, results: StudyResults, unfinished: Notes) -> Section | None:
    if study.config.auto_prompts is None:
        return None
    title, notes, scores = "Slices that nobody prompted", unfinished(results, "auto_prompts"), results.learning.auto
    if not scores:
        return Section(title, notes=notes)
    table = unprompted_tables.auto_table(scores)
    parts = [f"{score_text(dsc)} by '{name}'" for name, dsc in zip(table.column("method"), table.column("dsc"), strict=True)]
    sentences = (f"Given {study.config.auto_prompts.slices} annotated slices, the DSC of the others is {', '.join(parts)}.",)
    return Section(title, sentences, sentences, notes, tables=(table,))


def _prototypes(study: Study, results: StudyResults, unfinished: Notes) -> Section | None:
    if study.config.prototypes is None:
        return None
    title, notes, scores = "One prompt for the data set", unfinished(results, "prototypes"), results.learning.prototypes
    table = unprompted_tables.prototype_table(scores)
    if not table.rows:
        return Section(title, notes=notes)
    sentences = []
    for label in dict.fromkeys(table.column("label")):
        own = [row for row in table.rows if row[0] == label]
        parts = [f"{score_text(row[4])} by {row[1]} ({share_text(row[3] / row[2])} found)" for row in own]
        sentences.append(f"'{label}' on {own[0][2]} volumes, nothing corrected: 3-D DSC {', '.join(parts)}.")
    return Section(title, tuple(sentences), tuple(sentences), notes, tables=(table,))


def _interval(lower: float, upper: float) -> str:
    return f"95 % interval {100 * lower:+.1f} to {100 * upper:+.1f}"


def _p(value: float | None) -> str:
    if value is None:
        return "not tested"
    text = p_text(value)
    return text if text.startswith("<") else f"= {text}"
