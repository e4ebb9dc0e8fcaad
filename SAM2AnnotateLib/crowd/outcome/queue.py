"""The slices that a reviewer is to look at. Imports the rest of this room, project and records' values."""

from __future__ import annotations

from ..answers import Task
from ..project import CrowdProject
from ..records import Doubtful
from .outcome import Outcome
from .outline import outline_of

# From this doubt on a slice goes to the reviewer.
DOUBTFUL = 0.35


def doubtful_slices(project: CrowdProject, outcome: Outcome, least: float = DOUBTFUL) -> list[Doubtful]:
    """Slices in doubt, the most doubtful first, with what is proposed for them.

    Args:
        project: whose tasks they are; slices that nobody is asked about are left to the proposals.
        outcome: of its answers.
        least: doubt from which on a slice is among them. Slices that are decided or known are not.
    """
    asked = set(project.tasks())
    found = []
    for task, doubt in outcome.doubts.items():
        said = outcome.consensus.get(task)
        if task not in asked or said is None or said.final or doubt.value < least:
            continue
        result = outcome.result_of(task)
        shape_rc = project.volume(task.volume).stack.frame_shape_rc
        boxes = tuple(box.box_in(shape_rc) for box in said.counted_boxes)
        outline = outline_of(result.mask) if result is not None and result.mask.any() else None
        found.append(Doubtful(task, min(1.0, doubt.value), doubt.reasons, boxes, outline))
    return sorted(found, key=_order)


def _order(one: Doubtful) -> tuple[float, Task]:
    return -one.doubt, one.task
