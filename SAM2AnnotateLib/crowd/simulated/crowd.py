"""A whole simulated crowd through the real assignment and the real records, by a clock of its own. Imports assignment, records, project."""

from __future__ import annotations

import heapq
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from ...errors import InputError
from ..answers import Answer
from ..assignment import Done, next_task
from ..project import CrowdProject
from ..records import CrowdRecords, Person
from .asking import BEGIN
from .person import Said, SimulatedPerson
from .truth import ObjectTruth


@dataclass(frozen=True)
class CrowdRun:
    """What a simulated crowd left in the records.

    Args:
        answers: as the records give them, with the people's own names in place of pseudonyms, which are drawn anew by every run.
        pseudonyms: by name.
        unfinished: tasks that lack answers because too few people stayed.
        ended: when the last person was done, by the crowd's own clock.
    """

    answers: tuple[Answer, ...]
    pseudonyms: Mapping[str, str]
    unfinished: int
    ended: datetime


def run_crowd(
    records: CrowdRecords,
    project: CrowdProject,
    truths: Mapping[tuple[str, str], ObjectTruth],
    people: Mapping[str, SimulatedPerson],
    seed: int,
    begin: datetime = BEGIN,
) -> CrowdRun:
    """Let people answer until nobody has anything left to do. All begin at once; each takes the time that the skill says.

    Args:
        records: where the project was added, see `CrowdRecords.add_project`.
        project: what is asked.
        truths: by keys of volume and object, of all that the project asks.
        people: by name; accounts are made for them.
        seed: of the assignment; the same gives the same answers.
        begin: when, with time zone.

    Raises:
        InputError: if a volume's object has no truth, or a name is taken.
        OutputError: if the records cannot be written.
    """
    missing = {(task.volume, task.object) for task in project.tasks()} - truths.keys()
    if missing:
        raise InputError(f"There is no truth for {', '.join(f'{name} on {volume}' for volume, name in sorted(missing))}.")
    rng = np.random.default_rng([seed, zlib.crc32(project.key.encode())])
    accounts = {name: records.add_member(project.key, name, now=begin) for name in people}
    at_work = {name: _AtWork(records, project, truths, accounts[name], one) for name, one in people.items()}
    # Ties are settled by the order in which people were named, so that a run can be repeated.
    queue = [(begin, number, name) for number, name in enumerate(people)]
    heapq.heapify(queue)
    now = begin
    while queue:
        now, number, name = heapq.heappop(queue)
        again = at_work[name].go_on(now, rng)
        if again is not None:
            heapq.heappush(queue, (again, number, name))
    names = {one.person.pseudonym: name for name, one in at_work.items()}
    answers = tuple(replace(one, person=names[one.person]) for one in records.answers(project.key))
    unfinished = sum(one.tasks - one.complete for one in records.progress(project.key, now).volumes)
    return CrowdRun(answers, {name: pseudonym for pseudonym, name in names.items()}, unfinished, now)


class _AtWork:
    """One person with the page open."""

    def __init__(
        self,
        records: CrowdRecords,
        project: CrowdProject,
        truths: Mapping[tuple[str, str], ObjectTruth],
        person: Person,
        simulated: SimulatedPerson,
    ):
        self.person = person
        self._records, self._project, self._truths, self._simulated = records, project, truths, simulated
        self._drawn: tuple[str, Said] | None = None  # the turn's id and what is about to be sent
        self._answered = 0

    def go_on(self, now: datetime, rng: np.random.Generator) -> datetime | None:
        """Send what was drawn until now, and take the next task; when this person acts again, or None for one who is done or gone."""
        if self._drawn is not None:
            turn, said = self._drawn
            client_id = f"{self.person.id}-{self._answered:08d}"
            self._records.save_answer(self.person, turn, said.kind, said.boxes_rc, said.seconds, client_id, now)
            self._answered += 1
            self._drawn = None
        given = next_task(self._records, self._project, self.person, now, rng)
        if isinstance(given, Done):
            # Others hold the last slices: look again when what they hold has expired, should they not come back.
            return now + timedelta(minutes=self._project.reservation_minutes) if given.remaining.left else None
        last = self._simulated.skill.leaves_after
        if last is not None and self._answered >= last:
            return None  # gone with a task in hand, as people go
        task = given.turn.task
        said = self._simulated.answer(task, self._truths[task.volume, task.object])
        self._drawn = given.id, said
        return now + timedelta(seconds=said.seconds)
