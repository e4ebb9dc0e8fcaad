"""The chapter on what was expected of slices before anybody looked. Imports the tables, figures and study.folder."""

from __future__ import annotations

import numpy as np

from ...review.expected_dsc import expected_dsc
from ..records.folder import Study
from ..records.results import StudyResults
from ..tables import doubt_tables
from ..tables.tables import share_text
from . import figures
from .report_page import Picture, Section

_LIMIT = 0.9


def doubt_section(study: Study, results: StudyResults) -> Section | None:
    """None if no slice was looked at of which a DSC had been expected."""
    rules = study.config.comparison.rules if study.config.comparison is not None else ()
    groups = doubt_tables.foreseen_groups(results, rules)
    if not groups:
        return None
    numbers, name = expected_dsc(), next(iter(groups))
    slices = groups[name]
    covered = float(np.mean([one.low <= one.dsc <= one.high for one in slices]))
    error = np.mean([abs(one.expected - one.dsc) for one in slices])
    sentences = [
        f"The DSC that was expected of {len(slices):,} masks ('{name}') lay {error:.3f} off on average; {share_text(covered)} lay within "
        f"their intervals, which are to hold {share_text(numbers.coverage)}."
    ]
    taken = [one for one in slices if one.expected >= _LIMIT]
    if taken:
        short = sum(one.dsc <= _LIMIT for one in taken)
        sentences.append(
            f"{len(taken):,} of them ({share_text(len(taken) / len(slices))}) were expected to reach {_LIMIT:g}; accepted together, "
            f"unseen, {short:,} ({share_text(short / len(taken))}) would have fallen short of it."
        )
    remark = (
        f"The numbers behind it were fitted with the model '{numbers.about.get('model')}' on {numbers.about.get('patients')} patients "
        "(SAM2AnnotateLib/training/DOUBT.md); with another model they are a guess until they are fitted anew."
    )
    picture = Picture(
        figures.doubt_figure(groups),
        "Expected against actual DSC of the masks that were looked at, means of slices of about the same expected DSC. Whiskers: the mean "
        "interval. On the dashed line the expected value is right.",
    )
    tables = (doubt_tables.calibration_of_doubt(groups), doubt_tables.together_table(groups, study.config.effort))
    return Section("What was expected of the slices", (), tuple(sentences), remarks=(remark,), pictures=(picture,), tables=tables)
