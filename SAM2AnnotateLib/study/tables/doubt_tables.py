"""Tables of how right the expected DSC was, and of accepting slices together by it. Imports simulation's effort, study.records, tables."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass

import numpy as np

from ...simulation.effort import GestureSeconds
from ..records.results import Annotation, ForeseenSlice, StudyResults
from .comparison_tables import rule_text
from .tables import Column, Table

# Slices are taken together by their expected DSC, from each of these up to the next.
BINS = (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0)
LIMITS = (0.8, 0.85, 0.9, 0.95)
_FEWEST_IN_BIN = 5

Groups = Mapping[str, Sequence[ForeseenSlice]]


@dataclass(frozen=True)
class Bin:
    """Slices of about the same expected DSC.

    Args:
        slices: how many.
        expected, dsc: their means.
        low, high: means of the ends of their intervals.
        covered: share whose DSC lies in its interval.
    """

    slices: int
    expected: float
    dsc: float
    low: float
    high: float
    covered: float


def foreseen_groups(results: StudyResults, rules: Sequence) -> Groups:
    """Slices of which a DSC was expected, by the scenario, else by the rule under which the first workflow that tells any was reviewed."""
    if results.scenarios:
        found = {name: _foreseen(objects) for name, objects in results.scenarios.items()}
    else:
        telling = next((workflow for (workflow, _), objects in results.comparison.items() if _foreseen(objects)), None)
        found = {
            f"{workflow}, {rule_text(rules[rule])}": _foreseen(objects)
            for (workflow, rule), objects in results.comparison.items()
            if workflow == telling
        }
    return {name: slices for name, slices in found.items() if slices}


def bins_of(slices: Sequence[ForeseenSlice]) -> list[Bin]:
    """Slices by their expected DSC; bins of hardly any slice are left out."""
    found = []
    for low, high in itertools.pairwise(BINS):
        inside = [one for one in slices if low <= one.expected < high or one.expected == high == 1]
        if len(inside) >= _FEWEST_IN_BIN:
            values = np.array([one[:4] for one in inside], dtype=float)
            expected, start, stop, dsc = (float(value) for value in values.mean(axis=0))
            found.append(Bin(len(inside), expected, dsc, start, stop, _covered(inside)))
    return found


def calibration_of_doubt(groups: Groups) -> Table:
    """One row a group and bin."""
    rows = [(name, *astuple(one)) for name, slices in groups.items() for one in bins_of(slices)]
    columns = (
        Column("group", "Reviewed with"),
        Column("slices", "Slices", "count"),
        Column("expected", "Expected DSC (mean)", "score"),
        Column("dsc", "DSC (mean)", "score"),
        Column("low", "Interval from", "score"),
        Column("high", "to", "score"),
        Column("covered", "DSC within its interval", "share"),
    )
    caption = "Expected and actual DSC of the masks that were looked at, by the expected one; bins of fewer than 5 slices are left out."
    return Table("doubt_calibration", caption, columns, tuple(rows), grouped=True)


def together_table(groups: Groups, costs: GestureSeconds) -> Table:
    """One row a group and limit: what accepting all slices expected above it would save, and what it would let pass."""
    rows = []
    for name, slices in groups.items():
        for limit in LIMITS:
            taken = [one for one in slices if one.expected >= limit]
            dsc = np.array([one.dsc for one in taken])
            passed = [one for one in taken if one.corrected]
            shares = ((dsc <= 0.9).mean(), (dsc <= 0.8).mean(), dsc.mean(), len(passed) / len(taken)) if taken else (None,) * 4
            saved = max(0.0, len(taken) * (costs.look + costs.accept)) / 60
            rows.append((name, limit, len(taken), len(taken) / len(slices), *shares, saved))
    columns = (
        Column("group", "Reviewed with"),
        Column("limit", "Expected DSC from", "score"),
        Column("slices", "Slices", "count"),
        Column("share", "Of all", "share"),
        Column("not_above_09", "Not above 0.9", "share"),
        Column("not_above_08", "Not above 0.8", "share"),
        Column("dsc", "DSC (mean)", "score"),
        Column("would_be_corrected", "Corrected in the review", "share"),
        Column("minutes", "Minutes of looking saved", "minutes"),
    )
    caption = (
        "Accepting slices together, unseen, by their expected DSC: how many that are, and how many of them fall short, or were corrected "
        "by the annotator who did look. Minutes are reckoned, one look and one key a slice."
    )
    return Table("doubt_together", caption, columns, tuple(rows), grouped=True)


def _foreseen(objects: Sequence[Annotation]) -> list[ForeseenSlice]:
    return [one for annotated in objects for one in annotated.foreseen]


def _covered(slices: Sequence[ForeseenSlice]) -> float:
    return float(np.mean([one.low <= one.dsc <= one.high for one in slices]))
