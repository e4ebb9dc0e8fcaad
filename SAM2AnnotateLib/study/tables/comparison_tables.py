"""Tables of workflows compared at equal acceptance rules, each case counting alike. Imports simulation, statistics, study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ...simulation.acceptance import Acceptance
from ...simulation.workflow import Workflow
from ...statistics import holm_adjusted
from ..records.results import Annotation
from .case_means import case_means, paired_cases
from .tables import Column, Table
from .workload_tables import WORKLOAD_COLUMNS, accepted_by_case, common_objects, pixels_by_case, saved_by_case, workload

Comparison = Mapping[tuple[str, int], Sequence[Annotation]]
OURS, PAPER = "ours", "paper"
STOCK = (
    "the model sees whole slices, from the center to each end: study A's way. With model.precision fp32 it repeats stock SAM 2 to the "
    "bit, masks, decisions and corrections, as Testing/Library/simulation/test_paper_workflow.py shows"
)


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


def alike(comparison: Comparison) -> Comparison:
    """For each rule, only the objects that all of its workflows have finished: anything else would compare different cases."""
    kept: dict[tuple[str, int], Sequence[Annotation]] = {}
    for rule in rules_of(comparison):
        kept.update(common_objects({key: objects for key, objects in comparison.items() if key[1] == rule}))
    return {key: kept[key] for key in comparison}


def workflow_table(workflows: Sequence[Workflow]) -> Table:
    """One row a workflow: what it does."""
    rows = tuple((workflow.name, workflow_text(workflow)) for workflow in workflows)
    return Table("workflows", "The workflows.", (Column("workflow", "Workflow"), Column("what", "What it does")), rows)


def workflow_text(workflow: Workflow) -> str:
    """A workflow in words."""
    sight = "whole slices" if workflow.roi == "full" else f"a region around the object ({workflow.roi})"
    if workflow.method == "interpolation":
        return f"One slice in {workflow.every} and both ends are drawn by hand, those between are interpolated; no model."
    if workflow.method == "slice_boxes":
        return f"A box on every slice, no memory (study C); the model sees {sight}."
    if workflow.method == "box_tracking":
        return f"The box of a slice is that of the last mask, grown by {workflow.margin_mm:g} mm; no memory; the model sees {sight}."
    begin = f"One prompt ({workflow.prompt}) on the center slice, propagated by SAM 2's memory; "
    if is_stock(workflow):
        return f"{begin}{STOCK}."
    order = "from the center to each end" if workflow.order == "outward" else "always the most doubtful slice next"
    together = f", after those expected above {workflow.together:g} were accepted together, unseen" if workflow.together else ""
    return f"{begin}the model sees {sight}, {order}{together}."


def is_stock(workflow: Workflow) -> bool:
    """Whether it is study A's way on stock SAM 2."""
    way = (workflow.method, workflow.prompt, workflow.roi, workflow.order, workflow.together)
    return way == ("propagation", "box", "full", "outward", 0)


def comparison_table(comparison: Comparison, rules: Sequence[Acceptance]) -> Table:
    """One row a rule and workflow: workload and quality."""
    rows = [
        (rule_text(rules[rule]), workflow, *workload(comparison[workflow, rule]))
        for rule in rules_of(comparison)
        for workflow in workflows_of(comparison)
        if (workflow, rule) in comparison
    ]
    caption = (
        "Workflows compared at equal rules of acceptance: sums over objects, means over cases, and median [quartiles] over objects of the "
        "DSC and NSD of the finished labels in 3-D. Sums are ruled by large objects; in a mean of cases each case counts alike. "
        "Slices drawn by hand count as corrected, with all their pixels."
    )
    columns = (Column("rule", "Accepted if"), Column("workflow", "Workflow"), *(_of_comparison(column) for column in WORKLOAD_COLUMNS))
    return Table("comparison", caption, columns, tuple(rows), grouped=True)


def paired_table(comparison: Comparison, rules: Sequence[Acceptance]) -> Table:
    """One row a rule and other workflow: how the first of `head_to_head` differs from it, case by case."""
    pair = head_to_head(comparison)
    first = pair[0] if pair else ""
    rows: list[tuple[object, ...]] = []
    for rule in rules_of(comparison):
        others = [name for name in workflows_of(comparison) if name != first and (name, rule) in comparison and (first, rule) in comparison]
        tests = {
            measure: [paired_cases(by_case(comparison[first, rule]), by_case(comparison[other, rule])) for other in others]
            for measure, by_case in _MEASURES.items()
        }
        adjusted = {measure: holm_adjusted([test.p_value for test in found]) for measure, found in tests.items()}
        for at, other in enumerate(others):
            accepted = tests["accepted_share"][at]
            cells: list[object] = [rule_text(rules[rule]), first, other, accepted.cases, accepted.more, accepted.fewer]
            for measure, found in tests.items():
                cells += [found[at].difference, float(adjusted[measure][at])]
            rows.append(tuple(cells))
    columns = [
        Column("rule", "Accepted if"),
        Column("workflow", "Workflow", shown=False),
        Column("against", f"{first} against"),
        Column("cases", "Cases", "count", shown=False),
        Column("cases_more", "Cases with more accepted", "count"),
        Column("cases_fewer", "with fewer", "count"),
    ]
    for measure, heading in (
        ("accepted_share", "Accepted (points)"),
        ("corrected_of_truth", "Corrected pixels (points)"),
        ("saved_share", "Time saved (points)"),
        ("dsc", "Label DSC"),
    ):
        kind = "interval" if measure == "dsc" else "points_interval"
        columns += [Column(f"{measure}_difference", heading, kind), Column(f"{measure}_holm_p", "p", "p")]
    caption = (
        f"'{first}' against each other workflow, by case (means of its objects): mean difference [95 % CI], two-tailed Wilcoxon "
        "signed-rank test, Holm-corrected over the other workflows for each rule and measure. Points are "
        "percentage points of slices, of the truth's pixels and of the time by hand. Fewer corrected pixels are better, more of all else."
    )
    return Table("comparison_paired", caption, tuple(columns), tuple(rows), grouped=True)


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


def dsc_by_case(objects: Sequence[Annotation]) -> dict[str, float]:
    """DSC of the finished labels, by case: mean over its objects."""
    return case_means((one.key, one.dsc) for one in objects)


_MEASURES = {
    "accepted_share": accepted_by_case,
    "corrected_of_truth": pixels_by_case,
    "saved_share": saved_by_case,
    "dsc": dsc_by_case,
}
# The same in all rows, and told beside the table.
_HIDDEN = ("cases", "objects", "slices", "accepted_share", "minutes_by_hand", "saved_share")


def _of_comparison(column: Column) -> Column:
    if column.name in ("accepted_case_mean", "corrected_of_truth", "saved_case_mean"):
        return replace(column, heading=f"{column.heading}, mean of cases", shown=True)
    return replace(column, shown=column.shown and column.name not in _HIDDEN)
