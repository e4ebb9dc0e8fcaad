"""Read the results of the units in which the model learns. Imports the results beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields

from ..configuration.config_learning import AS_IT_CAME
from .results import AutoScore, LearningResults, LearningVolume, ObjectKey, OpenSlices, PromptGain, PrototypeScore

# Gives one row for each object of a unit, and what its entry in the result is.
ReadObjects = Callable[[str, Callable[[ObjectKey, dict], tuple]], Sequence[tuple]]
_NAN = float("nan")


def read_learning(units: Sequence[str], objects: ReadObjects) -> LearningResults:
    """All rows of those units among `units`; raises what such an entry raises that is none."""
    found: dict[str, list] = {one.name: [] for one in fields(LearningResults)}
    readers: dict[str, tuple[str, Callable[[str], Callable[[ObjectKey, dict], tuple]]]] = {
        "prompt_learning": ("gains", _gain_of),
        "auto_prompts": ("auto", _auto_of),
        "prototypes": ("prototypes", _prototype_of),
        "one_volume": ("one_volume", lambda _: _one_volume),
        "series": ("series", lambda _: _series),
    }
    for unit in units:
        kind, _, name = unit.partition("/")
        if kind in readers:
            part, reader = readers[kind]
            found[part] += [row for rows in objects(unit, reader(name)) for row in rows]
    return LearningResults(**{part: tuple(rows) for part, rows in found.items()})


def _gain_of(setting: str) -> Callable[[ObjectKey, dict], tuple]:
    def read(key: ObjectKey, entry: dict) -> tuple:
        gains = entry["gains"]
        kept = setting == AS_IT_CAME or bool(entry["learning"]["kept"])
        points = tuple(_number(one) for one in gains["points"])
        both, taught = _number(gains["both"]), int(entry.get("taught", 0))
        return (PromptGain(key, setting, taught, int(gains["slices"]), points, _number(gains["box"]), both, kept),)

    return read


def _auto_of(method: str) -> Callable[[ObjectKey, dict], tuple]:
    def read(key: ObjectKey, entry: dict) -> tuple:
        scores = entry["scores"]
        numbers = (_number(scores["dsc"]), _number(scores["found"]))
        taught, slices, absent = int(entry["taught"]), int(scores["slices"]), int(scores["absent"])
        return (AutoScore(key, method, taught, slices, *numbers, absent, _number(scores["absent_told"])),)

    return read


def _prototype_of(way: str) -> Callable[[ObjectKey, dict], tuple]:
    def read(key: ObjectKey, entry: dict) -> tuple:
        dsc, jaccard, first, last = (_number(entry[name]) for name in ("dsc", "jaccard", "first_error", "last_error"))
        return (PrototypeScore(key, way, bool(entry["found"]), dsc, jaccard, first, last, int(entry["prompts"])),)

    return read


def _one_volume(key: ObjectKey, entry: dict) -> tuple:
    moments = tuple(OpenSlices(**{one.name: moment[one.name] for one in fields(OpenSlices)}) for moment in entry["moments"])
    return (_volume(key, "", 0, entry, moments, ""),)


def _series(key: ObjectKey, entry: dict) -> tuple:
    rows = []
    for number, volume in enumerate(entry["volumes"], start=1):
        own = ObjectKey(str(volume["case"]), key.label, 1, key.name)
        rows.append(_volume(own, key.case, number, volume, (), str(volume.get("adapter_sha256") or "")))
    return tuple(rows)


def _volume(key: ObjectKey, series: str, number: int, entry: dict, moments: tuple[OpenSlices, ...], adapter: str) -> LearningVolume:
    never, learning = entry["never"], entry["learning"]
    return LearningVolume(
        key,
        series,
        number,
        int(entry["slices"]),
        int(never["corrected"]),
        int(learning["corrected"]),
        float(never["effort"]["seconds"]),
        float(learning["effort"]["seconds"]),
        moments,
        adapter,
    )


def _number(value: float | None) -> float:
    """JSON's null stands for what cannot be said."""
    return _NAN if value is None else float(value)
