"""People who are not there, and their answers through the real assignment and records. Imports simulation and the rooms of crowd below.

`crowd` and `made_up_project` need the records' packages; they are imported by name.
"""

from .asking import ask_all
from .person import Said, SimulatedPerson
from .skill import PEOPLE, STUDY_C_SECONDS, Skill
from .thinning import MISSING_WAYS, box_count, every_nth, of_people, with_missing_boxes
from .truth import ObjectTruth, boxes_of_parts

__all__ = [
    "MISSING_WAYS", "PEOPLE", "STUDY_C_SECONDS", "ObjectTruth", "Said", "SimulatedPerson", "Skill", "ask_all", "box_count",
    "boxes_of_parts", "every_nth", "of_people", "with_missing_boxes",
]  # fmt: skip
