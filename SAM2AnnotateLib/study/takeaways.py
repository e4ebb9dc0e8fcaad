"""What the numbers of a study say, in sentences made from its tables. Imports nnunet and the tables; computes nothing anew."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from ..nnunet.comparison import Comparison
from ..nnunet.evaluation import MEAN
from .model_tables import REFERENCE
from .prompt_tables import REFERENCE as BOX
from .tables import Table, p_text, score_text, share_text
from .workload_tables import ALL_LABELS, BY_HAND

_LEVEL = 0.05
_MOST_NAMED = 12


def of_prompts(table: Table) -> tuple[str, ...]:
    """How each prompt compares with a box."""
    medians = {name: summary.median for name, summary in zip(table.column("prompt"), table.column("center_dsc"), strict=True)}
    tested = dict(zip(table.column("prompt"), table.column("holm_p"), strict=True))
    others = [
        f"{score_text(median)} with '{name}'" + (f" ({_p(tested[name])})" if tested[name] is not None else "")
        for name, median in medians.items()
        if name != BOX
    ]
    if BOX not in medians:
        return (f"On the prompted slice the median DSC is {_list(others)}.",)
    begin = f"On the prompted slice the median DSC is {score_text(medians[BOX])} with a box"
    return (f"{begin}, {_list(others)}." if others else f"{begin}.",)


def of_clicks(table: Table) -> tuple[str, ...]:
    """What clicks add, and whether each one does."""
    sentences = []
    for prompt, rows in itertools.groupby(table.rows, key=lambda row: row[0]):
        points = [(clicks, summary.median) for _, clicks, _, summary, _ in rows]
        (first, start), (last, end) = points[0], points[-1]
        falls = [str(after[0]) for before, after in itertools.pairwise(points) if after[1] < before[1]]
        how = f"it falls at click {_list(falls)}" if falls else "no click lowers it"
        sentences.append(f"With '{prompt}' the median DSC goes from {score_text(start)} at {first} to {score_text(end)} at {last}; {how}.")
    return tuple(sentences)


def of_calibration(table: Table) -> tuple[str, ...]:
    """How near the targets are."""
    names, targets, reached = (table.column(name) for name in ("scenario", "target", "share_reached"))
    if not names:
        return ()
    known = [(name, target, share) for name, target, share in zip(names, targets, reached, strict=True) if share is not None]
    if not known:
        return ("The thresholds are found; no scenario has used them yet.",)
    parts = [f"{share_text(share)} for '{name}' (target {share_text(target)})" for name, target, share in known]
    gap = max(abs(share - target) for _, target, share in known)
    return (f"With the calibrated thresholds the annotator corrects {_list(parts)}; at most {100 * gap:.1f} points off target.",)


def of_scenarios(table: Table) -> tuple[str, ...]:
    """What the most work buys over the least."""
    rows: list[dict[str, Any]] = [dict(zip((column.name for column in table.columns), row, strict=True)) for row in table.rows]
    rows = [row for row in rows if row["label"] == ALL_LABELS]
    parts = [f"{share_text(row['accepted_share'])} of the slices with '{row['scenario']}'" for row in rows]
    sentences = [f"Accepted unchanged: {_list(parts)}."]
    if len(rows) > 1:
        least, most = rows[0], rows[-1]
        sentences.append(
            f"From '{least['scenario']}' to '{most['scenario']}' the median DSC of the labels goes from {score_text(least['dsc'].median)} "
            f"to {score_text(most['dsc'].median)}, and the time from {_minutes(least)} to {_minutes(most)} minutes; by hand it is "
            f"{most['minutes_by_hand']:,.1f} minutes."
        )
    return tuple(sentences)


def of_models(table: Table, comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    """Which models differ from the reference."""
    medians = {
        name: summary.median
        for name, label, summary in zip(table.column("model"), table.column("label"), table.column("dsc"), strict=True)
        if label == MEAN
    }
    tested = [one for one in comparisons if one.label == MEAN and one.metric == "dsc"]
    if not tested:
        return ("There is no reference model and another to compare with it yet.",)
    begin = f"The model trained on the truth reaches a median DSC of {score_text(medians[REFERENCE])}"
    differing = [one for one in tested if one.adjusted_p < _LEVEL]
    parts = [f"'{one.model}' ({score_text(medians[one.model])}, {_p(one.adjusted_p)})" for one in differing]
    alike = [f"'{one.model}' ({score_text(medians[one.model])}, {_p(one.adjusted_p)})" for one in tested if one not in differing]
    ends = [f"significantly different: {_list(parts)}"] if parts else []
    ends += [f"not significantly different: {_list(alike)}"] if alike else []
    return (f"{begin}; {'; '.join(ends)}.",)


def of_quality(table: Table, comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    """The least work whose model cannot be told from the reference."""
    p_values = {one.model: one.adjusted_p for one in comparisons if one.label == MEAN and one.metric == "dsc"}
    rows = zip(*(table.column(name) for name in ("scenario", "share_of_manual", "corrected_share")), strict=True)
    enough = [(share, name, corrected) for name, share, corrected in rows if name != BY_HAND and p_values.get(name, 0) >= _LEVEL]
    if not p_values:
        return ()
    if not enough:
        return ("No scenario's model is without a significant difference from the reference.",)
    share, name, corrected = min(enough)
    return (
        f"The least work whose model does not differ significantly from the reference is '{name}': {share_text(share)} of the time by "
        f"hand, with {share_text(corrected)} of the slices corrected. That no difference was found does not show that there is none.",
    )


def of_comparison(paired: Table, cases: Table | None, pair: tuple[str, str] | None) -> tuple[str, ...]:
    """Where the first workflow is better than the second, and where it is not."""
    if cases is None or pair is None:
        return ()
    first, second = pair
    columns = ("rule", "against", "accepted_share_difference", "holm_p", "corrected_pixels_difference")
    sentences = []
    for rule, against, share, p, pixels in zip(*(paired.column(name) for name in columns), strict=True):
        if against == second and share is not None:
            sentences.append(
                f"{rule}: the share of an object's slices that '{first}' accepts differs from '{second}' by {100 * share:+.1f} points on "
                f"average ({_p(p)}), the corrected pixels by {pixels:+,}."
            )
    verdicts = cases.column("verdict")
    worse = [f"{case} ({rule})" for rule, case, verdict in zip(cases.column("rule"), cases.column("case"), verdicts, strict=True)
             if verdict == "not better"]  # fmt: skip
    if len(worse) > _MOST_NAMED:
        worse = [*worse[:_MOST_NAMED], f"{len(worse) - _MOST_NAMED} more"]
    counted = f"Case by case '{first}' is better in {verdicts.count('better')} of {len(verdicts)}, equal in {verdicts.count('equal')}"
    sentences.append(f"{counted}, not better in {_list(worse)}." if worse else f"{counted}, worse in none.")
    return tuple(sentences)


def _minutes(row: dict) -> str:
    return f"{row['minutes']:,.1f}"


def _p(value: float) -> str:
    if math.isnan(value):
        return "no test"
    text = p_text(value)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def _list(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
