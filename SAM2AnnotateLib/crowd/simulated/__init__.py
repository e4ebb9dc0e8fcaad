"""People who are not there, and their answers through the real assignment and records. Imports simulation and the rooms of crowd below."""

from .person import Said, SimulatedPerson
from .skill import PEOPLE, STUDY_C_SECONDS, Skill
from .thinning import MISSING_WAYS, box_count, every_nth, of_people, with_missing_boxes
from .truth import ObjectTruth, boxes_of_parts

__all__ = [
    "MISSING_WAYS", "PEOPLE", "STUDY_C_SECONDS", "ObjectTruth", "Said", "SimulatedPerson", "Skill", "box_count", "boxes_of_parts",
    "every_nth", "of_people", "with_missing_boxes",
]  # fmt: skip
