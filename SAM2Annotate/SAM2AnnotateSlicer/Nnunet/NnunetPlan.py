"""NnunetPlan: from what the panel's form says to a data set's plan, and what a plan says in words. Imports the library's plan; no Qt."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from slicer.i18n import tr as _

from SAM2AnnotateLib.errors import InputError
from SAM2AnnotateLib.nnunet import DataSetPlan, LabelRule, SplitRule

_NUMBERED = re.compile(r"^(.*?\S)[\s_-]*\d+$")


@dataclass(frozen=True)
class LabelRow:
    """What becomes of one segment, in the form of a new data set.

    Args:
        segment: its name.
        label: name of its label; empty if it has no place in the data set. Rows of one label become one value.
        merge: whether numbered segments of that name ("Tumor 1", "Tumor 2", in this case or a later one) become this one value.
    """

    segment: str
    label: str
    merge: bool = False


def defaultRows(segmentNames: Sequence[str]) -> list[LabelRow]:
    """A label for each segment; numbered segments of one name share theirs."""
    stems = [_stem(name) for name in segmentNames]
    rows = []
    for name, stem in zip(segmentNames, stems, strict=True):
        several = stem != name and stems.count(stem) > 1
        rows.append(LabelRow(name, stem if several else name, several))
    return rows


def labelRules(rows: Iterable[LabelRow]) -> tuple[LabelRule, ...]:
    """The labels of a new data set, values in the order in which they come first."""
    byLabel: dict[str, list[LabelRow]] = {}
    names: dict[str, str] = {}
    for row in rows:
        label = row.label.strip()
        if label:
            key = names.setdefault(label.casefold(), label)
            byLabel.setdefault(key, []).append(row)
    rules = []
    for value, (label, its) in enumerate(byLabel.items(), start=1):
        segments = [row.segment for row in its]
        segments += [f"{_stem(row.segment)} *" for row in its if row.merge] + [_stem(row.segment) for row in its if row.merge]
        merge = len(its) > 1 or any(row.merge for row in its)
        rules.append(LabelRule(value, label, tuple(dict.fromkeys(segments)), merge=merge))
    return tuple(rules)


def newPlan(
    number: int, name: str, channels: Sequence[str], rows: Iterable[LabelRow], ignore: bool, unreviewed: str, testShare: float
) -> DataSetPlan:
    """The plan of a new data set; one whose unreviewed slices become the ignore label has that label.

    Raises:
        InputError: as `DataSetPlan` does, or if no segment has a label.
    """
    rules = labelRules(rows)
    if not rules:
        raise InputError(_("No segment has a label. Give at least one of them a label in the table."))
    channelNames = tuple(channel.strip() for channel in channels)
    return DataSetPlan(
        number,
        name,
        channelNames,
        rules,
        ignore=ignore or unreviewed == "ignore",
        unreviewed=unreviewed,
        split=SplitRule(test_share=testShare),
    )


def dataSetsIn(rawFolder: str | Path) -> list[Path]:
    """The data sets in nnU-Net's folder of raw data, by name; empty if there is no such folder."""
    return sorted(path for path in Path(rawFolder).glob("Dataset[0-9][0-9][0-9]_*") if path.is_dir()) if str(rawFolder) else []


def freeNumber(rawFolder: str | Path) -> int:
    """The lowest id that no data set of the folder has, from 1; 1 if the folder is not there."""
    taken = {int(path.name[7:10]) for path in dataSetsIn(rawFolder)}
    return next((number for number in range(1, 1000) if number not in taken), 999)


def planText(plan: DataSetPlan) -> str:
    """What a table of labels does not show: regions, ignore label, overlaps, folds."""
    parts = [
        _("{name}: region of the values {values}.").format(name=region.name, values=", ".join(map(str, region.values)))
        for region in plan.regions
    ]
    if plan.ignore_value is not None:
        parts.append(_("Ignore label: {value}.").format(value=plan.ignore_value))
    overlaps = {"later": _("the later label wins"), "earlier": _("the earlier label wins"), "refuse": _("the case is refused")}
    parts.append(_("Where labels overlap, {rule}.").format(rule=overlaps[plan.overlap]))
    parts.append(_("{folds} folds, {share} % of the patients for the test.").format(
        folds=plan.split.folds, share=round(100 * plan.split.test_share)
    ))  # fmt: skip
    return " ".join(parts)


def _stem(name: str) -> str:
    """A segment's name without its number."""
    numbered = _NUMBERED.match(name)
    return numbered[1] if numbered else name
