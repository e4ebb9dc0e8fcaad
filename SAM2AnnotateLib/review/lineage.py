"""Which kept state of an object came from which, so that an old one is told from a new one. Imports the standard library.

A state is kept in several places: the scene, a segmentation's file, journals, each from another moment. A lineage names the moment: every
opening of the object begins a branch at its first change, and counts its changes there. Of two states the one that holds the other's last
branch at its last count, or later, was made from it. If neither does, they went apart, and each holds work that the other lacks.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

_MOST_BRANCHES = 100  # sessions in which one object was changed; older ones are dropped


class Lineage:
    """Where the present state of one object comes from.

    Args:
        branches: (name, count of changes) in the order in which they were made; none for an object that was not kept yet.
    """

    def __init__(self, branches: Sequence[tuple[str, int]] = ()):
        self._branches = dict(branches)
        self._own = ""

    @property
    def is_known(self) -> bool:
        """Whether the state was ever kept with a lineage."""
        return bool(self._branches)

    def advance(self) -> None:
        """The object was changed; what held its state until now holds an older one."""
        if not self._own:
            self._own = secrets.token_hex(4)
        self._branches[self._own] = self._branches.get(self._own, 0) + 1
        for name in list(self._branches)[:-_MOST_BRANCHES]:
            del self._branches[name]

    def holds(self, other: Lineage) -> bool:
        """Whether the other state is this one, or one that this was made from. An unknown one is not."""
        if not other._branches:
            return False
        name, count = list(other._branches.items())[-1]
        return self._branches.get(name, 0) >= count

    def continued(self) -> Lineage:
        """The same moment, for whoever goes on from it: the next change begins a branch."""
        return Lineage(tuple(self._branches.items()))

    def to_json(self) -> list[list]:
        """Plain JSON; `from_json` reads it back."""
        return [[name, count] for name, count in self._branches.items()]

    @classmethod
    def from_json(cls, stored: object) -> Lineage:
        """Read back what `to_json` wrote. Anything else, also what older versions kept, is an unknown lineage."""
        if not isinstance(stored, list):
            return cls()
        branches = [(one[0], one[1]) for one in stored if isinstance(one, list) and len(one) == 2]
        fits = len(branches) == len(stored) and all(isinstance(name, str) and type(count) is int for name, count in branches)
        return cls(branches) if fits else cls()

    @classmethod
    def of(cls, about: Mapping) -> Lineage:
        """The lineage that stands in what is kept of an object."""
        return cls.from_json(about.get("lineage"))
