"""What the numbers of a study say, in sentences made from its tables. Imports nnunet and the tables; computes nothing anew."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from ...nnunet.scores.comparison import Comparison
from ...nnunet.scores.evaluation import MEAN
from ..configuration.config_calibration import REFERENCE
from ..tables.prompt_tables import REFERENCE as BOX
from ..tables.tables import Table, p_text, score_text, share_text
from ..tables.workload_tables import ALL_LABELS, BY_HAND

_LEVEL = 0.05


def of_prompts(center: Table, volume: Table) -> tuple[str, ...]:
    """How each prompt compares with a box, on the prompted slice and in 3-D."""
    return (
        _prompts_at(center, "center_dsc", center.column("prompt"), "On the prompted slice the median DSC is"),
        _prompts_at(volume, "volume_dsc", volume.column("prompt"), "Propagated without any correction, the median DSC of the volume is"),
    )


def of_box_and_dot(table: Table) -> tuple[str, ...]:
    """The paper's two prompts, for the summary; nothing if one of them was not tried."""
    if not {BOX, "dot"} <= set(table.column("prompt")):
        return ()
    return (_prompts_at(table, "center_dsc", (BOX, "dot"), "On the prompted slice the median DSC is"),)


def _prompts_at(table: Table, metric: str, kinds: Sequence[str], begin: str) -> str:
    names = table.column("prompt")
    medians = {name: summary.median for name, summary in zip(names, table.column(metric), strict=True) if name in kinds}
    p_values = dict(zip(names, table.column(f"{metric}_holm_p"), strict=True))
    parts = [f"{score_text(medians[BOX])} with a box"] if BOX in medians else []
    parts += [
        f"{score_text(median)} with '{name}'" + (f" ({p_words(p_values[name])})" if p_values[name] is not None else "")
        for name, median in medians.items()
        if name != BOX
    ]
    return f"{begin} {listed(parts)}."


def of_clicks(table: Table) -> tuple[str, ...]:
    """What clicks add, and whether each one does."""
    sentences = []
    for prompt, rows in itertools.groupby(table.rows, key=lambda row: row[0]):
        points = [(clicks, summary.median) for _, clicks, _, summary, _ in rows]
        (first, start), (last, end) = points[0], points[-1]
        falls = [str(after[0]) for before, after in itertools.pairwise(points) if after[1] < before[1]]
        how = f"it falls at click {listed(falls)}" if falls else "no click lowers it"
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
    return (f"With the calibrated thresholds the annotator corrects {listed(parts)}; at most {100 * gap:.1f} points off target.",)


def of_scenarios(table: Table) -> tuple[str, ...]:
    """What the most work buys over the least."""
    rows: list[dict[str, Any]] = [dict(zip((column.name for column in table.columns), row, strict=True)) for row in table.rows]
    rows = [row for row in rows if row["label"] == ALL_LABELS]
    parts = [f"{share_text(row['accepted_share'])} of the slices with '{row['scenario']}'" for row in rows]
    sentences = [f"Accepted unchanged: {listed(parts)}."]
    if len(rows) > 1:
        least, most = rows[0], rows[-1]
        sentences.append(
            f"From '{least['scenario']}' to '{most['scenario']}' the median DSC of the labels goes from {score_text(least['dsc'].median)} "
            f"to {score_text(most['dsc'].median)}, and the reckoned time from {_minutes(least)} to {_minutes(most)} minutes; by "
            f"hand it is {most['minutes_by_hand']:,.1f} minutes."
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
    known = [one for one in tested if not math.isnan(one.adjusted_p)]
    groups = {
        "significantly lower": [one for one in known if one.adjusted_p < _LEVEL and one.difference.estimate <= 0],
        "significantly higher": [one for one in known if one.adjusted_p < _LEVEL and one.difference.estimate > 0],
        "no significant difference": [one for one in known if one.adjusted_p >= _LEVEL],
    }
    named = {one.model: f"'{one.model}' ({score_text(medians[one.model])}, {p_words(one.adjusted_p)})" for one in known}
    ends = [f"{what}: {listed([named[one.model] for one in members])}" for what, members in groups.items() if members]
    return (f"{'; '.join([begin, *ends])}.",)


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
        f"The least work whose model does not differ significantly from the reference is '{name}': {share_text(share)} of the reckoned "
        f"time by hand, with {share_text(corrected)} of the slices corrected. That no difference was found does not show that there is "
        "none.",
    )


def _minutes(row: dict) -> str:
    return f"{row['minutes']:,.1f}"


def p_words(value: float) -> str:
    """``p = 0.012``, as a sentence has it."""
    if math.isnan(value):
        return "no test"
    text = p_text(value)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def listed(parts: Sequence[str]) -> str:
    """``a, b and c``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
