"""Answers to a crowd project of `crowd_cases`, and a model for it, for tests of what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping

from SAM2AnnotateLib.crowd.answers import Answer
from SAM2AnnotateLib.crowd.outcome import Said
from SAM2AnnotateLib.crowd.project import CrowdProject, gold_answers
from SAM2AnnotateLib.crowd.simulated import ObjectTruth, SimulatedPerson, Skill
from SAM2AnnotateLib.engine import ScriptedEngine


def said_by(project: CrowdProject, people: Mapping[str, Skill]) -> Said:
    """Everybody answers everything; the block is where `a_crowd_volume` puts it."""
    known = gold_answers(project)
    boxes = {task.position: one.boxes_rc for task, one in known.items()}
    truth = ObjectTruth(project.volumes[0].stack.frame_shape_rc, boxes)
    answers = []
    for number, (name, skill) in enumerate(people.items()):
        person = SimulatedPerson(skill, number)
        for task in project.tasks():
            one = person.answer(task, truth)
            answers.append(Answer(task, name, one.kind, one.boxes_rc, one.seconds, gold=task in known))
    return Said(tuple(answers), known, {})


def model() -> ScriptedEngine:
    """Takes the block's noise for one gray."""
    return ScriptedEngine(tolerance=60)
