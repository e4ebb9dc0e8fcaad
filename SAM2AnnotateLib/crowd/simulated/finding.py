"""Whether the report on people finds one who answers at random: many seeded crowds, no model. Imports consensus, quality and this room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..answers import GoldAnswer, Task
from ..consensus import consensus_of_all, people_accuracy
from ..quality import people_report
from .asking import ask_all
from .person import SimulatedPerson
from .skill import Skill
from .truth import ObjectTruth


@dataclass(frozen=True)
class FoundOut:
    """Of many crowds, each with one person who answers at random now and then.

    Args:
        answers: of each person in one crowd.
        bad: people who do.
        found: of these, who were told of.
        good: people who do not.
        accused: of these, who were told of.
    """

    answers: int
    bad: int
    found: int
    good: int
    accused: int


def random_people_found(
    truths: Mapping[tuple[str, str], ObjectTruth],
    asked: Sequence[Task],
    known: Mapping[Task, GoldAnswer],
    skills: Sequence[Skill],
    *,
    per_slice: int,
    random_share: float,
    crowds: int,
    answers: int,
    seed: int,
) -> FoundOut:
    """Count, over many crowds, who is told of by `people_report`.

    Args:
        truths: by keys of volume and object.
        asked: tasks whose answer is not known.
        known: tasks whose answer is known; none to go by agreement alone.
        skills: of the people of a crowd, one each; in turn one of them answers at random now and then.
        per_slice: answers for each task; the people share them out evenly.
        random_share: of that person's answers.
        crowds: how many.
        answers: about how many each person gives: so many tasks are drawn for each crowd.
        seed: of all of it.
    """
    bad = found = good = accused = given = 0
    for number in range(crowds):
        rng = np.random.default_rng([seed, number])
        names = [f"person {n}" for n in range(1, len(skills) + 1)]
        culprit = names[number % len(names)]
        people = {
            name: SimulatedPerson(replace(skill, random_share=random_share if name == culprit else 0.0), int(rng.integers(2**31)))
            for name, skill in zip(names, skills, strict=True)
        }
        share = len(known) / max(1, len(known) + len(asked))
        known_count = round(answers * share)
        count = min(len(asked), (answers - known_count) * len(names) // per_slice)
        drawn = [asked[n] for n in rng.permutation(len(asked))[:count]]
        of_person: dict[str, list[Task]] = {name: [] for name in names}
        for n, task in enumerate(drawn):
            for k in range(per_slice):
                of_person[names[(n * per_slice + k) % len(names)]].append(task)
        listed = sorted(known)
        for tasks in of_person.values():
            tasks += [listed[n] for n in rng.permutation(len(listed))[:known_count]]
        said = [one for name in names for one in ask_all({name: people[name]}, of_person[name], truths, known)]
        accuracies = people_accuracy(said, known)
        report = people_report(said, consensus_of_all(said, known, accuracies=accuracies), accuracies, known)
        told = {name for name, one in report.items() if one.is_random}
        bad, found = bad + 1, found + (culprit in told)
        good, accused = good + len(names) - 1, accused + len(told - {culprit})
        given = max(given, max(len(tasks) for tasks in of_person.values()))
    return FoundOut(given, bad, found, good, accused)
