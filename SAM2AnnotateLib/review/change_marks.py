"""Dictionaries by position that remember which positions were changed, so that a journal writes only those. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_FORGET_BEYOND = 100_000


class MarkedDict(dict):
    """A dict that lists the keys that were set or removed, in their order.

    Attributes:
        changes: the keys; forgotten when there are too many, see `epoch`.
        epoch: counts how often they were forgotten.
    """

    def __init__(self, content: Mapping):
        super().__init__(content)
        self.changes: list = list(content)
        self.epoch = 0

    def __setitem__(self, key, value) -> None:
        self._mark(key)
        super().__setitem__(key, value)

    def __delitem__(self, key) -> None:
        self._mark(key)
        super().__delitem__(key)

    def pop(self, key, *default):
        """As a dict's."""
        self._mark(key)
        return super().pop(key, *default)

    def clear(self) -> None:
        """As a dict's."""
        for key in list(self):
            del self[key]

    def update(self, *others, **more) -> None:
        """As a dict's."""
        for key, value in dict(*others, **more).items():
            self[key] = value

    def setdefault(self, key, default=None):
        """As a dict's."""
        if key not in self:
            self[key] = default
        return self[key]

    def popitem(self):
        """As a dict's."""
        key = next(reversed(self))
        return key, self.pop(key)

    def become(self, other: Mapping) -> None:
        """Hold what `other` holds; keys whose value is the same object are not marked."""
        for key in [key for key in self if key not in other]:
            del self[key]
        for key, value in other.items():
            if key not in self or self[key] is not value:
                self[key] = value
        if list(self) != list(other):  # the order is no change, but it is kept
            super().clear()
            super().update(other)

    def __reduce__(self):
        return MarkedDict, (dict(self),)

    def _mark(self, key) -> None:
        if len(self.changes) >= _FORGET_BEYOND:
            self.changes.clear()
            self.epoch += 1
        self.changes.append(key)


class MarksChanges:
    """A class whose attributes that are dictionaries by position are `MarkedDict`, however they are assigned.

    So whoever writes a method of it need not think of the journal.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if type(value) is dict:
            known = self.__dict__.get(name)
            if isinstance(known, MarkedDict):
                known.become(value)
                return
            value = MarkedDict(value)
        super().__setattr__(name, value)

    def change_mark(self) -> dict[str, tuple[int, int]]:
        """This moment, for `changed_since`."""
        return {name: (one.epoch, len(one.changes)) for name, one in self.__dict__.items() if isinstance(one, MarkedDict)}

    def changed_since(self, mark: Mapping[str, tuple[int, int]]) -> set | None:
        """The keys of all dictionaries that were changed since; None if that is forgotten."""
        found: set = set()
        for name, one in self.__dict__.items():
            if isinstance(one, MarkedDict):
                epoch, count = mark.get(name, (-1, 0))
                if epoch != one.epoch:
                    return None
                found.update(one.changes[count:])
        return found

    def only(self, keys: set) -> Any:
        """A copy whose dictionaries hold these keys alone; not to be changed."""
        part = object.__new__(type(self))
        part.__dict__.update(self.__dict__)
        for name, one in self.__dict__.items():
            if isinstance(one, MarkedDict):
                part.__dict__[name] = {key: one[key] for key in keys if key in one}
        return part
