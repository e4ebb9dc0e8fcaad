"""Tables of workflows compared at equal acceptance rules. Imports statistics, study.results, study.workload_tables and study.tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..simulation.acceptance import Acceptance
from ..statistics import holm_adjusted, summarize, wilcoxon_signed_rank
from .results import Annotation, ObjectKey
from .tables import MOST_SHOWN_ROWS, Column, Table
from .workload_tables import WORKLOAD_COLUMNS, total, workload

Comparison = Mapping[tuple[str, int], Sequence[Annotation]]
OURS, PAPER = "ours", "paper"
# Two final DSCs that differ by no more are the same: "fewer corrected pixels for the same final DSC".
SAME_DSC = 0.005


def rule_text(rule: Acceptance) -> str:
    """``DSC > 0.9, NSD > 0.7``."""
    asked = [f"{name} > {value:g}" for name, value in (("DSC", rule.dsc), ("NSD", rule.nsd)) if value]
    return ", ".join(asked) if asked else "everything"


def workflows_of(comparison: Comparison) -> list[str]:
    """The workflows that have results, in their order."""
    return list(dict.fromkeys(workflow for workflow, _ in comparison))


def rules_of(comparison: Comparison) -> list[int]:
    """Indices of the rules that have results."""
    return sorted({rule for _, rule in comparison})


def head_to_head(comparison: Comparison) -> tuple[str, str] | None:
    """The two workflows that are set against each other case by case: ours and the paper's, else the first two; None if there are none."""
    names = workflows_of(comparison)
    if len(names) < 2:
        return None
    return (OURS, PAPER) if OURS in names and PAPER in names else (names[0], names[1])


def comparison_table(comparison: Comparison, rules: Sequence[Acceptance]) -> Table:
    """One row a rule and workflow: workload and quality."""
    rows = [
        (rule_text(rules[rule]), workflow, *workload(comparison[workflow, rule]))
        for rule in rules_of(comparison)
        for workflow in workflows_of(comparison)
        if (workflow, rule) in comparison
    ]
    caption = (
        "Workflows compared at equal rules of acceptance: sums over objects, and median [quartiles] over objects of DSC and NSD of the "
        "finished volume. Slices drawn by hand count as corrected, with all their pixels."
    )
    return Table("comparison", caption, (Column("rule", "Accepted if"), Column("workflow", "Workflow"), *WORKLOAD_COLUMNS), tuple(rows))


def paired_table(comparison: Comparison, rules: Sequence[Acceptance]) -> Table:
    """One row a rule and other workflow: how the first of `head_to_head` differs from it, object by object."""
    pair = head_to_head(comparison)
    first = pair[0] if pair else ""
    rows: list[tuple[object, ...]] = []
    for rule in rules_of(comparison):
        others = [name for name in workflows_of(comparison) if name != first and (name, rule) in comparison and (first, rule) in comparison]
        pairs = [paired_objects(comparison[first, rule], comparison[other, rule]) for other in others]
        shares = [([accepted_share(a) for a, _ in both], [accepted_share(b) for _, b in both]) for both in pairs]
        adjusted = holm_adjusted([wilcoxon_signed_rank(*share).p_value for share in shares])
        for other, both, (own, its), p in zip(others, pairs, shares, adjusted, strict=True):
            gaps = np.array(own) - np.array(its)
            rows.append(
                (
                    rule_text(rules[rule]),
                    first,
                    other,
                    len(both),
                    float(gaps.mean()) if gaps.size else None,
                    int((gaps > 0).sum()),
                    int((gaps < 0).sum()),
                    float(p),
                    sum(a.effort.corrected_pixels - b.effort.corrected_pixels for a, b in both),
                    summarize([a.dsc - b.dsc for a, b in both]).median,
                )
            )
    columns = (
        Column("rule", "Accepted if"),
        Column("workflow", "Workflow"),
        Column("against", "Against"),
        Column("objects", "Objects", "count"),
        Column("accepted_share_difference", "Accepted, mean difference (points)", "points"),
        Column("objects_more", "Objects with more accepted", "count"),
        Column("objects_fewer", "With fewer", "count"),
        Column("holm_p", "p (Holm)", "p"),
        Column("corrected_pixels_difference", "Corrected pixels, difference", "count"),
        Column("dsc_difference", "Final DSC, median difference", "signed_score"),
    )
    caption = (
        "Paired by object: share of slices accepted, two-tailed Wilcoxon signed-rank test, Holm-corrected over the other workflows of a "
        "rule. A negative difference of pixels is less to correct."
    )
    return Table("comparison_paired", caption, columns, tuple(rows))


def case_table(comparison: Comparison, rules: Sequence[Acceptance]) -> Table | None:
    """One row a rule and case, the two workflows of `head_to_head` side by side; None if there are no two."""
    pair = head_to_head(comparison)
    if pair is None:
        return None
    first, second = pair
    rows: list[tuple[object, ...]] = []
    for rule in rules_of(comparison):
        both = paired_objects(comparison.get((first, rule), ()), comparison.get((second, rule), ()))
        for case in sorted({a.key.case for a, _ in both}):
            own, other = zip(*((a, b) for a, b in both if a.key.case == case), strict=True)
            rows.append((rule_text(rules[rule]), case, len(own), *_side_by_side(own, other)))
    columns = [Column("rule", "Accepted if"), Column("case", "Case"), Column("objects", "Objects", "count")]
    for name, heading, kind in (
        ("accepted_share", "Accepted", "share"),
        ("corrected_pixels", "Corrected pixels", "count"),
        ("dsc", "Final DSC", "score"),
        ("minutes", "Minutes", "minutes"),
    ):
        columns += [Column(f"{name}_first", f"{heading}, {first}", kind), Column(f"{name}_second", f"{heading}, {second}", kind)]
    columns.append(Column("verdict", f"{first} is"))
    caption = (
        f"Case by case: '{first}' is better if it accepts more slices, or corrects fewer pixels for the same final DSC (median over "
        f"objects, less by no more than {SAME_DSC:g})."
    )
    return Table("comparison_cases", caption, tuple(columns), tuple(rows), shown=len(rows) <= MOST_SHOWN_ROWS)


def all_cases_table(comparison: Comparison, rules: Sequence[Acceptance]) -> Table:
    """One row a rule, case and workflow; only as CSV."""
    rows = [
        (rule_text(rules[rule]), case, workflow, *workload([one for one in comparison[workflow, rule] if one.key.case == case]))
        for rule in rules_of(comparison)
        for case in sorted({one.key.case for (_, number), objects in comparison.items() if number == rule for one in objects})
        for workflow in workflows_of(comparison)
        if any(one.key.case == case for one in comparison.get((workflow, rule), ()))
    ]
    columns = (Column("rule", "Accepted if"), Column("case", "Case"), Column("workflow", "Workflow"), *WORKLOAD_COLUMNS)
    return Table("comparison_all_cases", "Every workflow on every case.", columns, tuple(rows), shown=False)


def paired_objects(first: Sequence[Annotation], second: Sequence[Annotation]) -> list[tuple[Annotation, Annotation]]:
    """The objects that both have annotated, sorted by key."""
    by_key: dict[ObjectKey, Annotation] = {one.key: one for one in second}
    return sorted(((one, by_key[one.key]) for one in first if one.key in by_key), key=lambda both: both[0].key)


def accepted_share(one: Annotation) -> float:
    """Share of an object's slices that nobody changed; NaN without slices."""
    return 1 - one.corrected / one.slices if one.slices else float("nan")


def _side_by_side(own: Sequence[Annotation], other: Sequence[Annotation]) -> tuple[object, ...]:
    shares, pixels, scores, minutes = [], [], [], []
    for objects in (own, other):
        slices, effort = sum(one.slices for one in objects), total([one.effort for one in objects])
        shares.append(1 - sum(one.corrected for one in objects) / slices if slices else float("nan"))
        pixels.append(effort.corrected_pixels)
        scores.append(summarize([one.dsc for one in objects]).median)
        minutes.append(effort.seconds / 60)
    if shares[0] > shares[1] or (pixels[0] < pixels[1] and scores[0] >= scores[1] - SAME_DSC):
        verdict = "better"
    else:
        verdict = "equal" if shares[0] == shares[1] and pixels[0] == pixels[1] else "not better"
    return (*shares, *pixels, *scores, *minutes, verdict)
