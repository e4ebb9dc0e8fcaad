"""What drawing the worst slice does, again and again, by workflow. Imports study.results, the case means and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..records.results import WorstFirst
from .case_means import case_means, mean_of
from .tables import Column, Table

# An object got worse by a correction if its 3-D DSC fell by more than this.
FELL_BY = 0.01

ByWorkflow = Mapping[str, Sequence[WorstFirst]]


def alike(found: ByWorkflow) -> ByWorkflow:
    """Only the objects that every workflow has finished: anything else would compare different ones."""
    common = set.intersection(*({one.key for one in objects} for objects in found.values())) if found else set()
    return {name: [one for one in objects if one.key in common] for name, objects in found.items()}


def after(one: WorstFirst, drawn: int) -> tuple[int, float] | None:
    """(pixels, 3-D DSC) of an object after so many slices were drawn: if it has no more slices, after the last; None before the first."""
    reached = [(pixels, dsc) for count, pixels, dsc in one.steps if count <= drawn]
    return reached[-1] if reached else None


def numbers_drawn(objects: Sequence[WorstFirst]) -> list[int]:
    """How many slices were drawn at each step of any of the objects."""
    return sorted({drawn for one in objects for drawn, _, _ in one.steps})


def worst_first_table(found: ByWorkflow) -> Table:
    """One row a workflow and number of slices drawn."""
    rows: list[tuple[object, ...]] = []
    for name, objects in found.items():
        numbers = numbers_drawn(objects)
        for before, drawn in zip([None, *numbers], numbers, strict=False):
            states = [(one, after(one, drawn)) for one in objects]
            there = [(one, state) for one, state in states if state is not None]
            fell = None
            if before is not None:
                fell = sum(last is not None and state[1] < last[1] - FELL_BY for one, state in there for last in (after(one, before),))
            rows.append(
                (
                    name,
                    drawn,
                    len(there),
                    mean_of(case_means((one.key, state[1]) for one, state in there)),
                    mean_of(case_means((one.key, state[0] / one.voxels) for one, state in there)),
                    fell,
                )
            )
    caption = (
        "The worst slice drawn as the truth has it, again and again: means of cases. Propagation begins with one prompt, interpolation "
        f"with the center slice and both ends drawn. Fell: objects whose 3-D DSC the last slice lowered by more than {FELL_BY:g}."
    )
    columns = (
        Column("workflow", "Workflow"),
        Column("drawn", "Slices drawn", "count"),
        Column("objects", "Objects", "count"),
        Column("dsc", "3-D DSC", "score"),
        Column("pixels_of_truth", "Pixels changed, of the truth's", "share"),
        Column("fell", "Objects that fell", "count"),
    )
    return Table("worst_first", caption, columns, tuple(rows), grouped=True)
