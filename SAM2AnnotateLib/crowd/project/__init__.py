"""A crowd project: what ``project.yaml`` says, its volumes as pictures, and known answers. Imports answers, yaml_config and below."""

from .gold import gold_answers
from .pictures import ProjectPictures
from .project import CrowdProject
from .read import PROJECT_FILE, read_project
from .values import CrowdObject, CrowdVolume, SliceChoice
from .write import write_project

__all__ = [
    "PROJECT_FILE",
    "CrowdObject",
    "CrowdProject",
    "CrowdVolume",
    "ProjectPictures",
    "SliceChoice",
    "gold_answers",
    "read_project",
    "write_project",
]
