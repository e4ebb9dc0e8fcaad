"""What the report tells, as tables for people and as CSV, from the same values. Imports outcome and the rooms below, csv_cells."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...csv_cells import safe_cell
from ..answers import Task
from ..consensus import ConsensusSlice, Estimate
from ..outcome import Outcome, RunKey
from ..outcome.queue import DOUBTFUL
from ..project import CrowdProject
from ..quality import Agreement, PersonReport

NOTHING = "\N{EN DASH}"


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Args:
        name: in the CSV; an estimate takes two more for the ends of its interval.
        heading: for people; "" if they do not see it.
        show: a value for people.
        is_number: whether it is aligned to the right.
    """

    name: str
    heading: str
    show: Callable[[Any], str] = str
    is_number: bool = True


@dataclass(frozen=True)
class Table:
    """Rows and what they mean.

    Args:
        name: of its CSV file, without the suffix.
        caption: one sentence: what a row is.
        columns: as many as a row has values.
        rows: values; None or NaN where nothing can be said.
        most_shown: rows that people see; all are in the CSV.
    """

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    most_shown: int = 200

    def csv_text(self) -> str:
        """All of it; numbers with six digits, nothing for what cannot be said."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        estimates = [any(isinstance(row[n], Estimate) for row in self.rows) for n in range(len(self.columns))]
        header: list[str] = []
        for column, is_estimate in zip(self.columns, estimates, strict=True):
            header += [column.name, f"{column.name}_ci95_lower", f"{column.name}_ci95_upper"] if is_estimate else [column.name]
        writer.writerow(header)
        for row in self.rows:
            writer.writerow([safe_cell(cell) for value in row for cell in _csv_cells(value)])
        return text.getvalue()

    @property
    def headings(self) -> list[tuple[str, bool]]:
        """Of the columns that people see, and whether they are numbers."""
        return [(column.heading, column.is_number) for column in self.columns if column.heading]

    def cells(self) -> list[list[tuple[str, bool]]]:
        """What people see, likewise."""
        return [
            [
                (NOTHING if _is_nothing(value) else column.show(value), column.is_number)
                for column, value in zip(self.columns, row, strict=True)
                if column.heading
            ]
            for row in self.rows[: self.most_shown]
        ]


def _is_nothing(value: Any) -> bool:
    number = value.value if isinstance(value, Estimate) else value
    return number is None or (isinstance(number, float) and math.isnan(number))


def _csv_cells(value: Any) -> Sequence[str]:
    if isinstance(value, Estimate):
        return ["" if math.isnan(number) else f"{number:.6g}" for number in (value.value, value.low, value.high)]
    if _is_nothing(value):
        return [""]
    return [f"{value:.6g}" if isinstance(value, float) else str(value)]


def score(value: float) -> str:
    """``0.83``."""
    return f"{value:.2f}"


def percent(value: float) -> str:
    """``83 %``."""
    return f"{100 * value:.0f} %"


def signed_percent(value: Estimate) -> str:
    """``+3 % (-1 to +7)``."""
    return f"{100 * value.value:+.0f} % ({100 * value.low:+.0f} to {100 * value.high:+.0f})"


def estimate(value: Estimate) -> str:
    """``0.83 (0.71 to 0.92)``."""
    return value.text


def times(value: Estimate) -> str:
    """``3.1 (2.8 to 3.6)``."""
    return f"{value.value:.1f} ({value.low:.1f} to {value.high:.1f})"


def of_n(value: Estimate) -> Estimate | None:
    """An estimate that rests on something."""
    return value if value.n else None


def people_table(outcome: Outcome) -> Table:
    """A row for each person, those who stand out first."""

    def row(one: PersonReport) -> tuple:
        seen = one.accuracy
        return (
            one.person, "; ".join(one.words),
            one.answers, seen.n, of_n(seen.iou), of_n(seen.sensitivity), of_n(seen.specificity), of_n(one.outward),
            of_n(one.shift_rc[0]), of_n(one.shift_rc[1]), of_n(one.seconds), one.unsure / one.answers, f"{one.off[0]} / {one.off[1]}",
            f"{one.missed[0]} / {one.missed[1]}", "yes" if one.is_random else "no", seen.by, seen.weight,
        )  # fmt: skip

    ordered = sorted(outcome.people.values(), key=lambda one: (not one.is_random, -len(one.words), one.person))
    return Table(
        "people",
        "Everyone who answered, under pseudonyms, with 95 % intervals. What rests on few answers is pulled towards what is usual here.",
        (
            Column("person", "Person", is_number=False), Column("words", "What stands out", is_number=False),
            Column("answers", "Answers"), Column("known", "Of these known"),
            Column("iou", "IoU of boxes", estimate), Column("sensitivity", "Sees it", estimate),
            Column("specificity", "Says rightly: not here", estimate), Column("outward", "Edges outward", signed_percent),
            Column("shift_down", "", signed_percent), Column("shift_right", "", signed_percent), Column("seconds", "Seconds", times),
            Column("unsure", "Not sure", percent), Column("off", "Impossible boxes"), Column("missed", "Passed over"),
            Column("without_looking", ""), Column("by", "", is_number=False), Column("weight", "", score),
        ),
        tuple(row(one) for one in ordered),
    )  # fmt: skip


def agreement_table(project: CrowdProject, outcome: Outcome) -> Table:
    """A row for each object on all volumes and on each."""
    names = {one.key: one.name for one in project.objects}
    rows = [
        (
            names.get(one.object, one.object),
            one.volume or "all",
            one.slices,
            one.alpha,
            one.box_iou,
            one.box_dice,
            _masks_dice(outcome, one),
            one.same_presence,
        )
        for one in outcome.agreements
    ]
    return Table(
        "agreement",
        "How far people agree: Krippendorff's alpha of 'here' and 'not here' (1 perfect, 0 chance), mean IoU and Dice of boxes, "
        "and DSC of people's own masks where the way makes such.",
        (
            Column("object", "Object", is_number=False), Column("volume", "Volume", is_number=False),
            Column("slices", "Slices by two or more"),
            Column("alpha", "Alpha of presence", estimate), Column("box_iou", "IoU of boxes", score),
            Column("box_dice", "Dice of boxes", score), Column("mask_dice", "DSC of people's masks", score),
            Column("same_presence", "Same on presence", percent),
        ),
        tuple(rows),
    )  # fmt: skip


def _masks_dice(outcome: Outcome, where: Agreement) -> float | None:
    """Mean DSC of two people's own masks over the slices of an agreement; None where no way made such masks."""
    found = [
        one.people_dice
        for key, run in outcome.masks.items()
        if key.object == where.object and where.volume in ("", key.volume)
        for one in run.values()
        if one.people_dice is not None
    ]
    return float(np.mean(found)) if found else None


def volume_table(project: CrowdProject, outcome: Outcome) -> Table:
    """A row for each object on each volume."""
    asked = Counter((task.volume, task.object) for task in project.tasks() if task not in outcome.known)
    runs: dict[tuple[str, str], dict[Task, ConsensusSlice]] = defaultdict(dict)
    for task, one in outcome.consensus.items():
        runs[task.volume, task.object][task] = one
    open_doubts: dict[tuple[str, str], list[float]] = defaultdict(list)
    for task, doubt in outcome.doubts.items():
        if task not in outcome.consensus or not outcome.consensus[task].final:
            open_doubts[task.volume, task.object].append(doubt.value)
    names = {one.key: one.name for one in project.objects}
    rows = []
    for (volume, name), run in sorted(runs.items()):
        answered = [one for task, one in run.items() if task not in outcome.known]
        doubts = open_doubts[volume, name]
        masks = list(outcome.masks.get(RunKey(volume, name), {}).values())
        voxel_ml = float(np.prod(project.volume(volume).stack.spacing_src_mm)) / 1000
        rows.append(
            (
                volume, names.get(name, name), asked[volume, name], len(answered), sum(one.present for one in answered),
                sum(one.present and not one.boxes for one in answered), sum(one.source == "decision" for one in run.values()),
                sum(doubt >= DOUBTFUL for doubt in doubts), float(np.mean(doubts)) if doubts else None,
                sum(int(one.mask.sum()) for one in masks) * voxel_ml if masks else None,
            )
        )  # fmt: skip
    return Table(
        "volumes",
        f"Each object on each volume. In doubt: slices whose doubt is {DOUBTFUL:g} or more, between those asked too, not yet decided.",
        (
            Column("volume", "Volume", is_number=False), Column("object", "Object", is_number=False), Column("asked", "Slices asked"),
            Column("answered", "Answered"), Column("present", "With the object"), Column("without_box", "Of these without a box"),
            Column("decided", "Decided by a reviewer"), Column("in_doubt", "In doubt"), Column("mean_doubt", "Mean doubt", score),
            Column("volume_ml", "Object, ml", lambda value: f"{value:,.1f}"),
        ),
        tuple(rows),
    )  # fmt: skip


def slice_table(project: CrowdProject, outcome: Outcome) -> Table:
    """A row for each slice, the most doubtful first."""
    names = {one.key: one.name for one in project.objects}
    by_task: dict = {}
    for one in outcome.answers:
        by_task.setdefault(one.task, []).append(one.kind)
    rows = []
    for task, doubt in outcome.doubts.items():
        said, result = outcome.consensus.get(task), outcome.result_of(task)
        kinds = by_task.get(task, [])
        rows.append(
            (
                task.volume, names.get(task.object, task.object), project.volume(task.volume).stack.index_of(task.position), doubt.value,
                None if said is None else said.presence, kinds.count("box"), kinds.count("absent"), kinds.count("unsure"),
                None if said is None else said.agreement, "memory" if said is None else said.source,
                None if result is None else int(result.mask.sum()), None if result is None else result.agreement,
                "; ".join(doubt.reasons),
            )
        )  # fmt: skip
    rows.sort(key=lambda row: (-row[3], row[0], row[1], row[2]))
    return Table(
        "slices",
        "Slices, the most doubtful first; the slice's number is that of viewers, from 0.",
        (
            Column("volume", "Volume", is_number=False), Column("object", "Object", is_number=False), Column("slice", "Slice"),
            Column("doubt", "Doubt", score), Column("presence", "Presence", score), Column("n_box", "Drew it"),
            Column("n_absent", "Not here"), Column("n_unsure", "Not sure"), Column("agreement", "", score),
            Column("source", "", is_number=False), Column("mask_pixels", ""), Column("memory_agreement", "", score),
            Column("reasons", "Why", is_number=False),
        ),
        tuple(rows),
        most_shown=40,
    )  # fmt: skip
