"""Tables of simulated crowds: ways from boxes to masks, what missing boxes cost, who is told of. Imports results, case means, tables."""

from __future__ import annotations

from collections.abc import Sequence

from ..configuration.config_crowd import CROWD_WAYS, NONE_MISSING
from ..records.results import CrowdFoundOut, CrowdScore
from .case_means import case_means, mean_of, paired_cases
from .tables import Column, Table

OURS, STUDY_C = "memory", "best_scored"
WAY_NAMES = {
    "best_scored": "study C: best box a slice",
    "by_slice": "consensus box a slice",
    "interpolated": "consensus box, shapes between",
    "memory": "ours: consensus through memory",
}
_MISSING_NAMES = {NONE_MISSING: "", "scattered": "here and there", "run": "in one run"}
_Key = tuple[int, int, str]


def by_setting(scores: Sequence[CrowdScore]) -> dict[_Key, dict[str, list[CrowdScore]]]:
    """Scores by (people, every, missing) and way; only objects that every way has, in the order of the configuration."""
    found: dict[_Key, dict[str, list[CrowdScore]]] = {}
    for one in scores:
        found.setdefault((one.people, one.every, one.missing), {}).setdefault(one.way, []).append(one)
    order = (NONE_MISSING, "scattered", "run")
    return {key: found[key] for key in sorted(found, key=lambda key: (order.index(key[2]), key[1], key[0]))}


def crowd_table(scores: Sequence[CrowdScore]) -> Table:
    """One row a crowd: all ways at the same boxes, and ours against study C's own and against the best other way."""
    rows = []
    for (people, every, missing), ways in by_setting(scores).items():
        volume = {way: case_means((one.key, one.volume_dsc) for one in own) for way, own in ways.items()}
        of_slices = {way: case_means((one.key, one.slice_dsc) for one in own) for way, own in ways.items()}
        ours = ways[OURS]
        others = [way for way in CROWD_WAYS if way != OURS]
        best = max(others, key=lambda way: mean_of(volume[way]))
        own, theirs = paired_cases(volume[OURS], volume[STUDY_C]), paired_cases(volume[OURS], volume[best])
        rows.append(
            (
                _MISSING_NAMES[missing] or NONE_MISSING, every, people, len(ours), len(volume[OURS]), sum(one.boxes for one in ours),
                *(mean_of(of_slices[way]) for way in CROWD_WAYS), *(mean_of(volume[way]) for way in CROWD_WAYS),
                own.difference, own.p_value, WAY_NAMES[best], theirs.difference, theirs.p_value,
            )
        )  # fmt: skip
    columns = (
        Column("missing", "Missing boxes"),
        Column("every", "Every n-th slice", "count"),
        Column("people", "People", "count"),
        Column("objects", "Objects", "count", shown=False),
        Column("cases", "Cases", "count"),
        Column("boxes", "Boxes", "count"),
        *(Column(f"slice_dsc_{way}", f"Slice DSC: {WAY_NAMES[way]}", "score", shown=way in (STUDY_C, OURS)) for way in CROWD_WAYS),
        *(Column(f"volume_dsc_{way}", f"Volume DSC: {WAY_NAMES[way]}", "score") for way in CROWD_WAYS),
        Column("difference", "Volume DSC: ours less study C's [95 % interval]", "interval"),
        Column("p", "p", "p"),
        Column("best_other", "Best other way", shown=False),
        Column("best_difference", "Volume DSC: ours less the best other's [95 % interval]", "interval"),
        Column("best_p", "p", "p"),
    )
    caption = (
        "Masks from the same boxes of a simulated crowd, in four ways. Slice DSC: mean over the slices that show the object; volume DSC: "
        "over all slices that were asked, with those beyond its ends. Means of cases; Wilcoxon tests of volume DSC by case, row by row."
    )
    return Table("crowd", caption, columns, tuple(rows), grouped=True)


def crowd_loss_table(scores: Sequence[CrowdScore]) -> Table:
    """One row for each way that boxes are missing and number of people: what each way loses, and whether ours loses less."""
    found = by_setting(scores)
    rows = []
    for (people, every, missing), ways in found.items():
        full = found.get((people, every, NONE_MISSING))
        if missing == NONE_MISSING or full is None:
            continue
        lost = {way: _lost(full[way], ways[way]) for way in CROWD_WAYS}
        pairs = {way: paired_cases(lost[way], lost[OURS]) for way in (STUDY_C, "interpolated")}
        rows.append(
            (
                _MISSING_NAMES[missing], people, len(lost[OURS]), *(mean_of(lost[way]) for way in CROWD_WAYS),
                pairs[STUDY_C].difference, pairs[STUDY_C].p_value, pairs["interpolated"].difference, pairs["interpolated"].p_value,
            )
        )  # fmt: skip
    columns = (
        Column("missing", "Missing boxes"),
        Column("people", "People", "count"),
        Column("cases", "Cases", "count"),
        *(Column(f"lost_{way}", f"Lost: {WAY_NAMES[way]}", "score") for way in CROWD_WAYS),
        Column("less_lost", "Ours loses less than study C's by [95 % interval]", "interval"),
        Column("p", "p", "p"),
        Column("less_lost_interpolated", "than shapes between by [95 % interval]", "interval"),
        Column("p_interpolated", "p", "p"),
    )
    caption = "Volume DSC that is lost where a share of each person's boxes is missing. Means of cases; Wilcoxon tests by case."
    return Table("crowd_loss", caption, columns, tuple(rows), grouped=True)


def _lost(full: Sequence[CrowdScore], thinned: Sequence[CrowdScore]) -> dict[str, float]:
    """Volume DSC of each case with all boxes, less that with fewer."""
    before, after = (case_means((one.key, one.volume_dsc) for one in scores) for scores in (full, thinned))
    return {case: before[case] - after[case] for case in before if case in after}


def crowd_people_table(found_out: Sequence[CrowdFoundOut]) -> Table:
    """One row for each size of the work: who answers at random and is told of, and who is told of without a reason."""
    rows = [
        (
            one.wanted, one.answers, "known answers" if one.gold else "agreement alone", one.per_slice, one.bad, one.found,
            one.found / one.bad if one.bad else None, one.good, one.accused, one.accused / one.good if one.good else None,
        )
        for one in found_out
    ]  # fmt: skip
    columns = (
        Column("wanted", "Answers of each person, about", "count"),
        Column("answers", "Most that one gave", "count"),
        Column("by", "By"),
        Column("per_slice", "Answers for each slice", "count"),
        Column("bad", "Random people", "count"),
        Column("found", "Told of", "count"),
        Column("sensitivity", "Share", "share"),
        Column("good", "Others", "count"),
        Column("accused", "Told of", "count"),
        Column("false_alarms", "Share", "share"),
    )
    caption = "Crowds in which one person answers at random now and then: whether the report tells of that person, and of others."
    return Table("crowd_people", caption, columns, tuple(rows), grouped=True)
