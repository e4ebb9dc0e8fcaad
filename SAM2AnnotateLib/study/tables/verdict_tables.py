"""Tables of two workflows head to head: in which cases the first is better, and in which it is not. Imports simulation, study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...simulation.acceptance import Acceptance
from ..records.results import Annotation
from .case_means import mean_of
from .comparison_tables import Comparison, dsc_by_case, head_to_head, rule_text, rules_of
from .tables import MOST_SHOWN_ROWS, Column, Table
from .workload_tables import accepted_by_case, corrected_share, pixels_by_case, saved_by_case, total

# Two final DSCs that differ by no more are the same: "fewer corrected pixels for the same final DSC".
SAME_DSC = 0.005
# Better and worse are the same rule, asked from either side; mixed if either side has its point, open if neither has.
VERDICTS = ("better", "mixed", "equal", "open", "worse")


@dataclass(frozen=True)
class CaseOutcome:
    """A case as a workflow leaves it.

    Args:
        accepted: share of the slices of all its objects.
        pixels: corrected.
        dsc: of the labels, mean of its objects.
        minutes: reckoned.
    """

    accepted: float
    pixels: int
    dsc: float
    minutes: float

    @classmethod
    def of(cls, objects: Sequence[Annotation]) -> CaseOutcome:
        """Of the objects of one case."""
        effort = total([one.effort for one in objects])
        return cls(1 - corrected_share(objects), effort.corrected_pixels, mean_of(dsc_by_case(objects)), effort.seconds / 60)

    def has_a_point(self, other: CaseOutcome) -> bool:
        """Whether it accepts more, or corrects fewer pixels for the same DSC."""
        return self.accepted > other.accepted or (self.pixels < other.pixels and self.dsc >= other.dsc - SAME_DSC)


def verdict(own: CaseOutcome, other: CaseOutcome) -> str:
    """One of `VERDICTS`, for `own`."""
    mine, its = own.has_a_point(other), other.has_a_point(own)
    if mine or its:
        return "mixed" if mine and its else "better" if mine else "worse"
    return "equal" if (own.accepted, own.pixels) == (other.accepted, other.pixels) else "open"


def case_table(comparison: Comparison, rules: Sequence[Acceptance]) -> Table | None:
    """One row a rule and case, the two workflows of `head_to_head` side by side; None if there are no two."""
    pair = head_to_head(comparison)
    if pair is None:
        return None
    rows: list[tuple[object, ...]] = []
    for rule in rules_of(comparison):
        sides = [_by_case(comparison.get((name, rule), ())) for name in pair]
        for case in sorted(sides[0].keys() & sides[1].keys()):
            own, other = (CaseOutcome.of(side[case]) for side in sides)
            numbers = zip(*((one.accepted, one.pixels, one.dsc, one.minutes) for one in (own, other)), strict=True)
            cells = [value for both in numbers for value in both]
            rows.append((rule_text(rules[rule]), case, len(sides[0][case]), *cells, verdict(own, other)))
    columns = [Column("rule", "Accepted if"), Column("case", "Case"), Column("objects", "Objects", "count", shown=False)]
    for name, heading, kind in (
        ("accepted_share", "Accepted", "share"),
        ("corrected_pixels", "Corrected pixels", "count"),
        ("dsc", "Label DSC", "score"),
        ("minutes", "Minutes", "minutes"),
    ):
        columns += [Column(f"{name}_first", f"{heading}, {pair[0]}", kind), Column(f"{name}_second", pair[1], kind)]
    columns.append(Column("verdict", f"{pair[0]} is"))
    return Table(
        "comparison_cases", f"'{pair[0]}' and '{pair[1]}' case by case.", tuple(columns), tuple(rows), shown=len(rows) <= MOST_SHOWN_ROWS
    )


def verdict_table(cases: Table, pair: tuple[str, str]) -> Table:
    """One row a rule: how often the first workflow is what, and where it is worse; from `case_table`."""
    rows: list[tuple[object, ...]] = []
    for rule in dict.fromkeys(cases.column("rule")):
        found = [(case, said) for at, case, said in zip(*map(cases.column, ("rule", "case", "verdict")), strict=True) if at == rule]
        counts = [sum(said == one for _, said in found) for one in VERDICTS]
        rows.append((rule, len(found), *counts, ", ".join(case for case, said in found if said == "worse") or None))
    columns = (
        Column("rule", "Accepted if"),
        Column("cases", "Cases", "count"),
        *(Column(one, one.capitalize(), "count") for one in VERDICTS),
        Column("worse_cases", "Worse in"),
    )
    caption = (
        f"In how many cases '{pair[0]}' is better than '{pair[1]}': it has a point if it accepts more slices, or corrects fewer pixels "
        f"and the label's DSC is no more than {SAME_DSC:g} lower. Better: '{pair[0]}' alone has a point; worse: '{pair[1]}' alone; "
        "mixed: both; open: neither, though they differ."
    )
    return Table("comparison_verdicts", caption, columns, tuple(rows))


def label_table(comparison: Comparison, rules: Sequence[Acceptance], pair: tuple[str, str]) -> Table:
    """One row a rule and label: the two workflows side by side, as different targets may go different ways."""
    rows: list[tuple[object, ...]] = []
    for rule in rules_of(comparison):
        sides = [comparison.get((name, rule), ()) for name in pair]
        for label in sorted({one.key.name for one in sides[0]}):
            own, other = ([one for one in side if one.key.name == label] for side in sides)
            cells: list[object] = [rule_text(rules[rule]), label, len({one.key.case for one in own})]
            for by_case in (accepted_by_case, pixels_by_case, saved_by_case):
                cells += [mean_of(by_case(own)), mean_of(by_case(other))]
            rows.append((*cells, mean_of(dsc_by_case(own)), mean_of(dsc_by_case(other))))
    columns = [Column("rule", "Accepted if"), Column("label", "Label"), Column("cases", "Cases", "count")]
    for name, heading, kind in (
        ("accepted_case_mean", "Accepted", "share"),
        ("corrected_of_truth", "Corrected pixels of the truth's", "share"),
        ("saved_case_mean", "Time saved", "share"),
        ("dsc", "Label DSC", "score"),
    ):
        columns += [Column(f"{name}_first", f"{heading}, {pair[0]}", kind), Column(f"{name}_second", pair[1], kind)]
    return Table("comparison_labels", "The same by label, means of cases.", tuple(columns), tuple(rows), grouped=True)


def _by_case(objects: Sequence[Annotation]) -> dict[str, list[Annotation]]:
    found: dict[str, list[Annotation]] = {}
    for one in objects:
        found.setdefault(one.key.case, []).append(one)
    return found
