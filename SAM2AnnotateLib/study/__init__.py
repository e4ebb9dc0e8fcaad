"""The published study on one's own cases: configuration, cases, units of work, calibration, downstream models, report.

Imports nnunet, simulation and all below them, and the standard library.
"""

from .calibration import Calibration
from .cases import StudyCase
from .config import StudyConfig
from .folder import Study

__all__ = ["Calibration", "Study", "StudyCase", "StudyConfig"]
