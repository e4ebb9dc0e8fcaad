"""The projects that a server serves, and the records behind them. Imports assignment, records, project and errors."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import InputError
from ..assignment import Done, Reservation, next_task
from ..project import CrowdProject, ProjectPictures
from ..records import CrowdRecords, Person
from ..records.columns import utc_now


@dataclass(frozen=True)
class Served:
    """A project that is served: as project.yaml has it, its slices, and its id in addresses."""

    id: str
    project: CrowdProject
    pictures: ProjectPictures


class CrowdService:
    """What the routes work on.

    Args:
        records: open; its owner closes them.
        projects: each is added to the records.

    Raises:
        InputError: if two projects have the same key, or one has too few known answers.
    """

    def __init__(self, records: CrowdRecords, projects: Sequence[CrowdProject]):
        keys = [one.key for one in projects]
        if len(set(keys)) < len(keys):
            raise InputError(f"Two projects have the same key: {', '.join(keys)}.", "Give each a 'key' of its own in its project.yaml.")
        self.records = records
        self._served = {}
        for project in projects:
            public_id = records.add_project(project)
            self._served[public_id] = Served(public_id, project, ProjectPictures(project))
        # Seeded by the system, so that nobody can tell which tasks have known answers; one at a time, as numpy asks.
        self._rng = np.random.default_rng(secrets.randbits(128))
        self._rng_lock = threading.Lock()

    def served(self, public_id: str) -> Served | None:
        """A project by its id in addresses; None if it is not served."""
        return self._served.get(public_id)

    @property
    def projects(self) -> list[Served]:
        """All of them."""
        return list(self._served.values())

    def next_task(self, served: Served, person: Person, have: Collection[str] = ()) -> Reservation | Done:
        """See `assignment.next_task`."""
        with self._rng_lock:
            seed = self._rng.integers(0, 1 << 63, 2).tolist()
        return next_task(self.records, served.project, person, utc_now(), np.random.default_rng(seed), have)
