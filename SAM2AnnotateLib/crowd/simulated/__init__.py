"""People who are not there, and their answers through the real assignment and records. Imports simulation and the rooms of crowd below."""

from .person import Said, SimulatedPerson
from .skill import PEOPLE, STUDY_C_SECONDS, Skill
from .truth import ObjectTruth, boxes_of_parts

__all__ = ["PEOPLE", "STUDY_C_SECONDS", "ObjectTruth", "Said", "SimulatedPerson", "Skill", "boxes_of_parts"]
