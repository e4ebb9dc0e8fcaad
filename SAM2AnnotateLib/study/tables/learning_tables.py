"""Tables of the annotator whose model learns: corrections saved, and study B's prompts. Imports study.results, statistics, the tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ...statistics import Interval
from ..configuration.config_learning import AS_IT_CAME, CorrectionsSavedConfig, PromptLearningConfig
from ..records.results import LearningVolume, OpenSlices, PromptGain
from .case_means import PairedCases, case_means, mean_of, paired_cases
from .tables import Column, Table

# Before this volume of a series there is little to learn from.
FROM_VOLUME = 3
_DIFFERENCE = (
    Column("difference", "Difference [95 % interval], points", "points_interval"),
    Column("p", "p", "p"),
)


def series_table(series: Sequence[LearningVolume]) -> Table:
    """One row for each volume of the series, one for all from the third on."""
    numbers = sorted({one.number for one in series})
    rows = [(str(number), *_arms([one for one in series if one.number == number])) for number in numbers]
    late = from_third(series)
    if late:
        rows.append((f"{FROM_VOLUME} and later", *_arms(late)))
    columns = (
        Column("volume", "Volume of its series"),
        Column("cases", "Cases", "count"),
        Column("slices", "Slices", "count"),
        Column("accepted_never", "Accepted, never learning", "share"),
        Column("accepted_learning", "Accepted, learning after each", "share"),
        *_DIFFERENCE,
        Column("corrected_never", "Corrections a volume, never", "number"),
        Column("corrected_learning", "learning", "number"),
        Column("saved", "Corrections saved", "share"),
        Column("minutes_never", "Minutes a volume, never", "number"),
        Column("minutes_learning", "learning", "number"),
    )
    caption = (
        "Corrections saved from volume to volume: slices accepted as proposed, by an annotator whose model never learns and by "
        "one whose model learns after each; means of cases. Paired by case: bootstrap interval, two-tailed Wilcoxon signed-rank test."
    )
    return Table("corrections_saved", caption, columns, tuple(rows))


def from_third(series: Sequence[LearningVolume]) -> list[LearningVolume]:
    """The volumes that the annotator comes to after at least two others."""
    return [one for one in series if one.number >= FROM_VOLUME]


def accepted_pairs(volumes: Sequence[LearningVolume]) -> PairedCases:
    """Share of accepted slices, learning against never, over cases."""
    return paired_cases(
        _by_case(volumes, lambda one: 1 - one.learning / one.slices), _by_case(volumes, lambda one: 1 - one.never / one.slices)
    )


def one_volume_table(volumes: Sequence[LearningVolume], config: CorrectionsSavedConfig) -> Table:
    """One row for each number of corrections after which was learned."""
    rows = []
    for number in config.learn_after:
        found = [(one, moment) for one in volumes for moment in one.moments if moment.corrections == number]
        if not found:
            continue

        def by_case(value: Callable[[OpenSlices], float], found: list = found) -> dict[str, float]:
            return case_means((one.key, value(moment)) for one, moment in found)

        memory, learned = by_case(lambda moment: moment.memory_dsc), by_case(lambda moment: moment.learned_dsc)
        dsc, shares = (
            paired_cases(learned, memory),
            (
                by_case(lambda moment: moment.memory_accepted),
                by_case(lambda moment: moment.learned_accepted),
            ),
        )
        accepted = paired_cases(shares[1], shares[0])
        rows.append(
            (
                number,
                len(found),
                len(memory),
                sum(moment.open_slices for _, moment in found),
                sum(moment.kept for _, moment in found),
                mean_of(memory),
                mean_of(learned),
                dsc.difference,
                dsc.p_value,
                mean_of(shares[0]),
                mean_of(shares[1]),
                accepted.difference,
                accepted.p_value,
            )
        )
    columns = (
        Column("corrections", "After corrections", "count"),
        Column("objects", "Objects", "count"),
        Column("cases", "Cases", "count"),
        Column("open_slices", "Open slices", "count"),
        Column("kept", "Learned something better", "count"),
        Column("memory_dsc", "DSC of open slices: memory between locked ones", "score"),
        Column("learned_dsc", "after learning", "score"),
        Column("dsc_difference", "Difference [95 % interval]", "interval"),
        Column("dsc_p", "p", "p"),
        Column("memory_accepted", "Acceptable: memory", "share"),
        Column("learned_accepted", "after learning", "share"),
        *_DIFFERENCE,
    )
    caption = (
        "Inside one volume: the slices still open when so many were corrected, as SAM 2's memory between the locked slices has them and "
        "right after learning from the locked ones; means of cases. Where nothing better was learned both are the same. Tests as above."
    )
    return Table("one_volume", caption, columns, tuple(rows))


def one_volume_total_table(volumes: Sequence[LearningVolume]) -> Table:
    """One row: what it took to finish."""
    never, learning = _by_case(volumes, lambda one: one.never), _by_case(volumes, lambda one: one.learning)
    pairs = paired_cases(learning, never)
    row = (
        len(volumes),
        len(never),
        sum(one.slices for one in volumes),
        mean_of(never),
        mean_of(learning),
        pairs.difference,
        pairs.p_value,
        mean_of(_by_case(volumes, lambda one: one.never_seconds / 60)),
        mean_of(_by_case(volumes, lambda one: one.learning_seconds / 60)),
    )
    columns = (
        Column("objects", "Objects", "count"),
        Column("cases", "Cases", "count"),
        Column("slices", "Slices", "count"),
        Column("corrected_never", "Corrections to finish, never learning", "number"),
        Column("corrected_learning", "learning inside the volume", "number"),
        Column("difference", "Difference [95 % interval]", "interval"),
        Column("p", "p", "p"),
        Column("minutes_never", "Minutes, never", "number"),
        Column("minutes_learning", "learning", "number"),
    )
    caption = "Corrections until every slice of the object is accepted or corrected; means of cases, tests as above."
    return Table("one_volume_total", caption, columns, (row,))


def gain_table(gains: Sequence[PromptGain], config: PromptLearningConfig) -> Table:
    """One row for each way to learn, and for the model as it came."""
    common = _common(gains)
    base = [one for one in common if one.setting == AS_IT_CAME]
    names = [AS_IT_CAME, *(setting.name for setting in config.settings)]
    kinds: list[tuple[str, str, Callable[[PromptGain], float]]] = [
        *((f"points_{n + 1}", f"{n + 1} point{'s' if n else ''}", lambda one, n=n: one.points[n]) for n in range(config.clicks)),
        ("box", "Box", lambda one: one.box),
        ("both", "Box and points", lambda one: one.both),
    ]
    tested = ("points_1", "box", "both")
    rows = []
    for name in names:
        own = [one for one in common if one.setting == name]
        if not own:
            continue
        row: list = [name, len(own), sum(one.kept for one in own)]
        for column, _, value in kinds:
            means = case_means((one.key, value(one)) for one in own)
            row.append(mean_of(means))
            if column in tested:
                pairs = None if name == AS_IT_CAME else paired_cases(means, case_means((one.key, value(one)) for one in base))
                row += [None, None] if pairs is None else [pairs.difference, pairs.p_value]
        rows.append(tuple(row))
    columns = [Column("setting", "Learning"), Column("objects", "Objects", "count"), Column("kept", "Kept", "count")]
    for column, heading, _ in kinds:
        columns.append(Column(column, heading, "score"))
        if column in tested:
            columns += [Column(f"{column}_difference", "Difference", "interval"), Column(f"{column}_p", "p", "p")]
    caption = (
        "What prompts give on slices that were not annotated, without learning and after learning from some slices of the volume: mean DSC "
        "over cases. At most so many points, alone or after a box, each well inside the largest error; the best round counts (study B). "
        "Names: what is trained, annotated slices, budget. Differences and Wilcoxon tests against the model as it came, by case."
    )
    return Table("prompt_learning", caption, tuple(columns), tuple(rows))


def _common(gains: Sequence[PromptGain]) -> list[PromptGain]:
    """Those of the objects that every way has finished."""
    by_setting: dict[str, set] = {}
    for one in gains:
        by_setting.setdefault(one.setting, set()).add(one.key)
    keys = set.intersection(*by_setting.values()) if by_setting else set()
    return [one for one in gains if one.key in keys]


def _arms(volumes: Sequence[LearningVolume]) -> tuple[int, int, float, float, Interval, float, float, float, float | None, float, float]:
    never, learning = _by_case(volumes, lambda one: one.never), _by_case(volumes, lambda one: one.learning)
    pairs = accepted_pairs(volumes)
    before, after = mean_of(never), mean_of(learning)
    return (
        len(never),
        sum(one.slices for one in volumes),
        mean_of(_by_case(volumes, lambda one: 1 - one.never / one.slices)),
        mean_of(_by_case(volumes, lambda one: 1 - one.learning / one.slices)),
        pairs.difference,
        pairs.p_value,
        before,
        after,
        1 - after / before if before else None,
        mean_of(_by_case(volumes, lambda one: one.never_seconds / 60)),
        mean_of(_by_case(volumes, lambda one: one.learning_seconds / 60)),
    )


def _by_case(volumes: Sequence[LearningVolume], value: Callable[[LearningVolume], float]) -> dict[str, float]:
    return case_means((one.key, float(np.float64(value(one)))) for one in volumes)
