"""The same answers with fewer people, fewer slices, or boxes missing: what another crowd would have said. Imports answers and numpy."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

import numpy as np

from ...errors import InputError
from ..answers import Answer

# How boxes go missing: here and there, each person's own; or in one run of slices, also each person's own.
MISSING_WAYS = ("scattered", "run")


def of_people(answers: Iterable[Answer], people: Collection[str]) -> list[Answer]:
    """The answers of these people alone."""
    return [one for one in answers if one.person in people]


def every_nth(answers: Iterable[Answer], every: int, first: int) -> list[Answer]:
    """The answers on each `every`-th slice from position `first` on. Those to known tasks stay: they tell of people, not of this object."""
    return [one for one in answers if one.gold or (one.task.position - first) % every == 0]


def with_missing_boxes(answers: Sequence[Answer], share: float, way: str, seed: int) -> list[Answer]:
    """The answers with a share of each person's boxes turned into "not on this slice", as study C's people forgot them.

    Args:
        answers: in any order; those to known tasks as well: who forgets, forgets there, too.
        share: of each person's boxes of an object on a volume, rounded.
        way: one of `MISSING_WAYS`.
        seed: of who misses what.

    Returns:
        In the order given.

    Raises:
        InputError: if the way is none, or the share none between 0 and 1.
    """
    if way not in MISSING_WAYS or not 0 <= share <= 1:
        raise InputError(f"Boxes go missing by one of {', '.join(MISSING_WAYS)}, a share of 0 to 1 of them; got '{way}' and {share!r}.")
    drawn: dict[tuple[str, str, str], list[int]] = {}
    for one in answers:
        if one.kind == "box":
            drawn.setdefault((one.person, one.task.volume, one.task.object), []).append(one.task.position)
    lost: set[tuple[str, str, str, int]] = set()
    for key, positions in sorted(drawn.items()):
        rng = np.random.default_rng([seed, zlib.crc32(" ".join((way, *key)).encode())])
        count = round(share * len(positions))
        if way == "run":
            start = int(rng.integers(len(positions) - count + 1))
            chosen = sorted(positions)[start : start + count]
        else:
            chosen = [int(position) for position in rng.permutation(sorted(positions))[:count]]
        lost.update((*key, position) for position in chosen)
    return [
        replace(one, kind="absent", boxes_rc=()) if (one.person, one.task.volume, one.task.object, one.task.position) in lost else one
        for one in answers
    ]


def box_count(answers: Iterable[Answer]) -> int:
    """Boxes drawn, those to known tasks left out."""
    return sum(len(one.boxes_rc) for one in answers if not one.gold)
