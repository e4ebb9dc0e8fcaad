"""Every person answers every task, at once and without records: for what needs very many answers. Imports answers and this room."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta, timezone

from ..answers import Answer, Task
from .person import SimulatedPerson
from .truth import ObjectTruth

# A clock for people who are not there; nothing depends on it.
BEGIN = datetime(2000, 1, 1, 8, tzinfo=timezone.utc)


def ask_all(
    people: Mapping[str, SimulatedPerson],
    tasks: Sequence[Task],
    truths: Mapping[tuple[str, str], ObjectTruth],
    known: Collection[Task] = (),
) -> list[Answer]:
    """What each of these people says of each task.

    Args:
        people: by pseudonym.
        tasks: in the order in which all of them answer; one who leaves does so after as many as the skill says.
        truths: by keys of volume and object.
        known: tasks whose answer is known; it counts for people's accuracy.

    Returns:
        By person, then in the order of `tasks`.
    """
    answers = []
    for name, person in people.items():
        now = BEGIN
        last = person.skill.leaves_after
        for task in tasks if last is None else tasks[:last]:
            said = person.answer(task, truths[task.volume, task.object])
            now += timedelta(seconds=said.seconds)
            answers.append(Answer(task, name, said.kind, said.boxes_rc, said.seconds, now, gold=task in known))
    return answers
