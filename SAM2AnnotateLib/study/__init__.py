"""The published study on one's own cases: configuration, cases, units of work, calibration, downstream models, report.

Imports nnunet, simulation and all below them, and the standard library.
"""

from .configuration.config import StudyConfig
from .records.calibration import Calibration
from .records.cases import StudyCase
from .records.folder import Study

__all__ = ["Calibration", "Study", "StudyCase", "StudyConfig"]
