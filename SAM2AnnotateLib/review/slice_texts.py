"""The JSON text of a review, in which the text of a slice is made once and not with every decision. Imports the standard library only.

After a decision nearly all slices are as before. Their part of the state is then the very same dict, by which its text is found again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any


class ToldOnce:
    """Gives the same dict for the same thing, be it a result or a mask, neither of which is ever changed."""

    def __init__(self) -> None:
        self._told: dict[int, tuple[object, dict]] = {}  # by the thing's id; the thing itself keeps that id from being given anew
        self._most = 0

    def expect(self, count: int) -> None:
        """A state has so many things; the latest of twice as many are remembered."""
        self._most = max(self._most, count)
        while len(self._told) > 2 * self._most:
            self._told.pop(next(iter(self._told)))

    def of(self, thing: object, tell: Callable[[], dict]) -> dict:
        """What `tell` says of a thing, or has said of it."""
        found = self._told.get(id(thing))
        if found is None:
            found = self._told[id(thing)] = (thing, tell())
        return found[1]


class SliceTexts:
    """Makes the text of one state after another."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[dict, str]] = {}  # by the dict's id; the dict itself keeps that id from being given anew

    def text_of(self, state: dict[str, Any]) -> str:
        """What `json.dumps` makes of a state, without spaces.

        Args:
            state: fields that are plain JSON; in a field that is a dict, values that are dicts must not be changed, ever.
        """
        known: dict[int, tuple[dict, str]] = {}

        def one(value: Any) -> str:
            if not isinstance(value, dict):
                return _compact(value)
            found = self._known.get(id(value)) or (value, _compact(value))
            known[id(value)] = found
            return found[1]

        def field(value: Any) -> str:
            if not isinstance(value, dict):
                return _compact(value)
            return "{" + ",".join(f"{_compact(key)}:{one(item)}" for key, item in value.items()) + "}"

        text = "{" + ",".join(f"{_compact(name)}:{field(value)}" for name, value in state.items()) + "}"
        self._known = known
        return text


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
