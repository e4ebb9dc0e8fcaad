"""What running SAM 2 needs, what of it a Python lacks, and the calls of pip that add it without touching anything else.

Nothing here installs: a plan is data, and `cli`, tests or the Slicer module carry it out. Imports: standard library, errors, progress,
atomic_files and the checkpoints of engine.
"""

from .install_plan import InstallStep, optional_step, plan
from .offline_folder import OfflineFolder
from .packages import InstalledPackage, installed_packages, replaced_packages, write_constraints
from .pip_failures import explain_pip_failure
from .requirements import (
    REQUIREMENTS,
    SERVER_REQUIREMENTS,
    Requirement,
    RequirementState,
    RequirementStatus,
    inspect,
    inspect_optional,
    missing,
)
from .resume_marker import ResumeMarker

__all__ = [
    "REQUIREMENTS",
    "SERVER_REQUIREMENTS",
    "InstallStep",
    "InstalledPackage",
    "OfflineFolder",
    "Requirement",
    "RequirementState",
    "RequirementStatus",
    "ResumeMarker",
    "explain_pip_failure",
    "inspect",
    "inspect_optional",
    "installed_packages",
    "missing",
    "optional_step",
    "plan",
    "replaced_packages",
    "write_constraints",
]
