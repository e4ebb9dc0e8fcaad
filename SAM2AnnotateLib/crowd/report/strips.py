"""Each object on each volume as a strip, a bar for each slice: how much was drawn, and how doubtful it is. Imports outcome and below."""

from __future__ import annotations

from dataclasses import dataclass

from ..answers import Task
from ..outcome import Outcome
from ..outcome.queue import DOUBTFUL
from ..project import CrowdProject

# Colors that people who see no red or green tell apart (Okabe and Ito); the legend names them.
COLORS = {"sure": "#56B4E9", "in doubt": "#E69F00", "much in doubt": "#D55E00", "decided": "#009E73", "known": "#999999"}
MUCH = 0.65
HEIGHT, _WIDTH, _LEAST = 44, 720, 3


@dataclass(frozen=True)
class Bar:
    """One slice.

    Args:
        x, width: in the strip's units.
        height: of the bar; that of an absent object is the least.
        color: by doubt.
        is_missing: the object is believed to be there, and no box leads.
        text: what it is, for who points at it or listens.
    """

    x: float
    width: float
    height: float
    color: str
    is_missing: bool
    text: str


@dataclass(frozen=True)
class Strip:
    """One object on one volume.

    Args:
        title: of both.
        text: what it shows, in one sentence.
        bars: by slice.
        width, height: in units of the bars.
    """

    title: str
    text: str
    bars: tuple[Bar, ...]
    width: int = _WIDTH
    height: int = HEIGHT


def strips_of(project: CrowdProject, outcome: Outcome) -> list[Strip]:
    """A strip for each object on each volume, those with the most doubtful slices first."""
    runs: dict[tuple[str, str], list[Task]] = {}
    for task in sorted({*outcome.consensus, *outcome.doubts}):
        runs.setdefault((task.volume, task.object), []).append(task)
    ordered = sorted(runs.items(), key=lambda one: (-sum(outcome.doubts[task].value >= DOUBTFUL for task in one[1]), one[0]))
    return [_strip(project, outcome, tasks) for _, tasks in ordered]


def _strip(project: CrowdProject, outcome: Outcome, tasks: list[Task]) -> Strip:
    sizes = {task: _size(outcome, task) for task in tasks}
    largest = max([*sizes.values(), 1.0])
    first, last = tasks[0].position, tasks[-1].position
    width = _WIDTH / (last - first + 1)
    stack = project.volume(tasks[0].volume).stack
    bars = []
    for task in tasks:
        said, doubt, result = outcome.consensus.get(task), outcome.doubts[task], outcome.result_of(task)
        kind = _kind(said.source if said is not None else "answers", doubt.value)
        present = said.present if said is not None else result is not None and bool(result.mask.any())
        missing = present and (said is None or not said.boxes)
        height = _LEAST + (HEIGHT - _LEAST) * sizes[task] / largest if present else _LEAST
        text = f"slice {stack.index_of(task.position)}: {'object' if present else 'no object'}, doubt {doubt.value:.2f} ({kind})"
        if doubt.reasons:
            text += f": {doubt.reasons[0]}"
        bars.append(Bar((task.position - first) * width, max(0.8 * width, 0.5), height, COLORS[kind], missing, text))
    in_doubt = sum(outcome.doubts[task].value >= DOUBTFUL for task in tasks)
    name = project.object(tasks[0].object).name
    return Strip(f"{name} on {tasks[0].volume}", f"{len(tasks)} slices, {in_doubt} in doubt", tuple(bars))


def _size(outcome: Outcome, task: Task) -> float:
    result, said = outcome.result_of(task), outcome.consensus.get(task)
    if result is not None:
        return float(result.mask.sum())
    boxes = [] if said is None else [box.edges_rc_px for box in said.counted_boxes]
    return sum((b - a) * (d - c) for a, b, c, d in boxes)


def _kind(source: str, doubt: float) -> str:
    if source == "decision":
        return "decided"
    if source == "known":
        return "known"
    return "much in doubt" if doubt >= MUCH else "in doubt" if doubt >= DOUBTFUL else "sure"
