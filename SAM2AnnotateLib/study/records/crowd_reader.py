"""Read the results of the units in which a crowd draws boxes. Imports the results beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields

from .learning_reader import ReadObjects
from .results import CrowdFoundOut, CrowdResults, CrowdScore, ObjectKey

# Gives of a unit what its result holds beside objects: one row for each entry of a list.
ReadEntries = Callable[[str, str, Callable[[dict], CrowdFoundOut]], Sequence[CrowdFoundOut]]


def read_crowd(units: Sequence[str], objects: ReadObjects, entries: ReadEntries) -> CrowdResults:
    """All rows of those units among `units`; raises what such an entry raises that is none."""
    scores: list[CrowdScore] = []
    found: list[CrowdFoundOut] = []
    for unit in units:
        kind, _, people = unit.partition("/")
        if kind == "crowd":
            scores += [row for rows in objects(unit, _scores_of(int(people))) for row in rows]
        elif kind == "crowd_people":
            found += entries(unit, "crowds", lambda entry: CrowdFoundOut(**{one.name: entry[one.name] for one in fields(CrowdFoundOut)}))
    return CrowdResults(tuple(scores), tuple(found))


def _scores_of(people: int) -> Callable[[ObjectKey, dict], tuple]:
    def read(key: ObjectKey, entry: dict) -> tuple:
        return tuple(
            CrowdScore(
                key, people, int(setting["every"]), str(setting["missing"]), way, int(setting["boxes"]), float(scores["slice_dsc"]),
                float(scores["volume_dsc"]),
            )
            for setting in entry["settings"]
            for way, scores in setting["ways"].items()
        )  # fmt: skip

    return read
