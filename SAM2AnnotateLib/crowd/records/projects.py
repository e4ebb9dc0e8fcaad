"""A project in the database: its tasks as project.yaml has them now. Imports project, tables and errors."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from ...errors import InputError
from ...geometry import Box2D
from ..answers import GoldAnswer, Task
from ..project import CrowdProject
from .tables import ProjectRow, TaskRow
from .tokens import new_id
from .values import TaskKind


@dataclass(frozen=True)
class TaskPlan:
    """One task, how it is asked, and what is known."""

    task: Task
    kind: TaskKind
    known: GoldAnswer | None
    wanted: int | None


def plan_of(project: CrowdProject, gold: Mapping[Task, GoldAnswer], trained: Collection[Task] = ()) -> list[TaskPlan]:
    """All tasks of a project.

    The training round takes its tasks from the known answers: the same for everybody, chosen by the project's key, half of them with the
    object and half without as far as there are such. They are never asked as gold.

    Args:
        project: as project.yaml has it.
        gold: known answers.
        trained: tasks of the training round so far, which stay in it.

    Raises:
        InputError: if there are fewer known answers than the training round takes, or none is left to be mixed in.
    """
    known = dict(sorted(gold.items()))
    if len(known) < project.training_count:
        raise InputError(
            f"The training round has {project.training_count} tasks ('training_count'), but only {len(known)} answers are known.",
            "Give label maps ('gold') or 'known_answers', or lower 'training_count'.",
        )
    training = _training(project, known, trained)
    plans = []
    for task in sorted({*project.tasks(), *known}):
        kind: TaskKind = "training" if task in training else "gold" if task in known else "real"
        plans.append(TaskPlan(task, kind, known.get(task), project.people_per_slice if kind == "real" else None))
    return plans


def _training(project: CrowdProject, known: Mapping[Task, GoldAnswer], trained: Collection[Task]) -> set[Task]:
    rng = np.random.default_rng(list(project.key.encode()))
    queues = []
    for kind in ("box", "absent"):
        tasks = [task for task, answer in known.items() if answer.kind == kind and task not in trained]
        queues.append([tasks[n] for n in rng.permutation(len(tasks))])
    chosen = [task for task in known if task in trained][: project.training_count]
    while len(chosen) < project.training_count:
        queue = queues[len(chosen) % 2] or queues[1 - len(chosen) % 2]
        chosen.append(queue.pop())
    return set(chosen)


def sync_project(session: Session, project: CrowdProject, plans: list[TaskPlan], now: datetime) -> ProjectRow:
    """Bring a project's rows to what project.yaml says now. Answers stay; tasks that are no longer asked are kept and not given."""
    row = session.scalar(select(ProjectRow).where(ProjectRow.key == project.key))
    if row is None:
        row = ProjectRow(public_id=new_id(), key=project.key, title=project.title, created=now)
        session.add(row)
        session.flush()
    row.title = project.title
    there = {
        Task(one.volume, one.object, one.position): one for one in session.scalars(select(TaskRow).where(TaskRow.project_id == row.id))
    }
    for plan in plans:
        boxes = None if plan.known is None else boxes_to_lists(plan.known.boxes_rc)
        known = there.pop(plan.task, None)
        if known is None:
            task = plan.task
            session.add(
                TaskRow(
                    project_id=row.id, volume=task.volume, object=task.object, position=task.position, kind=plan.kind, known_boxes=boxes,
                    wanted=plan.wanted, active=True, answered=0,
                )
            )  # fmt: skip
            continue
        known.kind, known.wanted, known.active = plan.kind, plan.wanted, True
        if known.known_boxes != boxes:
            known.known_boxes = boxes
    for gone in there.values():
        gone.active = False
    return row


def boxes_to_lists(boxes_rc: tuple[Box2D, ...]) -> list[list[int]]:
    """Boxes as the database and the page have them: [row start, row stop, column start, column stop]."""
    return [[one.row_start, one.row_stop, one.col_start, one.col_stop] for one in boxes_rc]


def boxes_from_lists(lists: list) -> tuple[Box2D, ...]:
    """The inverse of `boxes_to_lists`."""
    return tuple(Box2D(*one) for one in lists)
